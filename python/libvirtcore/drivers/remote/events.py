# SPDX-License-Identifier: LGPL-2.1-or-later
"""events.py: events of a remote connection, from the socket to the connection's event state.

Registers with the daemon once per event and object (new daemons filter and number registrations,
old ones only know the event), decodes what arrives, and keeps the event loop informed: the loop
watches the socket while no call is reading from it, and drives keepalive and stream callbacks.
Called by: drivers.remote.driver (mixin), events.state. Never: runs a user's callback except the
close callback, which libvirt also runs in the thread that noticed.
"""

from __future__ import annotations

from _thread import RLock, allocate_lock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from libvirtcore.drivers.remote.event_messages import (
    CONNECTION_CLOSED,
    EVENTS,
    OBJECTS,
    QEMU_EVENTS,
)
from libvirtcore.events.families import (
    DOMAIN,
    NETWORK,
    NODE_DEVICE,
    QEMU_MONITOR,
    SECRET,
    STORAGE_POOL,
)
from libvirtcore.events.loop import ensure_loop, registered
from libvirtcore.events.poll import READABLE, WRITABLE
from libvirtcore.events.state import event_state, object_key

if TYPE_CHECKING:
    from libvirtcore.drivers.remote.streams import RemoteStream
    from libvirtcore.events.loop import Loop
    from libvirtcore.handles import ConnectHandle, Handle
    from libvirtcore.rpc import Client

PROGRAM_REMOTE = 0x20008086
PROGRAM_QEMU = 0x20008087

FEATURE_REMOTE_EVENT_CALLBACK = 14  # the daemon numbers registrations and filters by object
FEATURE_REMOTE_CLOSE_CALLBACK = 15  # the daemon tells when its own connection is lost

# How long the loop leaves the socket to callers that read for themselves.
PAUSE_MS, PAUSE_MAX_MS = 20, 160

CLOSE_REASONS = {"error": 0, "eof": 1, "keepalive": 2, "client": 3}  # VIR_CONNECT_CLOSE_REASON_*


class Subscription:
    """One registration at the daemon, shared by the callbacks that need the same events."""

    __slots__ = ("event_id", "family", "key", "number", "users")

    def __init__(self, family: str, event_id: Any, key: object) -> None:
        self.family = family
        self.event_id = event_id
        self.key = key
        self.number: int | None = None  # the daemon's, None where it gives none
        self.users = 1


