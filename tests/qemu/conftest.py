# SPDX-License-Identifier: LGPL-2.1-or-later
"""conftest.py: embedded hosts with real QEMU for tests/qemu.

Called by: pytest. Never: leaves a QEMU behind: what a test forgot is killed, and fails the test.
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
from tests.conftest import lacking

QEMU = "/usr/bin/qemu-system-x86_64"
UUID = "aaba00b2-e2cf-4354-b81f-82e7e3eb775e"


@pytest.fixture(autouse=True)
def qemu_is_installed() -> None:
    if shutil.which(QEMU) is None:
        lacking("qemu-system-x86_64")


def domain_xml(
    name: str = "guest", uuid: str = UUID, extra: str = "", devices: str = "", machine: str = "pc"
) -> str:
    escaped = name.replace("&", "&amp;").replace("<", "&lt;")
    return f"""<domain type='qemu'>
  <name>{escaped}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='{machine}'>hvm</type></os>
  {extra}
  <devices><emulator>{QEMU}</emulator><console type='pty'/>{devices}</devices>
</domain>"""


class Subscriber:
    """All lifecycle events of a connection as (name, event, detail)."""

    def __init__(self, conn: Any) -> None:
        self.conn = conn
        self.seen: list[tuple[str, int, int]] = []
        self.number = conn.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._note, None
        )

    def _note(self, _conn: Any, dom: Any, event: int, detail: int, _opaque: Any) -> None:
        self.seen.append((dom.name(), event, detail))

    def take(self, count: int, seconds: float = 10.0) -> list[tuple[int, int]]:
        """The next events, without names; fewer when they do not come in time."""
        wait_for(lambda: len(self.seen) >= count, seconds)
        taken, self.seen[:] = self.seen[:count], self.seen[count:]
        return [(event, detail) for _name, event, detail in taken]


def wait_for(fact: Callable[[], object], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def processes(root: Path) -> list[int]:
    """The QEMUs (and shells about to become one) that serve guests of a root."""
    found = []
    wanted = str(root).encode()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
            if any(b"qemu-system" in word for word in words[:5]):
                links = [os.readlink(f"/proc/{entry}/fd/{fd}") for fd in (1, 2)]
                if any(link.encode().startswith(wanted) for link in links):
                    found.append(int(entry))
    return found


def pid_of(root: Path, name: str = "guest") -> int:
    return int((root / "run" / "qemu" / f"{name}.pid").read_text())


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    libvirt.registerErrorHandler(lambda *_: None, None)
    yield
    libvirt.registerErrorHandler(None, None)


@pytest.fixture(scope="session")
def capabilities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What QEMU can do, probed once for all tests."""
    root = tmp_path_factory.mktemp("capabilities")
    conn = libvirt.open(f"qemu:///embed?root={root}")
    conn.defineXML(domain_xml())
    conn.close()
    return root / "cache"


@pytest.fixture
def root(tmp_path: Path, capabilities: Path) -> Iterator[Path]:
    folder = tmp_path / "root"
    folder.mkdir()
    shutil.copytree(capabilities, folder / "cache")
    yield folder
    left = processes(tmp_path)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert left == [], "the test left a QEMU behind"


@pytest.fixture
def conn(root: Path) -> Iterator[Any]:
    conn = libvirt.open(f"qemu:///embed?root={root}")
    yield conn
    for dom in conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        with contextlib.suppress(libvirt.libvirtError):
            dom.destroy()
    conn.close()
