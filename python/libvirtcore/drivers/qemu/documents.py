# SPDX-License-Identifier: LGPL-2.1-or-later
"""documents.py: domain documents → models as this driver keeps them: complete, placed, named.

Called by: drivers.qemu.define, lifecycle, start, store, save. Calls: conf, defaults, addresses,
aliases, validate.
Never: keeps a model.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from libvirtcore.conf import PARSE_INACTIVE, Domain
from libvirtcore.conf.strict import refuse_unknown
from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c

if TYPE_CHECKING:
    from libvirtcore.drivers.qemu.caps import QemuCaps
    from libvirtcore.drivers.qemu.host import Host

NAME_MAX = 255 - len(".xml")  # bytes of a name that still is a file's


def read(host: Host, xml: str, *, strict: bool = False) -> Domain:
    """A user's document: checked, with everything filled in that the user left out.

    With `strict`, what the model does not know is refused. Raises: VirError.
    """
    if strict:
        refuse_unknown(xml)
    model = Domain.parse(xml, PARSE_INACTIVE)
    check_name(host, model.name)
    finish(model, host.capabilities(model), os.path.join(host.paths.lib, "nvram"))
    return model


def check_name(host: Host, name: str) -> None:
    """Refuse a name that cannot be a file's. Raises: VirError."""
    if len(name.encode()) > NAME_MAX:
        path = f"{host.paths.config}/{name}.xml"
        message = f"Failed to create file '{path}': File name too long"
        raise VirError(
            c.VIR_ERR_SYSTEM_ERROR, c.VIR_FROM_NONE, message, str1="%s", str2=message, int1=36
        )


def finish(model: Domain, caps: QemuCaps, nvram_dir: str) -> None:
    """Fill in what a user left out. Raises: VirError when it cannot run here."""
    from libvirtcore.drivers.qemu.addresses import assign_addresses
    from libvirtcore.drivers.qemu.defaults import complete

    complete(model, caps, nvram_dir)
    assign_addresses(model, caps)
    check(model, caps)


def check(model: Domain, caps: QemuCaps) -> None:
    """Refuse what this QEMU cannot do. Raises: VirError."""
    try:
        from libvirtcore.drivers.qemu.validate import validate
    except ImportError:
        return
    validate(model, caps)


def prepare(model: Domain, caps: QemuCaps) -> None:
    """What a model gets only when its guest starts: names of its devices, and its real CPU."""
    from libvirtcore.drivers.qemu.aliases import assign_aliases

    assign_aliases(model)
    resolve_cpu(model)


def resolve_cpu(model: Domain) -> None:
    """Say what `host-model` is without a catalogue of CPUs: all the accelerator can give."""
    cpu = model.cpu
    if cpu is None or cpu.mode != "host-model":
        return
    cpu.mode = "host-passthrough" if model.type == "kvm" else "maximum"
    cpu.model = cpu.match = None
    cpu.check = "none"
    if model.type == "kvm" and cpu.migratable is None:
        cpu.migratable = "on"


def uuid_bytes(model: Domain) -> bytes:
    """The UUID of a model as handles bear it."""
    return bytes.fromhex(str(model.uuid).replace("-", ""))


def migratable(model: Domain) -> Domain:
    """A copy without what every QEMU adds by itself, as older ones expect a document."""
    copy = model.copy()
    devices = copy.devices
    usb = [device for device in devices.controllers if device.type == "usb"]
    for device in list(devices.controllers):
        if (device.type == "pci" and device.model == "pci-root" and not device.index) or (
            len(usb) == 1 and device is usb[0] and device.model == "piix3-uhci"
        ):
            devices.controllers.remove(device)
    devices.inputs = [
        device for device in devices.inputs if (device.type, device.bus) != ("keyboard", "ps2")
    ]
    devices.audios = [device for device in devices.audios if device.type != "none"]
    return copy
