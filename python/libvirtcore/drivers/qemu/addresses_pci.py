# SPDX-License-Identifier: LGPL-2.1-or-later
"""addresses_pci.py: the PCI buses of a machine as a map of slots, grown when they are full.

A bus takes devices of certain connections (conventional, express, each kind of bridge) in certain
slots. `Buses` places a device where libvirt would: the first bus that takes it, the first empty
slot, root ports side by side in the functions of one slot.
Called by: addresses.py. Calls: libvirtcore.conf for addresses, errors.
Never: knows which device wants which connection (addresses_flags.py does).
"""

from __future__ import annotations

from typing import NamedTuple

from libvirtcore.conf.address import Address
from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import (
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_XML_ERROR,
    VIR_FROM_DOMAIN,
)

# Connections: what a device is plugged in as, what a bus takes.
HOTPLUGGABLE = 0x01
AGGREGATE = 0x02  # shares a slot with its like, a function each
PCI_DEVICE = 0x04
PCIE_DEVICE = 0x08
ROOT_PORT = 0x10
UPSTREAM = 0x20
DOWNSTREAM = 0x40
DMI_TO_PCI = 0x80
PCI_EXPANDER = 0x100
PCIE_EXPANDER = 0x200
PCI_BRIDGE = 0x400
PCIE_TO_PCI = 0x800
TYPES = 0xFFC
CONVENTIONAL_ENDPOINT = PCI_DEVICE | HOTPLUGGABLE
EXPRESS_ENDPOINT = PCIE_DEVICE | HOTPLUGGABLE
ENDPOINT = PCI_DEVICE | PCIE_DEVICE


class Model(NamedTuple):
    """A kind of bus: what it takes, its slots, and the connection of the device that makes it."""

    takes: int
    first: int
    last: int
    connection: int
    device: str


MODELS: dict[str, Model] = {
    "pci-root": Model(HOTPLUGGABLE | PCI_DEVICE | PCI_BRIDGE | PCI_EXPANDER, 1, 31, 0, ""),
    "pci-bridge": Model(HOTPLUGGABLE | PCI_DEVICE | PCI_BRIDGE, 1, 31, PCI_BRIDGE, "pci-bridge"),
    "pci-expander-bus": Model(PCI_DEVICE | PCI_BRIDGE, 0, 31, PCI_EXPANDER, "pxb"),
    "pcie-root": Model(
        PCIE_DEVICE | ROOT_PORT | DMI_TO_PCI | PCIE_EXPANDER, 1, 31, 0, ""
    ),
    "dmi-to-pci-bridge": Model(
        PCI_DEVICE | PCI_BRIDGE, 0, 31, DMI_TO_PCI, "i82801b11-bridge"
    ),
    "pcie-to-pci-bridge": Model(
        HOTPLUGGABLE | PCI_DEVICE | PCI_BRIDGE, 1, 31, PCIE_TO_PCI, "pcie-pci-bridge"
    ),
    "pcie-root-port": Model(
        HOTPLUGGABLE | PCIE_DEVICE | UPSTREAM | PCIE_TO_PCI, 0, 0, ROOT_PORT | AGGREGATE,
        "pcie-root-port",
    ),
    "pcie-switch-upstream-port": Model(DOWNSTREAM, 0, 31, UPSTREAM, "x3130-upstream"),
    "pcie-switch-downstream-port": Model(
        HOTPLUGGABLE | PCIE_DEVICE | UPSTREAM | PCIE_TO_PCI, 0, 0, DOWNSTREAM,
        "xio3130-downstream",
    ),
    "pcie-expander-bus": Model(ROOT_PORT | DMI_TO_PCI, 0, 31, PCIE_EXPANDER, "pxb-pcie"),
}  # fmt: skip

Place = tuple[int, int, int]  # bus, slot, function


class Bus:
    """One bus: the functions taken in each slot, and which slots are shared."""

    def __init__(self, model: str) -> None:
        self.model = model
        kind = MODELS[model]
        self.takes = kind.takes
        self.first = kind.first
        self.last = kind.last
        self.slots: dict[int, set[int]] = {}
        self.shared: set[int] = set()

    @property
    def full(self) -> bool:
        """Whether all slots were declared taken on purpose."""
        return all(len(self.slots.get(slot, ())) == 8 for slot in range(self.first, self.last + 1))


def xml_error(message: str) -> VirError:
    """An error in the document."""
    return report(VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN, message)


def internal(message: str) -> VirError:
    """An error that libvirt calls internal."""
    return report(VIR_ERR_INTERNAL_ERROR, VIR_FROM_DOMAIN, message)


def text(place: Place, domain: int = 0) -> str:
    """An address as messages spell it."""
    bus, slot, function = place
    return f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"


