# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_pump.py: the thread between plain data and an encrypting channel loses and joins nothing."""

from __future__ import annotations

import os
import random
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from libvirtcore.drivers.remote.pump import (
    Boundaries,
    Pump,
    WouldBlockRead,
    WouldBlockWrite,
)


class Reversible:
    """A channel that flips every bit and is obstinate: it takes little and blocks at random."""

    def __init__(self, network: socket.socket) -> None:
        network.setblocking(False)
        self.network = network
        self.random = random.Random(1)
        self.writes: list[bytes] = []
        self._unsent = b""

    def fileno(self) -> int:
        return self.network.fileno()

    def read(self) -> bytes:
        try:
            return flip(self.network.recv(self.random.randint(1, 5000)))
        except BlockingIOError:
            raise WouldBlockRead from None

    @property
    def unsent(self) -> bool:
        return bool(self._unsent)

    def write(self, data: bytes) -> int:
        while self._unsent:
            try:
                self._unsent = self._unsent[self.network.send(self._unsent[:7000]) :]
            except BlockingIOError:
                raise WouldBlockWrite from None
        part = data[: self.random.randint(1, 9000)]
        if part:
            self.writes.append(part)
            self._unsent = flip(part)
        return len(part)

    def close(self) -> None:
        self.network.close()


def flip(data: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in data)


class Setup:
    def __init__(self) -> None:
        self.client, near = socket.socketpair()
        self.network, far = socket.socketpair()
        self.channel = Reversible(far)
        self.pump = Pump(near, self.channel)


@pytest.fixture
def setup() -> Iterator[Setup]:
    setup = Setup()
    yield setup
    setup.client.close()
    setup.network.close()
    setup.pump.close()


def receive(source: socket.socket, size: int) -> bytes:
    source.settimeout(10)
    data = b""
    while len(data) < size:
        part = source.recv(65536)
        assert part, f"ended after {len(data)} of {size} bytes"
        data += part
    return data


def message(size: int) -> bytes:
    return struct.pack(">I", size) + os.urandom(size - 4)


@pytest.mark.slow
def test_pump_carries_megabytes_both_ways_at_once(setup: Setup) -> None:
    out = b"".join(message(random.Random(n).randint(4, 200_000)) for n in range(20))
    back = os.urandom(2_000_000)
    senders = [
        threading.Thread(target=setup.client.sendall, args=(out,)),
        threading.Thread(target=setup.network.sendall, args=(flip(back),)),
    ]
    for sender in senders:
        sender.start()
    got: dict[str, bytes] = {}
    reader = threading.Thread(target=lambda: got.update(out=flip(receive(setup.network, len(out)))))
    reader.start()
    assert receive(setup.client, len(back)) == back
    reader.join(10)
    assert got["out"] == out


def test_pump_never_joins_two_messages_in_one_write(setup: Setup) -> None:
    """libvirtd would not notice the second one."""
    first, second = message(100), message(300)
    setup.client.sendall(first + second + first[:2])
    receive(setup.network, 402)
    ends = []
    total = 0
    for part in setup.channel.writes:
        total += len(part)
        ends.append(total)
    assert {100, 400} <= set(ends)


def test_pump_ends_when_the_client_closes(setup: Setup) -> None:
    setup.client.sendall(message(64))
    setup.client.close()
    assert len(receive(setup.network, 64)) == 64
    assert setup.network.recv(1) == b""


def test_pump_hands_over_what_came_before_the_end(setup: Setup) -> None:
    setup.network.sendall(flip(b"last words"))
    setup.network.close()
    assert receive(setup.client, 10) == b"last words"
    assert setup.client.recv(1) == b""


@pytest.mark.parametrize("step", [1, 2, 3, 5, 1000])
def test_boundaries_of_any_division(step: int) -> None:
    stream = message(4) + message(10) + message(70) + message(9)
    boundaries, position, ends = Boundaries(), 0, []
    while position < len(stream):
        available = stream[position : position + step]
        part = available[: boundaries.limit(available)]
        boundaries.advance(part)
        position += len(part)
        ends.append(position)
    assert {4, 14, 84, 93} <= set(ends)
