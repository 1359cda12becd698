# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_stats.py: statistics of guests, disks and interfaces; a stuck guest among others."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import libvirt
from libvirtcore.drivers.qemu import image_sizes
from tests.qemu.conftest import UUID, domain_xml, pid_of

MIB = 1 << 20


def disk(path: Path, target: str = "vda", kind: str = "raw") -> str:
    return (
        f"<disk type='file' device='disk'><driver name='qemu' type='{kind}'/>"
        f"<source file='{path}'/><target dev='{target}' bus='virtio'/></disk>"
    )


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    with open(path, "wb") as file:
        file.truncate(MIB)
    return path


def groups(names: Any) -> set[str]:
    return {name.split(".")[0] for name in names}


def test_all_groups_of_a_running_guest(conn: Any, image: Path) -> None:
    extra = disk(image) + "<interface type='user'/>"
    conn.createXML(domain_xml(devices=extra, extra="<iothreads>1</iothreads>"), 0)
    ((dom, stats),) = conn.getAllDomainStats()
    assert dom.name() == "guest"
    assert groups(stats) == {
        "state", "cpu", "balloon", "vcpu", "net", "block", "iothread", "dirtyrate",
    }  # fmt: skip
    assert (stats["state.state"], stats["state.reason"]) == (1, 1)
    assert (stats["balloon.current"], stats["balloon.maximum"]) == (32768, 32768)
    assert (stats["vcpu.current"], stats["vcpu.maximum"], stats["vcpu.0.state"]) == (1, 1, 1)
    assert (stats["net.count"], stats["block.count"], stats["iothread.count"]) == (1, 1, 1)
    assert (stats["block.0.name"], stats["block.0.path"]) == ("vda", str(image))
    assert stats["block.0.capacity"] == MIB
    assert stats["block.0.backingIndex"] == 1
    assert stats["dirtyrate.calc_status"] == 0
    assert stats["balloon.rss"] > 1000
    assert stats["cpu.time"] == stats["cpu.user"] + stats["cpu.system"] > 0


def test_stats_of_a_guest_that_is_off(conn: Any, image: Path) -> None:
    conn.defineXML(domain_xml(devices=disk(image)))
    ((_dom, stats),) = conn.getAllDomainStats()
    assert groups(stats) == {"state", "balloon", "vcpu", "block"}
    assert stats["state.state"] == 5
    assert (stats["block.0.capacity"], stats["block.0.physical"]) == (MIB, MIB)
    assert "block.0.backingIndex" not in stats


def test_chosen_groups_and_filters(conn: Any) -> None:
    on = conn.createXML(domain_xml(), libvirt.VIR_DOMAIN_START_PAUSED)
    off = conn.defineXML(domain_xml("off", UUID[:-1] + "f"))
    state = libvirt.VIR_DOMAIN_STATS_STATE
    active = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
    inactive = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_INACTIVE
    assert [dom.name() for dom, _ in conn.getAllDomainStats(state, active)] == ["guest"]
    assert [dom.name() for dom, _ in conn.getAllDomainStats(state, inactive)] == ["off"]
    listed = conn.domainListGetStats([off, on], state)
    assert [(dom.name(), stats) for dom, stats in listed] == [
        ("off", {"state.state": 5, "state.reason": 0}),
        ("guest", {"state.state": 3, "state.reason": 1}),
    ]


def test_unknown_groups(conn: Any) -> None:
    conn.defineXML(domain_xml())
    assert [stats for _dom, stats in conn.getAllDomainStats(1 << 20)] == [{}]
    enforce = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS
    with pytest.raises(libvirt.libvirtError) as info:
        conn.getAllDomainStats(1 << 20, enforce)
    assert info.value.get_error_code() == libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED
    with pytest.raises(libvirt.libvirtError) as info:
        conn.getAllDomainStats(0, 1 << 20)
    assert info.value.get_error_message() == (
        "unsupported flags (0x100000) in function qemuConnectGetAllDomainStats"
    )


