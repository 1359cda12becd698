# SPDX-License-Identifier: LGPL-2.1-or-later
"""detach.py: devices taken out of a definition and out of a guest that runs.

Called by: drivers.qemu.driver (mixin). Calls: unplug.
Never: takes a device for another that only looks alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from libvirtcore.conf import PARSE_INACTIVE, parse_device
from libvirtcore.conf.nodes import read_document
from libvirtcore.drivers.qemu.attach import find_disk, unsupported, word
from libvirtcore.drivers.qemu.attach_replay import Undo
from libvirtcore.drivers.qemu.base import CONFIG, LIVE, Calls, affected, replace_config
from libvirtcore.drivers.qemu.devices import alias_of
from libvirtcore.drivers.qemu.guest import Guest, check_flags
from libvirtcore.drivers.qemu.model import devices
from libvirtcore.drivers.qemu.unplug import image_leavings, unplug
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle

_CHARACTER = {
    "Serial": "serial", "Parallel": "parallel", "Channel": "channel", "Console": "console",
}  # fmt: skip


def missing(detail: str, domain: int = c.VIR_FROM_QEMU) -> VirError:
    return report(c.VIR_ERR_DEVICE_MISSING, domain, detail)


class DetachCalls(Calls):
    """The calls that remove a device."""

    def domain_detach_device(self, dom: DomainHandle, xml: str) -> None:
        self.domain_detach_device_flags(dom, xml, LIVE)

    def domain_detach_device_flags(self, dom: DomainHandle, xml: str, flags: int) -> None:
        check_flags("qemuDomainDetachDeviceLiveAndConfig", flags, LIVE | CONFIG)
        with self._job(dom, "DomainDetachDeviceFlags") as guest:
            flags = affected(guest, flags)
            config = guest.config.copy() if flags & CONFIG and guest.config else None
            device: Any = parse_meant(xml, config or guest.model())
            if config is not None:
                remove(config, find(config, device, live=False))
            if flags & LIVE:
                detach_live(guest, find(guest.live, device, live=True))
            if config is not None:
                replace_config(guest, config)

    def domain_detach_device_alias(self, dom: DomainHandle, alias: str, flags: int) -> None:
        check_flags("qemuDomainDetachDeviceAlias", flags, LIVE | CONFIG)
        with self._job(dom, "DomainDetachDeviceAlias") as guest:
            flags = affected(guest, flags)
            config = guest.config.copy() if flags & CONFIG and guest.config else None
            if config is not None:
                remove(config, _named(config, alias))
            if flags & LIVE:
                detach_live(guest, _named(guest.live, alias))
            if config is not None:
                replace_config(guest, config)


def parse_meant(xml: str, model: Any) -> Any:
    """A document that names a device of a model: without an address made up for an interface."""
    device: Any = parse_device(xml, model, PARSE_INACTIVE)
    if type(device).__name__ == "Interface":
        node, _warnings = read_document(xml, "", "(device_definition)")
        if all(item.tag != "mac" for item in node.children):
            device.mac = None
    return device


def remove(model: Any, device: Any) -> None:
    """Take a device out of a model."""
    for field in type(model.devices).FIELDS:
        listed = model.devices.__dict__.get(field.name)
        if isinstance(listed, list):
            listed[:] = [each for each in listed if each is not device]


def _named(model: Any, alias: str) -> Any:
    for device in devices(model):
        if alias_of(device) == alias:
            return device
    raise report(c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_DOMAIN, f"no device found with alias {alias}")


# --- which device is meant ------------------------------------------------------------------------


def find(model: Any, device: Any, *, live: bool) -> Any:
    """The device of a model that a document means. Raises: VirError when there is none."""
    kind = type(device).__name__
    if kind == "Disk":
        found = find_disk(model, device.target.dev)
        if found is None:
            dev = device.target.dev
            raise missing(f"disk {dev} not found" if live else f"no target device {dev}")
        return found
    if kind == "Interface":
        return find_interface(model, device)
    if kind in _CHARACTER:
        return _character(model, device, kind)
    if kind == "Rng":
        return _rng(model, device)
    if kind == "Input":
        wanted = (device.type, device.bus, device.model)
        for each in model.devices.inputs:
            if (each.type, each.bus, each.model) == wanted and _address(each, device):
                return each
        raise missing("matching input device not found")
    if kind == "Controller":
        for each in model.devices.controllers:
            if (each.type, each.index) == (device.type, device.index):
                return each
        raise missing(f"controller {device.type}:{device.index} not found")
    state = "live" if live else "persistent"
    raise unsupported(f"{state} detach of device '{word(device)}' is not supported")


def _address(there: Any, device: Any) -> bool:
    """Whether a device is where a document says; a document may say nothing."""
    place = device.address
    if place is None or place.type is None:
        return True
    return there.address is not None and place == there.address


def find_interface(model: Any, device: Any) -> Any:
    """The interface a document means, by MAC address, place and name. Raises: VirError."""
    mac = device.mac.address if device.mac is not None else None
    name = alias_of(device)
    found = []
    for each in model.devices.interfaces:
        theirs = each.mac.address if each.mac is not None else None
        if (mac is not None and theirs != mac) or not _address(each, device):
            continue
        if name is not None and alias_of(each) != name:
            continue
        found.append(each)
    if len(found) == 1:
        return found[0]
    if found:
        what = f"multiple devices matching MAC address {mac} found"
        if mac is None:
            what = "multiple matching devices found"
        raise report(c.VIR_ERR_OPERATION_FAILED, c.VIR_FROM_DOMAIN, what)
    place = device.address
    where = "(<null>)"
    if place is not None and place.type == "pci" and place.slot is not None:
        numbers = (place.domain or 0, place.bus or 0, place.slot, place.function or 0)
        where = "{:04x}:{:02x}:{:02x}.{:x}".format(*numbers)
    raise missing(
        f"no device found at address '{where}' matching MAC address '{mac or '(<null>)'}' and "
        f"alias '{name or '(<null>)'}'",
        c.VIR_FROM_DOMAIN,
    )


def _character(model: Any, device: Any, kind: str) -> Any:
    for each in getattr(model.devices, f"{_CHARACTER[kind]}s"):
        if _same_character(each, device):
            return each
    name = _CHARACTER[kind]
    raise missing(f"chr type '{name}' device not present in domain configuration")


def _same_character(one: Any, other: Any) -> bool:
    if one.type != other.type:
        return False
    if one.type != "pty" and (one.source or None) != (other.source or None):
        return False
    a, b = one.target, other.target
    for name in ("type", "name"):
        if getattr(a, name, None) != getattr(b, name, None):
            return False
    port = getattr(b, "port", None)
    return port is None or getattr(a, "port", None) == port


def _rng(model: Any, device: Any) -> Any:
    for each in model.devices.rngs:
        if (
            each.model == device.model
            and each.backend == device.backend
            and each.rate == device.rate
            and _address(each, device)
        ):
            return each
    backend = device.backend.model
    raise missing(f"model '{backend}' RNG device not present in domain configuration")


# --- running guests -------------------------------------------------------------------------------


def detach_live(guest: Guest, device: Any) -> None:
    """Take a device out of a running guest; the job is held. Raises: VirError."""
    leavings = _LEAVINGS.get(type(device).__name__)
    if leavings is None:
        raise unsupported(f"live detach of device '{word(device)}' is not supported")
    behind = leavings(guest, device)
    alias = alias_of(device)
    assert alias is not None
    unplug(guest, guest.running(), alias, behind)


def _disk(guest: Guest, disk: Any) -> list[Undo]:
    if disk.device == "floppy" or (
        disk.device == "cdrom" and disk.target.bus not in ("usb", "scsi", "virtio")
    ):
        raise unsupported(f"disk device type '{disk.device}' cannot be detached")
    if disk.target.bus not in ("virtio", "usb", "scsi"):
        raise unsupported("This type of disk cannot be hot unplugged")
    return image_leavings(disk)


def _interface(_guest: Guest, interface: Any) -> list[Undo]:
    return [("netdev_del", {"id": f"host{alias_of(interface)}"})]


def _port(_guest: Guest, device: Any) -> list[Undo]:
    return [("chardev-remove", {"id": f"char{alias_of(device)}"})]


def _random(_guest: Guest, rng: Any) -> list[Undo]:
    found: list[Undo] = [("object-del", {"id": f"obj{alias_of(rng)}"})]
    if rng.backend.model == "egd":
        found.append(("chardev-remove", {"id": f"char{alias_of(rng)}"}))
    return found


def _input(_guest: Guest, device: Any) -> list[Undo]:
    if device.bus not in ("usb", "virtio"):
        raise unsupported(f"input device on bus '{device.bus}' cannot be detached")
    return []


def _controller(guest: Guest, controller: Any) -> list[Undo]:
    if controller.type != "scsi":
        raise unsupported(f"'{controller.type}' controller cannot be hot unplugged.")
    model: Any = guest.model()
    for disk in model.devices.disks:
        place = disk.address
        if disk.target.bus != "scsi" or place is None:
            continue
        if (place.controller or 0) == (controller.index or 0):
            raise report(
                c.VIR_ERR_OPERATION_FAILED,
                c.VIR_FROM_QEMU,
                "device cannot be detached: device is busy",
            )
    return []


_LEAVINGS: dict[str, Callable[[Guest, Any], list[Undo]]] = {
    "Disk": _disk, "Interface": _interface, "Rng": _random, "Input": _input,
    "Controller": _controller, **dict.fromkeys(_CHARACTER, _port),
}  # fmt: skip
