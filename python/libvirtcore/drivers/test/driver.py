# SPDX-License-Identifier: LGPL-2.1-or-later
"""driver.py: the driver behind `test:///default`.

Called by: drivers.registry (open), libvirtcore.api (every call).
Calls: drivers.test.node for state, events.state to tell subscribers.
Never: starts a process, opens a socket or reads a file.
"""

from __future__ import annotations

from typing import Any

from libvirtcore.drivers.base import Driver
from libvirtcore.drivers.test.domains import DomainCalls
from libvirtcore.drivers.test.host import HostFacts
from libvirtcore.drivers.test.node import acquire_default, release_default
from libvirtcore.errors import report
from libvirtcore.events.families import QEMU_MONITOR, SECRET
from libvirtcore.generated import constants as c
from libvirtcore.handles import Handle
from libvirtcore.uri import Uri


class TestDriver(DomainCalls, HostFacts, Driver):
    """One connection to the simulated host."""

    __test__ = False  # not a pytest class
    name = "Test"

    def __init__(self) -> None:
        super().__init__()
        self.node = acquire_default()
        self._closed = False

    @classmethod
    def connect_open(cls, uri: Uri | None, auth: Any, flags: int) -> TestDriver | None:
        """Take `test:///default`; decline everything that is not a local test URI."""
        if uri is None or uri.scheme != "test" or uri.server or uri.transport:
            return None
        if uri.path in ("", "/"):
            raise report(
                c.VIR_ERR_INVALID_ARG,
                c.VIR_FROM_TEST,
                "testOpen: supply a path or use test:///default",
            )
        if uri.path != "/default":
            raise report(
                c.VIR_ERR_CONFIG_UNSUPPORTED,
                c.VIR_FROM_TEST,
                f"host description '{uri.path}' is not supported yet, only test:///default is",
            )
        return cls()

    def connect_close(self) -> None:
        if not self._closed:
            self._closed = True
            with self.node.lock:
                if self.conn in self.node.subscribers:
                    self.node.subscribers.remove(self.conn)
            release_default()

    def is_alive(self) -> bool:
        return True

    def is_secure(self) -> bool:
        return True

    def is_encrypted(self) -> bool:
        return False

    def get_uri(self) -> str:
        return "test:///default"

    def event_subscribe(self, family: str, event_id: int, handle: Handle | None) -> object:
        """Hear of what happens on the node; the connection's event state filters."""
        if family in (SECRET, QEMU_MONITOR):
            return super().event_subscribe(family, event_id, handle)  # refuses
        with self.node.lock:
            if self.conn not in self.node.subscribers:
                self.node.subscribers.append(self.conn)
        return (family, event_id)

    def event_unsubscribe(self, token: object) -> None:
        """Nothing to undo: an event without a callback is dropped by the event state."""
