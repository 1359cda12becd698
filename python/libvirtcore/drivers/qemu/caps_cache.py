# SPDX-License-Identifier: LGPL-2.1-or-later
"""caps_cache.py: capabilities of binaries, kept in memory and on disk.

A file belongs to one path; inside stand the inode, size and change times of the binary, our version
and what else the answers depend on. Whatever does not fit, or is no proper file, is probed anew and
replaced. Questions about one binary at once are asked once; different binaries do not wait for each
other.
Called by: the driver's host. Calls: caps_probe.
Never: fails because of the directory (a probe takes a fifth of a second); follows a link in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import stat
import tempfile
import threading
from concurrent.futures import Future
from typing import Any

from libvirtcore import __version__ as OUR_VERSION
from libvirtcore.drivers.qemu.caps import CapsError, QemuCaps
from libvirtcore.drivers.qemu.caps_kvm import kvm_works
from libvirtcore.drivers.qemu.caps_probe import binaries, probe
from libvirtcore.errors import VirError

__all__ = ["Cache"]

FORMAT = 1  # of the files; a change makes all of them void
FILE_MAX = 8 << 20  # bytes; a real one has 0.1 million


def _key(binary: str) -> list[Any]:
    """What the answers depend on."""
    seen = os.stat(binary)
    return [
        FORMAT,
        OUR_VERSION,
        binary,
        seen.st_dev,
        seen.st_ino,
        seen.st_size,
        seen.st_mtime_ns,
        seen.st_ctime_ns,
        kvm_works(),
        platform.release(),
        platform.machine(),
    ]


class Cache:
    """Capabilities by path of the binary. Any thread may ask."""

    def __init__(self, directory: str | None = None) -> None:
        """Keep files in a directory, which is made when needed; None keeps them in memory only."""
        self._directory = directory
        self._lock = threading.Lock()
        self._known: dict[str, tuple[list[Any], Future[QemuCaps]]] = {}

    def get(self, binary: str) -> QemuCaps:
        """The capabilities of a binary as it is now. Raises: VirError when it cannot be probed."""
        try:
            key = _key(binary)
        except OSError:
            with self._lock:
                self._known.pop(binary, None)
            return probe(binary)  # which says what is wrong
        with self._lock:
            known = self._known.get(binary)
            if known is not None and known[0] == key:
                mine, future = False, known[1]
            else:
                mine, future = True, Future()
                self._known[binary] = (key, future)
        if mine:
            self._fill(binary, key, future)
        return future.result()

    def for_arch(self, arch: str) -> QemuCaps | None:
        """The capabilities of the binary in PATH for an architecture, as libvirt names it."""
        binary = self.binaries().get(arch)
        return None if binary is None else self.get(binary)

    def binaries(self) -> dict[str, str]:
        """caps_probe.binaries, for the PATH of now."""
        return binaries()

    def warm(self, wanted: list[str] | None = None) -> list[threading.Thread]:
        """Have binaries (all in PATH) probed in the background, at once; the threads that do it."""
        threads = []
        for binary in self.binaries().values() if wanted is None else wanted:
            thread = threading.Thread(target=self._quietly, args=(binary,), daemon=True)
            thread.start()
            threads.append(thread)
        return threads

    def forget(self, binary: str | None = None) -> None:
        """Ask again next time: about one binary or all. The files stay, and are checked."""
        with self._lock:
            if binary is None:
                self._known.clear()
            else:
                self._known.pop(binary, None)

    def _quietly(self, binary: str) -> None:
        with contextlib.suppress(VirError):
            self.get(binary)

    def _fill(self, binary: str, key: list[Any], future: Future[QemuCaps]) -> None:
        try:
            caps = self._read(binary, key)
            if caps is None:
                caps = probe(binary)
                self._write(binary, key, caps)
        except BaseException as wrong:
            with self._lock:  # the next one tries again
                if self._known.get(binary, (None, None))[1] is future:
                    del self._known[binary]
            future.set_exception(wrong)
        else:
            future.set_result(caps)

    # --- files ------------------------------------------------------------------------------------

    def path(self, binary: str) -> str | None:
        """Where the answers about a binary are kept."""
        if self._directory is None:
            return None
        name = hashlib.sha256(os.fsencode(binary)).hexdigest()[:32]
        return os.path.join(self._directory, f"{name}.json")

    def _read(self, binary: str, key: list[Any]) -> QemuCaps | None:
        path = self.path(binary)
        if path is None:
            return None
        try:
            text = _read_own(path)
            value = None if text is None else json.loads(text)
            if not isinstance(value, dict) or value.get("key") != key:
                return None
            caps = QemuCaps.from_json(value.get("caps"))
        except (OSError, ValueError, RecursionError, CapsError):
            return None
        return caps if caps.binary == binary else None

    def _write(self, binary: str, key: list[Any], caps: QemuCaps) -> None:
        path = self.path(binary)
        if path is None or self._directory is None:
            return
        text = json.dumps({"key": key, "caps": caps.to_json()}, separators=(",", ":"))
        with contextlib.suppress(OSError):
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            fd, scratch = tempfile.mkstemp(dir=self._directory, prefix=".new-")
            try:
                with os.fdopen(fd, "w", encoding="ascii") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(scratch, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(scratch)
                raise


def _read_own(path: str) -> bytes | None:
    """A plain file of ours that nobody else may write, bounded; None for anything else."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        seen = os.fstat(fd)
        if not stat.S_ISREG(seen.st_mode) or seen.st_size > FILE_MAX:
            return None
        if seen.st_uid not in (0, os.geteuid()) or seen.st_mode & 0o022:
            return None
        text = file.read(FILE_MAX + 1)
    return None if len(text) > FILE_MAX else text
