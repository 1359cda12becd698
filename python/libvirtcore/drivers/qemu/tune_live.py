# SPDX-License-Identifier: LGPL-2.1-or-later
"""tune_live.py: shares and limits of a running guest, in its control group.

Called by: tune_calls.py, with the guest's job held. Calls: cgroup_limits.
Never: changes a model; who calls does, of what has been done.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from libvirtcore.drivers.qemu import cgroup_limits as limits
from libvirtcore.drivers.qemu.cgroup import EMULATOR
from libvirtcore.drivers.qemu.guest import invalid
from libvirtcore.drivers.qemu.node_calls import cpu_set
from libvirtcore.drivers.qemu.vcpus import cpu_list
from libvirtcore.errors import report
from libvirtcore.generated import constants as c

if TYPE_CHECKING:
    from libvirtcore.conf.tuning import MemTune, NumaMemory
    from libvirtcore.drivers.qemu.cgroup import Group

_KINDS = {"": "vcpu", "emulator_": EMULATOR, "global_": "", "iothread_": "iothread"}
_NODES = "/sys/devices/system/node"


# --- processors -----------------------------------------------------------------------------------


def _folders(group: Group, prefix: str) -> list[str]:
    """The groups that a bandwidth of this kind is set in."""
    kind = _KINDS[prefix]
    if not kind:
        return [group.folder]
    if "cpu" not in group.threaded:
        return []
    return [group.part(kind)] if kind == EMULATOR else list(group.parts(kind).values())


def scheduler(group: Group) -> dict[str, int]:
    """All values by the names of the document's elements. Raises: VirError.

    Threads that have no group of their own have what the whole guest has.
    """
    values = {"shares": limits.shares(group.folder)}
    for prefix in _KINDS:
        folders = _folders(group, prefix) or [group.folder]
        values[f"{prefix}period"], values[f"{prefix}quota"] = limits.bandwidth(folders[0])
    return values


def set_scheduler(group: Group, field: str, number: int) -> None:
    """Set one value. Raises: VirError."""
    if field == "shares":
        limits.set_shares(group.folder, number)
        return
    prefix, what = field[: -len("period")], "period"
    if field.endswith("quota"):
        prefix, what = field[: -len("quota")], "quota"
    folders = _folders(group, prefix)
    if not folders and prefix != "iothread_":  # there may be none of those
        raise invalid("cgroup CPU controller is not mounted")
    for folder in folders:
        if what == "period":
            limits.set_bandwidth(folder, number, None)
        else:
            limits.set_bandwidth(folder, None, number)


# --- memory ---------------------------------------------------------------------------------------


def set_memory(group: Group, wanted: dict[str, int | None], tune: MemTune) -> None:
    """Set what is wanted; `tune` is what shall be in the end. Raises: VirError.

    What gets less is set first, so that the guest never has more than either the old or the new.
    """
    folder = group.folder
    if "soft_limit" in wanted:
        limits.set_memory(folder, "soft_limit", _kib(tune.soft_limit))
    hard, both = _kib(tune.hard_limit), _kib(tune.swap_hard_limit)
    swap = "swap_hard_limit" in wanted or tune.swap_hard_limit is not None
    more = hard > limits.memory(folder, "hard_limit")
    if "hard_limit" in wanted and not more:
        limits.set_memory(folder, "hard_limit", hard)
    if swap and wanted.keys() & {"hard_limit", "swap_hard_limit"}:
        limits.set_swap(folder, both, hard)
    if "hard_limit" in wanted and more:
        limits.set_memory(folder, "hard_limit", hard)


def _kib(limit: int | None) -> int:
    return limits.UNLIMITED if limit is None else limit


# --- NUMA nodes -----------------------------------------------------------------------------------


def set_nodes(
    group: Group, memory: NumaMemory | None, mode: str | None, nodes: set[int] | None
) -> None:
    """Have the threads of a guest use other nodes. Raises: VirError.

    Memory that QEMU has bound to nodes itself stays there, so only `restrictive`, which leaves it
    all to the group, lets them change.
    """
    if memory is not None and memory.nodeset:
        now = memory.mode or "strict"
        if mode is not None and mode != now:
            raise invalid("can't change numatune mode for running domain")
        if mode == "strict":
            if nodes != cpu_set(memory.nodeset):
                raise invalid("can't change nodeset for strict mode for running domain")
        elif nodes is not None and now != "restrictive":
            raise invalid("change of nodeset for running domain requires restrictive numa mode")
    if nodes is None:
        return
    for node in sorted(nodes):
        if not os.path.isdir(f"{_NODES}/node{node}"):
            raise report(
                c.VIR_ERR_CONFIG_UNSUPPORTED, c.VIR_FROM_NONE, f"NUMA node {node} is unavailable"
            )
    if "cpuset" not in group.threaded:
        return
    for folder in _folders_of_threads(group):
        limits.set_nodes(folder, cpu_list(nodes))


def _folders_of_threads(group: Group) -> list[str]:
    parts = [*group.parts("vcpu").values(), *group.parts("iothread").values()]
    return [group.part(EMULATOR), *parts]
