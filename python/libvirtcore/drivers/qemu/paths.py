# SPDX-License-Identifier: LGPL-2.1-or-later
"""paths.py: where a host keeps its state, and which host this process is.

    embedded    everything under the root that the URI names
    system      /etc/libvirt, /run/libvirt, /var/lib/libvirt, …, or the same under the daemon's root
    session     the folders of the XDG rules

A daemon calls `serve` before it takes clients; without that, only `qemu:///embed` opens here.
Called by: libvirtd, drivers.qemu.host. Calls: settings (the XDG folders).
Never: makes a folder by being imported.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from libvirtcore import settings

SYSTEM, SESSION, EMBED = "system", "session", "embed"


@dataclass(frozen=True, slots=True)
class Paths:
    """The folders of one host. Two hosts with equal `key` are the same host."""

    key: str  # embed:DIR, system:DIR or session:DIR
    config: str  # definitions, autostart links below
    state: str  # status of running guests, process numbers, the lock
    lib: str  # monitor sockets, saved guests, dumps
    cache: str  # what QEMU binaries can do
    log: str  # one file per guest

    @property
    def autostart(self) -> str:
        return os.path.join(self.config, "autostart")

    @property
    def save(self) -> str:
        return os.path.join(self.lib, "save")

    @property
    def dump(self) -> str:
        return os.path.join(self.lib, "dump")

    def make(self) -> None:
        """Make the folders; those that hold secrets are for their owner alone. Raises: OSError."""
        for path in (self.config, self.autostart, self.state, self.lib, self.save, self.dump):
            make_private(path)
        for path in (self.cache, self.log):
            make_private(path)


def make_private(path: str) -> None:
    """Make a folder and what is missing above it, each 0700 under any umask. Raises: OSError."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for item in reversed(missing):
        try:
            os.mkdir(item, 0o700)
        except FileExistsError:
            continue
        os.chmod(item, 0o700)


def embedded(root: str) -> Paths:
    """The folders of `qemu:///embed?root=DIR`, laid out as libvirt's embedded driver does."""
    root = os.path.normpath(root)
    return Paths(
        key=f"{EMBED}:{os.path.realpath(root)}",
        config=os.path.join(root, "etc", "qemu"),
        state=os.path.join(root, "run", "qemu"),
        lib=os.path.join(root, "lib", "qemu"),
        cache=os.path.join(root, "cache", "qemu"),
        log=os.path.join(root, "log", "qemu"),
    )


def system(root: str = "/") -> Paths:
    """The folders of the host's own daemon; `root` moves all of them."""
    return Paths(
        key=f"{SYSTEM}:{os.path.realpath(root)}",
        config=os.path.join(root, "etc/libvirt/qemu"),
        state=os.path.join(root, "run/libvirt/qemu"),
        lib=os.path.join(root, "var/lib/libvirt/qemu"),
        cache=os.path.join(root, "var/cache/libvirt/qemu"),
        log=os.path.join(root, "var/log/libvirt/qemu"),
    )


def session() -> Paths:
    """The folders of the user's own daemon."""
    config = os.path.join(settings.config_directory(), "qemu")
    return Paths(
        key=f"{SESSION}:{os.path.realpath(config)}",
        config=config,
        state=os.path.join(settings.runtime_directory(), "qemu", "run"),
        lib=os.path.join(config, "lib"),
        cache=os.path.join(settings.cache_directory(), "qemu"),
        log=os.path.join(settings.cache_directory(), "qemu", "log"),
    )


# --- what this process serves ---------------------------------------------------------------------

_served: dict[str, Paths] = {}  # system, session → the host's folders


def serve(mode: str, root: str | None = None) -> Paths:
    """Say that this process is the daemon of qemu:///system or qemu:///session.

    With a root all state is under it, whatever the mode. Returns the folders it will use.
    """
    paths = session() if root is None and mode == SESSION else system(root or "/")
    _served[mode] = paths
    return paths


def set_root(root: str | None) -> None:
    """Serve qemu:///system and qemu:///session from one root; None: as the user's id says."""
    if root is not None:
        serve(SYSTEM, root)
        serve(SESSION, root)
    else:
        serve(SYSTEM if os.geteuid() == 0 else SESSION)


def stop_serving() -> None:
    """Leave qemu:///system and qemu:///session to the remote driver again."""
    _served.clear()


def served(mode: str) -> Paths | None:
    """The folders of a host this process serves; None for a process that is no daemon."""
    return _served.get(mode)


def is_served(paths: Paths) -> bool:
    """Whether these folders are those of a host this process serves."""
    return any(paths.key == mine.key for mine in _served.values())


def is_daemon() -> bool:
    return bool(_served)


def main_mode() -> str:
    """What this daemon serves first."""
    return SYSTEM if SYSTEM in _served else SESSION
