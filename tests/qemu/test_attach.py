# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_attach.py: devices added to, removed from and changed in guests that run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import libvirt
import libvirt_qemu
from tests.qemu.conftest import domain_xml, wait_for

LIVE, CONFIG = libvirt.VIR_DOMAIN_AFFECT_LIVE, libvirt.VIR_DOMAIN_AFFECT_CONFIG
MIB = 1 << 20
ACPI = "<features><acpi/></features>"
DRIVES = (
    "<controller type='scsi' model='virtio-scsi'/>"
    "<disk type='file' device='cdrom'><target dev='hda' bus='ide'/></disk>"
    "<disk type='file' device='floppy'><target dev='fda' bus='fdc'/></disk>"
    "<channel type='unix'><target type='virtio' name='org.test.0'/></channel>"
)


class Events:
    """Events of devices, as (name, arguments)."""

    KINDS = ("DEVICE_ADDED", "DEVICE_REMOVED", "TRAY_CHANGE")

    def __init__(self, conn: Any) -> None:
        self.seen: list[tuple[Any, ...]] = []
        for kind in self.KINDS:
            number = getattr(libvirt, f"VIR_DOMAIN_EVENT_ID_{kind}")
            conn.domainEventRegisterAny(None, number, self._note, kind)

    def _note(self, _conn: Any, _dom: Any, *args: Any) -> None:
        self.seen.append((args[-1], *args[:-1]))

    def take(self, count: int) -> list[tuple[Any, ...]]:
        wait_for(lambda: len(self.seen) >= count, 5.0)
        taken, self.seen[:] = list(self.seen), []
        return taken


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.img" for name in ("one", "two", "three")]
    for path in paths:
        with open(path, "wb") as file:
            file.truncate(MIB)
    return paths


@pytest.fixture
def dom(conn: Any) -> Any:
    dom = conn.defineXML(domain_xml(devices=DRIVES, extra=ACPI))
    dom.create()
    return dom


@pytest.fixture
def still(conn: Any) -> Any:
    """The same, but standing still: firmware that looks for something to boot closes drives."""
    dom = conn.defineXML(domain_xml(devices=DRIVES, extra=ACPI))
    dom.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    return dom


def disk(path: Path, target: str, bus: str) -> str:
    return (
        f"<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
        f"<source file='{path}'/><target dev='{target}' bus='{bus}'/></disk>"
    )


def nodes(dom: Any) -> set[str]:
    answer = libvirt_qemu.qemuMonitorCommand(dom, '{"execute":"query-named-block-nodes"}', 0)
    return {node["node-name"] for node in json.loads(answer)["return"]}


def refusal(call: Any, *args: Any) -> tuple[Any, Any]:
    with pytest.raises(libvirt.libvirtError) as info:
        call(*args)
    return info.value.get_error_code(), info.value.get_error_message()


def test_disks_come_and_go(conn: Any, dom: Any, images: list[Path]) -> None:
    events = Events(conn)
    before = nodes(dom)
    xml = disk(images[0], "sda", "scsi")
    assert dom.attachDeviceFlags(xml, LIVE | CONFIG) == 0
    assert events.take(1) == [("DEVICE_ADDED", "scsi0-0-0-0")]
    assert len(nodes(dom) - before) == 2
    assert "scsi0-0-0-0" in dom.XMLDesc()
    assert str(images[0]) in dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    assert dom.detachDeviceFlags(xml, LIVE | CONFIG) == 0
    assert events.take(1) == [("DEVICE_REMOVED", "scsi0-0-0-0")]
    assert nodes(dom) == before
    for flags in (0, libvirt.VIR_DOMAIN_XML_INACTIVE):
        assert "one.img" not in dom.XMLDesc(flags)


@pytest.mark.parametrize(("target", "bus"), [("vda", "virtio"), ("sdc", "usb")])
def test_disks_on_other_buses(
    conn: Any, dom: Any, images: list[Path], target: str, bus: str
) -> None:
    events = Events(conn)
    assert dom.attachDevice(disk(images[0], target, bus)) == 0
    assert events.take(1)[0][0] == "DEVICE_ADDED"
    assert dom.blockStats(target)[4] == -1
    code, message = refusal(dom.attachDevice, disk(images[1], target, bus))
    assert code == libvirt.VIR_ERR_XML_ERROR
    assert f"target '{target}' duplicated" in message
    if bus == "usb":
        assert dom.detachDevice(disk(images[0], target, bus)) == 0
        assert events.take(1)[0][0] == "DEVICE_REMOVED"


