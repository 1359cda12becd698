# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_client_threads.py: many callers on one connection, cancelling and closing among them."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import pytest

from libvirtcore.errors import VirError
from tests.rpc.conftest import Connect
from tests.rpc.peer import (
    DOMAIN_EVENT,
    GET_HOSTNAME,
    GET_VERSION,
    REMOTE,
    Peer,
    event,
    in_thread,
)

Pair = tuple[Any, Peer]


def test_answers_in_any_order_find_their_callers(connect: Connect) -> None:
    client, peer = connect(max_in_flight=8)
    waiting: list[Any] = []
    ready = threading.Condition()

    def collect(message: Any) -> None:
        with ready:
            waiting.append(message)
            ready.notify()

    def shuffle() -> None:
        rest = 16 * 50
        order = random.Random(1)
        while rest:
            with ready:
                while not waiting:
                    ready.wait()
                message = waiting.pop(order.randrange(len(waiting)))
            rest -= 1
            if message.proc == GET_VERSION:
                peer.reply(message, message.serial)
            else:
                peer.reply(message, f"host {message.serial}" * (1 + message.serial % 5000))

    def calls(number: int) -> set[int]:
        serials = set()
        for turn in range(50):
            if (number + turn) % 3:
                (serial,) = client.call(REMOTE, GET_VERSION, timeout=20)
            else:
                (text,) = client.call(REMOTE, GET_HOSTNAME, timeout=20)
                serial = int(text.split("host ")[1])
                assert text == f"host {serial}" * (1 + serial % 5000)
            serials.add(serial)
        return serials

    peer.serve(collect)
    shuffling = in_thread(shuffle)
    callers = [in_thread(calls, number) for number in range(16)]
    seen: set[int] = set()
    for caller in callers:
        mine = caller.result(30)
        assert len(mine) == 50 and not mine & seen
        seen |= mine
    shuffling.result()
    assert client.stats()["in_flight"] == 0


def test_reading_is_handed_on_when_the_reader_has_its_answer(pair: Pair) -> None:
    client, peer = pair
    first = in_thread(client.call, REMOTE, GET_VERSION, None, 10)
    one = peer.take()
    second = in_thread(client.call, REMOTE, GET_VERSION, None, 10)
    two = peer.take()
    time.sleep(0.1)  # the second sleeps, the first reads
    peer.reply(one, 1)
    assert first.result() == (1,)
    began = time.monotonic()
    peer.reply(two, 2)
    assert second.result() == (2,)
    assert time.monotonic() - began < 1


def test_reader_takes_the_answers_of_others_along(pair: Pair) -> None:
    client, peer = pair
    first = in_thread(client.call, REMOTE, GET_VERSION, None, 10)
    one = peer.take()
    second = in_thread(client.call, REMOTE, GET_VERSION, None, 10)
    two = peer.take()
    time.sleep(0.05)
    peer.reply(two, 2)
    assert second.result() == (2,)
    peer.reply(one, 1)
    assert first.result() == (1,)


def test_deadline_of_one_leaves_the_others_reading(pair: Pair) -> None:
    client, peer = pair
    impatient = in_thread(client.call, REMOTE, GET_VERSION, None, 0.2)
    one = peer.take()
    patient = in_thread(client.call, REMOTE, GET_VERSION, None, 10)
    two = peer.take()
    with pytest.raises(VirError):
        impatient.result()
    peer.reply(two, 2)
    assert patient.result() == (2,)
    peer.reply(one, 1)
    assert client.pump(1)
    assert client.stats()["late_replies"] == 1


def test_cancel_ends_the_calls_of_one_thread(pair: Pair) -> None:
    client, peer = pair
    idents: list[int] = []

    def call() -> Any:
        idents.append(threading.get_ident())
        return client.call(REMOTE, GET_VERSION, timeout=20)

    first = in_thread(call)
    one = peer.take()
    second = in_thread(call)
    two = peer.take()
    time.sleep(0.1)
    for victim, message in ((0, one), (1, two)):
        began = time.monotonic()
        assert client.cancel(idents[victim]) == 1
        with pytest.raises(VirError) as caught:
            (first, second)[victim].result()
        assert time.monotonic() - began < 1
        assert caught.value.code == 78
        assert caught.value.message == "operation aborted: connect_get_version was cancelled"
        peer.reply(message, 1)
    assert client.cancel(idents[0]) == 0
    peer.serve(lambda message: peer.reply(message, 5))
    assert client.call(REMOTE, GET_VERSION, timeout=5) == (5,)


