# SPDX-License-Identifier: LGPL-2.1-or-later
"""poll.py: an event loop over poll(2), with the contract of libvirt's virEvent functions.

It serves twice: as the default implementation (virEventRegisterDefaultImpl, run by the caller) and
inside the daemon thread that events.loop starts when nobody registered a loop.
Called by: events.loop. Never: knows what is behind a descriptor or a timer.
"""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock, get_ident
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    HandleCallback = Callable[[int, int, int, Any], object]
    TimeoutCallback = Callable[[int, Any], object]
    FreeCallback = Callable[[Any], object]

READABLE, WRITABLE, ERROR, HANGUP = 1, 2, 4, 8  # VIR_EVENT_HANDLE_*


def report_callback_error() -> None:
    """Show an exception that a callback let escape; there is no caller who could take it."""
    sys.excepthook(*sys.exc_info())


class _Watch:
    __slots__ = ("callback", "events", "fd", "free", "opaque")

    def __init__(
        self, fd: int, events: int, callback: HandleCallback, opaque: Any, free: FreeCallback | None
    ) -> None:
        self.fd = fd
        self.events = events
        self.callback = callback
        self.opaque = opaque
        self.free = free


class _Timer:
    __slots__ = ("callback", "due", "free", "interval", "opaque")

    def __init__(
        self, interval: int, callback: TimeoutCallback, opaque: Any, free: FreeCallback | None
    ) -> None:
        self.interval = interval
        self.due = monotonic() + interval / 1000
        self.callback = callback
        self.opaque = opaque
        self.free = free


