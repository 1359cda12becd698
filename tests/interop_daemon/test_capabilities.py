# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_capabilities.py: (domain) capabilities, alone and beside the real daemon's."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from libvirtcore.drivers.qemu import capabilities_host
from libvirtcore.drivers.qemu.capabilities_xml import capabilities
from libvirtcore.drivers.qemu.caps import QemuCaps
from libvirtcore.drivers.qemu.caps_probe import probe
from libvirtcore.drivers.qemu.domcaps import Loader, choose, domain_capabilities, loaders
from libvirtcore.errors import VirError
from tests.conftest import lacking
from tests.interop.daemon import Daemon, missing
from tests.interop_daemon.documents import capabilities as recorded_caps

HOST_UUID = "11111111-2222-4333-8444-555555555555"
OVMF = Loader("/fw/CODE.fd", False)


# --- alone ----------------------------------------------------------------------------------------


@pytest.fixture
def small_host(tmp_path: Path) -> Path:
    """A host of two sockets with two threads each and one shared cache."""

    def write(path: str, text: str) -> None:
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text + "\n")

    write(
        "proc/cpuinfo",
        "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t: 85\nstepping\t: 7\n"
        "microcode\t: 0x5003006\ncpu MHz\t: 2500.125\nflags\t: fpu pni sse4_1 constant_tsc nopl\n"
        "address sizes\t: 46 bits physical, 48 bits virtual\n\nprocessor\t: 1\n",
    )
    for number in range(4):
        folder = f"sys/devices/system/cpu/cpu{number}"
        write(f"{folder}/topology/physical_package_id", str(number // 2))
        write(f"{folder}/topology/die_id", "-1")
        write(f"{folder}/topology/core_id", "0")
        write(f"{folder}/topology/thread_siblings_list", "0-1" if number < 2 else "2-3")
        write(f"{folder}/cache/index3/level", "3")
        write(f"{folder}/cache/index3/type", "Unified")
        write(f"{folder}/cache/index3/size", "1536K")
        write(f"{folder}/cache/index3/id", str(number // 2))
        write(f"{folder}/cache/index3/shared_cpu_list", "0-1" if number < 2 else "2-3")
    for node in range(2):
        folder = f"sys/devices/system/node/node{node}"
        write(f"{folder}/meminfo", f"Node {node} MemTotal:       1048576 kB")
        write(f"{folder}/distance", "10 21" if node == 0 else "21 10")
        write(f"{folder}/hugepages/hugepages-2048kB/nr_hugepages", "4")
        for number in (node * 2, node * 2 + 1):
            write(f"{folder}/cpu{number}/online", "1")
    write("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "8")
    write("sys/kernel/iommu_groups/0/type", "DMA")
    return tmp_path


def test_host_is_described_from_proc_and_sys(small_host: Path) -> None:
    text = capabilities([], host_uuid=HOST_UUID, root=small_host)
    host = ElementTree.fromstring(text).find("host")
    assert host is not None
    cpu = host.find("cpu")
    assert cpu is not None
    assert cpu.findtext("vendor") == "Intel"
    assert [each.get("name") for each in cpu.findall("feature")] == ["fpu", "pni", "sse4.1"]
    counter = cpu.find("counter")
    assert counter is not None and counter.get("frequency") == "2500125000"
    topology = cpu.find("topology")
    assert topology is not None
    assert topology.attrib == {"sockets": "2", "dies": "1", "cores": "1", "threads": "2"}
    cells = host.findall("topology/cells/cell")
    distances = [
        [each.get("value") for each in cell.findall("distances/sibling")] for cell in cells
    ]
    assert distances == [["10", "21"], ["21", "10"]]
    page = os.sysconf("SC_PAGE_SIZE") // 1024
    assert [each.text for each in cells[0].findall("pages")] == [
        str((1048576 - 4 * 2048) // page),
        "4",
    ]
    assert [each.get("id") for each in cells[1].findall("cpus/cpu")] == ["2", "3"]
    banks = host.findall("cache/bank")
    assert [(b.get("size"), b.get("unit"), b.get("cpus")) for b in banks] == [
        ("1536", "KiB", "0-1"),
        ("1536", "KiB", "2-3"),
    ]
    iommu = host.find("iommu")
    assert iommu is not None and iommu.get("support") == "yes"


def test_host_without_any_file_is_still_a_document(tmp_path: Path) -> None:
    root = ElementTree.fromstring(capabilities([], host_uuid=HOST_UUID, root=tmp_path))
    assert root.findtext("host/uuid") == HOST_UUID
    assert capabilities_host.cores(tmp_path) == []


def test_an_x86_64_emulator_alone_serves_32_bit_guests_too() -> None:
    caps = recorded_caps("x86_64")
    root = ElementTree.fromstring(capabilities([caps], host_uuid=HOST_UUID))
    names = [each.get("name") for each in root.findall("guest/arch")]
    assert names == ["i686", "x86_64"]
    machines = root.findall("guest/arch[@name='x86_64']/machine")
    assert [(m.text, m.get("canonical")) for m in machines[:2]] == [
        ("pc-i440fx-7.2", None),
        ("pc", "pc-i440fx-7.2"),
    ]


@pytest.mark.parametrize(
    ("virt_type", "machine", "message"),
    [
        ("xen", None, "does not support virt type 'xen'"),
        ("kvm", None, "does not support virt type 'kvm'"),
        ("bogus", None, "unknown virttype: bogus"),
        ("qemu", "pc-9000", "the machine 'pc-9000' is not supported by emulator"),
    ],
)
def test_domain_capabilities_refuse(virt_type: str, machine: str | None, message: str) -> None:
    caps = replace(recorded_caps("x86_64"), kvm=False)
    with pytest.raises(VirError, match=message):
        domain_capabilities(caps, virt_type, machine, [])


@pytest.mark.parametrize(
    ("emulator", "arch", "message"),
    [
        (None, "s390x", "unable to find any emulator to serve 's390x' architecture"),
        (None, "z80", "unknown architecture: z80"),
        ("/usr/bin/qemu-system-i386", None, "does not support arch 'x86_64'"),
    ],
)
def test_an_emulator_is_refused(emulator: str | None, arch: str | None, message: str) -> None:
    known = {"x86_64": recorded_caps("x86_64")}
    with pytest.raises(VirError, match=message):
        choose(lambda _: recorded_caps("i686"), known.get, emulator, arch, "x86_64")


def test_an_x86_64_emulator_may_serve_i686() -> None:
    caps, arch = choose(lambda _: recorded_caps("x86_64"), lambda _: None, "/q", "i686", "x86_64")
    text = domain_capabilities(caps, "qemu", None, [], arch)
    assert ElementTree.fromstring(text).findtext("arch") == "i686"


def test_domain_capabilities_follow_machine_and_firmware() -> None:
    caps = recorded_caps("x86_64")
    pc = ElementTree.fromstring(domain_capabilities(caps, "qemu", "pc", []))
    q35 = ElementTree.fromstring(domain_capabilities(caps, "qemu", "q35", [OVMF]))

    def values(root: ElementTree.Element, path: str) -> list[str | None]:
        return [each.text for each in root.findall(f"{path}/value")]

    assert "ide" in values(pc, "devices/disk/enum[@name='bus']")
    assert "ide" not in values(q35, "devices/disk/enum[@name='bus']")
    assert values(pc, "os/loader") == []
    assert values(q35, "os/loader") == [OVMF.path]
    assert values(q35, "os/loader/enum[@name='secure']") == ["no"]


def test_broken_firmware_descriptors_hide_only_themselves(tmp_path: Path) -> None:
    good = {
        "interface-types": ["uefi"],
        "mapping": {"executable": {"filename": "/fw/good.fd"}},
        "targets": [{"architecture": "x86_64", "machines": ["pc-q35-*"]}],
        "features": ["secure-boot"],
    }
    (tmp_path / "10-bad.json").write_text("{")
    (tmp_path / "20-list.json").write_text("[]")
    (tmp_path / "30-strange.json").write_text(json.dumps(good | {"targets": 3}))
    (tmp_path / "40-good.json").write_text(json.dumps(good))
    assert loaders("x86_64", "pc-q35-7.2", tmp_path) == [Loader("/fw/good.fd", True)]
    assert loaders("x86_64", "pc-i440fx-7.2", tmp_path) == []
    assert loaders("x86_64", "pc-q35-7.2", tmp_path / "missing") == []


# --- beside the real daemon -----------------------------------------------------------------------

# Not compared, because libvirt derives it from its catalogue of CPU models, which we have not.
UNMODELLED = ("host/cpu/model", "host/cpu/feature", "cpu/mode[@name='host-model']")


def comparable(text: str) -> list[str]:
    """The document in canonical form without what UNMODELLED names."""
    root = ElementTree.fromstring(text)
    for path in UNMODELLED:
        parent = root.find(path.rpartition("/")[0])
        for each in root.findall(path):
            assert parent is not None
            parent.remove(each)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode").splitlines()


@pytest.fixture(scope="module")
def real() -> Iterator[Daemon]:
    lacks = missing()
    if lacks:
        lacking(*lacks)
    with Daemon() as daemon:
        yield daemon


@pytest.fixture(scope="module")
def binaries() -> dict[str, QemuCaps]:
    paths = ("/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-system-i386")
    found = [probe(path) for path in paths if os.path.exists(path)]
    return {caps.arch: caps for caps in found}


def test_capabilities_equal_the_real_ones(real: Daemon, binaries: dict[str, QemuCaps]) -> None:
    ours = ElementTree.fromstring(
        capabilities(binaries.values(), host_uuid=real.settings.host_uuid)
    )
    theirs = ElementTree.fromstring(real.virsh("capabilities"))
    for root in (ours, theirs):
        for guest in root.findall("guest"):
            arch = guest.find("arch")
            assert arch is not None
            if arch.get("name") not in ("i686", "x86_64"):
                root.remove(guest)
    assert comparable(ElementTree.tostring(ours, "unicode")) == comparable(
        ElementTree.tostring(theirs, "unicode")
    )


@pytest.mark.parametrize("machine", ["pc", "q35", "pc-q35-5.2", "microvm"])
def test_domain_capabilities_equal_the_real_ones(
    real: Daemon, binaries: dict[str, QemuCaps], machine: str
) -> None:
    theirs = real.virsh("domcapabilities", "--virttype", "qemu", "--machine", machine)
    ours = domain_capabilities(binaries["x86_64"], "qemu", machine)
    assert comparable(ours) == comparable(theirs)