class EventsMixin:
    """The event half of the remote driver."""

    conn: ConnectHandle
    client: Client
    default_timeout: float | None

    if TYPE_CHECKING:

        def supports_feature(self, feature: int) -> bool: ...

    event_unknown_message = "event callback id %d not registered"
    tells_close = True  # close callbacks are called

    def _events_init(self) -> None:
        """Before the connection is used: prepare the state."""
        self._subscribing = RLock()  # one registration at a time, as its reply sets the number
        self._table = allocate_lock()  # guards the next three
        self._unclaimed: list[tuple[int, int, tuple[Any, ...]]] = []
        self._subscriptions: list[Subscription] = []
        self._in_subscribe = 0
        self._draining = allocate_lock()
        self._activity = False
        self._told_closed = False
        self._streams: WeakSet[RemoteStream] = WeakSet()
        self._loop: Loop | None = None
        self._watch = -1
        self._watched = 0  # what the loop waits for
        self._pause_timer = -1
        self._pause_ms = PAUSE_MS
        self._keepalive_timer = -1
        self._attaching = allocate_lock()
        self.client.on_activity = self._on_activity

    # -- the loop ------------------------------------------------------------------------------

    def _events_start(self) -> None:
        """After opening: let the program's loop, if it has registered one, watch the socket."""
        if registered() is not None:
            self._attach()

    def _attach(self) -> Loop:
        """Have the loop watch the socket; without a registered loop this starts ours."""
        with self._attaching:
            loop = self._loop
            if loop is not None:
                return loop
            loop = ensure_loop()
            if self.client.closed is None:
                self._watched = READABLE
                self._watch = loop.add_handle(self.client.fileno(), READABLE, self._readable)
            self._loop = loop
            return loop

    def _detach(self) -> None:
        """The socket is about to go: take everything back from the loop."""
        with self._attaching:
            loop = self._loop
            watch, self._watch = self._watch, -1
            timers = (self._pause_timer, self._keepalive_timer)
            self._pause_timer = self._keepalive_timer = -1
        if loop is None:
            return
        if watch >= 0:
            loop.remove_handle(watch)
        for timer in timers:
            if timer >= 0:
                loop.remove_timeout(timer)

    def _readable(self, watch: int, _fd: int, _events: int, _opaque: object) -> None:
        loop = self._loop
        if loop is None or watch != self._watch:
            return
        if self.client.stats()["in_flight"]:
            # A caller reads for itself and sees events on its way; being woken for each of its
            # replies would only slow it down.
            self._watched = 0
            loop.update_handle(watch, 0)
            self._pause_ms = PAUSE_MS
            if self._pause_timer < 0:
                self._pause_timer = loop.add_timeout(self._pause_ms, self._pause_over)
            else:
                loop.update_timeout(self._pause_timer, self._pause_ms)
        else:
            self._pump()

    def _pause_over(self, timer: int, _opaque: object) -> None:
        loop = self._loop
        if loop is None or timer != self._pause_timer:
            if loop is not None:
                loop.remove_timeout(timer)  # detached while it was being made
            return
        self._pump()  # a call may be under way that nobody waits for yet
        if self.client.closed is not None:
            return
        if self.client.stats()["in_flight"]:
            if self._pause_ms < PAUSE_MAX_MS:
                self._pause_ms *= 2
                loop.update_timeout(timer, self._pause_ms)
        else:
            loop.update_timeout(timer, -1)
            self._watch_socket()

    def _pump(self) -> None:
        if not self.client.pump(0.0):
            self._on_activity()
        elif self._watched:
            self._watch_socket()

    def _watch_socket(self) -> None:
        """Wait for what comes, and for room when something is left to be sent."""
        loop, watch = self._loop, self._watch
        if loop is None or watch < 0:
            return
        wanted = READABLE | WRITABLE if self.client.wants_write else READABLE
        if wanted != self._watched:
            self._watched = wanted
            loop.update_handle(watch, wanted)

    def _events_keepalive(self, interval: int, count: int) -> None:
        """Send keepalive probes from the loop; `interval` <= 0 only stops ours."""
        with self._attaching:
            loop, timer = self._loop, self._keepalive_timer
            self._keepalive_timer = -1
        if loop is not None and timer >= 0:
            loop.remove_timeout(timer)
        if interval <= 0:
            return
        self.client.keepalive_start(interval, count)
        loop = self._attach()
        timer = loop.add_timeout(interval * 1000, self._keepalive_due)
        self._keepalive_timer = timer

    def _keepalive_due(self, timer: int, _opaque: object) -> None:
        loop = self._loop
        if loop is None or timer != self._keepalive_timer:
            return
        due = self.client.keepalive_tick()
        if due is None or self.client.closed is not None:
            loop.update_timeout(timer, -1)
            self._on_activity()
        else:
            loop.update_timeout(timer, max(1, int(due * 1000 + 0.999)))

    # -- registering at the daemon -------------------------------------------------------------

    def event_subscribe(self, family: str, event_id: Any, handle: Handle | None) -> object:
        """Have the daemon send an event; callbacks of the same event and object share."""
        numbered = family != DOMAIN or self.supports_feature(FEATURE_REMOTE_EVENT_CALLBACK)
        key = (family, event_id, object_key(handle) if numbered else None)
        with self._subscribing:
            if family != QEMU_MONITOR:
                for entry in self._subscriptions:
                    if (entry.family, entry.event_id, entry.key) == key:
                        entry.users += 1
                        return entry
            self._attach()
            entry = Subscription(*key)
            with self._table:
                self._in_subscribe += 1
            try:
                if numbered:
                    entry.number = self._register(family, event_id, handle)
                else:
                    self._register_unnumbered(event_id)
                with self._table:
                    self._subscriptions.append(entry)
            finally:
                with self._table:
                    self._in_subscribe -= 1
                    early, self._unclaimed = self._unclaimed, []
                for program, procedure, message in early:
                    self._queue(program, procedure, message)
            return entry

    def event_unsubscribe(self, token: object) -> None:
        """Undo one `event_subscribe`; the last one tells the daemon."""
        assert isinstance(token, Subscription)
        with self._subscribing:
            token.users -= 1
            if token.users > 0:
                return
            with self._table:
                self._subscriptions.remove(token)
            if self.client.closed is None:
                self._deregister(token)

    def _register(self, family: str, event_id: Any, handle: Handle | None) -> int:
        driver: Any = self
        number: int
        if family == DOMAIN:
            number = driver.connect_domain_event_callback_register_any(event_id, handle)
        elif family == NETWORK:
            number = driver.connect_network_event_register_any(event_id, handle)
        elif family == STORAGE_POOL:
            number = driver.connect_storage_pool_event_register_any(event_id, handle)
        elif family == NODE_DEVICE:
            number = driver.connect_node_device_event_register_any(event_id, handle)
        elif family == SECRET:
            number = driver.connect_secret_event_register_any(event_id, handle)
        else:
            name, flags = event_id
            number = driver.qemu_connect_domain_monitor_event_register(handle, name, flags)
        return number

    def _register_unnumbered(self, event_id: int) -> None:
        """The old style: one kind of event of all domains; before 0.8 lifecycle only."""
        driver: Any = self
        if event_id == 0:
            driver.connect_domain_event_register()
        else:
            driver.connect_domain_event_register_any(event_id)

    def _deregister(self, entry: Subscription) -> None:
        driver: Any = self
        family, number = entry.family, entry.number
        if number is None:
            if entry.event_id == 0:
                driver.connect_domain_event_deregister()
            else:
                driver.connect_domain_event_deregister_any(entry.event_id)
        elif family == DOMAIN:
            driver.connect_domain_event_callback_deregister_any(number)
        elif family == NETWORK:
            driver.connect_network_event_deregister_any(number)
        elif family == STORAGE_POOL:
            driver.connect_storage_pool_event_deregister_any(number)
        elif family == NODE_DEVICE:
            driver.connect_node_device_event_deregister_any(number)
        elif family == SECRET:
            driver.connect_secret_event_deregister_any(number)
        else:
            driver.qemu_connect_domain_monitor_event_deregister(number)

    def connect_register_close_callback(self) -> None:
        """Ask the daemon to tell when the connection it holds for us is lost."""
        self._attach()
        if self.supports_feature(FEATURE_REMOTE_CLOSE_CALLBACK):
            super().connect_register_close_callback()  # type: ignore[misc]

    def connect_unregister_close_callback(self) -> None:
        """Undo `connect_register_close_callback`."""
        if self.client.closed is None and self.supports_feature(FEATURE_REMOTE_CLOSE_CALLBACK):
            super().connect_unregister_close_callback()  # type: ignore[misc]

    # -- what arrives --------------------------------------------------------------------------

    def _on_activity(self) -> None:
        """Events or stream data were read, or the connection closed; any thread, no locks held."""
        self._activity = True
        lost: list[int] = []
        while self._activity and self._draining.acquire(False):
            try:
                self._activity = False
                while (event := self.client.next_event()) is not None:
                    program, procedure, message = event
                    if procedure == CONNECTION_CLOSED and program == PROGRAM_REMOTE:
                        lost.append(message[0])
                    else:
                        self._queue(program, procedure, message)
            finally:
                self._draining.release()
        for stream in list(self._streams):
            stream.activity()
        if lost:
            event_state(self.conn).connection_closed(lost[0])
        reason = self.client.closed
        if reason is not None:
            with self._table:
                told, self._told_closed = self._told_closed, True
            if not told:
                self._detach()
                if reason != "client":
                    event_state(self.conn).connection_closed(CLOSE_REASONS.get(reason, 0))

    def _queue(self, program: int, procedure: int, message: tuple[Any, ...]) -> None:
        """Hand one event to the event state, addressed to those who subscribed to it."""
        row = (EVENTS if program == PROGRAM_REMOTE else QEMU_EVENTS).get(procedure)
        if row is None:
            return
        family, event_id, layout = row
        number, wire, args = layout(message)
        with self._table:
            for entry in self._subscriptions:
                if (
                    entry.family == family
                    and entry.number == number
                    and (entry.event_id == event_id or family == QEMU_MONITOR)
                ):
                    break
            else:
                if self._in_subscribe:
                    # It may belong to the registration whose reply is being waited for.
                    self._unclaimed.append((program, procedure, message))
                return
        handle = OBJECTS[family](self.conn, *wire)
        event_state(self.conn).queue(family, event_id, handle, args, entry)
