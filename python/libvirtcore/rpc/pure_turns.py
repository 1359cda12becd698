# SPDX-License-Identifier: LGPL-2.1-or-later
"""pure_turns.py: many threads wait, one of them reads for all.

Whoever finds nobody reading takes the turn and serves the socket once; all others sleep until their
bell rings. Who leaves gives the turn to the next sleeper. So no thread of our own is needed, and
an interrupted, timed out or cancelled caller never takes the turn away with it.
Called by: pure_connection. Calls: the Server's two methods.
Never: touches a descriptor; knows a message.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

READY, CANCELLED, TIMEOUT = "ready", "cancelled", "timeout"

# Signals are handled in the main thread alone, and another thread may have received them: the main
# thread looks up from its waiting so often.
SLICE = 0.2

# A loop that pumps sees the socket readable until whoever reads has been there; it shall not spin.
MOMENT = 0.002


def slice_of(seconds: float | None) -> float | None:
    """How long this thread may wait at a stretch when it has to wait for `seconds`."""
    if threading.get_ident() != threading.main_thread().ident:
        return seconds
    return SLICE if seconds is None else min(seconds, SLICE)


class Deadline(NamedTuple):
    """When waiting ends, and how long that was from the start."""

    moment: float | None
    millis: int = -1

    @classmethod
    def after(cls, seconds: float | None) -> Deadline:
        """`seconds` from now; None for never."""
        if seconds is None:
            return cls(None)
        return cls(time.monotonic() + seconds, int(seconds * 1000 + 0.999))


class _Waiter:
    """One thread that waits. `bell` is a lock that is taken while the thread sleeps."""

    __slots__ = ("bell", "cancellable", "cancelled", "thread")

    def __init__(self, cancellable: bool) -> None:
        self.thread = threading.get_ident()
        self.cancellable = cancellable
        self.cancelled = False
        self.bell = threading.Lock()
        self.bell.acquire()

    def sleep(self, seconds: float | None) -> None:
        """Until the bell rings or the time is over; in the main thread maybe less."""
        stretch = slice_of(seconds)
        self.bell.acquire(timeout=-1 if stretch is None else stretch)

    def ring(self) -> None:
        if self.bell.locked():
            try:
                self.bell.release()
            except RuntimeError:  # another thread rang in between
                pass


class Server(Protocol):
    """Whose socket it is. Both are called without the lock, by the thread whose turn it is."""

    def serve(self, seconds: float | None) -> bool:
        """Wait for the socket once and act on it; whether there is news to tell."""

    def notify(self) -> None:
        """Tell the owner."""


class Turns:
    """`lock` guards the waiters and everything that `ready` looks at."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._waiters: list[_Waiter] = []
        self._reader: _Waiter | None = None

    @property
    def reading(self) -> bool:
        return self._reader is not None

    def wait(self, server: Server, ready: Callable[[], bool], deadline: Deadline) -> str:
        """Wait until `ready()`, which is called under the lock. Raises KeyboardInterrupt."""
        waiter = _Waiter(cancellable=True)
        try:
            with self._lock:
                self._waiters.append(waiter)
            while True:
                with self._lock:
                    if ready():
                        return READY
                    if waiter.cancelled:
                        return CANCELLED
                    moment = deadline.moment
                    left = None if moment is None else moment - time.monotonic()
                    if left is not None and left <= 0:
                        return TIMEOUT
                    if self._reader is None:
                        self._reader = waiter
                if self._reader is waiter:
                    self._read(server, waiter, slice_of(left))
                else:
                    waiter.sleep(left)
        finally:
            self._leave(waiter)

    def pump(self, server: Server, seconds: float) -> None:
        """Serve once if nobody reads; else sleep until the one who does has news."""
        waiter = _Waiter(cancellable=False)
        try:
            with self._lock:
                if self._reader is None:
                    self._reader = waiter
                else:
                    self._waiters.append(waiter)
            if self._reader is waiter:
                self._read(server, waiter, seconds)
            else:
                waiter.sleep(max(seconds, MOMENT))
        finally:
            self._leave(waiter)

    def ring(self) -> None:
        """Something changed that somebody may wait for. Called under the lock."""
        for waiter in self._waiters:
            waiter.ring()

    def cancel(self, thread: int | None) -> int:
        """Wake the sleepers of one thread or of all; how many there are, the reader included.

        Called under the lock; the caller rings the reader out of its wait for the socket.
        """
        count = 0
        for waiter in self._waiters:
            if waiter.cancellable and thread in (None, waiter.thread):
                waiter.cancelled = True
                waiter.ring()
                count += 1
        return count

    def _read(self, server: Server, waiter: _Waiter, seconds: float | None) -> None:
        try:
            news = server.serve(seconds)
        finally:
            self._give_up(waiter)
        if news:
            with self._lock:
                self._pass_on(waiter)
            server.notify()

    def _give_up(self, waiter: _Waiter) -> None:
        with self._lock:
            if self._reader is waiter:
                self._reader = None

    def _leave(self, waiter: _Waiter) -> None:
        with self._lock:
            if self._reader is waiter:
                self._reader = None
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            self._pass_on(waiter)

    def _pass_on(self, waiter: _Waiter) -> None:
        """Let another sleeper take the turn."""
        if self._reader is None:
            for other in self._waiters:
                if other is not waiter:
                    other.ring()
                    break
