# SPDX-License-Identifier: LGPL-2.1-or-later
"""cgroup_files.py: the files of a cgroup2 tree: where it is mounted, what they say, writing them.

Called by: cgroup.py, cgroup_limits.py. Calls: the system.
Never: knows about guests.
"""

from __future__ import annotations

import contextlib
import os

from libvirtcore.drivers.qemu.guest import system_error
from libvirtcore.generated import constants as c

CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")  # those a guest can be limited by
THREADED = ("cpu", "cpuset")  # those that tell the threads of a process apart
MOUNTS = "/proc/self/mounts"
_MOST = 1 << 16  # bytes of a file that are read


# --- where things are -----------------------------------------------------------------------------


def find_mount(mounts: str) -> str | None:
    """Where a table of mounts has a cgroup2 tree that may be written; the last one counts."""
    found = None
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) >= 4 and fields[2] == "cgroup2" and "ro" not in fields[3].split(","):
            found = _unescape(fields[1])
    return found


def _unescape(word: str) -> str:
    """A path of the table, in which blanks and the like stand as \\040."""
    raw = word.encode(errors="surrogateescape")
    out = bytearray()
    place = 0
    while place < len(raw):
        digits = raw[place + 1 : place + 4]
        if raw[place] == 0x5C and len(digits) == 3 and all(0x30 <= one < 0x38 for one in digits):
            out.append(int(digits, 8) & 0xFF)
            place += 4
        else:
            out.append(raw[place])
            place += 1
    return out.decode(errors="surrogateescape")


def own_path(text: str) -> str | None:
    """The path in the cgroup2 tree that a /proc/…/cgroup tells; None when it is out of sight."""
    for line in text.splitlines():
        if line.startswith("0::/"):
            path = line[3:]
            return None if path.startswith("/..") or path.endswith(" (deleted)") else path
    return None


def path_of_process(pid: int | str) -> str | None:
    """The path of a process's main thread."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            return own_path(file.read())
    except OSError:
        return None


# --- reading and writing --------------------------------------------------------------------------


def _text(folder: str, name: str) -> str:
    fd = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, _MOST).decode("ascii", "replace").strip()
    finally:
        os.close(fd)


def peek(folder: str, name: str) -> str | None:
    """What a file says; None when it is not there or cannot be read."""
    try:
        return _text(folder, name)
    except OSError:
        return None


def read(folder: str, name: str) -> str:
    """What a file says. Raises: VirError."""
    try:
        return _text(folder, name)
    except OSError as fault:
        path = os.path.join(folder, name)
        raise system_error(fault, f"Unable to read from '{path}'", c.VIR_FROM_CGROUP) from None


def poke(folder: str, name: str, text: str) -> None:
    """Write a file, which must be there. Raises: OSError."""
    fd = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def write(folder: str, name: str, text: str) -> None:
    """Write a file. Raises: VirError."""
    try:
        poke(folder, name, text)
    except OSError as fault:
        path = os.path.join(folder, name)
        raise system_error(fault, f"Unable to write to '{path}'", c.VIR_FROM_CGROUP) from None


def has(folder: str, name: str) -> bool:
    return os.path.exists(os.path.join(folder, name))


def controllers(folder: str) -> frozenset[str]:
    """The controllers that count in a group."""
    return frozenset((peek(folder, "cgroup.controllers") or "").split())


def enable(folder: str, wanted: frozenset[str]) -> frozenset[str]:
    """Have controllers count in the groups below one; returns those that do.

    They are asked for one by one: one that another hierarchy holds must not lose the rest. Nothing
    is changed in a group that has processes itself, as the top of a container's tree has: those
    below could not hold any then.
    """
    there = controllers(folder) & wanted
    on = frozenset((peek(folder, "cgroup.subtree_control") or "").split())
    done = set(there & on)
    if there - on and not is_root(folder) and peek(folder, "cgroup.procs"):
        return frozenset(done)
    for name in sorted(there - on):
        try:
            poke(folder, "cgroup.subtree_control", f"+{name}")
        except OSError:
            continue
        done.add(name)
    return frozenset(done)


def is_root(folder: str) -> bool:
    """Whether a group is the kernel's first one, which alone has no type."""
    return not has(folder, "cgroup.type")


def numbers(text: str) -> dict[str, int]:
    """Lines of "name number"."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if value.isdecimal():
            found[name] = int(value)
    return found


# --- groups ---------------------------------------------------------------------------------------


def children(folder: str) -> list[str]:
    """The groups below a group."""
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def remove(folder: str) -> bool:
    """Remove a group and those below it, if they are empty; True when it is gone."""
    for child in children(folder):
        remove(child)
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def kill(folder: str) -> None:
    """Kill whatever is left in a group and below it."""
    with contextlib.suppress(OSError):
        poke(folder, "cgroup.kill", "1")
