# SPDX-License-Identifier: LGPL-2.1-or-later
"""peer.py: the other end of a client's socket: a daemon that says exactly what a test tells it to.

Called by: tests/differential, tests/hostile. Calls: the pure codec and framing, as a server.
Never: waits longer than PATIENCE for the client.
"""

from __future__ import annotations

import array
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

from libvirtcore.generated.tables import PROGRAMS, TYPE_NET_ERROR
from libvirtcore.rpc.pure_decode import decode
from libvirtcore.rpc.pure_encode import encode
from libvirtcore.rpc.pure_frame import (
    CONTINUE,
    ERROR,
    MESSAGE,
    OK,
    REPLY,
    REPLY_WITH_FDS,
    STREAM,
    STREAM_HOLE,
    Frame,
    FrameReader,
    pack,
)

PATIENCE = 10.0
REMOTE = 0x20008086
KEEPALIVE = 0x6B656570
NUMBERS = {
    f"{program.name}.{procedure.name}": (program.number, number)
    for program in PROGRAMS.values()
    for number, procedure in enumerate(program.procedures)
    if procedure is not None
}


def number(name: str) -> int:
    """The number of a procedure of program remote."""
    return NUMBERS[f"remote.{name}"][1]


VERSION = number("connect_get_version")
LOOKUP = number("domain_lookup_by_name")
DOMAIN = ("test", bytes(range(16)), 1)


class Peer:
    """The daemon's end of a socket pair."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.socket.settimeout(PATIENCE)
        self.reader = FrameReader()

    def next(self) -> Frame:
        """The client's next message. Raises EOFError at its end, TimeoutError when none comes."""
        while (frame := self.reader.next()) is None:
            data, fds, _, _ = socket.recv_fds(self.socket, 65536, 40)
            if not data:
                raise EOFError
            self.reader.feed(data, fds)
        return frame

    def call(self, name: str = "") -> Frame:
        """The client's next call, of that procedure of program remote."""
        frame = self.next()
        assert not name or (frame.program, frame.proc) == (REMOTE, number(name)), frame
        return frame

    @staticmethod
    def args(call: Frame) -> Any:
        procedure = PROGRAMS[call.program].procedures[call.proc]
        assert procedure is not None
        return decode(procedure.args, call.payload)

    def raw(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send(self, frame: Frame) -> None:
        self.raw(pack(frame))
        for fd in frame.fds:
            self.send_fd(fd)

    def send_fd(self, fd: int) -> None:
        """One descriptor on a byte of its own."""
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))
        self.socket.sendmsg([b"\0"], [rights])

    def reply(self, call: Frame, value: Any = None, fds: Sequence[int] = ()) -> None:
        procedure = PROGRAMS[call.program].procedures[call.proc]
        assert procedure is not None
        kind = REPLY_WITH_FDS if fds else REPLY
        payload = encode(procedure.ret, value)
        self.send(call._replace(type=kind, status=OK, payload=payload, fds=tuple(fds)))

    def fail(self, call: Frame, code: int, domain: int, message: str) -> None:
        payload = error_payload(code, domain, message)
        self.send(call._replace(type=REPLY, status=ERROR, payload=payload, fds=()))

    def event(self, name: str, value: Any) -> None:
        program, proc = NUMBERS[f"remote.{name}"]
        procedure = PROGRAMS[program].procedures[proc]
        assert procedure is not None
        self.send(Frame(program, 1, proc, MESSAGE, 0, OK, encode(procedure.args, value)))

    def keepalive(self, proc: int) -> None:
        self.send(Frame(KEEPALIVE, 1, proc, MESSAGE, 0, OK))

    def data(self, call: Frame, payload: bytes, status: int = CONTINUE) -> None:
        self.send(call._replace(type=STREAM, status=status, payload=payload, fds=()))

    def hole(self, call: Frame, payload: bytes) -> None:
        self.send(call._replace(type=STREAM_HOLE, status=CONTINUE, payload=payload, fds=()))

    def close(self) -> None:
        self.reader.close()
        self.socket.close()


def error_payload(code: int, domain: int, message: str) -> bytes:
    fields = (code, domain, message, 2, None, "%s", message, None, -1, -1, None)
    return encode(TYPE_NET_ERROR, fields)


class Acting:
    """A peer that plays its part in a thread; what it raises is raised again at `join`."""

    def __init__(self, play: Callable[[], None]) -> None:
        self._play = play
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._play()
        except BaseException as problem:
            self._problem = problem

    def join(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the peer still waits for the client"
        if self._problem is not None:
            raise self._problem
