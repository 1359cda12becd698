# SPDX-License-Identifier: LGPL-2.1-or-later
"""devices.py: finds devices in a running guest's model by the names QEMU knows them by.

Called by: drivers.qemu.events, attach. Calls: nothing.
Never: talks to QEMU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from libvirtcore.conf import Domain
    from libvirtcore.drivers.qemu.guest import Guest

_LISTS = (
    "disks", "interfaces", "controllers", "serials", "parallels", "consoles", "channels", "inputs",
    "sounds", "videos", "hostdevs", "redirdevs", "filesystems", "smartcards", "rngs", "watchdogs",
    "panics", "shmems", "memorys", "hubs", "tpms",
)  # fmt: skip
_AGENT = "org.qemu.guest_agent.0"


def alias_of(device: Any) -> str | None:
    name = getattr(getattr(device, "alias", None), "name", None)
    return name if isinstance(name, str) else None


def disk_of(model: Domain | None, name: str) -> Any:
    """The disk behind a device's alias, a node's name or a path in QEMU's tree; None if none is."""
    if model is None or model.devices is None or not name:
        return None
    wanted = name.rsplit("/", 1)[-1]
    for number, disk in enumerate(model.devices.disks, 1):
        alias = alias_of(disk)
        if alias is not None and wanted in (alias, f"drive-{alias}"):
            return disk
        index = getattr(getattr(disk, "source", None), "index", None) or number
        if wanted in (f"libvirt-{index}-format", f"libvirt-{index}-storage"):
            return disk
    return None


def forget_device(guest: Guest, alias: str) -> None:
    """Take a device that QEMU has removed out of the model."""
    live = guest.live
    if live is None or live.devices is None:
        return
    for group in _LISTS:
        devices = getattr(live.devices, group, None)
        if isinstance(devices, list):
            devices[:] = [device for device in devices if alias_of(device) != alias]


def channel_changed(model: Domain | None, alias: str, opened: bool) -> str:
    """Note that the guest opened or closed a channel; "agent", "channel", or "" if unknown."""
    if model is None or model.devices is None:
        return ""
    for channel in model.devices.channels:
        if alias_of(channel) == alias and channel.target is not None:
            channel.target.state = "connected" if opened else "disconnected"
            return "agent" if channel.target.name == _AGENT else "channel"
    return ""
