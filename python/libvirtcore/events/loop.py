# SPDX-License-Identifier: LGPL-2.1-or-later
"""loop.py: which event loop serves this process, and libvirt's virEvent functions over it.

A program registers its own loop (`register`) or ours (`register_default`, run by `run_default`).
With neither, `ensure_loop` starts a daemon thread, so that events, stream callbacks and keepalive
work as soon as somebody asks for them.
Called by: the door (virEvent*), events.state, drivers. Never: imports the face.
"""

from __future__ import annotations

import os
from _thread import allocate_lock

from libvirtcore.events.poll import PollLoop, report_callback_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from libvirtcore.events.poll import FreeCallback, HandleCallback, TimeoutCallback
else:
    Protocol = object


class Loop(Protocol):
    """What events and drivers need of a loop. Numbers belong to the loop that gave them."""

    def add_handle(
        self,
        fd: int,
        events: int,
        callback: HandleCallback,
        opaque: Any = None,
        free: FreeCallback | None = None,
    ) -> int: ...
    def update_handle(self, watch: int, events: int) -> None: ...
    def remove_handle(self, watch: int) -> int: ...
    def add_timeout(
        self,
        interval: int,
        callback: TimeoutCallback,
        opaque: Any = None,
        free: FreeCallback | None = None,
    ) -> int: ...
    def update_timeout(self, timer: int, interval: int) -> None: ...
    def remove_timeout(self, timer: int) -> int: ...


# -- what a program's own loop calls back ------------------------------------------------------


def _eventInvokeHandleCallback(
    watch: int, fd: int, event: int, opaque: Any, opaquecompat: Any = None
) -> None:
    """Run the callback of a handle. `opaque` is what addHandle was given, or its first member
    with the second one as `opaquecompat` (the way of libvirt 0.9.2 and earlier)."""
    if opaquecompat:
        callback, data = opaque, opaquecompat
    else:
        callback, data = opaque[0], opaque[1]
    callback(watch, fd, event, data)


def _eventInvokeTimeoutCallback(timer: int, opaque: Any, opaquecompat: Any = None) -> None:
    """Run the callback of a timer; see `_eventInvokeHandleCallback`."""
    if opaquecompat:
        callback, data = opaque, opaquecompat
    else:
        callback, data = opaque[0], opaque[1]
    callback(timer, data)


def virEventInvokeFreeCallback(opaque: Any) -> None:
    """Tell libvirt that its handle or timer is gone. `opaque` is what addHandle was given."""
    if opaque[2] is not None:
        opaque[2](opaque[1])


class RegisteredLoop:
    """A program's own loop: six callables given to virEventRegisterImpl."""

    def __init__(self, functions: tuple[Callable[..., Any], ...]) -> None:
        self._functions = functions

    def add_handle(
        self,
        fd: int,
        events: int,
        callback: HandleCallback,
        opaque: Any = None,
        free: FreeCallback | None = None,
    ) -> int:
        return self._number(
            self._functions[0], fd, events, _eventInvokeHandleCallback, (callback, opaque, free)
        )

    def update_handle(self, watch: int, events: int) -> None:
        self._run(self._functions[1], watch, events)

    def remove_handle(self, watch: int) -> int:
        return self._run(self._functions[2], watch)

    def add_timeout(
        self,
        interval: int,
        callback: TimeoutCallback,
        opaque: Any = None,
        free: FreeCallback | None = None,
    ) -> int:
        return self._number(
            self._functions[3], interval, _eventInvokeTimeoutCallback, (callback, opaque, free)
        )

    def update_timeout(self, timer: int, interval: int) -> None:
        self._run(self._functions[4], timer, interval)

    def remove_timeout(self, timer: int) -> int:
        return self._run(self._functions[5], timer)

    @staticmethod
    def _number(function: Callable[..., Any], *args: Any) -> int:
        try:
            number = function(*args)
        except Exception:
            report_callback_error()
            return -1
        return number if isinstance(number, int) else -1

    @staticmethod
    def _run(function: Callable[..., Any], *args: Any) -> int:
        try:
            function(*args)
        except Exception:
            report_callback_error()
            return -1
        return 0


# -- the loop of this process ------------------------------------------------------------------

_lock = allocate_lock()
_registered: Loop | None = None
_python_registered = False
_default: PollLoop | None = None
_thread_loop: PollLoop | None = None
_stop_thread: Callable[[], None] | None = None


