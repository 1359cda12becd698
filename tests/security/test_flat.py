# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_flat.py: 100,000 calls, answered or refused, cost the daemon no descriptor or memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.libvirtd_dispatch.plausible import arguments
from tests.ours_daemon import OurDaemon
from tests.qemu.conftest import domain_xml
from tests.rpc.peer import pack
from tests.security.conftest import descriptors, gone_back, resident
from tests.security.test_read_only import about
from tests.security.wire import LXC, QEMU, Raw, calls, encoded, numbers

pytestmark = pytest.mark.slow

CALLS = int(os.environ.get("LVC_FLAT_CALLS", "100000"))
GROWTH = 8 << 20
# They take longer, are about the whole host, or would put this machine to sleep.
SPARED = {"connect_open", "connect_close", "connect_get_capabilities", "node_suspend_for_duration",
          "connect_get_domain_capabilities", "domain_get_cpu_stats"}  # fmt: skip


def messages(dom: Any) -> list[bytes]:
    """One message for each call that a read-only client might make."""
    listed = Path(__file__).with_name("read_only.txt").read_text().split("\n")
    found = []
    for program, number, name in calls():
        if program in (LXC, QEMU) or name not in listed or name in SPARED:
            continue
        if "register" in name or "memory_stats" in name:
            continue
        args = about(arguments(program, number), dom)
        found.append(pack(number, 0, 1, 0, encoded(program, number, args), program))
    return found


def rounds(raw: Raw, said: list[bytes], count: int) -> None:
    """Send messages, five at a time as the daemon takes them, and read the answers."""
    place = 0
    while count > 0:
        batch = [said[(place + i) % len(said)] for i in range(5)]
        raw.sock.sendall(b"".join(batch))
        for _ in batch:
            raw.take()
        place += 5
        count -= 5


def test_calls_leave_nothing(daemon: OurDaemon, qemu: Any) -> None:
    guest = qemu.createXML(domain_xml(), 0)
    said = messages(("guest", guest.UUID(), guest.ID()))
    assert len(said) > 100
    with Raw(daemon.socket_ro, 60) as raw:
        raw.open("qemu:///system")
        rounds(raw, said, 5000)
        pid = daemon.pid
        before = (descriptors(pid), resident(pid))
        rounds(raw, said, CALLS)
        assert gone_back(pid, before[0])
        assert resident(pid) - before[1] < GROWTH


def test_connections_leave_nothing(daemon: OurDaemon) -> None:
    pid = daemon.pid
    name = numbers()["domain_lookup_by_name"]

    def visit(count: int) -> None:
        for _ in range(count):
            with Raw(daemon.socket) as raw:
                raw.open("test:///default")
                raw.call(*name, ("test",))

    visit(200)
    before = (descriptors(pid), resident(pid))
    visit(CALLS // 50)
    assert gone_back(pid, before[0])
    assert resident(pid) - before[1] < GROWTH
