# SPDX-License-Identifier: LGPL-2.1-or-later
"""addresses_buses.py: the places that are not on PCI: drives, USB ports, serial ports, DIMM slots.

Called by: addresses.py, defaults.py. Calls: libvirtcore.conf for addresses, errors.
Never: looks at PCI.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from libvirtcore.conf.address import Address
from libvirtcore.drivers.qemu.addresses_pci import internal, xml_error
from libvirtcore.drivers.qemu.model import make, several
from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import (
    VIR_ERR_CONFIG_UNSUPPORTED,
    VIR_FROM_DOMAIN,
    VIR_FROM_QEMU,
)

SERIAL_PORTS = 31  # of a virtio serial controller that does not say
USB_PORTS = {"piix3-uhci": 2, "piix4-uhci": 2, "vt82c686b-uhci": 2, "ehci": 6, "ich9-ehci1": 6,
             "pci-ohci": 3, "nec-xhci": 4, "qemu-xhci": 4, "none": 0}  # fmt: skip
HUB_PORTS = 8
LONGEST_NAME = 6  # letters of a target name; 300 million disks are enough

SPAPR_SCSI, SPAPR_STEP = 0x2000, 0x1000  # registers of SCSI controllers on that bus

# --- controllers of POWER -------------------------------------------------------------------------


def assign_spapr(dom: Any) -> None:
    """Registers for SCSI controllers of POWER, which a definition may have on any machine."""
    taken = set()
    for device in several(dom, "controllers"):
        if device.address is not None and device.address.type == "spapr-vio":
            taken.add(device.address.reg)
    for device in several(dom, "controllers"):
        if device.type != "scsi" or device.model != "ibmvscsi":
            continue
        place = device.address
        if place is not None and (place.type != "spapr-vio" or place.reg is not None):
            continue
        reg = SPAPR_SCSI
        while reg in taken:
            reg += SPAPR_STEP
        taken.add(reg)
        device.address = Address(type="spapr-vio", reg=reg)


# --- drives ---------------------------------------------------------------------------------------


def target_index(dev: str) -> int:
    """The number behind a target name ("sdb" is 1), -1 for a name that has none."""
    for prefix in ("fd", "hd", "sd", "vd", "xvd", "ubd"):
        if dev.startswith(prefix):
            letters = dev[len(prefix) :].rstrip("0123456789")
            if (
                not letters
                or len(letters) > LONGEST_NAME
                or not all("a" <= letter <= "z" for letter in letters)
            ):
                return -1
            number = 0
            for letter in letters:
                number = number * 26 + ord(letter) - ord("a") + 1
            return number - 1
    return -1


def assign_drive(disk: Any) -> None:
    """The place on an IDE, SCSI, SATA or floppy controller that a target name stands for."""
    bus = disk.target.bus
    if bus not in ("ide", "sata", "scsi", "fdc") or disk.address is not None:
        return
    number = target_index(disk.target.dev)
    if number < 0:
        raise xml_error(f"Unknown disk name '{disk.target.dev}' and no address specified")
    controller = line = unit = 0
    if bus == "scsi":
        controller, unit = divmod(number, 7)
    elif bus == "ide":
        controller, rest = divmod(number, 4)
        line, unit = divmod(rest, 2)
    elif bus == "sata":
        controller, unit = divmod(number, 6)
    else:
        controller, unit = divmod(number, 2)
    disk.address = Address(type="drive", controller=controller, bus=line, target=0, unit=unit)


def assign_scsi_hostdevs(dom: Any) -> None:
    """Units on SCSI controllers for the host's SCSI devices, the lowest that no disk has."""
    for device in several(dom, "hostdevs"):
        if device.type != "scsi" or device.address is not None:
            continue
        taken = set()
        for other in [*several(dom, "disks"), *several(dom, "hostdevs")]:
            place = other.address
            if place is None or place.type != "drive":
                continue
            if getattr(other, "target", None) is None or other.target.bus == "scsi":
                taken.add((place.controller or 0, place.unit or 0))
        number = 0
        while divmod(number, 7) in taken:
            number += 1
        controller, unit = divmod(number, 7)
        device.address = Address(type="drive", controller=controller, bus=0, target=0, unit=unit)


# --- virtio serial --------------------------------------------------------------------------------


def assign_virtio_serial(dom: Any) -> None:
    """The ports of consoles and channels on virtio serial controllers."""
    limits = {
        c.index: c.ports if c.ports is not None else SERIAL_PORTS
        for c in several(dom, "controllers")
        if c.type == "virtio-serial"
    }
    taken: dict[int, set[int]] = {index: set() for index in limits}
    waiting = []
    consoles = [d for d in several(dom, "consoles") if d.target.type == "virtio"]
    channels = [d for d in several(dom, "channels") if d.target.type == "virtio"]
    for device in consoles + channels:
        place = device.address
        if place is None or place.type != "virtio-serial" or place.port in (None, "0"):
            if device in channels:  # consoles find their port when QEMU starts
                waiting.append(device)
            continue
        index, port = place.controller or 0, int(place.port)
        if index not in limits:
            raise xml_error(f"virtio serial controller {index} is missing")
        if port >= limits[index]:
            raise xml_error(f"virtio serial controller {index} does not have port {port}")
        if port in taken[index]:
            raise xml_error(f"virtio serial port {port} on controller {index} is already occupied")
        taken[index].add(port)
    for device in waiting:
        _place_port(device, limits, taken)


def _place_port(device: Any, limits: dict[int, int], taken: dict[int, set[int]]) -> None:
    for index in sorted(limits):
        for port in range(1, limits[index]):
            if port not in taken[index]:
                taken[index].add(port)
                device.address = Address(
                    type="virtio-serial", controller=index, bus=0, port=str(port)
                )
                return
    raise xml_error("Unable to find a free virtio-serial port")


