# SPDX-License-Identifier: LGPL-2.1-or-later
"""defaults_added.py: the devices nobody asked for: a machine's own and those others hang from.

Called by: defaults.py. Calls: addresses.py for the order of controllers, machines.py.
Never: completes a device somebody wrote down.
"""

from __future__ import annotations

from typing import Any

from libvirtcore.conf.controller import Controller
from libvirtcore.drivers.qemu import addresses_buses
from libvirtcore.drivers.qemu.addresses import insert_controller
from libvirtcore.drivers.qemu.caps import QemuCaps
from libvirtcore.drivers.qemu.machines import is_arm, is_i440fx, is_q35, is_virt, is_x86, machine
from libvirtcore.drivers.qemu.model import ensure, make, several, single
from libvirtcore.errors import report
from libvirtcore.generated.constants import (
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_XML_ERROR,
    VIR_FROM_DOMAIN,
    VIR_FROM_QEMU,
)

HIGHEST_CONTROLLER = 1023  # more do not find a place on PCI; a number from anybody is a loop here


def add_default_devices(dom: Any, caps: QemuCaps) -> None:
    """What the machine has: USB, SATA, its first PCI bus, a balloon."""
    bare = machine(dom) in ("isapc", "none", "microvm")
    if is_x86(dom) and not bare:
        model = None
        if is_q35(dom):
            model = "qemu-xhci" if caps.has_device("qemu-xhci") else "nec-xhci"
        _controller(dom, "usb", 0, model)
    if is_q35(dom):
        _controller(dom, "sata", 0)
    if is_q35(dom) or is_virt(dom):
        _first_bus(dom, "pcie-root")
    elif is_i440fx(dom):
        _first_bus(dom, "pci-root")
    if dom.devices.memballoon is None and is_x86(dom):
        dom.devices.memballoon = make(dom.devices, "memballoon", model="virtio")


def _find(dom: Any, kind: str, index: int | None = None) -> Any:
    for device in dom.devices.controllers:
        if device.type == kind and index in (None, device.index):
            return device
    return None


def _controller(dom: Any, kind: str, index: int, model: str | None = None) -> None:
    if _find(dom, kind, index) is None:
        new = Controller(type=kind, index=index)
        if model is not None:
            new.model = model
        insert_controller(dom, new)


def _first_bus(dom: Any, model: str) -> None:
    found = _find(dom, "pci", 0)
    if found is None:
        _controller(dom, "pci", 0, model)
    elif found.model is None:
        found.model = model
    elif found.model != model:
        raise report(
            VIR_ERR_XML_ERROR, VIR_FROM_QEMU,
            f"The PCI controller with index='0' must be model='{model}' for this machine type,"
            f" but model='{found.model}' was found instead",
        )  # fmt: skip


def add_implied_devices(dom: Any, caps: QemuCaps) -> None:
    """What the devices of a definition imply: their controllers, consoles, inputs, displays."""
    for kind in ("scsi", "fdc", "ide", "sata"):
        _drive_controllers(dom, kind)
    if any(
        d.target is not None and d.target.type == "virtio"
        for name in ("consoles", "channels")
        for d in several(dom, name)
    ):
        _serial_controllers(dom)
    if several(dom, "smartcards"):
        _controller(dom, "ccid", 0)
    _consoles(dom)
    _inputs(dom)
    _video(dom, caps)
    _audio(dom)


def add_scsi_hostdevs(dom: Any) -> None:
    """Places and controllers of the host's SCSI devices, which come before everything else."""
    devices = several(dom, "hostdevs")
    if not any(device.type == "scsi" for device in devices):
        return
    for disk in several(dom, "disks"):
        addresses_buses.assign_drive(disk)
    addresses_buses.assign_scsi_hostdevs(dom)
    for device in devices:
        if device.type == "scsi" and device.address.type == "drive":
            for index in range(_bounded(device.address.controller or 0) + 1):
                _controller(dom, "scsi", index)


def _drive_controllers(dom: Any, kind: str) -> None:
    """As many controllers as the highest one a disk sits on needs."""
    users = [d for d in several(dom, "disks") if d.target.bus == kind]
    if kind == "scsi":
        users += [d for d in several(dom, "hostdevs") if d.type == "scsi"]
    places = [d.address for d in users if d.address is not None and d.address.type == "drive"]
    highest = max((place.controller or 0 for place in places), default=-1)
    if kind == "ide" and highest > 0:
        raise report(VIR_ERR_INTERNAL_ERROR, VIR_FROM_QEMU, "Only 1 IDE controller is supported")
    for index in range(_bounded(highest) + 1):
        _controller(dom, kind, index)


