# SPDX-License-Identifier: LGPL-2.1-or-later
"""proxy.py: stands between client and daemon, counts, records, and talks in between.

`max_in_flight` is the most calls that were ever without an answer; `pongs` counts the answers to
the PINGs that the proxy slips in after every `ping_every` replies. `recorded` are the bytes of both
directions as (direction, data) in the order they passed.
Called by: the tests of this folder. Never: changes what client and daemon say.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from pathlib import Path

KEEPALIVE = 0x6B656570
CALL, REPLY, MESSAGE = 0, 1, 2
PING = struct.pack(">7I", 28, KEEPALIVE, 1, 1, MESSAGE, 0, 0)


class _Frames:
    """Cuts bytes into whole messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        self._rest += data
        whole = []
        while len(self._rest) >= 4:
            (length,) = struct.unpack_from(">I", self._rest)
            if len(self._rest) < length:
                break
            whole.append(self._rest[:length])
            self._rest = self._rest[length:]
        return whole


class Proxy:
    """Serves any number of clients, one thread for each direction."""

    def __init__(
        self, daemon: Path, path: Path | None, *, address: str = "", ping_every: int = 0
    ) -> None:
        self.max_in_flight = self.calls = self.replies = self.pongs = self.pings = 0
        self.recorded: list[tuple[str, bytes]] = []
        self._in_flight = 0
        self._ping_every = ping_every
        self._daemon = daemon
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._listener: socket.socket
        if address:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            self._listener = socket.socket(family)
            self._listener.bind((address, 0))
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
        self.path = path
        self._listener.listen(8)
        self._sockets.append(self._listener)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def uri(self) -> str:
        return f"test+unix:///default?socket={self.path}"

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            daemon = socket.socket(socket.AF_UNIX)
            daemon.connect(str(self._daemon))
            self._sockets += [client, daemon]
            for way in ((">", client, daemon), ("<", daemon, client)):
                threading.Thread(target=self._pass, args=way, daemon=True).start()

    def _pass(self, direction: str, source: socket.socket, target: socket.socket) -> None:
        frames = _Frames()
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                for frame in frames.feed(data):
                    self._one(direction, frame, source if direction == ">" else target, target)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _one(
        self, direction: str, frame: bytes, client: socket.socket, target: socket.socket
    ) -> None:
        program, _version, _procedure, kind = struct.unpack_from(">4I", frame, 4)
        ping = False
        with self._lock:
            self.recorded.append((direction, frame))
            if program == KEEPALIVE and self.pongs < self.pings:
                self.pongs += 1
                return
            if direction == ">" and kind == CALL:
                self.calls += 1
                self._in_flight += 1
                self.max_in_flight = max(self.max_in_flight, self._in_flight)
            elif direction == "<" and kind == REPLY:
                self.replies += 1
                self._in_flight -= 1
                ping = self._ping_every > 0 and self.replies % self._ping_every == 0
                self.pings += ping
        target.sendall(frame + PING if ping else frame)

    def close(self) -> None:
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
