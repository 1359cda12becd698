# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_server_calls.py: calls come decoded, answers go encoded, each to whom it belongs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from libvirtcore.core_server import ACCEPTED, CALL, IDLE, Limits, Server, Ticket, Worker
from libvirtcore.errors import VirError, report
from tests.rpc.peer import (
    CALL_WITH_FDS,
    DOMAIN,
    DOMAIN_EVENT,
    GET_BLKIO_PARAMETERS,
    GET_HOSTNAME,
    GET_VERSION,
    LOOKUP_BY_NAME,
    OPEN_GRAPHICS,
    OPEN_GRAPHICS_FD,
    REMOTE,
    in_thread,
    pack,
)
from tests.rpc_server.toy import GET_INFO, GET_XML_DESC, NO_SUPPORT, Toy


def test_call_is_answered(toy: Toy) -> None:
    client = toy.connect()
    assert client.call(REMOTE, GET_VERSION) == (7,)
    assert client.call(REMOTE, LOOKUP_BY_NAME, ("vm",)) == (("vm", *DOMAIN[1:]),)
    assert client.call(REMOTE, GET_INFO, (DOMAIN,)) == (1, 2**40, 2**20, 2, 2**35)
    client.close()
    toy.until(lambda: len(toy.closed) == 1)
    assert list(toy.closed.values()) == ["End of file while reading data"]


def test_worker_tells_all_about_a_call(toy: Toy) -> None:
    seen: list[tuple[Any, ...]] = []

    def answer(worker: Worker) -> None:
        seen.append((
            worker.kind, worker.client, worker.service, worker.program, worker.procedure,
            worker.serial, worker.value, worker.fds, time.monotonic() - worker.received < 5,
        ))  # fmt: skip
        worker.reply(((*DOMAIN,),))

    toy.calls[LOOKUP_BY_NAME] = answer
    peer = toy.peer()
    peer.send(pack(LOOKUP_BY_NAME, 0, 4711, payload=b"\0\0\0\2vm\0\0"))
    reply = peer.take()
    assert (reply.proc, reply.type, reply.serial, reply.status) == (LOOKUP_BY_NAME, 1, 4711, 0)
    assert seen == [(CALL, toy.accepted[0], 0, REMOTE, LOOKUP_BY_NAME, 4711, ("vm",), [], True)]
    peer.close()


def test_error_is_told(toy: Toy) -> None:
    toy.calls[GET_VERSION] = lambda worker: worker.fail(report(42, 10, "no 'vm'").to_wire())
    client = toy.connect()
    with pytest.raises(VirError) as caught:
        client.call(REMOTE, GET_VERSION)
    assert (caught.value.code, caught.value.domain) == (42, 10)
    assert caught.value.message == "Domain not found: no 'vm'"
    client.close()


def test_unanswered_call_is_answered_with_an_error(toy: Toy) -> None:
    toy.calls[GET_VERSION] = lambda worker: None
    client = toy.connect()
    with pytest.raises(VirError, match="Call was not answered"):
        client.call(REMOTE, GET_VERSION)
    assert client.call(REMOTE, GET_HOSTNAME) == ("toy",)
    client.close()


@pytest.mark.parametrize("value", [None, (), ("text",), (2**64,), (1, 2), 5])
def test_answer_that_does_not_fit_is_an_error(toy: Toy, value: Any) -> None:
    toy.calls[GET_VERSION] = lambda worker: worker.reply(value)
    client = toy.connect()
    with pytest.raises(VirError, match="Unable to encode message payload") as caught:
        client.call(REMOTE, GET_VERSION)
    assert (caught.value.code, caught.value.domain) == (39, 7)
    assert client.call(REMOTE, GET_HOSTNAME) == ("toy",)
    client.close()


def test_large_answer_arrives_whole(toy: Toy) -> None:
    client = toy.connect()
    (text,) = client.call(REMOTE, GET_XML_DESC, (DOMAIN, 4 << 20))
    assert len(text) == 4 << 20
    assert client.call(REMOTE, GET_VERSION) == (7,)
    client.close()


def test_typed_parameters_come_as_dict_or_triples(make_toy: Callable[..., Toy]) -> None:
    """58 is domain_set_scheduler_parameters."""
    params = [("cpu_shares", 4, 1024), ("cpu_shares", 4, 5)]
    for options, expected in (({}, {"cpu_shares": 5}), ({"triples": {(REMOTE, 58)}}, params)):
        toy = make_toy(**options)
        seen: list[Any] = []

        def answer(worker: Worker, seen: list[Any] = seen) -> None:
            seen.append(worker.value[1])
            worker.reply()

        toy.calls[58] = answer
        client = toy.connect()
        assert client.call(REMOTE, 58, (DOMAIN, params)) is None
        client.close()
        if options:
            assert seen == [expected]
        else:
            assert isinstance(seen[0], dict) and set(seen[0]) == {"cpu_shares"}


