# SPDX-License-Identifier: LGPL-2.1-or-later
"""ownership.py: the files of a guest belong to the account of its QEMU while it runs.

Images, kernels and devices that QEMU opens by itself are given to that account and given back when
the guest ends: to whom they belonged before, or to root where qemu.conf says remember_owner = 0.
What was taken is on record in the state folder, which QEMU cannot reach. A file that another
guest uses too is given back by the last one.
Called by: drivers.qemu.start, stop, resources, reconnect; attach code (`take_disk`).
Calls: files, accounts.
Never: gives away a directory or a socket; changes anything when dynamic_ownership is 0 or QEMU
has our own account.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from libvirtcore.drivers.qemu import files
from libvirtcore.drivers.qemu.guest import system_error
from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c
from libvirtcore.log import WARNING, log

if TYPE_CHECKING:
    from libvirtcore.conf import Domain
    from libvirtcore.drivers.qemu.host import Host

_LIMIT = 4 << 20
_SOURCE = "drivers.qemu.ownership"
_FOLDER = 0o710  # QEMU's group may pass through, nobody else may look


def paths_of(model: Domain) -> Iterator[str]:
    """The files of a definition that QEMU opens by itself."""
    system = model.os
    if system is not None:
        for name in ("kernel", "initrd", "dtb"):
            path = getattr(system, name, None)
            if isinstance(path, str):
                yield path
        nvram = getattr(system, "nvram", None)
        path = getattr(nvram, "value", None) or _file(getattr(nvram, "source", None))
        if path:
            yield path
    for disk in model.devices.disks:
        yield from disk_paths(disk)
    for group in ("serials", "parallels", "consoles", "channels"):
        for device in getattr(model.devices, group, None) or ():
            path = device.source.path if device.source is not None else None
            if device.type in ("dev", "pipe") and path:
                yield path


def disk_paths(disk: Any) -> Iterator[str]:
    """The images of a disk, from the top down."""
    layer = disk
    while layer is not None:
        path = _file(getattr(layer, "source", None))
        if path and not path.startswith("/dev/fdset/"):
            yield path
        layer = getattr(layer, "backing_store", None)


def _file(source: Any) -> str | None:
    if source is None:
        return None
    path = getattr(source, "file", None) or getattr(source, "dev", None)
    return path if isinstance(path, str) and path else None


# --- taking ---------------------------------------------------------------------------------------


def take(host: Host, name: str, model: Domain) -> None:
    """Give a guest's files to its QEMU. Raises: VirError; what was taken by then is on record."""
    if host.account is None or not host.conf.dynamic_ownership:
        return
    _take_all(host, name, list(dict.fromkeys(paths_of(model))))


def take_disk(host: Host, name: str, disk: Any) -> None:
    """The same for the images of a disk that a running guest gets. Raises: VirError."""
    if host.account is not None and host.conf.dynamic_ownership:
        _take_all(host, name, list(disk_paths(disk)))


def _take_all(host: Host, name: str, paths: list[str]) -> None:
    account = host.account
    assert account is not None
    with host.owning:
        taken = dict(host.owners.get(name, {}))
        others = _taken_by_others(host, name)
        before = dict(taken)
        for path in paths:
            known = others.get(path)
            if path not in taken:
                owner = known or _owner(path)
                if owner is not None:
                    taken[path] = owner
        if taken != before:
            _save(host, name, taken)
        for path in paths:
            if path in taken:
                _give(path, account.uid, account.gid)


def _owner(path: str) -> tuple[int, int] | None:
    """To whom a file belongs; None for what nobody has to be given."""
    try:
        status = os.stat(path)
    except OSError as fault:
        raise system_error(fault, f"unable to stat '{path}'", c.VIR_FROM_SECURITY) from None
    if stat.S_ISDIR(status.st_mode) or stat.S_ISSOCK(status.st_mode):
        return None
    return status.st_uid, status.st_gid


