# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_server_limits.py: nobody gets more than the limits allow, and nobody suffers for another."""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from libvirtcore.core_server import Limits, Ticket, Worker
from tests.rpc.peer import (
    CALL,
    DOMAIN,
    DOMAIN_EVENT,
    GET_VERSION,
    KEEPALIVE,
    LOOKUP_BY_NAME,
    MESSAGE,
    PING,
    PONG,
    REMOTE,
    Peer,
    in_thread,
    pack,
)
from tests.rpc_server.toy import GET_INFO, GET_XML_DESC, Toy

Make = Callable[..., Toy]
INFO_ARGS = b"\0\0\0\2vm\0\0" + bytes(20)


def dial(path: Path) -> Peer:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(path))
    return Peer(sock)


def ask(peer: Peer) -> None:
    peer.send(pack(GET_VERSION, CALL, 5))
    assert peer.take().serial == 5


# --- clients --------------------------------------------------------------------------------------


def test_clients_beyond_the_limit_wait_in_the_backlog(make_toy: Make, tmp_path: Path) -> None:
    toy = make_toy(Limits(max_clients=3))
    toy.listen(tmp_path / "sock")
    peers = [dial(tmp_path / "sock") for _ in range(6)]
    for peer in peers:
        peer.send(pack(GET_VERSION, CALL, 1))
    for peer in peers[:3]:
        peer.take()
    assert toy.server.stats()["accepting"] == 0
    peers[3].sock.settimeout(0.1)
    with pytest.raises(TimeoutError):
        peers[3].take()
    peers[0].close()
    peers[1].close()
    peers[3].sock.settimeout(10)
    assert peers[3].take().serial == peers[4].take().serial == 1
    toy.server.set_limits(Limits(max_clients=10))
    assert peers[5].take().serial == 1
    assert toy.server.stats()["accepting"] == 1
    for peer in peers[2:]:
        peer.close()


def test_anonymous_clients_have_a_limit_of_their_own(make_toy: Make, tmp_path: Path) -> None:
    toy = make_toy(Limits(max_anonymous_clients=2), trusted=False)
    toy.calls[66] = lambda worker: worker.reply(([0],))
    toy.listen(tmp_path / "sock")
    peers = [dial(tmp_path / "sock") for _ in range(3)]
    toy.until(lambda: len(toy.accepted) == 2)
    time.sleep(0.05)
    assert len(toy.accepted) == 2
    assert toy.server.authenticated(toy.accepted[0])
    toy.until(lambda: len(toy.accepted) == 3)
    for peer in peers:
        peer.close()


@pytest.mark.slow
def test_anonymous_client_is_dropped_in_time(make_toy: Make) -> None:
    toy = make_toy(Limits(anonymous_seconds=1), trusted=False)
    peer = toy.peer()
    toy.until(lambda: len(toy.accepted) == 1)  # workers may tell of two in any order
    known = toy.peer()
    toy.until(lambda: len(toy.accepted) == 2)
    toy.server.authenticated(toy.accepted[1])
    toy.until(lambda: toy.closed)
    assert toy.closed == {toy.accepted[0]: "not authenticated in time"}
    ask(known)
    peer.close()
    known.close()


@pytest.mark.slow
def test_anonymous_client_is_dropped_in_time_when_it_was_accepted_late(make_toy: Make) -> None:
    """Another worker has begun to poll, for ever, before this one says that the client may stay."""
    toy = make_toy(Limits(anonymous_seconds=1), prio=0, trusted=False)
    accept = toy.server.accept_client

    def late(client: int, authenticated: bool) -> bool:
        time.sleep(0.1)
        return accept(client, authenticated)

    toy.server.accept_client = late  # type: ignore[method-assign]
    peer = toy.peer()
    toy.until(lambda: toy.closed, timeout=4)
    assert list(toy.closed.values()) == ["not authenticated in time"]
    peer.close()
    del toy.server.accept_client


@pytest.mark.slow
def test_two_thousand_clients_against_a_limit_of_a_hundred(make_toy: Make, tmp_path: Path) -> None:
    toy = make_toy(Limits(max_clients=100, max_queued_clients=100))
    toy.listen(tmp_path / "sock")

    def visit() -> int:
        served = 0
        for _ in range(100):
            peer = dial(tmp_path / "sock")
            ask(peer)
            assert toy.server.stats()["clients"] <= 100
            peer.close()
            served += 1
        return served

    runs = [in_thread(visit) for _ in range(20)]
    assert sum(run.result(60) for run in runs) == 2000
    toy.until(lambda: len(toy.closed) == 2000)


