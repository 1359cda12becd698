# SPDX-License-Identifier: LGPL-2.1-or-later
"""drivers.py: the drivers that keep state, from the daemon's point of view: start, reload, stop.

Called by: main.py (start), daemon.py. Calls: libvirtcore.drivers.qemu.
Never: imports a driver that has nothing to do yet: a daemon without guests is ready at once, and
the first client of qemu:/// brings the driver in.
"""

from __future__ import annotations

import os
import sys

from libvirtcore.log import ERROR, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from libvirtd.paths import Paths

_SOURCE = "daemon.drivers"


def start(paths: Paths) -> None:
    """Say which hosts this process is, then find the guests that run and start those that shall."""
    from libvirtcore.drivers.qemu import paths as qemu

    if paths.root:
        qemu.set_root(paths.root)
        served = qemu.served(qemu.SYSTEM)
    else:
        served = qemu.serve(qemu.SESSION if paths.private else qemu.SYSTEM)
    if served is None or not _any_file((served.state, served.autostart), except_for="driver.pid"):
        return
    from libvirtcore.drivers.qemu import host

    host.acquire(served)  # never given back: `stop` closes it


def _any_file(folders: Iterable[str], except_for: str) -> bool:
    for folder in folders:
        try:
            if any(name != except_for for name in os.listdir(folder)):
                return True
        except FileNotFoundError:
            continue
    return False


def _host() -> ModuleType | None:
    """The driver's host module, if anybody has needed it."""
    return sys.modules.get("libvirtcore.drivers.qemu.host")


def reload() -> None:
    """Have the drivers read their configuration again."""
    host = _host()
    if host is not None and hasattr(host, "reload"):
        host.reload()


def busy() -> bool:
    """Whether a guest runs that needs this daemon: no idle time ends it then."""
    host = _host()
    return host is not None and bool(host.any_active())


def stop() -> None:
    """Let go of the guests; they run on."""
    host = _host()
    if host is None:
        return
    try:
        host.close_all()
    except Exception as fault:
        log(ERROR, _SOURCE, f"the QEMU driver did not stop cleanly: {fault}")
