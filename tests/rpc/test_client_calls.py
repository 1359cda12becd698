# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_client_calls.py: one caller, one connection: bytes out, values and errors back."""

from __future__ import annotations

import os
import signal
import struct
import threading
import time
from typing import Any

import pytest

from libvirtcore.errors import VirError
from libvirtcore.generated.constants import VIR_ERR_OPERATION_TIMEOUT
from tests.rpc.conftest import Connect
from tests.rpc.peer import (
    CALL,
    DOMAIN,
    DOMAIN_EVENT,
    GET_BLKIO_PARAMETERS,
    GET_HOSTNAME,
    GET_VERSION,
    LOOKUP_BY_NAME,
    REMOTE,
    REPLY,
    Peer,
    event,
    in_thread,
    pack,
    result,
)

Pair = tuple[Any, Peer]


def test_call_sends_libvirts_bytes(pair: Pair) -> None:
    client, peer = pair
    waiting = in_thread(client.call, REMOTE, LOOKUP_BY_NAME, ("vm",))
    assert peer.exactly(36).hex(" ", 4) == (
        "00000024 20008086 00000001 00000017 00000000 00000000 00000000 00000002 766d0000"
    )
    peer.send(pack(LOOKUP_BY_NAME, REPLY, 0, 0, result(LOOKUP_BY_NAME, DOMAIN)))
    assert waiting.result() == (DOMAIN,)


def test_serials_count_up_from_zero(pair: Pair) -> None:
    client, peer = pair
    seen = []
    for version in range(5):
        waiting = in_thread(client.call, REMOTE, GET_VERSION)
        message = peer.take()
        seen.append((message.serial, message.type, message.payload))
        peer.reply(message, version)
        assert waiting.result() == (version,)
    assert seen == [(n, CALL, b"") for n in range(5)]


def test_call_without_result_returns_none(pair: Pair) -> None:
    client, peer = pair
    peer.serve(lambda message: peer.reply(message))
    assert client.call(REMOTE, 28, (DOMAIN,)) is None  # domain_resume


def test_typed_parameters_come_as_dict(pair: Pair) -> None:
    client, peer = pair
    peer.serve(lambda message: peer.reply(message, [("weight", 2, 500), ("path", 7, "/x")], 2))
    assert client.call(REMOTE, GET_BLKIO_PARAMETERS, (DOMAIN, 2, 0)) == (
        {"weight": 500, "path": "/x"},
        2,
    )


def test_error_of_the_peer_is_raised_as_sent(pair: Pair) -> None:
    client, peer = pair
    peer.serve(lambda message: peer.fail(message, 42, 10, "Domain not found"))
    with pytest.raises(VirError) as caught:
        client.call(REMOTE, LOOKUP_BY_NAME, ("nope",))
    text = "Domain not found"
    assert caught.value.raw == (42, 10, text, 2, "%s", text, None, -1, -1)
    assert client.closed is None


@pytest.mark.parametrize(
    ("proc", "args"),
    [
        (LOOKUP_BY_NAME, (5,)),
        (LOOKUP_BY_NAME, ("a\0b",)),
        (LOOKUP_BY_NAME, ("x" * 4194305,)),
        (LOOKUP_BY_NAME, ()),
        (LOOKUP_BY_NAME, None),
        (GET_VERSION, (1,)),
        (9999, None),
        (0, None),
    ],
)
def test_wrong_arguments_leave_the_connection_usable(pair: Pair, proc: int, args: Any) -> None:
    client, peer = pair
    with pytest.raises(VirError):
        client.call(REMOTE, proc, args)
    with pytest.raises(VirError):
        client.call(0x1234, 1, None)
    peer.serve(lambda message: peer.reply(message, message.serial))
    assert client.call(REMOTE, GET_VERSION) == (0,)  # not even a serial was used up
    assert client.stats()["in_flight"] == 0