# --- USB ------------------------------------------------------------------------------------------


class _Ports:
    """The ports of a USB bus or hub: what sits in each, hubs as further ports."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.taken: dict[int, _Ports | None] = {}


def usb_devices(dom: Any) -> Iterator[Any]:
    """Everything that is plugged into USB but hubs, in the order of assignment."""
    for device in several(dom, "disks"):
        if device.target.bus == "usb":
            yield device
    for device in several(dom, "controllers"):
        if device.type == "ccid":
            yield device
    for device in several(dom, "interfaces"):
        if device.model is not None and device.model.type == "usb-net":
            yield device
    for device in several(dom, "inputs"):
        if device.bus == "usb":
            yield device
    for device in several(dom, "sounds"):
        if device.model == "usb":
            yield device
    for device in several(dom, "hostdevs"):
        if device.type == "usb":
            yield device
    for device in several(dom, "redirdevs"):
        if device.bus == "usb":
            yield device
    for device in several(dom, "serials"):
        if device.target is not None and device.target.type == "usb-serial":
            yield device


def assign_usb(dom: Any) -> None:
    """The ports of USB devices; hubs are added when there are too few."""
    buses: dict[int, _Ports] = {}
    for device in several(dom, "controllers"):
        if device.type == "usb" and device.model != "none":
            count = device.ports or USB_PORTS.get(device.model or "piix3-uhci", 0)
            if count:
                buses[device.index] = _Ports(count)
    hubs = several(dom, "hubs")
    devices = list(usb_devices(dom))
    if not buses:
        if devices:
            raise _disabled(dom, devices[0])
        return
    for device in hubs:
        if _path(device):
            _take(buses, device, _Ports(HUB_PORTS))
    for device in devices:
        if _path(device):
            _take(buses, device, None)
    for device in hubs:
        if not _path(device):
            _plug(buses, device, _Ports(HUB_PORTS))
    _add_hubs(dom, buses, sum(not _path(device) for device in devices))
    for device in devices:
        if not _path(device):
            _plug(buses, device, None)


def _disabled(dom: Any, device: Any) -> VirError:
    if any(c.type == "usb" and c.model == "none" for c in several(dom, "controllers")):
        return report(
            VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_DOMAIN,
            f"Can't add USB {type(device).__name__.lower()} device. USB bus is disabled",
        )  # fmt: skip
    return report(
        VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_QEMU,
        "USB is disabled for this domain, but USB devices are present in the domain XML",
    )  # fmt: skip


def _path(device: Any) -> tuple[int, ...]:
    address = device.address
    if address is None or address.type != "usb" or not address.port:
        return ()
    return tuple(int(part) for part in address.port.split("."))


def _take(buses: dict[int, _Ports], device: Any, hub: _Ports | None) -> None:
    bus, path = device.address.bus or 0, _path(device)
    room = buses.get(bus)
    if room is None:
        raise xml_error(f"Missing USB bus {bus}")
    for depth, port in enumerate(path):
        if port < 1 or port > room.count:
            raise xml_error(
                f"requested USB port {device.address.port} not present on USB bus {bus}"
            )
        if depth == len(path) - 1:
            if port in room.taken:
                raise xml_error(f"Duplicate USB address bus {bus} port {device.address.port}")
            room.taken[port] = hub
            return
        below = room.taken.get(port)
        if below is None:
            raise xml_error(
                f"there is no hub at port {port} in USB address bus: {bus} port: "
                f"{device.address.port}"
            )
        room = below


def _find(room: _Ports) -> list[int] | None:
    """The path of the first free port, the nearest to the controller first."""
    level: list[tuple[list[int], _Ports]] = [([], room)]
    while level:
        below: list[tuple[list[int], _Ports]] = []
        for path, ports in level:
            for port in range(1, ports.count + 1):
                if port not in ports.taken:
                    return [*path, port]
                hub = ports.taken[port]
                if hub is not None:
                    below.append(([*path, port], hub))
        level = below
    return None


def _plug(buses: dict[int, _Ports], device: Any, hub: _Ports | None) -> None:
    """The first free port of the bus a device names, else of any."""
    address = device.address
    wanted = address.bus if address is not None and address.type == "usb" else None
    for bus in sorted(buses):
        if wanted is not None and bus != wanted:
            continue
        path = _find(buses[bus])
        if path is None:
            continue
        room = buses[bus]
        for port in path[:-1]:
            below = room.taken[port]
            assert below is not None
            room = below
        room.taken[path[-1]] = hub
        device.address = Address(type="usb", bus=bus, port=".".join(map(str, path)))
        return
    raise internal("No free USB ports")


def _free(room: _Ports) -> int:
    below = sum(_free(hub) for hub in room.taken.values() if hub is not None)
    return room.count - len(room.taken) + below


def _add_hubs(dom: Any, buses: dict[int, _Ports], devices: int) -> None:
    short = devices - sum(_free(room) for room in buses.values())
    while short > 0:
        hub = make(dom.devices, "hubs", type="usb")
        dom.devices.hubs.append(hub)
        _plug(buses, hub, _Ports(HUB_PORTS))
        short -= HUB_PORTS - 1


# --- memory ---------------------------------------------------------------------------------------


def assign_memory_slots(dom: Any) -> None:
    """The slots of DIMMs and NVDIMMs."""
    modules = [m for m in several(dom, "memorys") if m.model in ("dimm", "nvdimm")]
    taken = {module.address.slot for module in modules if module.address is not None}
    for module in modules:
        if module.address is not None and module.address.slot is not None:
            continue
        slot = 0
        while slot in taken:
            slot += 1
        taken.add(slot)
        if module.address is None:
            module.address = Address(type="dimm")
        module.address.slot = slot
