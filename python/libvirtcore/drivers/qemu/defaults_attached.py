# SPDX-License-Identifier: LGPL-2.1-or-later
"""defaults_attached.py: a single device becomes part of a domain: completed, placed, named.

`add_device` works on a definition (`running` false: buses may be added) and on a running guest
(only places that exist). The device is then in the domain's list, or the domain is untouched.
Called by: attach code of the driver. Calls: defaults_devices.py, addresses.py, aliases.py,
validate.py.
Never: talks to QEMU.
"""

from __future__ import annotations

from typing import Any

from libvirtcore.conf.address import Alias
from libvirtcore.drivers.qemu import addresses, aliases, defaults, defaults_added, defaults_devices
from libvirtcore.drivers.qemu.caps import QemuCaps
from libvirtcore.drivers.qemu.validate_devices import validate_device
from libvirtcore.drivers.qemu.validate_disks import validate_disk
from libvirtcore.errors import report
from libvirtcore.generated.constants import (
    VIR_ERR_OPERATION_INVALID,
    VIR_ERR_OPERATION_UNSUPPORTED,
    VIR_FROM_DOMAIN,
    VIR_FROM_QEMU,
)


def kind_of(dom: Any, device: Any) -> str:
    """The list of a domain's devices that a device belongs to. Raises: VirError if to none."""
    for field in type(dom.devices).FIELDS:
        if field.element is type(device) and field.name in type(dom.devices).LISTS:
            name: str = field.name
            return name
    raise report(
        VIR_ERR_OPERATION_UNSUPPORTED, VIR_FROM_QEMU,
        f"live attach of device '{type(device).__name__.lower()}' is not supported",
    )  # fmt: skip


def add_device(dom: Any, device: Any, caps: QemuCaps, *, running: bool) -> None:
    """Make a device part of a domain. Raises: VirError, and the domain is as before."""
    kind = kind_of(dom, device)
    if kind == "disks":
        for disk in dom.devices.disks:
            if disk.target.dev == device.target.dev:
                raise report(
                    VIR_ERR_OPERATION_INVALID, VIR_FROM_QEMU if running else VIR_FROM_DOMAIN,
                    f"target {device.target.dev} already exists",
                )  # fmt: skip
    before = dom.copy()
    try:
        getattr(dom.devices, kind).append(device)
        if running:
            _place_in_running(dom, device, kind, caps)
        else:
            defaults.complete(dom, caps)
        if kind == "disks":
            validate_disk(dom, device, caps)
        else:
            validate_device(dom, kind, device, caps)
    except BaseException:
        dom.__dict__.clear()
        dom.__dict__.update(before.__dict__)
        raise


def _place_in_running(dom: Any, device: Any, kind: str, caps: QemuCaps) -> None:
    defaults_devices.complete_device(dom, kind, device, caps)
    defaults_devices.sort_disks(dom)
    defaults_added.add_implied_devices(dom, caps)
    addresses.assign_free(dom)
    if device.alias is None or device.alias.name is None:
        if kind == "disks":
            name = aliases.disk_alias(dom, device)
        elif kind == "controllers":
            name = aliases.controller_alias(dom, device)
        else:
            name = aliases.next_alias(dom, kind)
        device.alias = Alias(name=name)
    aliases.assign_aliases(dom)
