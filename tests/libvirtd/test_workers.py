# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_workers.py: the pool grows when calls are stuck, shrinks when idle, and survives faults."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from libvirtcore.core_server import Limits, Server, Worker
from libvirtcore.generated.constants import VIR_ERR_INTERNAL_ERROR
from libvirtd import workers
from libvirtd.workers import Pool

PROGRAM = 0x20008086
GET_TYPE, CAPABILITIES = 3, 7  # calls without arguments; the first is of high priority
HEADER = struct.Struct(">IIIiIIi")


class FakeSession:
    """Calls of CAPABILITIES wait for `go`, others are answered at once."""

    def __init__(self, desk: FakeDesk) -> None:
        self.desk = desk

    def call(self, worker: Worker) -> None:
        if worker.procedure == CAPABILITIES:
            self.desk.stuck.release()
            assert self.desk.go.wait(20)
            worker.reply(("host",))
        elif self.desk.fault is not None:
            raise self.desk.fault
        else:
            worker.reply(("TEST",))

    def drained(self, worker: Worker) -> None:
        self.desk.drained.append(worker.client)

    def close(self) -> None:
        self.desk.gone += 1


class FakeDesk:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.sessions: dict[int, Any] = {}
        self.go = threading.Event()
        self.stuck = threading.Semaphore(0)
        self.fault: BaseException | None = None
        self.gone = 0
        self.drained: list[int] = []

    def accepted(self, worker: Worker) -> None:
        self.sessions[worker.client] = FakeSession(self)
        self.server.accept_client(worker.client, True)

    def closed(self, client: int) -> None:
        self.sessions.pop(client).close()


class Peer:
    """A client that sends calls and reads answers."""

    def __init__(self, server: Server) -> None:
        self.sock, other = socket.socketpair()
        self.sock.settimeout(10)
        server.adopt(other.detach(), 0)
        self.serial = 0

    def send(self, procedure: int) -> None:
        self.serial += 1
        self.sock.sendall(HEADER.pack(28, PROGRAM, 1, procedure, 0, self.serial, 0))

    def answer(self) -> tuple[int, int, bytes]:
        """Serial, status and body of the next answer."""
        head = self._read(28)
        length, _, _, _, _, serial, status = HEADER.unpack(head)
        return serial, status, self._read(length - 28)

    def _read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            more = self.sock.recv(length - len(data))
            assert more, "the connection ended"
            data += more
        return data


@pytest.fixture
def desk() -> Iterator[FakeDesk]:
    server = Server(Limits(max_client_requests=50))
    found = FakeDesk(server)
    yield found
    found.go.set()
    server.stop()


def until(happens: Callable[[], bool], seconds: float = 5.0) -> None:
    limit = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < limit
        time.sleep(0.005)


def test_stuck_calls_bring_more_workers_up_to_the_maximum(desk: FakeDesk) -> None:
    pool = Pool(desk.server, desk)
    pool.resize(2, 6, 0)
    peer = Peer(desk.server)
    for _ in range(10):
        peer.send(CAPABILITIES)
    for _ in range(6):
        assert desk.stuck.acquire(timeout=5)
    time.sleep(0.1)
    assert not desk.stuck.acquire(blocking=False), "more calls than max_workers run"
    assert pool.count() == (6, 0)
    desk.go.set()
    assert sorted(peer.answer()[0] for _ in range(10)) == list(range(1, 11))


def test_short_calls_bring_no_more_workers(desk: FakeDesk) -> None:
    pool = Pool(desk.server, desk)
    pool.resize(2, 20, 0)
    peers = [Peer(desk.server) for _ in range(8)]
    for _ in range(100):
        for peer in peers:
            peer.send(GET_TYPE)
        for peer in peers:
            peer.answer()
    assert pool.count()[0] <= 4, "busy is not stuck"


def test_priority_calls_pass_when_all_others_are_stuck(desk: FakeDesk) -> None:
    pool = Pool(desk.server, desk)
    pool.resize(2, 2, 1)
    peer, other = Peer(desk.server), Peer(desk.server)
    for _ in range(5):
        peer.send(CAPABILITIES)
    for _ in range(2):
        assert desk.stuck.acquire(timeout=5)
    began = time.monotonic()
    other.send(GET_TYPE)
    assert other.answer()[1] == 0
    assert time.monotonic() - began < 0.1
    assert pool.count() == (2, 1)
    desk.go.set()


def test_a_session_hears_that_its_client_has_caught_up(desk: FakeDesk) -> None:
    pool = Pool(desk.server, desk)
    pool.resize(1, 1, 0)
    peer = Peer(desk.server)  # whose socket stays open
    until(lambda: bool(desk.sessions))
    (client,) = desk.sessions
    assert desk.server.want_drained(client)
    until(lambda: desk.drained == [client])
    peer.sock.close()


def test_idle_workers_leave(desk: FakeDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "LINGER_SECONDS", 0.2)
    pool = Pool(desk.server, desk)
    pool.resize(1, 8, 0)
    peer = Peer(desk.server)
    for _ in range(5):
        peer.send(CAPABILITIES)
    until(lambda: pool.count()[0] >= 5)
    desk.go.set()
    for _ in range(5):
        peer.answer()
    until(lambda: pool.count()[0] == 1)
    peer.send(GET_TYPE)
    assert peer.answer()[1] == 0


@pytest.mark.parametrize(
    "fault", [ValueError("oops"), KeyError("x"), RecursionError(), MemoryError(), SystemExit(3)]
)
def test_a_fault_is_the_clients_internal_error(
    desk: FakeDesk, fault: BaseException, capfd: pytest.CaptureFixture[str]
) -> None:
    pool = Pool(desk.server, desk)
    pool.resize(1, 1, 0)
    peer = Peer(desk.server)
    desk.fault = fault
    peer.send(GET_TYPE)
    _, status, body = peer.answer()
    assert status == 1
    assert struct.unpack(">i", body[:4])[0] == VIR_ERR_INTERNAL_ERROR
    assert b"oops" not in body, "what went wrong inside is nobody's business"
    desk.fault = None
    peer.send(GET_TYPE)
    assert peer.answer()[1] == 0
    assert pool.count() == (1, 0)


def test_clients_that_go_are_closed(desk: FakeDesk) -> None:
    Pool(desk.server, desk).resize(2, 2, 0)
    for _ in range(5):
        peer = Peer(desk.server)
        peer.send(GET_TYPE)
        peer.answer()
        peer.sock.close()
    until(lambda: desk.gone == 5 and not desk.sessions)


def test_stop_ends_all_threads_but_those_in_a_call(desk: FakeDesk) -> None:
    pool = Pool(desk.server, desk)
    pool.resize(3, 5, 2)
    peer = Peer(desk.server)
    peer.send(CAPABILITIES)
    assert desk.stuck.acquire(timeout=5)
    desk.server.stop()
    left = pool.join(0.5)
    assert [thread.name for thread in left] == ["rpc-worker"]
    desk.go.set()
    assert pool.join(5) == []