def test_backing_images_with_the_flag(conn: Any, tmp_path: Path) -> None:
    base, top = tmp_path / "base.qcow2", tmp_path / "top.qcow2"
    run = ["qemu-img", "create", "-q", "-f", "qcow2"]
    subprocess.run([*run, str(base), "4M"], check=True)
    subprocess.run([*run, "-b", str(base), "-F", "qcow2", str(top)], check=True)
    conn.createXML(domain_xml(devices=disk(top, kind="qcow2")), 0)
    block = libvirt.VIR_DOMAIN_STATS_BLOCK
    backing = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_BACKING
    ((_dom, without),) = conn.getAllDomainStats(block)
    ((_dom, stats),) = conn.getAllDomainStats(block, backing)
    assert (without["block.count"], stats["block.count"]) == (1, 2)
    assert (stats["block.1.name"], stats["block.1.path"]) == ("vda", str(base))
    assert stats["block.1.capacity"] == 4 * MIB
    assert "block.1.rd.reqs" not in stats
    assert stats["block.0.backingIndex"] != stats["block.1.backingIndex"]


def test_a_stuck_guest_costs_only_its_own_fields(
    conn: Any, root: Path, monkeypatch: pytest.MonkeyPatch, image: Path
) -> None:
    from libvirtcore.drivers.qemu import stats as module

    monkeypatch.setattr(module, "SECONDS", 0.5)
    conn.createXML(domain_xml(devices=disk(image)), 0)
    other = conn.createXML(domain_xml("other", UUID[:-1] + "f"), 0)
    os.kill(pid_of(root), signal.SIGSTOP)
    try:
        began = time.monotonic()
        results = {dom.name(): stats for dom, stats in conn.getAllDomainStats()}
        assert 0.4 < time.monotonic() - began < 1.5
        assert results["guest"]["state.state"] == 1
        assert "block.0.rd.reqs" not in results["guest"]
        assert results["other"]["dirtyrate.calc_status"] == 0
        other.suspend()
        assert other.state()[0] == libvirt.VIR_DOMAIN_PAUSED
    finally:
        os.kill(pid_of(root), signal.SIGCONT)
    results = {dom.name(): stats for dom, stats in conn.getAllDomainStats()}
    assert results["guest"]["block.0.rd.reqs"] >= 0  # late answers are nobody's


def test_a_busy_guest_with_nowait(conn: Any, image: Path) -> None:
    dom = conn.createXML(domain_xml(devices=disk(image)), 0)
    guest = conn._o.driver.host.find(dom._o)
    guest.jobs.acquire(1, "Test", 1.0)
    try:
        began = time.monotonic()
        nowait = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
        ((_dom, stats),) = conn.getAllDomainStats(0, nowait)
        assert time.monotonic() - began < 0.5
        assert "block.0.rd.reqs" not in stats
        assert stats["state.state"] == 1
        releaser = threading.Timer(0.2, guest.jobs.release)
        releaser.start()
        ((_dom, stats),) = conn.getAllDomainStats()
        assert "block.0.rd.reqs" in stats
        releaser.join()
    finally:
        if guest.jobs.held_since() is not None:
            guest.jobs.release()


def test_many_threads_ask_and_change(conn: Any) -> None:
    """Nobody deadlocks, and no job stays held."""
    doms = [
        conn.createXML(domain_xml(f"guest{n}", f"{UUID[:-1]}{n}"), libvirt.VIR_DOMAIN_START_PAUSED)
        for n in range(3)
    ]
    failures: list[Exception] = []

    def work(offset: int) -> None:
        try:
            for turn in range(15):
                if offset % 2:
                    conn.domainListGetStats(doms if turn % 2 else doms[::-1])
                else:
                    doms[turn % 3].memoryStats()
        except Exception as fault:
            failures.append(fault)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    for dom in doms:
        assert conn._o.driver.host.find(dom._o).jobs.held_since() is None


