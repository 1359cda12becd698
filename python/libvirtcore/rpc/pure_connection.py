# SPDX-License-Identifier: LGPL-2.1-or-later
"""pure_connection.py: the socket's life and where each message goes; the lower half of the client.

The thread whose turn it is (pure_turns) waits for the socket, then under the lock takes what came:
replies to their calls, stream data to its stream, events into the queue, PING answered. What a
newer daemon may do (unknown events) is ignored; what none does ends the connection: whoever waits
gets that error, who comes later "client socket is closed".
Called by: pure_client (which derives from Connection), pure_stream. Calls: pure_socket, pure_frame,
pure_calls, pure_keepalive, pure_turns, pure_decode (events only).
Never: starts a thread; calls `on_activity` with a lock held; writes to a socket that a parent
process opened.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import (
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_OPERATION_ABORTED,
    VIR_ERR_OPERATION_TIMEOUT,
    VIR_ERR_SYSTEM_ERROR,
    VIR_FROM_RPC,
)
from libvirtcore.generated.tables import PROGRAMS
from libvirtcore.rpc import pure_frame as wire
from libvirtcore.rpc import pure_keepalive as alive
from libvirtcore.rpc.pure_calls import Calls
from libvirtcore.rpc.pure_decode import decode
from libvirtcore.rpc.pure_frame import Frame, FrameReader, rpc_error
from libvirtcore.rpc.pure_socket import Wire
from libvirtcore.rpc.pure_turns import CANCELLED, TIMEOUT, Deadline, Turns, slice_of

if TYPE_CHECKING:
    from libvirtcore.rpc.pure_stream import Stream

# Events that nobody fetches: beyond so many bytes of messages the connection is closed.
EVENTS_MAX = 64 << 20
EVENT = 2  # Procedure.kind
COUNTERS = (
    "calls",
    "replies",
    "late_replies",  # to calls that nobody waited for any more
    "events",
    "events_dropped",  # unknown or malformed
    "stream_messages",
    "stream_dropped",  # for streams that are gone
    "pings",  # answered
)

_forks = 0


def _forked() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def failure(code: int, text: str) -> VirError:
    return report(code, VIR_FROM_RPC, text)


def system_failure(text: str, number: int) -> VirError:
    error = failure(VIR_ERR_SYSTEM_ERROR, f"{text}: {os.strerror(number)}")
    error.int1 = number
    return error


class Connection:
    """A connected stream socket, which it owns, and everything that waits for it."""

    def __init__(self, fd: int, max_in_flight: int) -> None:
        self.on_activity: Callable[[], None] | None = None
        self.closed: str | None = None
        self.error: VirError | None = None  # why the connection is closed
        self.lock = threading.Lock()
        self._forks = _forks
        self._process = os.getpid()
        try:
            self._wire = Wire(fd)
        except OSError as error:
            text = f"Unable to use FD {fd} as a socket"
            raise system_failure(text, error.errno or 0) from None
        self._turns = Turns(self.lock)
        self._frames = FrameReader()
        self._calls = Calls(max_in_flight)
        self._keepalive = alive.Keepalive()
        self._streams: weakref.WeakValueDictionary[int, Stream] = weakref.WeakValueDictionary()
        self._orphans: deque[Frame] = deque()
        self._events: deque[tuple[int, int, Any, int]] = deque()
        self._event_bytes = 0
        self._pong_waits = False
        self._news = False
        self._counters = dict.fromkeys(COUNTERS, 0)

    def fileno(self) -> int:
        """The socket, for an event loop that calls `pump`; -1 once closed."""
        return -1 if self.closed else self._wire.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether `pump` should be called when the socket takes more, too."""
        return self._wire.pending > 0

    def pump(self, timeout: float = 0.0) -> bool:
        """Read what is there, or wait for it; False when the connection is closed."""
        self.check_process()
        end = time.monotonic() + timeout
        before = self._wire.received
        left = timeout
        while self.closed is None:
            self._turns.pump(self, slice_of(max(0.0, left)) or 0.0)
            left = end - time.monotonic()
            if left <= 0 or self._wire.received != before:
                break
        return self.closed is None

    def next_event(self) -> tuple[int, int, Any] | None:
        """The oldest queued event (program, procedure, message); never waits."""
        with self.lock:
            if not self._events:
                return None
            program, proc, message, size = self._events.popleft()
            self._event_bytes -= size
            return program, proc, message

    def keepalive_start(self, interval: float, count: int) -> None:
        """PING after `interval` silent seconds, give up after `count` without an answer."""
        self.check_process()
        with self.lock:
            self._keepalive.start(interval, count, time.monotonic())
            if self._turns.reading:
                self._wire.ring()

    def keepalive_tick(self) -> float | None:
        """Send a due PING or close a dead connection; seconds until the next tick, None if off."""
        self.check_process()
        with self.lock:
            self._tick()
            due = None if self.closed else self._keepalive.due(time.monotonic())
        self.tell()
        return due

    def close(self) -> None:
        """Wake whoever waits and close the socket. A forked child only closes its copy."""
        if self._forks != _forks:
            self.closed = "client"
            self._wire.close()
            return
        with self.lock:
            self._end("client", failure(VIR_ERR_INTERNAL_ERROR, "client socket is closed"))
            self.closed = "client"
            self._events.clear()
            self._event_bytes = 0
            self._news = False
            if not self._turns.reading:
                self._wire.close()  # else the reader does, when it has left the descriptor

    # --- for pure_client and pure_stream ----------------------------------------------------------

    def check_process(self) -> None:
        if self._forks != _forks:
            text = f"connection was opened by process {self._process}, this is its forked child"
            raise failure(VIR_ERR_INTERNAL_ERROR, text)

    def check_open(self) -> None:
        """Called under the lock."""
        if self.closed:
            raise failure(VIR_ERR_INTERNAL_ERROR, "client socket is closed")

    def wait_until(self, ready: Callable[[], bool], deadline: Deadline, what: str) -> None:
        """Wait, reading for all if nobody else does. Raises TIMEOUT, ABORTED, KeyboardInterrupt."""
        outcome = self._turns.wait(self, ready, deadline)
        if outcome == TIMEOUT:
            text = f"{what} was not answered within {deadline.millis} ms"
            raise failure(VIR_ERR_OPERATION_TIMEOUT, text)
        if outcome == CANCELLED:
            raise failure(VIR_ERR_OPERATION_ABORTED, f"{what} was cancelled")

    def post(self, frame: Frame, fds: Sequence[int] = ()) -> None:
        """Send a message as far as the peer takes it; the rest follows when somebody reads.

        Called under the lock. The descriptors are owned from now.
        """
        if self.closed:
            close_all(fds)
            return
        self._post_orphans()
        self._wire.push(wire.pack(frame), fds)
        self._flush()
        if self._wire.pending and self._turns.reading:
            self._wire.ring()

    def _post_orphans(self) -> None:
        while self._orphans and not self.closed:
            self._wire.push(wire.pack(self._orphans.popleft()))

    @property
    def unsent(self) -> int:
        return self._wire.pending

    def adopt_orphan(self, abort: Frame) -> None:
        """A stream was dropped unfinished: abort it now, or with the next message.

        Called by the garbage collector, so perhaps by a thread that holds the lock.
        """
        self._orphans.append(abort)
        if self._forks == _forks and self.lock.acquire(blocking=False):
            try:
                self._post_orphans()
                self._flush()
            finally:
                self.lock.release()

    def forget_stream(self, serial: int) -> None:
        """Called under the lock."""
        self._streams.pop(serial, None)

    def tell(self) -> None:
        """Report what happened since the last time. Called without the lock."""
        if self._news:
            self._news = False
            self.notify()

    def notify(self) -> None:
        if self.on_activity is None or sys.is_finalizing():
            return
        try:
            self.on_activity()
        except Exception:
            sys.excepthook(*sys.exc_info())

    # --- reading: one thread at a time ------------------------------------------------------------

    def serve(self, seconds: float | None) -> bool:
        """Wait for the socket once, take what came, act on it; whether there is news to tell."""
        with self.lock:
            if self.closed:
                self._close_if_asked()
                return False
            due = self._keepalive.due(time.monotonic())
            writing = self._wire.pending > 0
        if due is not None:
            seconds = due if seconds is None else min(seconds, due)
        readable, writable = self._wire.wait(seconds, writing)
        with self.lock:
            if not self.closed:
                self._move(readable, writable)
            self._close_if_asked()
            news, self._news = self._news, False
            return news

    def _move(self, readable: bool, writable: bool) -> None:
        try:
            if writable:
                self._flush()
                self._turns.ring()
            if readable and not self.closed:
                self._receive()
            self._tick()
        except VirError as error:
            self._end("error", error)
        except BaseException:  # KeyboardInterrupt where a message may have been half taken
            self._end("error", rpc_error("interrupted while a message was read"))
            raise

    def _receive(self) -> None:
        try:
            got = self._wire.receive()
        except OSError as error:
            raise system_failure("Cannot recv data", error.errno or 0) from None
        if got is None:
            return
        data, fds = got
        if not data:
            self._end("eof", system_failure("End of file while reading data", errno.EIO))
            return
        self._keepalive.received(time.monotonic())
        self._frames.feed(data, fds)
        while (frame := self._frames.next()) is not None:
            self._dispatch(frame)

    def _dispatch(self, frame: Frame) -> None:
        """One message to its owner."""
        try:
            if frame.type in (wire.REPLY, wire.REPLY_WITH_FDS):
                self._reply(frame)
            elif frame.type == wire.MESSAGE and frame.program == alive.PROGRAM:
                self._keepalive_message(frame)
            elif frame.type == wire.MESSAGE:
                self._event(frame)
            elif frame.type in (wire.STREAM, wire.STREAM_HOLE):
                self._stream_message(frame)
            else:
                raise rpc_error(
                    f"got unexpected RPC call prog {frame.program} vers {frame.version}"
                    f" proc {frame.proc} type {frame.type}"
                )
        except VirError:
            close_all(frame.fds)
            raise

    def _is_for_stream(self, frame: Frame) -> bool:
        """A daemon that cannot make a hole says so as if the call that opened the stream were
        answered again."""
        if (frame.type, frame.status) != (wire.REPLY, wire.ERROR):
            return False
        program = PROGRAMS.get(frame.program)
        if program is None or frame.proc >= len(program.procedures):
            return False
        procedure = program.procedures[frame.proc]
        return bool(procedure and procedure.stream) and self._calls.is_past(frame.serial)

    def _reply(self, frame: Frame) -> None:
        if self._is_for_stream(frame):
            self._stream_message(frame)
            return
        call = self._calls.answer(frame)
        self._turns.ring()
        if call is not None:
            self._counters["replies"] += 1
            return
        self._counters["late_replies"] += 1
        close_all(frame.fds)
        procedure = PROGRAMS[frame.program].procedures[frame.proc]
        if procedure and procedure.stream and frame.status == wire.OK:
            self.post(Frame(*frame[:3], wire.STREAM, frame.serial, wire.ERROR))

    def _event(self, frame: Frame) -> None:
        program = PROGRAMS.get(frame.program)
        if program is None or program.version != frame.version:
            raise rpc_error(
                f"no program found for event with prog {frame.program} vers {frame.version}"
            )
        procedure = program.procedures[frame.proc] if frame.proc < len(program.procedures) else None
        if procedure is None or procedure.kind != EVENT or frame.status != wire.OK:
            self._counters["events_dropped"] += 1
            return
        if self._event_bytes + frame.size > EVENTS_MAX:
            raise rpc_error(
                f"{len(self._events)} events of {self._event_bytes} bytes wait to be fetched,"
                f" limit {EVENTS_MAX} bytes"
            )
        try:
            message = decode(procedure.args, frame.payload, True)
        except VirError:
            self._counters["events_dropped"] += 1
            return
        self._counters["events"] += 1
        self._event_bytes += frame.size
        self._events.append((frame.program, frame.proc, message, frame.size))
        self._news = True

    def _keepalive_message(self, frame: Frame) -> None:
        if frame.version != alive.VERSION or frame.proc not in (alive.PING, alive.PONG):
            raise rpc_error(f"unexpected keepalive message vers {frame.version} proc {frame.proc}")
        if frame.proc == alive.PING:
            self._counters["pings"] += 1
            # A peer that asks without reading does not fill our memory: one answer waits for all.
            if not (self._pong_waits and self._wire.pending):
                self._send_keepalive(alive.PONG)
                self._pong_waits = self._wire.pending > 0

    def _stream_message(self, frame: Frame) -> None:
        stream = self._streams.get(frame.serial)
        if stream is None or not stream.owns(frame):
            self._counters["stream_dropped"] += 1
            return
        self._counters["stream_messages"] += 1
        stream.take(frame)
        self._turns.ring()
        if not stream.awaited:
            self._news = True

    # --- under the lock ---------------------------------------------------------------------------

    def _send_keepalive(self, proc: int) -> None:
        self.post(Frame(alive.PROGRAM, alive.VERSION, proc, wire.MESSAGE, 0, wire.OK))

    def _flush(self) -> None:
        if self.closed:
            return
        try:
            self._wire.flush()
        except OSError as error:
            self._end("error", system_failure("Cannot write data", error.errno or 0))
        except BaseException:
            self._end("error", rpc_error("interrupted while a message was sent"))
            raise

    def _tick(self) -> None:
        action = "" if self.closed else self._keepalive.tick(time.monotonic())
        if action == "ping":
            self._send_keepalive(alive.PING)
        elif action == "dead":
            text = "connection closed due to keepalive timeout"
            self._end("keepalive", failure(VIR_ERR_INTERNAL_ERROR, text))

    def _end(self, reason: str, error: VirError) -> None:
        """The connection is over: whoever waits gets `error`."""
        if self.closed:
            return
        self.closed = reason
        self.error = error
        self._news = True
        self._calls.fail(error)
        self._frames.close()
        self._wire.shut()
        self._turns.ring()
        if self._turns.reading:
            self._wire.ring()

    def _close_if_asked(self) -> None:
        if self.closed == "client":
            self._wire.close()


def close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
