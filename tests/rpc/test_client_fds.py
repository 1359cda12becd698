# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_client_fds.py: descriptors both ways, and none is ever left behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
from typing import Any

import pytest

from libvirtcore.errors import VirError
from tests.rpc.conftest import Connect, open_descriptors
from tests.rpc.peer import (
    CALL_WITH_FDS,
    DOMAIN,
    GET_VERSION,
    OPEN_GRAPHICS,
    OPEN_GRAPHICS_FD,
    REMOTE,
    REPLY_WITH_FDS,
    Message,
    Peer,
    in_thread,
    pack,
    result,
)

Pair = tuple[Any, Peer]


def reply_with(peer: Peer, message: Message, fds: list[int], announced: int | None = None) -> None:
    count = struct.pack(">I", len(fds) if announced is None else announced)
    payload = count + (result(GET_VERSION, 7) if message.proc == GET_VERSION else b"")
    peer.send(pack(message.proc, REPLY_WITH_FDS, message.serial, 0, payload))
    for fd in fds:
        peer.send_fd(fd)


def test_descriptor_comes_with_the_reply(pair: Pair) -> None:
    client, peer = pair
    with open("/dev/null") as null:
        waiting = in_thread(client.call_fds, REMOTE, OPEN_GRAPHICS_FD, (DOMAIN, 0, 0))
        reply_with(peer, peer.take(), [null.fileno()])
        value, fds = waiting.result()
    assert value is None
    assert [os.readlink(f"/proc/self/fd/{fd}") for fd in fds] == ["/dev/null"]
    assert fcntl.fcntl(fds[0], fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    os.close(fds[0])


def test_descriptors_go_with_the_call(pair: Pair) -> None:
    """The count stands behind the header, each descriptor rides on a zero byte of its own."""
    client, peer = pair
    with open("/dev/null") as null, open("/dev/zero") as zero:
        waiting = in_thread(
            client.call_fds, REMOTE, OPEN_GRAPHICS, (DOMAIN, 0, 0), [null.fileno(), zero.fileno()]
        )
        message = peer.take()
        assert message.type == CALL_WITH_FDS
        assert message.payload[:8] == struct.pack(">II", 2, 2)
        got = peer.take_fds(2)
    assert [os.readlink(f"/proc/self/fd/{fd}") for fd in got] == ["/dev/null", "/dev/zero"]
    for fd in got:
        os.close(fd)
    peer.reply(message)
    assert waiting.result() == (None, [])


def test_thirty_two_descriptors_in_order(pair: Pair) -> None:
    client, peer = pair
    sent = [os.open("/dev/null", os.O_RDONLY) for _ in range(32)]
    try:
        waiting = in_thread(client.call_fds, REMOTE, GET_VERSION, None)
        reply_with(peer, peer.take(), sent)
        value, fds = waiting.result()
    finally:
        for fd in sent:
            os.close(fd)
    assert value == (7,)
    assert len(set(fds)) == 32
    for fd in fds:
        os.close(fd)


def test_all_descriptors_on_one_byte_are_taken_too(pair: Pair) -> None:
    client, peer = pair
    with open("/dev/null") as null:
        waiting = in_thread(client.call_fds, REMOTE, GET_VERSION, None)
        message = peer.take()
        payload = struct.pack(">I", 2) + result(GET_VERSION, 7)
        peer.send(pack(GET_VERSION, REPLY_WITH_FDS, message.serial, 0, payload))
        socket.send_fds(peer.sock, [b"\0\0"], [null.fileno()] * 2)
        value, fds = waiting.result()
    assert (value, len(fds)) == ((7,), 2)
    for fd in fds:
        os.close(fd)


def test_descriptors_that_nobody_wants_are_closed(pair: Pair) -> None:
    client, peer = pair
    before = open_descriptors()
    with open("/dev/null") as null:
        waiting = in_thread(client.call, REMOTE, GET_VERSION)
        reply_with(peer, peer.take(), [null.fileno()])
        assert waiting.result() == (7,)
        with pytest.raises(VirError):
            client.call(REMOTE, GET_VERSION, timeout=0.05)
        reply_with(peer, peer.take(), [null.fileno()])
        assert client.pump(1)
        serial = client.submit(REMOTE, GET_VERSION)
        reply_with(peer, peer.take(), [null.fileno()])
        assert client.wait(serial) == (7,)
    peer.serve(lambda message: peer.reply(message, 1))
    client.call(REMOTE, GET_VERSION)
    assert open_descriptors() == before


@pytest.mark.parametrize("announced", [0, 1, 3])
def test_descriptors_that_do_not_match_their_count_end_the_connection(
    pair: Pair, announced: int
) -> None:
    client, peer = pair
    with open("/dev/null") as null:
        waiting = in_thread(client.call_fds, REMOTE, GET_VERSION, None, (), 1)
        message = peer.take()
        with contextlib.suppress(OSError):  # the client may have had enough already
            reply_with(peer, message, [null.fileno()] * 2, announced)
            if announced < 2:
                # Where the reply ends, the byte of a descriptor starts the next message.
                peer.send(bytes(40))
        try:
            _value, fds = waiting.result()
            for fd in fds:
                os.close(fd)
            with pytest.raises(VirError):
                client.call(REMOTE, GET_VERSION, timeout=1)
        except VirError:
            pass
    # The fixture looks for descriptors that are left.


def test_wrong_descriptors_are_an_error_before_anything_is_sent(connect: Connect) -> None:
    client, peer = connect()
    args = (REMOTE, OPEN_GRAPHICS, (DOMAIN, 0, 0))
    with pytest.raises(VirError) as caught:
        client.call_fds(*args, [99999])
    assert (caught.value.code, caught.value.int1) == (38, 9)
    with pytest.raises(VirError, match="Too many FDs to send 33, expected 32 maximum"):
        client.call_fds(*args, [0] * 33)
    peer.serve(lambda message: peer.reply(message, message.serial))
    assert client.call(REMOTE, GET_VERSION, timeout=5) == (0,)


def test_descriptors_need_a_unix_socket(core: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _address = server.accept()
    client = core.Client(ours.detach())
    try:
        with pytest.raises(VirError, match="not supported on this socket"):
            client.call_fds(REMOTE, OPEN_GRAPHICS, (DOMAIN, 0, 0), [0])
        peer = Peer(theirs)
        peer.serve(lambda message: peer.reply(message, 5))
        assert client.call(REMOTE, GET_VERSION, timeout=5) == (5,)
    finally:
        client.close()
        theirs.close()
