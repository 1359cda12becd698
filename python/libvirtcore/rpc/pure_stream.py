# SPDX-License-Identifier: LGPL-2.1-or-later
"""pure_stream.py: data beside a call: pieces, holes, finish and abort.

The peer's pieces are queued by whichever thread reads; `recv` takes them out in order. An empty
piece is the end of the peer's data. Our finish or abort is answered by the peer; its error, when
it sends one, is raised by every later operation.
Called by: libvirtcore.drivers.remote through Client.open_stream; `take` by pure_connection.
Calls: pure_connection (lock, post, wait_until). Never: sends without the connection's lock.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import (
    VIR_ERR_INVALID_ARG,
    VIR_ERR_OPERATION_FAILED,
    VIR_ERR_RPC,
    VIR_FROM_RPC,
)
from libvirtcore.generated.limits import VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX
from libvirtcore.generated.tables import TYPE_NET_ERROR, TYPE_STREAM_HOLE
from libvirtcore.rpc.pure_decode import decode
from libvirtcore.rpc.pure_encode import encode
from libvirtcore.rpc.pure_frame import CONTINUE, ERROR, OK, STREAM, STREAM_HOLE, Frame
from libvirtcore.rpc.pure_turns import Deadline

if TYPE_CHECKING:
    from libvirtcore.rpc.pure_connection import Connection

PIECE = VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX  # the most that every daemon takes in one message
QUEUED_MAX = 256 << 20  # data that nobody reads: beyond, the stream is aborted
_AT_ONCE = 1 << 20  # the most that one recv gives
BLOCKED, HOLE = -2, -3
READABLE, WRITABLE, FAILED, HANGUP = 1, 2, 4, 8


class Stream:
    """One stream. Any thread may use it; two that receive share what comes."""

    def __init__(self, connection: Connection, head: Frame, name: str) -> None:
        self.reply: Any = None
        self.timeout: float | None = None  # seconds that one operation may take
        self._connection = connection
        self._head = head  # of every message, serial still missing
        self._queue: deque[bytes | int] = deque()  # data, or the length of a hole
        self._queued = 0
        self._ended = False  # the peer has sent all
        self._error: VirError | None = None
        self._closing = False
        self._confirmed = False
        self._open = False  # the call has succeeded
        self._over = False  # either side has finished or aborted
        self._waiting = 0  # operations that wait for what comes
        self._name = name

    def __del__(self) -> None:
        if getattr(self, "_open", False):
            self.drop()

    # --- for users --------------------------------------------------------------------------------

    def send(self, data: bytes, nonblock: bool = False) -> int:
        """Send data; the bytes taken, or BLOCKED when none could be without waiting."""
        deadline = Deadline.after(self.timeout)
        taken = 0
        while taken < len(data):
            if nonblock and not self._is_sent():
                self._connection.pump(0)
                if not self._is_sent():
                    return taken or BLOCKED
            piece = bytes(data[taken : taken + PIECE])
            self._post(STREAM, piece)
            taken += len(piece)
            if not nonblock:
                self._wait(self._is_sent, deadline)
        return taken

    def recv(self, n: int, nonblock: bool = False, stop_at_hole: bool = False) -> bytes | int:
        """At most n bytes; b"" at the end, BLOCKED when nothing is there, HOLE before a hole."""
        if nonblock and not self._has_data():
            self._connection.pump(0)
            with self._connection.lock:
                self._check()
            if not self._has_data():
                return BLOCKED
        self._wait(self._has_data, Deadline.after(self.timeout), reading=True)
        with self._connection.lock:
            return self._take_out(min(n, _AT_ONCE), stop_at_hole)

    def send_hole(self, length: int, flags: int = 0) -> None:
        """Tell the peer that `length` bytes of zeros come next."""
        if length < 0:
            raise report(VIR_ERR_INVALID_ARG, VIR_FROM_RPC, f"hole of {length} bytes")
        self._post(STREAM_HOLE, encode(TYPE_STREAM_HOLE, (length, flags)))
        self._wait(self._is_sent, Deadline.after(self.timeout))

    def recv_hole(self) -> int:
        """The length of the hole that is next, which is skipped; 0 when data is next."""
        self._wait(self._has_data, Deadline.after(self.timeout), reading=True)
        with self._connection.lock:
            head = self._queue[0] if self._queue else b""
            if not isinstance(head, int):
                return 0
            self._queue.popleft()
            return head

    def finish(self) -> None:
        """All is sent and received. Raises what went wrong on the other side."""
        self._close(OK)

    def abort(self) -> None:
        """Give the stream up; the peer drops what it has not used yet."""
        self._close(ERROR)

    def drop(self) -> None:
        """Abort it without waiting for an answer, unless it is over."""
        if not self._over and self._error is None:
            self._over = True
            self._connection.adopt_orphan(self._head._replace(status=ERROR))

    def poll(self) -> int:
        """READABLE, WRITABLE, FAILED and HANGUP as they are now."""
        mask = 0
        if self._queue or self._ended:
            mask |= READABLE
        if self._error is not None:
            mask |= FAILED
        if self._connection.closed or self._over:
            mask |= HANGUP
        elif self._is_sent():
            mask |= WRITABLE
        return mask

    # --- for the connection -----------------------------------------------------------------------

    def named(self, serial: int) -> None:
        """The call is sent. Called under the lock."""
        self._head = self._head._replace(serial=serial)

    def opened(self, reply: Any) -> None:
        """The call has succeeded."""
        self.reply = reply
        self._open = True

    def owns(self, frame: Frame) -> bool:
        return frame[:3] == self._head[:3]

    def take(self, frame: Frame) -> None:
        """A message for this stream. Called under the lock."""
        if frame.type == STREAM_HOLE:
            self._take_hole(frame)
        elif frame.status == CONTINUE:
            if frame.payload:
                self._put(frame.payload, len(frame.payload))
            else:
                self._ended = True
        elif frame.status == OK:
            self._confirmed = self._closing
            self._ended = self._over = True
        elif frame.status == ERROR:
            self._take_error(frame)
        else:
            self._fail(f"Unexpected message status {frame.status}")

    @property
    def awaited(self) -> bool:
        """Whether a blocked operation notices what comes, so that nobody need be told."""
        return self._waiting > 0

    def _take_hole(self, frame: Frame) -> None:
        try:
            length, _ = decode(TYPE_STREAM_HOLE, frame.payload)
        except VirError:
            length = None
        if length is None or frame.status != CONTINUE:
            self._fail("malformed stream hole")
        elif length < 0:
            self._fail("stream hole of negative length")
        elif length > 0:
            self._put(length, 0)

    def _take_error(self, frame: Frame) -> None:
        if self._error is not None:
            return
        if self._closing and not frame.payload:
            self._confirmed = True
            return
        try:
            self._error = VirError.from_wire(decode(TYPE_NET_ERROR, frame.payload))
        except VirError as error:
            self._error = error

    def _put(self, item: bytes | int, size: int) -> None:
        if self._closing or self._error is not None or self._ended:
            return  # nobody will read it
        if self._queued + size > QUEUED_MAX:
            self._fail(f"{self._queued} bytes of the stream wait to be read, limit {QUEUED_MAX}")
            self._connection.post(self._head._replace(status=ERROR))
            return
        self._queue.append(item)
        self._queued += size

    def _fail(self, text: str) -> None:
        self._error = self._error or report(VIR_ERR_RPC, VIR_FROM_RPC, text)
        self._queue.clear()
        self._queued = 0

    # --- own --------------------------------------------------------------------------------------

    def _check(self, reading: bool = False) -> None:
        """Called under the lock. What the peer has sent can be read whatever came after it."""
        if reading and (self._queue or (self._ended and not self._closing)):
            return
        if self._error is not None:
            raise copy.copy(self._error)
        if self._over:
            raise report(VIR_ERR_OPERATION_FAILED, VIR_FROM_RPC, "stream is closed")
        self._connection.check_open()

    def _is_sent(self) -> bool:
        return self._connection.unsent == 0

    def _has_data(self) -> bool:
        return bool(self._queue) or self._ended

    def _wait(self, ready: Callable[[], bool], deadline: Deadline, reading: bool = False) -> None:
        """Until `ready`, an error or the end of the connection."""
        connection = self._connection
        connection.check_process()
        with connection.lock:
            self._check(reading)
            if ready():
                return
            self._waiting += 1
        try:
            connection.wait_until(
                lambda: ready() or self._error is not None or connection.closed is not None,
                deadline,
                self._name,
            )
        finally:
            with connection.lock:
                self._waiting -= 1
            connection.tell()
        if not ready():
            self._raise()

    def _raise(self) -> None:
        error = self._error or self._connection.error
        if error is not None:
            raise copy.copy(error)

    def _post(self, kind: int, payload: bytes) -> None:
        self._connection.check_process()
        with self._connection.lock:
            self._check()
            self._connection.post(self._head._replace(type=kind, payload=payload))

    def _take_out(self, n: int, stop_at_hole: bool) -> bytes | int:
        out = bytearray()
        queue = self._queue
        while queue and len(out) < n:
            head = queue.popleft()
            room = n - len(out)
            if isinstance(head, int):
                if stop_at_hole:
                    queue.appendleft(head)
                    return bytes(out) if out else HOLE
                out += bytes(min(head, room))
                if head > room:
                    queue.appendleft(head - room)
                continue
            if not out and len(head) <= n and (not queue or len(head) == n):
                self._queued -= len(head)
                return head
            out += head[:room]
            self._queued -= min(len(head), room)
            if len(head) > room:
                queue.appendleft(head[room:])
        return bytes(out)

    def _close(self, status: int) -> None:
        connection = self._connection
        connection.check_process()
        with connection.lock:
            self._check()
            self._over = self._closing = True
            self._queue.clear()
            self._queued = 0
            self._waiting += 1
            connection.post(self._head._replace(status=status))
        try:
            connection.wait_until(
                lambda: self._confirmed or self._error is not None or bool(connection.closed),
                Deadline.after(self.timeout),
                self._name,
            )
        finally:
            with connection.lock:
                self._waiting -= 1
                connection.forget_stream(self._head.serial)
            connection.tell()
        if not self._confirmed:
            self._raise()
