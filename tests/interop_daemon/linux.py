# SPDX-License-Identifier: LGPL-2.1-or-later
"""linux.py: Debian's Linux as a guest: its kernel, and an initramfs with a shell and nothing else.

The kernel of /boot is taken if there is one, and an installed static busybox; otherwise both come
from the host's package archive, once, into a folder of the user's under the temporary folder.
Called by: test_linux.py, test_virt_install.py.
Never: installs a package, or leaves anything in the repository.
"""

from __future__ import annotations

import fcntl
import gzip
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KERNEL_PACKAGE = "linux-image-cloud-amd64"
SHELL_PACKAGE = "busybox-static"
PROMPT = "guest# "
INSTALLER = "installer"  # an argument with which it does its work and goes off
# What TCG is slow at, and what a guest without devices need not wait for.
ARGUMENTS = "console=ttyS0 quiet mitigations=off nokaslr tsc=reliable random.trust_cpu=on"
_SECONDS = 120

INIT = f"""#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
echo "Linux $(uname -r) is up"
grep -qw {INSTALLER} /proc/cmdline && poweroff -f
export PS1='{PROMPT}'
exec setsid cttyhack sh
"""


def missing() -> list[str]:
    """What this host lacks to get a kernel and a shell; empty when it can."""
    lacks = []
    if shutil.which("dpkg-deb") is None:
        lacks.append("dpkg-deb")
    if _installed_kernel() is None and not _known(KERNEL_PACKAGE):
        lacks.append(f"package {KERNEL_PACKAGE} in the archive")
    if _installed_shell() is None and not _known(SHELL_PACKAGE):
        lacks.append(f"package {SHELL_PACKAGE} in the archive")
    return lacks


def kernel() -> Path:
    """A bootable image of the kernel."""
    installed = _installed_kernel()
    if installed is not None:
        return installed
    real = re.findall(r"Depends: (linux-image-\S+)", _apt_cache("depends", KERNEL_PACKAGE))
    folder = _unpacked(real[0] if real else KERNEL_PACKAGE)
    return sorted(folder.glob("boot/vmlinuz-*"))[-1]


def shell() -> Path:
    """A static busybox."""
    installed = _installed_shell()
    if installed is not None:
        return installed
    folder = _unpacked(SHELL_PACKAGE)
    return next(path for path in (folder / "bin/busybox", folder / "usr/bin/busybox")
                if path.exists())  # fmt: skip


def initramfs(path: Path) -> Path:
    """Write an archive whose init ends in a shell on the console."""
    device = stat.S_IFCHR | 0o600
    folders = [_entry(name, stat.S_IFDIR | 0o755) for name in ("bin", "dev", "proc", "sys")]
    members = [
        *folders,
        _entry("dev/console", device, major=5, minor=1),
        _entry("bin/busybox", stat.S_IFREG | 0o755, shell().read_bytes()),
        _entry("init", stat.S_IFREG | 0o755, INIT.encode()),
        _entry("TRAILER!!!", 0),
    ]
    path.write_bytes(gzip.compress(b"".join(members), 1, mtime=0))
    return path


def _entry(name: str, mode: int, data: bytes = b"", *, major: int = 0, minor: int = 0) -> bytes:
    """One member of a cpio archive in the format `newc`."""
    links = 2 if stat.S_ISDIR(mode) else 1
    inode = hash(name) & 0x7FFFFFFF
    fields = (inode, mode, 0, 0, links, 0, len(data), 0, 0, major, minor, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


# --- where they come from -------------------------------------------------------------------------


def _installed_kernel() -> Path | None:
    """The newest readable one for this machine's kind."""
    found = [path for path in Path("/boot").glob("vmlinuz-*") if os.access(path, os.R_OK)]
    return sorted(found)[-1] if found else None


def _installed_shell() -> Path | None:
    found = shutil.which("busybox")
    if found is None:
        return None
    path = Path(found)
    return path if b"ld-linux" not in path.read_bytes() else None


def _known(package: str) -> bool:
    return shutil.which("apt-get") is not None and f"Package: {package}" in _apt_cache(
        "show", "--no-all-versions", package
    )


def _apt_cache(*arguments: str) -> str:
    done = subprocess.run(
        ["apt-cache", *arguments], capture_output=True, text=True, check=False, timeout=_SECONDS
    )
    return done.stdout


def _unpacked(package: str) -> Path:
    """The files of a package, fetched once."""
    with _store() as store:
        target = store / package
        if not target.is_dir():
            with tempfile.TemporaryDirectory(dir=store) as work:
                folder = Path(work)
                fetch = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package]
                subprocess.run(fetch, cwd=folder, check=True, timeout=_SECONDS, stdout=2)
                (archive,) = folder.glob("*.deb")
                unpack = ["dpkg-deb", "-x", str(archive), str(folder / "files")]
                subprocess.run(unpack, check=True, timeout=_SECONDS)
                (folder / "files").rename(target)
        return target


@contextmanager
def _store() -> Iterator[Path]:
    """The folder of downloads, ours alone, locked."""
    store = Path(tempfile.gettempdir()) / f"libvirtcore-linux-{os.getuid()}"
    store.mkdir(mode=0o700, exist_ok=True)
    found = store.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise RuntimeError(f"{store} is not ours")
    lock = os.open(store / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield store
    finally:
        os.close(lock)
