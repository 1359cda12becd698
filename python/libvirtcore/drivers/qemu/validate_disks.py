# SPDX-License-Identifier: LGPL-2.1-or-later
"""validate_disks.py: which disks and disk controllers QEMU can serve.

Called by: validate.py, attach code of the driver. Calls: refusals.py.
Never: opens an image.
"""

from __future__ import annotations

import re
from typing import Any

from libvirtcore.drivers.qemu.aliases import scsi_model
from libvirtcore.drivers.qemu.caps import QemuCaps
from libvirtcore.drivers.qemu.machines import is_i440fx
from libvirtcore.drivers.qemu.model import several
from libvirtcore.drivers.qemu.refusals import internal, unsupported

SERIAL = re.compile(r"[A-Za-z0-9_ .+-]*\Z")
REMOVABLE_BUSES = ("ide", "scsi", "sata", "usb", "fdc", "sd")
ROTATING = ("scsi", "ide", "sata")
IMAGE_FORMATS = ("raw", "qcow2", "qcow", "qed", "luks", "vmdk", "vdi", "vpc", "bochs", "cloop",
                 "dmg", "ploop", "fat", "vhd")  # fmt: skip
SCSI_MODELS = ("lsilogic", "virtio-scsi", "lsisas1068", "lsisas1078", "ncr53c90", "am53c974",
               "dc390", "virtio-transitional", "virtio-non-transitional", "vmpvscsi", "ibmvscsi",
               "auto")  # fmt: skip


def validate_disks(dom: Any, caps: QemuCaps) -> None:
    """Refuse disks and disk controllers that cannot be. Raises: VirError."""
    for device in several(dom, "controllers"):
        if device.type == "ide":
            _ide(dom, device)
        elif device.type == "scsi":
            _scsi(device)
    for disk in several(dom, "disks"):
        validate_disk(dom, disk, caps)


def _ide(dom: Any, device: Any) -> None:
    if not is_i440fx(dom) and dom.os.type.machine != "isapc":
        raise unsupported("IDE controllers are unsupported for this QEMU binary or machine type")
    if device.index:
        raise unsupported("Only a single IDE controller is supported for this machine type")


def _scsi(device: Any) -> None:
    if device.model not in SCSI_MODELS:
        raise unsupported(f"Unsupported controller model: {device.model}")
    if device.model == "ncr53c90" and device.index:
        raise unsupported("ncr53c90 can only be used as first SCSI controller")


def validate_disk(dom: Any, disk: Any, caps: QemuCaps) -> None:
    """Refuse one disk. Raises: VirError."""
    bus, dev, driver = disk.target.bus, disk.target.dev, disk.driver
    if disk.serial is not None and SERIAL.match(disk.serial) is None:
        raise internal(f"driver serial '{disk.serial}' contains unsafe characters")
    if driver is not None and driver.name not in (None, "qemu"):
        raise unsupported(f"unsupported driver name '{driver.name}' for disk '{dev}'")
    if disk.device in ("cdrom", "floppy") and bus == "virtio":
        raise unsupported(f"disk type of '{dev}' does not support ejectable media")
    if disk.wwn is not None and bus not in ("ide", "scsi"):
        raise unsupported("Only ide and scsi disk support wwn")
    if disk.target.rotation_rate is not None and bus not in ROTATING:
        raise internal("rotation rate is only valid for SCSI/IDE/SATA bus")
    if driver is not None:
        _driver(dom, disk, driver)
    place = disk.address
    if place is not None and place.type == "drive" and bus == "scsi":
        model = scsi_model(dom, place.controller or 0)
        if model == "lsilogic" and place.target:
            raise unsupported("target must be 0 for controller model 'lsilogic'")


def _driver(dom: Any, disk: Any, driver: Any) -> None:
    if driver.type is not None and driver.type not in IMAGE_FORMATS:
        raise unsupported(
            f"storage format '{driver.type}' is not directly supported by QEMU, use 'raw' instead"
        )
    if driver.io == "native" and driver.cache not in ("none", "directsync"):
        raise unsupported("io='native' needs either no disk cache or directsync cache mode")
    if driver.iothread is not None:
        if disk.target.bus != "virtio":
            raise unsupported(
                f"IOThreads not available for bus {disk.target.bus} target {disk.target.dev}"
            )
        if driver.iothread not in iothread_ids(dom):
            raise unsupported(f"Disk iothread '{driver.iothread}' not defined in iothreadid")


def iothread_ids(dom: Any) -> set[int]:
    """The numbers of the I/O threads of a domain."""
    ids = {each.id for each in dom.iothreadids.iothreads} if dom.iothreadids is not None else set()
    number = 1
    while len(ids) < (dom.iothreads or 0):
        while number in ids:
            number += 1
        ids.add(number)
    return ids
