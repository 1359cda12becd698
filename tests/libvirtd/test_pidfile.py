# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_pidfile.py: one daemon per place; the second one is told who was first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from libvirtd.fatal import Fatal
from libvirtd.pidfile import PidFile, describe
from tests.ours_daemon import REPOSITORY

HOLD = """
import sys, signal
from libvirtd.pidfile import PidFile
PidFile(sys.argv[1]).acquire()
print("locked", flush=True)
signal.pause()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    """Another process with the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        env={"PYTHONPATH": str(REPOSITORY / "python")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


def test_the_file_holds_our_number_and_goes_with_us(tmp_path: Path) -> None:
    path = tmp_path / "d.pid"
    held = PidFile(str(path))
    held.acquire()
    assert path.read_text() == str(os.getpid())
    held.release()
    assert not path.exists()


def test_a_second_process_is_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "d.pid"
    other = hold(path)
    try:
        with pytest.raises(Fatal) as caught:
            PidFile(str(path)).acquire()
    finally:
        other.kill()
        other.communicate()
    assert caught.value.status == 1
    assert caught.value.text.startswith(
        f"Failed to acquire pid file '{path}': Resource temporarily unavailable: "
        f"process {other.pid} ("
    )


def test_the_lock_falls_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "d.pid"
    other = hold(path)
    other.send_signal(signal.SIGKILL)
    other.communicate()
    assert path.exists()
    held = PidFile(str(path))
    held.acquire()
    assert path.read_text() == str(os.getpid())
    held.release()


def test_a_longer_number_of_a_dead_daemon_leaves_no_digits(tmp_path: Path) -> None:
    path = tmp_path / "d.pid"
    path.write_text("123456789012345")
    held = PidFile(str(path))
    held.acquire()
    assert path.read_text() == str(os.getpid())
    held.release()


def test_the_file_of_a_successor_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "d.pid"
    held = PidFile(str(path))
    held.acquire()
    path.unlink()
    path.write_text("999")
    held.release()
    assert path.read_text() == "999"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("precious")
    (tmp_path / "d.pid").symlink_to("target")
    with pytest.raises(Fatal, match="Failed to open pid file"):
        PidFile(str(tmp_path / "d.pid")).acquire()
    assert (tmp_path / "target").read_text() == "precious"


def test_a_missing_folder_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="No such file or directory"):
        PidFile(str(tmp_path / "no" / "d.pid")).acquire()


def test_a_process_is_described_by_its_command() -> None:
    assert describe(os.getpid()).startswith(f"process {os.getpid()} (")
    assert describe(2**22 + 1) == f"process {2**22 + 1}"
