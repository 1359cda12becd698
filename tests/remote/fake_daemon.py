# SPDX-License-Identifier: LGPL-2.1-or-later
"""fake_daemon.py: a daemon on a UNIX socket that answers calls by rule and writes down the rest.

`replies` maps a procedure's name to its reply tuple, to a function of the arguments, or to a
VirError to answer with. A procedure without an entry is unknown to it, as to an old daemon.
Called by: tests of drivers.remote.
Never: judges; what it was asked is in `calls`.
"""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.generated.tables import PROGRAMS, TYPE_NET_ERROR
from libvirtcore.rpc.pure_decode import decode
from libvirtcore.rpc.pure_encode import encode
from libvirtcore.rpc.pure_frame import CALL, ERROR, OK, REPLY, Frame, FrameReader, pack

REMOTE = 0x20008086
UUID = bytes(range(16))


def standard() -> dict[str, Any]:
    """What every daemon of today answers."""
    return {
        "auth_list": ([0],),
        "connect_open": None,
        "connect_close": None,
        "connect_supports_feature": (1,),
        "connect_get_uri": ("qemu:///system",),
        "connect_get_type": ("QEMU",),
        "connect_is_secure": (1,),
        "domain_lookup_by_name": lambda args: ((args[0], UUID, 1),),
        "domain_get_info": (1, 2, 3, 4, 5),
        "domain_rename": (0,),
    }


class Conversation:
    """One client; `ended` is set when it has gone."""

    def __init__(self, daemon: FakeDaemon, connection: socket.socket) -> None:
        self._daemon = daemon
        self.connection = connection

    def run(self) -> None:
        frames = FrameReader()
        try:
            while data := self.connection.recv(1 << 16):
                frames.feed(data)
                while (frame := frames.next()) is not None:
                    self._answer(frame)
        except OSError:
            pass
        finally:
            self.connection.close()

    def _answer(self, frame: Frame) -> None:
        procedure = PROGRAMS[frame.program].procedures[frame.proc]
        assert procedure is not None
        assert frame.type == CALL
        args = decode(procedure.args, frame.payload)
        self._daemon.calls.append((procedure.name, args))
        answer: Any
        if procedure.name not in self._daemon.replies:
            answer = report(c.VIR_ERR_RPC, c.VIR_FROM_REMOTE, f"unknown procedure: {frame.proc}")
            answer.message = answer.message.removeprefix("RPC error: ")
        else:
            answer = self._daemon.replies[procedure.name]
            if callable(answer):
                answer = answer(args)
        if answer is FakeDaemon.SILENCE:
            return
        if answer is FakeDaemon.HANG_UP:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if isinstance(answer, VirError):
            payload, status = encode(TYPE_NET_ERROR, answer.to_wire()), ERROR
        else:
            payload, status = encode(procedure.ret, answer), OK
        self.connection.sendall(pack(frame._replace(type=REPLY, status=status, payload=payload)))


class FakeDaemon:
    """Listens at `path` until closed."""

    SILENCE = object()
    HANG_UP = object()

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls: list[tuple[str, Any]] = []
        self.replies = standard()
        self._clients: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def names(self) -> list[str]:
        return [name for name, _args in self.calls]

    def _serve(self) -> None:
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            self._clients.append(connection)
            threading.Thread(target=Conversation(self, connection).run, daemon=True).start()

    def close(self) -> None:
        """Vanish: clients meet the end of the stream."""
        for one in (self._listener, *self._clients):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()
