# SPDX-License-Identifier: LGPL-2.1-or-later
"""host_calls.py: what the connection and its drivers say of themselves.

Called by: drivers.qemu.driver (mixin). Calls: capabilities_xml, domcaps, command_native.
Never: needs a guest.
"""

from __future__ import annotations

import os
import socket
import uuid
from typing import Any

from libvirtcore.drivers.qemu import capabilities_xml, command_native, domcaps
from libvirtcore.drivers.qemu.base import Calls
from libvirtcore.drivers.qemu.guest import check_flags, internal
from libvirtcore.drivers.qemu.node_calls import NodeCalls
from libvirtcore.errors import report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainCheckpointHandle, DomainHandle, DomainSnapshotHandle
from libvirtcore.version import LIBRARY_VERSION

_MAX_VCPUS = {"qemu": 16, "kvm": 1024}
_UUID_FILES = ("/sys/devices/virtual/dmi/id/product_uuid", "/etc/machine-id")


def host_uuid() -> str:
    """What tells this machine from others; made up when it has nothing of its own."""
    for path in _UUID_FILES:
        try:
            with open(path, encoding="ascii") as file:
                return str(uuid.UUID(file.read().strip()))
        except (OSError, ValueError):
            continue
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, socket.gethostname()))


# Which snapshots and checkpoints to list.
_SNAPSHOTS = (
    c.VIR_DOMAIN_SNAPSHOT_LIST_ROOTS
    | c.VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL
    | c.VIR_DOMAIN_SNAPSHOT_LIST_LEAVES
    | c.VIR_DOMAIN_SNAPSHOT_LIST_NO_LEAVES
    | c.VIR_DOMAIN_SNAPSHOT_LIST_METADATA
    | c.VIR_DOMAIN_SNAPSHOT_LIST_NO_METADATA
    | c.VIR_DOMAIN_SNAPSHOT_LIST_INACTIVE
    | c.VIR_DOMAIN_SNAPSHOT_LIST_ACTIVE
    | c.VIR_DOMAIN_SNAPSHOT_LIST_DISK_ONLY
    | c.VIR_DOMAIN_SNAPSHOT_LIST_INTERNAL
    | c.VIR_DOMAIN_SNAPSHOT_LIST_EXTERNAL
)
_CHECKPOINTS = (
    c.VIR_DOMAIN_CHECKPOINT_LIST_ROOTS
    | c.VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL
    | c.VIR_DOMAIN_CHECKPOINT_LIST_LEAVES
    | c.VIR_DOMAIN_CHECKPOINT_LIST_NO_LEAVES
)


class HostCalls(NodeCalls, Calls):
    """The calls about the connection."""

    def connect_get_type(self) -> str:
        return "QEMU"

    def connect_get_lib_version(self) -> int:
        return LIBRARY_VERSION

    def connect_get_version(self) -> int:
        caps = self.host.caps_cache().for_arch(os.uname().machine)
        if caps is None:
            raise internal(f"no emulator found for arch '{os.uname().machine}'")
        major, minor, micro = caps.version
        return major * 1_000_000 + minor * 1_000 + micro

    def connect_get_hostname(self) -> str:
        return socket.gethostname()

    def connect_is_secure(self) -> int:
        return 1

    def connect_get_uri(self) -> str:
        return self.get_uri()

    def get_uri(self) -> str:
        raise NotImplementedError

    def connect_get_max_vcpus(self, type: str | None) -> int:
        kind = (type or "qemu").lower()
        if kind not in _MAX_VCPUS:
            raise report(c.VIR_ERR_INVALID_ARG, c.VIR_FROM_QEMU, f"unknown type '{type}'")
        return _MAX_VCPUS[kind]

    # --- capabilities -----------------------------------------------------------------------------

    def connect_get_capabilities(self) -> str:
        cache = self.host.caps_cache()
        found = [cache.for_arch(arch) for arch in cache.binaries()]
        binaries = [caps for caps in found if caps is not None]
        return capabilities_xml.capabilities(binaries, host_uuid=host_uuid())

    def connect_get_domain_capabilities(
        self,
        emulatorbin: str | None,
        arch: str | None,
        machine: str | None,
        virttype: str | None,
        flags: int,
    ) -> str:
        check_flags("qemuConnectGetDomainCapabilities", flags, 0)
        cache = self.host.caps_cache()
        native = os.uname().machine
        caps, _arch = domcaps.choose(cache.get, cache.for_arch, emulatorbin, arch, native)
        return domcaps.domain_capabilities(caps, virttype, machine)

    # --- command lines ----------------------------------------------------------------------------

    def connect_domain_xml_to_native(self, nativeFormat: str, domainXml: str, flags: int) -> str:
        check_flags("qemuConnectDomainXMLToNative", flags, 0)
        if nativeFormat != "qemu-argv":
            raise report(
                c.VIR_ERR_INVALID_ARG,
                c.VIR_FROM_QEMU,
                f"unsupported config type {nativeFormat}",
            )
        return command_native.convert(domainXml, self.host.capabilities, lib=self.host.paths.lib)

    # --- what this driver has none of yet, so that lists of it are empty --------------------------

    def domain_snapshot_num(self, dom: DomainHandle, flags: int) -> int:
        check_flags("qemuDomainSnapshotNum", flags, _SNAPSHOTS)
        self.host.find(dom)
        return 0

    def domain_snapshot_list_names(self, dom: DomainHandle, maxnames: int, flags: int) -> list[str]:
        check_flags("qemuDomainSnapshotListNames", flags, _SNAPSHOTS)
        self.host.find(dom)
        return []

    def domain_list_all_snapshots(
        self, dom: DomainHandle, need_results: int, flags: int
    ) -> tuple[list[DomainSnapshotHandle], int]:
        check_flags("qemuDomainListAllSnapshots", flags, _SNAPSHOTS)
        self.host.find(dom)
        return [], 0

    def domain_has_current_snapshot(self, dom: DomainHandle, flags: int) -> int:
        check_flags("qemuDomainHasCurrentSnapshot", flags, 0)
        self.host.find(dom)
        return 0

    def domain_list_all_checkpoints(
        self, dom: DomainHandle, need_results: int, flags: int
    ) -> tuple[list[DomainCheckpointHandle], int]:
        check_flags("qemuDomainListAllCheckpoints", flags, _CHECKPOINTS)
        self.host.find(dom)
        return [], 0
