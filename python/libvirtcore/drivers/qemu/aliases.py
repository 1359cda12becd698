# SPDX-License-Identifier: LGPL-2.1-or-later
"""aliases.py: the names by which a running guest's devices are known to QEMU and to clients.

Names a user gave (ua-…) stay. A device added to a running guest takes the first number behind
those in use.
Called by: start and attach code of the driver, domxml-to-native. Calls: libvirtcore.conf.
Never: changes anything but aliases.
"""

from __future__ import annotations

from typing import Any

from libvirtcore.conf.address import Alias
from libvirtcore.drivers.qemu.addresses_buses import target_index
from libvirtcore.drivers.qemu.machines import is_i440fx, is_q35
from libvirtcore.drivers.qemu.model import several, single

# The list of a kind of device and the word its names begin with.
PREFIXES: dict[str, str] = {
    "interfaces": "net",
    "filesystems": "fs",
    "sounds": "sound",
    "hostdevs": "hostdev",
    "redirdevs": "redir",
    "videos": "video",
    "inputs": "input",
    "hubs": "hub",
    "smartcards": "smartcard",
    "serials": "serial",
    "parallels": "parallel",
    "channels": "channel",
    "consoles": "console",
    "rngs": "rng",
    "tpms": "tpm",
    "watchdogs": "watchdog",
    "panics": "panic",
    "shmems": "shmem",
}
SINGLE: dict[str, str] = {
    "memballoon": "balloon0",
    "vsock": "vsock0",
    "iommu": "iommu0",
    "nvram": "nvram",
}
MEMORY = {"dimm": "dimm", "nvdimm": "nvdimm", "virtio-mem": "virtiomem",
          "virtio-pmem": "virtiopmem", "sgx-epc": "epc"}  # fmt: skip


def assign_aliases(dom: Any) -> None:
    """Name every device that has no name."""
    for device in several(dom, "controllers"):
        _name(device, controller_alias(dom, device))
    for device in several(dom, "disks"):
        _name(device, disk_alias(dom, device))
    for kind, prefix in PREFIXES.items():
        if kind in ("interfaces", "hostdevs"):
            continue
        for number, device in enumerate(several(dom, kind)):
            _name(device, f"{prefix}{number}")
    _nets(dom)
    for kind, alias in SINGLE.items():
        device = single(dom, kind)
        if device is None or (kind == "memballoon" and device.model == "none"):
            continue
        _name(device, alias)
    _memory(dom)
    _console(dom)


def _name(device: Any, alias: str) -> None:
    if device.alias is None or device.alias.name is None:
        device.alias = Alias(name=alias)


def _nets(dom: Any) -> None:
    """Interfaces that are host devices count among those, in front."""
    host = 0
    for number, device in enumerate(several(dom, "interfaces")):
        if device.type == "hostdev":
            _name(device, f"hostdev{host}")
            host += 1
        else:
            _name(device, f"net{number}")
    for device in several(dom, "hostdevs"):
        _name(device, f"hostdev{host}")
        host += 1


def _memory(dom: Any) -> None:
    counts: dict[str, int] = {}
    for device in several(dom, "memorys"):
        prefix = MEMORY.get(device.model, device.model)
        number = counts.get(prefix, 0)
        counts[prefix] = number + 1
        if device.model in ("dimm", "nvdimm") and device.address is not None:
            number = device.address.slot if device.address.slot is not None else number
        _name(device, f"{prefix}{number}")


def _console(dom: Any) -> None:
    """The console that is the first serial port goes by the port's name."""
    consoles, serials = several(dom, "consoles"), several(dom, "serials")
    if consoles and serials and consoles[0].target.type == "serial":
        alias = serials[0].alias
        consoles[0].alias = Alias(name=alias.name)


def controller_alias(dom: Any, device: Any) -> str:
    """The name of a controller: what QEMU calls the built-in ones, else type and number."""
    kind, index = device.type, device.index
    if kind == "pci":
        return "pcie.0" if device.model == "pcie-root" else f"pci.{index}"
    if index == 0:
        if kind == "ide" and is_i440fx(dom):
            return "ide"
        if kind == "sata" and is_q35(dom):
            return "ide"
        if kind == "usb":
            return "usb"
        if kind == "scsi" and device.model == "ncr53c90":
            return "scsi"
    return f"{kind}{index}"


def scsi_model(dom: Any, index: int) -> str | None:
    """The model of a SCSI controller."""
    for device in several(dom, "controllers"):
        if device.type == "scsi" and device.index == index:
            model: str | None = device.model
            return model
    return None


def disk_alias(dom: Any, disk: Any) -> str:
    """The name of a disk: its bus and its place there, or its number."""
    bus = disk.target.bus
    place = disk.address
    if place is None or place.type != "drive":
        return f"{bus}-disk{target_index(disk.target.dev)}"
    if bus == "scsi" and scsi_model(dom, place.controller) != "lsilogic":
        return f"{bus}{place.controller}-{place.bus}-{place.target}-{place.unit}"
    return f"{bus}{place.controller}-{place.bus}-{place.unit}"


def next_alias(dom: Any, kind: str) -> str:
    """A name for a further device of a kind, for guests that run."""
    prefix = PREFIXES[kind]
    highest = -1
    kinds = ("interfaces", "hostdevs") if kind in ("interfaces", "hostdevs") else (kind,)
    for name in kinds:
        for device in several(dom, name):
            alias = device.alias.name if device.alias is not None else None
            if alias and alias.startswith(prefix) and alias[len(prefix) :].isdigit():
                highest = max(highest, int(alias[len(prefix) :]))
    return f"{prefix}{highest + 1}"