def test_malformed_reply_leaves_the_connection_usable(pair: Pair) -> None:
    client, peer = pair
    bad = iter([b"", b"\0" * 7, b"\0" * 12])

    def answer(message: Any) -> None:
        payload = next(bad, result(GET_VERSION, 9))
        peer.send(pack(message.proc, REPLY, message.serial, 0, payload))

    peer.serve(answer)
    for _ in range(3):
        with pytest.raises(VirError) as caught:
            client.call(REMOTE, GET_VERSION)
        assert (caught.value.code, caught.value.domain) == (39, 7)
    assert client.call(REMOTE, GET_VERSION) == (9,)


REPLIES = [
    pack(GET_VERSION, REPLY, 0, 0, result(GET_VERSION, 7)),
    event(DOMAIN_EVENT, DOMAIN, 1, 2),
    pack(GET_HOSTNAME, REPLY, 1, 0, result(GET_HOSTNAME, "host")),
]


def expect_both(client: Any) -> None:
    assert client.call(REMOTE, GET_VERSION) == (7,)
    assert client.call(REMOTE, GET_HOSTNAME) == ("host",)
    assert client.next_event() == (REMOTE, DOMAIN_EVENT, (DOMAIN, 1, 2))
    assert client.next_event() is None


def test_replies_in_one_piece(pair: Pair) -> None:
    client, peer = pair
    waiting = in_thread(client.submit, REMOTE, GET_VERSION)
    first = waiting.result()
    second = client.submit(REMOTE, GET_HOSTNAME)
    peer.send(b"".join(REPLIES))
    assert client.wait(second) == ("host",)
    assert client.wait(first) == (7,)
    assert client.next_event() == (REMOTE, DOMAIN_EVENT, (DOMAIN, 1, 2))


def test_replies_byte_by_byte(pair: Pair) -> None:
    client, peer = pair
    waiting = in_thread(expect_both, client)
    for data in REPLIES[:1], REPLIES[1:]:
        peer.take()
        for byte in b"".join(data):
            peer.send(bytes([byte]))
    waiting.result()


def test_replies_cut_anywhere_end_the_call(connect: Connect) -> None:
    reply = REPLIES[0]
    for length in range(len(reply)):
        client, peer = connect()
        waiting = in_thread(client.call, REMOTE, GET_VERSION)
        peer.take()
        peer.send(reply[:length])
        peer.close()
        with pytest.raises(VirError) as caught:
            waiting.result()
        text = "End of file while reading data: Input/output error"
        assert caught.value.raw == (38, 7, text, 2, "%s", text, None, 5, -1)
        assert client.closed == "eof"
        with pytest.raises(VirError) as caught:
            client.call(REMOTE, GET_VERSION)
        text = "internal error: client socket is closed"
        assert caught.value.raw == (1, 7, text, 2, "internal error: %s", text[16:], None, -1, -1)
        client.close()


def test_reply_of_twenty_megabytes(pair: Pair) -> None:
    client, peer = pair
    names = ["n" * 1000 + str(n) for n in range(16384)]
    proc = 21  # connect_list_defined_domains

    def answer(message: Any) -> None:
        if message.proc == proc:
            peer.reply(message, names)
        else:
            peer.reply(message, 3)

    peer.serve(answer)
    assert client.call(REMOTE, proc, (16384,)) == (names,)
    assert client.call(REMOTE, GET_VERSION) == (3,)
    assert client.call(REMOTE, proc, (16384,)) == (names,)


def test_deadline_ends_a_call_and_its_late_reply_is_dropped(pair: Pair) -> None:
    client, peer = pair
    began = time.monotonic()
    with pytest.raises(VirError) as caught:
        client.call(REMOTE, GET_HOSTNAME, timeout=0.2)
    assert 0.15 < time.monotonic() - began < 2
    assert caught.value.code == 68
    assert caught.value.message == (
        "Timed out during operation: connect_get_hostname was not answered within 200 ms"
    )
    late = peer.take()
    assert client.stats()["in_flight"] == 1  # the daemon still works on it
    waiting = in_thread(client.call, REMOTE, GET_VERSION)
    now = peer.take()
    peer.reply(late, "late")
    peer.reply(now, 4)
    assert waiting.result() == (4,)
    assert client.stats()["late_replies"] == 1
    assert client.stats()["in_flight"] == 0