def test_cancel_all_wakes_readers_sleepers_and_those_in_the_queue(connect: Connect) -> None:
    client, peer = connect(max_in_flight=2)
    callers = [in_thread(client.call, REMOTE, GET_VERSION, None, 20) for _ in range(6)]
    peer.take(), peer.take()
    deadline = time.monotonic() + 5
    cancelled = 0
    while cancelled < 6 and time.monotonic() < deadline:
        cancelled += client.cancel()
        time.sleep(0.01)
    assert cancelled == 6
    for caller in callers:
        with pytest.raises(VirError) as caught:
            caller.result(2)
        assert caught.value.code == 78
    assert client.closed is None


def test_close_wakes_everybody(connect: Connect) -> None:
    client, peer = connect(max_in_flight=2)
    callers = [in_thread(client.call, REMOTE, GET_VERSION, None, 20) for _ in range(6)]
    peer.take(), peer.take()
    time.sleep(0.1)
    began = time.monotonic()
    client.close()
    for caller in callers:
        with pytest.raises(VirError, match="client socket is closed"):
            caller.result(2)
    assert time.monotonic() - began < 2
    assert client.closed == "client"
    with pytest.raises(EOFError):
        while True:
            peer.take()


def test_calls_get_through_while_a_pump_waits(pair: Pair) -> None:
    client, peer = pair
    pumping = in_thread(client.pump, 1.0)
    time.sleep(0.05)
    peer.serve(lambda message: peer.reply(message, message.serial))
    for serial in range(100):
        assert client.call(REMOTE, GET_VERSION, timeout=5) == (serial,)
    assert pumping.result() is True


def test_events_are_told_while_a_long_call_waits(pair: Pair) -> None:
    """The thread in the long call reads for all, so it must not keep the news to itself."""
    client, peer = pair
    told = threading.Event()
    client.on_activity = told.set
    waiting = in_thread(client.call, REMOTE, GET_VERSION, None, 20)
    message = peer.take()
    time.sleep(0.1)
    peer.send(event(DOMAIN_EVENT, ("vm", bytes(16), 1), 1, 2))
    assert told.wait(2)
    assert client.next_event() is not None
    peer.reply(message, 1)
    assert waiting.result() == (1,)


def test_activity_callback_may_call(pair: Pair) -> None:
    client, peer = pair
    seen: list[Any] = []

    def active() -> None:
        while (one := client.next_event()) is not None:
            seen.append((one[1], client.call(REMOTE, GET_HOSTNAME, timeout=5)))

    client.on_activity = active

    def answer(message: Any) -> None:
        if message.proc == GET_VERSION:
            peer.send(event(DOMAIN_EVENT, ("vm", bytes(16), 1), 1, 2))
            time.sleep(0.05)
            peer.reply(message, 1)
        else:
            peer.reply(message, "host")

    peer.serve(answer)
    assert client.call(REMOTE, GET_VERSION, timeout=5) == (1,)
    assert seen == [(DOMAIN_EVENT, ("host",))]


@pytest.mark.slow
def test_storm_of_calls_cancels_deadlines_and_a_close(connect: Connect) -> None:
    """Nobody hangs, nobody gets the answer of another."""
    for seed in range(5):
        client, peer = connect(max_in_flight=4)
        order = random.Random(seed)
        stop = threading.Event()

        def calls(base: int, client: Any = client, stop: threading.Event = stop) -> int:
            done = 0
            while not stop.is_set():
                number = base * 1000 + done % 1000
                try:
                    timeout = 0.005 if done % 50 == 49 else 10
                    (domain,) = client.call(REMOTE, 22, (number,), timeout=timeout)
                    assert domain[2] == number
                except VirError as error:
                    if error.code not in (68, 78):
                        assert stop.is_set() or "closed" in error.message, error
                        break
                done += 1
            return done

        def answer(message: Any, peer: Peer = peer) -> None:
            number = int.from_bytes(message.payload[:4], "big")
            if number % 7 == 0:
                peer.send(event(DOMAIN_EVENT, ("vm", bytes(16), 1), 1, 2))
            if number % 97 == 0:
                time.sleep(0.01)
            peer.reply(message, ("vm", bytes(16), number))

        peer.serve(answer)
        callers = [in_thread(calls, base) for base in range(8)]
        end = time.monotonic() + 0.6
        while time.monotonic() < end:
            client.cancel(callers[order.randrange(8)].thread.ident)
            while client.next_event() is not None:
                pass
            time.sleep(0.003)
        stop.set()
        client.close()
        assert sum(caller.result() for caller in callers) > 100
