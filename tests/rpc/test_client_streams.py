# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_client_streams.py: data, holes, finish, abort and errors beside a call."""

from __future__ import annotations

import gc
import struct
import threading
import time
from typing import Any

import pytest

from libvirtcore.errors import VirError
from tests.rpc.conftest import Connect
from tests.rpc.peer import (
    CONTINUE,
    ERROR,
    GET_VERSION,
    HOLE,
    OK,
    REMOTE,
    REPLY,
    STREAM,
    VOL_DOWNLOAD,
    VOL_UPLOAD,
    VOLUME,
    Message,
    Peer,
    error_payload,
    in_thread,
    pack,
)

Pair = tuple[Any, Peer]
PIECE = 262120


def open_stream(pair: Pair, proc: int = VOL_DOWNLOAD) -> tuple[Any, int]:
    client, peer = pair
    waiting = in_thread(client.open_stream, REMOTE, proc, (VOLUME, 0, 0, 0))
    message = peer.take()
    peer.reply(message)
    return waiting.result(), message.serial


def data(serial: int, payload: bytes, proc: int = VOL_DOWNLOAD) -> bytes:
    return pack(proc, STREAM, serial, CONTINUE, payload)


def hole(serial: int, length: int) -> bytes:
    return pack(VOL_DOWNLOAD, HOLE, serial, CONTINUE, struct.pack(">qI", length, 0))


def confirm(peer: Peer, status: int) -> Message:
    """Take the client's finish or abort and confirm it."""
    message = peer.take()
    assert (message.type, message.status, message.payload) == (STREAM, status, b"")
    peer.send(pack(message.proc, STREAM, message.serial, OK))
    return message


def test_download_to_the_end(pair: Pair) -> None:
    client, peer = pair
    stream, serial = open_stream(pair)
    assert stream.reply is None
    peer.send(data(serial, b"one") + data(serial, b"two"))
    peer.send(data(serial, b""))
    got = b""
    while part := stream.recv(2):
        got += part
    assert got == b"onetwo"
    assert stream.recv(100) == b""
    finishing = in_thread(stream.finish)
    confirm(peer, OK)
    finishing.result()
    with pytest.raises(VirError, match="stream is closed"):
        stream.recv(1)
    assert client.closed is None


def test_upload_in_pieces_that_old_daemons_take(pair: Pair) -> None:
    _client, peer = pair
    stream, serial = open_stream(pair, VOL_UPLOAD)
    content = bytes(range(256)) * 5000

    def upload() -> None:
        sent = 0
        while sent < len(content):
            sent += stream.send(content[sent:])
        stream.finish()

    uploading = in_thread(upload)
    got = b""
    while len(got) < len(content):
        message = peer.take()
        assert (message.proc, message.type, message.serial) == (VOL_UPLOAD, STREAM, serial)
        assert message.status == CONTINUE
        assert len(message.payload) <= PIECE
        got += message.payload
    assert got == content
    confirm(peer, OK)
    uploading.result()


def test_error_of_the_peer_is_raised_by_everything_after(pair: Pair) -> None:
    _client, peer = pair
    stream, serial = open_stream(pair, VOL_UPLOAD)
    assert stream.send(b"some") == 4
    text = "cannot write to stream: No space left on device"
    peer.send(pack(VOL_UPLOAD, STREAM, serial, ERROR, error_payload(38, 38, text)))
    deadline = time.monotonic() + 5
    while not stream.poll() & 4 and time.monotonic() < deadline:
        pair[0].pump(0.1)
    for operation in (
        lambda: stream.send(b"more"),
        lambda: stream.recv(1),
        stream.finish,
        stream.abort,
    ):
        with pytest.raises(VirError) as caught:
            operation()
        assert (caught.value.code, caught.value.domain, caught.value.message) == (38, 38, text)


