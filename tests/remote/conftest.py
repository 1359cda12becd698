# SPDX-License-Identifier: LGPL-2.1-or-later
"""conftest.py: a fake daemon, a connection to it, and an environment without the user's settings.

Called by: pytest.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from libvirtcore import settings
from libvirtcore.drivers.remote.driver import RemoteDriver
from libvirtcore.handles import ConnectHandle
from libvirtcore.uri import parse
from tests.remote.fake_daemon import FakeDaemon

Connect = Callable[..., RemoteDriver]


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LIBVIRT_DEFAULT_URI", "LIBVIRT_AUTH_FILE", "LIBVIRT_AUTOSTART", "VIRTD_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(settings, "SYSTEM_CONFIG", str(tmp_path / "etc"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


def children() -> set[int]:
    """Processes whose parent is this one, zombies among them."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it left meanwhile
        if int(fields[1]) == os.getpid():
            found.add(int(stat.parent.name))
    return found


@pytest.fixture
def leaves_no_child() -> Iterator[None]:
    """Fail when the test leaves a child process behind, running or not waited for."""
    before = children()
    yield
    deadline = time.monotonic() + 2
    while children() - before:
        assert time.monotonic() < deadline, children() - before
        time.sleep(0.01)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    daemon = FakeDaemon(tmp_path / "sock")
    yield daemon
    daemon.close()


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Open a URI as the API layer does; everything is closed after the test."""
    opened: list[ConnectHandle] = []

    def connect(text: str | None, auth: Any = None, flags: int = 0) -> RemoteDriver:
        driver = RemoteDriver.connect_open(None if text is None else parse(text), auth, flags)
        handle = ConnectHandle(driver, driver.get_uri(), bool(flags & 1))
        driver.conn = handle
        opened.append(handle)
        return driver

    yield connect
    for handle in opened:
        handle.release()


@pytest.fixture
def driver(daemon: FakeDaemon, connect: Connect) -> RemoteDriver:
    return connect(f"qemu+unix:///system?socket={daemon.path}")
