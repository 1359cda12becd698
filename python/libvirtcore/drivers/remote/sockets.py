# SPDX-License-Identifier: LGPL-2.1-or-later
"""sockets.py: which UNIX socket leads to the daemon, and which program serves it.

    legacy: libvirtd, one socket for all drivers       direct: virtqemud, virtnetworkd, …

Called by: unix.py, ssh.py.
Never: connects.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

from libvirtcore import settings
from libvirtcore.drivers.remote.options import Options

# Not /run: the path may be used on another host, and every host with /run has this link too.
SYSTEM_SOCKETS = "/var/run/libvirt"


@dataclass(frozen=True)
class Endpoint:
    """A socket and the programs that may serve it, the preferred one first."""

    path: str
    daemons: tuple[str, ...]


def _path(prefix: str, options: Options) -> str:
    if options.session:
        return os.path.join(settings.runtime_directory(), f"{prefix}-sock")
    return f"{SYSTEM_SOCKETS}/{prefix}-sock{'-ro' if options.readonly else ''}"


def shared_endpoint(options: Options) -> Endpoint:
    """Where libvirtd listens for all drivers."""
    return Endpoint(_path("libvirt", options), ("libvirtd",))


def choose(options: Options) -> Endpoint:
    """The socket for a local connection, or the one to reach at the far end of ssh."""
    shared = _path("libvirt", options)
    if options.transport != "unix" or options.mode == "legacy":
        return Endpoint(shared, ("libvirtd",))
    if not options.driver:
        daemons = ("virtproxyd",) if options.mode == "direct" else ("libvirtd", "virtproxyd")
        return Endpoint(shared, daemons)
    daemon = f"virt{options.driver}d"
    direct = Endpoint(_path(daemon, options), (daemon,))
    if options.mode == "direct" or os.path.exists(direct.path):
        return direct
    if not os.path.exists(shared) and options.autostart and find_daemon("libvirtd") is None:
        return direct
    return Endpoint(shared, ("libvirtd", "virtproxyd"))


def find_daemon(name: str) -> str | None:
    """The program of a daemon: in the folder VIRTD_PATH or LIBVIRTD_PATH, in PATH, or in sbin."""
    folder = os.environ.get("VIRTD_PATH") or os.environ.get("LIBVIRTD_PATH")
    if folder:
        path = os.path.join(folder, name) if os.path.isdir(folder) else folder
        return path if os.access(path, os.X_OK) else None
    path = os.environ.get("PATH", os.defpath)
    return shutil.which(name, path=f"{path}:/usr/local/sbin:/usr/sbin:/sbin")
