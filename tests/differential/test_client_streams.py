# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_client_streams.py: data beside calls: pieces, holes, errors, ends, from both clients."""

from __future__ import annotations

import time
from typing import Any

import pytest

from libvirtcore.errors import VirError
from libvirtcore.generated.constants import (
    VIR_ERR_OPERATION_ABORTED,
    VIR_ERR_OPERATION_FAILED,
    VIR_ERR_OPERATION_TIMEOUT,
    VIR_ERR_RPC,
    VIR_FROM_RPC,
    VIR_FROM_STREAMS,
)
from libvirtcore.generated.tables import TYPE_STREAM_HOLE
from libvirtcore.rpc.pure_decode import decode
from libvirtcore.rpc.pure_encode import encode
from libvirtcore.rpc.pure_frame import CONTINUE, ERROR, OK, STREAM, STREAM_HOLE, Frame
from tests.differential.peer import REMOTE, VERSION, Acting, Peer, error_payload, number

Pair = tuple[Any, Peer]
UPLOAD = number("storage_vol_upload")
DOWNLOAD = number("storage_vol_download")
VOLUME = ("pool", "name", "/key")
BLOCKED, HOLE = -2, -3
READABLE, WRITABLE, FAILED, HANGUP = 1, 2, 4, 8


def failing(call: Any, *args: Any, **kwargs: Any) -> VirError:
    with pytest.raises(VirError) as caught:
        call(*args, **kwargs)
    return caught.value


def opened(pair: Pair, proc: int = DOWNLOAD) -> tuple[Any, Frame]:
    """A stream, and the call that opened it."""
    client, peer = pair
    calls = []

    def play() -> None:
        calls.append(peer.call())
        peer.reply(calls[0])

    acting = Acting(play)
    stream = client.open_stream(REMOTE, proc, (VOLUME, 0, 0, 1))
    acting.join()
    assert stream.reply is None
    return stream, calls[0]


def closed(peer: Peer, call: Frame, status: int) -> Acting:
    """A peer that reads up to our finish or abort and confirms it."""

    def play() -> None:
        while True:
            frame = peer.next()
            if frame.status == status:
                break
        assert frame == call._replace(type=STREAM, status=status, payload=b"")
        peer.data(call, b"", OK)

    return Acting(play)


def test_stream_of_a_failed_call_is_none(pair: Pair) -> None:
    client, peer = pair
    acting = Acting(lambda: peer.fail(peer.call(), 50, 18, "no such volume"))
    error = failing(client.open_stream, REMOTE, DOWNLOAD, (VOLUME, 0, 0, 0))
    acting.join()
    assert error.message == "no such volume"


def test_stream_gives_data_until_the_end(pair: Pair) -> None:
    stream, call = opened(pair)
    _, peer = pair
    for part in (b"abc", b"defgh", b""):
        peer.data(call, part)
    assert stream.recv(2) == b"ab"
    got = stream.recv(100)
    while len(got) < 6:
        got += stream.recv(100)
    assert got == b"cdefgh"
    assert stream.recv(100) == b""
    assert stream.recv(100) == b""
    acting = closed(peer, call, OK)
    stream.finish()
    acting.join()


def test_stream_data_that_came_with_the_reply(pair: Pair) -> None:
    client, peer = pair

    def play() -> None:
        call = peer.call()
        peer.reply(call)
        peer.data(call, b"quick")
        peer.data(call, b"")

    acting = Acting(play)
    stream = client.open_stream(REMOTE, DOWNLOAD, (VOLUME, 0, 0, 0))
    acting.join()
    assert stream.recv(100) == b"quick"
    assert stream.recv(100) == b""


