# SPDX-License-Identifier: LGPL-2.1-or-later
"""files.py: files that are whole or absent, whatever happens while they are written.

A file is written beside its place, flushed to the disk and moved over; the folder is flushed too.
Called by: drivers.qemu.store, save, reconnect. Never: follows a link at the place it writes to.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets

PENDING = ".new"  # the end of a file that is being written; what a crash leaves of it is no state


def write(path: str, data: bytes, mode: int = 0o600, *, durable: bool = True) -> None:
    """Put a file in place at once. Raises: OSError, and then the old file is still there."""
    folder = os.path.dirname(path)
    pending = os.path.join(folder, f".{secrets.token_hex(8)}{PENDING}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(pending, flags, mode)
    try:
        try:
            os.fchmod(fd, mode)
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(pending, path)
    except BaseException:
        remove(pending)
        raise
    if durable:
        sync_folder(folder)


def remove(path: str) -> bool:
    """Remove a file; False when there was none or it cannot be removed."""
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


def read(path: str, limit: int) -> bytes:
    """The content of a regular file. Raises: OSError, also when it has more than `limit` bytes."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(fd, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
    return data


def sync_folder(path: str) -> None:
    """Flush a folder, so that a name in it survives a loss of power; not all file systems can."""
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def remove_pending(folder: str) -> None:
    """Remove what writers that were killed have left."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if name.startswith(".") and name.endswith(PENDING):
                remove(os.path.join(folder, name))
