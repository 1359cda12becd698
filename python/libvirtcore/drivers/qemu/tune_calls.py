# SPDX-License-Identifier: LGPL-2.1-or-later
"""tune_calls.py: shares of the host that a guest gets: processors, memory, block I/O, NUMA nodes.

They are kept in definitions, and of a running guest in its control group (tune_live.py). One that
has none, or not the controller, is answered as libvirt answers there.
Called by: drivers.qemu.driver (mixin). Calls: base, the model, tune_live.
Never: says that a running guest is limited when it is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from libvirtcore.conf.tuning import (
    BlkioDevice,
    BlkioTune,
    CpuTune,
    MemTune,
    NumaMemory,
    NumaTune,
)
from libvirtcore.drivers.qemu import cgroup_limits as limits
from libvirtcore.drivers.qemu import tune_live
from libvirtcore.drivers.qemu.base import (
    CONFIG,
    LIVE,
    Calls,
    affected,
    one_model,
    replace_config,
    save_live,
)
from libvirtcore.drivers.qemu.cgroup import check_memory
from libvirtcore.drivers.qemu.cgroup_limits import UNLIMITED
from libvirtcore.drivers.qemu.guest import Guest, check_flags, invalid
from libvirtcore.drivers.qemu.node_calls import cpu_set
from libvirtcore.drivers.qemu.vcpus import cpu_list
from libvirtcore.errors import report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle

if TYPE_CHECKING:
    from collections.abc import Callable

    from libvirtcore.conf import Domain
    from libvirtcore.drivers.qemu.cgroup import Group

Params = list[tuple[str, int, Any]]

_ULLONG, _LLONG = c.VIR_TYPED_PARAM_ULLONG, c.VIR_TYPED_PARAM_LLONG
_SCHEDULER = {
    "cpu_shares": ("shares", _ULLONG),
    "vcpu_period": ("period", _ULLONG),
    "vcpu_quota": ("quota", _LLONG),
    "emulator_period": ("emulator_period", _ULLONG),
    "emulator_quota": ("emulator_quota", _LLONG),
    "global_period": ("global_period", _ULLONG),
    "global_quota": ("global_quota", _LLONG),
    "iothread_period": ("iothread_period", _ULLONG),
    "iothread_quota": ("iothread_quota", _LLONG),
}
_PERIOD = range(1000, 1000001)
_QUOTA = range(1000, 17592186044416)
_MEMORY = ("hard_limit", "soft_limit", "swap_hard_limit")
_DEVICES = {
    "device_weight": "weight",
    "device_read_iops_sec": "read_iops_sec",
    "device_write_iops_sec": "write_iops_sec",
    "device_read_bytes_sec": "read_bytes_sec",
    "device_write_bytes_sec": "write_bytes_sec",
}
_MODES = ("strict", "preferred", "interleave", "restrictive")
# What it is called, what is said where the controller is missing, the controller.
_CPU = ("CPU tuning", "cgroup CPU controller is not mounted", "cpu")
_MEM = ("Memory tuning", "cgroup memory controller is not mounted", "memory")
_BLK = ("Block I/O tuning", "blkio cgroup isn't mounted", "io")
_NUMA = ("NUMA tuning", "cgroup cpuset controller is not mounted", "cpuset")
What = tuple[str, str, str]


def _wrong(detail: str) -> Exception:
    return report(c.VIR_ERR_INVALID_ARG, c.VIR_FROM_QEMU, detail)


def _number(name: str, kind: int, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or (value < 0 and kind != _LLONG):
        raise _wrong(f"invalid value of parameter '{name}'")
    return value


class TuneCalls(Calls):
    """The calls about shares and limits."""

    def _group(self, guest: Guest, what: What, *, live: bool) -> Group | None:
        """The group of a guest that runs, if it is about that.

        Raises: VirError for what this host, or a running guest here, does not have.
        """
        if not self.host.privileged:
            raise report(
                c.VIR_ERR_OPERATION_UNSUPPORTED,
                c.VIR_FROM_QEMU,
                f"{what[0]} is not available in session mode",
            )
        if not live:
            return None
        run = guest.run
        group = run.group if run is not None else None
        if group is None or what[2] not in group.controllers:
            raise invalid(what[1])
        return group

    def _query(self, guest: Guest, flags: int, what: What) -> tuple[Domain, Group | None]:
        """The definition that a query is about, and the group if it runs. Raises: VirError."""
        model = one_model(guest, flags & (LIVE | CONFIG))
        return model, self._group(guest, what, live=model is guest.live)

    def _change(
        self,
        dom: DomainHandle,
        flags: int,
        what: What,
        change: Callable[[Domain, Group | None], None],
    ) -> None:
        """Change a running guest, a definition or both. Raises: VirError."""
        with self._job(dom, "DomainSetParameters") as guest:
            flags = affected(guest, flags)
            group = self._group(guest, what, live=bool(flags & LIVE))
            config = guest.config.copy() if flags & CONFIG and guest.config is not None else None
            if config is not None:
                change(config, None)  # first: what is wrong with it is said before anything is done
            if group is not None and guest.live is not None:
                try:
                    change(guest.live, group)
                finally:
                    save_live(guest)
            if config is not None:
                replace_config(guest, config)

    # --- processors -------------------------------------------------------------------------------

    def domain_get_scheduler_type(self, dom: DomainHandle) -> tuple[str, int]:
        guest = self.host.find(dom)
        self._group(guest, _CPU, live=guest.active)
        return "posix", len(_SCHEDULER)

    def domain_get_scheduler_parameters(self, dom: DomainHandle, nparams: int) -> Params:
        return self.domain_get_scheduler_parameters_flags(dom, nparams, 0)

    def domain_get_scheduler_parameters_flags(
        self, dom: DomainHandle, nparams: int, flags: int
    ) -> Params:
        known = LIVE | CONFIG | c.VIR_TYPED_PARAM_STRING_OKAY
        check_flags("qemuDomainGetSchedulerParametersFlags", flags, known)
        model, group = self._query(self.host.find(dom), flags, _CPU)
        tune = model.cputune
        if group is not None:
            values = tune_live.scheduler(group)
        else:
            values = {field: getattr(tune, field, None) or 0 for field, _ in _SCHEDULER.values()}
        found = [(name, kind, values[field]) for name, (field, kind) in _SCHEDULER.items()]
        return found[:nparams]

    def domain_set_scheduler_parameters(self, dom: DomainHandle, params: Params) -> None:
        self.domain_set_scheduler_parameters_flags(dom, params, 0)

    def domain_set_scheduler_parameters_flags(
        self, dom: DomainHandle, params: Params, flags: int
    ) -> None:
        check_flags("qemuDomainSetSchedulerParametersFlags", flags, LIVE | CONFIG)

        wanted: dict[str, int] = {}
        for name, _kind, value in params:
            if name not in _SCHEDULER:
                raise _wrong(f"parameter '{name}' not supported")
            number = _number(name, _SCHEDULER[name][1], value)
            bounds = _PERIOD if name.endswith("_period") else _QUOTA
            if name != "cpu_shares" and number > 0 and number not in bounds:
                raise _wrong(f"value of '{name}' is out of range [{bounds[0]}, {bounds[-1]}]")
            wanted[_SCHEDULER[name][0]] = number

        def change(model: Domain, group: Group | None) -> None:
            tune = model.cputune or CpuTune()
            for field, number in wanted.items():
                if group is not None:
                    if not number and field != "shares":
                        continue
                    tune_live.set_scheduler(group, field, number)
                setattr(tune, field, number or None)
                model.cputune = tune

        self._change(dom, flags, _CPU, change)

    # --- memory -----------------------------------------------------------------------------------

    def domain_get_memory_parameters(
        self, dom: DomainHandle, nparams: int, flags: int
    ) -> tuple[Params, int]:
        known = LIVE | CONFIG | c.VIR_TYPED_PARAM_STRING_OKAY
        check_flags("qemuDomainGetMemoryParameters", flags, known)
        model, group = self._query(self.host.find(dom), flags, _MEM)
        found: Params = []
        for name in _MEMORY:
            if group is not None:
                value: int | None = limits.memory(group.folder, name)
            else:
                value = getattr(model.memtune, name, None)
            found.append((name, _ULLONG, UNLIMITED if value is None else value))
        return _counted(found, nparams)

    def domain_set_memory_parameters(self, dom: DomainHandle, params: Params, flags: int) -> None:
        check_flags("qemuDomainSetMemoryParameters", flags, LIVE | CONFIG)

        wanted: dict[str, int | None] = {}
        for name, kind, value in params:
            if name not in _MEMORY:
                raise _wrong(f"parameter '{name}' not supported")
            number = -1 if value == -1 else _number(name, kind, value)
            wanted[name] = number if 0 <= number < UNLIMITED else None

        def change(model: Domain, group: Group | None) -> None:
            tune = (model.memtune or MemTune()).copy()
            for name, limit in wanted.items():
                setattr(tune, name, limit)
            if wanted.keys() & {"hard_limit", "swap_hard_limit"}:
                check_memory(tune.hard_limit, tune.swap_hard_limit)
            if group is not None:
                tune_live.set_memory(group, wanted, tune)
            model.memtune = tune

        self._change(dom, flags, _MEM, change)

    # --- block I/O --------------------------------------------------------------------------------

    def domain_get_blkio_parameters(
        self, dom: DomainHandle, nparams: int, flags: int
    ) -> tuple[Params, int]:
        known = LIVE | CONFIG | c.VIR_TYPED_PARAM_STRING_OKAY
        check_flags("qemuDomainGetBlkioParameters", flags, known)
        model, group = self._query(self.host.find(dom), flags, _BLK)
        tune = model.blkiotune
        weight = getattr(tune, "weight", None) or 0
        if group is not None:
            weight = limits.io_weight(group.folder)
        found: Params = [("weight", c.VIR_TYPED_PARAM_UINT, weight)]
        for name, field in _DEVICES.items():
            words = [
                f"{device.path},{value}"
                for device in (tune.devices if tune is not None else ())
                if (value := getattr(device, field))
            ]
            found.append((name, c.VIR_TYPED_PARAM_STRING, ",".join(words)))
        return _counted(found, nparams)

    def domain_set_blkio_parameters(self, dom: DomainHandle, params: Params, flags: int) -> None:
        check_flags("qemuDomainSetBlkioParameters", flags, LIVE | CONFIG)

        weight: int | None = None
        devices: list[tuple[str, str, int]] = []
        for name, kind, value in params:
            if name == "weight":
                weight = _number(name, kind, value)
            elif name in _DEVICES:
                devices += [(_DEVICES[name], *one) for one in _device_numbers(name, value)]
            else:
                raise _wrong(f"parameter '{name}' not supported")

        def change(model: Domain, group: Group | None) -> None:
            tune = model.blkiotune or BlkioTune()
            if weight is not None:
                if group is not None:
                    limits.set_io_weight(group.folder, weight)
                tune.weight = weight or None
                model.blkiotune = tune
            for field, path, number in devices:
                if group is not None:
                    limits.set_device(group.folder, path, field, number)
                _set_device(tune, field, path, number)
                model.blkiotune = tune

        self._change(dom, flags, _BLK, change)

    # --- NUMA nodes -------------------------------------------------------------------------------

    def domain_get_numa_parameters(
        self, dom: DomainHandle, nparams: int, flags: int
    ) -> tuple[Params, int]:
        known = LIVE | CONFIG | c.VIR_TYPED_PARAM_STRING_OKAY
        check_flags("qemuDomainGetNumaParameters", flags, known)
        model = one_model(self.host.find(dom), flags & (LIVE | CONFIG))
        memory = model.numatune.memory if model.numatune is not None else None
        mode = memory.mode if memory is not None and memory.mode else "strict"
        nodes = (memory.nodeset if memory is not None else None) or ""
        found: Params = [
            ("numa_mode", c.VIR_TYPED_PARAM_INT, _MODES.index(mode)),
            ("numa_nodeset", c.VIR_TYPED_PARAM_STRING, nodes),
        ]
        return _counted(found, nparams)

    def domain_set_numa_parameters(self, dom: DomainHandle, params: Params, flags: int) -> None:
        check_flags("qemuDomainSetNumaParameters", flags, LIVE | CONFIG)

        mode: str | None = None
        nodes: set[int] | None = None
        for name, _kind, value in params:
            if name == "numa_mode":
                if not isinstance(value, int) or not 0 <= value < len(_MODES):
                    raise _wrong(f"unsupported numatune mode: '{value}'")
                mode = _MODES[value]
            elif name == "numa_nodeset":
                nodes = cpu_set(str(value))
                if not nodes:
                    raise _wrong(f"Invalid nodeset of 'numatune': {value}")
            else:
                raise _wrong(f"parameter '{name}' not supported")

        def change(model: Domain, group: Group | None) -> None:
            tune = model.numatune or NumaTune()
            memory = tune.memory or NumaMemory(mode="strict")
            if group is not None:
                tune_live.set_nodes(group, tune.memory, mode, nodes)
            if mode is not None:
                memory.mode = mode
            if nodes is not None:
                memory.nodeset, memory.placement = cpu_list(nodes), None
            tune.memory = memory
            model.numatune = tune

        self._change(dom, flags, _NUMA, change)


def _counted(params: Params, room: int) -> tuple[Params, int]:
    """As many as there is room for; their number when nobody made room."""
    return ([], len(params)) if room == 0 else (params[:room], min(room, len(params)))


def _device_numbers(name: str, value: Any) -> list[tuple[str, int]]:
    """Take "PATH,NUMBER,PATH,NUMBER" apart. Raises: VirError."""
    words = str(value).split(",") if value else []
    if len(words) % 2 or not all(word.isascii() and word.isdecimal() for word in words[1::2]):
        raise _wrong(f"unable to parse blkio device '{name}' '{value}'")
    return [(path, int(word)) for path, word in zip(words[::2], words[1::2], strict=True)]


def _set_device(tune: BlkioTune, field: str, path: str, number: int) -> None:
    """Write a limit of one device into a model; 0 takes it away."""
    known = next((device for device in tune.devices if device.path == path), None)
    if known is None:
        known = BlkioDevice(path=path)
        tune.devices.append(known)
    setattr(known, field, number or None)
    if not any(getattr(known, other) for other in _DEVICES.values()):
        tune.devices.remove(known)
