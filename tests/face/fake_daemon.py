# SPDX-License-Identifier: LGPL-2.1-or-later
"""fake_daemon.py: the far end of a remote connection: answers calls by rule, sends any event.

It speaks through the pure codec and framing, on one end of a socket pair, in a thread.
Called by: tests of remote events and streams. Never: judges; what it got is in `calls`.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

from libvirtcore.generated.tables import PROGRAMS, TYPE_NET_ERROR, TYPE_STREAM_HOLE
from libvirtcore.rpc.pure_decode import decode
from libvirtcore.rpc.pure_encode import encode
from libvirtcore.rpc.pure_frame import (
    CALL,
    CONTINUE,
    ERROR,
    MESSAGE,
    OK,
    REPLY,
    STREAM,
    STREAM_HOLE,
    Frame,
    FrameReader,
    pack,
)

REMOTE, QEMU, KEEPALIVE = 0x20008086, 0x20008087, 0x6B656570
PROCEDURES = {
    program.number: {p.name: n for n, p in enumerate(program.procedures) if p is not None}
    for program in PROGRAMS.values()
}


class FakeDaemon:
    """Answers with what `replies` has for a procedure, a value or a function of its arguments."""

    def __init__(self, features: tuple[int, ...] = (10, 14, 15)) -> None:
        self.features = features
        self.calls: list[tuple[str, Any]] = []
        self.stream_data: list[bytes | int] = []  # what clients sent, holes as numbers
        self.next_number = 100
        self.replies: dict[str, Any] = {
            "connect_supports_feature": lambda args: (int(args[0] in self.features),),
            "connect_domain_event_register": (1,),
            "connect_domain_event_deregister": (0,),
        }
        self.after: dict[str, Callable[[], None]] = {}
        self.pongs = True
        ours, self.client_end = socket.socketpair()
        self._socket = ours
        self._lock = threading.Lock()
        self._frames = FrameReader()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave without a word."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._thread.join(5)
        self._socket.close()

    # -- sending -------------------------------------------------------------------------------

    def event(self, name: str, message: tuple[Any, ...], program: int = REMOTE) -> None:
        number = PROCEDURES[program][name]
        procedure = PROGRAMS[program].procedures[number]
        assert procedure is not None
        self._send(Frame(program, 1, number, MESSAGE, 0, OK, encode(procedure.args, message)))

    def stream(self, head: Frame, data: bytes) -> None:
        self._send(Frame(*head[:3], STREAM, head.serial, CONTINUE if data else OK, data))

    def hole(self, head: Frame, length: int) -> None:
        payload = encode(TYPE_STREAM_HOLE, (length, 0))
        self._send(Frame(*head[:3], STREAM_HOLE, head.serial, CONTINUE, payload))

    def end_of_stream(self, head: Frame) -> None:
        self._send(Frame(*head[:3], STREAM, head.serial, CONTINUE, b""))

    def _send(self, frame: Frame) -> None:
        with self._lock:
            self._socket.sendall(pack(frame))

    # -- answering -----------------------------------------------------------------------------

    def _serve(self) -> None:
        while True:
            try:
                data = self._socket.recv(1 << 16)
            except OSError:
                return
            if not data:
                return
            self._frames.feed(data)
            while (frame := self._frames.next()) is not None:
                self._take(frame)

    def _take(self, frame: Frame) -> None:
        if frame.program == KEEPALIVE:
            if self.pongs and frame.proc == 1:
                self._send(Frame(KEEPALIVE, 1, 2, MESSAGE, 0, OK))
            return
        procedure = PROGRAMS[frame.program].procedures[frame.proc]
        assert procedure is not None
        if frame.type == STREAM_HOLE:
            self.stream_data.append(decode(TYPE_STREAM_HOLE, frame.payload)[0])
            return
        if frame.type == STREAM:
            if frame.status == CONTINUE:
                self.stream_data.append(frame.payload)
            else:  # finish or abort: confirm
                self.calls.append(("stream " + ("finish" if frame.status == OK else "abort"), None))
                self._send(Frame(*frame[:3], STREAM, frame.serial, OK))
            return
        assert frame.type == CALL
        args = decode(procedure.args, frame.payload) if procedure.args else None
        self.calls.append((procedure.name, args))
        reply = self.replies.get(procedure.name)
        if callable(reply):
            reply = reply(args)
        if reply is None and procedure.ret:
            if not procedure.name.endswith(("register_any", "event_register")):
                self._fail(frame, f"no rule for {procedure.name}")
                return
            reply = (self.next_number,)
            self.next_number += 1
        payload = encode(procedure.ret, reply) if procedure.ret else b""
        before = self.after.get(procedure.name + " before")
        if before is not None:
            before()
        self._send(Frame(*frame[:3], REPLY, frame.serial, OK, payload))
        later = self.after.get(procedure.name)
        if later is not None:
            later()
        if procedure.stream:
            self.opened = frame

    def _fail(self, frame: Frame, text: str) -> None:
        error = (1, 7, text, 2, None, None, None, None, -1, -1, None)
        payload = encode(TYPE_NET_ERROR, error)
        self._send(Frame(*frame[:3], REPLY, frame.serial, ERROR, payload))
