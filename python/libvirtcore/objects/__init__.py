# SPDX-License-Identifier: LGPL-2.1-or-later
"""The classes of `import libvirt`: generated methods plus what is written by hand.

The order matters: each import below needs the names of those above it.
"""

from __future__ import annotations

from libvirtcore.objects.classes import (
    virDomain,
    virDomainCheckpoint,
    virDomainSnapshot,
    virInterface,
    virNetwork,
    virNetworkPort,
    virNodeDevice,
    virNWFilter,
    virNWFilterBinding,
    virSecret,
    virStoragePool,
    virStorageVol,
)
from libvirtcore.objects.connect import virConnect
from libvirtcore.objects.stream import virStream

__all__ = [
    "virConnect",
    "virDomain",
    "virDomainCheckpoint",
    "virDomainSnapshot",
    "virInterface",
    "virNWFilter",
    "virNWFilterBinding",
    "virNetwork",
    "virNetworkPort",
    "virNodeDevice",
    "virSecret",
    "virStoragePool",
    "virStorageVol",
    "virStream",
]