def test_typed_parameters_go_back(toy: Toy) -> None:
    toy.calls[GET_BLKIO_PARAMETERS] = lambda worker: worker.reply(([("weight", 2, 500)], 1))
    client = toy.connect()
    assert client.call(REMOTE, GET_BLKIO_PARAMETERS, (DOMAIN, 1, 0)) == ({"weight": 500}, 1)
    client.close()


# --- descriptors ----------------------------------------------------------------------------------


def test_descriptor_comes_with_a_call(toy: Toy) -> None:
    read, write = os.pipe()

    def answer(worker: Worker) -> None:
        (fd,) = worker.fds
        os.write(fd, b"hello")
        os.close(fd)
        worker.reply()

    toy.calls[OPEN_GRAPHICS] = answer
    client = toy.connect()
    client.call_fds(REMOTE, OPEN_GRAPHICS, (DOMAIN, 0, 0), [write])
    assert os.read(read, 10) == b"hello"
    os.close(read)
    os.close(write)
    client.close()


def test_descriptor_goes_with_an_answer(toy: Toy) -> None:
    read, write = os.pipe()

    def answer(worker: Worker) -> None:
        worker.reply(fds=[write])
        os.close(write)  # it was copied

    toy.calls[OPEN_GRAPHICS_FD] = answer
    client = toy.connect()
    value, (fd,) = client.call_fds(REMOTE, OPEN_GRAPHICS_FD, (DOMAIN, 0, 0))
    assert value is None
    os.write(fd, b"hello")
    assert os.read(read, 10) == b"hello"
    os.close(read)
    os.close(fd)
    client.close()


@pytest.mark.parametrize("detached", [False, True])
def test_descriptors_do_not_follow_an_error(toy: Toy, detached: bool) -> None:
    """Bytes that carry them would be read as the beginning of the next message."""
    read, write = os.pipe()

    def answer(worker: Worker) -> None:
        if detached:
            toy.server.answer(worker.detach(), error=NO_SUPPORT, fds=[write])
        else:
            worker.reply(fds=[write])
            worker.fail(NO_SUPPORT)  # on second thoughts

    toy.calls[OPEN_GRAPHICS_FD] = answer
    client = toy.connect()
    with pytest.raises(VirError):
        client.call_fds(REMOTE, OPEN_GRAPHICS_FD, (DOMAIN, 0, 0))
    assert client.call(REMOTE, GET_VERSION) == (7,)
    os.close(read)
    os.close(write)
    client.close()


def test_unwanted_descriptors_are_closed(toy: Toy) -> None:
    """Some with a procedure that takes none, some that the handler does not look at."""
    read, write = os.pipe()
    toy.calls[OPEN_GRAPHICS] = lambda worker: worker.reply()
    client = toy.connect()
    client.call_fds(REMOTE, GET_VERSION, None, [write] * 32)
    client.call_fds(REMOTE, OPEN_GRAPHICS, (DOMAIN, 0, 0), [write])
    client.call(REMOTE, GET_VERSION)
    os.close(write)
    assert os.read(read, 1) == b""
    os.close(read)
    client.close()


def test_too_few_descriptors_end_the_connection(toy: Toy) -> None:
    peer = toy.peer()
    peer.send(pack(OPEN_GRAPHICS, CALL_WITH_FDS, 1, payload=b"\0\0\0\1") + b"\0")
    with pytest.raises((EOFError, ConnectionError)):
        peer.take()
    peer.close()


# --- later answers --------------------------------------------------------------------------------


def test_detached_call_is_answered_from_another_thread(toy: Toy) -> None:
    tickets: list[Ticket] = []
    toy.calls[LOOKUP_BY_NAME] = lambda worker: tickets.append(worker.detach())
    client = toy.connect()
    first = client.submit(REMOTE, LOOKUP_BY_NAME, ("a",))
    second = client.submit(REMOTE, LOOKUP_BY_NAME, ("b",))
    assert client.call(REMOTE, GET_VERSION) == (7,)  # nobody is in its way
    while len(tickets) < 2:
        time.sleep(0.001)
    for ticket in tickets:
        assert toy.server.answer(ticket, (DOMAIN,))
        with pytest.raises(VirError, match="answered already"):
            toy.server.answer(ticket, (DOMAIN,))
    assert client.wait(second) == client.wait(first) == (DOMAIN,)
    third = client.submit(REMOTE, LOOKUP_BY_NAME, ("c",))
    while len(tickets) < 3:
        time.sleep(0.001)
    assert toy.server.answer(tickets[2], error=report(42, 10, "c").to_wire())
    with pytest.raises(VirError, match="Domain not found: c"):
        client.wait(third)
    assert toy.server.client(toy.accepted[0]).requests == 0  # type: ignore[union-attr]
    client.close()


def test_answer_to_who_is_gone_is_no_error(toy: Toy) -> None:
    tickets: list[Ticket] = []
    toy.calls[GET_VERSION] = lambda worker: tickets.append(worker.detach())
    peer = toy.peer()
    peer.send(pack(GET_VERSION, 0, 1))
    while not tickets:
        time.sleep(0.001)
    peer.close()
    toy.until(lambda: toy.closed)
    assert not toy.server.answer(tickets[0], (7,))
    assert not toy.server.event(toy.accepted[0], REMOTE, DOMAIN_EVENT, (DOMAIN, 1, 2))
    assert toy.server.unsent(toy.accepted[0]) == -1


