# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_server_hostile.py: what no client may send is answered or punished as libvirtd 9.0 does.

The answers were observed from the real daemon; README.md lists what we do otherwise.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest

from libvirtcore.generated.tables import TYPE_NET_ERROR
from libvirtcore.rpc.pure import decode
from tests.rpc.peer import (
    CALL,
    CALL_WITH_FDS,
    CONTINUE,
    DOMAIN_EVENT,
    ERROR,
    GET_VERSION,
    HOLE,
    KEEPALIVE,
    LOOKUP_BY_NAME,
    MESSAGE,
    OK,
    PING,
    PONG,
    REMOTE,
    REPLY,
    REPLY_WITH_FDS,
    STREAM,
    VOL_UPLOAD,
    Message,
    Peer,
    pack,
)
from tests.rpc_server.toy import Toy

NAME = b"\0\0\0\2vm\0\0"
AUTH_LIST, SASL_INIT = 66, 67


def refusal(message: str) -> tuple[Any, ...]:
    return (39, 7, message, 2, None, "%s", message, None, -1, -1, None)


def is_alive(peer: Peer) -> bool:
    """Whether it still answers; whatever came before must have been taken."""
    peer.send(pack(LOOKUP_BY_NAME, CALL, 99, payload=NAME))
    return peer.take()[4:6] == (99, OK)


def is_gone(peer: Peer) -> bool:
    try:
        peer.take()
    except (EOFError, ConnectionError):
        return True
    return False


