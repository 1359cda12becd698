# SPDX-License-Identifier: LGPL-2.1-or-later
"""paths.py: where the daemon keeps its files: of the system, of a user's session, below a root.

              system (root)                session                       --root DIR
    config    /etc/libvirt/libvirtd.conf   $XDG_CONFIG_HOME/libvirt/…    DIR/etc/libvirt/…
    run       /run/libvirt                 $XDG_RUNTIME_DIR/libvirt      DIR/run/libvirt
    pid file  /run/libvirtd.pid            RUN/libvirtd.pid              DIR/run/libvirtd.pid
    log       /var/log/libvirt             $XDG_CACHE_HOME/libvirt       DIR/var/log/libvirt

Called by: main.py, options.py (--help). Calls: libvirtcore.settings for the XDG folders.
Never: creates anything.
"""

from __future__ import annotations

import os

SYSTEM, SESSION, ROOT = "system", "session", "root"


class Paths:
    """The places of one daemon. `socket_ro` is empty where there is no read-only socket."""

    def __init__(self, kind: str, config: str, run: str, pid_file: str, log: str) -> None:
        self.kind = kind
        self.root = ""
        self.config = config
        self.run = run
        self.pid_file = pid_file
        self.log = log

    @property
    def socket(self) -> str:
        return os.path.join(self.run, "libvirt-sock")

    @property
    def socket_ro(self) -> str:
        return "" if self.kind == SESSION else os.path.join(self.run, "libvirt-sock-ro")

    @property
    def lock(self) -> str:
        """Held by the daemon that serves this run directory, whatever its pid file is called."""
        return os.path.join(self.run, "libvirtd-state.pid")

    @property
    def private(self) -> bool:
        """Whether only the user who runs it may see the daemon's files."""
        return self.kind == SESSION


def choose(root: str | None) -> Paths:
    """The places for these options and this user."""
    if root is not None:
        paths = _below(os.path.abspath(root))
    elif os.geteuid() == 0:
        paths = Paths(
            SYSTEM, "/etc/libvirt/libvirtd.conf", "/run/libvirt", "/run/libvirtd.pid",
            "/var/log/libvirt/libvirtd.log",
        )  # fmt: skip
    else:
        paths = _session()
    return paths


def _below(root: str) -> Paths:
    paths = Paths(
        ROOT,
        os.path.join(root, "etc/libvirt/libvirtd.conf"),
        os.path.join(root, "run/libvirt"),
        os.path.join(root, "run/libvirtd.pid"),
        os.path.join(root, "var/log/libvirt/libvirtd.log"),
    )
    paths.root = root
    return paths


def _session() -> Paths:
    from libvirtcore import settings

    run = settings.runtime_directory()
    return Paths(
        SESSION,
        os.path.join(settings.config_directory(), "libvirtd.conf"),
        run,
        os.path.join(run, "libvirtd.pid"),
        os.path.join(settings.cache_directory(), "libvirtd.log"),
    )


def display(paths: Paths) -> Paths:
    """The same places as --help names them: a session's by its variables."""
    if paths.kind != SESSION:
        return paths
    return Paths(
        SESSION,
        "$XDG_CONFIG_HOME/libvirt/libvirtd.conf",
        "$XDG_RUNTIME_DIR/libvirt",
        "$XDG_RUNTIME_DIR/libvirt/libvirtd.pid",
        "$XDG_CACHE_HOME/libvirt/libvirtd.log",
    )
