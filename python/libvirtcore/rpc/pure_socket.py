# SPDX-License-Identifier: LGPL-2.1-or-later
"""pure_socket.py: the one place of the pure client that touches a descriptor.

A `Wire` never blocks except in `wait`. What the peer does not take yet stays in the outbox, so that
a caller whose deadline passes in the middle of a message leaves a whole stream behind.
Called by: pure_client. One thread at a time waits and receives (the reader); `push` and `flush` are
called under the client's lock. `ring` is called by any thread.
Never: knows what a message is; raises anything but OSError.
"""

from __future__ import annotations

import array
import contextlib
import os
import select
import socket
from collections import deque
from collections.abc import Callable, Sequence

from libvirtcore.generated.limits import VIR_NET_MESSAGE_NUM_FDS_MAX

_RECEIVE = 128 * 1024
_HAS_FDS = hasattr(socket, "AF_UNIX") and hasattr(socket, "CMSG_LEN")
_FD_SIZE = array.array("i").itemsize
_FD_ROOM = socket.CMSG_SPACE((VIR_NET_MESSAGE_NUM_FDS_MAX + 1) * _FD_SIZE) if _HAS_FDS else 0
_RECEIVE_FLAGS = getattr(socket, "MSG_CMSG_CLOEXEC", 0)

Waiting = Callable[["float | None", bool], "tuple[bool, bool, bool]"]


class Wire:
    """A connected stream socket, its outbox, and a bell that ends a `wait` early."""

    def __init__(self, fd: int) -> None:
        self._bell, self._ringer = socket.socketpair()
        try:
            self._socket = socket.socket(fileno=fd)
        except OSError:  # and the descriptor is still the caller's
            self._bell.close()
            self._ringer.close()
            raise
        self._socket.setblocking(False)
        self.passes_fds = _HAS_FDS and self._socket.family == socket.AF_UNIX
        self._bell.setblocking(False)
        self._ringer.setblocking(False)
        make = _poll_waiter if hasattr(select, "poll") else _select_waiter
        self._waiting = make(self._socket, self._bell)
        self._room = memoryview(bytearray(_RECEIVE))
        self._outbox: deque[tuple[memoryview, int]] = deque()  # bytes and a descriptor or -1
        self.pending = 0
        self.sent = 0
        self.received = 0

    def fileno(self) -> int:
        return self._socket.fileno()

    def push(self, data: bytes, fds: Sequence[int] = ()) -> None:
        """Queue bytes; each descriptor follows with a byte of its own. `fds` are owned from now."""
        self._outbox.append((memoryview(data), -1))
        self._outbox.extend((memoryview(b"\0"), fd) for fd in fds)
        self.pending += len(data) + len(fds)

    def flush(self) -> None:
        """Send what the peer takes now."""
        while self._outbox:
            data, fd = self._outbox[0]
            try:
                count = self._send(data, fd)
            except (BlockingIOError, InterruptedError):
                return
            self.pending -= count
            self.sent += count
            if count == len(data):
                self._outbox.popleft()
                if fd >= 0:
                    os.close(fd)
            else:
                self._outbox[0] = (data[count:], fd)

    def _send(self, data: memoryview, fd: int) -> int:
        if fd < 0:
            return self._socket.send(data)
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))
        return self._socket.sendmsg([data], [rights])

    def receive(self) -> tuple[memoryview, list[int]] | None:
        """What has come (empty at the end of file), None when nothing has."""
        no_fds: list[int] = []
        try:
            if self.passes_fds:
                count, fds = self._receive_with_fds()
            else:
                count, fds = self._socket.recv_into(self._room), no_fds
        except (BlockingIOError, InterruptedError):
            return None
        self.received += count
        return self._room[:count], fds

    def _receive_with_fds(self) -> tuple[int, list[int]]:
        count, ancillary, _, _ = self._socket.recvmsg_into([self._room], _FD_ROOM, _RECEIVE_FLAGS)
        if not ancillary:
            return count, []
        fds = array.array("i")
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(data[: len(data) - len(data) % _FD_SIZE])
        if not _RECEIVE_FLAGS:
            for fd in fds:
                os.set_inheritable(fd, False)
        return count, fds.tolist()

    def wait(self, seconds: float | None, writing: bool) -> tuple[bool, bool]:
        """Wait until bytes, room for bytes (if `writing`), the bell or the time has come."""
        seconds = None if seconds is None else max(0.0, seconds)
        readable, writable, belled = self._waiting(seconds, writing)
        if belled:
            with contextlib.suppress(BlockingIOError, InterruptedError):
                self._bell.recv(4096)
        return readable, writable

    def ring(self) -> None:
        with contextlib.suppress(OSError):  # full: it rings already; closed: nobody waits
            self._ringer.send(b"\0")

    def shut(self) -> None:
        """Tell the peer that this is the end, also when a forked child still holds a copy."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for each in (self._socket, self._bell, self._ringer):
            each.close()
        while self._outbox:
            _, fd = self._outbox.popleft()
            if fd >= 0:
                os.close(fd)
        self.pending = 0


def _poll_waiter(stream: socket.socket, bell: socket.socket) -> Waiting:
    """(readable or broken, writable, bell) of the two sockets, by poll."""
    polls = {False: select.poll(), True: select.poll()}
    for writing, poll in polls.items():
        poll.register(stream, select.POLLIN | (select.POLLOUT if writing else 0))
        poll.register(bell, select.POLLIN)
    fd = stream.fileno()

    def waiting(seconds: float | None, writing: bool) -> tuple[bool, bool, bool]:
        readable = writable = belled = False
        for ready, mask in polls[writing].poll(None if seconds is None else seconds * 1000):
            if ready == fd:
                readable, writable = bool(mask & ~select.POLLOUT), bool(mask & select.POLLOUT)
            else:
                belled = True
        return readable, writable, belled

    return waiting


def _select_waiter(stream: socket.socket, bell: socket.socket) -> Waiting:
    """The same by select, which is what Windows has."""

    def waiting(seconds: float | None, writing: bool) -> tuple[bool, bool, bool]:
        writers = [stream] if writing else []
        reads, writes, _ = select.select([stream, bell], writers, [], seconds)
        return stream in reads, bool(writes), bell in reads

    return waiting
