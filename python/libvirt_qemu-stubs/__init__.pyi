# SPDX-License-Identifier: LGPL-2.1-or-later
"""__init__.pyi of libvirt_qemu-stubs: what `import libvirt_qemu` offers, for type checkers."""

from typing import Any

from libvirtcore.generated.constants_qemu import *  # noqa: F403
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

libvirtmod_qemu: Any
