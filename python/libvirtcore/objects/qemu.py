# SPDX-License-Identifier: LGPL-2.1-or-later
"""qemu.py: the functions of `import libvirt_qemu` that are more than one call.

Called by: libvirt_qemu.py. Calls: libvirtmod_qemu. Never: knows drivers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import libvirtmod_qemu
from libvirtcore.errors import libvirtError
from libvirtcore.objects.classes import virDomain

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from libvirtcore.annotations import _T
    from libvirtcore.objects.connect import virConnect


def _dispatchQemuMonitorEventCallback(
    conn: virConnect,
    dom: Any,
    event: str,
    seconds: int,
    micros: int,
    details: str | None,
    cbData: dict[str, Any],
) -> int:
    """Call the callback of qemuMonitorEventRegister."""
    cbData["cb"](conn, virDomain(conn, dom), event, seconds, micros, details, cbData["opaque"])
    return 0


def qemuMonitorEventRegister(
    conn: virConnect,
    dom: virDomain | None,
    event: str | None,
    cb: Callable[[virConnect, virDomain, str, int, int, str | None, _T], None],
    opaque: _T,
    flags: int = 0,
) -> int:
    """Call `cb` on monitor events of one domain, or of all; `event` chooses them by name.

    Returns the number that qemuMonitorEventDeregister takes.
    """
    numbers: dict[int, Any] = conn.__dict__.setdefault("qemuMonitorEventCallbackID", {})
    data = {"cb": cb, "conn": conn, "opaque": opaque}
    handle = None if dom is None else dom._o
    ret: int = libvirtmod_qemu.virConnectDomainQemuMonitorEventRegister(
        conn._o, handle, event, data, flags
    )
    if ret == -1:
        raise libvirtError("virConnectDomainQemuMonitorEventRegister() failed")
    numbers[ret] = opaque
    return ret


def qemuMonitorEventDeregister(conn: virConnect, callbackID: int) -> None:
    """Forget a callback of qemuMonitorEventRegister."""
    ret = libvirtmod_qemu.virConnectDomainQemuMonitorEventDeregister(conn._o, callbackID)
    if ret == -1:
        raise libvirtError("virConnectDomainQemuMonitorEventDeregister() failed")
    del conn.qemuMonitorEventCallbackID[callbackID]


def qemuMonitorCommandWithFiles(
    domain: virDomain,
    cmd: str,
    files: list[int] = [],  # noqa: B006  (never changed; the public default)
    flags: int = 0,
) -> tuple[str, list[IO[bytes]]]:
    """Send a command with open files to QEMU's monitor; return its answer and the files it sent."""
    ret = libvirtmod_qemu.virDomainQemuMonitorCommandWithFiles(domain._o, cmd, files, flags)
    if ret is None:
        raise libvirtError("virDomainQemuMonitorCommandWithFiles() failed")
    return ret  # type: ignore[no-any-return]
