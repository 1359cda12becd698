# SPDX-License-Identifier: LGPL-2.1-or-later
"""conftest.py: daemons of one test each, with real QEMU, and proof that nothing is left of them.

`agree` is the rule of the folder: each guest that runs has one QEMU, and nothing else is there.
Called by: pytest. Never: leaves a process, a mount or a lock behind.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import libvirt
from libvirtcore.conf import Domain
from libvirtcore.drivers.qemu.store import parse_status
from tests.conftest import lacking
from tests.ours_daemon import OurDaemon
from tests.qemu.conftest import QEMU, domain_xml, wait_for

CAPABILITIES = Path("var/cache/libvirt/qemu/capabilities")

try:
    import _libvirtmod  # noqa: F401
except ImportError:
    collect_ignore_glob = ["test_*.py"]
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        lacking("the C core")


def rounds(default: int) -> int:
    """How often something is tried: as told by the environment, for long runs."""
    return int(os.environ.get("LVC_FAULT_ROUNDS", default))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    libvirt.registerErrorHandler(lambda *_: None, None)
    yield
    libvirt.registerErrorHandler(None, None)


@pytest.fixture(scope="session")
def capabilities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What QEMU can do, found out once."""
    if shutil.which(QEMU) is None:
        lacking(QEMU)
    root = tmp_path_factory.mktemp("capabilities")
    with OurDaemon(root=root) as daemon:
        conn = libvirt.open(daemon.uri("qemu"))
        conn.defineXML(domain_xml())
        conn.close()
    return root / CAPABILITIES


@pytest.fixture
def make(capabilities: Path, tmp_path: Path) -> Iterator[Callable[..., OurDaemon]]:
    """A function that starts a daemon which knows QEMU already; keywords as OurDaemon's."""
    made: list[OurDaemon] = []

    def start(root: Path = tmp_path / "root", start: bool = True, **options: Any) -> OurDaemon:
        (root / CAPABILITIES).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (root / CAPABILITIES).exists():
            shutil.copytree(capabilities, root / CAPABILITIES)
        made.append(OurDaemon(root=root, start=False, **options))
        if start:
            made[-1].start()
        return made[-1]

    yield start
    for daemon in made:
        daemon.close()
    left = named(tmp_path)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not named(tmp_path))


@pytest.fixture
def daemon(make: Callable[..., OurDaemon]) -> OurDaemon:
    return make()


def connect(daemon: OurDaemon, driver: str = "qemu") -> Any:
    return libvirt.open(daemon.uri(driver))


def named(folder: Path) -> list[int]:
    """The processes that have a folder in their command line or as their output."""
    found = []
    wanted = os.fsencode(str(folder))
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{entry}/cmdline").read_bytes()
            links = [os.readlink(f"/proc/{entry}/fd/{fd}") for fd in (1, 2)]
            if wanted in words or any(os.fsencode(link).startswith(wanted) for link in links):
                found.append(int(entry))
    return found


def guests(daemon: OurDaemon) -> list[int]:
    """The processes that serve guests, those included that are about to."""
    ours = daemon.process.pid if daemon.process is not None else 0
    return [pid for pid in named(daemon.root) if pid != ours]


def pid_of(daemon: OurDaemon, name: str = "guest") -> int:
    return int((state_of(daemon) / f"{name}.pid").read_text())


def state_of(daemon: OurDaemon) -> Path:
    return daemon.root / "run" / "libvirt" / "qemu"


def lib_of(daemon: OurDaemon) -> Path:
    return daemon.root / "var" / "lib" / "libvirt" / "qemu"


def agree(daemon: OurDaemon, conn: Any) -> None:
    """Files, processes and what the daemon says are the same."""
    active = conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
    names = sorted(dom.name() for dom in active)
    assert wait_for(lambda: len(guests(daemon)) == len(active), 5.0), (names, guests(daemon))
    state = state_of(daemon)
    assert sorted(path.stem for path in state.glob("*.xml")) == names
    assert sorted(path.stem for path in state.glob("*.pid")) == sorted([*names, "driver"])
    assert len(list(lib_of(daemon).glob("domain-*"))) == len(active)
    for path in state.glob("*.xml"):
        assert Domain.parse(parse_status(path.read_text()).xml).name == path.stem
    for path in (daemon.root / "etc" / "libvirt" / "qemu").glob("*.xml"):
        assert Domain.parse(path.read_text()).name == path.stem
    assert not list(daemon.root.rglob("*.new"))


class Clock:
    """How long something took."""

    def __enter__(self) -> Clock:
        self.began = time.monotonic()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.seconds = time.monotonic() - self.began
