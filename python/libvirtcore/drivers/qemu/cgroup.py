# SPDX-License-Identifier: LGPL-2.1-or-later
"""cgroup.py: a control group (cgroup2) for each running guest, where the host has a tree for it.

    <mount>/machine/qemu-1-guest.libvirt-qemu     limits of the whole; the process
                    ├─ emulator                   its threads,
                    ├─ vcpu0, vcpu1, …            but for those of the virtual CPUs
                    └─ iothread1, …               and of I/O

Only controllers count that the kernel has in this tree, that may be switched on here, and that
`cgroup_controllers` of qemu.conf allows. Without any, as where they belong to cgroup v1, there is
no group, and a guest is what it is without. A group that cannot be made does not stop a start; a
limit that cannot be set does.
Called by: host, start, stop, reconnect. Calls: cgroup_names, cgroup_files, cgroup_limits.
Never: removes or empties a group that is not a guest's of this host.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from libvirtcore.conf.tuning import Resource
from libvirtcore.drivers.qemu import cgroup_files as files
from libvirtcore.drivers.qemu import cgroup_limits as limits
from libvirtcore.drivers.qemu.cgroup_names import MACHINE, group_name, partition_parts
from libvirtcore.drivers.qemu.guest import system_error
from libvirtcore.drivers.qemu.reactor import defer
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.log import WARNING, log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from libvirtcore.conf import Domain

EMULATOR = "emulator"
_SOURCE = "drivers.qemu.cgroup"
_WORDS = {"blkio": "io"}  # controllers that qemu.conf knows by their older name
_TRIES, _PAUSE = 20, 0.05  # to remove a group whose last processes are just ending


@dataclass(frozen=True, slots=True)
class Group:
    """The group of a running guest."""

    folder: str
    controllers: frozenset[str]  # that count in it
    threaded: frozenset[str] = frozenset()  # that count in the groups of its threads

    def part(self, name: str) -> str:
        """The folder of some threads."""
        return os.path.join(self.folder, name)

    def parts(self, kind: str) -> dict[int, str]:
        """The folders of all threads of a kind (vcpu, iothread) that have one, by number."""
        found = {}
        for path in files.children(self.folder):
            number = os.path.basename(path).removeprefix(kind)
            if os.path.basename(path).startswith(kind) and number.isdecimal():
                found[int(number)] = path
        return dict(sorted(found.items()))

    def add_part(self, name: str) -> str:
        """Make a group for some threads. Raises: VirError."""
        folder = self.part(name)
        try:
            _make_part(folder)
        except OSError as fault:
            text = f"Failed to create v2 cgroup '{folder}'"
            raise system_error(fault, text, c.VIR_FROM_CGROUP) from None
        return folder


def _make_part(folder: str) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o755)
    if files.peek(folder, "cgroup.type") != "threaded":
        files.poke(folder, "cgroup.type", "threaded")


class Groups:
    """The groups of one host's guests. What the machine has is looked at once."""

    def __init__(
        self, allowed: Sequence[str], root: str | None, mounts: str = files.MOUNTS
    ) -> None:
        wanted = {_WORDS.get(name, name) for name in allowed}
        self.allowed = frozenset(files.CONTROLLERS) & wanted
        self._root = root  # of a host of its own
        self._mounts = mounts
        self._lock = threading.Lock()
        self._looked = False
        self._tree: str | None = None
        self._usable = False

    def tree(self) -> str | None:
        """Where the tree is, whatever it is good for."""
        with self._lock:
            if not self._looked:
                self._looked = True
                self._look()
            return self._tree

    def mount(self) -> str | None:
        """Where the tree is, None when no controller of it can be used."""
        tree = self.tree() if self.allowed else None
        return tree if self._usable else None

    def _look(self) -> None:
        try:
            with open(self._mounts, encoding="utf-8", errors="surrogateescape") as file:
                mount = files.find_mount(file.read())
        except OSError:
            return
        if mount is not None and files.path_of_process("self") is not None:
            self._tree = mount
            self._usable = bool(files.enable(mount, self.allowed))

    # --- a guest begins ---------------------------------------------------------------------------

    def begin(self, number: int, model: Domain, pid: int) -> Group | None:
        """Make a group and put a process there that will be QEMU; None where there is none to be.

        Raises: VirError when the document names a partition that is not there.
        """
        partition = _partition(model)
        mount = self.mount()
        if mount is None:
            return None
        group = None
        try:
            group = self._make(mount, partition, number, model.name)
            if group is None:
                return None
            files.poke(group.folder, "cgroup.procs", str(pid))
            if group.threaded:
                files.poke(group.part(EMULATOR), "cgroup.threads", str(pid))
        except OSError as fault:
            log(WARNING, _SOURCE, f"domain '{model.name}' has no control group: {fault}")
            if group is not None:
                end(group)
            return None
        if model.resource is None:
            model.resource = Resource()
        model.resource.partition = partition
        return group

    def _make(self, mount: str, partition: str, number: int, name: str) -> Group | None:
        """A new group with all controllers that can be had. Raises: OSError, VirError."""
        there = files.enable(mount, self.allowed)
        parts = partition_parts(partition)
        folder = os.path.join(mount, *parts)
        if partition == MACHINE:
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, 0o755)
        elif not os.path.isdir(folder):
            raise system_error(
                OSError(2, "No such file or directory"),
                f"Failed to create v2 cgroup '{folder}'",
                c.VIR_FROM_CGROUP,
            )
        for depth in range(len(parts)):
            there = files.enable(os.path.join(mount, *parts[: depth + 1]), there)
        if not there:
            return None
        folder = os.path.join(folder, group_name(number, name, self._root))
        files.remove(folder)  # of a guest long gone
        os.mkdir(folder, 0o755)
        threaded = frozenset[str]()
        if there.intersection(files.THREADED):
            try:
                _make_part(os.path.join(folder, EMULATOR))
                threaded = files.enable(folder, there.intersection(files.THREADED))
            except OSError as fault:
                log(WARNING, _SOURCE, f"domain '{name}': threads have no control groups: {fault}")
        return Group(folder, there, threaded)

    # --- a guest is found -------------------------------------------------------------------------

    def find(self, number: int, name: str, pid: int) -> Group | None:
        """The group of a guest that runs, by where its process is."""
        mount = self.tree()
        path = files.path_of_process(pid) if mount is not None else None
        if mount is None or path is None:
            return None
        path = path.removesuffix(f"/{EMULATOR}")
        folder = os.path.join(mount, path.lstrip("/"))
        if os.path.basename(path) != group_name(number, name, self._root):
            return None  # started without one
        if not os.path.isdir(folder):
            return None
        there = files.controllers(folder) & self.allowed
        threaded = frozenset[str]()
        if os.path.isdir(os.path.join(folder, EMULATOR)):
            threaded = files.controllers(os.path.join(folder, EMULATOR))
        return Group(folder, there, threaded & there & frozenset(files.THREADED))

    def sweep(self, number: int, model: Domain) -> None:
        """Remove the empty group of a guest that ended while nobody looked."""
        mount = self.tree()
        if mount is not None:
            with contextlib.suppress(VirError):
                parts = partition_parts(_partition(model))
                files.remove(
                    os.path.join(mount, *parts, group_name(number, model.name, self._root))
                )


