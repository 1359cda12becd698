# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_client_threads.py: many threads, cancellation, events, keepalive, fork, Ctrl-C."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from libvirtcore.errors import VirError
from libvirtcore.generated.constants import VIR_ERR_INTERNAL_ERROR, VIR_ERR_OPERATION_ABORTED
from libvirtcore.rpc.pure_frame import MESSAGE
from tests.differential.peer import (
    DOMAIN,
    KEEPALIVE,
    LOOKUP,
    REMOTE,
    VERSION,
    Acting,
    Peer,
    number,
)

Pair = tuple[Any, Peer]
LIFECYCLE = number("domain_event_lifecycle")
PING, PONG = 1, 2


def failing(call: Any, *args: Any, **kwargs: Any) -> VirError:
    with pytest.raises(VirError) as caught:
        call(*args, **kwargs)
    return caught.value


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_threads_get_their_own_answers_in_any_order(pair: Pair) -> None:
    client, peer = pair
    count, each = 8, 40

    def play() -> None:
        held = []
        peer.socket.settimeout(0.01)
        answered = 0
        while answered < count * each:
            try:
                held.append(peer.call())
            except TimeoutError:
                random.Random(answered).shuffle(held)
                for call in held:
                    peer.reply(call, ((peer.args(call)[0], bytes(16), 1),))
                answered += len(held)
                held = []

    wrong = []

    def ask(thread: int) -> None:
        for turn in range(each):
            name = f"{thread}-{turn}"
            if client.call(REMOTE, LOOKUP, (name,), 10)[0][0] != name:
                wrong.append(name)

    acting = Acting(play)
    askers = [Acting(lambda thread=thread: ask(thread)) for thread in range(count)]  # type: ignore[misc]
    for asker in askers:
        asker.join()
    acting.join()
    assert wrong == []
    assert client.stats()["in_flight"] == 0


def test_threads_go_on_when_the_reader_gives_up(pair: Pair) -> None:
    """Whoever reads for all and leaves at its deadline hands the reading over."""
    client, peer = pair
    errors: list[VirError] = []
    first = Acting(lambda: errors.append(failing(client.call, REMOTE, VERSION, None, 0.15)))
    call = peer.call()
    second: list[Any] = []
    other = Acting(lambda: second.append(client.call(REMOTE, LOOKUP, ("x",), 5)))
    later = peer.call()
    first.join()
    peer.reply(later, (DOMAIN,))
    other.join()
    assert second == [(DOMAIN,)]
    peer.reply(call, (1,))
    client.pump(1)
    assert client.stats()["late_replies"] == 1


def test_threads_all_learn_that_the_connection_broke(pair: Pair) -> None:
    client, peer = pair
    errors: list[VirError] = []
    asking = [
        Acting(lambda: errors.append(failing(client.call, REMOTE, VERSION))) for _ in range(6)
    ]
    for _ in range(4):
        peer.call()
    time.sleep(0.3)  # the other two wait for room, too; who comes later is told otherwise
    peer.close()
    for each in asking:
        each.join()
    assert {error.message for error in errors} == {
        "End of file while reading data: Input/output error"
    }
    assert len({id(error) for error in errors}) == 6


def test_cancel_wakes_all_callers(pair: Pair) -> None:
    client, peer = pair
    errors: list[VirError] = []
    asking = [
        Acting(lambda: errors.append(failing(client.call, REMOTE, VERSION))) for _ in range(3)
    ]
    calls = [peer.call() for _ in range(3)]
    eventually(lambda: client.stats()["in_flight"] == 3)
    time.sleep(0.05)
    assert client.cancel() == 3
    for each in asking:
        each.join()
    assert {(error.code, error.message) for error in errors} == {
        (VIR_ERR_OPERATION_ABORTED, "operation aborted: connect_get_version was cancelled")
    }
    for call in calls:
        peer.reply(call, (1,))
    acting = Acting(lambda: peer.reply(peer.call(), (7,)))
    assert client.call(REMOTE, VERSION) == (7,)
    acting.join()
    assert client.stats()["late_replies"] == 3
    assert client.cancel() == 0


def test_cancel_of_one_thread_leaves_the_others(pair: Pair) -> None:
    client, peer = pair
    ids: list[int] = []
    errors: list[VirError] = []
    values: list[Any] = []

    def doomed() -> None:
        ids.append(threading.get_ident())
        errors.append(failing(client.call, REMOTE, VERSION))

    first = Acting(doomed)
    one = peer.call()
    second = Acting(lambda: values.append(client.call(REMOTE, VERSION)))
    two = peer.call()
    time.sleep(0.05)
    assert client.cancel(ids[0]) == 1
    first.join()
    peer.reply(one, (1,))
    peer.reply(two, (2,))
    second.join()
    assert errors[0].code == VIR_ERR_OPERATION_ABORTED
    assert values == [(2,)]


def test_close_wakes_a_caller(pair: Pair) -> None:
    client, peer = pair
    errors: list[VirError] = []
    asking = Acting(lambda: errors.append(failing(client.call, REMOTE, VERSION)))
    peer.call()
    time.sleep(0.05)
    client.close()
    asking.join()
    assert errors[0].message == "internal error: client socket is closed"
    with pytest.raises(EOFError):
        peer.next()


# --- events and keepalive -------------------------------------------------------------------------


def event(number: int) -> tuple[Any, ...]:
    return (("test", bytes(16), number), 2, 0)


def test_events_are_queued_in_order(pair: Pair) -> None:
    client, peer = pair
    for index in range(3):
        peer.event("domain_event_lifecycle", (event(index),)[0])
    while client.stats()["queued_events"] < 3:
        assert client.pump(1)
    got = [client.next_event() for _ in range(3)]
    assert got == [(REMOTE, LIFECYCLE, event(index)) for index in range(3)]
    assert client.next_event() is None
    assert client.stats()["queued_bytes"] == 0


