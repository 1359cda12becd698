# SPDX-License-Identifier: LGPL-2.1-or-later
"""streams.py: data between a client and a driver's stream, both ways, with back-pressure.

From the driver: the event loop says when there is data; it is sent until so much waits for the
client that it must read first. To the driver: what it does not take at once is kept, and the
message stays detached, so that the server reads no more of this client.
Called by: session.py. Calls: the driver's Stream, the server.
Never: buffers more than a few messages; blocks a worker on a slow driver.
"""

from __future__ import annotations

from _thread import RLock, allocate_lock
from collections import deque

from libvirtcore.api.serving import refuse
from libvirtcore.core_server import STATUS_CONTINUE, STATUS_OK, TYPE_STREAM_HOLE
from libvirtcore.errors import VirError, report
from libvirtcore.events.poll import ERROR as LOOP_ERROR
from libvirtcore.events.poll import HANGUP, READABLE, WRITABLE
from libvirtcore.generated import constants as c
from libvirtcore.generated.limits import VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX
from libvirtcore.log import ERROR, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from libvirtcore.core_server import Ticket, Worker
    from libvirtcore.handles import StreamHandle
    from libvirtd.session import Session

PROC_STORAGE_VOL_UPLOAD, PROC_STORAGE_VOL_DOWNLOAD = 208, 209
SPARSE_STREAM = 1  # VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM, …_DOWNLOAD_SPARSE_STREAM

HIGH_WATER = 1 << 20  # unsent bytes at which a stream pauses
LOW_WATER = 1 << 18  # … and at which it goes on
AT_ONCE = 8  # messages in one turn of the event loop, so that others get theirs


