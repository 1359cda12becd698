# SPDX-License-Identifier: LGPL-2.1-or-later
"""images.py: which images lie below a disk's image, read from the images themselves.

QEMU is told every image of a chain by name and opens no other. A document that states its chain is
believed; below an image it says nothing about, the headers of qcow2 images are read. An image
declared raw has nothing below it, whatever its first bytes look like.
Called by: drivers.qemu.resources, attach code. Calls: conf, guest.system_error.
Never: guesses a format that would make QEMU open more files; writes to an image.
"""

from __future__ import annotations

import os
import re
import struct
from typing import Any, NamedTuple

from libvirtcore.conf.storage import FORMATS, BackingStore, Format, Source
from libvirtcore.drivers.qemu.guest import system_error
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c

MAX_IMAGES = 200  # in one chain
MAX_HEADER = 1 << 16
MAX_NAME = 1023  # QEMU's limit on the name of a backing file
FILES = "/dev/fdset/"  # open files that a user has passed
_MAGIC = b"QFI\xfb"
_BACKING_FORMAT = 0xE2792ACA
_PROTOCOL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PLACES = {"file": "file", "block": "dev"}


class Below(NamedTuple):
    """What an image says of the image below it."""

    name: str
    format: str | None


def complete_chain(disk: Any) -> None:
    """Write into a disk what is below its image, as far as files tell. Raises: VirError."""
    name = _path(disk.type, disk.source)
    if name is None or name.startswith(FILES):
        return
    _check(name, None)
    upper, kind = disk, disk.type
    form = (disk.driver.type if disk.driver is not None else None) or "raw"
    seen = {_identity(name)}
    while upper.backing_store is not None:  # stated by the document
        if upper.backing_store.type is None:
            return
        upper = upper.backing_store
        kind = upper.type
        form = (upper.format.type if upper.format is not None else None) or "raw"
        path = _path(kind, upper.source)
        if path is None:
            return
        _check(path, name)
        name = path
        seen.add(_identity(name))
    while True:
        below = read_below(name) if form == "qcow2" else None
        if below is None:
            upper.backing_store = BackingStore()
            return
        path = _resolve(name, below.name)
        _check(path, name)
        if _identity(path) in seen or len(seen) >= MAX_IMAGES:
            raise _refused(f"backing store for {name} ({path}) is self-referential")
        seen.add(_identity(path))
        form = below.format or _only_raw(path, name)
        kind = "block" if _is_block(path) else "file"
        source = Source(dev=path) if kind == "block" else Source(file=path)
        store = BackingStore(type=kind, format=Format(type=form), source=source)
        upper.backing_store = store
        upper, name = store, path


def read_below(path: str) -> Below | None:
    """What the header of a qcow2 image says; None when it stands alone or is no qcow2."""
    try:
        with open(path, "rb") as file:
            head = file.read(MAX_HEADER)
    except OSError as fault:
        raise _inaccessible(fault, path, None) from None
    return parse_header(head, path)


def parse_header(head: bytes, path: str = "image") -> Below | None:
    """The same of the first bytes of an image. Raises: VirError when they cannot be right."""
    if len(head) < 72 or head[:4] != _MAGIC:
        return None
    version, offset, size = struct.unpack_from(">IQI", head, 4)
    if not offset or not size:
        return None
    if size > MAX_NAME or offset + size > len(head):
        raise _refused(f"the name of the backing file of '{path}' is not where it can be")
    raw = head[offset : offset + size]
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        raise _refused(f"the name of the backing file of '{path}' is not UTF-8") from None
    if "\0" in name:
        raise _refused(f"the name of the backing file of '{path}' contains NUL")
    start = 72
    if version >= 3:
        start = struct.unpack_from(">I", head, 100)[0] if len(head) >= 104 else len(head)
    return Below(name, _format(head, start, offset, path))


def _format(head: bytes, place: int, end: int, path: str) -> str | None:
    """The format among the extensions of a header, which end where the name begins."""
    while place + 8 <= min(end, len(head)):
        kind, size = struct.unpack_from(">II", head, place)
        place += 8
        if kind == 0 or size > len(head) - place:
            return None
        if kind == _BACKING_FORMAT:
            name = head[place : place + size].decode("ascii", "replace")
            if name not in FORMATS:
                raise _refused(f"unknown format '{name}' of the backing file of '{path}'")
            return name
        place += -(-size // 8) * 8
    return None


def _only_raw(path: str, above: str) -> str:
    """The format of a file about which nothing is said: raw, unless it looks like a chain."""
    with open(path, "rb") as file:
        looks = file.read(4) == _MAGIC
    if looks:
        message = (
            f"format of backing image '{path}' of image '{above}' was not specified in the image "
            "metadata (See https://libvirt.org/kbase/backing_chains.html for troubleshooting)"
        )
        raise report(c.VIR_ERR_OPERATION_INVALID, c.VIR_FROM_STORAGE, message)
    return "raw"


def _path(kind: str | None, source: Any) -> str | None:
    place = _PLACES.get(kind or "")
    return getattr(source, place) if place is not None and source is not None else None


def _resolve(above: str, name: str) -> str:
    """The path of a backing file, which is relative to the image above it."""
    if name.startswith("file:"):
        name = name.removeprefix("file:")
    elif _PROTOCOL.match(name) and "/" not in name.partition(":")[0]:
        raise _refused(f"backing store '{name}' of '{above}' must be stated in the document")
    return os.path.normpath(os.path.join(os.path.dirname(above), name))


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _is_block(path: str) -> bool:
    return (os.stat(path).st_mode & 0o170000) == 0o060000


def _check(path: str, above: str | None) -> None:
    try:
        os.stat(path)
    except OSError as fault:
        raise _inaccessible(fault, path, above) from None


def _inaccessible(fault: OSError, path: str, above: str | None) -> VirError:
    if above is None:
        return system_error(fault, f"Cannot access storage file '{path}'", c.VIR_FROM_STORAGE)
    what = f"Cannot access backing file '{path}' of storage file '{above}'"
    return system_error(fault, what, c.VIR_FROM_STORAGE)


def _refused(message: str) -> VirError:
    return report(c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_STORAGE, message)
