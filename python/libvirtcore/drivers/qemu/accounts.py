# SPDX-License-Identifier: LGPL-2.1-or-later
"""accounts.py: which user QEMU runs as, and how much a QEMU process may use.

Only root can choose: everybody else's guests run as themselves. Without `user` in qemu.conf the
system's own daemon takes the account that the distribution made for QEMU, if there is one; a root
of one's own (embedded, --root) keeps root, for that account could not reach into it.
Called by: drivers.qemu.host, start. Calls: qemu_conf.
Never: changes the identity of this process.
"""

from __future__ import annotations

import grp
import os
import pwd
import resource
from typing import NamedTuple

from libvirtcore.drivers.qemu.guest import system_error
from libvirtcore.drivers.qemu.qemu_conf import QemuConf
from libvirtcore.errors import report
from libvirtcore.generated import constants as c

_ACCOUNTS = ("libvirt-qemu", "qemu")
_SUFFICIENT = 1 << 31


class Account(NamedTuple):
    """Who a QEMU process is."""

    uid: int
    gid: int
    groups: tuple[int, ...]


def choose(conf: QemuConf, *, privileged: bool, own_root: bool) -> Account | None:
    """The account of QEMU processes; None where it is ours. Raises: VirError."""
    if not privileged:
        return None
    user, group = conf.user, conf.group
    if not user and not own_root:
        user = next((name for name in _ACCOUNTS if _exists(name)), "")
    if not user and not group:
        return None
    uid, gid, name = _user(user or "0")
    if group:
        gid = _group(group)
    if uid == 0 and gid == 0:
        return None
    groups = os.getgrouplist(name, gid) if name else [gid]
    return Account(uid, gid, tuple(groups))


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _user(text: str) -> tuple[int, int, str]:
    """(uid, gid, name) of a name or number; "+1000" is always a number. Raises: VirError."""
    try:
        entry = pwd.getpwnam(text)
    except KeyError:
        number = _number(text)
        if number is None:
            raise _unknown("user", text) from None
        try:
            entry = pwd.getpwuid(number)
        except KeyError:
            return number, number, ""
    return entry.pw_uid, entry.pw_gid, entry.pw_name


def _group(text: str) -> int:
    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        number = _number(text)
        if number is None:
            raise _unknown("group", text) from None
        return number


def _number(text: str) -> int | None:
    digits = text.removeprefix("+")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 10:
        return None
    number = int(digits)
    return number if number < _SUFFICIENT else None


def _unknown(what: str, text: str) -> Exception:
    return report(c.VIR_ERR_INVALID_ARG, c.VIR_FROM_NONE, f"Failed to parse {what} '{text}'")


def limit(pid: int, conf: QemuConf) -> None:
    """Apply the limits of qemu.conf to a process that is about to become QEMU. Raises: VirError."""
    wanted = []
    if conf.max_processes:
        wanted.append((resource.RLIMIT_NPROC, conf.max_processes, "number of processes"))
    if conf.max_files:
        wanted.append((resource.RLIMIT_NOFILE, conf.max_files, "number of open files"))
    if conf.core_unlimited:
        wanted.append((resource.RLIMIT_CORE, resource.RLIM_INFINITY, "core file size"))
    elif "max_core" in conf.given:
        wanted.append((resource.RLIMIT_CORE, conf.max_core, "core file size"))
    for kind, value, what in wanted:
        try:
            resource.prlimit(pid, kind, (value, value))
        except (OSError, ValueError) as fault:
            cause = fault if isinstance(fault, OSError) else OSError(1, str(fault))
            text = f"cannot limit {what} of process {pid} to {value}"
            raise system_error(cause, text, c.VIR_FROM_NONE) from None