def test_stream_sends_in_pieces_that_old_daemons_take(pair: Pair) -> None:
    stream, call = opened(pair, UPLOAD)
    _, peer = pair
    data = bytes(range(256)) * 4000
    got: list[bytes] = []

    def play() -> None:
        while sum(map(len, got)) < len(data):
            frame = peer.next()
            assert frame._replace(payload=b"") == call._replace(
                type=STREAM, status=CONTINUE, payload=b""
            )
            got.append(frame.payload)

    acting = Acting(play)
    sent = 0
    while sent < len(data):
        sent += stream.send(data[sent:])
    acting.join()
    assert b"".join(got) == data
    assert max(map(len, got)) <= 262120
    assert stream.send(b"") == 0
    acting = closed(peer, call, OK)
    stream.finish()
    acting.join()


def test_stream_holes_both_ways(pair: Pair) -> None:
    stream, call = opened(pair)
    _, peer = pair
    stream.send_hole(2**40, 0)
    frame = peer.next()
    assert (frame.type, frame.status, frame.serial) == (STREAM_HOLE, CONTINUE, call.serial)
    assert decode(TYPE_STREAM_HOLE, frame.payload) == (2**40, 0)
    assert failing(stream.send_hole, -1).message == "invalid argument: hole of -1 bytes"
    peer.data(call, b"abc")
    peer.hole(call, encode(TYPE_STREAM_HOLE, (5, 0)))
    peer.data(call, b"def")
    peer.hole(call, encode(TYPE_STREAM_HOLE, (3, 0)))
    peer.data(call, b"")
    assert stream.recv(100, stop_at_hole=True) == b"abc"
    assert stream.recv(100, stop_at_hole=True) == HOLE
    assert stream.recv_hole() == 5
    assert stream.recv(100, stop_at_hole=True) == b"def"
    assert stream.recv(2) == b"\0\0"
    assert stream.recv(2) == b"\0"
    assert stream.recv_hole() == 0
    assert stream.recv(2) == b""


def test_stream_that_must_not_block(pair: Pair) -> None:
    stream, call = opened(pair, UPLOAD)
    client, peer = pair
    assert stream.recv(10, nonblock=True) == BLOCKED
    assert stream.poll() == WRITABLE
    peer.data(call, b"abc")
    client.pump(1)
    assert stream.poll() == READABLE | WRITABLE
    assert stream.recv(10, nonblock=True) == b"abc"
    piece = bytes(262120)
    sent = 0
    while (taken := stream.send(piece, nonblock=True)) != BLOCKED:
        assert 0 < taken <= len(piece)
        sent += taken
        assert sent < 100_000_000
    assert not stream.poll() & WRITABLE
    got: list[int] = []

    def play() -> None:
        while sum(got) < sent:
            got.append(len(peer.next().payload))

    acting = Acting(play)
    while client.wants_write:
        client.pump(0.01)
    acting.join()
    assert sum(got) == sent
    assert stream.poll() & WRITABLE


def test_stream_error_of_the_peer_is_kept(pair: Pair) -> None:
    stream, call = opened(pair, UPLOAD)
    client, peer = pair
    peer.data(call, error_payload(38, VIR_FROM_STREAMS, "cannot write to stream: full"), ERROR)
    client.pump(1)
    assert stream.poll() & FAILED
    for use in (
        lambda: stream.send(b"x"),
        lambda: stream.recv(1),
        stream.finish,
        stream.abort,
        lambda: stream.send(b"x"),
    ):
        error = failing(use)
        assert (error.code, error.domain) == (38, VIR_FROM_STREAMS)
        assert error.message == "cannot write to stream: full"
    assert client.closed is None


def test_stream_error_that_cannot_be_read(pair: Pair) -> None:
    stream, call = opened(pair)
    client, peer = pair
    peer.data(call, b"\0\0", ERROR)
    client.pump(1)
    error = failing(stream.recv, 1)
    assert error.code == VIR_ERR_RPC
    assert error.message.startswith("Unable to decode message payload: message[0] at byte 0")


