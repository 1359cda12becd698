# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_checks.py: builds each C check of this folder with the sanitizers, and runs it.

The core is compiled once with LVC_TORTURE, so that a check can make the n-th allocation fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, lacking

HERE = Path(__file__).parent
CORE = REPOSITORY / "libvirtcore"
CHECKS = sorted(HERE.glob("*_check.c"))

FLAGS = [
    "-std=c11", "-D_GNU_SOURCE", "-DLVC_TORTURE", f"-I{CORE}", f"-I{HERE}", "-g", "-O1",
    "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined",
    "-Wall", "-Wextra", "-Wconversion", "-Wno-missing-field-initializers", "-Werror", "-pthread",
]  # fmt: skip


def compiler() -> str:
    found = shutil.which(os.environ.get("CC", "gcc"))
    return found or lacking("gcc")


def compile_one(source: Path, target: Path) -> None:
    done = subprocess.run(
        [compiler(), *FLAGS, "-c", str(source), "-o", str(target)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def core_objects(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The whole core, instrumented."""
    if not CORE.is_dir():
        pytest.skip("an installed wheel has no C sources")
    place = tmp_path_factory.mktemp("core")
    sources = sorted(CORE.rglob("*.c"))
    objects = [place / f"{source.stem}.o" for source in sources]  # basenames are unique
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_one, sources, objects))
    return list(map(str, objects))


@pytest.mark.slow
@pytest.mark.torture
@pytest.mark.parametrize("check", CHECKS, ids=lambda path: path.stem)
def test_check_runs_clean(check: Path, core_objects: list[str], tmp_path: Path) -> None:
    program = tmp_path / check.stem
    built = subprocess.run(
        [compiler(), *FLAGS, str(check), *core_objects, "-o", str(program)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    environment["ASAN_OPTIONS"] = "detect_leaks=1:abort_on_error=0:allocator_may_return_null=1"
    done = subprocess.run(
        [str(program)], capture_output=True, text=True, check=False, timeout=300, env=environment
    )
    assert done.returncode == 0, done.stderr[-4000:]


def test_there_are_checks() -> None:
    assert {"base_check", "xdr_check"} <= {check.stem for check in CHECKS}