def test_block_stats_and_info(conn: Any, image: Path) -> None:
    dom = conn.createXML(domain_xml(devices=disk(image)), 0)
    assert len(dom.blockStats("vda")) == 5
    assert dom.blockStats("vda")[4] == -1
    assert list(dom.blockStatsFlags(str(image))) == [
        "wr_bytes", "wr_operations", "rd_bytes", "rd_operations", "flush_operations",
        "wr_total_times", "rd_total_times", "flush_total_times",
    ]  # fmt: skip
    capacity, allocation, physical = dom.blockInfo("vda")
    assert (capacity, physical) == (MIB, MIB)
    assert allocation <= MIB
    for call in (dom.blockStats, dom.blockInfo):
        with pytest.raises(libvirt.libvirtError) as info:
            call("nope")
        assert info.value.get_error_code() == libvirt.VIR_ERR_INVALID_ARG
    assert dom.diskErrors() == {}


def test_interface_stats_errors(conn: Any) -> None:
    mac = "52:54:00:11:22:33"
    nic = f"<interface type='user'><mac address='{mac}'/></interface>"
    dom = conn.createXML(domain_xml(devices=nic), libvirt.VIR_DOMAIN_START_PAUSED)
    for name, message in (
        ("vnet0", "invalid argument: 'vnet0' is not a known interface"),
        (mac, "internal error: Interface name not provided"),
    ):
        with pytest.raises(libvirt.libvirtError) as info:
            dom.interfaceStats(name)
        assert info.value.get_error_message() == message


def test_a_raw_image_is_as_large_as_its_file(tmp_path: Path) -> None:
    """What a guest writes into a raw image is not believed."""
    path = tmp_path / "image"
    header = b"QFI\xfb" + (3).to_bytes(4, "big") + bytes(16) + (1 << 40).to_bytes(8, "big")
    path.write_bytes(header + bytes(4096 - len(header)))
    assert image_sizes.sizes(str(path), "raw").capacity == 4096
    assert image_sizes.sizes(str(path), "qcow2").capacity == 1 << 40


def test_limits_of_a_disk(conn: Any, image: Path) -> None:
    dom = conn.createXML(domain_xml(devices=disk(image)), 0)
    dom.setBlockIoTune("vda", {"total_bytes_sec": 1_000_000})
    assert dom.blockIoTune("vda")["total_bytes_sec"] == 1_000_000
    dom.setBlockIoTune("vda", {"read_bytes_sec": 500_000})
    tune = dom.blockIoTune("vda")
    assert (tune["total_bytes_sec"], tune["read_bytes_sec"]) == (0, 500_000)
    dom.setBlockIoTune("vda", {"read_bytes_sec": 0})
    assert dom.blockIoTune("vda")["read_bytes_sec"] == 0
    with pytest.raises(libvirt.libvirtError) as info:
        dom.setBlockIoTune("vda", {"total_iops_sec": 1, "write_iops_sec": 1})
    assert info.value.get_error_code() == libvirt.VIR_ERR_INVALID_ARG


def test_a_look_inside(conn: Any, root: Path, image: Path) -> None:
    with open(image, "r+b") as file:
        file.write(b"first bytes")
    dom = conn.createXML(domain_xml(devices=disk(image)), libvirt.VIR_DOMAIN_START_PAUSED)
    assert dom.blockPeek("vda", 0, 11) == b"first bytes"
    assert len(dom.memoryPeek(0, 16, libvirt.VIR_MEMORY_PHYSICAL)) == 16
    assert not list(root.rglob("peek-*"))
    with pytest.raises(libvirt.libvirtError):
        dom.blockPeek("vda", 1 << 40, 16)


def test_resize(conn: Any, image: Path) -> None:
    dom = conn.createXML(domain_xml(devices=disk(image)), libvirt.VIR_DOMAIN_START_PAUSED)
    assert dom.blockResize("vda", 2048) == 0
    assert dom.blockInfo("vda")[0] == 2 * MIB
    assert image.stat().st_size == 2 * MIB


def test_threads_for_disks(conn: Any) -> None:
    dom = conn.createXML(domain_xml(extra="<iothreads>2</iothreads>"), 0)
    assert [number for number, _cpus in dom.ioThreadInfo(0)] == [1, 2]