def test_error_as_a_second_reply_is_the_streams(pair: Pair) -> None:
    """So a real daemon answers a hole that it cannot make."""
    client, peer = pair
    stream, serial = open_stream(pair, VOL_UPLOAD)
    stream.send_hole(5, 1)
    assert peer.take().type == HOLE
    for _ in range(2):  # the second one finds nobody, and disturbs nobody
        peer.send(pack(VOL_UPLOAD, REPLY, serial, ERROR, error_payload(1, 38, "no hole")))
        client.pump(1.0)
        with pytest.raises(VirError, match="no hole"):
            stream.finish()
    version = in_thread(client.call, REMOTE, GET_VERSION)
    peer.reply(peer.take(), 7)
    assert version.result() == (7,)


@pytest.mark.parametrize(
    ("proc", "ahead", "status"),
    [(GET_VERSION, 0, ERROR), (VOL_UPLOAD, 1, ERROR), (VOL_UPLOAD, 0, OK)],
    ids=["no stream", "serial to come", "success"],
)
def test_any_other_second_reply_is_a_fault(pair: Pair, proc: int, ahead: int, status: int) -> None:
    client, peer = pair
    _stream, serial = open_stream(pair, VOL_UPLOAD)
    payload = error_payload(1, 38, "odd") if status == ERROR else b""
    peer.send(pack(proc, REPLY, serial + ahead, status, payload))
    client.pump(1.0)
    assert client.closed == "error"
    assert "no call waiting for reply" in client.error.message


def test_error_instead_of_the_confirmation(pair: Pair) -> None:
    _client, peer = pair
    stream, serial = open_stream(pair, VOL_UPLOAD)
    finishing = in_thread(stream.finish)
    peer.take()
    peer.send(pack(VOL_UPLOAD, STREAM, serial, ERROR, error_payload(38, 38, "flush failed")))
    with pytest.raises(VirError, match="flush failed"):
        finishing.result()


def test_abort_ignores_what_is_under_way(pair: Pair) -> None:
    client, peer = pair
    stream, serial = open_stream(pair)
    peer.send(data(serial, b"x" * 1000))
    assert stream.recv(10) == b"x" * 10
    aborting = in_thread(stream.abort)
    message = peer.take()
    assert (message.type, message.status, message.payload) == (STREAM, ERROR, b"")
    peer.send(data(serial, b"y" * 1000) + data(serial, b""))
    peer.send(pack(VOL_DOWNLOAD, STREAM, serial, OK))
    aborting.result()
    peer.serve(lambda m: peer.reply(m, 3))
    assert client.call(REMOTE, GET_VERSION, timeout=5) == (3,)


def test_holes_read_as_zeros_or_are_told(pair: Pair) -> None:
    _client, peer = pair
    stream, serial = open_stream(pair)
    peer.send(
        data(serial, b"ab") + hole(serial, 5) + data(serial, b"cd") + hole(serial, 1 << 40)
        + data(serial, b"")
    )  # fmt: skip
    time.sleep(0.05)
    assert stream.recv(100, stop_at_hole=True) == b"ab"
    assert stream.recv(100, stop_at_hole=True) == -3
    assert stream.recv(3) == bytes(3)
    assert stream.recv_hole() == 2
    assert stream.recv_hole() == 0  # data is next
    assert stream.recv(100, stop_at_hole=True) == b"cd"
    assert stream.recv_hole() == 1 << 40
    assert stream.recv(100) == b""


def test_many_empty_holes_are_no_trap(pair: Pair) -> None:
    _client, peer = pair
    stream, serial = open_stream(pair)
    peer.send(hole(serial, 0) * 1000 + data(serial, b"end"))
    got = stream.recv(100, stop_at_hole=True)
    while got == -3:
        stream.recv_hole()
        got = stream.recv(100, stop_at_hole=True)
    assert got == b"end"


def test_holes_go_out(pair: Pair) -> None:
    _client, peer = pair
    stream, serial = open_stream(pair, VOL_UPLOAD)
    stream.send_hole(1 << 40)
    message = peer.take()
    assert (message.proc, message.type, message.serial) == (VOL_UPLOAD, HOLE, serial)
    assert (message.status, message.payload) == (CONTINUE, struct.pack(">qI", 1 << 40, 0))
    with pytest.raises(VirError):
        stream.send_hole(-1)