def _bounded(index: int) -> int:
    """The number of a controller, if all up to it can find a place. Raises: VirError."""
    if index > HIGHEST_CONTROLLER:
        raise report(
            VIR_ERR_INTERNAL_ERROR,
            VIR_FROM_DOMAIN,
            "a PCI slot is needed to connect a PCI controller model='pci-bridge', but none is"
            " available, and it cannot be automatically added",
        )
    return index


def _serial_controllers(dom: Any) -> None:
    """The virtio serial controllers that ports name, the first one for those that name none."""
    for name in ("channels", "consoles"):
        for device in several(dom, name):
            if device.target is None or device.target.type != "virtio":
                continue
            place = device.address
            named = place is not None and place.type == "virtio-serial"
            _controller(dom, "virtio-serial", (place.controller or 0) if named else 0)


def _consoles(dom: Any) -> None:
    """The first console and the first serial port are one thing seen twice."""
    devices = dom.devices
    if devices.consoles and devices.consoles[0].target.type == "serial":
        first = devices.consoles[0]
        if not devices.serials:
            new = make(devices, "serials", type=first.type)
            new.sources = [source.copy() for source in first.sources]
            new.protocol = first.protocol.copy() if first.protocol is not None else None
            new.log = first.log.copy() if first.log is not None else None
            new.target = make(new, "target", port=first.target.port or 0)
            devices.serials.append(new)
            return
        _mirror(first, devices.serials[0])
    elif devices.serials:
        target = devices.serials[0].target
        if target is None or target.type in (None, "isa-serial", "system-serial"):
            new = make(devices, "consoles")
            new.target = make(new, "target", type="serial")
            _mirror(new, devices.serials[0])
            devices.consoles.insert(0, new)


def _mirror(console: Any, serial: Any) -> None:
    console.type = serial.type
    console.sources = [source.copy() for source in serial.sources]
    console.protocol = serial.protocol.copy() if serial.protocol is not None else None
    console.log = serial.log.copy() if serial.log is not None else None
    if console.address is None and serial.address is not None:
        console.address = serial.address.copy()
    if serial.target is not None:
        console.target.port = serial.target.port or 0


def _inputs(dom: Any) -> None:
    """The keyboard and mouse every PC has."""
    if not is_x86(dom):
        return
    for kind in ("mouse", "keyboard"):
        if not any(d.type == kind and d.bus == "ps2" for d in dom.devices.inputs):
            dom.devices.inputs.append(make(dom.devices, "inputs", type=kind, bus="ps2"))


def _video(dom: Any, caps: QemuCaps) -> None:
    """A display needs a video card; the first card is the primary one."""
    devices = dom.devices
    if not devices.videos and devices.graphics:
        new = make(devices, "videos")
        new.model = make(new, "model", type=default_video(dom, caps))
        devices.videos.append(new)
    if devices.videos:
        primary = [v for v in devices.videos if v.model is not None and v.model.primary == "yes"]
        if not primary:
            if ensure(devices.videos[0], "model").type != "none":
                devices.videos[0].model.primary = "yes"
        elif devices.videos[0] is not primary[0]:
            devices.videos.remove(primary[0])
            devices.videos.insert(0, primary[0])


def default_video(dom: Any, caps: QemuCaps) -> str:
    """The video card of a machine when none is named."""
    if is_arm(dom):
        return "virtio"
    for model, device in (("cirrus", "cirrus-vga"), ("vga", "VGA")):
        if caps.has_device(device):
            return model
    return "cirrus"


def _audio(dom: Any) -> None:
    """Where sound goes: the last of VNC, SPICE and SDL decides, and SDL leaves it to QEMU."""
    devices = dom.devices
    if several(dom, "audios"):
        return
    kind = None if devices.graphics else "none"
    for display in devices.graphics:
        kind = {"vnc": "none", "spice": "spice", "sdl": None}.get(display.type, kind)
    if kind is not None:
        devices.audios.append(make(devices, "audios", id=1, type=kind))


_ = single