class ServedStream:
    """One open stream of one client."""

    def __init__(self, session: Session, worker: Worker, handle: StreamHandle, sends: bool) -> None:
        self._session = session
        self._address = (session.client, worker.program, worker.procedure, worker.serial)
        self._handle = handle
        self._impl = handle.impl
        self._sends = sends
        self._sparse = worker.procedure in (
            PROC_STORAGE_VOL_UPLOAD,
            PROC_STORAGE_VOL_DOWNLOAD,
        ) and bool(worker.value[-1] & SPARSE_STREAM)
        self._lock = RLock()
        self._events = 0  # what the loop waits for
        self._watching = False
        self._paused = False
        self._ended = not sends  # nothing more comes from the driver
        self._kept: deque[tuple[Ticket, Any]] = deque()  # not yet taken by the driver
        self.closed = False

    def start(self) -> None:
        """Let the driver's data flow."""
        with self._lock:
            self._wait()

    # --- from the driver to the client ------------------------------------------------------------

    def _wait(self) -> None:
        """Have the loop say when what is wanted now is possible."""
        if self.closed:
            return
        wanted = 0
        if not self._ended and not self._paused:
            wanted |= READABLE
        if self._kept:
            wanted |= WRITABLE
        if wanted == self._events and (self._watching or not wanted):
            return
        self._events = wanted
        if self._watching:
            self._impl.event_update_callback(wanted)
        elif wanted:
            self._impl.event_add_callback(wanted | HANGUP | LOOP_ERROR, self._ready)
            self._watching = True

    def _ready(self, events: int) -> None:
        """Called from the event loop."""
        with self._lock:
            if self.closed:
                return
            try:
                if events & WRITABLE and self._kept:
                    self._write_kept()
                if events & (READABLE | HANGUP) and not self._ended and not self._paused:
                    self._read()
                if events & LOOP_ERROR or (events & HANGUP and self._ended and not self._kept):
                    raise _broken(events)
                self._wait()
            except VirError as error:
                self._fail(error)
            except Exception as problem:
                self._fail(self._fault(problem))

    def _read(self) -> None:
        server = self._session.server
        for _ in range(AT_ONCE):
            if server.unsent(self._address[0]) >= HIGH_WATER:
                self._paused = server.want_drained(self._address[0], LOW_WATER)
                return
            data = self._receive()
            if data is None:
                return
            if data == b"":
                self._ended = True
                server.stream_data(*self._address, b"")
                return
            if isinstance(data, int):
                server.stream_hole(*self._address, data)
            else:
                server.stream_data(*self._address, data)

    def _receive(self) -> bytes | int | None:
        """Some data, b"" at the end, the length of a hole, None when there is nothing now."""
        size = VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX
        if not self._sparse:
            data = self._impl.recv(size)
        else:
            data = self._impl.recv_flags(size, c.VIR_STREAM_RECV_STOP_AT_HOLE)
            if data == -3:
                return int(self._impl.recv_hole(0))
        if isinstance(data, int):
            return None
        return bytes(data)

    def drained(self) -> None:
        """The client has caught up."""
        with self._lock:
            if self._paused:
                self._paused = False
                self._wait()

    # --- from the client to the driver ------------------------------------------------------------

    def take(self, worker: Worker) -> None:
        """Do what a message says, or keep it until the driver is ready for it."""
        with self._lock:
            if self.closed:
                return
            message: Any
            if worker.type == TYPE_STREAM_HOLE:
                message = (worker.length, worker.flags)
            elif worker.status == STATUS_CONTINUE:
                if not worker.data:
                    return
                message = worker.data
            elif worker.status == STATUS_OK:
                message = None
            else:
                self._abort()
                return
            if self._kept:
                self._kept.append((worker.detach(), message))
                return
            try:
                left = self._write(message)
                if left is not DONE and not self.closed:
                    self._kept.append((worker.detach(), left))
                    self._wait()
            except VirError as error:
                self._fail(error)
            except Exception as problem:
                self._fail(self._fault(problem))

    def _write(self, message: Any) -> Any:
        """Give the driver one message; what is left of it, or DONE."""
        if message is None:
            self._finish()
        elif isinstance(message, tuple):
            if not self._sparse:
                raise refuse("unexpected hole")
            self._impl.send_hole(*message)
        else:
            while message:
                taken = self._impl.send(message)
                if taken < 0:
                    return message
                message = message[taken:]
        return DONE

    def _write_kept(self) -> None:
        while self._kept:
            ticket, message = self._kept[0]
            left = self._write(message)
            if self.closed:
                return
            if left is not DONE:
                self._kept[0] = (ticket, left)
                return
            self._kept.popleft()
            self._session.server.answer(ticket)

    # --- the end ----------------------------------------------------------------------------------

    def _finish(self) -> None:
        """The client has said and heard everything."""
        self._conclude(self._impl.finish)

    def _abort(self) -> None:
        """The client wants no more."""
        self._conclude(self._impl.abort)

    def _conclude(self, end: Callable[[], None]) -> None:
        """Have the driver end it, and tell the client how that went."""
        self._stop()
        error: VirError | None = None
        try:
            end()
        except VirError as fault:
            error = fault
        except Exception as problem:
            error = self._fault(problem)
        if error is None:
            self._session.server.stream_end(*self._address)
        else:
            self._session.server.stream_error(*self._address, error.to_wire())
        self._forget()

    def _fault(self, problem: Exception) -> VirError:
        """A fault of ours, not of the client: it is logged, and told briefly."""
        log(ERROR, __name__, f"stream of client {self._address[0]}: {problem!r}")
        return refuse(f"the daemon failed at this stream: {type(problem).__name__}")

    def _fail(self, error: VirError) -> None:
        """The driver cannot go on: the client is told why."""
        if self.closed:
            return
        self._stop()
        self._session.server.stream_error(*self._address, error.to_wire())
        self._forget()

    def close(self) -> None:
        """The client is gone."""
        with self._lock:
            if not self.closed:
                self._stop()
                self._forget()

    def _stop(self) -> None:
        self.closed = True
        if self._watching:
            self._watching = False
            self._impl.event_remove_callback()

    def _forget(self) -> None:
        kept, self._kept = self._kept, deque()
        for ticket, _message in kept:
            self._session.server.answer(ticket)
        self._impl.free()
        self._handle.free()
        self._session.streams.forget(self._address[3])


DONE = object()


def _broken(events: int) -> VirError:
    detail = "stream had unexpected termination" if events & HANGUP else "stream had I/O failure"
    return report(c.VIR_ERR_RPC, c.VIR_FROM_STREAMS, detail)


class Streams:
    """All open streams of one client, by the serial of the call that opened them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = allocate_lock()
        self._open: dict[int, ServedStream] = {}

    def opened(
        self, worker: Worker, handle: StreamHandle, sends: bool, value: tuple[Any, ...] | None
    ) -> None:
        """Answer the call that opened a stream, then let it flow. Raises: VirError."""
        if handle.impl is None:
            raise refuse("the driver opened no stream")
        stream = ServedStream(self._session, worker, handle, sends)
        with self._lock:
            self._open[worker.serial] = stream
        worker.reply(value)
        worker.flush()
        stream.start()
        if self._session.closed:
            stream.close()

    def take(self, worker: Worker) -> None:
        """A message of a stream; of one that is closed already, it means nothing."""
        with self._lock:
            stream = self._open.get(worker.serial)
        if stream is not None:
            stream.take(worker)

    def drained(self) -> None:
        for stream in self._all():
            stream.drained()

    def forget(self, serial: int) -> None:
        with self._lock:
            self._open.pop(serial, None)

    def close(self) -> None:
        for stream in self._all():
            stream.close()

    def _all(self) -> list[ServedStream]:
        with self._lock:
            return list(self._open.values())