def _partition(model: Domain) -> str:
    """The partition a document names. Raises: VirError."""
    partition = model.resource.partition if model.resource is not None else None
    if partition and not partition.startswith("/"):
        raise report(
            c.VIR_ERR_CONFIG_UNSUPPORTED,
            c.VIR_FROM_DOMAIN,
            f"Resource partition '{partition}' must start with '/'",
        )
    return partition or MACHINE


def end(group: Group) -> None:
    """A guest has ended: remove its group, after killing what its process left there."""
    if files.remove(group.folder):
        return
    files.kill(group.folder)
    if not files.remove(group.folder):
        defer(lambda: _remove_later(group.folder), "qemu-cgroup")


def _remove_later(folder: str) -> None:
    for _ in range(_TRIES):
        time.sleep(_PAUSE)
        if files.remove(folder):
            return
    log(WARNING, _SOURCE, f"control group {folder} cannot be removed")


# --- limits of a definition -----------------------------------------------------------------------


def limit(model: Domain, group: Group | None, *, usable: bool) -> None:
    """Set the limits of a definition. Raises: VirError when one cannot be set."""
    check_limits(model, group, usable=usable)
    if group is not None:
        apply_limits(model, group)


def check_limits(model: Domain, group: Group | None, *, usable: bool) -> None:
    """Refuse limits that cannot be set; `usable`: this host has control groups. Raises: VirError.

    Where it has none at all, only the time of processors is refused: so does libvirt.
    """
    there = group.controllers if group is not None else frozenset()
    threaded = group.threaded if group is not None else frozenset()
    tune = model.cputune
    if tune is not None:
        if "cpu" not in there and (tune.global_period or tune.global_quota):
            raise _unsupported("cgroup cpu is required for scheduler tuning")
        kinds = ["", "emulator_", *(["iothread_"] if model.iothreads else [])]
        wanted = [getattr(tune, f"{kind}{what}") for kind in kinds for what in ("period", "quota")]
        if "cpu" not in threaded and any(wanted):
            raise _unsupported("cgroup cpu is required for scheduler tuning")
    if not usable:
        return
    if tune is not None and tune.shares is not None and "cpu" not in there:
        raise _unsupported("CPU tuning is not available on this host")
    memory = model.memtune
    if memory is not None and "memory" not in there:
        values = (memory.hard_limit, memory.soft_limit, memory.swap_hard_limit)
        if any(_is_limit(value) for value in values):
            raise _unsupported("Memory cgroup is not available on this host")
    blocks = model.blkiotune
    if blocks is not None and "io" not in there and (blocks.weight or blocks.devices):
        raise _unsupported("Block I/O tuning is not available on this host")


