# SPDX-License-Identifier: LGPL-2.1-or-later
"""cgroup_limits.py: limits of one control group in libvirt's numbers: shares, microseconds, KiB.

cgroup2 counts swap by itself, libvirt memory and swap together: the difference is what is written.
Called by: cgroup.py, cgroup_threads.py, tune_live.py, info, stats_groups. Calls: cgroup_files.
Never: rounds a limit, or leaves it out, when it cannot be set.
"""

from __future__ import annotations

import os
import stat

from libvirtcore.drivers.qemu import cgroup_files as files
from libvirtcore.drivers.qemu.guest import invalid, system_error
from libvirtcore.errors import report
from libvirtcore.generated import constants as c

UNLIMITED = 9007199254740991  # KiB, VIR_DOMAIN_MEMORY_PARAM_UNLIMITED
MOST_QUOTA = 17592186044415  # microseconds; libvirt's word for "as much as there is"
_SHARES = range(1, 10001)
_PERIOD = range(1000, 1000001)
_QUOTA = range(1000, MOST_QUOTA + 1)
_MEMORY = {"hard_limit": "memory.max", "soft_limit": "memory.high"}
_SWAP = "memory.swap.max"
_IO = {
    "read_iops_sec": "riops",
    "write_iops_sec": "wiops",
    "read_bytes_sec": "rbps",
    "write_bytes_sec": "wbps",
}


def _wrong(detail: str) -> Exception:
    return report(c.VIR_ERR_INVALID_ARG, c.VIR_FROM_CGROUP, detail)


def _strange(name: str) -> Exception:
    return report(c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_CGROUP, f"Invalid '{name}' data.")


def _number(folder: str, name: str, word: str) -> int:
    if not word.isdecimal():
        raise _strange(name)
    return int(word)


# --- processors -----------------------------------------------------------------------------------


def shares(folder: str) -> int:
    """How large a part of the processors a group gets. Raises: VirError."""
    return _number(folder, "cpu.weight", files.read(folder, "cpu.weight"))


def set_shares(folder: str, value: int) -> None:
    """Raises: VirError."""
    if value not in _SHARES:
        bounds = f"[{_SHARES[0]}, {_SHARES[-1]}]"
        raise _wrong(f"shares '{value % (1 << 64)}' must be in range {bounds}")
    files.write(folder, "cpu.weight", str(value))


def bandwidth(folder: str) -> tuple[int, int]:
    """(period, quota) of a group. Raises: VirError."""
    words = files.read(folder, "cpu.max").split()
    if len(words) != 2:
        raise _strange("cpu.max")
    quota = MOST_QUOTA if words[0] == "max" else _number(folder, "cpu.max", words[0])
    return _number(folder, "cpu.max", words[1]), quota


def set_bandwidth(folder: str, period: int | None, quota: int | None) -> None:
    """Set what is neither None nor 0; a quota below 0 takes the limit away. Raises: VirError."""
    if not period and not quota:
        return
    if period and period not in _PERIOD:
        bounds = f"({_PERIOD[0]}, {_PERIOD[-1]})"
        raise _wrong(f"cfs_period '{period}' must be in range {bounds}")
    if quota and quota > 0 and quota not in _QUOTA:
        raise _wrong(f"cfs_quota '{quota}' must be in range ({_QUOTA[0]}, {_QUOTA[-1]})")
    old_period, old_quota = bandwidth(folder)
    quota = quota or old_quota
    word = "max" if quota < 0 or quota == MOST_QUOTA else str(quota)
    files.write(folder, "cpu.max", f"{word} {period or old_period}")


def cpu_times(folder: str) -> tuple[int, int, int] | None:
    """Nanoseconds that a group has run: in all, its own code, the kernel's; None if unknown."""
    said = files.numbers(files.peek(folder, "cpu.stat") or "")
    try:
        return (
            said["usage_usec"] * 1000, said["user_usec"] * 1000, said["system_usec"] * 1000,
        )  # fmt: skip
    except KeyError:
        return None


def set_cpus(folder: str, cpus: str) -> None:
    """Raises: VirError."""
    files.write(folder, "cpuset.cpus", cpus)


def set_nodes(folder: str, nodes: str) -> None:
    """Raises: VirError."""
    files.write(folder, "cpuset.mems", nodes)


# --- memory ---------------------------------------------------------------------------------------


def _memory_value(folder: str, name: str) -> int:
    """Bytes as KiB, the unlimited as libvirt says it. Raises: VirError."""
    word = files.read(folder, name)
    return UNLIMITED if word == "max" else min(_number(folder, name, word) >> 10, UNLIMITED)


def memory(folder: str, name: str) -> int:
    """One of hard_limit, soft_limit, swap_hard_limit in KiB. Raises: VirError."""
    if name != "swap_hard_limit":
        return _memory_value(folder, _MEMORY[name])
    if not files.has(folder, _SWAP):  # a kernel without swap
        return UNLIMITED
    both = _memory_value(folder, _MEMORY["hard_limit"]), _memory_value(folder, _SWAP)
    return UNLIMITED if UNLIMITED in both else min(sum(both), UNLIMITED)


def set_memory(folder: str, name: str, kib: int) -> None:
    """Set hard_limit or soft_limit. Raises: VirError."""
    files.write(folder, _MEMORY[name], _memory_word(kib))


def set_swap(folder: str, both: int, hard: int) -> None:
    """Limit memory and swap together, in KiB; `hard` is the limit of memory. Raises: VirError."""
    files.write(folder, _SWAP, _memory_word(UNLIMITED if both >= UNLIMITED else both - hard))


def _memory_word(kib: int) -> str:
    if kib > UNLIMITED:
        raise _wrong(f"Memory '{kib}' must be less than {UNLIMITED}")
    return "max" if kib == UNLIMITED else str(kib << 10)


# --- block I/O ------------------------------------------------------------------------------------


def io_weight(folder: str) -> int:
    """How large a part of the disks' time a group gets. Raises: VirError."""
    name = _weight_file(folder)
    words = files.read(folder, name).split()
    if words[:1] == ["default"]:
        del words[0]
    return _number(folder, name, words[0] if words else "")


def set_io_weight(folder: str, value: int) -> None:
    """Raises: VirError."""
    name = _weight_file(folder)
    files.write(folder, name, str(value) if name == "io.bfq.weight" else f"default {value}")


def _weight_file(folder: str, what: str = "blkio weight") -> str:
    for name in ("io.bfq.weight", "io.weight"):
        if files.has(folder, name):
            return name
    raise invalid(f"{what} is valid only for cfq scheduler")


def set_device(folder: str, path: str, field: str, value: int) -> None:
    """Limit what a group does with one device of the host; 0 takes the limit away.

    Raises: VirError.
    """
    number = device_number(path)
    if field == "weight":
        name = _weight_file(folder, "blkio device weight")
        files.write(folder, name, f"{number} {value or 'default'}")
        return
    files.write(folder, "io.max", f"{number} {_IO[field]}={value or 'max'}")


def device_number(path: str) -> str:
    """A block device as the kernel names it, major:minor. Raises: VirError."""
    try:
        found = os.stat(path)
    except (OSError, ValueError) as fault:
        cause = fault if isinstance(fault, OSError) else OSError(22, "Invalid argument")
        text = f"Path '{path}' is not accessible"
        raise system_error(cause, text, c.VIR_FROM_CGROUP) from None
    if not stat.S_ISBLK(found.st_mode):
        text = f"Path '{path}' must be a block device"
        raise system_error(OSError(22, "Invalid argument"), text, c.VIR_FROM_CGROUP)
    return f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
