# SPDX-License-Identifier: LGPL-2.1-or-later
"""events.py: what one client wants to hear of, and how it is told.

A registration here is one callback of the connection's event state; what it hears goes out as the
event of the wire that fits the way it was registered: bare for the old calls, with the number of
the registration for the new ones.
Called by: session.py, special_events.py. Calls: events.state, the server.
Never: decides what happens; waits for a client (the server bounds what is queued for it).
"""

from __future__ import annotations

import re
from _thread import allocate_lock

from libvirtcore.drivers.support import no_support
from libvirtcore.drivers.wire import QEMU, REMOTE
from libvirtcore.errors import VirError, report
from libvirtcore.events.families import QEMU_MONITOR
from libvirtcore.events.state import QEMU_REGEX, event_state
from libvirtcore.generated import constants as c
from libvirtcore.generated.dispatch_table import EVENTS
from libvirtcore.log import WARNING, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from libvirtcore.api.call import Row
    from libvirtcore.core_server import Worker
    from libvirtcore.handles import Handle
    from libvirtd.session import Session

    Message: TypeAlias = "tuple[int, int, tuple[Any, ...]]"  # program, procedure, fields

CONNECTION_CLOSED = 362  # connect_event_connection_closed
QEMU_MONITOR_EVENT = 6  # domain_monitor_event of program qemu
# How a client registered; the older two differ in what they are answered: 0 or nothing.
NUMBERED, OLD, OLDEST = "numbered", "old", "oldest"
MAX_REGISTRATIONS = 4096  # of one client; real ones have a handful


class Registration:
    """One thing a client wants to hear of. `number` is what it calls it, -1 in the old style."""

    __slots__ = ("event_id", "family", "legacy", "lock", "number", "session")

    def __init__(self, session: Session, family: str, event_id: Any, legacy: bool) -> None:
        self.session = session
        self.family = family
        self.event_id = event_id
        self.legacy = legacy
        self.number = -1
        self.lock = allocate_lock()  # held until the client knows the number

    def deliver(self, handle: Handle, args: tuple[Any, ...]) -> None:
        """Tell the client; called from the event loop."""
        with self.lock:
            pass
        session = self.session
        program, procedure, message = self.message(handle.wire, args)
        try:
            session.server.event(session.client, program, procedure, message)
        except VirError as error:
            log(WARNING, __name__, f"client {session.client}: event {procedure}: {error.message}")

    def message(self, wire: tuple[Any, ...], args: tuple[Any, ...]) -> Message:
        """The event of the wire that says it."""
        if self.family == QEMU_MONITOR:
            return QEMU, QEMU_MONITOR_EVENT, (self.number, wire, *args)
        old, new, layout = EVENTS[self.family, self.event_id]
        if self.legacy:
            return REMOTE, old, (wire,) if layout == "reason" else (wire, *args)
        if layout == "flat":
            return REMOTE, new, (self.number, wire, *args)
        if layout == "reason":
            return REMOTE, new, (self.number, args[0], (wire,))
        return REMOTE, new, (self.number, (wire, *args))


class Registrations:
    """All of one client."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = allocate_lock()
        self._entries: list[Registration] = []
        self._closing = False  # the client wants to hear when the connection is lost

    def add(
        self,
        worker: Worker,
        row: Row,
        family: str,
        event_id: Any,
        handle: Handle | None,
        style: str = NUMBERED,
    ) -> int:
        """Register, and answer the call before the first event can go out. Raises: VirError."""
        session = self._session
        entry = Registration(session, family, event_id, style != NUMBERED)
        if family == QEMU_MONITOR:
            _check_pattern(*event_id)
        with entry.lock:
            with self._lock:
                if len(self._entries) >= MAX_REGISTRATIONS:
                    raise report(
                        c.VIR_ERR_OPERATION_DENIED, c.VIR_FROM_RPC, "too many event callbacks"
                    )
            try:
                number = event_state(session.conn).register(family, event_id, handle, entry.deliver)
            except VirError as error:
                if error.code == c.VIR_ERR_NO_SUPPORT and error.str2 != row.name:
                    # The base driver knows no family.
                    raise no_support(row.name, row.domain) from None
                raise
            entry.number = number
            with self._lock:
                self._entries.append(entry)
            worker.reply({NUMBERED: (number,), OLD: None, OLDEST: (0,)}[style])
            worker.flush()
        if session.closed:
            self.close()
        return number

    def remove_number(self, number: int, family: str) -> bool:
        """Forget a numbered registration; False when there is none."""
        return self._remove(lambda e: not e.legacy and e.number == number and e.family == family)

    def remove_legacy(self, event_id: int) -> bool:
        """Forget one that was registered the old way."""
        return self._remove(lambda e: e.legacy and e.event_id == event_id)

    def _remove(self, wanted: Any) -> bool:
        with self._lock:
            for entry in self._entries:
                if wanted(entry):
                    self._entries.remove(entry)
                    break
            else:
                return False
        event_state(self._session.conn).deregister(entry.number)
        return True

    def watch_connection(self) -> None:
        """Tell the client when the driver loses what it is connected to."""
        if not self._closing:
            event_state(self._session.conn).register_close(self._connection_closed)
            self._closing = True

    def unwatch_connection(self) -> None:
        if self._closing:
            self._closing = False
            event_state(self._session.conn).unregister_close()

    def _connection_closed(self, _handle: Any, args: tuple[Any, ...]) -> None:
        self._closing = False  # told once
        session = self._session
        session.server.event(session.client, REMOTE, CONNECTION_CLOSED, args)

    def close(self) -> None:
        """Forget everything. Raises: VirError, after all are forgotten."""
        with self._lock:
            entries, self._entries = self._entries, []
        problem: VirError | None = None
        for entry in entries:
            try:
                event_state(self._session.conn).deregister(entry.number)
            except VirError as error:
                problem = error
        if self._closing:
            self.unwatch_connection()
        if problem is not None:
            raise problem


def _check_pattern(event: str | None, flags: int) -> None:
    """Refuse a filter that is no regular expression. Raises: VirError."""
    if event is not None and flags & QEMU_REGEX:
        try:
            re.compile(event)
        except (re.error, RecursionError, OverflowError) as problem:
            raise report(
                c.VIR_ERR_INVALID_ARG,
                c.VIR_FROM_NONE,
                f"failed to compile regex '{event}': {problem}",
            ) from None
