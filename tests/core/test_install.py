# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_install.py: what pip makes of the tree with a compiler, with none, and with a broken one."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, lacking

PARTS = ("libvirtcore", "python", "VERSION", "LICENSE", "README.md", "MANIFEST.in", "setup.py")

pytestmark = pytest.mark.skipif(
    not (REPOSITORY / "setup.py").is_file(), reason="an installed wheel has no sources"
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what a source archive holds, without anything that was built."""
    for needed in ("pip", "setuptools", "cffi"):
        if importlib.util.find_spec(needed) is None:
            lacking(needed)
    place = tmp_path / "tree"
    place.mkdir()
    leave = shutil.ignore_patterns("*.so", "__pycache__", "*.egg-info")
    for part in (*PARTS, "pyproject.toml"):
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(source, place / part, ignore=leave)
        else:
            shutil.copy(source, place / part)
    return place


def wheel(tree: Path, **environment: str) -> tuple[str, set[str]]:
    """The tag of the wheel that pip makes, and the top-level names in it."""
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps",
            "--wheel-dir", str(tree / "out"), str(tree),
        ],
        env=os.environ | {"LIBVIRTCORE_NO_EXT": "0"} | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [built] = (tree / "out").glob("*.whl")
    names = {name.split("/")[0] for name in zipfile.ZipFile(built).namelist()}
    return built.stem.split("-", 2)[2], names


def has_core(names: set[str]) -> bool:
    return any(name.startswith("_libvirtmod.") for name in names)


@pytest.mark.slow
def test_with_a_compiler_there_is_a_stable_abi_wheel(tree: Path) -> None:
    if shutil.which("cc") is None:
        lacking("cc")
    tag, names = wheel(tree, LIBVIRTCORE_REQUIRE_EXT="1")
    assert tag.startswith("cp310-abi3-linux_")
    assert has_core(names)
    assert {"libvirt.py", "libvirtcore", "libvirtmod.py"} <= names
    assert "_libvirtmod_build.py" not in names


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{"CC": "/nonexistent"}, {"LIBVIRTCORE_NO_EXT": "1"}])
def test_without_a_compiler_the_wheel_is_pure(tree: Path, environment: dict[str, str]) -> None:
    tag, names = wheel(tree, **environment)
    assert tag == "py3-none-any"
    assert not has_core(names)
    assert {"libvirt.py", "libvirtcore", "libvirtmod.py"} <= names


@pytest.mark.slow
def test_core_that_does_not_compile_is_left_out(tree: Path) -> None:
    if shutil.which("cc") is None:
        lacking("cc")
    (tree / "libvirtcore" / "base" / "base_clock.c").write_text("#error this machine is too odd\n")
    _, names = wheel(tree)
    assert not has_core(names)
    assert {"libvirt.py", "libvirtcore"} <= names
