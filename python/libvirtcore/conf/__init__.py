# SPDX-License-Identifier: LGPL-2.1-or-later
"""conf: libvirt's domain XML as typed Python objects.

    from libvirtcore.conf import Domain

    domain = Domain.parse(xml)
    domain.memory = 4 * 1024 * 1024  # KiB
    print(domain.format())

docs/conf.md tells how; README.md beside this file maps the room.
Called by: programs, drivers. Calls: its own modules.
Never: asks a hypervisor, reads a file.
"""

from libvirtcore.conf.address import Address, Alias
from libvirtcore.conf.devices import Devices, format_device, parse_device
from libvirtcore.conf.domain import Domain
from libvirtcore.conf.identity import Identity
from libvirtcore.conf.raw import Metadata
from libvirtcore.conf.reader import PARSE_INACTIVE
from libvirtcore.conf.schema import Element
from libvirtcore.conf.writer import FORMAT_INACTIVE, FORMAT_SECURE

__all__ = [
    "FORMAT_INACTIVE",
    "FORMAT_SECURE",
    "PARSE_INACTIVE",
    "Address",
    "Alias",
    "Devices",
    "Domain",
    "Element",
    "Identity",
    "Metadata",
    "format_device",
    "parse_device",
]
