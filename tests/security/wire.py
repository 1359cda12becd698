# SPDX-License-Identifier: LGPL-2.1-or-later
"""wire.py: a client of the daemon that sends whatever bytes a test wants, and looks at the answers.

`Raw` speaks with struct and the tables alone; `Answer` is what came back for one call.
Called by: the tests of tests/security and tests/faults. Never: checks what it sends.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from libvirtcore.generated.field_names import NAMES
from libvirtcore.generated.tables import PROGRAMS, TYPE_NET_ERROR
from libvirtcore.rpc.pure import decode
from libvirtcore.rpc.pure_encode import encode
from tests.libvirtd_dispatch import plausible
from tests.libvirtd_dispatch.plausible import LXC, QEMU, REMOTE
from tests.rpc.peer import CALL, CALL_WITH_FDS, ERROR, MESSAGE, OK, REPLY, REPLY_WITH_FDS, pack

__all__ = [
    "FAULT_OF_OURS",
    "LXC",
    "QEMU",
    "REMOTE",
    "Answer",
    "Raw",
    "calls",
    "encoded",
    "field_names",
    "numbers",
]

CONNECT_OPEN = 1
FAULT_OF_OURS = "the daemon failed at this call"


class Answer(NamedTuple):
    """What one call was answered: the error's code and text (0 and "" for none), the bytes."""

    code: int
    text: str
    payload: bytes

    @property
    def refused(self) -> bool:
        return self.code != 0


class Raw:
    """A connection on which anything may be said."""

    def __init__(self, path: Path | str, seconds: float = 20.0) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(seconds)
        self.sock.connect(str(path))
        self.serial = 0

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()

    def open(self, uri: str = "test:///default", flags: int = 0) -> Raw:
        answer = self.ask(REMOTE, CONNECT_OPEN, encode(_args(REMOTE, CONNECT_OPEN), (uri, flags)))
        assert not answer.refused, answer
        return self

    def call(self, program: int, number: int, args: Any = None) -> Answer:
        """Make a call as a client does, with the descriptors it needs."""
        procedure = PROGRAMS[program].procedures[number]
        assert procedure is not None
        payload = encode(procedure.args, args) if procedure.args else b""
        return self.ask(program, number, payload, with_fd=bool(procedure.fds & 1))

    def ask(
        self,
        program: int,
        number: int,
        payload: bytes = b"",
        *,
        type: int = CALL,
        status: int = OK,
        version: int = 1,
        with_fd: bool = False,
    ) -> Answer:
        """Send a message and wait for the reply that bears its serial."""
        self.serial += 1
        if with_fd:
            type, payload = CALL_WITH_FDS, struct.pack(">I", 1) + payload
        self.sock.sendall(pack(number, type, self.serial, status, payload, program, version))
        if with_fd:
            null = os.open(os.devnull, os.O_RDWR)
            try:
                socket.send_fds(self.sock, [b"\0"], [null])
            finally:
                os.close(null)
        return self.wait(self.serial)

    def wait(self, serial: int) -> Answer:
        while True:
            kind, got, status, payload = self.take()
            if kind in (REPLY, REPLY_WITH_FDS) and got == serial:
                break
            assert kind == MESSAGE or got != serial or kind > REPLY
        if status == ERROR:
            fields = decode(TYPE_NET_ERROR, payload)
            return Answer(fields[0], fields[2] or "", payload)
        return Answer(0, "", payload)

    def take(self) -> tuple[int, int, int, bytes]:
        """The next message: type, serial, status, payload. Raises: EOFError."""
        (length,) = struct.unpack(">I", self.exactly(4))
        body = self.exactly(length - 4)
        kind, serial, status = struct.unpack(">3I", body[12:24])
        payload = body[24:]
        if kind == REPLY_WITH_FDS:
            (count,) = struct.unpack(">I", payload[:4])
            payload = payload[4:]
            for _ in range(count):
                _data, fds, _flags, _address = socket.recv_fds(self.sock, 1, 1)
                for fd in fds:
                    os.close(fd)
        return kind, serial, status, payload

    def exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            part = self.sock.recv(min(count - len(data), 1 << 20))
            if not part:
                raise EOFError
            data += part
        return bytes(data)

    def alive(self) -> bool:
        """Whether it is still a connection that answers."""
        return not self.ask(REMOTE, 60, encode(_args(REMOTE, 60), (14,))).refused


def _args(program: int, number: int) -> int:
    procedure = PROGRAMS[program].procedures[number]
    assert procedure is not None
    return procedure.args


def numbers() -> dict[str, tuple[int, int]]:
    """Name of a procedure → its program and number."""
    return {name: (program, number) for program, number, name in calls()}


def calls() -> Iterator[tuple[int, int, str]]:
    """Everything that can be called: program, number, name."""
    return plausible.calls()


def encoded(program: int, number: int, args: Sequence[Any] | None) -> bytes:
    offset = _args(program, number)
    return encode(offset, args) if offset else b""


def field_names(program: int, number: int) -> tuple[str, ...]:
    """The names of a call's arguments."""
    return tuple(NAMES[program, number][0]) if _args(program, number) else ()
