# SPDX-License-Identifier: LGPL-2.1-or-later
"""address.py: where a device sits, what it is called, and what else all devices share.

Called by: every device class, drivers that assign addresses and aliases. Calls: schema.py.
Never: assigns an address.
"""

from __future__ import annotations

from libvirtcore.conf.nodes import Node
from libvirtcore.conf.schema import LIVE, Element, attribute, child, text
from libvirtcore.conf.values import ONOFF, STRING, UINT, UINT_NONZERO, Choice, Integer, hexadecimal
from libvirtcore.errors import report
from libvirtcore.generated.constants import (
    VIR_ERR_CONFIG_UNSUPPORTED,
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_XML_ERROR,
    VIR_FROM_NONE,
)

ADDRESS_TYPES = (
    "none", "pci", "drive", "virtio-serial", "ccid", "usb", "spapr-vio", "virtio-s390", "ccw",
    "virtio-mmio", "isa", "dimm", "unassigned",
)  # fmt: skip


class Zpci(Element):
    """The numbers a PCI device has on s390."""

    uid = attribute(hexadecimal(4))
    fid = attribute(hexadecimal(8))


class _Dotted(Choice):
    """USB port path: kept as text."""

    def parse(self, text: str) -> str | None:
        parts = text.split(".")
        if len(parts) > 4 or not all(part.isascii() and part.isdigit() for part in parts):
            raise ValueError(f"'{text}'.")
        return text


class Address(Element):
    """The place of a device on its bus. Which attributes count depends on `type`."""

    KIND = "type"
    KINDS = frozenset(ADDRESS_TYPES)

    type = attribute(
        Choice(*ADDRESS_TYPES),
        missing=(VIR_ERR_INTERNAL_ERROR, "No type specified for device address"),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown address type '%s'"),
    )
    domain = attribute(hexadecimal(4), when=("pci",))
    controller = attribute(UINT, when=("drive", "virtio-serial", "ccid"))
    bus = attribute(
        UINT,
        when={"pci": hexadecimal(2), "drive": UINT, "virtio-serial": UINT, "usb": UINT},
    )
    slot = attribute(UINT, when={"pci": hexadecimal(2), "ccid": UINT, "dimm": UINT})
    function = attribute(hexadecimal(1), when=("pci",))
    multifunction = attribute(ONOFF, when=("pci",))
    target = attribute(UINT, when=("drive",))
    unit = attribute(UINT, when=("drive",))
    port = attribute(STRING, when={"virtio-serial": STRING, "usb": _Dotted()})
    reg = attribute(hexadecimal(8, 64), when=("spapr-vio",))
    cssid = attribute(hexadecimal(1), when=("ccw",))
    ssid = attribute(hexadecimal(1), when=("ccw",))
    devno = attribute(hexadecimal(4), when=("ccw",))
    iobase = attribute(hexadecimal(1), when=("isa",))
    irq = attribute(hexadecimal(1), when=("isa",))
    base = attribute(hexadecimal(1, 64), when=("dimm",))
    zpci = child(Zpci, when=("pci",))

    def parsed(self, node: Node) -> None:
        kind = self.type
        if kind == "pci":
            self._check_pci()
        elif kind == "drive":
            self._fill("controller", "bus", "target", "unit")
        elif kind == "virtio-serial":
            self._fill("controller", "bus")
            self.port = self.port or "0"
        elif kind == "ccid":
            self._fill("controller", "slot")

    def _fill(self, *names: str) -> None:
        for name in names:
            self.__dict__.setdefault(name, 0)

    def _check_pci(self) -> None:
        """A PCI address is either absent (to be assigned) or whole and in range."""
        values = self.__dict__
        if not any(name in values for name in ("domain", "bus", "slot", "function")):
            return
        self._fill("domain", "bus", "slot", "function")
        for name, limit in (("domain", 0xFFFF), ("bus", 0xFF), ("slot", 0x1F), ("function", 7)):
            if values[name] > limit:
                shown = f"0x{values[name]:x}" if name == "function" else f"'0x{values[name]:x}'"
                raise report(
                    VIR_ERR_XML_ERROR, VIR_FROM_NONE,
                    f"Invalid PCI address {name}={shown}, must be <= {hex_limit(limit)}",
                )  # fmt: skip
        if not (self.domain or self.bus or self.slot):
            for name in ("domain", "bus", "slot", "function"):  # means: to be assigned
                del values[name]


def hex_limit(limit: int) -> str:
    """A limit as libvirt's messages spell it."""
    return f"0x{limit:X}" if limit > 9 else str(limit)


class Alias(Element):
    """The name of a device: the user's (ua-…) or the driver's while the guest runs."""

    name = attribute(STRING)


class Boot(Element):
    """The place of a device in the boot order, from 1."""

    order = attribute(
        UINT_NONZERO, required=True,
    )  # fmt: skip
    loadparm = attribute(STRING)


class Rom(Element):
    """The option ROM of a PCI device."""

    enabled = attribute(Choice("yes", "no"))
    bar = attribute(ONOFF)
    file = attribute(STRING)


class AcpiIndex(Element):
    """The index under which firmware tells the guest about a device."""

    index = attribute(UINT_NONZERO)


class Master(Element):
    """The first port of a companion USB controller."""

    startport = attribute(UINT)


class Device(Element):
    """What every device may have behind its own contents: alias, ACPI index, address."""

    alias = child(Alias, order=1001, secret=LIVE)
    acpi = child(AcpiIndex, order=1004)
    address = child(Address, order=1005)


class BootDevice(Device):
    """A device a guest can be told to boot from."""

    boot = child(Boot, order=1000)


class Seclabel(Element):
    """How a security driver labels a domain or one of its images."""

    type = attribute(Choice("none", "dynamic", "static"))
    model = attribute(STRING)
    relabel = attribute(Choice("yes", "no"))
    labelskip = attribute(Choice("yes", "no"))
    label = text(STRING)
