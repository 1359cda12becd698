# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirtmod.py: the door: the C functions of libvirt, under their C names.

Handles (`_o` of the public classes) in, values or handles out; -1 or None when a call fails, with
the error in virGetLastError. What a row of facts cannot say is in libvirtcore.api.
Called by: libvirt.py, libvirtcore.objects, users who reach below the classes.
Never: raises libvirtError; a wrong type raises TypeError, as C modules do.
"""

from __future__ import annotations

from libvirtcore.api.connect import *
from libvirtcore.api.cpus import *
from libvirtcore.api.events import *
from libvirtcore.api.guests import *
from libvirtcore.api.host import *
from libvirtcore.api.library import *
from libvirtcore.api.lookup import *
from libvirtcore.api.migrate import *
from libvirtcore.api.objects import *
from libvirtcore.api.streams import *
from libvirtcore.api.tuning import *
from libvirtcore.generated.door_domain import *
from libvirtcore.generated.door_domain_checkpoint import *
from libvirtcore.generated.door_domain_snapshot import *
from libvirtcore.generated.door_host import *
from libvirtcore.generated.door_interface import *
from libvirtcore.generated.door_network import *
from libvirtcore.generated.door_nodedev import *
from libvirtcore.generated.door_nwfilter import *
from libvirtcore.generated.door_secret import *
from libvirtcore.generated.door_storage import *
