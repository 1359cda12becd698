# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_reconnect.py: guests outlive whoever started them, and are found again as they are."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import libvirt
from libvirtcore.conf import Domain
from libvirtcore.drivers.qemu.store import parse_status
from tests.qemu.conftest import Subscriber, domain_xml, pid_of, processes, wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
ROUNDS = 25


def worker(root: Path, kind: str) -> subprocess.Popen[str]:
    env = os.environ | {"PYTHONPATH": f"{REPOSITORY / 'python'}:{REPOSITORY}"}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.qemu.worker", str(root), kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
        cwd=REPOSITORY,
    )


def until(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    for got in process.stdout:
        if got.strip() == line:
            return
    raise AssertionError(f"the worker never said {line}")


def kill(process: subprocess.Popen[str]) -> list[str]:
    process.kill()
    said, _ = process.communicate()
    return said.split()


def hold(root: Path, kind: str = "hold") -> None:
    """Have another process start a guest and die."""
    process = worker(root, kind)
    until(process, "=held")
    kill(process)


def check_files(root: Path) -> None:
    """All state files are whole, and none is left of writers that died."""
    for path in (root / "etc" / "qemu").glob("*.xml"):
        Domain.parse(path.read_text())
    for path in (root / "run" / "qemu").glob("*.xml"):
        Domain.parse(parse_status(path.read_text()).xml)
    assert not list(root.rglob("*.new"))


def check_agreement(conn: Any, root: Path) -> None:
    """Guests that run have one QEMU each, others have nothing."""
    active = conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
    assert len(processes(root)) == len(active)
    folders = list((root / "lib" / "qemu").glob("domain-*"))
    assert len(folders) == len(active)
    assert len(list((root / "run" / "qemu").glob("*.xml"))) == len(active)


def test_running_guest_is_found(root: Path) -> None:
    hold(root)
    pid = pid_of(root)
    conn = libvirt.open(f"qemu:///embed?root={root}")
    dom = conn.lookupByName("guest")
    assert (dom.state(), dom.ID(), pid_of(root)) == ([1, 1], 1, pid)
    dom.suspend()
    assert dom.state() == [3, 1]
    check_agreement(conn, root)
    assert "memballoon" in dom.XMLDesc()
    dom.destroy()
    del dom
    conn.close()


def test_what_happened_meanwhile_is_found_out(root: Path) -> None:
    hold(root)
    import socket

    talk = socket.socket(socket.AF_UNIX)
    folder = os.open(next((root / "lib" / "qemu").glob("domain-*")), os.O_PATH)
    talk.connect(f"/proc/self/fd/{folder}/monitor.sock")
    talk.recv(4096)
    for command in (b'{"execute":"qmp_capabilities"}', b'{"execute":"stop"}'):
        talk.sendall(command + b"\r\n")
        talk.recv(4096)
    talk.close()
    os.close(folder)
    conn = libvirt.open(f"qemu:///embed?root={root}")
    dom = conn.lookupByName("guest")
    assert dom.state() == [3, 0]
    dom.resume()
    dom.destroy()
    conn.close()


def test_guest_that_died_meanwhile_is_off(root: Path) -> None:
    hold(root)
    os.kill(pid_of(root), signal.SIGKILL)
    assert wait_for(lambda: not processes(root))
    conn = libvirt.open(f"qemu:///embed?root={root}")
    dom = conn.lookupByName("guest")
    assert dom.state()[0] == libvirt.VIR_DOMAIN_SHUTOFF
    check_agreement(conn, root)
    dom.create()
    dom.destroy()
    conn.close()


def test_reused_process_number_is_nobodys_guest(root: Path) -> None:
    hold(root)
    os.kill(pid_of(root), signal.SIGKILL)
    assert wait_for(lambda: not processes(root))
    status = root / "run" / "qemu" / "guest.xml"
    innocent = subprocess.Popen(["sleep", "60"])
    try:
        text = status.read_text()
        old = parse_status(text).pid
        status.write_text(text.replace(f"pid='{old}'", f"pid='{innocent.pid}'"))
        conn = libvirt.open(f"qemu:///embed?root={root}")
        assert conn.lookupByName("guest").isActive() == 0
        assert innocent.poll() is None
        conn.close()
    finally:
        innocent.kill()
        innocent.wait()


def test_autodestroy_with_the_process(root: Path) -> None:
    hold(root, "mortal")
    assert wait_for(lambda: not processes(root), 5.0)
    conn = libvirt.open(f"qemu:///embed?root={root}")
    assert conn.lookupByName("guest").isActive() == 0
    check_agreement(conn, root)
    conn.close()


def test_autostart(root: Path) -> None:
    conn = libvirt.open(f"qemu:///embed?root={root}")
    conn.defineXML(domain_xml()).setAutostart(1)
    conn.close()
    conn = libvirt.open(f"qemu:///embed?root={root}")
    dom = conn.lookupByName("guest")
    assert wait_for(dom.isActive)
    assert wait_for(lambda: dom.state() == [1, 1])
    dom.destroy()
    conn.close()


def test_closing_leaves_the_guest(root: Path) -> None:
    conn = libvirt.open(f"qemu:///embed?root={root}")
    dom = conn.createXML(domain_xml(), 0)
    pid = pid_of(root)
    del dom
    assert conn.close() == 0
    conn = libvirt.open(f"qemu:///embed?root={root}")
    dom = conn.lookupByName("guest")
    assert (dom.isActive(), dom.isPersistent(), pid_of(root)) == (1, 0, pid)
    events = Subscriber(conn)
    os.kill(pid, signal.SIGKILL)
    assert events.take(1) == [(libvirt.VIR_DOMAIN_EVENT_STOPPED, 5)]
    assert conn.listAllDomains() == []
    conn.domainEventDeregisterAny(events.number)
    conn.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["life", "save"])
def test_killed_at_random_moments(root: Path, kind: str) -> None:
    """Whatever a killed driver was doing: no guest is lost, doubled or left behind."""
    chance = random.Random(kind)
    for number in range(ROUNDS):
        process = worker(root, kind)
        until(process, "=ready")
        time.sleep(chance.uniform(0, 0.25))
        said = kill(process)
        conn = libvirt.open(f"qemu:///embed?root={root}")
        check_files(root)
        check_agreement(conn, root)
        dom = conn.lookupByName("guest")
        last = said[-1] if said else "=ready"
        if last in ("=create", "=suspend", "=resume", "+suspend", "+resume"):
            assert dom.isActive(), (number, said[-6:])
        if last in ("=destroy", "=managedSave"):
            assert not dom.isActive(), (number, said[-6:])
        if last == "=managedSave":
            assert dom.hasManagedSaveImage()
        if last == "=suspend":
            assert dom.state() == [3, 1]
        if dom.isActive():
            assert dom.state()[0] in (1, 3)
            assert not dom.hasManagedSaveImage()
            dom.destroy()
        del dom
        conn.close()
