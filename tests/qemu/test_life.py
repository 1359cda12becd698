# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_life.py: a guest's life: states, reasons, events, errors, as libvirt's driver has them."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

import libvirt
import libvirt_qemu
from tests.qemu.conftest import (
    UUID,
    Subscriber,
    domain_xml,
    pid_of,
    processes,
    wait_for,
)  # fmt: skip

STARTED, SUSPENDED, RESUMED, STOPPED, SHUTDOWN = 2, 3, 4, 5, 6


def code(info: pytest.ExceptionInfo[libvirt.libvirtError]) -> tuple[Any, Any, Any]:
    error = info.value
    return error.get_error_code(), error.get_error_domain(), error.get_error_message()


def test_define_keeps_the_document(conn: Any, root: Path) -> None:
    events = Subscriber(conn)
    dom = conn.defineXML(domain_xml())
    assert (dom.state(), dom.ID(), dom.isPersistent()) == ([5, 0], -1, 1)
    assert (root / "etc" / "qemu" / "guest.xml").stat().st_mode & 0o777 == 0o600
    conn.defineXML(domain_xml())
    assert events.take(2) == [(0, 0), (0, 1)]


def test_start_paused_resume_suspend(conn: Any) -> None:
    events = Subscriber(conn)
    dom = conn.defineXML(domain_xml())
    assert dom.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED) == 0
    assert (dom.state(), dom.ID()) == ([3, 1], 1)
    assert conn.lookupByUUIDString(UUID).resume() == 0
    assert dom.state() == [1, 5]
    dom.suspend()
    assert dom.state() == [3, 1]
    dom.suspend()
    dom.resume()
    assert events.take(6)[1:] == [
        (STARTED, 0), (SUSPENDED, 0), (RESUMED, 0), (SUSPENDED, 0), (RESUMED, 0),
    ]  # fmt: skip
    with pytest.raises(libvirt.libvirtError) as info:
        dom.resume()
    assert code(info) == (55, 10, "Requested operation is not valid: domain is already running")


def test_start_tells_resumed_before_started(conn: Any) -> None:
    events = Subscriber(conn)
    dom = conn.defineXML(domain_xml())
    dom.create()
    assert dom.state() == [1, 1]
    dom.destroy()
    assert (dom.state(), dom.ID()) == ([5, 2], -1)
    assert events.take(5) == [(0, 0), (RESUMED, 0), (STARTED, 0), (SHUTDOWN, 2), (STOPPED, 1)]


def test_second_start_is_refused(conn: Any) -> None:
    dom = conn.createXML(domain_xml(), 0)
    with pytest.raises(libvirt.libvirtError) as info:
        dom.create()
    assert code(info) == (55, 10, "Requested operation is not valid: domain is already running")
    with pytest.raises(libvirt.libvirtError) as info:
        conn.createXML(domain_xml(), 0)
    assert code(info) == (
        55, 20, "Requested operation is not valid: domain 'guest' is already active",
    )  # fmt: skip


def test_calls_on_a_guest_that_is_off(conn: Any) -> None:
    dom = conn.defineXML(domain_xml())
    for name in ("suspend", "resume", "destroy", "reboot", "reset", "memoryStats", "jobInfo"):
        with pytest.raises(libvirt.libvirtError) as info:
            getattr(dom, name)()
        assert code(info) == (55, 20, "Requested operation is not valid: domain is not running")


def test_killed_from_outside_is_noticed_at_once(conn: Any, root: Path) -> None:
    events = Subscriber(conn)
    dom = conn.defineXML(domain_xml())
    dom.create()
    os.kill(pid_of(root), signal.SIGKILL)
    assert wait_for(lambda: not dom.isActive(), 2.0)
    assert dom.state() == [5, 3]
    assert events.take(4)[-1] == (STOPPED, 5)
    dom.create()
    assert dom.state() == [1, 1]


def test_quit_by_the_monitor_is_a_shutdown(conn: Any) -> None:
    events = Subscriber(conn)
    dom = conn.defineXML(domain_xml())
    dom.create()
    try:
        libvirt_qemu.qemuMonitorCommand(dom, "quit", 1)
    except libvirt.libvirtError:
        pass  # QEMU may be gone before it answers
    assert wait_for(lambda: not dom.isActive(), 5.0)
    assert dom.state() == [5, 1]
    assert events.take(5)[-2:] == [(SHUTDOWN, 2), (STOPPED, 0)]


def test_monitor_commands_change_the_state(conn: Any) -> None:
    dom = conn.createXML(domain_xml(), 0)
    answer = libvirt_qemu.qemuMonitorCommand(dom, '{"execute":"query-status"}', 0)
    assert answer.startswith('{"return":{"status":"running"')
    assert libvirt_qemu.qemuMonitorCommand(dom, "info status", 1) == "VM status: running\n"
    libvirt_qemu.qemuMonitorCommand(dom, '{"execute":"stop"}', 0)
    assert dom.state() == [3, 0]
    libvirt_qemu.qemuMonitorCommand(dom, '{"execute":"cont"}', 0)
    assert dom.state() == [1, 5]
    refused = libvirt_qemu.qemuMonitorCommand(dom, '{"execute":"nope"}', 0)
    assert '"class":"CommandNotFound"' in refused


