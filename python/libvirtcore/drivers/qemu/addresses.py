# SPDX-License-Identifier: LGPL-2.1-or-later
"""addresses.py: every device of a definition gets its place, as libvirt gives it.

PCI is done twice: a dry run tells how many bridges and root ports must be added, then the
controllers are there and everything is placed for good. Given places are kept and checked.
Called by: defaults.py, attach code of the driver. Calls: addresses_pci.py, addresses_flags.py,
addresses_buses.py.
Never: adds a device other than a PCI controller or a USB hub.
"""

from __future__ import annotations

from typing import Any

from libvirtcore.conf.controller import Controller, PciModel, PciTarget
from libvirtcore.drivers.qemu import addresses_buses, addresses_flags, addresses_pci
from libvirtcore.drivers.qemu.addresses_flags import companion
from libvirtcore.drivers.qemu.addresses_pci import (
    MODELS,
    PCI_DEVICE,
    Buses,
    Place,
)
from libvirtcore.drivers.qemu.machines import is_i440fx, is_q35
from libvirtcore.drivers.qemu.model import devices, several
from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import VIR_ERR_XML_ERROR, VIR_FROM_QEMU

PIIX_SLOT = 1
PIIX_VIDEO_SLOT = 2
Q35_VIDEO_SLOT = 1
Q35_CHIPSET_SLOT = 31
Q35_SOUND_SLOT = 27
Q35_USB_SLOTS = (29, 26)
Q35_DMI_SLOT = 30


def assign_addresses(dom: Any, caps: Any = None) -> None:
    """Give every device its place. Raises: VirError when a given one cannot be."""
    addresses_buses.assign_spapr(dom)
    addresses_buses.assign_virtio_serial(dom)
    assign_pci(dom)
    addresses_buses.assign_usb(dom)
    addresses_buses.assign_memory_slots(dom)


def assign_free(dom: Any) -> None:
    """Give devices without a place one that is there already, for guests that run."""
    addresses_buses.assign_virtio_serial(dom)
    names = [c.model for c in sorted(_pci(dom), key=lambda c: c.index)]
    buses = _collect(dom, [name or "pci-bridge" for name in names], False)
    _place_all(dom, buses)
    addresses_buses.assign_usb(dom)
    addresses_buses.assign_memory_slots(dom)


def insert_controller(dom: Any, new: Any) -> None:
    """Put a controller where libvirt keeps it: behind all others, whatever its number."""
    dom.devices.controllers.append(new)


# --- PCI ------------------------------------------------------------------------------------------


def assign_pci(dom: Any) -> None:
    """Place the devices on PCI, adding bridges and root ports."""
    bridges = {c.index: c for c in several(dom, "controllers") if c.type == "pci"}
    last = max(bridges, default=-1)
    for number in range(last + 1):
        if number not in bridges and number > 0:
            model = "pcie-root-port" if bridges and _express(bridges) else "pci-bridge"
            bridges[number] = Controller(type="pci", index=number, model=model)
            insert_controller(dom, bridges[number])
    models = [bridges[number].model or "pci-bridge" for number in range(last + 1)]
    if not models or not _all_placed(dom, last):
        _dry_run(dom, models, last)
    names = [c.model for c in sorted(_pci(dom), key=lambda c: c.index)]
    buses = _collect(dom, [name or "pci-bridge" for name in names], False)
    _place_all(dom, buses)
    _mark_multifunction(dom, buses)
    _name_bridges(dom)


def _express(bridges: dict[int, Any]) -> bool:
    return 0 in bridges and bridges[0].model == "pcie-root"


def _pci(dom: Any) -> list[Any]:
    return [c for c in dom.devices.controllers if c.type == "pci"]


def _dry_run(dom: Any, models: list[str], last: int) -> None:
    """Find out how many buses are needed, add their controllers, forget the places."""
    before = [(device, device.address) for device, _ in addresses_flags.wants(dom)]
    try:
        buses = _collect(dom, models, True)
        conventional = bool(models) and models[0] == "pci-root"
        if conventional and not all(bus.full for bus in buses.buses):
            buses.next(addresses_flags.CONVENTIONAL)
        _place_all(dom, buses)
        if models and models[0] == "pcie-root" and last <= 0 and len(buses) > last + 1:
            buses.next(addresses_flags.EXPRESS)
    finally:
        for device, address in before:
            device.address = address
    for number in range(last + 1, len(buses)):
        insert_controller(
            dom, Controller(type="pci", index=number, model=buses.buses[number].model)
        )