REFUSED = {
    "unknown program": (pack(4, CALL, 7, program=0x12345), "Cannot find program 74565 version 1"),
    "a program that is not served": (
        pack(1, CALL, 7, program=110102160),
        "Cannot find program 110102160 version 1",
    ),
    "wrong version": (pack(4, CALL, 7, version=2), "Cannot find program 536903814 version 2"),
    "keepalive as a call": (
        pack(PING, CALL, 7, program=KEEPALIVE),
        "Cannot find program 1801807216 version 1",
    ),
    "unknown procedure": (pack(9999, CALL, 7), "unknown procedure: 9999"),
    "procedure 0": (pack(0, CALL, 7), "unknown procedure: 0"),
    "event as a call": (pack(DOMAIN_EVENT, CALL, 7, OK, bytes(60)), "unknown procedure: 107"),
    "call with status error": (pack(4, CALL, 7, ERROR), "Unexpected message status 1"),
    "call with status continue": (pack(4, CALL, 7, CONTINUE), "Unexpected message status 2"),
    "call with status 77": (pack(4, CALL, 7, 77), "Unexpected message status 77"),
    "no arguments": (pack(LOOKUP_BY_NAME, CALL, 7), "Unable to decode message payload"),
    "cut arguments": (
        pack(LOOKUP_BY_NAME, CALL, 7, OK, b"\0\0"),
        "Unable to decode message payload",
    ),
    "huge string": (
        pack(LOOKUP_BY_NAME, CALL, 7, OK, b"\xff\xff\xff\xff"),
        "Unable to decode message payload",
    ),
    "string longer than the message": (
        pack(LOOKUP_BY_NAME, CALL, 7, OK, b"\0\0\1\0vm"),
        "Unable to decode message payload",
    ),
    "no UTF-8": (
        pack(LOOKUP_BY_NAME, CALL, 7, OK, b"\0\0\0\2\xff\xfe\0\0"),
        "Unable to decode message payload",
    ),
    "NUL in a string": (
        pack(LOOKUP_BY_NAME, CALL, 7, OK, b"\0\0\0\4te\0t"),
        "Unable to decode message payload",
    ),
    "more than the arguments": (
        pack(LOOKUP_BY_NAME, CALL, 7, OK, NAME + bytes(4)),
        "Unable to decode message payload",
    ),
    "more than no arguments": (pack(4, CALL, 7, OK, bytes(8)), "Unable to decode message payload"),
    "unknown program with descriptors": (
        pack(4, CALL_WITH_FDS, 7, OK, bytes(4), program=5),
        "Cannot find program 5 version 1",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_call_is_refused(toy: Toy, name: str) -> None:
    data, text = REFUSED[name]
    peer = toy.peer()
    peer.send(data)
    reply = peer.take()
    program, version, proc = struct.unpack(">3I", data[4:16])
    assert reply[:6] == Message(program, version, proc, REPLY, 7, ERROR, b"")[:6]
    assert decode(TYPE_NET_ERROR, reply.payload) == refusal(text)
    assert is_alive(peer)
    assert toy.server.stats()["refused"] == 1
    peer.close()


IGNORED = {
    "reply": pack(4, REPLY, 7),
    "reply of an unknown procedure": pack(9999, REPLY, 7),
    "reply with descriptors": pack(4, REPLY_WITH_FDS, 7, OK, bytes(4)),
    "event": pack(DOMAIN_EVENT, MESSAGE, 7),
    "message": pack(4, MESSAGE, 7),
    "stream message of a procedure without": pack(4, STREAM, 7, CONTINUE, b"abc"),
    "hole of a procedure without": pack(4, HOLE, 7, CONTINUE, bytes(12)),
    "stream message of an unknown procedure": pack(9999, STREAM, 7, CONTINUE, b"abc"),
    "stream message of an unknown program": pack(208, STREAM, 7, CONTINUE, b"abc", program=5),
    "type 7": pack(4, 7, 7),
    "type 2**32 - 1": pack(4, 2**32 - 1, 7),
    "unknown program, message": pack(4, MESSAGE, 7, program=5),
    "unknown program, reply": pack(4, REPLY, 7, program=5),
    "unknown program, type 7": pack(4, 7, 7, program=5),
    "PONG": pack(PONG, MESSAGE, 0, program=KEEPALIVE),
    "keepalive procedure 3": pack(3, MESSAGE, 0, program=KEEPALIVE),
    "keepalive version 2": pack(PING, MESSAGE, 0, program=KEEPALIVE, version=2),
}


@pytest.mark.parametrize("name", IGNORED)
def test_message_is_ignored(toy: Toy, name: str) -> None:
    peer = toy.peer()
    peer.send(IGNORED[name])
    assert is_alive(peer)
    peer.close()


@pytest.mark.parametrize("data", [
    pack(PING, MESSAGE, 0, program=KEEPALIVE),
    pack(PING, MESSAGE, 9, program=KEEPALIVE),
    pack(PING, MESSAGE, 0, ERROR, program=KEEPALIVE),
    pack(PING, MESSAGE, 0, OK, b"1234", program=KEEPALIVE),
])  # fmt: skip
@pytest.mark.parametrize("trusted", [True, False])
def test_ping_is_answered(make_toy: Callable[..., Toy], data: bytes, trusted: bool) -> None:
    peer = make_toy(trusted=trusted).peer()
    peer.send(data)
    assert peer.take() == Message(KEEPALIVE, 1, PONG, MESSAGE, 0, OK, b"")
    peer.close()


FATAL = {
    "length 0": bytes(4),
    "length 24": struct.pack(">I", 24) + bytes(20),
    "length 27": struct.pack(">I", 27) + bytes(23),
    "length 2**31 - 1": struct.pack(">I", 2**31 - 1),
    "length 2**32 - 1": b"\xff\xff\xff\xff",
    "one byte too long": struct.pack(">I", 33554432 + 5),
    "HTTP": b"GET / HTTP/1.0\r\n\r\n",
    "TLS": bytes.fromhex("1603010200010001fc0303"),
    "33 descriptors": pack(4, CALL_WITH_FDS, 7, OK, struct.pack(">I", 33)),
    "2**32 - 1 descriptors": pack(4, CALL_WITH_FDS, 7, OK, b"\xff\xff\xff\xff"),
    "no count of descriptors": pack(4, CALL_WITH_FDS, 7),
    "a descriptor that did not come": pack(4, CALL_WITH_FDS, 7, OK, b"\0\0\0\1") + b"\0",
    "hole of 8 bytes": pack(VOL_UPLOAD, HOLE, 7, CONTINUE, bytes(8)),
}


@pytest.mark.parametrize("name", FATAL)
def test_connection_is_closed(toy: Toy, name: str) -> None:
    peer, other = toy.peer(), toy.peer()
    peer.send(FATAL[name])
    assert is_gone(peer)
    assert is_alive(other)
    toy.until(lambda: toy.closed)
    peer.close()
    other.close()


def test_descriptor_that_belongs_to_no_message_closes(toy: Toy) -> None:
    peer = toy.peer()
    with socket.socket() as sock:
        socket.send_fds(peer.sock, [pack(4, CALL, 1)], [sock.fileno()])
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # closed already
            peer.send_fd(sock.fileno())
    while not is_gone(peer):
        pass
    peer.close()


# --- the gate -------------------------------------------------------------------------------------


def test_gate_lets_authentication_pass_and_nothing_else(make_toy: Callable[..., Toy]) -> None:
    toy = make_toy(trusted=False)
    toy.calls[AUTH_LIST] = lambda worker: worker.reply(([0],))
    toy.calls[SASL_INIT] = lambda worker: worker.reply(("",))
    peer = toy.peer()
    for proc in range(1, 300):
        if proc in (66, 67, 68, 69, 70):
            continue
        peer.send(pack(proc, CALL, proc))
        error = decode(TYPE_NET_ERROR, peer.take().payload)
        assert error in (refusal("authentication required"), refusal(f"unknown procedure: {proc}"))
    peer.send(pack(VOL_UPLOAD, STREAM, 1, CONTINUE, b"x"))
    peer.send(pack(1, CALL, 1, program=REMOTE + 1))
    assert decode(TYPE_NET_ERROR, peer.take().payload) == refusal("authentication required")
    peer.send(pack(AUTH_LIST, CALL, 1))
    assert peer.take().status == OK
    assert toy.server.stats()["calls"] == 1
    assert toy.server.authenticated(toy.accepted[0])
    assert is_alive(peer)
    peer.close()


def test_gate_bounds_messages(make_toy: Callable[..., Toy]) -> None:
    """Who is not known yet makes nobody hold megabytes."""
    toy = make_toy(trusted=False)
    peer = toy.peer()
    peer.send(struct.pack(">I", (256 << 10) + 1) + bytes(100))
    assert is_gone(peer)
    peer.close()


# --- everywhere -----------------------------------------------------------------------------------

SESSION = (
    pack(GET_VERSION, CALL, 0)
    + pack(PING, MESSAGE, 0, program=KEEPALIVE)
    + pack(LOOKUP_BY_NAME, CALL, 1, payload=NAME)
    + pack(VOL_UPLOAD, STREAM, 1, CONTINUE, b"data")
    + pack(4, CALL_WITH_FDS, 2, OK, bytes(4))
)


def test_close_after_every_byte(toy: Toy) -> None:
    for size in range(len(SESSION) + 1):
        peer = toy.peer()
        peer.send(SESSION[:size])
        peer.close()
    toy.until(lambda: len(toy.closed) == len(SESSION) + 1)
    peer = toy.peer()
    assert is_alive(peer)
    peer.close()


def test_every_byte_wrong(toy: Toy) -> None:
    for at in range(len(SESSION)):
        for change in (0x01, 0x80, 0xFF):
            peer = toy.peer()
            data = bytearray(SESSION)
            data[at] ^= change
            peer.send(bytes(data))
            peer.sock.shutdown(socket.SHUT_WR)
            while not is_gone(peer):
                pass
            peer.close()
    toy.until(lambda: len(toy.closed) == 3 * len(SESSION))


def test_noise(toy: Toy) -> None:
    rng = random.Random(7)
    for _ in range(300):
        peer = toy.peer()
        try:
            peer.send(struct.pack(">I", rng.randrange(28, 90)) + rng.randbytes(rng.randrange(200)))
        except OSError:
            pass
        peer.close()
    toy.until(lambda: len(toy.closed) == 300)


def test_flood_of_pings_is_no_flood_of_pongs(toy: Toy) -> None:
    """Somebody who asks without reading costs one answer's memory."""
    peer = toy.peer()
    peer.sock.setblocking(False)
    ping = pack(PING, MESSAGE, 0, program=KEEPALIVE) * 1000
    sent = 0
    for _ in range(100):
        try:
            sent += peer.sock.send(ping)
        except BlockingIOError:
            pass
        assert toy.server.unsent(toy.server.clients()[0].id) < 100
    assert sent > 28000
    peer.close()