def test_failed_attach_leaves_nothing(dom: Any, images: list[Path]) -> None:
    before, xml = nodes(dom), dom.XMLDesc()
    code, message = refusal(dom.attachDevice, disk(images[0], "hdc", "ide"))
    assert (code, message) == (
        libvirt.VIR_ERR_INTERNAL_ERROR,
        "internal error: unable to execute QEMU command 'device_add': "
        "Bus 'ide.1' does not support hotplugging",
    )
    assert refusal(dom.attachDevice, disk(images[0].with_name("none"), "vda", "virtio"))[0] == 38
    assert (nodes(dom), dom.XMLDesc()) == (before, xml)


def test_devices_of_a_definition(conn: Any, images: list[Path]) -> None:
    dom = conn.defineXML(domain_xml())
    xml = disk(images[0], "vda", "virtio")
    assert refusal(dom.attachDevice, xml)[1] == (
        "Requested operation is not valid: domain is not running"
    )
    assert dom.attachDeviceFlags(xml, CONFIG) == 0
    assert refusal(dom.attachDeviceFlags, xml, CONFIG)[1] == (
        "Requested operation is not valid: target vda already exists"
    )
    other = disk(images[0], "vdb", "virtio")
    assert refusal(dom.detachDeviceFlags, other, CONFIG)[1] == (
        "device not found: no target device vdb"
    )
    assert dom.detachDeviceFlags(xml, CONFIG) == 0
    assert "vda" not in dom.XMLDesc()


def test_interfaces(conn: Any, dom: Any) -> None:
    events = Events(conn)
    mac = "52:54:00:11:22:56"
    nic = f"<interface type='user'><mac address='{mac}'/><model type='e1000'/>%s</interface>"
    assert dom.attachDeviceFlags(nic % "", LIVE | CONFIG) == 0
    assert events.take(1) == [("DEVICE_ADDED", "net0")]
    assert dom.updateDeviceFlags(nic % "<link state='down'/>", LIVE) == 0
    assert "<link state='down'/>" in dom.XMLDesc()
    code, message = refusal(dom.updateDeviceFlags, (nic % "").replace("e1000", "virtio"), LIVE)
    assert (code, message) == (
        libvirt.VIR_ERR_OPERATION_UNSUPPORTED,
        "Operation not supported: cannot modify network device model from e1000 to virtio",
    )
    absent = nic.replace(mac, "52:54:00:00:00:01") % ""
    assert refusal(dom.detachDevice, absent) == (
        libvirt.VIR_ERR_DEVICE_MISSING,
        "device not found: no device found at address '(<null>)' matching MAC address "
        "'52:54:00:00:00:01' and alias '(<null>)'",
    )
    assert dom.attachDeviceFlags("<interface type='user'/>", LIVE | CONFIG) == 0
    both = [dom.XMLDesc(flags).split("mac address='")[2][:17] for flags in (0, 2)]
    assert both[0] == both[1]


def test_channels(conn: Any, dom: Any) -> None:
    events = Events(conn)
    xml = "<channel type='unix'><target type='virtio' name='org.test.1'/></channel>"
    assert dom.attachDevice(xml) == 0
    assert events.take(1) == [("DEVICE_ADDED", "channel1")]
    path = dom.XMLDesc().split("<source mode='bind' path='")[2].split("'")[0]
    assert Path(path).is_socket()
    assert refusal(dom.attachDevice, xml)[1].endswith("chardev already exists")
    stream = conn.newStream(libvirt.VIR_STREAM_NONBLOCK)
    assert dom.openChannel("org.test.1", stream, 0) == 0
    stream.finish()
    pty = "<channel type='pty'><target type='virtio' name='org.test.2'/></channel>"
    assert dom.attachDevice(pty) == 0
    assert dom.detachDeviceAlias("channel2", LIVE) == 0
    assert events.take(2)[-1] == ("DEVICE_REMOVED", "channel2")
    assert dom.attachDevice(pty) == 0  # its name and place are free again


