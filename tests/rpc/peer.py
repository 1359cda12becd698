# SPDX-License-Identifier: LGPL-2.1-or-later
"""peer.py: the daemon's end of a socketpair, in the hands of the test.

It speaks with `struct` and the tables alone, so that it shares no code with what it tests but the
value codec of the pure core.
Called by: the tests of this folder. Never: answers by itself, except in `serve`.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from libvirtcore.generated.tables import PROGRAMS, TYPE_NET_ERROR
from libvirtcore.rpc.pure_encode import encode

REMOTE, KEEPALIVE = 0x20008086, 0x6B656570
CALL, REPLY, MESSAGE, STREAM, CALL_WITH_FDS, REPLY_WITH_FDS, HOLE = range(7)
OK, ERROR, CONTINUE = range(3)
PING, PONG = 1, 2

# Procedures that the tests use.
GET_VERSION = 4  # () -> (hypervisor version,)
LOOKUP_BY_NAME = 23  # (name,) -> (domain,)
GET_HOSTNAME = 59  # () -> (hostname,)
GET_BLKIO_PARAMETERS = 206  # (domain, nparams, flags) -> (params, nparams)
DOMAIN_EVENT = 107  # event: dom, event, detail
OPEN_GRAPHICS_FD = 343  # (domain, index, flags), a descriptor comes back
OPEN_GRAPHICS = 249  # (domain, index, flags), a descriptor goes along
VOL_UPLOAD, VOL_DOWNLOAD = 208, 209

DOMAIN = ("vm", bytes(range(16)), 7)
VOLUME = ("pool", "vol", "/key")


class Message(NamedTuple):
    program: int
    version: int
    proc: int
    type: int
    serial: int
    status: int
    payload: bytes


def pack(
    proc: int,
    type: int,
    serial: int,
    status: int = OK,
    payload: bytes = b"",
    program: int = REMOTE,
    version: int = 1,
) -> bytes:
    return (
        struct.pack(">7I", 28 + len(payload), program, version, proc, type, serial, status)
        + payload
    )


def result(proc: int, *fields: Any) -> bytes:
    """The XDR of what a procedure returns."""
    procedure = PROGRAMS[REMOTE].procedures[proc]
    assert procedure is not None
    return encode(procedure.ret, fields) if procedure.ret else b""


def event(proc: int, *fields: Any) -> bytes:
    """A whole event message."""
    procedure = PROGRAMS[REMOTE].procedures[proc]
    assert procedure is not None and procedure.kind == 2
    return pack(proc, MESSAGE, 0, OK, encode(procedure.args, fields))


def error_payload(code: int, domain: int, message: str) -> bytes:
    return encode(
        TYPE_NET_ERROR,
        (code, domain, message, 2, None, "%s", message, None, -1, -1, None),
    )


class Peer:
    """One end of the pair; what it received but did not ask for yet stays in the kernel."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.settimeout(10)

    def exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.sock.recv(count - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def take(self) -> Message:
        (length,) = struct.unpack(">I", self.exactly(4))
        body = self.exactly(length - 4)
        program, version, proc, kind, serial, status = struct.unpack(">6I", body[:24])
        return Message(program, version, proc, kind, serial, status, body[24:])

    def take_fds(self, count: int) -> list[int]:
        """Descriptors as libvirt sends them: one byte each."""
        got: list[int] = []
        while len(got) < count:
            data, fds, _flags, _address = socket.recv_fds(self.sock, 1, 1)
            assert data == b"\0"
            got += fds
        return got

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send_fd(self, fd: int) -> None:
        socket.send_fds(self.sock, [b"\0"], [fd])

    def reply(self, message: Message, *fields: Any) -> None:
        self.send(pack(message.proc, REPLY, message.serial, OK, result(message.proc, *fields)))

    def fail(self, message: Message, code: int, domain: int, text: str) -> None:
        self.send(
            pack(message.proc, REPLY, message.serial, ERROR, error_payload(code, domain, text))
        )

    def close(self) -> None:
        self.sock.close()

    def serve(self, answer: Callable[[Message], None]) -> threading.Thread:
        """A thread that gives every message to `answer` until the client hangs up."""

        def run() -> None:
            try:
                while True:
                    answer(self.take())
            except (EOFError, OSError):
                pass

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread


def in_thread(function: Callable[..., Any], *args: Any) -> Running:
    return Running(function, args)


class Running:
    """A function in a thread of its own, and what became of it."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._value: Any = None
        self._error: BaseException | None = None

        def run() -> None:
            try:
                self._value = function(*args)
            except BaseException as error:
                self._error = error

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def result(self, timeout: float = 10) -> Any:
        self.thread.join(timeout)
        assert not self.thread.is_alive(), "still waiting"
        if self._error is not None:
            raise self._error
        return self._value
