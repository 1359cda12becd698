# SPDX-License-Identifier: LGPL-2.1-or-later
"""validate_whole.py: contradictions between parts of a definition that show once it is complete.

Called by: validate.py. Calls: errors.
Never: asks what QEMU can do.
"""

from __future__ import annotations

from typing import Any

from libvirtcore.drivers.qemu.model import devices, several, single
from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import (
    VIR_ERR_CONFIG_UNSUPPORTED,
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_XML_ERROR,
    VIR_FROM_DOMAIN,
)

DRIVE_BUSES = ("ide", "scsi", "sata", "fdc")
# The addresses that a disk can have, by its bus; the others are placed by their drive address.
DISK_ADDRESSES = {
    "virtio": ("pci", "ccw", "virtio-mmio", "virtio-s390", "unassigned"),
    "usb": ("usb",),
}


def unsupported(message: str) -> VirError:
    """A configuration nobody has."""
    return report(VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_DOMAIN, message)


def validate_whole(dom: Any) -> None:
    """Refuse what contradicts itself. Raises: VirError."""
    _boot(dom)
    _aliases(dom)
    _addresses(dom)
    _audio(dom)
    _controllers(dom)
    _devices(dom)


def _boot(dom: Any) -> None:
    if not dom.os.boots:
        return
    for device in devices(dom):
        boot = getattr(device, "boot", None)
        if boot is not None and boot.order is not None:
            raise unsupported(
                "per-device boot elements cannot be used together with os/boot elements"
            )


def _aliases(dom: Any) -> None:
    seen = set()
    serials = several(dom, "serials")
    for device in devices(dom):
        name = device.alias.name if device.alias is not None else None
        if not name:
            continue
        if name in seen and not _is_console(device, serials):
            raise unsupported(f"non unique alias detected: {name}")
        seen.add(name)


def _is_console(device: Any, serials: list[Any]) -> bool:
    """The first console shares the name of the first serial port."""
    target = getattr(device, "target", None)
    return bool(serials) and getattr(target, "type", None) == "serial"


def _addresses(dom: Any) -> None:
    hostdevs = several(dom, "hostdevs")
    for device in devices(dom):
        place = device.address
        if place is not None and place.type == "unassigned" and device not in hostdevs:
            raise unsupported("address of type 'unassigned' is supported only for hostdevs")
    for disk in several(dom, "disks"):
        place, bus = disk.address, disk.target.bus
        if place is None or place.type in (None, "none"):
            continue
        fitting = ("drive",) if bus in DRIVE_BUSES else DISK_ADDRESSES.get(bus)
        if fitting is not None and place.type not in fitting:
            raise unsupported(
                f"Invalid address type '{place.type}' for the disk '{disk.target.dev}' with the"
                f" bus type '{bus}'"
            )


def _audio(dom: Any) -> None:
    known = {audio.id for audio in several(dom, "audios")}
    for kind in ("sounds", "graphics"):
        for device in several(dom, kind):
            wanted = device.audio.id if getattr(device, "audio", None) is not None else None
            if wanted and wanted not in known:
                raise report(
                    VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN, f"no audio device with ID {wanted}"
                )


def _controllers(dom: Any) -> None:
    for device in several(dom, "controllers"):
        target = device.target
        if device.type != "pci" or target is None:
            continue
        for name, xml, low in (
            ("chassis_nr", "chassisNr", 1),
            ("chassis", "chassis", 0),
            ("port", "port", 0),
            ("bus_nr", "busNr", 1),
        ):
            value = getattr(target, name)
            if value is not None and not low <= value <= 255:
                raise unsupported(
                    f"PCI controller {xml} '{value}' out of range - must be {low}-255"
                )


def check_twice(controllers: list[Any]) -> None:
    """Two controllers of a type cannot have one number, but for the parts of a USB controller."""
    seen = set()
    for device in controllers:
        if device.index is None or device.type == "usb":
            continue
        if (device.type, device.index) in seen:
            raise report(
                VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN,
                f"Multiple '{device.type}' controllers with index '{device.index}'",
            )  # fmt: skip
        seen.add((device.type, device.index))


def _devices(dom: Any) -> None:
    for disk in several(dom, "disks"):
        if disk.driver is not None and disk.driver.queues and disk.target.bus != "virtio":
            raise unsupported(
                "queues attribute in disk driver element is only supported by virtio-blk"
            )
    for device in several(dom, "inputs"):
        if device.bus == "ps2" and device.type not in ("mouse", "keyboard"):
            raise report(
                VIR_ERR_INTERNAL_ERROR, VIR_FROM_DOMAIN,
                f"ps2 bus does not support {device.type} input device",
            )  # fmt: skip
    cards = several(dom, "videos")
    if sum(card.model is not None and card.model.primary == "yes" for card in cards) > 1:
        raise unsupported("Only one primary video device is supported")
    for kind in ("serials", "parallels", "consoles"):
        if any(device.type == "spicevmc" for device in several(dom, kind)):
            raise unsupported("spicevmc device type only supports virtio")
    iommu = single(dom, "iommu")
    if iommu is not None and iommu.driver is not None and iommu.driver.intremap:
        ioapic = dom.features.ioapic if dom.features is not None else None
        if ioapic is None or ioapic.driver != "qemu":
            raise unsupported(
                "IOMMU interrupt remapping requires split I/O APIC (ioapic driver='qemu')"
            )
