# SPDX-License-Identifier: LGPL-2.1-or-later
"""cpus.py: the door's functions whose result or argument has one boolean per host CPU.

libvirt packs CPUs into bitmaps whose length the caller chooses, so the number of host CPUs is
asked for first.
Called by: libvirtmod.
Never: guesses a number of CPUs.
"""

from __future__ import annotations

from libvirtcore.api import args as arg
from libvirtcore.api import shapes
from libvirtcore.api.call import run
from libvirtcore.generated import api_table as row
from libvirtcore.generated.limits import REMOTE_DOMAIN_GET_CPU_STATS_NCPUS_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "virDomainGetCPUStats",
    "virDomainGetEmulatorPinInfo",
    "virDomainGetIOThreadInfo",
    "virDomainGetVcpuPinInfo",
    "virDomainGetVcpus",
    "virDomainPinEmulator",
    "virDomainPinIOThread",
    "virDomainPinVcpu",
    "virDomainPinVcpuFlags",
]


def host_cpus(driver: Any) -> int:
    """How many CPUs the host has, online or not."""
    _bits, _online, count = driver.node_get_cpu_map(0, 0, 0)
    return int(count)


def bitmap_size(cpus: int) -> int:
    """The bytes of a bitmap of this many CPUs."""
    return (cpus + 7) // 8


def pack(flags: Any, cpus: int) -> bytes:
    """A bitmap from a tuple of booleans; CPUs the host does not have are left out."""
    bits = bytearray(bitmap_size(cpus))
    for cpu, flag in enumerate(flags[:cpus]):
        if flag:
            bits[cpu >> 3] |= 1 << (cpu & 7)
    return bytes(bits)


def _tuple(cpumap: Any) -> tuple[Any, ...]:
    if not isinstance(cpumap, tuple):
        raise TypeError("Unexpected type, tuple is required")
    return cpumap


# --- asking ---------------------------------------------------------------------------------------


def _vcpus(driver: Any, dom: Any) -> Any:
    cpus = host_cpus(driver)
    count = driver.domain_get_info(dom)[3]
    size = bitmap_size(cpus)
    info, bits = driver.domain_get_vcpus(dom, count, size)
    return (
        [tuple(entry) for entry in info],
        shapes.cpu_maps(bits[: len(info) * size], size, cpus),
    )


def virDomainGetVcpus(domain: Any, /) -> Any:
    return run(row.virDomainGetVcpus, _vcpus, domain)


def _vcpu_pins(driver: Any, dom: Any, flags: int) -> Any:
    cpus = host_cpus(driver)
    count = driver.domain_get_info(dom)[3]
    size = bitmap_size(cpus)
    bits, number = driver.domain_get_vcpu_pin_info(dom, count, size, flags)
    return shapes.cpu_maps(bits[: number * size], size, cpus)


def virDomainGetVcpuPinInfo(domain: Any, flags: Any, /) -> Any:
    return run(row.virDomainGetVcpuPinInfo, _vcpu_pins, domain, arg.u32(flags))


def _emulator_pins(driver: Any, dom: Any, flags: int) -> Any:
    cpus = host_cpus(driver)
    bits, _number = driver.domain_get_emulator_pin_info(dom, bitmap_size(cpus), flags)
    return shapes.cpu_map(bits, cpus)


def virDomainGetEmulatorPinInfo(domain: Any, flags: Any, /) -> Any:
    return run(row.virDomainGetEmulatorPinInfo, _emulator_pins, domain, arg.u32(flags))


def _iothreads(driver: Any, dom: Any, flags: int) -> Any:
    cpus = host_cpus(driver)
    threads, _count = driver.domain_get_iothread_info(dom, flags)
    return [(number, list(shapes.cpu_map(bits, cpus))) for number, bits in threads]


def virDomainGetIOThreadInfo(domain: Any, flags: Any, /) -> Any:
    return run(row.virDomainGetIOThreadInfo, _iothreads, domain, arg.u32(flags))


def _total_stats(driver: Any, dom: Any, flags: int) -> Any:
    _none, count = driver.domain_get_cpu_stats(dom, 0, -1, 1, flags)
    if count == 0:
        return [{}]
    params, _count = driver.domain_get_cpu_stats(dom, count, -1, 1, flags)
    return [shapes.params(params)]


def _each_stats(driver: Any, dom: Any, flags: int) -> Any:
    _none, cpus = driver.domain_get_cpu_stats(dom, 0, 0, 0, flags)
    _none, count = driver.domain_get_cpu_stats(dom, 0, 0, 1, flags)
    if count == 0:
        return []
    result: list[dict[str, Any]] = []
    asked = driver.with_types()  # a dict could not tell two CPUs apart
    while len(result) < cpus:
        wanted = min(REMOTE_DOMAIN_GET_CPU_STATS_NCPUS_MAX, cpus - len(result))
        params, per_cpu = asked.domain_get_cpu_stats(dom, count, len(result), wanted, flags)
        got = [shapes.params(params[at : at + per_cpu]) for at in range(0, len(params), per_cpu)]
        result += got or [{}] * wanted  # CPUs that are offline have none
    return result


def virDomainGetCPUStats(domain: Any, total: Any, flags: Any, /) -> Any:
    body = _total_stats if total else _each_stats
    return run(row.virDomainGetCPUStats, body, domain, arg.u32(flags))


# --- pinning --------------------------------------------------------------------------------------


def _pin_vcpu(driver: Any, dom: Any, vcpu: int, flags: Any) -> int:
    driver.domain_pin_vcpu(dom, vcpu, pack(flags, host_cpus(driver)))
    return 0


def virDomainPinVcpu(domain: Any, vcpu: Any, cpumap: Any, /) -> Any:
    return run(row.virDomainPinVcpu, _pin_vcpu, domain, arg.u32(vcpu), _tuple(cpumap))


def _pin_vcpu_flags(driver: Any, dom: Any, vcpu: int, cpumap: Any, flags: int) -> int:
    driver.domain_pin_vcpu_flags(dom, vcpu, pack(cpumap, host_cpus(driver)), flags)
    return 0


def virDomainPinVcpuFlags(domain: Any, vcpu: Any, cpumap: Any, flags: Any, /) -> Any:
    return run(
        row.virDomainPinVcpuFlags,
        _pin_vcpu_flags,
        domain,
        arg.u32(vcpu),
        _tuple(cpumap),
        arg.u32(flags),
    )


def _pin_emulator(driver: Any, dom: Any, cpumap: Any, flags: int) -> int:
    driver.domain_pin_emulator(dom, pack(cpumap, host_cpus(driver)), flags)
    return 0


def virDomainPinEmulator(domain: Any, cpumap: Any, flags: Any, /) -> Any:
    return run(row.virDomainPinEmulator, _pin_emulator, domain, _tuple(cpumap), arg.u32(flags))


def _pin_iothread(driver: Any, dom: Any, number: int, cpumap: Any, flags: int) -> int:
    driver.domain_pin_iothread(dom, number, pack(cpumap, host_cpus(driver)), flags)
    return 0


def virDomainPinIOThread(domain: Any, iothread_val: Any, cpumap: Any, flags: Any, /) -> Any:
    return run(
        row.virDomainPinIOThread,
        _pin_iothread,
        domain,
        arg.u32(iothread_val),
        _tuple(cpumap),
        arg.u32(flags),
    )
