# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt_lxc.py: what only the LXC driver offers.

Called by: users. Calls: libvirtmod_lxc. Never: knows drivers.
"""

from __future__ import annotations

import libvirt
import libvirtmod_lxc
from libvirtcore.generated.wrappers_libvirt_lxc import (
    lxcEnterCGroup as lxcEnterCGroup,
)
from libvirtcore.generated.wrappers_libvirt_lxc import (
    lxcOpenNamespace as lxcOpenNamespace,
)
