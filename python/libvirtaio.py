# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirtaio.py: libvirt's event loop contract on top of asyncio.

    import asyncio, libvirt, libvirtaio

    async def main() -> None:
        libvirtaio.virEventRegisterAsyncIOImpl()
        conn = libvirt.open("qemu:///system")
        conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, show, None)
        ...

Callbacks run in the loop's thread. Registering, updating and removing may happen in any thread, so
calls that block can be given to an executor.
Called by: users. Never: blocks.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import warnings
from _thread import allocate_lock
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Optional, TypeVar

import libvirt

if TYPE_CHECKING:
    from typing_extensions import Self

__author__ = "the libvirtcore project"
__license__ = "LGPL-2.1+"
__all__ = ["getCurrentImpl", "virEventAsyncIOImpl", "virEventRegisterAsyncIOImpl"]

_T = TypeVar("_T")


class Callback:
    """A callback of libvirt, known to it by `iden`."""

    _iden_counter = itertools.count()

    def __init__(
        self,
        impl: virEventAsyncIOImpl,
        cb: Callable[..., Any],
        opaque: Any,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.iden = next(self._iden_counter)
        self.impl = impl
        self.cb = cb
        self.opaque = opaque

    def __repr__(self) -> str:
        return f"<{type(self).__name__} iden={self.iden}>"

    def close(self) -> None:
        """No more calls; libvirt's free callback follows from the loop."""
        self.impl.log.debug("callback %d close(), scheduling ff", self.iden)
        self.impl.schedule_ff_callback(self.iden, self.opaque)


class Descriptor:
    """One file descriptor and the callbacks that watch it."""

    def __init__(self, impl: virEventAsyncIOImpl, fd: int) -> None:
        self.impl = impl
        self.fd = fd
        self.callbacks: dict[int, FDCallback] = {}

    def _handle(self, event: int) -> None:
        """Tell every callback that waits for `event`; callbacks may come and go meanwhile."""
        for callback in list(self.callbacks.values()):
            if callback.iden in self.callbacks and callback.event & event:
                callback.cb(callback.iden, self.fd, event, callback.opaque)

    def update(self) -> None:
        """Make the loop watch for what the callbacks together wait for."""
        events = 0
        for callback in list(self.callbacks.values()):
            events |= callback.event
        loop = self.impl.loop
        if loop.is_closed():
            return
        if events & (libvirt.VIR_EVENT_HANDLE_READABLE | libvirt.VIR_EVENT_HANDLE_HANGUP):
            loop.add_reader(self.fd, self._handle, libvirt.VIR_EVENT_HANDLE_READABLE)
        else:
            loop.remove_reader(self.fd)
        if events & libvirt.VIR_EVENT_HANDLE_WRITABLE:
            loop.add_writer(self.fd, self._handle, libvirt.VIR_EVENT_HANDLE_WRITABLE)
        else:
            loop.remove_writer(self.fd)

    def add_handle(self, callback: FDCallback) -> None:
        """Add a callback."""
        self.callbacks[callback.iden] = callback
        self.impl._in_loop(self.update)

    def remove_handle(self, iden: int) -> FDCallback:
        """Remove a callback and return it."""
        callback = self.callbacks.pop(iden)
        self.impl._in_loop(self.update)
        return callback


class DescriptorDict(dict[int, Descriptor]):
    """Descriptors by number, made when first asked for."""

    def __init__(self, impl: virEventAsyncIOImpl) -> None:
        super().__init__()
        self.impl = impl

    def __missing__(self, fd: int) -> Descriptor:
        descriptor = Descriptor(self.impl, fd)
        self[fd] = descriptor
        return descriptor


class FDCallback(Callback):
    """A callback that waits for a descriptor."""

    def __init__(self, *args: Any, descriptor: Descriptor, event: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.descriptor = descriptor
        self.event = event

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} iden={self.iden} fd={self.descriptor.fd} event={self.event}>"
        )

    def update(self, event: int) -> None:
        """Wait for something else."""
        self.event = event
        self.impl._in_loop(self.descriptor.update)


