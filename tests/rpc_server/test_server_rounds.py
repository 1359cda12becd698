# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_server_rounds.py: 100,000 calls and thousands of clients leave no descriptor, no memory."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable

import pytest

from libvirtcore.errors import VirError
from tests.rpc.peer import (
    CALL,
    DOMAIN,
    GET_VERSION,
    LOOKUP_BY_NAME,
    OPEN_GRAPHICS_FD,
    REMOTE,
    pack,
)
from tests.rpc_server.conftest import open_descriptors
from tests.rpc_server.toy import GET_XML_DESC, Toy

pytestmark = pytest.mark.slow
SLACK = 3 << 20


def resident() -> int:
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def grows(turn: Callable[[int], None], turns: int) -> int:
    """Bytes that the second half of the turns added."""
    for number in range(turns // 2):
        turn(number)
    before = resident(), len(open_descriptors())
    for number in range(turns // 2):
        turn(number)
    until = time.monotonic() + 5  # the server closes a peer a moment after telling of it
    while len(open_descriptors()) > before[1] and time.monotonic() < until:
        time.sleep(0.01)
    assert len(open_descriptors()) <= before[1]
    return resident() - before[0]


sanitized = pytest.mark.skipif(
    "LIBVIRTCORE_SANITIZED" in os.environ, reason="a sanitized process keeps freed memory"
)


@sanitized
def test_calls_leave_nothing(toy: Toy) -> None:
    client = toy.connect()

    def turn(number: int) -> None:
        assert client.call(REMOTE, GET_VERSION) == (7,)
        client.call(REMOTE, LOOKUP_BY_NAME, (f"vm{number}",))
        if number % 100 == 0:
            client.call(REMOTE, GET_XML_DESC, (DOMAIN, 100_000))
            with pytest.raises(VirError):
                client.call(REMOTE, 28, (DOMAIN,))

    assert grows(turn, 50_000) < SLACK
    assert toy.server.stats()["calls"] >= 100_000
    client.close()


@sanitized
def test_clients_leave_nothing(toy: Toy) -> None:
    read, write = os.pipe()
    toy.calls[OPEN_GRAPHICS_FD] = lambda worker: worker.reply(fds=[write])

    def turn(number: int) -> None:
        client = toy.connect()
        client.call(REMOTE, GET_VERSION)
        if number % 3 == 0:
            _none, (fd,) = client.call_fds(REMOTE, OPEN_GRAPHICS_FD, (DOMAIN, 0, 0))
            os.close(fd)
        client.close()
        peer = toy.peer()
        peer.send(pack(GET_VERSION, CALL, 1) * 3 + b"\0\0\0")
        peer.close()
        toy.until(lambda: len(toy.closed) == 2 * len(turns))

    turns: list[int] = []

    def count(number: int) -> None:
        turns.append(number)
        turn(number)

    assert grows(count, 3000) < SLACK
    os.close(read)
    os.close(write)
