# SPDX-License-Identifier: LGPL-2.1-or-later
"""resources_files.py: files and devices of the host that are opened here and handed to QEMU.

QEMU runs with less rights than we do, so what it writes to (files and logs of character devices)
and the kernel's vhost devices come to it as descriptors.
Called by: drivers.qemu.resources. Calls: errors.
Never: follows what a guest says; closes a descriptor (resources does).
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from libvirtcore.drivers.qemu.guest import internal, system_error
from libvirtcore.errors import report
from libvirtcore.generated import constants as c

if TYPE_CHECKING:
    from libvirtcore.conf import Domain

VSOCK, VHOST_NET = "/dev/vhost-vsock", "/dev/vhost-net"
_SET_GUEST_CID = 0x4008AF60  # VHOST_VSOCK_SET_GUEST_CID
_FIRST_CID, _LAST_CID = 3, 0xFFFFFFFE


# --- files of character devices -------------------------------------------------------------------


def character_files(model: Domain) -> Iterator[tuple[str, str, bool]]:
    """(name in the context, path, whether to append) of each file, in the command's order."""
    done = set()
    devices = model.devices
    for group in (devices.serials, devices.parallels, devices.channels, devices.consoles):
        for device in group:
            alias = device.alias.name if device.alias is not None else None
            if not alias or alias in done:
                continue
            done.add(alias)
            source, log = device.source, device.log
            if device.type == "file" and source is not None and source.path:
                yield alias, source.path, source.append is True
            if log is not None and log.file:
                yield f"{alias}-log", log.file, log.append is True


def open_file(path: str, append: bool) -> int:
    """A file to write to. What it had goes, unless it is appended to. Raises: VirError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
    try:
        fd = os.open(path, flags | (0 if append else os.O_TRUNC), 0o600)
        os.set_blocking(fd, True)
        return fd
    except OSError as fault:
        raise system_error(fault, f"Unable to open file: {path}") from None


# --- vhost ----------------------------------------------------------------------------------------


def open_vsock(device: Any) -> int:
    """The kernel's side of a guest's vsock, with its number; one is chosen if asked for.

    Raises: VirError.
    """
    try:
        fd = os.open(VSOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        raise report(
            c.VIR_ERR_CONFIG_UNSUPPORTED, c.VIR_FROM_QEMU, "unable to open vhost-vsock device"
        ) from None
    try:
        _number(fd, device.cid)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _number(fd: int, cid: Any) -> None:
    if cid is None:
        return
    if not cid.auto:
        try:
            fcntl.ioctl(fd, _SET_GUEST_CID, struct.pack("=Q", cid.address or 0))
        except OSError as fault:
            raise system_error(fault, f"unable to set guest cid {cid.address}") from None
        return
    for number in range(_FIRST_CID, _LAST_CID):
        try:
            fcntl.ioctl(fd, _SET_GUEST_CID, struct.pack("=Q", number))
        except OSError as fault:
            if fault.errno == errno.EADDRINUSE:
                continue
            raise system_error(fault, "unable to set guest cid") from None
        cid.address = number
        return
    raise internal("unable to set guest cid")


def open_vhost_net(model: Domain, interface: Any) -> int | None:
    """The kernel's side of a virtio card, None where QEMU does it itself. Raises: VirError."""
    driver = interface.driver
    name = driver.name if driver is not None else None
    card = interface.model.type if interface.model is not None else None
    if model.type != "kvm" or name == "qemu" or not str(card).startswith("virtio"):
        return None
    try:
        return os.open(VHOST_NET, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        if name != "vhost":
            return None
        raise report(
            c.VIR_ERR_CONFIG_UNSUPPORTED,
            c.VIR_FROM_QEMU,
            "vhost-net was requested for an interface, but is unavailable",
        ) from None
