# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_threads.py: client and server under the thread sanitizer: no race, no lock left taken.

The server also on poll, which it uses where there is no epoll.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, lacking

HERE = Path(__file__).parent
CORE = REPOSITORY / "libvirtcore"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("check", "options"),
    [
        ("rpc_threads_check", ()),
        ("rpc_server_check", ()),
        ("rpc_server_check", ("-DLVC_NO_EPOLL",)),
    ],
    ids=["client", "server", "server on poll"],
)
def test_threads_do_not_race(tmp_path: Path, check: str, options: tuple[str, ...]) -> None:
    compiler = shutil.which("gcc") or lacking("gcc")
    if not CORE.is_dir():
        pytest.skip("an installed wheel has no C sources")
    program = tmp_path / check
    built = subprocess.run(
        [
            compiler, "-std=c11", "-D_GNU_SOURCE", f"-I{CORE}", f"-I{HERE}", "-g", "-O1",
            "-fsanitize=thread", "-pthread", *options, str(HERE / f"{check}.c"),
            *map(str, sorted(CORE.rglob("*.c"))), "-o", str(program),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    done = subprocess.run([str(program)], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