def test_random_numbers(conn: Any, dom: Any) -> None:
    xml = "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"
    assert dom.attachDeviceFlags(xml, LIVE | CONFIG) == 0
    assert dom.XMLDesc().count("<rng ") == 1
    assert refusal(dom.detachDevice, xml.replace("urandom", "random"))[1] == (
        "device not found: model 'random' RNG device not present in domain configuration"
    )


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("<sound model='ac97'/>", "live attach of device 'sound' is not supported"),
        ("<panic model='isa'/>", "live attach of device 'panic' is not supported"),
        (
            "<controller type='scsi' index='0' model='virtio-scsi'/>",
            "target scsi:0 already exists",
        ),
    ],
)
def test_what_cannot_be_added(dom: Any, xml: str, message: str) -> None:
    assert refusal(dom.attachDevice, xml)[1].endswith(message)


def test_a_guest_that_keeps_its_device(
    conn: Any, dom: Any, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a system in the guest a PCI device stays; when it goes late, it is cleared up."""
    from libvirtcore.drivers.qemu import unplug

    monkeypatch.setattr(unplug, "SECONDS", 0.2)
    events = Events(conn)
    before = nodes(dom)
    dom.attachDevice(disk(images[0], "vda", "virtio"))
    assert dom.detachDevice(disk(images[0], "vda", "virtio")) == 0
    assert "virtio-disk0" in dom.XMLDesc()
    dom.reset(0)  # at a reset the machine lets go of what was to be removed
    assert wait_for(lambda: "virtio-disk0" not in dom.XMLDesc(), 5.0)
    assert ("DEVICE_REMOVED", "virtio-disk0") in events.take(2)
    assert nodes(dom) == before


def drive(path: Path | None, target: str = "hda", bus: str = "ide", kind: str = "cdrom") -> str:
    source = f"<source file='{path}'/>" if path is not None else ""
    return f"<disk type='file' device='{kind}'>{source}<target dev='{target}' bus='{bus}'/></disk>"


def test_media_are_changed(conn: Any, still: Any, images: list[Path]) -> None:
    dom = still
    events = Events(conn)
    before = nodes(dom)
    moved = [("TRAY_CHANGE", "ide0-0-0", 0), ("TRAY_CHANGE", "ide0-0-0", 1)]
    assert dom.updateDeviceFlags(drive(images[0]), 0) == 0
    assert events.take(2) == moved
    assert str(images[0]) in dom.XMLDesc()
    assert dom.updateDeviceFlags(drive(images[1]), LIVE | CONFIG) == 0
    assert events.take(2) == moved
    assert str(images[0]) not in dom.XMLDesc()
    assert str(images[1]) in dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    assert dom.updateDeviceFlags(drive(None), LIVE | CONFIG) == 0
    assert events.take(2) == moved
    assert nodes(dom) == before
    assert "<source file" not in dom.XMLDesc()
    assert dom.updateDeviceFlags(drive(None), 0) == 0
    assert events.seen == []


def test_floppies_are_changed(dom: Any, images: list[Path]) -> None:
    assert dom.updateDeviceFlags(drive(images[0], "fda", "fdc", "floppy"), 0) == 0
    assert str(images[0]) in dom.XMLDesc()
    assert dom.updateDeviceFlags(drive(None, "fda", "fdc", "floppy"), 0) == 0
    assert str(images[0]) not in dom.XMLDesc()


def test_a_medium_that_cannot_be_put_in(still: Any, images: list[Path]) -> None:
    dom = still
    dom.attachDevice(disk(images[1], "sda", "scsi"))
    dom.updateDeviceFlags(drive(images[0]), 0)
    before = nodes(dom)
    code, message = refusal(dom.updateDeviceFlags, drive(images[1]), 0)
    assert code == libvirt.VIR_ERR_INTERNAL_ERROR
    assert "lock" in message
    assert str(images[0]) in dom.XMLDesc()
    assert nodes(dom) == before
    assert refusal(dom.updateDeviceFlags, drive(images[0], "hdd"), 0)[1] == (
        "internal error: disk 'hdd' not found"
    )