def test_flush_sends_at_once(toy: Toy) -> None:
    sent = threading.Event()

    def answer(worker: Worker) -> None:
        worker.reply((7,))
        worker.flush()
        assert sent.wait(10)
        with pytest.raises(VirError, match="no call to answer"):
            worker.reply((8,))

    toy.calls[GET_VERSION] = answer
    client = toy.connect()
    assert client.call(REMOTE, GET_VERSION) == (7,)
    sent.set()
    assert client.call(REMOTE, GET_VERSION) == (7,)
    client.close()


# --- many -----------------------------------------------------------------------------------------


def test_pipelined_calls_are_all_answered(toy: Toy) -> None:
    peer = toy.peer()
    count = 500
    peer.send(b"".join(pack(GET_VERSION, 0, serial) for serial in range(count)))
    got = sorted(peer.take().serial for _ in range(count))
    assert got == list(range(count))
    peer.close()


def test_glued_and_cut_calls_are_the_same_calls(toy: Toy) -> None:
    data = b"".join(
        pack(LOOKUP_BY_NAME, 0, serial, payload=b"\0\0\0\2vm\0\0") for serial in range(7)
    )
    for size in (1, 3, 27, 29, 41, 100, len(data)):
        peer = toy.peer()
        for start in range(0, len(data), size):
            peer.send(data[start : start + size])
        assert sorted(peer.take().serial for _ in range(7)) == list(range(7))
        peer.close()


def test_many_clients_hammer(make_toy: Callable[..., Toy]) -> None:
    toy = make_toy(workers=5)

    def hammer(number: int) -> int:
        client = toy.connect()
        for turn in range(100):
            name = f"{number}.{turn}"
            assert client.call(REMOTE, LOOKUP_BY_NAME, (name,))[0][0] == name
        client.close()
        return number

    runs = [in_thread(hammer, number) for number in range(16)]
    assert [run.result(60) for run in runs] == list(range(16))
    assert toy.server.stats()["calls"] == 1600


def test_blocking_calls_run_side_by_side(make_toy: Callable[..., Toy]) -> None:
    """Five calls that all wait for each other need five workers at once."""
    toy = make_toy(workers=5)
    barrier = threading.Barrier(5)

    def answer(worker: Worker) -> None:
        barrier.wait(10)
        worker.reply((7,))

    toy.calls[GET_VERSION] = answer
    clients = [toy.connect() for _ in range(5)]
    runs = [in_thread(client.call, REMOTE, GET_VERSION) for client in clients]
    assert [run.result() for run in runs] == [(7,)] * 5
    for client in clients:
        client.close()


def test_events_reach_the_client(toy: Toy) -> None:
    client = toy.connect()
    client.call(REMOTE, GET_VERSION)
    for number in range(100):
        assert toy.server.event(toy.accepted[0], REMOTE, DOMAIN_EVENT, (DOMAIN, number, 0))
    got: list[int] = []
    while len(got) < 100:
        client.pump(1)
        while (event := client.next_event()) is not None:
            got.append(event[2][1])
    assert got == list(range(100))
    with pytest.raises(VirError):
        toy.server.event(toy.accepted[0], REMOTE, DOMAIN_EVENT, ("nonsense",))
    with pytest.raises(VirError, match="has no event 4"):
        toy.server.event(toy.accepted[0], REMOTE, GET_VERSION, None)
    client.close()


# --- the worker by itself -------------------------------------------------------------------------


def test_next_gives_up_in_time() -> None:
    server = Server(Limits())
    worker = server.worker()
    began = time.monotonic()
    assert worker.next(0.05)
    assert worker.kind == IDLE
    assert 0.04 < time.monotonic() - began < 2
    server.stop()
    assert not worker.next()


def test_client_that_is_not_accepted_is_closed(make_toy: Callable[..., Toy]) -> None:
    toy = make_toy(workers=0, prio=0)
    worker = toy.server.worker()
    peer = toy.peer()
    assert worker.next(5)
    assert worker.kind == ACCEPTED
    peer.send(pack(GET_VERSION, 0, 1))  # is not looked at
    assert worker.next(5)
    assert worker.reason == "not accepted"
    with pytest.raises((EOFError, ConnectionError)):
        peer.take()
    peer.close()


def test_starved_tells_that_all_are_busy(make_toy: Callable[..., Toy]) -> None:
    toy = make_toy(workers=1)
    assert not toy.server.starved(0.05)
    go = threading.Event()

    def wait(worker: Worker) -> None:
        go.wait(10)
        worker.reply((0,) * 5)

    toy.calls[GET_INFO] = wait
    client = toy.connect()
    run = in_thread(client.call, REMOTE, GET_INFO, (DOMAIN,))
    assert toy.server.starved(10)
    go.set()
    assert run.result() == (0,) * 5
    client.close()