def test_pause_leaves_clients_in_the_backlog(toy: Toy, tmp_path: Path) -> None:
    toy.listen(tmp_path / "sock")
    toy.server.pause_accepting(True)
    peer = dial(tmp_path / "sock")
    peer.send(pack(GET_VERSION, CALL, 1))
    time.sleep(0.05)
    assert toy.accepted == []
    toy.server.pause_accepting(False)
    assert peer.take().serial == 1
    peer.close()
    toy.server.stop_listening()
    with pytest.raises(ConnectionRefusedError):
        dial(tmp_path / "sock")


def test_no_descriptor_left_is_survived(toy: Toy, tmp_path: Path) -> None:
    """EMFILE: those who are there are served, the others as soon as somebody leaves."""
    toy.listen(tmp_path / "sock")
    first = dial(tmp_path / "sock")
    ask(first)
    second = socket.socket(socket.AF_UNIX)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, used + 20), hard))
    hog: list[int] = []
    try:
        try:
            while True:
                hog.append(os.dup(0))
        except OSError:
            pass
        second.connect(str(tmp_path / "sock"))
        deadline = time.monotonic() + 10
        while toy.server.stats()["accept_failures"] == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert toy.server.stats()["accept_failures"] > 0
        time.sleep(0.2)
        assert toy.server.stats()["accept_failures"] < 20  # it does not try all the time
        ask(first)
    finally:
        for fd in hog:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    waiter = Peer(second)
    ask(waiter)
    waiter.close()
    first.close()


def test_clients_are_listed(toy: Toy, tmp_path: Path) -> None:
    toy.listen(tmp_path / "sock", service=3)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        toy.server.listen(os.dup(sock.fileno()), 4)
    peers = [dial(tmp_path / "sock")]
    ask(peers[0])
    over_tcp = socket.create_connection(("127.0.0.1", port))
    peers.append(Peer(over_tcp))
    ask(peers[1])
    unix, tcp = toy.server.clients()
    assert (unix.service, tcp.service) == (3, 4)
    assert (unix.uid, unix.gid, unix.pid) == (os.getuid(), os.getgid(), os.getpid())
    assert (tcp.uid, tcp.gid, tcp.pid) == (-1, -1, -1)
    assert tcp.address == f"127.0.0.1;{over_tcp.getsockname()[1]}"
    assert (unix.address, unix.authenticated, unix.calls) == ("", True, 1)
    assert abs(unix.since - time.time()) < 60
    assert toy.server.client(unix.id)._replace(requests=0) == unix._replace(requests=0)  # type: ignore[union-attr]
    for peer in peers:
        peer.close()


def test_close_client_after_what_is_queued(toy: Toy) -> None:
    def answer(worker: Worker) -> None:
        worker.reply(("x" * (3 << 20),))
        worker.flush()
        toy.server.close_client(worker.client, flush=True)

    toy.calls[GET_XML_DESC] = answer
    peer = toy.peer()
    peer.send(pack(GET_XML_DESC, CALL, 1, payload=INFO_ARGS + bytes(4)))
    assert len(peer.take().payload) == 4 + (3 << 20)
    with pytest.raises(EOFError):
        peer.take()
    peer.close()
    toy.until(lambda: toy.closed)
    assert list(toy.closed.values()) == ["closed by the server"]


# --- calls ----------------------------------------------------------------------------------------


def test_calls_beyond_the_limit_are_not_read(make_toy: Make) -> None:
    toy = make_toy(Limits(max_client_requests=2), workers=5)
    tickets: list[Ticket] = []
    toy.calls[GET_VERSION] = lambda worker: tickets.append(worker.detach())
    peer, other = toy.peer(), toy.peer()
    peer.send(b"".join(pack(GET_VERSION, CALL, serial) for serial in range(5)))
    other.send(pack(LOOKUP_BY_NAME, CALL, 1, payload=b"\0\0\0\2vm\0\0"))
    assert other.take().serial == 1
    time.sleep(0.05)
    assert len(tickets) == 2
    for count in range(3, 6):
        toy.server.answer(tickets[0], (7,))
        del tickets[0]
        peer.take()
        deadline = time.monotonic() + 5
        while len(tickets) < 2 and count < 6 and time.monotonic() < deadline:
            time.sleep(0.001)
        assert len(tickets) == 2
    for ticket in tickets:
        toy.server.answer(ticket, (7,))
    peer.close()
    other.close()


