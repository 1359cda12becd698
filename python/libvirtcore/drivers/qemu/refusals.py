# SPDX-License-Identifier: LGPL-2.1-or-later
"""refusals.py: the two kinds of refusal of the QEMU driver's checks, worded as libvirt words them.

Called by: the validate modules. Calls: errors.
Never: decides anything.
"""

from __future__ import annotations

from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import (
    VIR_ERR_CONFIG_UNSUPPORTED,
    VIR_ERR_INTERNAL_ERROR,
    VIR_FROM_QEMU,
)


def unsupported(message: str) -> VirError:
    """A configuration that this hypervisor does not have."""
    return report(VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_QEMU, message)


def internal(message: str) -> VirError:
    """What libvirt calls an internal error, although the document is at fault."""
    return report(VIR_ERR_INTERNAL_ERROR, VIR_FROM_QEMU, message)
