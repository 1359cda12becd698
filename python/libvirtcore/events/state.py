# SPDX-License-Identifier: LGPL-2.1-or-later
"""state.py: the callbacks registered on one connection, and the events on their way to them.

Drivers call `queue` from any thread; delivery happens in the event loop, in order, from a timer
that exists as long as a callback is registered. Each registration holds a reference on the
connection, as libvirt's does.
Called by: api.events (register), drivers (queue). Never: knows the wire or the face.
"""

from __future__ import annotations

from _thread import allocate_lock

from libvirtcore.errors import report
from libvirtcore.events.loop import ensure_loop
from libvirtcore.events.poll import report_callback_error
from libvirtcore.generated.constants import (
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_INVALID_ARG,
    VIR_ERR_OPERATION_INVALID,
    VIR_FROM_NONE,
    VIR_FROM_REMOTE,
)
from libvirtcore.handles import DomainHandle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from libvirtcore.events.loop import Loop
    from libvirtcore.handles import ConnectHandle, Handle

    Deliver = Callable[[Any, tuple[Any, ...]], object]  # (handle, arguments)

QEMU_REGEX, QEMU_NOCASE = 1, 2  # VIR_CONNECT_DOMAIN_QEMU_MONITOR_EVENT_REGISTER_*


def event_state(conn: ConnectHandle) -> EventState:
    """The one event state of a connection, made when first asked for."""
    state = conn.private.get("events")
    if state is None:
        state = conn.private.setdefault("events", EventState(conn))
    return state  # type: ignore[no-any-return]


class Registration:
    """One callback. `key` names the only object it wants to hear of, None means all."""

    __slots__ = (
        "deleted",
        "deliver",
        "event_id",
        "family",
        "id",
        "key",
        "legacy",
        "matches",
        "token",
    )

    def __init__(
        self,
        family: str,
        event_id: Any,
        key: object,
        deliver: Deliver,
        legacy: bool,
    ) -> None:
        self.id = -1
        self.family = family
        self.event_id = event_id
        self.key = key
        self.deliver = deliver
        self.legacy = legacy
        self.token: object = None
        self.deleted = False
        self.matches: Callable[[str], object] | None = None

    def wants(self, event: _Event) -> bool:
        """Whether the event is one this callback was registered for."""
        if self.deleted or self.family != event.family:
            return False
        if event.token is not None and self.token is not event.token:
            return False
        if self.key is not None and self.key != event.key:
            return False
        if self.matches is not None:
            return bool(self.matches(event.args[0]))
        return bool(self.event_id == event.event_id) or self.family == "qemu_monitor"


class _Event:
    __slots__ = ("args", "event_id", "family", "handle", "key", "token")

    def __init__(
        self, family: str, event_id: Any, handle: Handle, args: tuple[Any, ...], token: object
    ) -> None:
        self.family = family
        self.event_id = event_id
        self.handle = handle
        self.key = object_key(handle)
        self.args = args
        self.token = token


def object_key(handle: Handle | None) -> object:
    """What tells an object from others of its kind in a filter: its UUID, or a device's name."""
    if handle is None:
        return None
    uuid = getattr(handle, "uuid", None)
    return uuid if uuid is not None else getattr(handle, "name", None)