def test_blocked_workers_do_not_keep_priority_calls_waiting(make_toy: Make) -> None:
    toy = make_toy(workers=3)
    go = threading.Event()

    def block(worker: Worker) -> None:
        assert go.wait(20)
        worker.reply((1, 2, 3, 4, 5))

    toy.calls[GET_INFO] = block
    clients = [toy.connect() for _ in range(4)]
    runs = [in_thread(client.call, REMOTE, GET_INFO, (DOMAIN,)) for client in clients[:3]]
    while toy.server.stats()["busy_workers"] < 3:
        time.sleep(0.001)
    late = in_thread(clients[3].call, REMOTE, GET_INFO, (DOMAIN,))  # is read, but waits
    worst = 0.0
    for turn in range(30):
        began = time.monotonic()
        newcomer = toy.connect()
        assert newcomer.call(REMOTE, GET_VERSION) == (7,)
        assert clients[turn % 4].call(REMOTE, LOOKUP_BY_NAME, ("vm",))[0][0] == "vm"
        newcomer.close()
        worst = max(worst, time.monotonic() - began)
    peer = toy.peer()
    peer.send(pack(PING, MESSAGE, 0, program=KEEPALIVE))
    assert peer.take().proc == PONG
    assert worst < 0.1, f"{worst:.3f} s"
    assert late.thread.is_alive()
    go.set()
    for run in (*runs, late):
        assert run.result() == (1, 2, 3, 4, 5)
    for client in clients:
        client.close()
    peer.close()


def test_waiting_call_does_not_make_a_prio_worker_spin(make_toy: Make) -> None:
    toy = make_toy(workers=1)
    go = threading.Event()

    def block(worker: Worker) -> None:
        assert go.wait(20)
        worker.reply((1, 2, 3, 4, 5))

    toy.calls[GET_INFO] = block
    clients = [toy.connect() for _ in range(2)]
    runs = [in_thread(client.call, REMOTE, GET_INFO, (DOMAIN,)) for client in clients]
    while toy.server.stats()["busy_workers"] < 1:
        time.sleep(0.001)
    time.sleep(0.05)  # the second is read, and left for the worker that is busy
    polls = toy.server.stats()["polls"]
    time.sleep(0.2)
    assert toy.server.stats()["polls"] - polls < 20
    go.set()
    for run in runs:
        assert run.result() == (1, 2, 3, 4, 5)
    for client in clients:
        client.close()


# --- output ---------------------------------------------------------------------------------------


def test_client_that_does_not_read_is_dropped(make_toy: Make) -> None:
    toy = make_toy(Limits(max_unsent_bytes=1 << 20))
    lazy = toy.peer()
    ask(lazy)  # so that it is the first of those accepted
    other = toy.connect()
    other.call(REMOTE, GET_VERSION)
    client = toy.accepted[0]
    value = (("v" * 100_000, *DOMAIN[1:]), 1, 2)
    most = 0
    while toy.server.event(client, REMOTE, DOMAIN_EVENT, value):
        most = max(most, toy.server.unsent(client))
        began = time.monotonic()
        assert other.call(REMOTE, GET_VERSION) == (7,)
        assert time.monotonic() - began < 1
    assert 100_000 < most <= 1 << 20
    toy.until(lambda: toy.closed)
    assert toy.closed[client].startswith("client does not read")
    assert toy.server.stats()["slow"] == 1
    lazy.close()
    other.close()


def test_client_that_does_not_read_answers_is_not_read(make_toy: Make) -> None:
    """Its calls wait, its answers are bounded, and nothing is lost."""
    toy = make_toy()
    peer = toy.peer()
    call = pack(GET_XML_DESC, CALL, 1, payload=INFO_ARGS + (1 << 20).to_bytes(4, "big"))
    sender = in_thread(peer.send, call * 60)
    time.sleep(0.3)
    # Where calls are no longer read, and the answers to those that were under way.
    assert toy.server.unsent(toy.accepted[0]) < (4 + 6) << 20
    for _ in range(60):
        assert len(peer.take().payload) == 4 + (1 << 20)
    sender.result()
    peer.close()


# --- keepalive ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_silent_client_is_dropped(make_toy: Make) -> None:
    toy = make_toy(Limits(keepalive_interval=1, keepalive_count=1))
    silent = toy.peer()
    toy.until(lambda: len(toy.accepted) == 1)  # workers may tell of two in any order
    lively = toy.peer()
    toy.until(lambda: len(toy.accepted) == 2)
    for client in toy.accepted:
        assert toy.server.keepalive_start(client)
    began = time.monotonic()
    for _ in range(3):
        ping = lively.take()
        assert (ping.program, ping.proc, ping.type) == (KEEPALIVE, PING, MESSAGE)
        lively.send(pack(PONG, MESSAGE, 0, program=KEEPALIVE))
    toy.until(lambda: toy.closed)
    assert 1.5 < time.monotonic() - began < 6
    assert toy.closed == {toy.accepted[0]: "connection closed due to keepalive timeout"}
    assert toy.server.stats()["silent"] == 1
    silent.close()
    lively.close()
