# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_fuzz.py: every fuzz target builds, gets through its corpus and through a run.

A minute each in CI, a few seconds elsewhere; `make fuzz` runs longer.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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


def fuzz(target: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(REPOSITORY / "tools" / "fuzz"), target],
        env=os.environ | {"FUZZ_SECONDS": str(SECONDS)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[dict[str, Future[subprocess.CompletedProcess[str]]]]:
    """Every chosen target's run, as many at once as there are processors."""
    if not has_fuzzer(tmp_path_factory.mktemp("fuzzer")):
        lacking("clang with libFuzzer (clang, libclang-rt-14-dev)")
    chosen = [t for t in TARGETS if any(f"[{t}]" in item.name for item in request.session.items)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {target: pool.submit(fuzz, target) for target in chosen}


@pytest.mark.slow
@pytest.mark.skipif(not (REPOSITORY / "tools" / "fuzz").is_file(), reason="an installed wheel")
@pytest.mark.parametrize("target", TARGETS)
def test_target_finds_nothing(
    target: str, runs: dict[str, Future[subprocess.CompletedProcess[str]]]
) -> None:
    done = runs[target].result()
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


@pytest.mark.parametrize("target", TARGETS)
def test_target_has_seeds(target: str) -> None:
    assert any((HERE / "corpus" / target).iterdir())
