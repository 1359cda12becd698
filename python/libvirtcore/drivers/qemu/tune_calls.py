# SPDX-License-Identifier: LGPL-2.1-or-later
"""tune_calls.py: shares of the host that a guest gets: processors, memory, block I/O, NUMA nodes.

They are kept in definitions. A running guest would need cgroups, which are not built: it is
answered as libvirt answers on a host without them.
Called by: drivers.qemu.driver (mixin). Calls: base, the model.
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
from libvirtcore.drivers.qemu.base import (
    CONFIG,
    LIVE,
    Calls,
    affected,
    one_model,
    replace_config,
)
from libvirtcore.drivers.qemu.guest import Guest, check_flags, invalid
from libvirtcore.drivers.qemu.node_calls import cpu_set
from libvirtcore.drivers.qemu.vcpus import cpu_list
from libvirtcore.errors import report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle

if TYPE_CHECKING:
    from collections.abc import Callable

    from libvirtcore.conf import Domain

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
UNLIMITED = 9007199254740991  # KiB, VIR_DOMAIN_MEMORY_PARAM_UNLIMITED
_MODES = ("strict", "preferred", "interleave", "restrictive")
_CPU = ("CPU tuning", "cgroup CPU controller is not mounted")
_MEM = ("Memory tuning", "cgroup memory controller is not mounted")
_BLK = ("Block I/O tuning", "blkio cgroup isn't mounted")
_NUMA = ("NUMA tuning", "cgroup cpuset controller is not mounted")


def _wrong(detail: str) -> Exception:
    return report(c.VIR_ERR_INVALID_ARG, c.VIR_FROM_QEMU, detail)


def _number(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < -1:
        raise _wrong(f"invalid value of parameter '{name}'")
    return value


class TuneCalls(Calls):
    """The calls about shares and limits."""

    def _available(self, what: tuple[str, str], *, live: bool) -> None:
        """Refuse what this host, or a running guest here, does not have. Raises: VirError."""
        if not self.host.privileged:
            raise report(
                c.VIR_ERR_OPERATION_UNSUPPORTED,
                c.VIR_FROM_QEMU,
                f"{what[0]} is not available in session mode",
            )
        if live:
            raise invalid(what[1])

    def _definition(self, guest: Guest, flags: int, what: tuple[str, str]) -> Domain:
        """The definition that a query is about. Raises: VirError."""
        model = one_model(guest, flags & (LIVE | CONFIG))
        self._available(what, live=model is guest.live)
        return model

    def _change(
        self, dom: DomainHandle, flags: int, what: tuple[str, str], change: Callable[[Domain], None]
    ) -> None:
        """Change a definition; a running guest cannot be changed. Raises: VirError."""
        with self._job(dom, "DomainSetParameters") as guest:
            flags = affected(guest, flags)
            self._available(what, live=bool(flags & LIVE))
            assert guest.config is not None
            config = guest.config.copy()
            change(config)
            replace_config(guest, config)

    # --- processors -------------------------------------------------------------------------------

    def domain_get_scheduler_type(self, dom: DomainHandle) -> tuple[str, int]:
        guest = self.host.find(dom)
        self._available(_CPU, live=guest.active)
        return "posix", len(_SCHEDULER)

    def domain_get_scheduler_parameters(self, dom: DomainHandle, nparams: int) -> Params:
        return self.domain_get_scheduler_parameters_flags(dom, nparams, 0)

    def domain_get_scheduler_parameters_flags(
        self, dom: DomainHandle, nparams: int, flags: int
    ) -> Params:
        known = LIVE | CONFIG | c.VIR_TYPED_PARAM_STRING_OKAY
        check_flags("qemuDomainGetSchedulerParametersFlags", flags, known)
        tune = self._definition(self.host.find(dom), flags, _CPU).cputune
        found = [
            (name, kind, getattr(tune, field, None) or 0)
            for name, (field, kind) in _SCHEDULER.items()
        ]
        return found[:nparams]

    def domain_set_scheduler_parameters(self, dom: DomainHandle, params: Params) -> None:
        self.domain_set_scheduler_parameters_flags(dom, params, 0)

    def domain_set_scheduler_parameters_flags(
        self, dom: DomainHandle, params: Params, flags: int
    ) -> None:
        check_flags("qemuDomainSetSchedulerParametersFlags", flags, LIVE | CONFIG)

        def change(config: Domain) -> None:
            tune = config.cputune or CpuTune()
            for name, _kind, value in params:
                if name not in _SCHEDULER:
                    raise _wrong(f"parameter '{name}' not supported")
                number = _number(name, value)
                bounds = _PERIOD if name.endswith("_period") else _QUOTA
                if name != "cpu_shares" and number > 0 and number not in bounds:
                    text = f"value of '{name}' is out of range [{bounds[0]}, {bounds[-1]}]"
                    raise _wrong(text)
                setattr(tune, _SCHEDULER[name][0], number or None)
            config.cputune = tune

        self._change(dom, flags, _CPU, change)

    # --- memory -----------------------------------------------------------------------------------

    def domain_get_memory_parameters(
        self, dom: DomainHandle, nparams: int, flags: int
    ) -> tuple[Params, int]:
        known = LIVE | CONFIG | c.VIR_TYPED_PARAM_STRING_OKAY
        check_flags("qemuDomainGetMemoryParameters", flags, known)
        tune = self._definition(self.host.find(dom), flags, _MEM).memtune
        found: Params = []
        for name in _MEMORY:
            value = getattr(tune, name, None)
            found.append((name, _ULLONG, UNLIMITED if value is None else value))
        return _counted(found, nparams)

    def domain_set_memory_parameters(self, dom: DomainHandle, params: Params, flags: int) -> None:
        check_flags("qemuDomainSetMemoryParameters", flags, LIVE | CONFIG)

        def change(config: Domain) -> None:
            tune = config.memtune or MemTune()
            for name, _kind, value in params:
                if name not in _MEMORY:
                    raise _wrong(f"parameter '{name}' not supported")
                number = _number(name, value)
                unlimited = not 0 <= number < UNLIMITED
                setattr(tune, name, None if unlimited else number)
            hard, swap = tune.hard_limit, tune.swap_hard_limit
            if swap is not None and (hard is None or swap < hard):
                raise _wrong("hard limit must be lower than swap hard limit")
            config.memtune = tune

        self._change(dom, flags, _MEM, change)

    # --- block I/O --------------------------------------------------------------------------------

    def domain_get_blkio_parameters(
        self, dom: DomainHandle, nparams: int, flags: int
    ) -> tuple[Params, int]:
        known = LIVE | CONFIG | c.VIR_TYPED_PARAM_STRING_OKAY
        check_flags("qemuDomainGetBlkioParameters", flags, known)
        tune = self._definition(self.host.find(dom), flags, _BLK).blkiotune
        weight = getattr(tune, "weight", None) or 0
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

        def change(config: Domain) -> None:
            tune = config.blkiotune or BlkioTune()
            for name, _kind, value in params:
                if name == "weight":
                    tune.weight = _number(name, value) or None
                elif name in _DEVICES:
                    _set_devices(tune, name, value)
                else:
                    raise _wrong(f"parameter '{name}' not supported")
            config.blkiotune = tune

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

        def change(config: Domain) -> None:
            tune = config.numatune or NumaTune()
            memory = tune.memory or NumaMemory(mode="strict")
            for name, _kind, value in params:
                if name == "numa_mode":
                    if not isinstance(value, int) or not 0 <= value < len(_MODES):
                        raise _wrong(f"unsupported numatune mode: '{value}'")
                    memory.mode = _MODES[value]
                elif name == "numa_nodeset":
                    nodes = cpu_set(str(value))
                    if not nodes:
                        raise _wrong(f"Invalid nodeset of 'numatune': {value}")
                    memory.nodeset, memory.placement = cpu_list(nodes), None
                else:
                    raise _wrong(f"parameter '{name}' not supported")
            tune.memory = memory
            config.numatune = tune

        self._change(dom, flags, _NUMA, change)


def _counted(params: Params, room: int) -> tuple[Params, int]:
    """As many as there is room for; their number when nobody made room."""
    return ([], len(params)) if room == 0 else (params[:room], min(room, len(params)))


def _set_devices(tune: BlkioTune, name: str, value: Any) -> None:
    """Write "PATH,NUMBER,PATH,NUMBER"; 0 takes a limit away. Raises: VirError."""
    words = str(value).split(",") if value else []
    if len(words) % 2 or not all(word.isascii() and word.isdecimal() for word in words[1::2]):
        raise _wrong(f"unable to parse {name.removeprefix('device_')} device '{value}'")
    for path, number in zip(words[::2], words[1::2], strict=True):
        known = next((device for device in tune.devices if device.path == path), None)
        if known is None:
            known = BlkioDevice(path=path)
            tune.devices.append(known)
        setattr(known, _DEVICES[name], int(number) or None)
