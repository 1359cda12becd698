# SPDX-License-Identifier: LGPL-2.1-or-later
"""driver.py: a connection to QEMU guests of this machine: opening it, closing it, its events.

    qemu:///embed?root=DIR            in any process, for as long as it has connections open
    qemu:///system, qemu:///session   in the daemon that serves them (paths.serve)

Called by: drivers.registry (open), libvirtcore.api (every call). Calls: host; the mixins hold the
calls, one file per subject.
Never: keeps state of guests; all connections share their host's.
"""

from __future__ import annotations

import os
from typing import Any

from libvirtcore.drivers.base import Driver
from libvirtcore.drivers.qemu import host as hosts
from libvirtcore.drivers.qemu import paths
from libvirtcore.drivers.qemu.agent_calls import AgentCalls
from libvirtcore.drivers.qemu.attach import AttachCalls
from libvirtcore.drivers.qemu.block_calls import BlockCalls
from libvirtcore.drivers.qemu.capabilities_calls import CapabilitiesCalls
from libvirtcore.drivers.qemu.console import ConsoleCalls
from libvirtcore.drivers.qemu.define import DefineCalls
from libvirtcore.drivers.qemu.detach import DetachCalls
from libvirtcore.drivers.qemu.dump import DumpCalls
from libvirtcore.drivers.qemu.host_calls import HostCalls
from libvirtcore.drivers.qemu.info import InfoCalls
from libvirtcore.drivers.qemu.interfaces import InterfaceCalls
from libvirtcore.drivers.qemu.keys import KeyCalls
from libvirtcore.drivers.qemu.lifecycle import LifecycleCalls, destroy
from libvirtcore.drivers.qemu.lookup import LookupCalls
from libvirtcore.drivers.qemu.memory import MemoryCalls
from libvirtcore.drivers.qemu.metadata import MetadataCalls
from libvirtcore.drivers.qemu.monitor_calls import MonitorCalls
from libvirtcore.drivers.qemu.pools import PoolCalls
from libvirtcore.drivers.qemu.save import SaveCalls
from libvirtcore.drivers.qemu.stats import StatsCalls
from libvirtcore.drivers.qemu.stats_block import BlockStatsCalls
from libvirtcore.drivers.qemu.tune_calls import TuneCalls
from libvirtcore.drivers.qemu.update import UpdateCalls
from libvirtcore.drivers.qemu.vcpus import VcpuCalls
from libvirtcore.errors import VirError, report
from libvirtcore.events.families import DOMAIN, QEMU_MONITOR
from libvirtcore.generated import constants as c
from libvirtcore.handles import Handle
from libvirtcore.uri import Uri


class QemuDriver(
    LookupCalls,
    DefineCalls,
    LifecycleCalls,
    InfoCalls,
    MemoryCalls,
    MetadataCalls,
    SaveCalls,
    DumpCalls,
    VcpuCalls,
    TuneCalls,
    KeyCalls,
    MonitorCalls,
    HostCalls,
    CapabilitiesCalls,
    PoolCalls,
    StatsCalls,
    BlockStatsCalls,
    InterfaceCalls,
    ConsoleCalls,
    AttachCalls,
    DetachCalls,
    UpdateCalls,
    AgentCalls,
    BlockCalls,
    Driver,
):
    """One connection to a host."""

    name = "QEMU"

    def __init__(self, host: hosts.Host, mode: str, root: str) -> None:
        super().__init__()
        self.host = host
        self.mode = mode
        self.root = root
        self._closed = False

    @classmethod
    def connect_open(cls, uri: Uri | None, auth: Any, flags: int) -> QemuDriver | None:
        """Take qemu:///embed, but in a daemon only what it serves; decline everything else."""
        if uri is None or uri.scheme != "qemu" or uri.server or uri.transport:
            return None
        mode = uri.path.lstrip("/")
        if mode == paths.EMBED:
            root = embedded_root(uri)
            # A client of a daemon, maybe a read-only one, may not have it work in a place of its
            # own choice, with definitions of its own making.
            if not paths.is_daemon():
                return cls(hosts.acquire(paths.embedded(root)), mode, root)
        served = paths.served(mode)
        if served is not None:
            return cls(hosts.acquire(served), mode, "")
        if not paths.is_daemon():
            return None
        raise report(
            c.VIR_ERR_INTERNAL_ERROR,
            c.VIR_FROM_NONE,
            f"unexpected qemu URI path '{uri.path}', try qemu:///{paths.main_mode()}",
        )

    def connect_close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.host.unsubscribe(self.conn, wholly=True)
        owned = [guest for guest in self.host.guests() if _is_owned(guest, self.conn)]
        hosts.for_each(owned, destroy)
        hosts.release(self.host)

    def is_alive(self) -> bool:
        return True

    def is_secure(self) -> bool:
        return True

    def is_encrypted(self) -> bool:
        return False

    def get_uri(self) -> str:
        if self.mode == paths.EMBED:
            return self.conn.uri
        return f"qemu:///{self.mode}"

    # --- events -----------------------------------------------------------------------------------

    def event_subscribe(self, family: str, event_id: Any, handle: Handle | None) -> object:
        """Hear of what happens on the host; the connection's event state filters."""
        if family not in (DOMAIN, QEMU_MONITOR):
            return super().event_subscribe(family, event_id, handle)  # refuses
        self.host.subscribe(self.conn)
        return (family, event_id)

    def event_unsubscribe(self, token: object) -> None:
        self.host.unsubscribe(self.conn)


def _is_owned(guest: Any, conn: Any) -> bool:
    run = guest.run
    return run is not None and run.owner is conn


def embedded_root(uri: Uri) -> str:
    """The root that an embedded URI names. Raises: VirError."""
    root = uri.param("root")
    if root is None:
        raise report(c.VIR_ERR_INVALID_ARG, c.VIR_FROM_URI, "Missing URI parameter 'root'")
    if not os.path.isabs(root):
        raise report(c.VIR_ERR_CONFIG_UNSUPPORTED, c.VIR_FROM_NONE, "root path must be absolute")
    if "\0" in root:
        raise VirError(c.VIR_ERR_INVALID_ARG, c.VIR_FROM_NONE, "root path holds a NUL")
    return root
