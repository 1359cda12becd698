# SPDX-License-Identifier: LGPL-2.1-or-later
"""host_calls.py: what the connection and the machine say of themselves.

Called by: drivers.qemu.driver (mixin). Calls: /proc, capabilities.
Never: needs a guest.
"""

from __future__ import annotations

import os
import socket

from libvirtcore.drivers.qemu.base import Calls
from libvirtcore.drivers.qemu.host import find_emulator
from libvirtcore.errors import report
from libvirtcore.generated import constants as c
from libvirtcore.version import LIBRARY_VERSION

_MAX_VCPUS = {"qemu": 255, "kvm": 255}


class HostCalls(Calls):
    """The calls about the connection and the node."""

    def connect_get_type(self) -> str:
        return "QEMU"

    def connect_get_lib_version(self) -> int:
        return LIBRARY_VERSION

    def connect_get_version(self) -> int:
        binary = find_emulator(os.uname().machine)
        caps = self.host.binary_capabilities(binary) if binary else None
        if caps is None:
            raise report(
                c.VIR_ERR_INTERNAL_ERROR,
                c.VIR_FROM_QEMU,
                f"no emulator found for arch '{os.uname().machine}'",
            )
        major, minor, micro = caps.version
        return major * 1_000_000 + minor * 1_000 + micro

    def connect_get_hostname(self) -> str:
        return socket.gethostname()

    def connect_is_secure(self) -> int:
        return 1

    def connect_get_max_vcpus(self, type: str | None) -> int:
        kind = (type or "qemu").lower()
        if kind not in _MAX_VCPUS:
            raise report(c.VIR_ERR_INVALID_ARG, c.VIR_FROM_QEMU, f"unknown type '{type}'")
        return _MAX_VCPUS[kind]
