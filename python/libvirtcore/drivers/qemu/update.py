# SPDX-License-Identifier: LGPL-2.1-or-later
"""update.py: devices changed where they are: media, links of interfaces, passwords of displays.

Called by: drivers.qemu.driver (mixin). Calls: media, the monitor.
Never: removes and adds a device to change it.
"""

from __future__ import annotations

from typing import Any

from libvirtcore.drivers.qemu import defaults
from libvirtcore.drivers.qemu.attach import find_disk, unsupported, word
from libvirtcore.drivers.qemu.base import (
    CONFIG,
    LIVE,
    Calls,
    affected,
    replace_config,
    save_live,
)
from libvirtcore.drivers.qemu.block_calls import qdev
from libvirtcore.drivers.qemu.detach import find_interface, missing, parse_meant
from libvirtcore.drivers.qemu.devices import alias_of
from libvirtcore.drivers.qemu.guest import Guest, check_flags, internal
from libvirtcore.drivers.qemu.media import change_medium, put_medium
from libvirtcore.drivers.qemu.refresh import expiry
from libvirtcore.errors import report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle

_FORCE = c.VIR_DOMAIN_DEVICE_MODIFY_FORCE
# What of an interface must stay as it is, by the words of the refusal.
_FIXED_NET = (
    ("mac.address", "mac address"),
    ("model.type", "model"),
    ("rom.bar", "rom bar setting"),
    ("boot.order", "boot index setting"),
)


class UpdateCalls(Calls):
    """The call that changes a device."""

    def domain_update_device_flags(self, dom: DomainHandle, xml: str, flags: int) -> None:
        check_flags("qemuDomainUpdateDeviceFlags", flags, LIVE | CONFIG | _FORCE)
        with self._job(dom, "DomainUpdateDeviceFlags") as guest:
            flags = affected(guest, flags)
            config = guest.config.copy() if flags & CONFIG and guest.config else None
            if config is not None:
                device = parse_meant(xml, config)
                _update_config(config, device)
                defaults.complete(config, self.host.capabilities(config))
            if flags & LIVE:
                update_live(
                    guest,
                    parse_meant(xml, guest.live),
                    force=bool(flags & _FORCE),
                )
            if config is not None:
                replace_config(guest, config)


def _update_config(config: Any, device: Any) -> None:
    kind = type(device).__name__
    if kind == "Disk":
        disk = find_disk(config, device.target.dev)
        if disk is None:
            raise report(
                c.VIR_ERR_INVALID_ARG,
                c.VIR_FROM_QEMU,
                f"target {device.target.dev} doesn't exist.",
            )
        if disk.device not in ("cdrom", "floppy"):
            device.address = device.address or disk.address
            place = config.devices.disks.index(disk)
            config.devices.disks[place] = device
            return
        put_medium(disk, device)
    elif kind == "Interface":
        there = find_interface(config, device)
        device.mac = device.mac or there.mac
        device.model = device.model or there.model
        device.address = device.address or there.address
        config.devices.interfaces[config.devices.interfaces.index(there)] = device
    elif kind == "Graphics":
        there = _graphics(config, device)
        config.devices.graphics[config.devices.graphics.index(there)] = device
    else:
        raise report(
            c.VIR_ERR_OPERATION_UNSUPPORTED,
            c.VIR_FROM_QEMU,
            f"persistent update of device '{word(device)}' is not supported",
        )


def update_live(guest: Guest, device: Any, *, force: bool) -> None:
    """Change a device of a running guest; the job is held. Raises: VirError."""
    kind = type(device).__name__
    if kind == "Disk":
        disk = find_disk(guest.live, device.target.dev)
        if disk is None:
            raise internal(f"disk '{device.target.dev}' not found")
        _disk(guest, disk, device, force)
    elif kind == "Interface":
        _interface(guest, find_interface(guest.live, device), device)
    elif kind == "Graphics":
        _password(guest, _graphics(guest.live, device), device)
    else:
        raise report(
            c.VIR_ERR_CONFIG_UNSUPPORTED,
            c.VIR_FROM_QEMU,
            f"live update of device '{word(device)}' is not supported",
        )


def _disk(guest: Guest, disk: Any, wanted: Any, force: bool) -> None:
    if disk.device in ("cdrom", "floppy"):
        if (wanted.device, wanted.target.bus) != (disk.device, disk.target.bus):
            raise _fixed("device" if wanted.device != disk.device else "bus")
        change_medium(guest, disk, wanted, force=force)
        return
    if _where(disk) != _where(wanted):
        raise _fixed("source")
    for field in ("device", "serial", "wwn", "vendor", "product", "readonly", "shareable"):
        if (getattr(disk, field) or None) != (getattr(wanted, field) or None):
            raise _fixed(field)
    from libvirtcore.drivers.qemu.command_disks import throttle

    if wanted.iotune is not None and wanted.iotune != disk.iotune:
        wanted.alias = disk.alias
        limits = throttle(wanted)
        if limits is not None:
            guest.monitor().command("block_set_io_throttle", limits | {"id": qdev(disk)})
            with guest.lock:
                disk.iotune = wanted.iotune
            save_live(guest)


def _where(disk: Any) -> tuple[Any, ...]:
    source = disk.source
    names = ("file", "dev", "dir", "protocol", "name", "pool", "volume")
    return (disk.type, *(getattr(source, name, None) for name in names))


def _fixed(field: str) -> Exception:
    return unsupported(f"cannot modify field '{field}' (or it's parts) of the disk")


def _interface(guest: Guest, there: Any, wanted: Any) -> None:
    if there.type != wanted.type:
        raise unsupported(f"unable to change config on '{there.type}' network type")
    for path, name in _FIXED_NET:
        old, new = _value(there, path), _value(wanted, path)
        if new is None and path == "model.type":
            continue
        if old != new:
            if path in ("model.type", "mac.address"):
                raise unsupported(f"cannot modify network device {name} from {old} to {new}")
            raise unsupported(f"cannot modify network device {name}")
    old, new = _value(there, "link.state") or "up", _value(wanted, "link.state") or "up"
    if old == new:
        return
    guest.monitor().command("set_link", {"name": alias_of(there), "up": new != "down"})
    with guest.lock:
        there.link = wanted.link
    save_live(guest)


def _value(device: Any, path: str) -> Any:
    for name in path.split("."):
        device = getattr(device, name, None)
    return device


def _graphics(model: Any, wanted: Any) -> Any:
    for there in model.devices.graphics:
        if there.type == wanted.type:
            return there
    raise missing(f"cannot find existing graphics device to modify of type '{wanted.type}'")


def _password(guest: Guest, there: Any, wanted: Any) -> None:
    """Change who may look at a display, and until when."""
    fields = ("passwd", "passwd_valid_to", "connected")
    if all(getattr(there, name) == getattr(wanted, name) for name in fields):
        return
    if wanted.passwd is None:
        raise unsupported("the password of a display cannot be removed while the guest runs")
    words: dict[str, Any] = {"protocol": there.type, "password": wanted.passwd}
    if wanted.connected is not None:
        words["connected"] = wanted.connected
    monitor = guest.monitor()
    monitor.command("set_password", words)
    until = expiry(wanted)
    monitor.command("expire_password", {"protocol": there.type, "time": until or "never"})
    with guest.lock:
        for name in fields:
            setattr(there, name, getattr(wanted, name))
    save_live(guest)
