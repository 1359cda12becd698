# SPDX-License-Identifier: LGPL-2.1-or-later
"""conftest.py: a driver that answers what a test told it to, and one handle of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from libvirtcore import errors
from libvirtcore import handles as h
from libvirtcore.drivers.base import Driver

UUID = bytes(range(16))
UUID_TEXT = "00010203-0405-0607-0809-0a0b0c0d0e0f"


class ScriptedDriver(Driver):
    """Answers each method with what `answers` has for it and notes the call in `calls`."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.calls: list[Any] = []  # (method, *arguments)

    def __getattribute__(self, name: str) -> Any:
        answers = object.__getattribute__(self, "__dict__").get("answers", {})
        if name not in answers:
            return object.__getattribute__(self, name)

        def method(*args: Any) -> Any:
            self.calls.append((name, *args))
            answer = answers[name]
            if isinstance(answer, BaseException):
                raise answer
            return answer(*args) if callable(answer) else answer

        return method


class World:
    """A connection on a scripted driver and one handle of each kind."""

    def __init__(self, readonly: bool = False) -> None:
        self.driver = ScriptedDriver()
        self.conn = h.ConnectHandle(self.driver, "scripted:///", readonly)
        self.driver.conn = self.conn
        self.dom = h.DomainHandle(self.conn, "vm", UUID, 7)
        self.net = h.NetworkHandle(self.conn, "default", UUID)
        self.port = h.NetworkPortHandle(self.net, UUID)
        self.pool = h.StoragePoolHandle(self.conn, "pool", UUID)
        self.vol = h.StorageVolHandle(self.conn, "pool", "vol", "/vol")
        self.iface = h.InterfaceHandle(self.conn, "eth0", "52:54:00:00:00:01")
        self.dev = h.NodeDeviceHandle(self.conn, "pci_0")
        self.secret = h.SecretHandle(self.conn, UUID, 2, "usage")
        self.nwfilter = h.NWFilterHandle(self.conn, "clean", UUID)
        self.binding = h.NWFilterBindingHandle(self.conn, "vnet0", "clean")
        self.snap = h.DomainSnapshotHandle(self.dom, "before")
        self.checkpoint = h.DomainCheckpointHandle(self.dom, "monday")
        self.stream = h.StreamHandle(self.conn)

    def says(self, **answers: Any) -> None:
        """What the driver answers from now on."""
        self.driver.answers.update(answers)

    @property
    def asked(self) -> list[str]:
        """The driver methods called so far."""
        return [call[0] for call in self.driver.calls]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Errors are not printed, and none is left from another test."""
    errors.reset_last_error()
    errors.set_error_handler(lambda _context, _raw: None)
    yield
    errors.set_error_handler(None)
    errors.reset_last_error()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def readonly() -> World:
    return World(readonly=True)
