# SPDX-License-Identifier: LGPL-2.1-or-later
"""conftest.py: event loops and connections that leave nothing behind for the next test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from libvirtcore.events import loop as loop_module
from libvirtcore.events.poll import PollLoop
from libvirtcore.handles import ConnectHandle


@pytest.fixture
def no_loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a new process: no loop registered, no events thread."""
    monkeypatch.setattr(loop_module, "_registered", None)
    monkeypatch.setattr(loop_module, "_python_registered", False)
    monkeypatch.setattr(loop_module, "_default", None)
    monkeypatch.setattr(loop_module, "_thread_loop", None)
    monkeypatch.setattr(loop_module, "_stop_thread", None)
    yield
    if loop_module._stop_thread is not None:
        import atexit

        loop_module._stop_thread()
        atexit.unregister(loop_module._stop_thread)


@pytest.fixture
def default_loop(no_loop: None) -> PollLoop:
    """The default loop, registered; the test runs it."""
    loop_module.register_default()
    return loop_module._default_loop()


class SilentDriver:
    """A driver that only notes what the event state asks of it."""

    event_unknown_message = "could not find event callback %d for deletion"

    def __init__(self) -> None:
        self.conn: Any = None
        self.calls: list[tuple[Any, ...]] = []
        self.closed = False

    def event_subscribe(self, family: str, event_id: Any, handle: Any) -> object:
        self.calls.append(("subscribe", family, event_id, handle))
        return None

    def event_unsubscribe(self, token: object) -> None:
        self.calls.append(("unsubscribe", token))

    def connect_close(self) -> None:
        self.closed = True


@pytest.fixture
def silent() -> ConnectHandle:
    """A connection whose driver does nothing."""
    driver = SilentDriver()
    conn = ConnectHandle(driver, "silent:///")  # type: ignore[arg-type]
    driver.conn = conn
    return conn