def test_unanswered_calls_keep_their_place(connect: Connect) -> None:
    """A daemon that is given more than it allows stops reading; so ours are never more."""
    client, peer = connect(max_in_flight=2)
    for _ in range(2):
        with pytest.raises(VirError):
            client.call(REMOTE, GET_VERSION, timeout=0.05)
    with pytest.raises(VirError) as caught:
        client.call(REMOTE, GET_VERSION, timeout=0.05)
    assert caught.value.code == 68
    assert "too many calls wait" in caught.value.message
    first = peer.take()
    peer.reply(first, 1)
    peer.serve(lambda message: peer.reply(message, message.serial))
    assert client.call(REMOTE, GET_VERSION, timeout=5) == (2,)


def test_pipeline_keeps_the_limit_and_the_order(connect: Connect) -> None:
    client, peer = connect(max_in_flight=4)
    waiting: list[Any] = []
    most = 0
    lock = threading.Lock()

    def answer(message: Any) -> None:
        with lock:
            waiting.append(message)

    def answer_late() -> None:
        nonlocal most
        answered = 0
        while answered < 300:
            time.sleep(0.001)
            with lock:
                most = max(most, len(waiting))
                batch = waiting[:]
                waiting.clear()
            for message in reversed(batch):
                peer.reply(message, message.serial * 10)
                answered += 1

    peer.serve(answer)
    answering = in_thread(answer_late)
    serials = [client.submit(REMOTE, GET_VERSION) for _ in range(300)]
    assert [client.wait(serial) for serial in serials] == [(n * 10,) for n in serials]
    answering.result()
    assert 1 < most <= 4
    with pytest.raises(VirError):
        client.wait(serials[0])  # each only once


def test_wait_raises_the_error_of_its_call(pair: Pair) -> None:
    client, peer = pair
    peer.serve(lambda m: peer.fail(m, m.serial + 1, 10, "no") if m.serial else peer.reply(m, 1))
    serials = [client.submit(REMOTE, GET_VERSION) for _ in range(3)]
    assert client.wait(serials[0]) == (1,)
    for serial in serials[1:]:
        with pytest.raises(VirError) as caught:
            client.wait(serial)
        assert caught.value.code == serial + 1


def test_big_call_passes_a_peer_that_floods_before_it_reads(pair: Pair) -> None:
    """Both socket buffers are full: whoever sends has to read meanwhile."""
    client, peer = pair
    flood = event(DOMAIN_EVENT, ("n" * 100000, bytes(16), 1), 1, 2)

    def run() -> None:
        for _ in range(40):
            peer.send(flood)
        message = peer.take()
        assert len(message.payload) == 4 + 3_000_000
        peer.reply(message, DOMAIN)

    flooding = in_thread(run)
    assert client.call(REMOTE, 11, ("x" * 3_000_000,), timeout=20) == (DOMAIN,)
    flooding.result()
    assert client.stats()["queued_events"] == 40


@pytest.mark.slow
def test_keyboard_interrupt_leaves_the_connection_usable(pair: Pair) -> None:
    client, peer = pair

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for delay in (0.005, 0.05, 0.3):
            signal.setitimer(signal.ITIMER_REAL, delay)
            with pytest.raises(KeyboardInterrupt):
                client.call(REMOTE, GET_VERSION, timeout=10)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    peer.serve(lambda message: peer.reply(message, message.serial))
    assert client.call(REMOTE, GET_VERSION, timeout=5) == (3,)
    assert client.stats()["late_replies"] == 3


@pytest.mark.slow
def test_signal_that_another_thread_takes_is_handled_soon(pair: Pair) -> None:
    client, peer = pair
    seen: list[float] = []
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(time.monotonic()))
    sent: list[float] = []

    def kick() -> None:
        time.sleep(0.1)
        sent.append(time.monotonic())
        signal.pthread_kill(threading.get_ident(), signal.SIGALRM)
        time.sleep(1)
        peer.reply(peer.take(), 1)

    try:
        kicking = in_thread(kick)
        assert client.call(REMOTE, GET_VERSION, timeout=10) == (1,)
        kicking.result()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert seen and seen[0] - sent[0] < 0.6


