# SPDX-License-Identifier: LGPL-2.1-or-later
"""command_context.py: what a command line needs to know beside the model.

Called by: drivers.qemu.start. Calls: command.
Never: starts or makes anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libvirtcore.drivers.qemu import command

if TYPE_CHECKING:
    from libvirtcore.conf import Domain
    from libvirtcore.drivers.qemu.caps import QemuCaps
    from libvirtcore.drivers.qemu.resources import Resources


def build(
    model: Domain, caps: QemuCaps, resources: Resources, monitor: int, incoming: str | None
) -> command.Command:
    """The command of a model for which everything is prepared. Raises: VirError."""
    context = command.Context(
        lib_dir=resources.folder,
        monitor=monitor,
        incoming=incoming,
        master_key=resources.master_key,
        sockets=resources.sockets,
        taps=resources.taps,
    )
    return command.build(model, caps, context)
