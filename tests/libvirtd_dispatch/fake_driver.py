# SPDX-License-Identifier: LGPL-2.1-or-later
"""fake_driver.py: a driver of scheme `fake` that does what a test tells it.

Called by: the tests of this folder.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from libvirtcore.drivers import registry
from libvirtcore.drivers.base import Driver
from libvirtcore.errors import VirError
from libvirtcore.events.state import event_state
from libvirtcore.handles import DomainHandle, Handle, StreamHandle

UUID = bytes(range(16))
PARAMS = [("weight", 2, 7), ("name", 7, "text"), ("limit", 4, 1 << 40)]


class FakeDriver(Driver):
    """Remembers what was asked; every connection is in `opened` until it is closed."""

    name = "Fake"
    opened: list[FakeDriver] = []  # noqa: RUF012 (shared on purpose)
    stream: Any = None  # what the next stream call attaches

    def __init__(self, readonly: bool) -> None:
        self.readonly = readonly
        self.asked: list[tuple[Any, ...]] = []
        self.subscribed: list[tuple[str, Any, Handle | None]] = []
        self.closed = threading.Event()
        self.eager = False  # has an event ready for every subscriber

    @classmethod
    def connect_open(cls, uri: Any, auth: Any, flags: int) -> FakeDriver | None:
        if uri is None:
            return None
        driver = cls(bool(flags & 1))
        cls.opened.append(driver)
        return driver

    def connect_close(self) -> None:
        if self in FakeDriver.opened:  # a test that failed may have left it behind
            FakeDriver.opened.remove(self)
        self.closed.set()

    # --- calls --------------------------------------------------------------------------------

    def domain_get_memory_parameters(
        self, dom: DomainHandle, nparams: int, flags: int
    ) -> tuple[list[Any], int]:
        self.asked.append((dom.name, nparams, flags))
        return PARAMS, len(PARAMS)

    def domain_set_memory_parameters(self, dom: DomainHandle, params: Any, flags: int) -> None:
        self.asked.append((dom.name, params, flags))

    def connect_list_defined_domains(self, maxnames: int) -> list[str]:
        return ["a", "b", "c"]

    def connect_list_all_domains(self, need_results: int, flags: int) -> Any:
        many = [DomainHandle(self.conn, "x", UUID)] * flags
        return many, len(many)

    def domain_create(self, dom: DomainHandle) -> None:
        raise ZeroDivisionError("a fault of the driver")

    def domain_open_graphics_fd(self, dom: DomainHandle, idx: int, flags: int) -> list[int]:
        read, write = os.pipe()
        os.write(write, b"through the pipe")
        os.close(write)
        return [read]

    def domain_open_graphics(self, dom: DomainHandle, idx: int, flags: int, fds: list[int]) -> None:
        self.asked.append(tuple(os.read(fd, 100) for fd in fds))

    def connect_get_all_domain_stats(self, doms: Any, stats: int, flags: int) -> Any:
        return [(DomainHandle(self.conn, "x", UUID, 3), PARAMS)]

    def domain_open_console(
        self, dom: DomainHandle, dev_name: str | None, flags: int, stream: StreamHandle
    ) -> None:
        stream.impl = FakeDriver.stream

    def storage_vol_download(
        self, vol: Any, offset: int, length: int, flags: int, stream: StreamHandle
    ) -> None:
        stream.impl = FakeDriver.stream

    storage_vol_upload = storage_vol_download

    # --- events -------------------------------------------------------------------------------

    def event_subscribe(self, family: str, event_id: Any, handle: Handle | None) -> object:
        entry = (family, event_id, handle)
        self.subscribed.append(entry)
        if self.eager:
            self.emit(family, event_id, DomainHandle(self.conn, "x", UUID, 5), 1, 1)
        return entry

    def event_unsubscribe(self, token: Any) -> None:
        self.subscribed.remove(token)

    def connect_register_close_callback(self) -> None:
        self.asked.append(("register close",))

    def connect_unregister_close_callback(self) -> None:
        self.asked.append(("unregister close",))

    def emit(self, family: str, event_id: Any, handle: Handle, *args: Any) -> None:
        event_state(self.conn).queue(family, event_id, handle, args)


class FakeStream:
    """A stream whose other end the test holds: `incoming` to the client, `taken` from it."""

    def __init__(self, incoming: bytes = b"", room: int = 1 << 30) -> None:
        self.incoming: list[bytes | int] = [incoming] if incoming else []
        self.ended = False
        self.taken = b""
        self.holes: list[int] = []
        self.room = room
        self.fails: VirError | None = None
        self.over = ""
        self.done = threading.Event()
        self._deliver: Any = None
        self._events = 0
        self._loop: Any = None
        self._timer = -1

    def send(self, data: bytes) -> int:
        if self.fails:
            raise self.fails
        if self.room == 0:
            return -2
        part = data[: self.room]
        self.room -= len(part)
        self.taken += part
        return len(part)

    def recv(self, nbytes: int) -> bytes | int:
        if self.fails:
            raise self.fails
        if self.incoming:
            data = self.incoming.pop(0)
            assert isinstance(data, bytes)
            if len(data) > nbytes:
                self.incoming.insert(0, data[nbytes:])
            return data[:nbytes]
        return b"" if self.ended else -2

    def recv_flags(self, nbytes: int, flags: int) -> bytes | int:
        if self.incoming and isinstance(self.incoming[0], int):
            return -3
        return self.recv(nbytes)

    def recv_hole(self, flags: int) -> int:
        hole = self.incoming.pop(0)
        assert isinstance(hole, int)
        return hole

    def send_hole(self, length: int, flags: int) -> None:
        self.holes.append(length)

    def finish(self) -> None:
        self.over = "finished"
        self.done.set()

    def abort(self) -> None:
        self.over = "aborted"
        self.done.set()

    def free(self) -> None:
        self.over = self.over or "freed"
        self.done.set()

    # --- callbacks: a timer of the loop, as long as something is possible ----------------------

    def event_add_callback(self, events: int, deliver: Any) -> None:
        from libvirtcore.events.loop import ensure_loop

        self._deliver, self._events = deliver, events
        self._loop = ensure_loop()
        self._timer = self._loop.add_timeout(5, self._fire)

    def event_update_callback(self, events: int) -> None:
        self._events = events

    def event_remove_callback(self) -> None:
        self._loop.remove_timeout(self._timer)
        self._deliver = None

    def _fire(self, _timer: int, _opaque: object) -> None:
        possible = (1 if self.incoming or self.ended or self.fails else 0) | (2 if self.room else 0)
        if self._deliver is not None and possible & self._events:
            self._deliver(possible & self._events)


@contextmanager
def registered() -> Iterator[type[FakeDriver]]:
    """Have `fake:///` open a FakeDriver."""
    FakeDriver.opened.clear()
    registry.register_driver("fake", __name__, "FakeDriver")
    try:
        yield FakeDriver
    finally:
        registry._DRIVERS.pop(0)