def test_forked_child_is_refused_and_harms_nothing(pair: Pair) -> None:
    client, peer = pair
    child = os.fork()
    if child == 0:
        verdict = 1
        try:
            client.call(REMOTE, GET_VERSION)
        except VirError as error:
            text = f"internal error: connection was opened by process {os.getppid()}, this is its"
            verdict = 0 if (error.code, error.message) == (1, f"{text} forked child") else 2
        client.close()
        del client
        os._exit(verdict)
    assert os.waitpid(child, 0)[1] == 0
    peer.serve(lambda message: peer.reply(message, 11))
    assert client.call(REMOTE, GET_VERSION, timeout=5) == (11,)


def test_not_a_socket_is_refused(core: Any) -> None:
    reading, writing = os.pipe()
    try:
        with pytest.raises(VirError):
            core.Client(reading)
        os.fstat(reading)  # still the caller's
    finally:
        os.close(reading)
        os.close(writing)


def test_stats_count_bytes(pair: Pair) -> None:
    client, peer = pair
    peer.serve(lambda message: peer.reply(message, 1))
    client.call(REMOTE, GET_VERSION)
    stats = client.stats()
    assert (stats["calls"], stats["replies"]) == (1, 1)
    assert (stats["bytes_sent"], stats["bytes_received"]) == (28, struct.calcsize(">7IQ"))
    client.close()
    assert client.closed == "client"
    assert client.fileno() == -1


def test_every_call_is_traced(core: Any, monkeypatch: pytest.MonkeyPatch, connect: Connect) -> None:
    seen: list[tuple[Any, ...]] = []
    monkeypatch.setattr("libvirtcore.log.trace_rpc", lambda *line: seen.append(line))
    client, peer = connect()

    def answer(message: Any) -> None:
        if message.proc == GET_VERSION:
            peer.reply(message, 7)
        elif message.proc == LOOKUP_BY_NAME:
            peer.fail(message, 42, 10, "no")
        elif message.serial == 4:
            peer.close()

    peer.serve(answer)
    client.call(REMOTE, GET_VERSION)
    with pytest.raises(VirError):
        client.call(REMOTE, LOOKUP_BY_NAME, ("vm",))
    client.wait(client.submit(REMOTE, GET_VERSION))
    with pytest.raises(VirError):
        client.call(REMOTE, GET_HOSTNAME, timeout=0.05)
    with pytest.raises(VirError):
        client.call(REMOTE, GET_HOSTNAME, timeout=5)
    assert [line[:5] for line in seen] == [
        (REMOTE, GET_VERSION, 0, "ok", 28),
        (REMOTE, LOOKUP_BY_NAME, 1, "error", 36),
        (REMOTE, GET_VERSION, 2, "ok", 28),
        (REMOTE, GET_HOSTNAME, 3, "abandoned", 28),
        (REMOTE, GET_HOSTNAME, 4, "closed", 28),
    ]
    assert [line[5] for line in seen] == [36, seen[1][5], 36, 0, 0]
    assert 50_000 <= seen[3][6] < 5_000_000


def test_dropped_clients_leave_no_descriptors(connect: Connect, core: Any) -> None:
    import socket

    for n in range(200):
        ours, theirs = socket.socketpair()
        client = core.Client(ours.detach())
        if n % 2:
            theirs.close()
            assert client.pump(1) is False
        else:
            client.submit(REMOTE, GET_VERSION)
            theirs.close()
        del client


def test_submit_waits_for_room_no_longer_than_allowed(connect: Connect) -> None:
    client, peer = connect(max_in_flight=1)
    first = client.submit(REMOTE, GET_VERSION, timeout=5)
    began = time.monotonic()
    with pytest.raises(VirError, match="could not be sent within 100 ms") as caught:
        client.submit(REMOTE, GET_VERSION, timeout=0.1)
    assert caught.value.code == VIR_ERR_OPERATION_TIMEOUT
    assert 0.09 < time.monotonic() - began < 1
    peer.reply(peer.take(), 7)
    assert client.wait(first) == (7,)
    second = client.submit(REMOTE, GET_VERSION, timeout=0.1)
    peer.reply(peer.take(), 8)
    assert client.wait(second) == (8,)
