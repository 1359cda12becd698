# SPDX-License-Identifier: LGPL-2.1-or-later
"""paper_server.py: the interface of core_server.Server in a page of Python, for tests of sessions.

One thread per client reads whole messages and serves them in order; pings are answered. It trusts
its clients, has no limits, and so tests nothing but what stands behind it.
Called by: tests of this folder. Never: used where the real server can be.
"""

from __future__ import annotations

import array
import os
import socket
import struct
import threading
from typing import Any

from libvirtcore.core_server import CALL, STREAM
from libvirtcore.generated.limits import VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX
from libvirtcore.generated.tables import PROGRAMS, TYPE_NET_ERROR, TYPE_STREAM_HOLE
from libvirtcore.rpc.pure_decode import decode
from libvirtcore.rpc.pure_encode import encode
from libvirtd.identity import Identity
from libvirtd.services import SERVICES
from libvirtd.session import Session

HEADER = struct.Struct(">IIIiIIi")  # length, program, version, procedure, type, serial, status
KEEPALIVE = 0x6B656570
REPLY, EVENT, STREAM_DATA, CALL_FDS, REPLY_FDS, HOLE = 1, 2, 3, 4, 5, 6


class Peer:
    """One client, and at the same time the Worker of its thread."""

    def __init__(self, server: PaperServer, sock: socket.socket, number: int) -> None:
        self.server = server
        self.sock = sock
        self.client = number
        self.lock = threading.Lock()
        self.fds: list[int] = []
        self.kind = CALL
        self.left: tuple[int, int, bytes, list[int]] | None = None
        self.session = Session(server, number, server.service, Identity(0, 0, os.getpid()))  # type: ignore[arg-type]

    # --- as a Worker --------------------------------------------------------------------------

    def reply(self, value: Any = None, fds: Any = ()) -> None:
        offset = self._row().ret
        data = encode(offset, value) if offset else b""
        kept = [os.dup(fd) for fd in fds]
        self.left = (REPLY_FDS if kept else REPLY, 0, data, kept)

    def fail(self, error_wire: tuple[Any, ...]) -> None:
        status = encode(TYPE_NET_ERROR, error_wire)
        self.left = (REPLY, 1, status, [])

    def flush(self) -> None:
        if self.left is not None:
            type, status, data, fds = self.left
            self.left = None
            if fds:
                data = struct.pack(">I", len(fds)) + data
            self.send(self.program, self.procedure, type, self.serial, status, data, fds)

    def detach(self) -> object:
        return self

    def _row(self) -> Any:
        return PROGRAMS[self.program].procedures[self.procedure]

    # --- the wire -----------------------------------------------------------------------------

    def send(
        self,
        program: int,
        procedure: int,
        type: int,
        serial: int,
        status: int,
        data: bytes,
        fds: list[int] = [],  # noqa: B006 (never changed)
    ) -> None:
        head = HEADER.pack(28 + len(data), program, 1, procedure, type, serial, status)
        with self.lock:
            try:
                self.sock.sendall(head + data)
                for fd in fds:
                    rights = array.array("i", [fd])
                    self.sock.sendmsg(
                        [b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights.tobytes())]
                    )
                    os.close(fd)
            except OSError:
                return

    def run(self) -> None:
        try:
            while self._one():
                pass
        except OSError:
            return
        finally:
            self.session.close()
            self.sock.close()

    def _one(self) -> bool:
        head = self._read(28)
        if len(head) < 28:
            return False
        length, self.program, _version, self.procedure, type, self.serial, status = HEADER.unpack(
            head
        )
        data = self._read(length - 28)
        if self.program == KEEPALIVE:
            if self.procedure == 1:
                self.send(KEEPALIVE, 2, EVENT, 0, 0, b"")
            return True
        if type in (STREAM_DATA, HOLE):
            self.kind, self.type, self.status, self.data = STREAM, type, status, data
            if type == HOLE:
                self.length, self.flags = decode(TYPE_STREAM_HOLE, data)
            self.session.stream(self)  # type: ignore[arg-type]
            return True
        if type == CALL_FDS:
            (count,) = struct.unpack(">I", data[:4])
            data = data[4:]
            self.fds = [self._descriptor() for _ in range(count)]
        self.kind = CALL
        row = self._row()
        self.value = decode(row.args, data) if row.args else None
        self.session.call(self)  # type: ignore[arg-type]
        self.flush()
        self.fds = []
        return True

    def _read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            more = self.sock.recv(length - len(data))
            if not more:
                return data
            data += more
        return data

    def _descriptor(self) -> int:
        _, rights, _, _ = self.sock.recvmsg(1, socket.CMSG_SPACE(4))
        return int.from_bytes(rights[0][2][:4], "little")


class PaperServer:
    """Listens on a UNIX socket until it is closed."""

    def __init__(self, path: str, readonly: bool = False) -> None:
        self.service = SERVICES[1 if readonly else 0]
        self.peers: dict[int, Peer] = {}
        self.path = path
        self.held = 0  # what `unsent` claims
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            number = len(self.peers) + 1
            peer = self.peers[number] = Peer(self, sock, number)
            threading.Thread(target=peer.run, daemon=True).start()

    def close(self) -> None:
        self.listener.close()
        for peer in self.peers.values():
            try:
                peer.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        os.unlink(self.path)

    # --- as a Server --------------------------------------------------------------------------

    def event(self, client: int, program: int, procedure: int, value: Any) -> bool:
        row = PROGRAMS[program].procedures[procedure]
        assert row is not None
        self.peers[client].send(program, procedure, EVENT, 0, 0, encode(row.args, value))
        return True

    def stream_data(
        self, client: int, program: int, procedure: int, serial: int, data: bytes
    ) -> bool:
        size = VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX
        for at in range(0, max(len(data), 1), size):
            part = data[at : at + size]
            self.peers[client].send(program, procedure, STREAM_DATA, serial, 2, part)
        return True

    def stream_hole(
        self, client: int, program: int, procedure: int, serial: int, length: int, flags: int = 0
    ) -> bool:
        hole = encode(TYPE_STREAM_HOLE, (length, flags))
        self.peers[client].send(program, procedure, HOLE, serial, 2, hole)
        return True

    def stream_end(self, client: int, program: int, procedure: int, serial: int) -> bool:
        self.peers[client].send(program, procedure, STREAM_DATA, serial, 0, b"")
        return True

    def stream_error(
        self, client: int, program: int, procedure: int, serial: int, error: tuple[Any, ...]
    ) -> bool:
        data = encode(TYPE_NET_ERROR, error)
        self.peers[client].send(program, procedure, STREAM_DATA, serial, 1, data)
        return True

    def unsent(self, client: int) -> int:
        return self.held

    def want_drained(self, client: int, below: int = 0) -> bool:
        return True

    def answer(self, ticket: Any, value: Any = None, error: Any = None, fds: Any = ()) -> bool:
        return True

    def keepalive_start(self, client: int) -> bool:
        return True

    def authenticated(self, client: int) -> bool:
        return True

    def close_client(self, client: int, flush: bool = False) -> None:
        self.peers[client].sock.shutdown(socket.SHUT_RDWR)
