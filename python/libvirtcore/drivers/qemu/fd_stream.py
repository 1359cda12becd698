# SPDX-License-Identifier: LGPL-2.1-or-later
"""fd_stream.py: a data stream over a descriptor: a terminal, a socket, or a file to read.

The descriptor never blocks; a stream that may block waits with poll. Whether something can be read
or written the event loop says; a file always can, for which a timer stands.
Called by: console, screenshot; then whoever holds the stream. Calls: events.loop.
Never: buffers; fails in `free`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import threading
from collections.abc import Callable
from typing import Any

from libvirtcore.errors import VirError, report
from libvirtcore.events.loop import ensure_loop
from libvirtcore.events.poll import ERROR, HANGUP, READABLE, WRITABLE
from libvirtcore.generated import constants as c

_WOULD_BLOCK = -2
_PIECE = 1 << 20  # bytes read at once at most


def _not_open() -> VirError:
    return report(c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_STREAMS, "stream is not open")


def _failed(fault: OSError, text: str) -> VirError:
    message = f"{text}: {os.strerror(fault.errno or errno.EIO)}"
    return VirError(
        c.VIR_ERR_SYSTEM_ERROR, c.VIR_FROM_STREAMS, message, str1="%s", str2=message,
        int1=fault.errno or errno.EIO,
    )  # fmt: skip


class FdStream:
    """One open stream; owns its descriptor."""

    def __init__(
        self,
        fd: int,
        *,
        blocking: bool,
        writable: bool = True,
        pollable: bool = True,
        on_close: Callable[[FdStream], None] | None = None,
    ) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._blocking = blocking
        self._writable = writable
        self._pollable = pollable
        self._on_close = on_close
        self._lock = threading.RLock()
        self._loop: Any = None
        self._watch = -1
        self._deliver: Callable[[int], object] | None = None
        self.closed = False

    # --- data -------------------------------------------------------------------------------------

    def send(self, data: bytes) -> int:
        if not self._writable:
            raise report(
                c.VIR_ERR_OPERATION_INVALID, c.VIR_FROM_STREAMS, "stream is not open for writing"
            )
        while True:
            try:
                return os.write(self._open_fd(), data)
            except BlockingIOError:
                if not self._blocking:
                    return _WOULD_BLOCK
                self._wait(select.POLLOUT)
            except InterruptedError:
                continue
            except OSError as fault:
                raise _failed(fault, "cannot write to stream") from None

    def recv(self, nbytes: int) -> bytes | int:
        while True:
            try:
                return os.read(self._open_fd(), min(max(nbytes, 1), _PIECE))
            except BlockingIOError:
                if not self._blocking:
                    return _WOULD_BLOCK
                self._wait(select.POLLIN)
            except InterruptedError:
                continue
            except OSError as fault:
                if fault.errno in (errno.EIO, errno.ECONNRESET):
                    return b""  # the other side of a terminal or socket is gone
                raise _failed(fault, "cannot read from stream") from None

    def recv_flags(self, nbytes: int, flags: int) -> bytes | int:
        if flags & ~c.VIR_STREAM_RECV_STOP_AT_HOLE:
            raise report(
                c.VIR_ERR_INVALID_ARG, c.VIR_FROM_STREAMS, f"unsupported flags (0x{flags:x})"
            )
        return self.recv(nbytes)

    def send_hole(self, length: int, flags: int) -> None:
        raise _no_holes()

    def recv_hole(self, flags: int) -> int:
        raise _no_holes()

    def _open_fd(self) -> int:
        fd = self._fd
        if fd < 0:
            raise _not_open()
        return fd

    def _wait(self, events: int) -> None:
        poll = select.poll()
        poll.register(self._open_fd(), events)
        while self._fd >= 0 and not poll.poll(200):
            pass  # closed by another thread, it ends within a moment

    # --- the end ----------------------------------------------------------------------------------

    def finish(self) -> None:
        self._open_fd()
        self._close()

    def abort(self) -> None:
        self._open_fd()
        self._close()

    def free(self) -> None:
        self._close()

    def cut(self) -> None:
        """Taken over by somebody else: whoever uses this stream is told of an error."""
        with self._lock:
            deliver = self._deliver
            self._close()
        if deliver is not None:
            loop = ensure_loop()
            timers: list[int] = []

            def tell(_timer: int, _opaque: object) -> None:
                loop.remove_timeout(timers[0])
                deliver(ERROR)

            timers.append(loop.add_timeout(-1, tell))
            loop.update_timeout(timers[0], 0)

    def _close(self) -> None:
        with self._lock:
            if self.closed:
                return
            self.closed = True
            self._stop_events()
            fd, self._fd = self._fd, -1
            with contextlib.suppress(OSError):
                os.close(fd)
            tell, self._on_close = self._on_close, None
        if tell is not None:
            tell(self)

    # --- events -----------------------------------------------------------------------------------

    def event_add_callback(self, events: int, deliver: Callable[[int], object]) -> None:
        with self._lock:
            self._open_fd()
            if self._deliver is not None:
                raise report(
                    c.VIR_ERR_INTERNAL_ERROR,
                    c.VIR_FROM_STREAMS,
                    "stream already has a callback registered",
                )
            self._loop, self._deliver = ensure_loop(), deliver
            if self._pollable:
                self._watch = self._loop.add_handle(self._fd, events, self._ready)
            else:
                self._watch = self._loop.add_timeout(_interval(events), self._tick)

    def event_update_callback(self, events: int) -> None:
        with self._lock:
            self._check_callback()
            if self._deliver is None:
                return
            if self._pollable:
                self._loop.update_handle(self._watch, events)
            else:
                self._loop.update_timeout(self._watch, _interval(events))

    def event_remove_callback(self) -> None:
        with self._lock:
            self._check_callback()
            self._stop_events()

    def _check_callback(self) -> None:
        if self._deliver is None and not self.closed:  # with the stream its callback went
            raise report(
                c.VIR_ERR_INTERNAL_ERROR,
                c.VIR_FROM_STREAMS,
                "stream does not have a callback registered",
            )

    def _stop_events(self) -> None:
        if self._deliver is None:
            return
        self._deliver = None
        if self._pollable:
            self._loop.remove_handle(self._watch)
        else:
            self._loop.remove_timeout(self._watch)

    def _ready(self, _watch: int, _fd: int, events: int, _opaque: object) -> None:
        deliver = self._deliver
        if deliver is not None:
            # What a terminal still holds is read before its end is told.
            if events & HANGUP and events & READABLE:
                events &= ~HANGUP
            deliver(events & (READABLE | WRITABLE | ERROR | HANGUP))

    def _tick(self, _timer: int, _opaque: object) -> None:
        deliver = self._deliver
        if deliver is not None:
            deliver(READABLE)


def _interval(events: int) -> int:
    """Milliseconds of a timer that stands for a file."""
    return 0 if events & READABLE else -1


def _no_holes() -> VirError:
    return report(
        c.VIR_ERR_OPERATION_UNSUPPORTED,
        c.VIR_FROM_STREAMS,
        "Holes are not supported with this stream",
    )
