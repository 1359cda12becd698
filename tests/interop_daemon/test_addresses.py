# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_addresses.py: places on buses beyond what the recorded documents show."""

from __future__ import annotations

from typing import Any

import pytest

from libvirtcore.conf import Domain, parse_device
from libvirtcore.drivers.qemu.addresses_buses import target_index
from libvirtcore.drivers.qemu.addresses_pci import (
    CONVENTIONAL_ENDPOINT,
    EXPRESS_ENDPOINT,
    Buses,
    text,
)
from libvirtcore.drivers.qemu.aliases import assign_aliases
from libvirtcore.drivers.qemu.defaults_attached import add_device
from libvirtcore.errors import VirError
from tests.interop_daemon.documents import capabilities, define

GUEST = """
<domain type='qemu'>
  <name>guest</name>
  <memory unit='MiB'>256</memory>
  <os><type arch='x86_64' machine='{machine}'>hvm</type></os>
  <devices>{devices}</devices>
</domain>
"""
NIC = "<interface type='user'><mac address='52:54:00:11:22:33'/><model type='{model}'/></interface>"
DISK = "<disk type='file'><source file='/{dev}'/><target dev='{dev}' bus='{bus}'/></disk>"


def guest(machine: str, devices: str = "") -> Domain:
    domain = define(GUEST.format(machine=machine, devices=devices))
    assign_aliases(domain)
    return domain


def attach(domain: Domain, xml: str, *, running: bool = True) -> Any:
    device = parse_device(xml, domain)
    add_device(domain, device, capabilities("x86_64"), running=running)
    return device


def place(device: Any) -> str:
    address = device.address
    return text((address.bus, address.slot, address.function))


@pytest.mark.parametrize(
    ("name", "number"),
    [("vda", 0), ("sdz", 25), ("sdaa", 26), ("vdac", 28), ("hda1", 0), ("xvdb", 1), ("nvme", -1)],
)
def test_target_names_count_like_spreadsheet_columns(name: str, number: int) -> None:
    assert target_index(name) == number


def test_a_full_conventional_bus_grows_a_bridge_only_when_dry() -> None:
    dry = Buses(["pci-root"], True)
    places = [dry.next(CONVENTIONAL_ENDPOINT) for _ in range(32)]
    assert places[30] == (0, 31, 0)
    assert places[31] == (1, 1, 0)
    assert [bus.model for bus in dry.buses] == ["pci-root", "pci-bridge"]
    final = Buses(["pci-root"], False)
    for _ in range(31):
        final.next(CONVENTIONAL_ENDPOINT)
    with pytest.raises(VirError, match="No more available PCI slots"):
        final.next(CONVENTIONAL_ENDPOINT)


def test_a_conventional_device_on_express_gets_a_bridge_behind_a_root_port() -> None:
    buses = Buses(["pcie-root"], True)
    assert buses.next(CONVENTIONAL_ENDPOINT) == (2, 1, 0)
    assert buses.next(EXPRESS_ENDPOINT) == (3, 0, 0)
    assert [bus.model for bus in buses.buses] == [
        "pcie-root", "pcie-root-port", "pcie-to-pci-bridge", "pcie-root-port",
    ]  # fmt: skip


def test_the_number_of_buses_is_bounded() -> None:
    with pytest.raises(VirError, match="255"):
        Buses(["pcie-root"], True).reserve((10_000, 0, 0), EXPRESS_ENDPOINT)


def test_a_running_q35_guest_takes_one_more_device_and_no_second() -> None:
    domain = guest("q35")
    first = attach(domain, NIC.format(model="virtio"))
    assert place(first) == "0000:03:00.0"
    assert first.alias.name == "net0"
    with pytest.raises(VirError, match="No more available PCI slots"):
        attach(domain, NIC.format(model="virtio"))
    assert len(domain.devices.interfaces) == 1


def test_a_definition_grows_instead() -> None:
    domain = guest("q35")
    for number in range(3):
        attach(domain, DISK.format(dev=f"vd{'abc'[number]}", bus="virtio"), running=False)
    places = [place(disk) for disk in domain.devices.disks]
    assert places == ["0000:03:00.0", "0000:04:00.0", "0000:05:00.0"]


def test_attached_disks_are_named_by_place_and_kept_in_order() -> None:
    domain = guest("pc", "<controller type='scsi' index='0' model='virtio-scsi'/>")
    second = attach(domain, DISK.format(dev="sdb", bus="scsi"))
    first = attach(domain, DISK.format(dev="sda", bus="scsi"))
    virtio = attach(domain, DISK.format(dev="vdc", bus="virtio"))
    targets = [disk.target.dev for disk in domain.devices.disks if disk.target is not None]
    assert targets == ["sda", "sdb", "vdc"]
    assert (first.alias.name, second.alias.name) == ("scsi0-0-0-0", "scsi0-0-0-1")
    assert virtio.alias.name == "virtio-disk2"


def test_a_target_is_not_given_twice_and_a_refused_device_leaves_nothing() -> None:
    domain = guest("pc", DISK.format(dev="vda", bus="virtio"))
    before = domain.format()
    with pytest.raises(VirError, match="target vda already exists"):
        attach(domain, DISK.format(dev="vda", bus="virtio"))
    bad = "<disk device='cdrom'><target dev='vdb' bus='virtio'/></disk>"
    with pytest.raises(VirError, match="does not support ejectable media"):
        attach(domain, bad)
    assert domain.format() == before


def test_channels_take_the_next_port() -> None:
    channel = "<channel type='unix'><target type='virtio' name='{}'/></channel>"
    domain = guest("pc", channel.format("a"))
    added = attach(domain, channel.format("b"))
    assert (added.address.controller, added.address.port) == (0, "2")
    assert added.alias.name == "channel1"


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        ("<controller type='pci' index='2147483647' model='pci-bridge'/>", "maximum is 255"),
        (
            "<disk type='file'><source file='/a'/><target dev='sda' bus='scsi'/><address"
            " type='drive' controller='4294967295' bus='0' target='0' unit='0'/></disk>",
            "a PCI slot is needed",
        ),
        (DISK.format(dev="sdzzzzz", bus="scsi"), "a PCI slot is needed"),
        (DISK.format(dev="sd" + "z" * 100_000, bus="scsi"), "Unknown disk name"),
        ("<controller type='usb' model='qemu-xhci' ports='2147483647'/>", "up to '15' ports"),
    ],
)
def test_numbers_from_anybody_do_not_become_loops(devices: str, message: str) -> None:
    with pytest.raises(VirError, match=message):
        guest("pc", devices)


def test_a_controller_that_a_port_names_comes_alone() -> None:
    domain = guest(
        "pc",
        "<channel type='pty'><target type='virtio' name='a'/>"
        "<address type='virtio-serial' controller='500' bus='0' port='1'/></channel>",
    )
    found = [c.index for c in domain.devices.controllers if c.type == "virtio-serial"]
    assert found == [500]


def test_a_number_of_io_threads_is_bounded() -> None:
    text = GUEST.format(machine="pc", devices="")
    with pytest.raises(VirError, match="iothreads count"):
        define(text.replace("<os>", "<iothreads>4000000000</iothreads><os>"))
