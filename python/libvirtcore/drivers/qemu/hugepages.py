# SPDX-License-Identifier: LGPL-2.1-or-later
"""hugepages.py: where the host's huge pages can be had.

Called by: drivers.qemu.resources. Calls: /proc/mounts, qemu_conf.
Never: mounts anything; makes a folder that nobody asked for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from libvirtcore.drivers.qemu.guest import system_error
from libvirtcore.drivers.qemu.paths import make_private

if TYPE_CHECKING:
    from libvirtcore.conf import Domain
    from libvirtcore.drivers.qemu.host import Host


def folders(host: Host, model: Domain) -> dict[int, str]:
    """Size of pages in KiB → a folder for a guest that wants huge pages. Raises: VirError."""
    backing = model.memory_backing
    if backing is None or backing.hugepages is None:
        return {}
    found: dict[int, str] = {}
    for mount in host.conf.hugetlbfs_mount or _mounts():
        folder = os.path.join(mount, "libvirt", "qemu")
        try:
            size = os.statvfs(mount).f_bsize >> 10
            if size in found:
                continue
            make_private(folder)
            if host.account is not None:
                os.chown(folder, host.account.uid, host.account.gid)
                os.chmod(os.path.dirname(folder), 0o711)
        except OSError as fault:
            raise system_error(fault, f"unable to use huge pages at '{mount}'") from None
        found[size] = folder
    return found


def _mounts() -> list[str]:
    """Where hugetlbfs is mounted."""
    try:
        with open("/proc/mounts", encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split() for line in file]
    except OSError:
        return []
    return [words[1].replace("\\040", " ") for words in lines if words[2:3] == ["hugetlbfs"]]
