# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fixtures: each core in turn, scripted peers, a real QEMU.

Called by: the tests of this folder.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from libvirtcore import qmp
from libvirtcore.qmp.pure import Connection as PureConnection
from tests.conftest import lacking
from tests.qmp.peer import Peer

try:
    from libvirtcore.qmp.core import Connection as CConnection
except ImportError:
    CConnection = None  # type: ignore[assignment, misc]

QEMU = "qemu-system-x86_64"


@pytest.fixture(params=["c", "pure"])
def core(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The class of one core, which client, agent and aio use meanwhile."""
    chosen: Any = PureConnection if request.param == "pure" else CConnection
    if chosen is None:
        lacking("the C core")
    for module in ("client", "agent", "aio"):
        monkeypatch.setattr(f"libvirtcore.qmp.{module}.Connection", chosen)
    return chosen


@pytest.fixture
def peer(core: Any) -> Iterator[Peer]:
    """The other end of a socket."""
    with Peer() as made:
        yield made


@pytest.fixture
def client(peer: Peer) -> Iterator[qmp.Client]:
    """A client that has negotiated with `peer`."""
    with peer.client() as made:
        yield made


@pytest.fixture
def start_qemu() -> Iterator[Callable[..., tuple[subprocess.Popen[bytes], int]]]:
    """Starts a QEMU that is paused for ever; the process and a socket with its monitor."""
    if shutil.which(QEMU) is None:
        lacking(QEMU)
    started: list[tuple[subprocess.Popen[bytes], socket.socket]] = []

    def start(*arguments: str) -> tuple[subprocess.Popen[bytes], int]:
        ours, theirs = socket.socketpair()
        command = [
            QEMU, "-S", "-no-user-config", "-nodefaults", "-nographic", "-machine",
            "none,accel=tcg", "-chardev", f"socket,id=m,fd={theirs.fileno()}", "-mon",
            "chardev=m,mode=control", *arguments,
        ]  # fmt: skip
        # The runtime of a sanitizer is meant for us alone.
        environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
        process = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
        )
        theirs.close()
        started.append((process, ours))
        return process, ours.detach()

    yield start
    for process, ours in started:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()
        ours.close()