class Buses:
    """All PCI buses of a machine. With `dry` true more buses may be added."""

    def __init__(self, models: list[str], dry: bool) -> None:
        self.buses = [Bus(model) for model in models]
        self.dry = dry

    def __len__(self) -> int:
        return len(self.buses)

    def used(self, bus: int, slot: int) -> bool:
        """Whether anything sits in a slot."""
        return bus < len(self.buses) and bool(self.buses[bus].slots.get(slot))

    # --- taking given places ----------------------------------------------------------------------

    def reserve(self, place: Place, flags: int, domain: int = 0, given: bool = True) -> None:
        """Take the place a device asks for. Raises: VirError when it cannot have it."""
        bus, slot, function = place
        where = text(place, domain)
        if self.dry and bus >= len(self.buses):
            self.grow(bus, flags)
        if not self.buses:
            raise xml_error("No PCI buses available")
        if domain:
            raise xml_error(f"Invalid PCI address {where}. Only PCI domain 0 is available")
        if bus >= len(self.buses):
            raise xml_error(
                f"Invalid PCI address {where}. Only PCI buses up to {len(self.buses) - 1}"
                " are available"
            )
        room = self.buses[bus]
        self._check(where, room, flags, given)
        if slot < room.first:
            raise xml_error(f"Invalid PCI address {where}. slot must be >= {room.first}")
        if slot > room.last:
            raise xml_error(f"Invalid PCI address {where}. slot must be <= {room.last}")
        taken = room.slots.setdefault(slot, set())
        if function in taken:
            raise xml_error(f"Attempted double use of PCI Address {where}")
        if not taken and flags & AGGREGATE:
            room.shared.add(slot)
        taken.add(function)

    def block(self, bus: int, slot: int) -> None:
        """Take all functions of a slot for the chipset."""
        if bus < len(self.buses):
            self.buses[bus].slots.setdefault(slot, set()).update(range(8))

    def _check(self, where: str, room: Bus, flags: int, given: bool) -> None:
        takes = room.takes
        if given and takes & ENDPOINT:
            takes |= ENDPOINT
        if not flags & takes & TYPES:
            raise self._incompatible(where, flags)
        if flags & HOTPLUGGABLE and not takes & HOTPLUGGABLE and not given:
            raise xml_error(
                f"PCI bus {where} does not support hot-plug, but the device at it requires it"
            )

    @staticmethod
    def _incompatible(where: str, flags: int) -> VirError:
        wanted = next((word for flag, word in _REQUIRED if flags & flag), "unknown")
        if wanted == "unknown":
            return internal(
                f"The device at PCI address {where} has unrecognized connection type flags"
                f" 0x{flags & TYPES:02x}"
            )
        return xml_error(
            f"The device at PCI address {where} cannot be plugged into the PCI controller with"
            f" index='{int(where[5:7], 16)}'. It requires a controller that accepts a {wanted}."
        )

    # --- finding free places ----------------------------------------------------------------------

    def next(self, flags: int, function: int = 0) -> Place:
        """The first free place for a device, taken; buses are added when dry."""
        place = self._search(flags, function)
        if place is None and self.dry:
            self.grow(len(self.buses), flags)
            place = self._search(flags, function)
        if place is None:
            if not self.buses:
                raise xml_error("No PCI buses available")
            raise internal("No more available PCI slots")
        self.reserve(place, flags, given=False)
        return place

    def _search(self, flags: int, function: int) -> Place | None:
        for number, room in enumerate(self.buses):
            if not flags & room.takes & TYPES:
                continue
            if flags & HOTPLUGGABLE and not room.takes & HOTPLUGGABLE:
                continue
            for slot in range(room.first, room.last + 1):
                taken = room.slots.get(slot, ())
                if not taken:
                    return (number, slot, function)
                if flags & AGGREGATE and slot in room.shared:
                    free = [f for f in range(8) if f not in taken]
                    if free:
                        return (number, slot, free[0])
        return None

    # --- growing ----------------------------------------------------------------------------------

    def grow(self, bus: int, flags: int) -> None:
        """Add buses until there is one with the number `bus`, of the kind the device needs."""
        if not self.buses:
            raise xml_error("No PCI buses available")
        count = bus - len(self.buses) + 1
        express = self.buses[0].model == "pcie-root"
        if flags & PCI_DEVICE:
            model = "pci-bridge"
            if not any(room.takes & PCI_BRIDGE for room in self.buses):
                if not any(room.takes & PCIE_TO_PCI and not room.slots for room in self.buses):
                    self._add("pcie-root-port")
                    count -= 1
                if self._search(PCIE_TO_PCI, 0):
                    place = self._search(PCIE_TO_PCI, 0)
                    assert place is not None
                    self.reserve(place, PCIE_TO_PCI)
                self._add("pcie-to-pci-bridge")
                count -= 1
        elif flags & (PCIE_DEVICE | UPSTREAM | PCIE_TO_PCI):
            model = "pcie-root-port"
        elif flags & TYPES == 0:
            raise internal(
                "Cannot automatically add a new PCI bus for a device with connect flags"
                f" {flags & TYPES:02x}"
            )
        else:
            wanted = next(name for name, kind in MODELS.items() if kind.connection & flags & TYPES)
            raise internal(
                f"a PCI slot is needed to connect a PCI controller model='{wanted}', but none is"
                " available, and it cannot be automatically added"
            )
        if model == "pcie-root-port" and not express:
            raise internal(
                "a PCI slot is needed to connect a PCI controller model='pcie-root-port', but none"
                " is available, and it cannot be automatically added"
            )
        while count > 0:
            self._add(model)
            count -= 1

    def _add(self, model: str) -> None:
        self.buses.append(Bus(model))
        if len(self.buses) > 256:
            raise internal("a PCI bus index must not exceed 255")


_REQUIRED = (
    (PCI_DEVICE, "standard PCI device"),
    (PCIE_DEVICE, "PCI Express device"),
    (ROOT_PORT, "pcie-root-port"),
    (UPSTREAM, "pci-switch-upstream-port"),
    (DOWNSTREAM, "pci-switch-downstream-port"),
    (DMI_TO_PCI, "dmi-to-pci-bridge"),
    (PCI_EXPANDER, "pci-expander-bus"),
    (PCIE_EXPANDER, "pcie-expander-bus"),
    (PCI_BRIDGE, "pci-bridge"),
    (PCIE_TO_PCI, "pcie-to-pci-bridge"),
)


def address(place: Place) -> Address:
    """A place as the element of a device."""
    bus, slot, function = place
    return Address(type="pci", domain=0, bus=bus, slot=slot, function=function)
