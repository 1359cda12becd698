# SPDX-License-Identifier: LGPL-2.1-or-later
"""vcpus.py: how many virtual CPUs a guest has and where they run.

Called by: drivers.qemu.driver (mixin). Calls: the scheduler, vcpu_plug.
Never: changes a definition before its file is written.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from libvirtcore.conf.tuning import CpuTune, VcpuPin
from libvirtcore.drivers.qemu import vcpu_plug
from libvirtcore.drivers.qemu.base import (
    CONFIG,
    LIVE,
    Calls,
    affected,
    one_model,
    replace_config,
    save_live,
)
from libvirtcore.drivers.qemu.cgroup_threads import (
    iothread_pins,
    iothreads,
    place_iothreads,
    place_vcpus,
    repin,
)
from libvirtcore.drivers.qemu.guest import Guest, Run, check_flags, system_error
from libvirtcore.drivers.qemu.info import max_vcpus, vcpu_count
from libvirtcore.drivers.qemu.node_calls import bitmap, cpu_set
from libvirtcore.errors import report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle

if TYPE_CHECKING:
    from libvirtcore.conf import Domain

_SET = (
    LIVE
    | CONFIG
    | c.VIR_DOMAIN_VCPU_MAXIMUM
    | c.VIR_DOMAIN_VCPU_GUEST
    | (c.VIR_DOMAIN_VCPU_HOTPLUGGABLE)
)


def _invalid(detail: str) -> Exception:
    return report(c.VIR_ERR_INVALID_ARG, c.VIR_FROM_QEMU, detail)


class VcpuCalls(Calls):
    """The calls about virtual CPUs that change something."""

    def domain_set_vcpus(self, dom: DomainHandle, nvcpus: int) -> None:
        self.domain_set_vcpus_flags(dom, nvcpus, LIVE)

    def domain_set_vcpus_flags(self, dom: DomainHandle, nvcpus: int, flags: int) -> None:
        check_flags("qemuDomainSetVcpusFlags", flags, _SET)
        with self._job(dom, "DomainSetVcpusFlags") as guest:
            flags = affected(guest, flags)
            if flags & c.VIR_DOMAIN_VCPU_GUEST:
                raise report(
                    c.VIR_ERR_ARGUMENT_UNSUPPORTED,
                    c.VIR_FROM_QEMU,
                    "QEMU guest agent is not configured",
                )
            config = guest.config.copy() if flags & CONFIG and guest.config else None
            if flags & c.VIR_DOMAIN_VCPU_MAXIMUM:
                if flags & LIVE or config is None:
                    raise _invalid("cannot adjust maximum vcpus of running domain")
                now = vcpu_count(config)
                config.vcpu.value = nvcpus
                config.vcpu.current = now if now < nvcpus else None
                replace_config(guest, config)
                return
            self._check_count(guest.live if flags & LIVE else None, "live", nvcpus)
            self._check_count(config, "persistent", nvcpus)
            if flags & LIVE and guest.live is not None and nvcpus != vcpu_count(guest.live):
                try:
                    vcpu_plug.set_count(guest, guest.running(), nvcpus)
                finally:
                    save_live(guest)
            if config is not None:
                _set_config(config, nvcpus, bool(flags & c.VIR_DOMAIN_VCPU_HOTPLUGGABLE))
                replace_config(guest, config)

    def domain_set_vcpu(self, dom: DomainHandle, vcpumap: str, state: int, flags: int) -> None:
        check_flags("qemuDomainSetVcpu", flags, LIVE | CONFIG)
        wanted = cpu_set(vcpumap)
        with self._job(dom, "DomainSetVcpu") as guest:
            flags = affected(guest, flags)
            live = guest.live if flags & LIVE else None
            config = guest.config.copy() if flags & CONFIG and guest.config else None
            for model, kind in ((live, "live"), (config, "persistent")):
                if model is not None:
                    _check_change(model, kind, wanted, bool(state))
            if live is not None:
                if len(wanted) != 1:
                    raise _invalid("only one hotpluggable entity can be selected")
                number = min(wanted)
                run = guest.running()
                try:
                    if state:
                        vcpu_plug.plug(guest, run, number, vcpu_plug.slots(run)[number])
                    else:
                        vcpu_plug.unplug(guest, run, number)
                finally:
                    save_live(guest)
            if config is not None:
                each = vcpu_plug.states(config)
                for item in each:
                    if item.id in wanted:
                        item.enabled, item.order = bool(state), None
                        item.hotpluggable = item.id > 0
                vcpu_plug.write_states(config, each)
                replace_config(guest, config)

    def _check_count(self, model: Domain | None, kind: str, wanted: int) -> None:
        if model is not None and wanted > max_vcpus(model):
            raise _invalid(
                f"requested vcpus is greater than max allowable vcpus for the {kind} domain: "
                f"{wanted} > {max_vcpus(model)}"
            )

    # --- where they run ---------------------------------------------------------------------------

    def domain_pin_vcpu(self, dom: DomainHandle, vcpu: int, cpumap: bytes) -> None:
        self.domain_pin_vcpu_flags(dom, vcpu, cpumap, LIVE)

    def domain_pin_vcpu_flags(
        self, dom: DomainHandle, vcpu: int, cpumap: bytes, flags: int
    ) -> None:
        check_flags("qemuDomainPinVcpuFlags", flags, LIVE | CONFIG)
        with self._job(dom, "DomainPinVcpuFlags") as guest:
            flags = affected(guest, flags)
            wanted = {
                number for number in range(len(cpumap) * 8) if cpumap[number // 8] >> number % 8 & 1
            }
            if not wanted:
                raise _invalid("Empty cpu list for pinning")
            config = guest.config.copy() if flags & CONFIG and guest.config else None
            live = guest.live if flags & LIVE else None
            for model, kind in ((live, "live"), (config, "persistent")):
                if model is not None and not 0 <= vcpu < max_vcpus(model):
                    raise _invalid(
                        f"vcpu {vcpu} is out of range of {kind} cpu count {max_vcpus(model)}"
                    )
            if flags & LIVE:
                self._pin(guest, vcpu, wanted)
            if config is not None:
                _write_pin(config, vcpu, wanted)
                replace_config(guest, config)

    def _pin(self, guest: Guest, vcpu: int, wanted: set[int]) -> None:
        run = guest.running()
        threads = dict(zip(run.vcpu_numbers, run.vcpu_threads, strict=True))
        if vcpu not in threads:
            raise _invalid(f"setting cpu pinning for inactive vcpu {vcpu} is not supported")
        repin(run.group, f"vcpu{vcpu}", cpu_list(wanted))
        try:
            os.sched_setaffinity(threads[vcpu], wanted)
        except OSError as fault:
            raise system_error(
                fault, f"cannot set CPU affinity on process {threads[vcpu]}", c.VIR_FROM_NONE
            ) from None
        assert guest.live is not None
        _write_pin(guest.live, vcpu, wanted)
        save_live(guest)

    def domain_get_vcpu_pin_info(
        self, dom: DomainHandle, ncpumaps: int, maplen: int, flags: int
    ) -> tuple[bytes, int]:
        check_flags("qemuDomainGetVcpuPinInfo", flags, LIVE | CONFIG)
        guest = self.host.find(dom)
        model = one_model(guest, flags)
        pins = _pins(model)
        everybody = set(range(os.cpu_count() or 1))
        if model.vcpu.cpuset:
            everybody = cpu_set(model.vcpu.cpuset)
        count = min(ncpumaps, vcpu_count(model))
        maps = [
            bitmap(cpu_set(pins[vcpu].cpuset or "") if vcpu in pins else everybody, maplen * 8)
            for vcpu in range(count)
        ]
        return b"".join(maps), count

    def domain_get_emulator_pin_info(
        self, dom: DomainHandle, maplen: int, flags: int
    ) -> tuple[bytes, int]:
        check_flags("qemuDomainGetEmulatorPinInfo", flags, LIVE | CONFIG)
        model = one_model(self.host.find(dom), flags)
        pin = model.cputune.emulatorpin if model.cputune is not None else None
        cpus = set(range(os.cpu_count() or 1))
        if pin is not None and pin.cpuset:
            cpus = cpu_set(pin.cpuset)
        elif model.vcpu.cpuset:
            cpus = cpu_set(model.vcpu.cpuset)
        return bitmap(cpus, maplen * 8), 1


def _set_config(config: Domain, count: int, hotpluggable: bool) -> None:
    """Write into a definition how many CPUs its next start begins with."""
    if not hotpluggable and config.vcpus is None:
        config.vcpu.current = count if count < max_vcpus(config) else None
        return
    each = vcpu_plug.states(config)
    for item in each:
        enabled = item.id < count
        if enabled != bool(item.enabled):
            item.enabled, item.order = enabled, None
            item.hotpluggable = (hotpluggable and item.id > 0) or not enabled
    vcpu_plug.write_states(config, each)


def _check_change(model: Domain, kind: str, wanted: set[int], enabled: bool) -> None:
    """Refuse a change that is none, or cannot be made. Raises: VirError."""
    if not wanted:
        raise _invalid("no vcpus selected for modification")
    each = {item.id: item for item in vcpu_plug.states(model)}
    for number in sorted(wanted):
        item = each.get(number)
        if item is None:
            raise _invalid(f"vcpu '{number}' is not present in the {kind} domain definition")
        if bool(item.enabled) == enabled:
            raise _invalid(f"vcpu '{number}' is already in requested state")
        if not enabled and (number == 0 or not item.hotpluggable):
            raise report(
                c.VIR_ERR_OPERATION_UNSUPPORTED,
                c.VIR_FROM_QEMU,
                f"vcpu '{number}' can't be unplugged",
            )


def _pins(model: Domain) -> dict[int, Any]:
    tune = model.cputune
    return {pin.vcpu: pin for pin in tune.vcpupins} if tune is not None else {}


def _write_pin(model: Domain, vcpu: int, wanted: set[int]) -> None:
    if model.cputune is None:
        model.cputune = CpuTune()
    kept = [pin for pin in model.cputune.vcpupins if pin.vcpu != vcpu]
    kept.append(VcpuPin(vcpu=vcpu, cpuset=cpu_list(wanted)))
    model.cputune.vcpupins = sorted(kept, key=lambda pin: pin.vcpu)


def cpu_list(numbers: set[int]) -> str:
    """Numbers as "0-3,7"."""
    parts: list[str] = []
    first = last = None
    for number in [*sorted(numbers), None]:
        if last is not None and number == last + 1:
            last = number
            continue
        if first is not None:
            parts.append(str(first) if first == last else f"{first}-{last}")
        first = last = number
    return ",".join(parts)


def apply_pins(guest: Guest, run: Run) -> None:
    """Have the threads of a QEMU run where its document says. Raises: VirError."""
    model = guest.live
    assert model is not None
    place_vcpus(guest, run)  # first: a thread cannot leave the CPUs of its control group
    tune = model.cputune
    emulator = tune.emulatorpin.cpuset if tune is not None and tune.emulatorpin else None
    pins = _pins(model)
    wanted = {run.process.pid: emulator or model.vcpu.cpuset}
    for vcpu, thread in zip(run.vcpu_numbers, run.vcpu_threads, strict=True):
        wanted[thread] = pins[vcpu].cpuset if vcpu in pins else model.vcpu.cpuset
    if model.iothreads and run.monitor is not None:
        threads = iothreads(run.monitor.command("query-iothreads"))
        place_iothreads(guest, run, threads)
        own = iothread_pins(model)
        for number, thread in threads.items():
            wanted[thread] = own.get(number) or model.vcpu.cpuset
    for thread, cpuset in wanted.items():
        if not cpuset:
            continue
        try:
            os.sched_setaffinity(thread, cpu_set(cpuset))
        except OSError as fault:
            raise system_error(
                fault, f"cannot set CPU affinity on process {thread}", c.VIR_FROM_NONE
            ) from None
