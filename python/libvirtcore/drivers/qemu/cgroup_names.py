# SPDX-License-Identifier: LGPL-2.1-or-later
"""cgroup_names.py: what the control group of a guest is called, and where in the tree it lies.

    /machine/qemu-ID-NAME.libvirt-qemu          of the system's own daemon
    /machine/qemu-embed-HASH-ID-NAME.…          of a root of its own: many of them share one machine

Names of guests and partitions are their users' words: what comes out is one path component each,
never "", "." or "..".
Called by: cgroup.py. Never: touches a file.
"""

from __future__ import annotations

import hashlib
import string

MACHINE = "/machine"  # the partition of guests that name none; the only one that is made
SUFFIX = ".libvirt-qemu"
_LETTERS = frozenset(string.ascii_letters + string.digits)
_MOST = 64  # characters of a machine's name
_FIXED = ("machine", "system", "user")  # at the top, they bear no suffix
# Files of the tree begin with these words, so a partition must not.
_KERNEL = (
    "blkio", "cgroup", "cpu", "cpuacct", "cpuset", "devices", "freezer", "hugetlb", "io", "memory",
    "misc", "net_cls", "net_prio", "perf_event", "pids", "rdma",
)  # fmt: skip


def machine_name(number: int, name: str, root: str | None) -> str:
    """The name of a guest among all of the machine; `root` is the folder of a host of its own."""
    text = "qemu-"
    if root is not None:
        text += f"embed-{hashlib.sha256(root.encode(errors='surrogateescape')).hexdigest()[:8]}-"
    text += f"{number}-"
    alone = True  # behind a dot or a dash, where another would stand for nothing
    for letter in name:
        if len(text) >= _MOST:
            break
        if letter in ".-":
            if not alone:
                text += letter
            alone = True
            continue
        alone = False
        if letter in _LETTERS:
            text += letter
    return text.rstrip("-.")


def group_name(number: int, name: str, root: str | None) -> str:
    """The name of a guest's group."""
    return machine_name(number, name, root) + SUFFIX


def partition_parts(partition: str) -> list[str]:
    """The path components of a partition, as libvirt names folders after it."""
    parts = []
    for place, word in enumerate(partition.lstrip("/").split("/")):
        if not word:
            continue
        if place == 0 and word in _FIXED:
            parts.append(word)
            continue
        if "." not in word:
            word += ".partition"
        parts.append(f"_{word}" if _reserved(word) else word)
    return parts


def _reserved(word: str) -> bool:
    return word[0] in "._" or word.partition(".")[0] in _KERNEL
