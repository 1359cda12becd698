# SPDX-License-Identifier: LGPL-2.1-or-later
"""conftest.py: one real daemon for the whole folder, connections to it on both RPC cores.

The daemon serves `test:///default` on its UNIX socket. `connect` opens through `import libvirt`;
whatever a test opens is closed after it. A test that names `core` runs on the C core and on the
pure one.
Called by: pytest.
"""

from __future__ import annotations

import gc
import importlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import libvirt
from libvirtcore import errors, settings
from libvirtcore.drivers.remote import driver as remote
from tests.behaviour.proxy import Proxy
from tests.conftest import PYTHON, lacking
from tests.interop.daemon import Daemon, missing

Connect = Callable[..., libvirt.virConnect]
Script = Callable[..., "subprocess.CompletedProcess[str]"]
StartProxy = Callable[..., Proxy]
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE not in Path(item.path).parents:
            continue
        names = set(getattr(item, "fixturenames", ()))
        if "daemon" in names:
            item.add_marker(pytest.mark.interop)
        if names & {"daemon", "script", "authority"}:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def shared_daemon() -> Iterator[Daemon]:
    lacks = missing()
    if lacks:
        lacking(*lacks)
    with Daemon() as daemon:
        yield daemon


@pytest.fixture
def daemon(shared_daemon: Daemon) -> Daemon:
    return shared_daemon


@pytest.fixture
def uri(daemon: Daemon) -> str:
    return daemon.uri("test")


@pytest.fixture(params=["c", "pure"])
def core(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The RPC core that `connect` and every other open use."""
    name = {"c": "libvirtcore.core", "pure": "libvirtcore.rpc.pure"}[request.param]
    try:
        module = importlib.import_module(name)
    except ImportError as problem:
        lacking(f"the C core ({problem})")
    monkeypatch.setattr(remote, "Client", module.Client)
    return str(request.param)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No settings of the user, no errors on the terminal."""
    for name in ("LIBVIRT_DEFAULT_URI", "LIBVIRT_AUTH_FILE", "LIBVIRT_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(settings, "SYSTEM_CONFIG", str(tmp_path / "etc"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    errors.set_error_handler(lambda _context, _error: None)
    yield
    errors.set_error_handler(None)


@pytest.fixture
def connect() -> Iterator[Connect]:
    opened: list[libvirt.virConnect] = []

    def connect(uri: str) -> libvirt.virConnect:
        conn: libvirt.virConnect = libvirt.open(uri)
        opened.append(conn)
        return conn

    yield connect
    for conn in opened:
        if conn._o is not None:
            conn.close()
    opened.clear()
    gc.collect()


def settled(conn: libvirt.virConnect) -> dict[str, int]:
    """The client's counters once every answer has come, also those that nobody wants."""
    deadline = time.monotonic() + 5
    while True:
        counters: dict[str, int] = conn._o.driver.client.stats()
        if counters["in_flight"] == 0:
            return counters
        assert time.monotonic() < deadline, counters
        conn.getHostname()


@pytest.fixture
def start_proxy(daemon: Daemon, tmp_path: Path) -> Iterator[StartProxy]:
    """A function that puts a Proxy before the daemon; its `uri` leads through it."""
    started: list[Proxy] = []

    def start(**options: Any) -> Proxy:
        path = tmp_path / f"proxy{len(started)}"
        started.append(Proxy(daemon.socket, path, **options))
        return started[-1]

    yield start
    for proxy in started:
        proxy.close()


@pytest.fixture
def script() -> Script:
    """A function that runs Python statements in a process of their own."""

    def run(
        text: str, *arguments: str, pure: bool = False, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        surroundings = {**os.environ, **(env or {})}
        surroundings["PYTHONPATH"] = str(PYTHON)
        surroundings["LIBVIRTCORE_PURE"] = str(int(pure))
        return subprocess.run(
            [sys.executable, "-c", text, *arguments],
            env=surroundings,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run
