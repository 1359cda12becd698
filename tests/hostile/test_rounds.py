# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_rounds.py: after ten thousand broken conversations nothing is left of any of them."""

from __future__ import annotations

import array
import gc
import os
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import pytest

from libvirtcore.errors import VirError
from libvirtcore.rpc.pure_frame import MESSAGE, OK, REPLY, STREAM, Frame, pack
from tests.differential.peer import REMOTE, VERSION, number
from tests.hostile.conftest import descriptors

ROUNDS = 10_000
WARM = 1_000
GROWTH = 3 * 1024 * 1024
REPLY_OK = Frame(REMOTE, 1, VERSION, REPLY, 0, OK, struct.pack(">Q", 7))
LIFECYCLE = number("domain_event_lifecycle")
DOWNLOAD = number("storage_vol_download")


def resident() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def said(*frames: Frame) -> Callable[[socket.socket], None]:
    data = b"".join(map(pack, frames))

    def say(peer: socket.socket) -> None:
        peer.sendall(data)

    return say


def raw(data: bytes) -> Callable[[socket.socket], None]:
    def say(peer: socket.socket) -> None:
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)

    return say


def stray_descriptor(peer: socket.socket) -> None:
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))
    peer.sendmsg([b"\0"], [rights])
    peer.sendall(pack(REPLY_OK))


def descriptors_cut(peer: socket.socket) -> None:
    """Three are announced, two come, then the end."""
    frame = REPLY_OK._replace(type=5, fds=(0, 1, 2))
    peer.sendall(pack(frame))
    for _ in range(2):
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))
        peer.sendmsg([b"\0"], [rights])
    peer.shutdown(socket.SHUT_WR)


EVENT = Frame(REMOTE, 1, LIFECYCLE, MESSAGE, 0, OK, b"\0\0\0\1a\0\0\0" + bytes(28))
PEERS: list[Callable[[socket.socket], None]] = [
    raw(b""),
    raw(b"\0\0\0\x24 \0\x80\x86"),
    raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    raw(b"\xff" * 64),
    raw(pack(REPLY_OK)[:-1]),
    said(REPLY_OK._replace(serial=5)),
    said(REPLY_OK._replace(program=1)),
    said(REPLY_OK._replace(type=0)),
    said(REPLY_OK._replace(payload=b"\0")),
    said(REPLY_OK._replace(status=1, payload=b"\0\0\0\1" * 3)),
    said(*[EVENT] * 20, REPLY_OK._replace(status=9)),
    said(REPLY_OK._replace(proc=DOWNLOAD, type=STREAM), EVENT._replace(program=2)),
    stray_descriptor,
    descriptors_cut,
]


def one_round(client_class: Any, peer: Callable[[socket.socket], None]) -> None:
    ours, theirs = socket.socketpair()
    client = client_class(ours.detach())
    peer(theirs)
    with pytest.raises(VirError):
        client.call(REMOTE, VERSION, None, 5)
    client.close()
    theirs.close()


@pytest.mark.slow
def test_rounds_leave_nothing_behind(client_class: Any) -> None:
    threads = threading.active_count()
    for turn in range(ROUNDS):
        if turn == WARM:
            gc.collect()
            fds, memory = descriptors(), resident()
        one_round(client_class, PEERS[turn % len(PEERS)])
    gc.collect()
    assert descriptors() == fds
    assert resident() - memory < GROWTH
    assert threading.active_count() == threads


@pytest.mark.slow
def test_rounds_of_deadlines_leave_nothing_behind(client_class: Any) -> None:
    """Late replies on one connection: what was given up is thrown away when it comes."""
    ours, theirs = socket.socketpair()
    client = client_class(ours.detach())
    for turn in range(2_000):
        if turn == 500:
            gc.collect()
            fds, memory = descriptors(), resident()
        with pytest.raises(VirError):
            client.call(REMOTE, VERSION, None, 0.0)
        theirs.recv(4096)
        theirs.sendall(pack(REPLY_OK._replace(serial=turn)))
        while client.stats()["in_flight"]:
            client.pump(1)
    gc.collect()
    assert client.stats()["late_replies"] == 2_000
    assert descriptors() == fds
    assert resident() - memory < GROWTH
    client.close()
    theirs.close()


@pytest.mark.slow
def test_flood_of_large_events_ends_at_the_limit(client_class: Any) -> None:
    """Nobody fetches: the connection is given up before the memory is."""
    ours, theirs = socket.socketpair()
    client = client_class(ours.detach())
    agent = number("domain_event_callback_agent_lifecycle")
    name = struct.pack(">I", 4_000_000) + b"x" * 4_000_000
    payload = b"\0\0\0\0" + name + bytes(16) + bytes(4) + bytes(8)
    data = pack(Frame(REMOTE, 1, agent, MESSAGE, 0, OK, payload))

    def flood() -> None:
        try:
            for _ in range(40):
                theirs.sendall(data)
        except OSError:
            return

    before = resident()
    thread = threading.Thread(target=flood)
    thread.start()
    with pytest.raises(VirError, match="wait to be fetched, limit 67108864 bytes"):
        client.call(REMOTE, VERSION, None, 30)
    assert resident() - before < 160 * 1024 * 1024
    assert client.closed == "error"
    client.close()
    thread.join()
    theirs.close()
