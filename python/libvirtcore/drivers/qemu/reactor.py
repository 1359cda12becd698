# SPDX-License-Identifier: LGPL-2.1-or-later
"""reactor.py: the one thread that hears what guests do by themselves.

It waits for all monitors and processes of all hosts of this process. A monitor is watched only
while nobody talks over it (`pause`, `resume`): whoever waits for an answer reads the events that
come before it. What takes long runs elsewhere (`defer`).
Called by: drivers.qemu.monitor, start, reconnect. Calls: what was registered.
Never: waits for anything but its descriptors.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from libvirtcore.log import ERROR, log

_SOURCE = "drivers.qemu.reactor"
_WATCHED = select.EPOLLIN | select.EPOLLONESHOT


class Reactor:
    """Descriptors and who hears of them."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll.register(self._wake, select.EPOLLIN)
        self._errands: deque[Callable[[], None]] = deque()
        self._thread = threading.Thread(target=self._run, name="qemu-reactor", daemon=True)
        self._thread.start()

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """Call back, in the reactor's thread, when there is something to read; each time once.

        `resume` asks for the next time.
        """
        self._callbacks[fd] = callback
        self._poll.register(fd, _WATCHED)

    def pause(self, fd: int) -> None:
        """Hear nothing of it until `resume`."""
        self._arm(fd, 0)

    def resume(self, fd: int) -> None:
        """Hear of it once more."""
        self._arm(fd, _WATCHED)

    def _arm(self, fd: int, events: int) -> None:
        with contextlib.suppress(OSError):  # another thread has just had it forgotten
            self._poll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """Stop watching; call it before the descriptor is closed."""
        if self._callbacks.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def perform(self, errand: Callable[[], Any]) -> Any:
        """Run something short in the reactor's thread and wait for what it returns."""
        if threading.current_thread() is self._thread:
            return errand()
        result: Future[Any] = Future()

        def run() -> None:
            try:
                result.set_result(errand())
            except BaseException as fault:
                result.set_exception(fault)

        self._errands.append(run)
        os.eventfd_write(self._wake, 1)
        return result.result()

    def _run(self) -> None:
        while True:
            try:
                ready = self._poll.poll()
            except InterruptedError:
                continue
            for fd, _events in ready:
                if fd == self._wake:
                    self._run_errands()
                else:
                    callback = self._callbacks.get(fd)
                    if callback is not None:
                        guarded(callback)

    def _run_errands(self) -> None:
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            pass
        while self._errands:
            guarded(self._errands.popleft())


def guarded(callback: Callable[[], None]) -> None:
    """Call something whose failure concerns nobody here, but must be told."""
    try:
        callback()
    except Exception:
        log(ERROR, _SOURCE, traceback.format_exc())


def defer(work: Callable[[], None], name: str) -> None:
    """Run something that may take long in a thread of its own."""
    threading.Thread(target=guarded, args=(work,), name=name, daemon=True).start()


_reactor: Reactor | None = None
_owner = 0
_lock = threading.Lock()


def reactor() -> Reactor:
    """The reactor of this process; a forked child gets its own."""
    global _reactor, _owner
    with _lock:
        if _reactor is None or _owner != os.getpid():
            _reactor, _owner = Reactor(), os.getpid()
        return _reactor
