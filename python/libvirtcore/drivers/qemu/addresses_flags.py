# SPDX-License-Identifier: LGPL-2.1-or-later
"""addresses_flags.py: which devices sit on PCI, and by which kind of connection.

`devices(dom)` walks the devices that want a PCI place in the order in which they get one.
Called by: addresses.py. Calls: addresses_pci.py for the names of connections.
Never: assigns anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from libvirtcore.drivers.qemu.addresses_pci import (
    CONVENTIONAL_ENDPOINT,
    EXPRESS_ENDPOINT,
    MODELS,
    PCI_DEVICE,
    PCIE_DEVICE,
)
from libvirtcore.drivers.qemu.machines import is_q35, is_virt
from libvirtcore.drivers.qemu.model import several, single

CONVENTIONAL = CONVENTIONAL_ENDPOINT
EXPRESS = EXPRESS_ENDPOINT
_OFF_PCI_SOUND = ("sb16", "pcspk", "usb")
_COMPANIONS = {"ich9-ehci1": 7, "ich9-uhci1": 0, "ich9-uhci2": 1, "ich9-uhci3": 2}


def express_machine(dom: Any) -> bool:
    """Whether the machine's first bus is PCI Express."""
    return is_q35(dom) or is_virt(dom)


def companion(controller: Any) -> int | None:
    """The function at which part of an ICH9 USB controller sits."""
    if controller.type != "usb":
        return None
    return _COMPANIONS.get(controller.model or "")


def _virtio(dom: Any, model: str | None) -> int:
    if model == "virtio-transitional" or not express_machine(dom):
        return CONVENTIONAL
    return EXPRESS


def _express(dom: Any) -> int:
    return EXPRESS if express_machine(dom) else CONVENTIONAL


def controller(dom: Any, device: Any) -> int:
    """The connection of a controller; 0 when it is not on PCI."""
    kind, model = device.type, device.model
    if kind == "pci":
        return MODELS[model].connection if model in MODELS else 0
    if kind == "usb":
        if model == "none":
            return 0
        return _express(dom) if model in ("nec-xhci", "qemu-xhci") else CONVENTIONAL
    if kind == "scsi":
        if model in ("virtio-scsi", "virtio-transitional", "virtio-non-transitional"):
            return _virtio(dom, model)
        return 0 if model == "ncr53c90" else CONVENTIONAL
    if kind == "virtio-serial":
        return _virtio(dom, model)
    if kind in ("ide", "sata"):
        return CONVENTIONAL
    return 0


# The cards libvirt knows by name and takes for conventional PCI; any other goes to PCI Express.
_OLD_CARDS = frozenset((
    None, "netfront", "rtl8139", "e1000", "spapr-vlan", "lan9118", "smc91c111", "vlance", "vmxnet",
    "vmxnet2", "vmxnet3", "Am79C970A", "Am79C973", "82540EM", "82545EM", "82543GC",
))  # fmt: skip


def interface(dom: Any, device: Any) -> int:
    """The connection of a network card."""
    model = device.model.type if device.model is not None else None
    if device.type == "hostdev":
        return _express(dom)
    if model == "usb-net":
        return 0
    if device.type == "vdpa" or (model or "").startswith("virtio"):
        return _virtio(dom, model)
    return CONVENTIONAL if model in _OLD_CARDS else _express(dom)


def video(dom: Any, device: Any) -> int:
    """The connection of a video card."""
    model = device.model.type if device.model is not None else None
    if model in ("none", "ramfb", None):
        return 0
    return _express(dom) if model in ("virtio", "bochs") else CONVENTIONAL


def hostdev(dom: Any, device: Any) -> int:
    """The connection of a device of the host."""
    if device.type == "pci":
        return _express(dom)
    if device.type == "mdev":
        return _express(dom) if device.model in (None, "vfio-pci") else 0
    if device.type == "scsi_host":
        return _virtio(dom, device.model)
    return 0


def _needs(device: Any) -> bool:
    address = device.address
    if address is None or address.type is None:
        return True
    return address.type == "pci" and address.slot is None


def wants(dom: Any) -> Iterator[tuple[Any, int]]:
    """Every device that may sit on PCI with its connection, in the order of assignment."""
    for each in several(dom, "controllers"):
        if each.type == "pci":
            yield each, controller(dom, each)
    for each in several(dom, "filesystems"):
        yield each, _virtio(dom, each.model)
    for each in several(dom, "interfaces"):
        if each.type != "hostdev":
            yield each, interface(dom, each)
    for each in several(dom, "sounds"):
        if each.model not in _OFF_PCI_SOUND:
            yield each, CONVENTIONAL
    for each in several(dom, "controllers"):
        if each.type not in ("pci", "fdc", "ccid", "isa", "xenbus"):
            yield each, controller(dom, each)
    for each in several(dom, "disks"):
        if each.target is not None and each.target.bus == "virtio":
            yield each, _virtio(dom, each.model)
    for each in several(dom, "interfaces"):
        if each.type == "hostdev":
            yield each, interface(dom, each)
    for each in several(dom, "hostdevs"):
        flags = hostdev(dom, each)
        if flags:
            yield each, flags
    balloon = single(dom, "memballoon")
    if balloon is not None and balloon.model != "none":
        yield balloon, _virtio(dom, balloon.model) if balloon.model != "xen" else 0
    for each in several(dom, "rngs"):
        yield each, _virtio(dom, each.model)
    for each in several(dom, "watchdogs"):
        if each.model == "i6300esb":
            yield each, CONVENTIONAL
    for each in several(dom, "videos"):
        flags = video(dom, each)
        if flags:
            yield each, flags
    for each in several(dom, "shmems"):
        yield each, CONVENTIONAL
    for each in several(dom, "inputs"):
        if each.bus == "virtio":
            yield each, _virtio(dom, each.model)
    for each in several(dom, "serials"):
        if each.target is not None and each.target.type == "pci-serial":
            yield each, CONVENTIONAL
    vsock = single(dom, "vsock")
    if vsock is not None:
        yield vsock, _virtio(dom, vsock.model)
    iommu = single(dom, "iommu")
    if iommu is not None and iommu.model == "virtio":
        yield iommu, PCIE_DEVICE if express_machine(dom) else PCI_DEVICE
    for each in several(dom, "panics"):
        if each.model == "pvpanic":
            yield each, CONVENTIONAL
    for each in several(dom, "memorys"):
        if each.model in ("virtio-mem", "virtio-pmem"):
            yield each, _virtio(dom, None)


def unplaced(dom: Any) -> Iterator[tuple[Any, int]]:
    """Those of `wants` that have no address yet."""
    for device, flags in wants(dom):
        if _needs(device):
            yield device, flags
