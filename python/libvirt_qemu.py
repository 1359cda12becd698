# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt_qemu.py: what only the QEMU driver offers, name for name as libvirt-python 12.8.

Called by: users. Never: holds code; libvirt_qemu-stubs lists the same names for type checkers.
"""

from __future__ import annotations

from typing import Any

import libvirt
import libvirtmod_qemu
from libvirtcore.generated.constants_qemu import *
from libvirtcore.generated.wrappers_libvirt_qemu import (
    qemuAgentCommand as qemuAgentCommand,
)
from libvirtcore.generated.wrappers_libvirt_qemu import (
    qemuAttach as qemuAttach,
)
from libvirtcore.generated.wrappers_libvirt_qemu import (
    qemuMonitorCommand as qemuMonitorCommand,
)
from libvirtcore.objects.qemu import (
    _dispatchQemuMonitorEventCallback as _dispatchQemuMonitorEventCallback,
)
from libvirtcore.objects.qemu import (
    qemuMonitorCommandWithFiles as qemuMonitorCommandWithFiles,
)
from libvirtcore.objects.qemu import (
    qemuMonitorEventDeregister as qemuMonitorEventDeregister,
)
from libvirtcore.objects.qemu import (
    qemuMonitorEventRegister as qemuMonitorEventRegister,
)


def __getattr__(name: str) -> Any:
    """Names that type annotations of programs use; loaded when first asked for."""
    if name in ("Callable", "IO", "Optional"):
        import typing

        return getattr(typing, name)
    raise AttributeError(f"module 'libvirt_qemu' has no attribute '{name}'")
