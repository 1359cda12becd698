# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_stopped.py: one QEMU stands still; its daemon, its clients and the other guests do not."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import libvirt
import libvirtcore
from tests.faults.conftest import Clock, agree, connect, pid_of
from tests.ours_daemon import OurDaemon
from tests.qemu.conftest import UUID, domain_xml, wait_for
from tests.security.wire import Raw, numbers

pytestmark = pytest.mark.slow

WORKERS = 4


@pytest.fixture
def daemon(make: Callable[..., OurDaemon]) -> OurDaemon:
    """As few workers as can be filled."""
    return make(min_workers=WORKERS, max_workers=WORKERS, prio_workers=2, max_client_requests=50)


@pytest.fixture
def stuck(daemon: OurDaemon) -> Iterator[Any]:
    conn = connect(daemon)
    dom = conn.createXML(domain_xml(), 0)
    pid = pid_of(daemon)
    os.kill(pid, signal.SIGSTOP)
    yield dom
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def test_queries_answer_within_their_deadline(daemon: OurDaemon, stuck: Any) -> None:
    with Clock() as clock:
        assert stuck.state() == [1, 1]
        assert stuck.info()[0] == 1
        assert stuck.isActive()
        assert "<name>guest</name>" in stuck.XMLDesc()
        assert [dom.name() for dom in connect(daemon).listAllDomains()] == ["guest"]
    assert clock.seconds < 0.5
    for ask in (stuck.memoryStats, stuck.suspend, stuck.reset):
        with Clock() as clock, libvirtcore.timeout(0.5), pytest.raises(libvirt.libvirtError):
            ask(*((0,) if ask == stuck.reset else ()))
        assert clock.seconds < 1.0


def test_other_guests_are_not_affected(daemon: OurDaemon, stuck: Any) -> None:
    conn = connect(daemon)
    blocked = [threading.Thread(target=in_vain, args=(stuck.memoryStats,)) for _ in range(2)]
    for thread in blocked:
        thread.start()
    with Clock() as clock:
        other = conn.createXML(domain_xml("other", UUID[:-1] + "f"), 0)
        other.suspend()
        other.resume()
        assert other.memoryStats()
        other.destroy()
    assert clock.seconds < 2.0
    os.kill(pid_of(daemon), signal.SIGCONT)
    for thread in blocked:
        thread.join(10)
        assert not thread.is_alive()


def test_destroy_needs_no_answer(daemon: OurDaemon, stuck: Any) -> None:
    blocked = threading.Thread(target=in_vain, args=(stuck.suspend,))
    blocked.start()
    with Clock() as clock:
        stuck.destroy()
    assert clock.seconds < 2.0
    blocked.join(5)
    assert not blocked.is_alive()
    agree(daemon, connect(daemon))


def in_vain(call: Callable[[], object]) -> None:
    with contextlib.suppress(libvirt.libvirtError):
        call()


def test_priority_calls_pass_when_all_workers_wait(daemon: OurDaemon, stuck: Any) -> None:
    """More calls wait for QEMU than there are workers; what never waits takes at most 100 ms."""
    conn = connect(daemon)
    same = [connect(daemon).lookupByName("guest") for _ in range(4)]
    blocked = [
        threading.Thread(target=in_vain, args=(dom.memoryStats,)) for dom in same for _ in range(3)
    ]
    for thread in blocked:
        thread.start()
    assert wait_for(lambda: stuck.controlInfo()[0] != libvirt.VIR_DOMAIN_CONTROL_OK)
    slowest = 0.0
    rows = numbers()
    for _ in range(30):
        with Clock() as clock, Raw(daemon.socket) as raw:  # a client that comes now
            raw.open("qemu:///system")
            answer = raw.call(*rows["domain_lookup_by_name"], ("guest",))
            assert not answer.refused
        slowest = max(slowest, clock.seconds)
        with Clock() as clock:
            assert conn.getVersion()
            assert stuck.state() == [1, 1]
            assert stuck.isActive()
        slowest = max(slowest, clock.seconds)
    assert slowest < 0.1
    os.kill(pid_of(daemon), signal.SIGCONT)
    for thread in blocked:
        thread.join(20)
        assert not thread.is_alive()
    assert stuck.memoryStats()


def test_a_daemon_finds_a_guest_that_stands_still(daemon: OurDaemon, stuck: Any) -> None:
    """It is not lost, and the daemon serves the others meanwhile."""
    pid = pid_of(daemon)
    daemon.kill()
    daemon.start()
    with Clock() as clock:
        conn = connect(daemon)
        other = conn.createXML(domain_xml("other", UUID[:-1] + "f"), 0)
        other.destroy()
    assert clock.seconds < 5.0
    os.kill(pid, signal.SIGCONT)
    dom = conn.lookupByName("guest")
    assert wait_for(lambda: dom.isActive() and dom.state() == [1, 1], 10)
    assert pid_of(daemon) == pid
    dom.destroy()
    agree(daemon, conn)
