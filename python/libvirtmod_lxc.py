# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirtmod_lxc.py: the door: the C functions of libvirt-lxc, under their C names.

Called by: libvirt_lxc.py, users who reach below it. Calls: libvirtcore.api.
Never: raises libvirtError; see libvirtmod.py.
"""

from __future__ import annotations

from libvirtcore.api import guests
from libvirtcore.generated.door_lxc import *

virDomainLxcEnterCGroup = guests.virDomainLxcEnterCGroup
