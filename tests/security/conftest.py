# SPDX-License-Identifier: LGPL-2.1-or-later
"""conftest.py: one daemon for the whole folder, which must be well at the end of every test.

Called by: pytest. Never: lets a test pass after which the daemon is gone or has logged a fault.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import libvirt
from tests.conftest import lacking
from tests.ours_daemon import OurDaemon
from tests.qemu.conftest import QEMU

try:
    import _libvirtmod  # noqa: F401
except ImportError:
    collect_ignore_glob = ["test_*.py"]
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        lacking("the C core")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    libvirt.registerErrorHandler(lambda *_: None, None)
    yield
    libvirt.registerErrorHandler(None, None)


@pytest.fixture(scope="session")
def whole_daemon() -> Iterator[OurDaemon]:
    with OurDaemon(max_workers=8) as running:
        yield running


@pytest.fixture
def daemon(whole_daemon: OurDaemon) -> Iterator[OurDaemon]:
    """The daemon: the same process before and after, and no traceback in between."""
    assert whole_daemon.process is not None
    said = len(whole_daemon.log())
    yield whole_daemon
    assert whole_daemon.process.poll() is None, whole_daemon.log()[said:]
    assert "Traceback" not in whole_daemon.log()[said:], whole_daemon.log()[said:]
    conn = libvirt.open(whole_daemon.uri("test"))
    assert conn.numOfDomains() == 1
    conn.close()


@pytest.fixture
def qemu(daemon: OurDaemon) -> Iterator[Any]:
    """A connection to the daemon's QEMU driver; its guests end with the test."""
    if shutil.which(QEMU) is None:
        lacking(QEMU)
    conn = libvirt.open(daemon.uri("qemu"))
    yield conn
    for dom in conn.listAllDomains():
        persistent = dom.isPersistent()
        if dom.isActive():
            dom.destroy()
        if persistent:
            dom.undefineFlags(
                libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
            )
    conn.close()


@pytest.fixture
def state(daemon: OurDaemon) -> Path:
    """Where the daemon notes what runs."""
    return daemon.root / "run" / "libvirt" / "qemu"


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def gone_back(pid: int, before: int, seconds: float = 5.0) -> bool:
    """Whether a process has no more descriptors than before; one may still be on its way out."""
    until = time.monotonic() + seconds
    while descriptors(pid) > before and time.monotonic() < until:
        time.sleep(0.05)
    return descriptors(pid) <= before


def resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
