# SPDX-License-Identifier: LGPL-2.1-or-later
"""command_native.py: domxml-to-native: a document → the text of a command a person could run.

Called by: the driver's connect_domain_xml_to_native. Calls: command.py, conf, defaults.py,
addresses.py, aliases.py, validate.py, firmware.py.
Never: opens or makes anything; the text is not fit to be run without preparing what it names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from libvirtcore.conf import PARSE_INACTIVE, Domain
from libvirtcore.conf.interface import Interface
from libvirtcore.drivers.qemu import command, defaults, firmware
from libvirtcore.drivers.qemu.addresses import assign_addresses
from libvirtcore.drivers.qemu.aliases import assign_aliases
from libvirtcore.drivers.qemu.validate import validate

if TYPE_CHECKING:
    from libvirtcore.drivers.qemu.caps import QemuCaps

SHORT_NAME = 20  # characters of a guest's name in the name of its folder
_SAFE = re.compile(r"[A-Za-z0-9+,\-./:=@_%]+\Z", re.ASCII)


def convert(
    xml: str,
    capabilities: Callable[[Domain], QemuCaps],
    *,
    lib: str = "/var/lib/libvirt/qemu",
    path: str = "",
    host_cpu: Any = None,
) -> str:
    """The command of a document. Raises: VirError."""
    dom = Domain.parse(xml, PARSE_INACTIVE)
    caps = capabilities(dom)
    defaults.complete(dom, caps, f"{lib}/nvram")
    validate(dom, caps)
    simplify(dom, caps, f"{lib}/nvram")
    folder = f"{lib}/domain--1-{dom.name[:SHORT_NAME]}"
    context = command.Context(
        lib_dir=folder, monitor=f"{folder}/monitor.sock", native=True, path=path, host_cpu=host_cpu
    )
    return text(command.build(dom, caps, context))


def simplify(dom: Domain, caps: QemuCaps, nvram_dir: str) -> None:
    """Change a complete model into what the text speaks of.

    No network is set up for mere text, so every interface becomes a tap device, of which only the
    MAC address and the model are the old one's; then everything without a place or name gets one.
    """
    devices: Any = dom.devices
    for place, old in enumerate(devices.interfaces):
        if old.type != "hostdev":
            devices.interfaces[place] = Interface(type="ethernet", mac=old.mac, model=old.model)
    firmware.choose(dom, nvram_dir)
    assign_addresses(dom, caps)
    assign_aliases(dom)


def text(built: command.Command) -> str:
    """Environment and arguments in one line, quoted for a shell."""
    words = [f"{name}={quote(value)}" for name, value in built.env.items()]
    return " ".join([*words, *(quote(word) for word in built.argv)])


def quote(word: str) -> str:
    """A word as a shell reads it back."""
    if _SAFE.match(word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"