def _all_placed(dom: Any, last: int) -> bool:
    """Whether every device has a place on a bus that exists."""
    for device, flags in addresses_flags.wants(dom):
        if not flags or not _unplaced(device):
            continue
        place = given(device)
        if place is None and not (isinstance(device, Controller) and _placeless(device)):
            return False
        if place is not None and place[0] > last:
            return False
    return True


def _placeless(device: Any) -> bool:
    """Whether a controller never has a place: the first bus, no USB at all, a built-in one."""
    if device.type == "pci":
        return bool(device.index == 0)
    return device.model in ("none", "ncr53c90")


def _flags(dom: Any) -> dict[int, int]:
    return {id(device): flags for device, flags in addresses_flags.wants(dom)}


def _collect(dom: Any, models: list[str], dry: bool) -> Buses:
    """The buses with everything taken that the definition and the chipset fix."""
    buses = Buses(models, dry)
    flags = _flags(dom)
    for device in _all_devices(dom):
        place = given(device)
        if place is None:
            continue
        if is_i440fx(dom) and place[:2] == (0, PIIX_SLOT) and _part_of_piix(device):
            continue
        connection = flags.get(id(device), 0)
        if not connection & addresses_pci.TYPES:
            connection |= addresses_flags.CONVENTIONAL
        buses.reserve(place, connection, device.address.domain or 0)
    if is_i440fx(dom):
        _piix(dom, buses)
    elif is_q35(dom):
        _q35(dom, buses)
    return buses


def _all_devices(dom: Any) -> list[Any]:
    return [each for each in devices(dom) if each.address is not None]


def given(device: Any) -> Place | None:
    """The PCI place a device has."""
    address = device.address
    if address is None or address.type != "pci" or address.slot is None:
        return None
    return (address.bus or 0, address.slot, address.function or 0)


def _put(device: Any, place: Place) -> None:
    old = device.address
    multifunction = old.multifunction if old is not None else None
    device.address = addresses_pci.address(place)
    if multifunction is not None:
        device.address.multifunction = multifunction


def _part_of_piix(device: Any) -> bool:
    kind = getattr(device, "type", None)
    return isinstance(device, Controller) and (
        kind == "ide" or (kind == "usb" and device.model in (None, "piix3-uhci"))
    )


def _piix(dom: Any, buses: Buses) -> None:
    """The chipset of the conventional PC: slot 1, and slot 2 for the first video card."""
    for device in several(dom, "controllers"):
        if device.index != 0:
            continue
        if device.type == "ide":
            _fixed(
                device, (0, PIIX_SLOT, 1), "Primary IDE controller must have PCI address 0:0:1.1"
            )  # fmt: skip
        elif device.type == "usb" and device.model in (None, "piix3-uhci"):
            _fixed(
                device, (0, PIIX_SLOT, 2),
                "PIIX3 USB controller at index 0 must have PCI address 0:0:1.2",
            )  # fmt: skip
    if len(buses):
        _chipset_slot(buses, (0, PIIX_SLOT, 0))
        buses.block(0, PIIX_SLOT)
    _first_video(dom, buses, PIIX_VIDEO_SLOT)


def _chipset_slot(buses: Buses, place: Place) -> None:
    if place[1] in buses.buses[0].slots:
        raise addresses_pci.xml_error(
            f"Attempted double use of PCI Address {addresses_pci.text(place)}"
        )
    buses.reserve(place, PCI_DEVICE)


def _fixed(device: Any, place: Place, complaint: str) -> None:
    now = given(device)
    if now is None:
        _put(device, place)
    elif now != place:
        raise _qemu_error(complaint)


def _qemu_error(message: str) -> VirError:
    return report(VIR_ERR_XML_ERROR, VIR_FROM_QEMU, message)


def _first_video(dom: Any, buses: Buses, slot: int) -> None:
    """The first video card sits where firmware looks for it, when that slot is free."""
    cards = several(dom, "videos")
    if not cards or not addresses_flags.video(dom, cards[0]) or not len(buses):
        return
    if given(cards[0]) is None and not buses.used(0, slot):
        buses.reserve((0, slot, 0), PCI_DEVICE)
        _put(cards[0], (0, slot, 0))