class EventState:
    """Callbacks and pending events of one connection."""

    def __init__(self, conn: ConnectHandle) -> None:
        self.conn = conn
        self._lock = allocate_lock()
        self._registrations: list[Registration] = []
        self._reserved: list[Registration] = []  # being announced to the driver
        self._next_id = 0
        from collections import deque  # here, so that `import libvirt` is spared it

        self._pending: deque[_Event] = deque()
        self._loop: Loop | None = None
        self._timer = -1
        self._close: Deliver | None = None

    # -- registering ---------------------------------------------------------------------------

    def register(
        self,
        family: str,
        event_id: Any,
        handle: Handle | None,
        deliver: Deliver,
        legacy: bool = False,
    ) -> int:
        """Register a callback and tell the driver; returns its number.

        Raises: VirError when the same event of the same object has a callback already.
        """
        entry = Registration(family, event_id, object_key(handle), deliver, legacy)
        if family == "qemu_monitor":
            entry.matches = _name_filter(*event_id)
        with self._lock:
            for other in self._registrations + self._reserved:
                if family != "qemu_monitor" and (
                    other.family,
                    other.event_id,
                    other.key,
                    other.legacy,
                ) == (family, event_id, entry.key, legacy):
                    raise report(
                        VIR_ERR_INVALID_ARG, VIR_FROM_NONE, "event callback already tracked"
                    )
            entry.id = self._next_id
            self._next_id += 1
            self._reserved.append(entry)
        try:
            self._add_timer()
            entry.token = self.conn.driver.event_subscribe(family, event_id, handle)
        except BaseException:
            with self._lock:
                self._reserved.remove(entry)
                loop, timer = self._loop, self._timer
            if self._pending and loop is not None:
                loop.update_timeout(timer, 0)
            self._drop_timer_if_idle()
            raise
        self.conn.refs.append(None)
        with self._lock:
            self._reserved.remove(entry)
            self._registrations.append(entry)
            loop, timer = self._loop, self._timer
        if self._pending and loop is not None:
            loop.update_timeout(timer, 0)
        return entry.id

    def find(self, callback_id: int) -> Registration | None:
        """The registration with this number."""
        with self._lock:
            for entry in self._registrations:
                if entry.id == callback_id:
                    return entry
        return None

    def deregister(self, callback_id: int) -> None:
        """Forget a callback and tell the driver when it was the last of its kind.

        Raises: VirError when the number is unknown.
        """
        with self._lock:
            for index, entry in enumerate(self._registrations):
                if entry.id == callback_id:
                    del self._registrations[index]
                    break
            else:
                raise report(
                    VIR_ERR_INVALID_ARG,
                    VIR_FROM_NONE,
                    self.conn.driver.event_unknown_message % callback_id,
                )
        self._finish(entry)

    def deregister_legacy(self) -> None:
        """Forget the callback of virConnectDomainEventRegister."""
        with self._lock:
            for entry in self._registrations:
                if entry.legacy:
                    self._registrations.remove(entry)
                    break
            else:
                raise report(
                    VIR_ERR_INVALID_ARG,
                    VIR_FROM_NONE,
                    "event callback not registered",
                )
        self._finish(entry)

    def _finish(self, entry: Registration) -> None:
        entry.deleted = True
        self._drop_timer_if_idle()
        try:
            self.conn.driver.event_unsubscribe(entry.token)
        finally:
            self.conn.release()

    def _add_timer(self) -> None:
        with self._lock:
            if self._timer >= 0:
                return
            loop = ensure_loop()
            timer = loop.add_timeout(-1, self._flush)
            if timer < 0:
                raise report(
                    VIR_ERR_INTERNAL_ERROR,
                    VIR_FROM_NONE,
                    "could not initialize domain event timer",
                )
            self._loop, self._timer = loop, timer

    def _drop_timer_if_idle(self) -> None:
        with self._lock:
            if self._registrations or self._reserved or self._timer < 0:
                return
            loop, timer = self._loop, self._timer
            self._loop, self._timer = None, -1
            self._pending.clear()
        if loop is not None:
            loop.remove_timeout(timer)

    # -- delivering ----------------------------------------------------------------------------

    def queue(
        self,
        family: str,
        event_id: Any,
        handle: Handle,
        args: tuple[Any, ...],
        token: object = None,
    ) -> None:
        """Hand an event over for delivery; `token` limits it to who subscribed with it."""
        with self._lock:
            loop, timer = self._loop, self._timer
            if loop is None:
                return
            self._pending.append(_Event(family, event_id, handle, args, token))
            first = len(self._pending) == 1
        if first:
            loop.update_timeout(timer, 0)

    def _flush(self, timer: int, _opaque: object) -> None:
        """Deliver what is pending now; what callbacks cause meanwhile waits for the next round."""
        loop = self._loop
        if loop is None or timer != self._timer:
            return
        loop.update_timeout(timer, -1)
        pending = self._pending
        left = len(pending)
        try:
            while left > 0:
                left -= 1
                if self._reserved:  # its driver may be sending already: wait until it is complete
                    return
                try:
                    event = pending.popleft()
                except IndexError:  # the last callback was deregistered, or a nested loop ran
                    return
                self._deliver(event)
        finally:
            if pending and not self._reserved and timer == self._timer:
                loop.update_timeout(timer, 0)

    def _deliver(self, event: _Event) -> None:
        with self._lock:
            wanted = [entry for entry in self._registrations if entry.wants(event)]
        handle: Handle | None = event.handle
        for entry in wanted:
            if entry.deleted:  # by a callback just before
                continue
            mine = handle if handle is not None else copy_handle(event.handle)
            handle = None
            try:
                entry.deliver(mine, event.args)
            except Exception:
                report_callback_error()

    # -- the end of the connection -------------------------------------------------------------

    def register_close(self, deliver: Deliver) -> None:
        """Call `deliver(None, (reason,))` once when the connection is lost.

        Connections that cannot be lost accept any number of callbacks and call none.
        """
        if not getattr(self.conn.driver, "tells_close", False):
            return
        with self._lock:
            if self._close is not None:
                raise report(
                    VIR_ERR_OPERATION_INVALID,
                    VIR_FROM_REMOTE,
                    "A close callback is already registered",
                )
            self._close = deliver
        try:
            self.conn.driver.connect_register_close_callback()
        except BaseException:
            self._close = None
            raise
        self.conn.refs.append(None)

    def unregister_close(self) -> None:
        """Forget the close callback."""
        if not getattr(self.conn.driver, "tells_close", False):
            return
        with self._lock:
            if self._close is None:
                raise report(
                    VIR_ERR_OPERATION_INVALID,
                    VIR_FROM_REMOTE,
                    "A different callback was requested",
                )
        self.conn.driver.connect_unregister_close_callback()
        with self._lock:
            had, self._close = self._close, None
        if had is not None:
            self.conn.release()

    def connection_closed(self, reason: int) -> None:
        """Called by the driver, in the thread that noticed."""
        with self._lock:
            deliver, self._close = self._close, None
        if deliver is None:
            return
        try:
            deliver(None, (reason,))
        except Exception:
            report_callback_error()
        finally:
            self.conn.release()


def copy_handle(handle: Handle) -> Handle:
    """A second handle of the same object, so that each callback owns and frees its own."""
    if isinstance(handle, DomainHandle):
        return DomainHandle(handle.conn, handle.name, handle.uuid, handle.id)
    return type(handle)(handle.conn, *handle.wire)


def _name_filter(event: str | None, flags: int) -> Callable[[str], object] | None:
    """How a monitor event's name is compared with what was asked for; None takes every event."""
    if event is None:
        return None
    if flags & QEMU_REGEX:
        import re

        return re.compile(event, re.IGNORECASE if flags & QEMU_NOCASE else 0).search
    if flags & QEMU_NOCASE:
        folded = event.casefold()
        return lambda name: name.casefold() == folded
    return event.__eq__
