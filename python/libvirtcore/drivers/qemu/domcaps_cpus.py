# SPDX-License-Identifier: LGPL-2.1-or-later
"""domcaps_cpus.py: the CPU models of a QEMU that libvirt knows by name, with their makers.

Called by: domcaps.py. Calls: caps.py.
Never: knows what a model consists of.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from libvirtcore.drivers.qemu.caps import QemuCaps

NUMBERED = re.compile(r"-v\d+\Z")
INTEL = (
    "n270", "coreduo", "core2duo", "Westmere", "Snowridge", "Skylake", "SandyBridge", "Penryn",
    "Nehalem", "IvyBridge", "Icelake", "Haswell", "Cooperlake", "Conroe", "Cascadelake",
    "Broadwell", "SapphireRapids",
)  # fmt: skip
AMD = ("phenom", "athlon", "Opteron", "EPYC")
NOBODY = ("qemu64", "qemu32", "kvm64", "kvm32", "pentium", "pentium2", "pentium3", "486")


class Model(NamedTuple):
    """A CPU model on offer; usable is None when QEMU does not tell."""

    name: str
    usable: bool | None
    deprecated: bool
    vendor: str


def vendor(name: str) -> str | None:
    """The maker of a model of an x86 CPU, None for a model libvirt does not know."""
    if name in NOBODY:
        return "unknown"
    if name.startswith(INTEL):
        return "Intel"
    if name.startswith(AMD):
        return "AMD"
    return "Hygon" if name.startswith("Dhyana") else None


def custom_models(caps: QemuCaps, kvm: bool) -> list[Model]:
    """The models a guest may ask for, in QEMU's order."""
    x86 = caps.arch in ("x86_64", "i686")
    found = []
    for cpu in caps.cpus(kvm):
        if NUMBERED.search(cpu.name) or cpu.name in ("max", "host", "base"):
            continue
        maker = vendor(cpu.name) if x86 else ""
        if maker is None:
            continue
        found.append(Model(cpu.name, cpu.usable, cpu.deprecated, maker))
    return found
