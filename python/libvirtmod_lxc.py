# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirtmod_lxc.py: the door: the C functions of libvirt-lxc, under their C names.

Handles (`_o` of the public classes) in, values or handles out; -1 or None when a call fails, with
the error in virGetLastError. Most functions are generated; those imported by name are written by
hand and win over generated ones.
Called by: libvirt_lxc.py, and users who reach below it. Calls: libvirtcore.api.
Never: raises libvirtError; a wrong type raises TypeError, as C modules do.
"""

from __future__ import annotations

from libvirtcore.generated.door_lxc import *  # noqa: F403
from libvirtcore.api.guests import (
    virDomainLxcEnterCGroup as virDomainLxcEnterCGroup,
)