class TimeoutCallback(Callback):
    """A callback that is due every `timeout` ms, in each iteration (0), or never (-1)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.timeout = -1
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} iden={self.iden} timeout={self.timeout}>"

    async def _timer(self) -> None:
        while True:
            await asyncio.sleep(self.timeout / 1000 if self.timeout > 0 else 0)
            self.cb(self.iden, self.opaque)

    def update(self, timeout: int) -> None:
        """Start anew with another timeout."""
        self.timeout = timeout
        self.impl._in_loop(self._restart)

    def _restart(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        if self.timeout >= 0 and not self.impl.loop.is_closed():
            self._task = self.impl.loop.create_task(self._timer())

    def close(self) -> None:
        """No more calls."""
        self.update(-1)
        super().close()


class virEventAsyncIOImpl:
    """libvirt's handles and timers, kept in one asyncio loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = loop or _usual_loop()
        self.callbacks: dict[int, FDCallback | TimeoutCallback] = {}
        self.descriptors = DescriptorDict(self)
        self.log = logging.getLogger(type(self).__name__)
        self._pending = 0  # callbacks that exist or wait for their free callback
        self._lock = allocate_lock()
        self._finished = asyncio.Event()
        self._finished.set()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} callbacks={self.callbacks} descriptors={self.descriptors}>"

    def _in_loop(self, function: Callable[[], object]) -> None:
        """Run now when the loop cannot interfere, else soon, in the loop's thread."""
        if not self.loop.is_running() or asyncio._get_running_loop() is self.loop:
            function()
            return
        try:
            self.loop.call_soon_threadsafe(function)
        except RuntimeError:
            pass  # the loop has been closed: nothing is watched any more

    def _pending_inc(self) -> None:
        with self._lock:
            self._pending += 1
            self._finished.clear()

    def _pending_dec(self) -> None:
        with self._lock:
            assert self._pending > 0
            self._pending -= 1
            if self._pending == 0:
                self._finished.set()

    def register(self) -> Self:
        """Make this the event loop of libvirt; to be done before connections are opened."""
        libvirt.virEventRegisterImpl(
            self._add_handle,
            self._update_handle,
            self._remove_handle,
            self._add_timeout,
            self._update_timeout,
            self._remove_timeout,
        )
        return self

    def schedule_ff_callback(self, iden: int, opaque: Any) -> None:
        """Have libvirt's free callback run from the loop, as libvirt demands."""

        def start() -> None:
            self._ff_tasks.add(task := self.loop.create_task(self._ff_callback(iden, opaque)))
            task.add_done_callback(self._ff_tasks.discard)

        if not self.loop.is_closed():
            self._in_loop(start)

    _ff_tasks: set[asyncio.Task[None]] = set()  # noqa: RUF012  a loop only holds tasks weakly

    async def _ff_callback(self, iden: int, opaque: Any) -> None:
        self.log.debug("ff_callback(iden=%d, opaque=...)", iden)
        libvirt.virEventInvokeFreeCallback(opaque)
        self._pending_dec()

    async def drain(self) -> None:
        """Wait until every callback is gone and freed."""
        self.log.debug("drain()")
        await self._finished.wait()

    def is_idle(self) -> bool:
        """Whether no callback is registered or about to be freed."""
        return not self.callbacks and not self._pending

    # -- what libvirt calls --------------------------------------------------------------------

    def _add_handle(self, fd: int, event: int, cb: Any, opaque: Any) -> int:
        """Watch `fd`; returns the number of the watch."""
        descriptor = self.descriptors[fd]
        callback = FDCallback(self, cb, opaque, descriptor=descriptor, event=event)
        self.log.debug("add_handle(fd=%d, event=%d) = %d", fd, event, callback.iden)
        self.callbacks[callback.iden] = callback
        self._pending_inc()
        descriptor.add_handle(callback)
        return callback.iden

    def _update_handle(self, watch: int, event: int) -> None:
        """Change what is waited for."""
        self.log.debug("update_handle(watch=%d, event=%d)", watch, event)
        callback = self.callbacks[watch]
        assert isinstance(callback, FDCallback)
        callback.update(event=event)

    def _remove_handle(self, watch: int) -> int:
        """Forget a watch. Returns 0, or -1 when there is none of that number."""
        self.log.debug("remove_handle(watch=%d)", watch)
        callback = self.callbacks.pop(watch, None)
        if not isinstance(callback, FDCallback):
            self.log.warning("remove_handle(): no such handle: %r", watch)
            return -1
        descriptor = callback.descriptor
        descriptor.remove_handle(watch)
        if not descriptor.callbacks:
            self.descriptors.pop(descriptor.fd, None)
        callback.close()
        return 0

    def _add_timeout(self, timeout: int, cb: Any, opaque: Any) -> int:
        """Call back every `timeout` ms; returns the number of the timer."""
        callback = TimeoutCallback(self, cb, opaque)
        self.log.debug("add_timeout(timeout=%d) = %d", timeout, callback.iden)
        self.callbacks[callback.iden] = callback
        self._pending_inc()
        callback.update(timeout=timeout)
        return callback.iden

    def _update_timeout(self, timer: int, timeout: int) -> None:
        """Change how often the timer is due."""
        self.log.debug("update_timeout(timer=%d, timeout=%d)", timer, timeout)
        callback = self.callbacks[timer]
        assert isinstance(callback, TimeoutCallback)
        callback.update(timeout=timeout)

    def _remove_timeout(self, timer: int) -> int:
        """Forget a timer. Returns 0, or -1 when there is none of that number."""
        self.log.debug("remove_timeout(timer=%d)", timer)
        callback = self.callbacks.pop(timer, None)
        if not isinstance(callback, TimeoutCallback):
            self.log.warning("remove_timeout(): no such timeout: %r", timer)
            return -1
        callback.close()
        return 0


def _usual_loop() -> asyncio.AbstractEventLoop:
    """The running loop, or the one this thread is going to run."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return asyncio.get_event_loop()
    except RuntimeError:  # Python 3.14 makes none
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        return loop


_current_impl: virEventAsyncIOImpl | None = None


def getCurrentImpl() -> virEventAsyncIOImpl | None:
    """The implementation registered by `virEventRegisterAsyncIOImpl`, if any."""
    return _current_impl


def virEventRegisterAsyncIOImpl(
    loop: asyncio.AbstractEventLoop | None = None,
) -> virEventAsyncIOImpl:
    """Make asyncio carry libvirt's events; to be done once, before connections are opened."""
    global _current_impl
    impl = virEventAsyncIOImpl(loop=loop).register()
    _current_impl = impl
    return impl
