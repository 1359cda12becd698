# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirtmod_qemu.py: the door: the C functions of libvirt-qemu, under their C names.

Called by: libvirt_qemu.py, users who reach below it. Calls: libvirtcore.api.
Never: raises libvirtError; see libvirtmod.py.
"""

from __future__ import annotations

from libvirtcore.api import events, guests
from libvirtcore.generated.door_qemu import *

virConnectDomainQemuMonitorEventDeregister = events.virConnectDomainQemuMonitorEventDeregister
virConnectDomainQemuMonitorEventRegister = events.virConnectDomainQemuMonitorEventRegister
virDomainQemuMonitorCommandWithFiles = guests.virDomainQemuMonitorCommandWithFiles
