# SPDX-License-Identifier: LGPL-2.1-or-later
"""command_cpu.py: CPU model and features, topology of virtual CPUs, I/O threads.

Called by: command.py, drivers that compare CPUs (qemu_feature). Calls: command_line.py.
Never: decides what the host can do (capabilities and the context say so).
"""

from __future__ import annotations

import os
from typing import Any

from libvirtcore.drivers.qemu.command_line import Line, get, onoff, present, unsupported

# libvirt's names of features that QEMU calls differently.
_NAMES = {
    "cmp_legacy": "cmp-legacy",
    "ds_cpl": "ds-cpl",
    "fxsr_opt": "fxsr-opt",
    "kvm_pv_eoi": "kvm-pv-eoi",
    "kvm_pv_unhalt": "kvm-pv-unhalt",
    "lahf_lm": "lahf-lm",
    "nodeid_msr": "nodeid-msr",
    "pclmuldq": "pclmulqdq",
    "perfctr_core": "perfctr-core",
    "perfctr_nb": "perfctr-nb",
    "tsc_adjust": "tsc-adjust",
}
# What a model of libvirt has and QEMU's does not: said aloud, so that both agree. Observed.
_NOT_IN_QEMU = {
    "Opteron_G3": "monitor",
    "EPYC": "monitor",
    "EPYC-IBPB": "monitor",
    "Dhyana": "monitor",
    "Icelake-Server": "intel-pt",
    "Icelake-Server-noTSX": "intel-pt",
}
_HYPERV = (
    ("relaxed", "hv-relaxed"),
    ("vapic", "hv-vapic"),
    ("spinlocks", "hv-spinlocks"),
    ("vpindex", "hv-vpindex"),
    ("runtime", "hv-runtime"),
    ("synic", "hv-synic"),
    ("stimer", "hv-stimer"),
    ("reset", "hv-reset"),
    ("vendor_id", "hv-vendor-id"),
    ("frequencies", "hv-frequencies"),
    ("reenlightenment", "hv-reenlightenment"),
    ("tlbflush", "hv-tlbflush"),
    ("ipi", "hv-ipi"),
    ("evmcs", "hv-evmcs"),
    ("avic", "hv-avic"),
)


def qemu_feature(name: str) -> str:
    """What QEMU calls a CPU feature."""
    return _NAMES.get(name, name)


def cpu(line: Line) -> None:
    words = [*_model(line), *_timers(line), *_features(line), *_rest(line)]
    if words[0] == "":
        if len(words) == 1:
            return
        words[0] = _default(line)
    line.add("-cpu", ",".join(words))


def _default(line: Line) -> str:
    """The model that is meant when none is given."""
    machine = line.caps.machine(line.machine)
    if machine is not None and machine.default_cpu:
        return machine.default_cpu.removesuffix("-x86_64-cpu").removesuffix("-i386-cpu")
    return {"i686": "qemu32", "x86_64": "qemu64"}.get(line.arch, "max")


def _model(line: Line) -> list[str]:
    """Model and features as the definition asks for them."""
    cpu = line.dom.cpu
    mode = get(cpu, "mode")
    kvm = line.dom.type == "kvm"
    if cpu is None or (mode in (None, "custom") and not get(cpu, "model", "value")):
        return [""]
    features = [(feature.name, feature.policy or "require") for feature in cpu.features]
    if mode == "host-passthrough":
        if not kvm:
            raise unsupported(
                f"CPU mode 'host-passthrough' for {line.arch} {line.dom.type} domain on"
                f" {os.uname().machine} host is not supported by hypervisor"
            )
        words = ["host"]
        if cpu.migratable is not None and line.caps.has_device("host-x86_64-cpu"):
            words.append(f"migratable={cpu.migratable}")
    elif mode == "maximum":
        words = ["max"]
        if cpu.migratable is not None:
            words.append(f"migratable={cpu.migratable}")
    elif mode == "host-model" or cpu.match == "minimum":
        words, features = _host_model(line, features, kvm)
    else:
        words = [cpu.model.value]
        stated = {name for name, _ in features}
        extra = _NOT_IN_QEMU.get(cpu.model.value)
        if extra is not None and extra not in stated:
            features.append((extra, "disable"))
    vendor = get(cpu, "model", "vendor_id")
    if vendor and mode != "host-model":
        words.append(f"vendor={vendor}")
    for name, policy in features:
        words.append(f"{qemu_feature(name)}={onoff(_wanted(line, name, policy, kvm))}")
    return words


def _host_model(
    line: Line, features: list[tuple[str, str]], kvm: bool
) -> tuple[list[str], list[tuple[str, str]]]:
    """The host's own CPU, spelled out; without such knowledge the best QEMU can do."""
    host = line.ctx.host_cpu
    if host is None:
        return (["host", "migratable=on"] if kvm else ["max"]), features
    merged = {feature.name: feature.policy or "require" for feature in host.features}
    merged.update(features)
    return [host.model.value], list(merged.items())


def _wanted(line: Line, name: str, policy: str, kvm: bool) -> bool:
    if policy in ("require", "force"):
        return True
    if policy == "optional":
        able = line.caps.host_cpu_kvm if kvm else line.caps.host_cpu_tcg
        return able.get(qemu_feature(name)) is True
    return False