@pytest.mark.parametrize("how", ["finish", "abort"])
def test_stream_that_is_over(pair: Pair, how: str) -> None:
    stream, call = opened(pair)
    client, peer = pair
    acting = closed(peer, call, OK if how == "finish" else ERROR)
    getattr(stream, how)()
    acting.join()
    for use in (lambda: stream.send(b"x"), lambda: stream.recv(1), stream.finish, stream.abort):
        error = failing(use)
        assert (error.code, error.domain) == (VIR_ERR_OPERATION_FAILED, VIR_FROM_RPC)
        assert error.message == "operation failed: stream is closed"
    assert stream.poll() & HANGUP
    peer.data(call, b"late")
    acting = Acting(lambda: peer.reply(peer.call(), (7,)))
    assert client.call(REMOTE, VERSION) == (7,)
    acting.join()
    assert client.stats()["stream_dropped"] == 1


def test_stream_finish_raises_what_went_wrong(pair: Pair) -> None:
    stream, call = opened(pair, UPLOAD)
    _, peer = pair

    def play() -> None:
        assert peer.next().status == OK
        peer.data(call, b"still on its way")
        peer.data(call, error_payload(39, 38, "stream had unexpected termination"), ERROR)

    acting = Acting(play)
    assert failing(stream.finish).message == "stream had unexpected termination"
    acting.join()


def test_stream_data_can_be_read_when_the_peer_has_finished(pair: Pair) -> None:
    stream, call = opened(pair)
    client, peer = pair
    peer.data(call, b"abc")
    peer.data(call, b"", OK)
    client.pump(1)
    client.pump(0)
    assert stream.recv(10) == b"abc"
    assert stream.recv(10) == b""


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"\0" * 4, "malformed stream hole"),
        (b"\xff" * 8 + b"\0" * 4, "stream hole of negative length"),
    ],
)
def test_stream_holes_that_lie(pair: Pair, payload: bytes, text: str) -> None:
    stream, call = opened(pair)
    client, peer = pair
    peer.hole(call, payload)
    client.pump(1)
    error = failing(stream.recv, 10)
    assert (error.code, error.message) == (VIR_ERR_RPC, text)


def test_stream_waits_no_longer_than_told(pair: Pair) -> None:
    stream, _ = opened(pair)
    stream.timeout = 0.1
    began = time.monotonic()
    for use in (lambda: stream.recv(1), stream.recv_hole, stream.finish):
        error = failing(use)
        assert error.code == VIR_ERR_OPERATION_TIMEOUT
        assert "storage_vol_download was not answered within 100 ms" in error.message
    assert time.monotonic() - began < 2


def test_stream_reader_can_be_cancelled(pair: Pair) -> None:
    stream, _ = opened(pair)
    client, _ = pair
    errors: list[VirError] = []
    acting = Acting(lambda: errors.append(failing(stream.recv, 1)))
    deadline = time.monotonic() + 5
    while client.cancel() == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    acting.join()
    assert errors[0].code == VIR_ERR_OPERATION_ABORTED


def test_stream_learns_that_the_connection_broke(pair: Pair) -> None:
    stream, _ = opened(pair)
    _, peer = pair
    peer.close()
    assert failing(stream.recv, 1).message == "End of file while reading data: Input/output error"
    assert failing(stream.send, b"x").message == "internal error: client socket is closed"
    assert stream.poll() & HANGUP


def test_stream_that_is_forgotten_is_aborted(pair: Pair) -> None:
    stream, call = opened(pair)
    client, peer = pair
    del stream

    def play() -> None:
        assert peer.next() == call._replace(type=STREAM, status=ERROR, payload=b"")
        peer.reply(peer.call("connect_get_version"), (7,))

    acting = Acting(play)
    assert client.call(REMOTE, VERSION, None, 5) == (7,)
    acting.join()


def test_streams_side_by_side(pair: Pair) -> None:
    one, first = opened(pair)
    two, second = opened(pair)
    _, peer = pair

    def play() -> None:
        for index in range(50):
            peer.data(first, b"1" * index + b"a")
            peer.data(second, b"2" * index + b"b")

    acting = Acting(play)
    for stream, digit, letter in ((two, b"2", b"b"), (one, b"1", b"a")):
        wanted = b"".join(digit * index + letter for index in range(50))
        got = b""
        while len(got) < len(wanted):
            got += stream.recv(1000)
        assert got == wanted
    acting.join()