def _unsupported(text: str) -> VirError:
    return report(c.VIR_ERR_CONFIG_UNSUPPORTED, c.VIR_FROM_NONE, text)


def _is_limit(kib: int | None) -> bool:
    return kib is not None and kib < limits.UNLIMITED


def apply_limits(model: Domain, group: Group) -> None:
    """Write a definition's limits of the whole guest and of its emulator. Raises: VirError."""
    _apply_blocks(model, group)
    _apply_memory(model, group)
    tune = model.cputune
    if tune is not None:
        if tune.shares is not None:
            limits.set_shares(group.folder, tune.shares)
        limits.set_bandwidth(group.folder, tune.global_period, tune.global_quota)
    if group.threaded:
        pin = tune.emulatorpin.cpuset if tune is not None and tune.emulatorpin else None
        limit_threads(model, group, EMULATOR, pin)


def _apply_blocks(model: Domain, group: Group) -> None:
    tune = model.blkiotune
    if tune is None:
        return
    if tune.weight:
        limits.set_io_weight(group.folder, tune.weight)
    for device in tune.devices:
        for field in BLOCK_FIELDS:
            value = getattr(device, field)
            if value:
                limits.set_device(group.folder, device.path, field, value)


BLOCK_FIELDS = ("weight", "read_iops_sec", "write_iops_sec", "read_bytes_sec", "write_bytes_sec")


def _apply_memory(model: Domain, group: Group) -> None:
    tune = model.memtune
    if tune is None:
        return
    hard, soft, both = tune.hard_limit, tune.soft_limit, tune.swap_hard_limit
    check_memory(hard, both)
    if hard is not None and _is_limit(hard):
        limits.set_memory(group.folder, "hard_limit", hard)
    if soft is not None and _is_limit(soft):
        limits.set_memory(group.folder, "soft_limit", soft)
    if hard is not None and both is not None and _is_limit(both):
        limits.set_swap(group.folder, both, hard)


def check_memory(hard: int | None, both: int | None) -> None:
    """Refuse a limit of memory above that of memory and swap. Raises: VirError."""
    none = limits.UNLIMITED
    if (none if hard is None else hard) > (none if both is None else both):
        raise report(
            c.VIR_ERR_INVALID_ARG,
            c.VIR_FROM_QEMU,
            "memory hard_limit tunable value must be lower than or equal to swap_hard_limit",
        )


def limit_threads(model: Domain, group: Group, name: str, pin: str | None) -> None:
    """Write the limits of one of the thread groups. Raises: VirError."""
    folder = group.part(name)
    kind = name.rstrip("0123456789")
    if "cpuset" in group.threaded:
        cpus = pin or model.vcpu.cpuset
        if cpus:
            limits.set_cpus(folder, cpus)
        nodes = bound_nodes(model)
        if nodes:
            limits.set_nodes(folder, nodes)
    tune = model.cputune
    if tune is not None:
        prefix = "" if kind == "vcpu" else f"{kind}_"
        period, quota = getattr(tune, f"{prefix}period"), getattr(tune, f"{prefix}quota")
        limits.set_bandwidth(folder, period, quota)


def bound_nodes(model: Domain) -> str | None:
    """The host's nodes that all of a guest's memory must come from."""
    memory = model.numatune.memory if model.numatune is not None else None
    if memory is None or memory.mode not in (None, "strict", "restrictive"):
        return None
    return memory.nodeset