class PollLoop:
    """Handles and timers; every method may be called from any thread and from a callback."""

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._watches: dict[int, _Watch] = {}
        self._timers: dict[int, _Timer] = {}
        self._next_watch = 1
        self._next_timer = 1
        self._freed: list[tuple[FreeCallback, Any]] = []
        self._runners: list[int] = []  # threads inside run_once; nested runs appear twice
        self._wake_pipe: tuple[int, int] | None = None
        self._poller: Any = None
        self._polled: dict[int, int] = {}  # fd -> native mask that the poller knows

    # -- handles -------------------------------------------------------------------------------

    def add_handle(
        self,
        fd: int,
        events: int,
        callback: HandleCallback,
        opaque: Any = None,
        free: FreeCallback | None = None,
    ) -> int:
        """Watch `fd`; returns the watch's number."""
        with self._lock:
            watch = self._next_watch
            self._next_watch += 1
            self._watches[watch] = _Watch(fd, events, callback, opaque, free)
        self._wake()
        return watch

    def update_handle(self, watch: int, events: int) -> None:
        """Change what is waited for; 0 pauses the watch. Unknown numbers are ignored."""
        with self._lock:
            entry = self._watches.get(watch)
            if entry is None or entry.events == events:
                return
            entry.events = events
        self._wake()

    def remove_handle(self, watch: int) -> int:
        """Forget the watch; its free callback runs later, in the loop. Returns 0, or -1."""
        with self._lock:
            entry = self._watches.pop(watch, None)
            if entry is None:
                return -1
            if entry.free is not None:
                self._freed.append((entry.free, entry.opaque))
        self._wake()
        return 0

    # -- timers --------------------------------------------------------------------------------

    def add_timeout(
        self,
        interval: int,
        callback: TimeoutCallback,
        opaque: Any = None,
        free: FreeCallback | None = None,
    ) -> int:
        """Call back every `interval` ms; 0 in each iteration, -1 not at all."""
        with self._lock:
            timer = self._next_timer
            self._next_timer += 1
            self._timers[timer] = _Timer(interval, callback, opaque, free)
        if interval >= 0:
            self._wake()
        return timer

    def update_timeout(self, timer: int, interval: int) -> None:
        """Change the interval and start it anew. Unknown numbers are ignored."""
        with self._lock:
            entry = self._timers.get(timer)
            if entry is None:
                return
            entry.interval = interval
            entry.due = monotonic() + interval / 1000
        if interval >= 0:
            self._wake()

    def remove_timeout(self, timer: int) -> int:
        """Forget the timer; its free callback runs later, in the loop. Returns 0, or -1."""
        with self._lock:
            entry = self._timers.pop(timer, None)
            if entry is None:
                return -1
            if entry.free is not None:
                self._freed.append((entry.free, entry.opaque))
        self._wake()
        return 0

    # -- running -------------------------------------------------------------------------------

    def run_once(self) -> None:
        """Wait until something is due and serve it. A signal also ends the wait."""
        self._runners.append(get_ident())
        try:
            ready = self._wait()
            self._serve_timers()
            self._serve_watches(ready)
            self._serve_frees()
        finally:
            self._runners.remove(get_ident())

    def _wait(self) -> list[tuple[int, int]]:
        import select

        with self._lock:
            wanted: dict[int, int] = {}
            for watch in self._watches.values():
                if watch.events:
                    mask = _native(select, watch.events)
                    wanted[watch.fd] = wanted.get(watch.fd, 0) | mask
            due = [timer.due for timer in self._timers.values() if timer.interval >= 0]
            wait = max(0.0, min(due) - monotonic()) if due else None
            if self._freed:
                wait = 0.0
            wake_read, wake_write = self._pipe()
            wanted[wake_read] = select.POLLIN
            if self._poller is None or len(self._runners) > 1:
                poller = select.poll()  # a poll object serves one thread at a time
                polled: dict[int, int] = {}
            else:
                poller, polled = self._poller, self._polled
            if self._poller is None:
                self._poller, self._polled = poller, polled
            for fd in [fd for fd in polled if fd not in wanted]:
                poller.unregister(fd)
                del polled[fd]
            for fd, mask in wanted.items():
                if polled.get(fd) != mask:
                    poller.register(fd, mask)
                    polled[fd] = mask
        with _WakeOnSignal(wake_write):
            found = poller.poll(None if wait is None else wait * 1000)
        ready = []
        for fd, mask in found:
            if fd == wake_read:
                _drain(fd)
            else:
                ready.append((fd, _portable(select, mask)))
        return ready

    def _serve_timers(self) -> None:
        now = monotonic() + 0.0005  # poll counts whole milliseconds
        with self._lock:
            due = [n for n, t in self._timers.items() if t.interval >= 0 and t.due <= now]
        for number in due:
            with self._lock:
                timer = self._timers.get(number)
                if timer is None or timer.interval < 0 or timer.due > now:
                    continue  # an earlier callback removed or moved it
                timer.due = monotonic() + timer.interval / 1000
            try:
                timer.callback(number, timer.opaque)
            except Exception:
                report_callback_error()

    def _serve_watches(self, ready: list[tuple[int, int]]) -> None:
        for fd, found in ready:
            with self._lock:
                numbers = [n for n, w in self._watches.items() if w.fd == fd and w.events]
            for number in numbers:
                with self._lock:
                    watch = self._watches.get(number)
                    if watch is None or watch.fd != fd or not watch.events:
                        continue  # an earlier callback removed or paused it
                    events = found & (watch.events | ERROR | HANGUP)
                if not events:
                    continue
                try:
                    watch.callback(number, fd, events, watch.opaque)
                except Exception:
                    report_callback_error()

    def _serve_frees(self) -> None:
        while self._freed:
            with self._lock:
                freed, self._freed = self._freed, []
            for free, opaque in freed:
                try:
                    free(opaque)
                except Exception:
                    report_callback_error()

    def wake(self) -> None:
        """End the wait of the thread that runs the loop."""
        self._wake(always=True)

    def _wake(self, always: bool = False) -> None:
        me = get_ident()
        runners = self._runners
        if not runners or (not always and all(runner == me for runner in runners)):
            return
        with self._lock:
            pipe = self._pipe()
        try:
            os.write(pipe[1], b"\0")
        except BlockingIOError:
            pass  # full: the loop has been woken often enough

    def _pipe(self) -> tuple[int, int]:
        if self._wake_pipe is None:
            self._wake_pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        return self._wake_pipe

    def after_fork(self) -> None:
        """In a forked child: part from the parent's pipe and forget its running threads."""
        self._lock = allocate_lock()
        me = get_ident()
        self._runners = [runner for runner in self._runners if runner == me]
        self._poller = None
        self._polled = {}
        if self._wake_pipe is not None:
            for fd in self._wake_pipe:
                os.close(fd)
            self._wake_pipe = None

    def close(self) -> None:
        """Give back the descriptors; the loop must not be running."""
        with self._lock:
            if self._wake_pipe is not None:
                for fd in self._wake_pipe:
                    os.close(fd)
            self._wake_pipe = None
            self._poller = None
            self._polled = {}


class _WakeOnSignal:
    """Make a signal end the wait: Python would otherwise resume it after the signal's handler.

    Only the main thread can ask for this, and only while nobody else has claimed the wake-up
    descriptor.
    """

    __slots__ = ("_armed", "_fd")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._armed = False

    def __enter__(self) -> None:
        import signal

        try:
            before = signal.set_wakeup_fd(self._fd, warn_on_full_buffer=False)
        except ValueError:  # not the main thread
            return
        if before == -1:
            self._armed = True
        else:
            signal.set_wakeup_fd(before)

    def __exit__(self, *_: object) -> None:
        if self._armed:
            import signal

            signal.set_wakeup_fd(-1)


def _native(select: Any, events: int) -> int:
    mask: int = select.POLLIN if events & READABLE else 0
    if events & WRITABLE:
        mask |= select.POLLOUT
    return mask


def _portable(select: Any, mask: int) -> int:
    events = READABLE if mask & select.POLLIN else 0
    if mask & select.POLLOUT:
        events |= WRITABLE
    if mask & (select.POLLERR | select.POLLNVAL):
        events |= ERROR
    if mask & select.POLLHUP:
        events |= HANGUP
    return events


def _drain(fd: int) -> None:
    try:
        while len(os.read(fd, 512)) == 512:
            pass
    except BlockingIOError:
        pass
