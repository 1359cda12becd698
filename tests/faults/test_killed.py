# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_killed.py: the daemon, or QEMU, is killed at random moments of a guest's life.

After each death nothing is lost, doubled or left behind. LVC_FAULT_ROUNDS for longer runs.
The same for a driver without a daemon: tests/qemu/test_reconnect.py.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from typing import Any

import pytest

import libvirt
from tests.faults.conftest import agree, connect, guests, pid_of, rounds, state_of
from tests.ours_daemon import OurDaemon
from tests.qemu.conftest import UUID, Subscriber, domain_xml, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

OTHER = UUID[:-1] + "f"


class Loop(threading.Thread):
    """A client that leads a guest through its life until its calls fail; `said` is what it did."""

    def __init__(self, daemon: OurDaemon, forgive: bool = False) -> None:
        super().__init__(daemon=True)
        self.conn = connect(daemon)
        self.forgive = forgive
        self.stop = False
        self.said: list[str] = []

    def step(self, name: str, call: Any) -> None:
        self.said.append("+" + name)
        try:
            call()
        except libvirt.libvirtError:
            if not self.forgive:
                raise
            return
        self.said.append("=" + name)

    def run(self) -> None:
        with contextlib.suppress(libvirt.libvirtError):
            dom = self.conn.lookupByName("guest")
            while not self.stop:
                if dom.isActive():
                    self.step("destroy", dom.destroy)
                self.step("create", dom.create)
                self.step("suspend", dom.suspend)
                self.step("resume", dom.resume)
                self.step("managedSave", lambda: dom.managedSave(0))
                self.step("create", dom.create)
                self.conn.defineXML(domain_xml())


def check_last(dom: Any, said: list[str]) -> None:
    """The state is that of the last step, or of the one before if the last did not end."""
    last = said[-1] if said else ""
    if last in ("=create", "=suspend", "=resume", "+suspend", "+resume"):
        assert dom.isActive(), said[-4:]
    if last in ("=destroy", "=managedSave"):
        assert not dom.isActive(), said[-4:]
    if last == "=suspend":
        assert dom.state()[0] == libvirt.VIR_DOMAIN_PAUSED
    if last == "=managedSave":
        assert dom.hasManagedSaveImage()
    if dom.isActive():
        assert dom.state()[0] in (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_PAUSED)
        assert not dom.hasManagedSaveImage()


def test_daemon_killed_at_random_moments(daemon: OurDaemon) -> None:
    chance = random.Random(3)
    conn = connect(daemon)
    conn.defineXML(domain_xml())
    bystander = conn.createXML(domain_xml("other", OTHER), 0)
    untouched = pid_of(daemon, "other")
    del bystander
    conn.close()
    phases = set()
    for _ in range(rounds(50)):
        loop = Loop(daemon)
        loop.start()
        time.sleep(chance.uniform(0, 0.4))
        daemon.kill()
        loop.join(20)
        assert not loop.is_alive()
        assert len(guests(daemon)) <= 3  # two, and one that has not become a QEMU yet
        daemon.start()
        conn = connect(daemon)
        agree(daemon, conn)
        assert {dom.name() for dom in conn.listAllDomains()} == {"guest", "other"}
        assert conn.lookupByName("other").state() == [1, 1]
        assert pid_of(daemon, "other") == untouched
        check_last(conn.lookupByName("guest"), loop.said)
        phases.add(loop.said[-1] if loop.said else "")
        conn.close()
    assert len(phases) > 1


def test_daemon_killed_again_while_it_finds_its_guests(daemon: OurDaemon) -> None:
    """A start that is cut short anywhere costs no guest."""
    conn = connect(daemon)
    for number in range(4):
        conn.createXML(domain_xml(f"guest{number}", UUID[:-1] + str(number)), 0)
    pids = sorted(guests(daemon))
    conn.close()
    daemon.kill()
    chance = random.Random(5)
    for _ in range(rounds(50)):
        daemon.start(wait=False)
        time.sleep(chance.uniform(0.02, 0.15))
        daemon.kill()
        assert sorted(guests(daemon)) == pids
    daemon.start()
    conn = connect(daemon)
    agree(daemon, conn)
    assert [dom.state() for dom in conn.listAllDomains()] == [[1, 1]] * 4
    assert sorted(guests(daemon)) == pids


def test_qemu_killed_at_random_moments(daemon: OurDaemon) -> None:
    chance = random.Random(4)
    conn = connect(daemon)
    dom = conn.defineXML(domain_xml())
    loop = Loop(daemon, forgive=True)
    loop.start()
    killed = 0
    pid_file = state_of(daemon) / "guest.pid"
    until = time.monotonic() + 60
    while killed < rounds(50) and time.monotonic() < until:
        time.sleep(chance.uniform(0, 0.05))
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(pid_file.read_text()), signal.SIGKILL)
            killed += 1
    loop.stop = True
    loop.join(40)
    assert not loop.is_alive(), loop.said[-3:]
    assert killed >= rounds(50)
    if dom.isActive():
        dom.destroy()
    agree(daemon, conn)
    if dom.hasManagedSaveImage():
        dom.managedSaveRemove()
    dom.create()
    assert dom.state() == [1, 1]
    dom.destroy()


def test_a_guest_killed_from_outside_is_noticed_by_all(daemon: OurDaemon) -> None:
    """At once, once, and with the reason."""
    conn = connect(daemon)
    dom = conn.defineXML(domain_xml())
    dom.create()
    seen = Subscriber(conn)
    os.kill(pid_of(daemon), signal.SIGKILL)
    assert seen.take(1, 2.0) == [(libvirt.VIR_DOMAIN_EVENT_STOPPED, 5)]
    assert dom.state()[0] == libvirt.VIR_DOMAIN_SHUTOFF
    assert not wait_for(lambda: seen.seen, 0.2)
    agree(daemon, conn)
