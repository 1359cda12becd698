# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_build.py: the public header, what the extension shows, and that its halves match."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import libvirtcore
from libvirtcore.generated.tables import TABLES_HASH
from tests.conftest import REPOSITORY, lacking

CORE = REPOSITORY / "libvirtcore"
HEADER = CORE / "libvirtcore.h"

in_tree = pytest.mark.skipif(not HEADER.is_file(), reason="an installed wheel has no C sources")


def run(*command: str) -> str:
    if shutil.which(command[0]) is None:
        lacking(command[0])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def extension() -> Path:
    module = pytest.importorskip("_libvirtmod", reason="missing: the C core")
    return Path(module.__file__)


@in_tree
@pytest.mark.parametrize("standard", ["c99", "c11", "c17"])
def test_header_compiles_alone(standard: str) -> None:
    run(
        "gcc", f"-std={standard}", "-pedantic", "-Wall", "-Wextra", "-Werror",
        "-fsyntax-only", "-x", "c", str(HEADER),
    )  # fmt: skip


@in_tree
def test_header_compiles_as_cpp() -> None:
    run("g++", "-pedantic", "-Wall", "-Werror", "-fsyntax-only", "-x", "c++", str(HEADER))


@in_tree
def test_every_core_header_stands_alone(tmp_path: Path) -> None:
    source = tmp_path / "all.c"
    for header in sorted(CORE.rglob("*.h")):
        source.write_text(f'#include "{header.relative_to(CORE)}"\n')
        run(
            "gcc", "-std=c11", "-D_GNU_SOURCE", f"-I{CORE}", "-Wall", "-Wextra", "-Werror",
            "-fsyntax-only", str(source),
        )  # fmt: skip


@in_tree
def test_basenames_are_unique() -> None:
    names = [path.name for path in CORE.rglob("*.[ch]")]
    assert sorted(names) == sorted(set(names))


def test_extension_shows_only_its_entrance() -> None:
    """Nothing of the core can clash with a real libvirt in the same process."""
    listed = run("nm", "-D", "--defined-only", str(extension()))
    symbols = {line.split()[-1] for line in listed.splitlines()}
    assert symbols - {"_init", "_fini"} == {"PyInit__libvirtmod"}


def test_extension_needs_only_libc() -> None:
    listed = run("readelf", "-d", str(extension()))
    needed = set(re.findall(r"NEEDED.*\[(.*?)\]", listed))
    assert {
        name for name in needed if not re.match(r"lib(c|pthread|asan|ubsan)\.|ld-", name)
    } == set()


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="no stable ABI elsewhere")
def test_extension_uses_the_stable_abi() -> None:
    assert ".abi3." in extension().name
    unstable = re.compile(r" U (_Py\w+)")
    allowed = {"_Py_NoneStruct", "_Py_TrueStruct", "_Py_FalseStruct", "_Py_Dealloc"}
    listed = run("nm", "-D", "--undefined-only", str(extension()))
    assert set(unstable.findall(listed)) <= allowed


@in_tree
def test_one_version() -> None:
    version = (REPOSITORY / "VERSION").read_text().strip()
    assert libvirtcore.__version__ == version
    lib = pytest.importorskip("_libvirtmod", reason="missing: the C core").lib
    ffi = pytest.importorskip("_libvirtmod").ffi
    assert ffi.string(lib.lvc_version()).decode() == version


def test_one_set_of_tables() -> None:
    module = pytest.importorskip("_libvirtmod", reason="missing: the C core")
    assert module.ffi.string(module.lib.lvc_hash()).decode() == TABLES_HASH
