# SPDX-License-Identifier: LGPL-2.1-or-later
"""Talking to QEMU: a client of its monitor (QMP) and of the guest agent, sync and asyncio.

    from libvirtcore import qmp
    with qmp.connect("/path/monitor.sock", timeout=5) as monitor:
        monitor.execute("query-status")

Called by: users, drivers.qemu. docs/qmp.md explains. Reading order: lines, errors, connection,
core and pure (twins), client, agent, aio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from libvirtcore.qmp.client import Client, connect
from libvirtcore.qmp.connection import IMPLEMENTATION
from libvirtcore.qmp.errors import QMPError
from libvirtcore.qmp.lines import Event

if TYPE_CHECKING:
    import libvirtcore.qmp.aio as aio
    from libvirtcore.qmp.agent import Agent

__all__ = ["IMPLEMENTATION", "Agent", "Client", "Event", "QMPError", "aio", "connect"]


def __getattr__(name: str) -> Any:
    """What not everybody needs is imported when asked for."""
    import importlib

    if name == "aio":
        return importlib.import_module("libvirtcore.qmp.aio")
    if name == "Agent":
        return importlib.import_module("libvirtcore.qmp.agent").Agent
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