def registered() -> Loop | None:
    """The loop that the program registered, if any."""
    return _registered


def register(*functions: Callable[..., Any]) -> None:
    """virEventRegisterImpl: addHandle, updateHandle, removeHandle, addTimeout, updateTimeout,
    removeTimeout. A second Python loop is refused; one after the default loop is ignored.

    Raises: TypeError for a value that cannot be called, RuntimeError for a second loop.
    """
    global _registered, _python_registered
    if len(functions) != 6:
        raise TypeError(f"6 functions expected, {len(functions)} given")
    for function in functions:
        if not callable(function):
            raise TypeError(f"a callable was expected, not {type(function).__name__}")
    with _lock:
        if _python_registered:
            raise RuntimeError("Event loop is already registered")
        _python_registered = True
        if _registered is None:
            _registered = RegisteredLoop(functions)


def register_default() -> int:
    """virEventRegisterDefaultImpl: use our poll loop; ignored when a loop is registered already."""
    global _registered
    loop = _default_loop()
    with _lock:
        if _registered is None:
            _registered = loop
    return 0


def run_default() -> int:
    """virEventRunDefaultImpl: one iteration of the default loop; waits until something is due."""
    _default_loop().run_once()
    return 0


def _default_loop() -> PollLoop:
    global _default
    with _lock:
        if _default is None:
            _default = PollLoop()
            _watch_forks()
        return _default


def ensure_loop() -> Loop:
    """The registered loop; without one, a loop of our own in a daemon thread."""
    if _registered is not None:
        return _registered
    return _start_thread()


def add_handle(fd: int, events: int, callback: HandleCallback, opaque: Any) -> int:
    """virEventAddHandle: -1 when no loop is registered."""
    return -1 if _registered is None else _registered.add_handle(fd, events, callback, opaque)


def update_handle(watch: int, events: int) -> None:
    """virEventUpdateHandle."""
    if _registered is not None:
        _registered.update_handle(watch, events)


def remove_handle(watch: int) -> int:
    """virEventRemoveHandle: -1 for an unknown watch, or when no loop is registered."""
    return -1 if _registered is None else _registered.remove_handle(watch)


def add_timeout(interval: int, callback: TimeoutCallback, opaque: Any) -> int:
    """virEventAddTimeout: -1 when no loop is registered."""
    return -1 if _registered is None else _registered.add_timeout(interval, callback, opaque)


def update_timeout(timer: int, interval: int) -> None:
    """virEventUpdateTimeout."""
    if _registered is not None:
        _registered.update_timeout(timer, interval)


def remove_timeout(timer: int) -> int:
    """virEventRemoveTimeout: -1 for an unknown timer, or when no loop is registered."""
    return -1 if _registered is None else _registered.remove_timeout(timer)


# -- the daemon thread -------------------------------------------------------------------------


def _start_thread() -> PollLoop:
    global _thread_loop, _stop_thread
    with _lock:
        if _thread_loop is not None:
            return _thread_loop
        import atexit
        import threading

        loop = PollLoop()
        stopping = threading.Event()

        def serve() -> None:
            while not stopping.is_set():
                try:
                    loop.run_once()
                except BaseException:  # SystemExit of a callback must not end everyone's events
                    if not stopping.is_set():
                        report_callback_error()

        thread = threading.Thread(target=serve, name="libvirtcore-events", daemon=True)

        def stop() -> None:
            """Before the interpreter takes its modules apart: let a callback finish, then rest."""
            stopping.set()
            loop.wake()
            if thread is not threading.current_thread():
                thread.join(2.0)

        _watch_forks()
        thread.start()
        atexit.register(stop)
        _thread_loop, _stop_thread = loop, stop
        return loop


_forks_watched = False


def _watch_forks() -> None:
    global _forks_watched
    if not _forks_watched:
        _forks_watched = True
        os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    """The child has no events thread, and its connections are dead: start from scratch."""
    global _lock, _thread_loop, _stop_thread
    _lock = allocate_lock()
    if _stop_thread is not None:
        import atexit

        atexit.unregister(_stop_thread)
    if _thread_loop is not None:
        _thread_loop.after_fork()
        _thread_loop.close()
    _thread_loop = _stop_thread = None
    if _default is not None:
        _default.after_fork()