def test_malformed_hole_ends_the_stream_or_the_connection(connect: Connect) -> None:
    for payload in (b"", bytes(11), bytes(16), struct.pack(">qI", -5, 0)):
        client, peer = connect()
        stream, serial = open_stream((client, peer))
        peer.send(pack(VOL_DOWNLOAD, HOLE, serial, CONTINUE, payload))
        stream.timeout = 5
        with pytest.raises(VirError):
            stream.recv(10)
        client.close()


def test_nonblocking_receive(pair: Pair) -> None:
    _client, peer = pair
    stream, serial = open_stream(pair)
    assert stream.recv(10, nonblock=True) == -2
    peer.send(data(serial, b"now"))
    deadline = time.monotonic() + 5
    got = stream.recv(10, nonblock=True)
    while got == -2 and time.monotonic() < deadline:
        got = stream.recv(10, nonblock=True)
    assert got == b"now"
    assert stream.recv(10, nonblock=True) == -2


def test_nonblocking_send_stops_at_a_full_socket(pair: Pair) -> None:
    client, peer = pair
    stream, serial = open_stream(pair, VOL_UPLOAD)
    sent = 0
    for _ in range(1000):
        taken = stream.send(b"z" * 100_000, nonblock=True)
        if taken == -2:
            break
        sent += taken
    assert taken == -2
    assert not stream.poll() & 2
    got = 0
    receiving = in_thread(lambda: sum(len(peer.take().payload) for _ in range(-(-sent // 100_000))))
    deadline = time.monotonic() + 5
    while not stream.poll() & 2 and time.monotonic() < deadline:
        client.pump(0.01)
    assert stream.poll() & 2
    while receiving.thread.is_alive() and time.monotonic() < deadline:
        client.pump(0.01)
    got = receiving.result()
    assert got == sent
    assert serial == 0


def test_poll_tells_readable_and_hangup(pair: Pair) -> None:
    client, peer = pair
    stream, serial = open_stream(pair)
    assert stream.poll() == 2
    peer.send(data(serial, b"x"))
    assert client.pump(1)
    assert stream.poll() == 3
    assert stream.recv(10) == b"x"
    peer.send(data(serial, b""))
    assert client.pump(1)
    assert stream.poll() & 1
    client.close()
    assert stream.poll() & 8


def test_calls_and_streams_share_the_connection(pair: Pair) -> None:
    client, peer = pair
    stream, serial = open_stream(pair)

    def answer(message: Message) -> None:
        peer.send(data(serial, b"d" * 1000))
        peer.reply(message, message.serial)

    peer.serve(answer)
    for _ in range(100):
        client.call(REMOTE, GET_VERSION, timeout=5)
    got = 0
    while got < 100_000:
        got += len(stream.recv(7777))
    assert got == 100_000


def test_two_streams_are_kept_apart(pair: Pair) -> None:
    _client, peer = pair
    one, first = open_stream(pair)
    two, second = open_stream(pair)
    for n in range(50):
        peer.send(data(second, b"2%d" % (n % 10)) + data(first, b"1%d" % (n % 10)))
    for n in range(50):
        assert one.recv(2) == b"1%d" % (n % 10)
        assert two.recv(2) == b"2%d" % (n % 10)


def test_refused_stream_raises(pair: Pair) -> None:
    client, peer = pair
    waiting = in_thread(client.open_stream, REMOTE, VOL_DOWNLOAD, (VOLUME, 0, 0, 0))
    peer.fail(peer.take(), 50, 18, "no such volume")
    with pytest.raises(VirError, match="no such volume"):
        waiting.result()
    with pytest.raises(VirError):
        client.open_stream(REMOTE, VOL_DOWNLOAD, ("wrong",))
    peer.serve(lambda m: peer.reply(m, 3))
    assert client.call(REMOTE, GET_VERSION, timeout=5) == (3,)


def test_dropped_stream_is_aborted(pair: Pair) -> None:
    client, peer = pair
    stream, serial = open_stream(pair)
    del stream
    gc.collect()
    serial_of_call = client.submit(REMOTE, GET_VERSION)
    message = peer.take()
    assert (message.type, message.status, message.serial) == (STREAM, ERROR, serial)
    peer.send(data(serial, b"late") + pack(VOL_DOWNLOAD, STREAM, serial, OK))
    peer.reply(peer.take(), 8)
    assert client.wait(serial_of_call) == (8,)
    assert client.stats()["stream_dropped"] == 2


def test_stream_opened_too_late_is_aborted(pair: Pair) -> None:
    client, peer = pair
    with pytest.raises(VirError):
        client.open_stream(REMOTE, VOL_DOWNLOAD, (VOLUME, 0, 0, 0), timeout=0.05)
    message = peer.take()
    peer.reply(message)
    client.pump(1)
    abort = peer.take()
    assert (abort.type, abort.status, abort.serial) == (STREAM, ERROR, message.serial)


def test_end_of_the_connection_ends_the_stream(pair: Pair) -> None:
    _client, peer = pair
    stream, serial = open_stream(pair)
    peer.send(data(serial, b"last"))
    peer.close()
    assert stream.recv(10) == b"last"
    with pytest.raises(VirError):
        stream.recv(10)
    with pytest.raises(VirError):
        stream.send(b"x")
    with pytest.raises(VirError):
        stream.finish()


def test_deadline_and_cancel_of_a_stream(pair: Pair) -> None:
    client, _peer = pair
    stream, _serial = open_stream(pair)
    stream.timeout = 0.1
    with pytest.raises(VirError) as caught:
        stream.recv(10)
    assert caught.value.code == 68
    stream.timeout = None
    waiting = in_thread(stream.recv, 10)
    deadline = time.monotonic() + 5
    while client.cancel() == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(VirError) as caught:
        waiting.result()
    assert caught.value.code == 78


def test_upload_beside_a_peer_that_sends_before_it_reads(pair: Pair) -> None:
    """Both directions full: the sender has to read meanwhile."""
    _client, peer = pair
    stream, _serial = open_stream(pair, VOL_UPLOAD)
    other, second = open_stream(pair)
    total = 40 * PIECE

    def answer() -> int:
        for _ in range(40):
            peer.send(data(second, b"q" * PIECE))
        got = 0
        while got < total:
            got += len(peer.take().payload)
        return got

    answering = in_thread(answer)
    sent = 0
    piece = b"p" * PIECE
    stream.timeout = 20
    while sent < total:
        sent += stream.send(piece)
    assert answering.result() == total
    got = 0
    other.timeout = 5
    while got < total:
        got += len(other.recv(1 << 20))
    assert got == total


def test_streams_of_many_threads(pair: Pair) -> None:
    client, peer = pair
    lock = threading.Lock()

    def answer(message: Message) -> None:
        with lock:
            if message.type == STREAM:
                peer.send(pack(message.proc, STREAM, message.serial, OK))
            else:
                peer.reply(message)
                for _ in range(20):
                    peer.send(data(message.serial, struct.pack(">I", message.serial) * 1000))
                peer.send(data(message.serial, b""))

    peer.serve(answer)

    def download() -> int:
        stream = client.open_stream(REMOTE, VOL_DOWNLOAD, (VOLUME, 0, 0, 0), timeout=10)
        stream.timeout = 10
        got = b""
        while part := stream.recv(65536):
            got += part
        stream.finish()
        assert len(got) == 80_000 and len(set(struct.unpack(">20000I", got))) == 1
        return int.from_bytes(got[:4], "big")

    downloads = [in_thread(download) for _ in range(12)]
    assert len({one.result() for one in downloads}) == 12
