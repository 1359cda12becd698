# SPDX-License-Identifier: LGPL-2.1-or-later
"""save_file.py: files of saved guests, in libvirt's own form, so that both can read both's.

    16 bytes   LibvirtQemudSave, or LibvirtQemudPart while it is being written
    19 × u32   version 2, length of what follows up to the stream, was it running (1), paused (2) or
               …, compression, offset of the cookie, 14 unused – in the order of bytes of the host
    text       the domain's document, a NUL, a cookie or nothing, NULs
    stream     what QEMU wrote

Called by: drivers.qemu.save, lookup, define, reconnect. Calls: nothing.
Never: trusts a length.
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from libvirtcore.drivers.qemu.guest import system_error
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c

if TYPE_CHECKING:
    from libvirtcore.drivers.qemu.host import Host

DONE, PART = b"LibvirtQemudSave", b"LibvirtQemudPart"
VERSION = 2
_HEADER = struct.Struct("=16s19I")
_PADDING = 1024  # room for a longer document, see replace_xml
_TEXT_MAX = 16 << 20


class Damaged(VirError):
    """A file that is no saved guest, or not all of one."""

    def __init__(self, detail: str) -> None:
        plain = report(c.VIR_ERR_OPERATION_FAILED, c.VIR_FROM_QEMU, detail)
        super().__init__(plain.code, plain.domain, plain.message, str1=plain.str1, str2=plain.str2)


@dataclass(slots=True)
class Header:
    """What a file says before QEMU's stream begins."""

    xml: str
    running: bool
    text_length: int
    cookie: bytes = b""

    @property
    def offset(self) -> int:
        """Where QEMU's stream begins."""
        return _HEADER.size + self.text_length


def managed_path(host: Host, name: str) -> str:
    """Where the managed save of a guest is, if there is one."""
    return os.path.join(host.paths.save, f"{name}.save")


def has_managed(host: Host, name: str) -> bool:
    return os.path.exists(managed_path(host, name))


def create(path: str) -> int:
    """Make or empty a file for a guest; for its owner alone. Raises: VirError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except OSError as fault:
        raise system_error(fault, f"Failed to create file '{path}'") from None


def remove(fd: int, path: str) -> None:
    """Remove a file that did not come about, unless it is no ordinary file: that was there."""
    with contextlib.suppress(OSError):
        if stat.S_ISREG(os.fstat(fd).st_mode):
            os.unlink(path)


def write_header(fd: int, xml: str, running: bool, path: str) -> None:
    """Begin a file; it does not count until `complete`. Raises: VirError."""
    text = xml.encode() + b"\0"
    length = len(text) + _PADDING
    head = _HEADER.pack(PART, VERSION, length, int(running), 0, 0, *([0] * 14))
    try:
        _write_all(fd, head + text.ljust(length, b"\0"))
    except OSError as fault:
        raise system_error(fault, f"failed to write header to domain save file '{path}'") from None


def complete(fd: int, path: str, *, bypass_cache: bool = False) -> None:
    """Everything is written: flush it, then say so. Raises: VirError."""
    try:
        os.fsync(fd)
        os.pwrite(fd, DONE, 0)
        os.fsync(fd)
        if bypass_cache:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError as fault:
        raise system_error(fault, f"unable to write {path}") from None


def open_saved(path: str, *, writable: bool = False) -> tuple[int, Header]:
    """Open a file and read its head; the descriptor stands where the stream begins.

    Raises: Damaged, VirError.
    """
    try:
        fd = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)
    except OSError as fault:
        raise system_error(fault, f"Failed to open file '{path}'") from None
    try:
        header = _read_header(fd)
        os.lseek(fd, header.offset, os.SEEK_SET)
        return fd, header
    except OSError as fault:
        os.close(fd)
        raise system_error(fault, f"failed to read {path}") from None
    except BaseException:
        os.close(fd)
        raise


def _read_header(fd: int) -> Header:
    data = os.pread(fd, _HEADER.size, 0)
    if len(data) < _HEADER.size:
        raise Damaged("failed to read qemu header")
    magic, version, length, running, compressed, cookie, *_ = _HEADER.unpack(data)
    if magic == PART:
        raise Damaged("save image is incomplete")
    if magic != DONE:
        raise Damaged("image magic is incorrect")
    if version > VERSION:
        raise Damaged(f"image version is not supported ({version} > {VERSION})")
    if not 0 < length <= _TEXT_MAX or length > os.fstat(fd).st_size:
        raise Damaged(f"invalid header data length: {length}")
    if compressed:
        raise report(
            c.VIR_ERR_OPERATION_UNSUPPORTED,
            c.VIR_FROM_QEMU,
            f"save images with compression {compressed} are not supported",
        )
    text = os.pread(fd, length, _HEADER.size)
    if len(text) < length:
        raise Damaged("failed to read domain XML")
    xml, _nul, _rest = text.partition(b"\0")
    kept = text[cookie:].rstrip(b"\0") if 0 < cookie < length else b""
    try:
        return Header(xml.decode(), running == 1, length, kept)
    except UnicodeDecodeError:
        raise Damaged("failed to read domain XML") from None


def replace_xml(fd: int, header: Header, xml: str, running: bool) -> None:
    """Put another document into a file, if there is room. Raises: VirError."""
    text = xml.encode() + b"\0"
    cookie = 0
    if header.cookie:
        cookie = len(text)
        text += header.cookie + b"\0"
    if len(text) > header.text_length:
        raise report(
            c.VIR_ERR_OPERATION_FAILED, c.VIR_FROM_QEMU, "new xml too large to fit in file"
        )
    head = _HEADER.pack(DONE, VERSION, header.text_length, int(running), 0, cookie, *([0] * 14))
    try:
        os.lseek(fd, 0, os.SEEK_SET)
        _write_all(fd, head + text.ljust(header.text_length, b"\0"))
        os.fsync(fd)
    except OSError as fault:
        raise system_error(fault, "failed to write xml") from None


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def close(fd: int) -> None:
    with contextlib.suppress(OSError):
        os.close(fd)