def _give(path: str, uid: int, gid: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
            if (status.st_uid, status.st_gid) == (uid, gid) or stat.S_ISDIR(status.st_mode):
                return
            os.chown(f"/proc/self/fd/{fd}", uid, gid)
        finally:
            os.close(fd)
    except OSError as fault:
        if fault.errno == 30 or stat.S_ISCHR(_mode(path)):  # read-only, or a terminal in use
            return
        text = f"unable to set user and group to '{uid}:{gid}' on '{path}'"
        raise system_error(fault, text, c.VIR_FROM_SECURITY) from None


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode
    except OSError:
        return 0


# --- giving back ----------------------------------------------------------------------------------


def give_back(host: Host, name: str, paths: list[str] | None = None) -> None:
    """Give a guest's files (all, or some) back. Never fails; what could not be done is logged."""
    with host.owning:
        taken = dict(host.owners.get(name, {}))
        if not taken:
            return
        others = _taken_by_others(host, name)
        for path in list(taken) if paths is None else paths:
            owner = taken.pop(path, None)
            if owner is None or path in others:
                continue
            uid, gid = owner if host.conf.remember_owner else (0, 0)
            try:
                if os.path.exists(path):
                    _give(path, uid, gid)
            except Exception as fault:
                log(WARNING, _SOURCE, f"{path} was not given back: {fault}")
        try:
            _save(host, name, taken)
        except VirError as fault:
            log(WARNING, _SOURCE, fault.message)


def _path(host: Host, name: str) -> str:
    return os.path.join(host.paths.state, f"{name}.owners")


def _load(host: Host, name: str) -> None:
    try:
        said = json.loads(files.read(_path(host, name), _LIMIT))
        known = {str(path): (int(uid), int(gid)) for path, (uid, gid) in said.items()}
    except (OSError, ValueError, TypeError, AttributeError) as fault:
        log(WARNING, _SOURCE, f"{_path(host, name)} is left alone: {fault}")
        return
    host.owners[name] = known


def _save(host: Host, name: str, taken: dict[str, tuple[int, int]]) -> None:
    if not taken:
        host.owners.pop(name, None)
        files.remove(_path(host, name))
        return
    host.owners[name] = taken
    try:
        files.write(_path(host, name), json.dumps(taken).encode(), durable=False)
    except OSError as fault:
        text = f"Failed to create file '{_path(host, name)}'"
        raise system_error(fault, text, c.VIR_FROM_NONE) from None


def _taken_by_others(host: Host, name: str) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for other, taken in host.owners.items():
        if other != name:
            found.update(taken)
    return found


def settle(host: Host) -> None:
    """At the beginning: read all records; give back what guests that are gone have left."""
    suffix = ".owners"
    try:
        names = [entry for entry in os.listdir(host.paths.state) if entry.endswith(suffix)]
    except OSError:
        return
    guests = [entry.removesuffix(suffix) for entry in names]
    for name in guests:
        _load(host, name)
    for name in guests:
        guest = host.by_name.get(name)
        if guest is None or guest.run is None:
            give_back(host, name)


# --- folders --------------------------------------------------------------------------------------


def let_pass(host: Host, folder: str) -> None:
    """Let QEMU's group pass through a folder of the host and those above it. Raises: VirError."""
    account, lib = host.account, host.paths.lib
    if account is None or not (folder == lib or folder.startswith(lib + os.sep)):
        return
    root = os.path.commonpath([host.paths.config, lib])
    try:
        while folder != root and folder.startswith(root.rstrip(os.sep) + os.sep):
            if not os.stat(folder).st_mode & stat.S_IXOTH:
                os.chown(folder, -1, account.gid)
                os.chmod(folder, _FOLDER)
            folder = os.path.dirname(folder)
    except OSError as fault:
        text = f"unable to let group {account.gid} into '{folder}'"
        raise system_error(fault, text, c.VIR_FROM_SECURITY) from None


def open_way(host: Host, folder: str) -> None:
    """Give a folder of a guest to QEMU, and let QEMU's group pass through those above it.

    Raises: VirError.
    """
    account = host.account
    if account is None:
        return
    let_pass(host, os.path.dirname(folder))
    try:
        os.chown(folder, account.uid, account.gid)
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                os.chown(path, account.uid, account.gid, follow_symlinks=False)
    except OSError as fault:
        text = f"unable to give '{folder}' to user {account.uid}"
        raise system_error(fault, text, c.VIR_FROM_SECURITY) from None
