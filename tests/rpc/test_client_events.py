# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_client_events.py: events, pump and keepalive."""

from __future__ import annotations

import select
import time
from typing import Any

import pytest

from libvirtcore.errors import VirError
from tests.rpc.peer import (
    DOMAIN,
    DOMAIN_EVENT,
    GET_VERSION,
    KEEPALIVE,
    MESSAGE,
    PING,
    PONG,
    REMOTE,
    Message,
    Peer,
    event,
    in_thread,
    pack,
)

Pair = tuple[Any, Peer]
PING_BYTES = pack(PING, MESSAGE, 0, 0, b"", program=KEEPALIVE)
PONG_BYTES = pack(PONG, MESSAGE, 0, 0, b"", program=KEEPALIVE)


def test_pump_queues_events_in_order_and_tells(pair: Pair) -> None:
    client, peer = pair
    told: list[int] = []
    client.on_activity = lambda: told.append(1)
    peer.send(b"".join(event(DOMAIN_EVENT, DOMAIN, n, 0) for n in range(50)))
    assert client.pump(1)
    assert told
    got = []
    while (one := client.next_event()) is not None:
        got.append(one)
    assert got == [(REMOTE, DOMAIN_EVENT, (DOMAIN, n, 0)) for n in range(50)]


def test_pump_does_not_wait_unless_asked(pair: Pair) -> None:
    client, _peer = pair
    began = time.monotonic()
    assert client.pump() is True
    assert time.monotonic() - began < 0.1
    began = time.monotonic()
    assert client.pump(0.3) is True
    assert 0.25 < time.monotonic() - began < 2


def test_socket_is_readable_for_a_loop(pair: Pair) -> None:
    client, peer = pair
    assert select.select([client.fileno()], [], [], 0)[0] == []
    peer.send(event(DOMAIN_EVENT, DOMAIN, 1, 0))
    assert select.select([client.fileno()], [], [], 2)[0] == [client.fileno()]
    assert client.pump()
    assert select.select([client.fileno()], [], [], 0)[0] == []
    assert client.next_event() is not None


def test_half_an_event_waits_for_the_rest(pair: Pair) -> None:
    client, peer = pair
    data = event(DOMAIN_EVENT, DOMAIN, 1, 0)
    peer.send(data[:30])
    assert client.pump(1)
    assert client.next_event() is None
    peer.send(data[30:])
    assert client.pump(1)
    assert client.next_event() == (REMOTE, DOMAIN_EVENT, (DOMAIN, 1, 0))


def test_pump_tells_the_end(pair: Pair) -> None:
    client, peer = pair
    told: list[int] = []
    client.on_activity = lambda: told.append(1)
    peer.send(event(DOMAIN_EVENT, DOMAIN, 1, 0))
    peer.close()
    while client.pump(1):
        pass
    assert told
    assert client.closed == "eof"
    assert client.next_event() is not None  # what came before is still there


def test_callback_that_raises_does_not_hurt_the_call(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    client, peer = pair

    def broken() -> None:
        raise RuntimeError("my callback")

    client.on_activity = broken

    def answer(message: Message) -> None:
        peer.send(event(DOMAIN_EVENT, DOMAIN, 1, 0))
        peer.reply(message, 1)

    peer.serve(answer)
    assert client.call(REMOTE, GET_VERSION, timeout=5) == (1,)
    assert "my callback" in capsys.readouterr().err


def test_ping_is_answered_in_the_middle_of_a_call(pair: Pair) -> None:
    client, peer = pair
    waiting = in_thread(client.call, REMOTE, GET_VERSION, None, 10)
    message = peer.take()
    peer.send(PING_BYTES)
    assert peer.exactly(28) == PONG_BYTES
    peer.reply(message, 1)
    assert waiting.result() == (1,)
    assert client.stats()["pings"] == 1


def test_ping_is_answered_by_pump(pair: Pair) -> None:
    client, peer = pair
    peer.send(PING_BYTES)
    assert client.pump(1)
    assert peer.exactly(28) == PONG_BYTES


def test_keepalive_pings_and_gives_up(pair: Pair) -> None:
    client, peer = pair
    told: list[int] = []
    client.on_activity = lambda: told.append(1)
    assert client.keepalive_tick() is None
    client.keepalive_start(0.1, 3)
    due = client.keepalive_tick()
    assert due is not None and 0 < due <= 0.1
    began = time.monotonic()
    while (due := client.keepalive_tick()) is not None:
        time.sleep(due)
    assert 0.3 < time.monotonic() - began < 2
    assert [peer.exactly(28) for _ in range(3)] == [PING_BYTES] * 3
    assert client.closed == "keepalive"
    assert told
    with pytest.raises(VirError, match="client socket is closed"):
        client.call(REMOTE, GET_VERSION)


def test_keepalive_is_content_with_any_message(pair: Pair) -> None:
    client, peer = pair
    client.keepalive_start(0.1, 1)
    for _ in range(6):
        time.sleep(0.06)
        peer.send(PONG_BYTES)
        assert client.pump(1)
        assert client.keepalive_tick() is not None
    assert client.closed is None


def test_keepalive_ends_a_call_that_waits_for_a_dead_peer(pair: Pair) -> None:
    """Without any loop: the waiting thread itself looks after it."""
    client, peer = pair
    client.keepalive_start(0.1, 2)
    began = time.monotonic()
    with pytest.raises(VirError) as caught:
        client.call(REMOTE, GET_VERSION, timeout=20)
    assert time.monotonic() - began < 5
    text = "internal error: connection closed due to keepalive timeout"
    assert (caught.value.code, caught.value.domain, caught.value.message) == (1, 7, text)
    assert client.closed == "keepalive"
    assert peer.take().proc == GET_VERSION
    assert peer.exactly(56) == PING_BYTES * 2


def test_keepalive_leaves_room_when_all_calls_are_in_flight(pair: Pair) -> None:
    client, peer = pair
    waiting = [in_thread(client.call, REMOTE, GET_VERSION, None, 10) for _ in range(10)]
    messages = [peer.take() for _ in range(4)]
    for _ in range(3):
        peer.send(PING_BYTES)
        assert peer.exactly(28) == PONG_BYTES
    for message in messages:
        peer.reply(message, 1)
    peer.serve(lambda message: peer.reply(message, 1))
    assert [one.result() for one in waiting] == [(1,)] * 10


@pytest.mark.slow
def test_loop_does_not_spin_while_others_read(pair: Pair) -> None:
    """The socket is readable for the loop, too, whenever a caller's answer has come."""
    client, peer = pair
    peer.serve(lambda message: peer.reply(message, 1))
    rounds = 0
    over = False

    def loop() -> None:
        nonlocal rounds
        poller = select.poll()
        poller.register(client.fileno(), select.POLLIN)
        while not over:
            if poller.poll(50):
                rounds += 1
                client.pump(0)

    looping = in_thread(loop)
    for _ in range(1000):
        client.call(REMOTE, GET_VERSION, timeout=5)
    over = True
    looping.result()
    assert rounds <= 5000
