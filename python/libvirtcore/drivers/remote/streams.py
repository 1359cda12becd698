# SPDX-License-Identifier: LGPL-2.1-or-later
"""streams.py: the remote half of a virStream: data, holes, and callbacks when it can move.

Called by: drivers.remote.driver (mixin), libvirtcore.api.streams (through StreamHandle.impl).
Never: buffers data itself; the RPC client queues what arrives and bounds what leaves.
"""

from __future__ import annotations

from _thread import allocate_lock
from typing import TYPE_CHECKING, Any

from libvirtcore.deadline import remaining
from libvirtcore.errors import VirError, report
from libvirtcore.events.poll import (
    ERROR,
    HANGUP,
    READABLE,
    WRITABLE,
    report_callback_error,
)
from libvirtcore.generated.constants import (
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_INVALID_ARG,
    VIR_ERR_OPERATION_FAILED,
    VIR_ERR_OPERATION_INVALID,
    VIR_FROM_REMOTE,
    VIR_FROM_RPC,
    VIR_STREAM_NONBLOCK,
    VIR_STREAM_RECV_STOP_AT_HOLE,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from libvirtcore.drivers.remote.events import EventsMixin
    from libvirtcore.events.loop import Loop
    from libvirtcore.handles import StreamHandle
    from libvirtcore.rpc import Stream

PROC_STORAGE_VOL_UPLOAD = 208
PROC_STORAGE_VOL_DOWNLOAD = 209
SPARSE_STREAM = 1  # VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM, VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM


class RemoteStream:
    """What StreamHandle.impl holds once a call has attached a stream of the wire."""

    def __init__(self, driver: EventsMixin, stream: Stream, nonblock: bool, sparse: bool) -> None:
        self._driver = driver
        self._stream = stream
        self._nonblock = nonblock
        self._sparse = sparse
        self.closed = False
        self._lock = allocate_lock()
        self._loop: Loop | None = None
        self._timer = -1
        self._armed = False
        self._events = 0
        self._deliver: Callable[[int], object] | None = None

    # -- data ----------------------------------------------------------------------------------

    def send(self, data: bytes) -> int:
        """Bytes taken, or -2 when a non-blocking stream cannot take any now."""
        self._check_open()
        taken = self._stream.send(data, self._nonblock)
        if self._nonblock:
            self._driver._watch_socket()  # what the socket did not take goes out from the loop
        return taken

    def recv(self, nbytes: int) -> bytes | int:
        """Data, b"" at the end, or -2 when a non-blocking stream has none now."""
        return self.recv_flags(nbytes, 0)

    def recv_flags(self, nbytes: int, flags: int) -> bytes | int:
        """As `recv`, and -3 at a hole when asked to stop there."""
        _check_flags(flags, VIR_STREAM_RECV_STOP_AT_HOLE, "remoteStreamRecvFlags")
        self._check_open()
        stop = bool(flags & VIR_STREAM_RECV_STOP_AT_HOLE)
        try:
            return self._stream.recv(nbytes, self._nonblock, stop)
        finally:
            self._rearm()

    def send_hole(self, length: int, flags: int) -> None:
        """Skip `length` bytes on the other side."""
        self._check_open()
        if not self._sparse:
            raise report(
                VIR_ERR_OPERATION_INVALID,
                VIR_FROM_RPC,
                "Skipping is not supported with this stream",
            )
        self._stream.send_hole(length, flags)

    def recv_hole(self, flags: int) -> int:
        """Length of the hole that stands next, 0 when there is none."""
        _check_flags(flags, 0, "remoteStreamRecvHole")
        self._check_open()
        if not self._sparse:
            raise report(
                VIR_ERR_OPERATION_INVALID,
                VIR_FROM_RPC,
                "Holes are not supported with this stream",
            )
        try:
            return self._stream.recv_hole()
        finally:
            self._rearm()

    def finish(self) -> None:
        """Wait until the other side confirms that it has everything."""
        self._check_open()
        self._stop_events()
        try:
            self._stream.finish()
        finally:
            self.closed = True

    def abort(self) -> None:
        """End the stream at once."""
        self._check_open()
        self._stop_events()
        try:
            self._stream.abort()
        finally:
            self.closed = True

    def free(self) -> None:
        """The virStream is gone: a stream that was neither finished nor aborted is aborted. No
        answer is awaited, for it is the garbage collector that calls, perhaps at the end."""
        self._stop_events()
        if not self.closed:
            self.closed = True
            self._stream.drop()

    def _check_open(self) -> None:
        if self.closed:
            raise report(VIR_ERR_OPERATION_FAILED, VIR_FROM_RPC, "stream is closed")
        self._stream.timeout = remaining(self._driver.default_timeout)

    # -- events --------------------------------------------------------------------------------

    def event_add_callback(self, events: int, deliver: Callable[[int], object]) -> None:
        """Call `deliver(events)` from the loop whenever one of `events` is possible."""
        with self._lock:
            if self._deliver is not None:
                raise report(
                    VIR_ERR_INTERNAL_ERROR,
                    VIR_FROM_RPC,
                    "multiple stream callbacks not supported",
                )
            loop = self._driver._attach()
            self._timer = loop.add_timeout(-1, self._fire)
            self._loop, self._deliver, self._events, self._armed = loop, deliver, events, False
        self._driver._streams.add(self)
        self._rearm()

    def event_update_callback(self, events: int) -> None:
        """Change what is waited for."""
        with self._lock:
            if self._deliver is None:
                raise _no_callback()
            self._events = events
        self._rearm()

    def event_remove_callback(self) -> None:
        """Forget the callback."""
        with self._lock:
            if self._deliver is None:
                raise _no_callback()
        self._stop_events()

    def activity(self) -> None:
        """Something was read from the connection: look whether the callback is due."""
        if self._deliver is not None:
            self._rearm()

    def _possible(self) -> int:
        if self.closed:
            return 0
        mask = self._stream.poll()
        return mask & (self._events & (READABLE | WRITABLE) | ERROR | HANGUP)

    def _rearm(self) -> None:
        """Set the timer to fire at once when an event is possible, else to rest."""
        if self._deliver is None:
            return
        wanted = self._possible() != 0
        with self._lock:
            loop, timer = self._loop, self._timer
            if loop is None or wanted == self._armed:
                return
            self._armed = wanted
        loop.update_timeout(timer, 0 if wanted else -1)

    def _fire(self, timer: int, _opaque: object) -> None:
        deliver = self._deliver
        if deliver is None or timer != self._timer:
            return
        events = self._possible()
        if events:
            try:
                deliver(events)
            except Exception:
                report_callback_error()
        self._rearm()

    def _stop_events(self) -> None:
        with self._lock:
            loop, timer = self._loop, self._timer
            self._loop, self._timer, self._deliver, self._armed = None, -1, None, False
        self._driver._streams.discard(self)
        if loop is not None:
            loop.remove_timeout(timer)


class StreamsMixin:
    """The stream half of the remote driver."""

    if TYPE_CHECKING:
        client: Any
        default_timeout: float | None

    def _call_stream(
        self, program: int, proc: int, args: tuple[Any, ...], handle: StreamHandle
    ) -> tuple[Any, ...] | None:
        """Make a call that opens a stream, and attach the stream to its handle."""
        stream = self.client.open_stream(
            program, proc, args, timeout=remaining(self.default_timeout)
        )
        sparse = proc in (PROC_STORAGE_VOL_UPLOAD, PROC_STORAGE_VOL_DOWNLOAD) and bool(
            args[-1] & SPARSE_STREAM
        )
        if handle.impl is not None:
            handle.impl.free()
        nonblock = bool(handle.flags & VIR_STREAM_NONBLOCK)
        handle.impl = RemoteStream(self, stream, nonblock, sparse)  # type: ignore[arg-type]
        return stream.reply  # type: ignore[no-any-return]


def _check_flags(flags: int, allowed: int, function: str) -> None:
    unknown = flags & ~allowed
    if unknown:
        raise VirError(
            VIR_ERR_INVALID_ARG,
            VIR_FROM_REMOTE,
            f"unsupported flags (0x{unknown:x}) in function {function}",
            str1=function,
            str2="flags",
            int1=0,
            int2=0,
        )


def _no_callback() -> VirError:
    return report(VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC, "no stream callback registered")
