# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_fuzz.py: every fuzz target builds, gets through its corpus and through a run.

A minute each in CI, a few seconds elsewhere; `make fuzz` runs longer.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, lacking

HERE = Path(__file__).parent
TARGETS = sorted(path.stem for path in HERE.glob("fuzz_*.c"))
SECONDS = 60 if os.environ.get("CI", "").lower() in ("1", "true", "yes") else 5


def has_fuzzer(scratch: Path) -> bool:
    if shutil.which("clang") is None:
        return False
    probe = scratch / "probe.c"
    probe.write_text(
        "#include <stddef.h>\n#include <stdint.h>\n"
        "int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n) { (void)d; (void)n; return 0; }\n"
    )
    command = ["clang", "-fsanitize=fuzzer,address", str(probe), "-o", str(scratch / "probe")]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not (REPOSITORY / "tools" / "fuzz").is_file(), reason="an installed wheel")
@pytest.mark.parametrize("target", TARGETS)
def test_target_finds_nothing(target: str, tmp_path: Path) -> None:
    if not has_fuzzer(tmp_path):
        lacking("clang with libFuzzer (clang, libclang-rt-14-dev)")
    done = subprocess.run(
        [str(REPOSITORY / "tools" / "fuzz"), target],
        env=os.environ | {"FUZZ_SECONDS": str(SECONDS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


@pytest.mark.parametrize("target", TARGETS)
def test_target_has_seeds(target: str) -> None:
    assert any((HERE / "corpus" / target).iterdir())