def _q35(dom: Any, buses: Buses) -> None:
    """The chipset of the express PC: slot 31, USB at 29 and 26, a bridge at 30, sound at 27."""
    for device in several(dom, "controllers"):
        if device.type == "sata" and device.index == 0:
            if given(device) is None:
                place = (0, Q35_CHIPSET_SLOT, 2)
                buses.reserve(place, PCI_DEVICE)
                _put(device, place)
            elif given(device) != (0, Q35_CHIPSET_SLOT, 2):
                raise _qemu_error("Primary SATA controller must have PCI address 0:0:1f.2")
        elif device.type == "pci" and device.model == "dmi-to-pci-bridge":
            _at(device, buses, Q35_DMI_SLOT, MODELS["dmi-to-pci-bridge"].connection)
    _q35_usb(dom, buses)
    for function in (0, 3):
        buses.reserve((0, Q35_CHIPSET_SLOT, function), PCI_DEVICE)
    _first_video(dom, buses, Q35_VIDEO_SLOT)
    for device in several(dom, "sounds"):
        if device.model == "ich9":
            _at(device, buses, Q35_SOUND_SLOT, PCI_DEVICE)


def _at(device: Any, buses: Buses, slot: int, flags: int) -> None:
    """A slot of the first bus for a device without a place, if the slot is empty."""
    if given(device) is None and not buses.used(0, slot):
        buses.reserve((0, slot, 0), flags)
        _put(device, (0, slot, 0))


def _q35_usb(dom: Any, buses: Buses) -> None:
    for device in several(dom, "controllers"):
        if device.type == "usb" and device.model == "ich9-uhci1" and given(device) is None:
            parts = _usb_parts(dom, device.index)
            for slot in Q35_USB_SLOTS:
                if not any(given(each) for each in parts) and not buses.used(0, slot):
                    for each in parts:
                        place = (0, slot, companion(each) or 0)
                        buses.reserve(place, PCI_DEVICE)
                        _put(each, place)
                    break


def _usb_parts(dom: Any, index: int | None) -> list[Any]:
    """The controllers that together are one ICH9 USB controller."""
    return [
        each
        for each in several(dom, "controllers")
        if each.index == index and companion(each) is not None
    ]


def _place_all(dom: Any, buses: Buses) -> None:
    """Place what has no place yet, in libvirt's order."""
    for device, flags in list(addresses_flags.wants(dom)):
        if given(device) is not None or not _unplaced(device):
            continue
        if isinstance(device, Controller):
            if _placeless(device):
                continue
            function = companion(device)
            if function is not None:
                _put(device, _beside(dom, buses, device, flags, function))
                continue
        _put(device, buses.next(flags))


def _unplaced(device: Any) -> bool:
    address = device.address
    return address is None or address.type is None or address.type == "pci"


def _beside(dom: Any, buses: Buses, device: Any, flags: int, function: int) -> Place:
    """The place of one part of a USB controller: a function of the slot its other parts have."""
    for other in _usb_parts(dom, device.index):
        place = given(other)
        if place is not None:
            mine = (place[0], place[1], function)
            buses.reserve(mine, flags)
            return mine
    return buses.next(flags, function)


def _mark_multifunction(dom: Any, buses: Buses) -> None:
    """Function 0 of a slot says so when the slot has other functions in use."""
    for device in _all_devices(dom):
        place = given(device)
        if place is None or place[2] != 0 or device.address.multifunction is not None:
            continue
        if place[0] < len(buses) and len(buses.buses[place[0]].slots.get(place[1], ())) > 1:
            device.address.multifunction = True


def _name_bridges(dom: Any) -> None:
    """The model names and numbers that a guest and QEMU see of each PCI controller."""
    for device in _pci(dom):
        model = device.model
        if model in ("pci-root", "pcie-root") or model not in MODELS:
            continue
        if device.pci_model is None:
            device.pci_model = PciModel(name=MODELS[model].device)
        target = device.target if device.target is not None else PciTarget()
        place = given(device) or (0, 0, 0)
        if model == "pci-bridge":
            _default(target, "chassis_nr", device.index)
        elif model == "pcie-root-port":
            _default(target, "chassis", device.index)
            _default(target, "port", (place[1] << 3) + place[2])
        elif model == "pcie-switch-downstream-port":
            _default(target, "chassis", device.index)
            _default(target, "port", place[1])
        elif model in ("pci-expander-bus", "pcie-expander-bus"):
            _default(target, "bus_nr", _free_bus_number(dom))
        else:
            continue
        device.target = target


def _default(target: Any, name: str, value: Any) -> None:
    if getattr(target, name) is None:
        setattr(target, name, value)


def _free_bus_number(dom: Any) -> int:
    """The number a further expander bus starts at, leaving room for two more buses above."""
    lowest = 256
    for device in _pci(dom):
        if device.target is not None and device.target.bus_nr is not None:
            lowest = min(lowest, device.target.bus_nr)
    return lowest - 2
