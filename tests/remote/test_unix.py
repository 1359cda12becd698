# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_unix.py: local sockets, their limits, and session daemons that start on demand."""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path

import pytest

from libvirtcore.drivers.remote import unix
from libvirtcore.drivers.remote.options import Options
from libvirtcore.errors import VirError
from libvirtcore.settings import runtime_directory
from tests.remote.fake_daemon import FakeDaemon

# A daemon in miniature: listens where a session daemon does, leaves a note of how it was started.
DAEMON = f"""#!{sys.executable}
import os, socket, sys
folder = os.path.join(os.environ["XDG_RUNTIME_DIR"], "libvirt")
with open(os.path.join(folder, "started"), "a") as note:
    note.write(f"{{sys.argv[1:]}} {{os.getcwd()}}\\n")
listener = socket.socket(socket.AF_UNIX)
listener.bind(os.path.join(folder, "libvirt-sock"))
listener.listen()
listener.settimeout(10)
while True:
    peer, _ = listener.accept()
    if peer.recv(4) == b"stop":
        break
"""


def session(**more: object) -> Options:
    return Options("unix", "qemu", "qemu:///session", session=True, **more)  # type: ignore[arg-type]


@pytest.fixture
def daemon_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "libvirtd"
    program.write_text(DAEMON)
    program.chmod(0o755)
    monkeypatch.setenv("LIBVIRTD_PATH", str(program))
    return program


def test_unix_path_of_107_bytes_is_the_longest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "s" * 107
    daemon = FakeDaemon(Path(name))
    link = unix.dial(Options("unix", "", "", socket=name))
    os.close(link.fd)
    daemon.close()
    with pytest.raises(VirError) as caught:
        unix.dial(Options("unix", "", "", socket=name + "s"))
    assert caught.value.message == (
        f"Path {name}s too long for unix socket: {os.strerror(errno.ENOMEM)}"
    )


def test_unix_without_a_listener() -> None:
    with pytest.raises(VirError) as caught:
        unix.dial(session())
    path = f"{runtime_directory()}/libvirt-sock"
    assert caught.value.message == (
        f"Failed to connect socket to '{path}': No such file or directory"
    )
    assert (caught.value.code, caught.value.domain, caught.value.int1) == (38, 7, errno.ENOENT)


@pytest.mark.slow
@pytest.mark.usefixtures("leaves_no_child")  # the daemon is not our child
def test_unix_starts_the_session_daemon_once(daemon_program: Path) -> None:
    first = unix.dial(session(autostart=True))
    second = unix.dial(session(autostart=True))
    folder = Path(runtime_directory())
    note = (folder / "started").read_text().splitlines()
    assert len(note) == 1
    assert note[0].startswith("['--timeout=120'] ")
    assert note[0].endswith(" /")
    assert (folder / "libvirtd.lock").exists()
    os.close(first.fd)
    os.write(second.fd, b"stop")
    os.close(second.fd)


@pytest.mark.slow
def test_unix_gives_up_on_a_daemon_that_does_not_listen(
    daemon_program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon_program.write_text("#!/bin/sh\nexit 1\n")
    monkeypatch.setattr(unix, "_START_SECONDS", 0.3)
    begun = time.monotonic()
    with pytest.raises(VirError, match=r"Failed to connect socket to '.*/libvirt-sock'"):
        unix.dial(session(autostart=True))
    assert time.monotonic() - begun < 3


def test_unix_says_which_daemon_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIRTD_PATH", "/nonexistent")
    with pytest.raises(VirError, match="no virtqemud is installed to be started"):
        unix.dial(session(autostart=True))
