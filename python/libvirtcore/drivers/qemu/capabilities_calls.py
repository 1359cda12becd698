# SPDX-License-Identifier: LGPL-2.1-or-later
"""capabilities_calls.py: what the host can do, as documents, asked of a connection.

Called by: drivers.qemu.driver (mixin). Calls: host, capabilities_xml, domcaps.
Never: needs a guest.
"""

from __future__ import annotations

import os

from libvirtcore.conf.boot import ARCHITECTURES
from libvirtcore.drivers.qemu.base import Calls
from libvirtcore.drivers.qemu.capabilities_xml import capabilities
from libvirtcore.drivers.qemu.caps import QemuCaps
from libvirtcore.drivers.qemu.domcaps import choose, domain_capabilities
from libvirtcore.drivers.qemu.guest import check_flags
from libvirtcore.drivers.qemu.host import find_emulator
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.host_uuid import host_uuid


class CapabilitiesCalls(Calls):
    """The calls about what is possible here."""

    def connect_get_capabilities(self) -> str:
        found = []
        for arch in ARCHITECTURES:
            binary = find_emulator(arch)
            if binary is None:
                continue
            try:
                found.append(self.host.binary_capabilities(binary))
            except VirError:
                continue  # a broken emulator hides only itself
        label = f"+{os.geteuid()}:+{os.getegid()}"
        labels = (("kvm", label), ("qemu", label))
        return capabilities(found, host_uuid=host_uuid(), labels=labels)

    def connect_get_domain_capabilities(
        self,
        emulatorbin: str | None,
        arch: str | None,
        machine: str | None,
        virttype: str | None,
        flags: int,
    ) -> str:
        check_flags("qemuConnectGetDomainCapabilities", flags, 0)
        caps, wanted = choose(self._load, self._find, emulatorbin, arch, os.uname().machine)
        return domain_capabilities(caps, virttype, machine, arch=wanted)

    def _find(self, arch: str) -> QemuCaps | None:
        binary = find_emulator(arch)
        return None if binary is None else self.host.binary_capabilities(binary)

    def _load(self, path: str) -> QemuCaps:
        try:
            os.stat(path)
        except OSError as fault:
            message = f"Cannot check QEMU binary {path}: {fault.strerror}"
            raise VirError(
                c.VIR_ERR_SYSTEM_ERROR, c.VIR_FROM_QEMU, message,
                str1="%s", str2=message, int1=fault.errno or -1,
            ) from None  # fmt: skip
        if not os.path.isfile(path) or not os.access(path, os.X_OK):
            raise report(
                c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_QEMU, f"QEMU binary {path} is not executable"
            )
        return self.host.binary_capabilities(path)
