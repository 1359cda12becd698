# SPDX-License-Identifier: LGPL-2.1-or-later
"""conftest.py: daemons for the interop tests.

`daemon` is one fresh libvirtd with default settings; `start_daemon` starts more, with others. They
end with the test, together with their guests. Everything here carries the marker `interop`.
Called by: pytest.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import lacking
from tests.interop import certificates, guest
from tests.interop.daemon import Daemon, Settings, missing

StartDaemon = Callable[..., Daemon]
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in Path(item.path).parents:
            item.add_marker(pytest.mark.interop)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def host() -> None:
    """Skip (in CI: fail) where the host cannot run the suite."""
    lacks = missing()
    if lacks:
        lacking(*lacks)


@pytest.fixture(scope="session")
def qemu_cache(host: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A daemon's /var/cache/libvirt that knows QEMU already, so that the others start fast."""
    cache = tmp_path_factory.mktemp("cache")
    with Daemon() as daemon:
        daemon.virsh("capabilities")
        shutil.copytree(daemon.root / "cache", cache, dirs_exist_ok=True)
    return cache


@pytest.fixture(scope="session")
def pki(host: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of a throw-away authority (see certificates.py)."""
    return certificates.make(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def start_daemon(qemu_cache: Path) -> Iterator[StartDaemon]:
    started: list[Daemon] = []

    def start(settings: Settings | None = None, network_of: Daemon | None = None) -> Daemon:
        daemon = Daemon(settings, network_of=network_of, cache=qemu_cache)
        started.append(daemon)
        guest.install_images(daemon.images)
        return daemon

    yield start
    for daemon in reversed(started):
        daemon.close()


@pytest.fixture
def daemon(start_daemon: StartDaemon) -> Daemon:
    return start_daemon()