def test_events_met_by_a_call_are_told_at_once(pair: Pair) -> None:
    """A call may last for hours; on_activity does not wait for its end, and may itself call."""
    client, peer = pair
    told: list[Any] = []

    def activity() -> None:
        while (got := client.next_event()) is not None:
            told.append((got[1], client.call(REMOTE, LOOKUP, ("inner",), 5)))

    client.on_activity = activity

    def play() -> None:
        outer = peer.call("connect_get_version")
        peer.event("domain_event_lifecycle", event(1))
        peer.reply(peer.call("domain_lookup_by_name"), (DOMAIN,))
        eventually(lambda: len(told) == 1)
        peer.reply(outer, (7,))

    acting = Acting(play)
    assert client.call(REMOTE, VERSION, None, 5) == (7,)
    acting.join()
    assert told == [(LIFECYCLE, (DOMAIN,))]


def test_events_unknown_or_malformed_are_dropped(pair: Pair) -> None:
    client, peer = pair

    def play() -> None:
        call = peer.call()
        event = call._replace(type=MESSAGE, serial=0)
        peer.send(event._replace(proc=9999))
        peer.send(event._replace(proc=VERSION))
        peer.send(event._replace(proc=LIFECYCLE, payload=b"\xff" * 8))
        peer.send(event._replace(proc=LIFECYCLE, status=1))
        peer.reply(call, (7,))

    acting = Acting(play)
    assert client.call(REMOTE, VERSION) == (7,)
    acting.join()
    assert client.next_event() is None
    assert client.stats()["events_dropped"] == 4


def test_on_activity_is_told_of_the_end(pair: Pair) -> None:
    client, peer = pair
    told: list[Any] = []
    client.on_activity = lambda: told.append(client.closed)
    peer.close()
    assert client.pump(5) is False
    assert told == ["eof"]


def test_ping_is_answered(pair: Pair) -> None:
    client, peer = pair
    peer.keepalive(PING)
    client.pump(1)
    assert peer.next()[:4] == (KEEPALIVE, 1, PONG, MESSAGE)

    def play() -> None:
        call = peer.call()
        peer.keepalive(PING)
        assert peer.next()[:4] == (KEEPALIVE, 1, PONG, MESSAGE)
        peer.reply(call, (7,))

    acting = Acting(play)
    assert client.call(REMOTE, VERSION, None, 5) == (7,)
    acting.join()
    assert client.stats()["pings"] == 2


def test_keepalive_gives_a_silent_peer_up(pair: Pair) -> None:
    client, peer = pair
    assert client.keepalive_tick() is None
    client.keepalive_start(0.05, 2)
    assert 0 < client.keepalive_tick() <= 0.05
    error = failing(client.call, REMOTE, VERSION, None, 5)
    assert error.raw[:3] == (
        VIR_ERR_INTERNAL_ERROR,
        7,
        "internal error: connection closed due to keepalive timeout",
    )
    assert client.closed == "keepalive"
    assert client.keepalive_tick() is None
    assert [peer.next().program for _ in range(3)] == [REMOTE, KEEPALIVE, KEEPALIVE]


def test_keepalive_is_content_with_any_sign_of_life(pair: Pair) -> None:
    client, peer = pair
    client.keepalive_start(0.05, 1)

    def play() -> None:
        call = peer.call()
        for _ in range(4):
            assert peer.next().program == KEEPALIVE
            peer.keepalive(PONG)
        peer.reply(call, (7,))

    acting = Acting(play)
    assert client.call(REMOTE, VERSION, None, 5) == (7,)
    acting.join()
    client.keepalive_start(0, 0)
    assert client.keepalive_tick() is None


# --- processes and signals ------------------------------------------------------------------------


def test_forked_child_keeps_its_hands_off(pair: Pair) -> None:
    client, peer = pair
    parent = os.getpid()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            messages = []
            uses: list[Callable[[], Any]] = [
                lambda: client.call(REMOTE, VERSION),
                lambda: client.submit(REMOTE, VERSION),
                lambda: client.pump(0),
                client.keepalive_tick,
            ]
            for use in uses:
                try:
                    use()
                    messages.append("no error")
                except VirError as error:
                    messages.append(error.message)
            client.close()
            os.write(write, "\n".join(messages).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with open(read) as pipe:
        text = pipe.read()
    wanted = f"connection was opened by process {parent}, this is its forked child"
    assert text.splitlines() == [f"internal error: {wanted}"] * 4
    acting = Acting(lambda: peer.reply(peer.call("connect_get_version"), (7,)))
    assert client.call(REMOTE, VERSION, None, 5) == (7,)
    acting.join()


def test_ctrl_c_ends_a_call_and_not_the_connection(pair: Pair) -> None:
    client, peer = pair
    assert threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0)
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            client.call(REMOTE, VERSION, None, 5)
        assert time.monotonic() - began < 2
        timer.join()
    finally:
        signal.signal(signal.SIGINT, before)
    late = peer.call()
    peer.reply(late, (1,))
    acting = Acting(lambda: peer.reply(peer.call(), (7,)))
    assert client.call(REMOTE, VERSION, None, 5) == (7,)
    acting.join()
    assert client.stats()["late_replies"] == 1


def test_client_is_freed_when_forgotten(client_class: Any) -> None:
    ours, theirs = socket.socketpair()
    client = client_class(ours.detach())
    gone = weakref.ref(client)
    client.close()
    del client
    assert gone() is None, "it is part of a reference cycle"
    theirs.close()