def _timers(line: Line) -> list[str]:
    words = []
    for timer in line.dom.clock.timers:
        if timer.name == "kvmclock" and timer.present is not None:
            words.append(f"kvmclock={onoff(timer.present)}")
        elif timer.name == "hypervclock" and timer.present:
            words.append("hv-time=on")
        elif timer.name == "tsc" and timer.frequency:
            words.append(f"tsc-frequency={timer.frequency}")
        elif timer.name == "armvtimer" and timer.tickpolicy is not None:
            words.append(f"kvm-no-adjvtime={onoff(timer.tickpolicy == 'discard')}")
    return words


def _features(line: Line) -> list[str]:
    features = line.dom.features
    words = []
    eoi = get(features, "apic", "eoi")
    if eoi is not None:
        words.append(f"kvm-pv-eoi={onoff(eoi)}")
    spin = get(features, "pvspinlock", "state")
    if spin is not None:
        words.append(f"kvm-pv-unhalt={onoff(spin)}")
    hyperv = get(features, "hyperv")
    if hyperv is not None:
        words += _hyperv(hyperv)
    for panic in get(line.dom.devices, "panics") or ():
        if panic.model == "hyperv":
            words.append("hv-crash")
            break
    kvm = get(features, "kvm")
    if kvm is not None:
        if get(kvm, "hidden", "state"):
            words.append("kvm=off")
        for name, option in (("hint_dedicated", "kvm-hint-dedicated"),
                             ("poll_control", "kvm-poll-control")):  # fmt: skip
            if get(kvm, name, "state"):
                words.append(f"{option}=on")
        if get(kvm, "pv_ipi", "state") is False:
            words.append("kvm-pv-ipi=off")
    pmu = get(features, "pmu", "state")
    if pmu is not None:
        words.append(f"pmu={onoff(pmu)}")
    return words


def _hyperv(hyperv: Any) -> list[str]:
    if hyperv.mode == "passthrough":
        return ["hv-passthrough=on"]
    words = []
    for name, option in _HYPERV:
        item = getattr(hyperv, name)
        if item is None or not item.state:
            continue
        if name == "spinlocks":
            words.append(f"{option}=0x{item.retries or 0:x}")
        elif name == "vendor_id":
            words.append(f"{option}={item.value}")
        else:
            words.append(f"{option}=on")
        if name == "stimer" and get(item, "direct", "state"):
            words.append("hv-stimer-direct=on")
    return words


def _rest(line: Line) -> list[str]:
    cpu = line.dom.cpu
    words = []
    cache = get(cpu, "cache")
    if cache is not None:
        if cache.mode == "emulate":
            words.append("l3-cache=on")
        elif cache.mode == "passthrough":
            words.append("host-cache-info=on")
        else:
            words += ["host-cache-info=off", "l3-cache=off"]
    physical = get(cpu, "maxphysaddr")
    if physical is not None:
        if physical.mode == "passthrough":
            words.append("host-phys-bits=on")
        elif physical.bits:
            words.append(f"phys-bits={physical.bits}")
    return words


# --- virtual CPUs ---------------------------------------------------------------------------------


def cold_plugged(dom: Any) -> int:
    """How many virtual CPUs QEMU starts with; the others are plugged in before the guest runs."""
    each = get(dom, "vcpus", "vcpus") or ()
    if each:
        return sum(1 for vcpu in each if vcpu.enabled and vcpu.hotpluggable is not True)
    return int(dom.vcpu.current or dom.vcpu.value or 1)


def smp(line: Line) -> None:
    dom = line.dom
    most = dom.vcpu.value or 1
    now = cold_plugged(dom)
    words = [str(now)]
    if now != most:
        words.append(f"maxcpus={most}")
    topology = get(dom.cpu, "topology")
    if topology is not None:
        dies = topology.dies or 1
        total = topology.sockets * dies * topology.cores * topology.threads
        if total != most:
            raise unsupported("CPU topology doesn't match maximum vcpu count")
        words.append(f"sockets={topology.sockets}")
        if line.x86:
            words.append(f"dies={dies}")
        elif dies > 1:
            raise unsupported("Only 1 die per socket is supported")
        words += [f"cores={topology.cores}", f"threads={topology.threads}"]
    else:
        words += [f"sockets={most}", "cores=1", "threads=1"]
    line.add("-smp", ",".join(words))


def iothread_ids(dom: Any) -> list[tuple[int, Any]]:
    """The numbers of the I/O threads with what is said about each: stated ones, then the rest."""
    stated = [(thread.id, thread) for thread in get(dom, "iothreadids", "iothreads") or ()]
    taken = {number for number, _ in stated}
    wanted = dom.iothreads or 0
    number = 1
    while len(stated) < wanted:
        if number not in taken:
            stated.append((number, None))
        number += 1
    return stated


def iothreads(line: Line) -> None:
    for number, thread in iothread_ids(line.dom):
        low, high = get(thread, "thread_pool_min"), get(thread, "thread_pool_max")
        props = present({"thread-pool-min": low, "thread-pool-max": high})
        line.object("iothread", f"iothread{number}", props)
    pool = get(line.dom, "defaultiothread")
    low, high = get(pool, "thread_pool_min"), get(pool, "thread_pool_max")
    if low is not None or high is not None:
        props = present({"thread-pool-min": low, "thread-pool-max": high})
        line.object("main-loop", "main-loop", props)