def test_transient_guest_is_gone_after_its_end(conn: Any) -> None:
    dom = conn.createXML(domain_xml(), 0)
    dom.destroy()
    with pytest.raises(libvirt.libvirtError) as info:
        dom.state()
    assert code(info)[0] == libvirt.VIR_ERR_NO_DOMAIN


def test_undefined_guest_runs_on(conn: Any) -> None:
    dom = conn.defineXML(domain_xml())
    dom.create()
    dom.undefine()
    assert (dom.isActive(), dom.isPersistent()) == (1, 0)
    conn.defineXML(domain_xml())
    assert dom.isPersistent() == 1


def test_autodestroy_with_the_connection(conn: Any, root: Path) -> None:
    second = libvirt.open(f"qemu:///embed?root={root}")
    dom = second.createXML(domain_xml(), libvirt.VIR_DOMAIN_START_AUTODESTROY)
    assert conn.lookupByName("guest").isActive()
    del dom
    assert second.close() == 0
    assert conn.listAllDomains() == []
    assert processes(root) == []


def test_failed_start_says_why_and_leaves_nothing(conn: Any, root: Path) -> None:
    xml = domain_xml().replace(
        "</domain>",
        "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
        "<qemu:arg value='-nonsense'/></qemu:commandline></domain>",
    )
    with pytest.raises(libvirt.libvirtError) as info:
        conn.createXML(xml, 0)
    assert code(info)[0] == 1
    assert "-nonsense: invalid option" in code(info)[2]
    assert conn.listAllDomains() == []
    assert [p.name for p in (root / "run" / "qemu").iterdir()] == ["driver.pid"]
    assert not list((root / "lib" / "qemu").glob("domain-*"))


def test_graceful_destroy(conn: Any) -> None:
    dom = conn.createXML(domain_xml(), 0)
    assert dom.destroyFlags(libvirt.VIR_DOMAIN_DESTROY_GRACEFUL) == 0


@pytest.mark.parametrize("name", ["ö %s 'q\" ,x=1", ".hidden", "-dash", "a" * 251, "$(reboot);&<>"])
def test_odd_names(conn: Any, name: str) -> None:
    dom = conn.defineXML(domain_xml(name))
    assert conn.lookupByName(name).UUIDString() == UUID
    dom.create()
    assert dom.state() == [1, 1]
    dom.destroy()
    dom.undefine()
    assert conn.listAllDomains() == []


@pytest.mark.parametrize("name", ["a/b", "a" * 252, "../up"])
def test_names_that_are_no_files_are_refused(conn: Any, name: str) -> None:
    with pytest.raises(libvirt.libvirtError):
        conn.defineXML(domain_xml(name))
    assert conn.listAllDomains() == []


def test_reset_and_shutdown_leave_a_guest_without_system_running(conn: Any) -> None:
    dom = conn.createXML(domain_xml(), 0)
    assert (dom.reset(), dom.shutdown(), dom.reboot()) == (0, 0, 0)
    assert dom.state() == [1, 1]


def test_memory_statistics(conn: Any) -> None:
    dom = conn.createXML(domain_xml(), 0)
    stats = dom.memoryStats()
    assert stats["actual"] == 32768
    assert stats["rss"] > 1000


def test_list_filters(conn: Any) -> None:
    one = conn.defineXML(domain_xml("one"))
    conn.createXML(domain_xml("two", UUID[:-1] + "f"), libvirt.VIR_DOMAIN_START_PAUSED)
    one.setAutostart(1)

    def names(flags: int) -> list[str]:
        return sorted(dom.name() for dom in conn.listAllDomains(flags))

    assert names(0) == ["one", "two"]
    assert names(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE) == ["two"]
    assert names(libvirt.VIR_CONNECT_LIST_DOMAINS_PAUSED) == ["two"]
    assert names(libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT) == ["two"]
    assert names(libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART) == ["one"]
    assert names(libvirt.VIR_CONNECT_LIST_DOMAINS_SHUTOFF) == ["one"]
    assert names(libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE) == []


def test_rename(conn: Any, root: Path) -> None:
    dom = conn.defineXML(domain_xml())
    dom.setAutostart(1)
    assert dom.rename("other") == 0
    again = conn.lookupByName("other")
    assert (again.UUIDString(), again.autostart()) == (UUID, 1)
    assert sorted(p.name for p in (root / "etc" / "qemu").glob("*.xml")) == ["other.xml"]


def test_files_are_private_under_any_umask(tmp_path: Path, root: Path) -> None:
    before = os.umask(0)
    try:
        conn = libvirt.open(f"qemu:///embed?root={root}/deep")
        dom = conn.createXML(domain_xml(), 0)
        loose = [
            str(path)
            for path in (root / "deep").rglob("*")
            if not path.is_symlink() and path.stat().st_mode & 0o077
        ]
        dom.destroy()
        del dom
        conn.close()
    finally:
        os.umask(before)
    assert loose == []


def test_descriptors_and_threads_are_flat(conn: Any) -> None:
    """Every start and end gives back what it took."""
    dom = conn.defineXML(domain_xml())

    def round_trip() -> None:
        dom.create()
        dom.suspend()
        dom.destroy()

    round_trip()
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(10):
        round_trip()
    assert wait_for(lambda: threading.active_count() <= before[1])
    assert len(os.listdir("/proc/self/fd")) == before[0]
