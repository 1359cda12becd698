# SPDX-License-Identifier: LGPL-2.1-or-later
"""pidfile.py: a file that holds our process number and is locked for as long as we live.

The lock is libvirt's own (fcntl, first byte), so that its daemons and ours never share one place.
It falls with the process, however that ends: a file left behind stops nobody.
Called by: main.py. Never: removes a file that another daemon has taken over.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct

from libvirtd.fatal import PIDFILE, Fatal

_FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, pid
_TRIES = 10


class PidFile:
    """A locked pid file. It stays until `release`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1

    def acquire(self) -> None:
        """Lock the file and write our number. Raises: Fatal when another process holds it."""
        for _ in range(_TRIES):
            fd = self._open()
            try:
                if self._lock(fd) and self._is_still_there(fd):
                    os.ftruncate(fd, 0)
                    os.pwrite(fd, str(os.getpid()).encode(), 0)
                    self._fd, fd = fd, -1
                    return
            except OSError as fault:
                text = f"Failed to write pid file '{self.path}': {fault.strerror}"
                raise Fatal(PIDFILE, text) from None
            finally:
                if fd >= 0:
                    os.close(fd)
        raise Fatal(PIDFILE, f"Failed to acquire pid file '{self.path}': it keeps being replaced")

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            return os.open(self.path, flags, 0o644)
        except OSError as fault:
            text = f"Failed to open pid file '{self.path}': {fault.strerror}"
            raise Fatal(PIDFILE, text) from None

    def _lock(self, fd: int) -> bool:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
        except BlockingIOError:
            raise Fatal(PIDFILE, self._held(fd)) from None
        return True

    def _held(self, fd: int) -> str:
        text = f"Failed to acquire pid file '{self.path}': Resource temporarily unavailable"
        holder = _holder(fd)
        return f"{text}: {describe(holder)} holds it" if holder else text

    def _is_still_there(self, fd: int) -> bool:
        """A daemon that ended just now may have removed what we locked."""
        try:
            return os.path.samestat(os.fstat(fd), os.stat(self.path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Remove the file, then let go."""
        if self._fd < 0:
            return
        if self._is_still_there(self._fd):
            with contextlib.suppress(OSError):
                os.unlink(self.path)
        os.close(self._fd)
        self._fd = -1


def _holder(fd: int) -> int:
    """The process that holds the lock; 0 when it just ended or lives in another pid namespace."""
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0)
    try:
        answer = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    except (OSError, struct.error):
        return 0
    return int(answer[4]) if answer[0] != fcntl.F_UNLCK else 0


def describe(pid: int) -> str:
    """A process as a person would look for it."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(4096).split(b"\0")
    except OSError:
        words = []
    command = b" ".join(words).decode("utf-8", "replace").strip()
    return f"process {pid} ({command})" if command else f"process {pid}"
