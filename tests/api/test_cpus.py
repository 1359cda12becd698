# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_cpus.py: bitmaps of host CPUs, as tuples of booleans and back."""

from __future__ import annotations

from typing import Any

import pytest

import libvirtmod
from libvirtcore.api.cpus import pack
from libvirtcore.errors import report
from tests.api.conftest import World

YES, NO = True, False


@pytest.fixture
def host(world: World) -> World:
    """A host with ten CPUs and a guest with two."""
    world.says(node_get_cpu_map=(b"", 0, 10), domain_get_info=(1, 2, 3, 2, 5))
    return world


def test_vcpus_have_one_boolean_per_host_cpu(host: World) -> None:
    info = [(0, 1, 100, 3), (1, 1, 200, 9)]
    host.says(domain_get_vcpus=(info, b"\x03\x00\x00\x02"))
    assert libvirtmod.virDomainGetVcpus(host.dom) == (
        [(0, 1, 100, 3), (1, 1, 200, 9)],
        [(YES, YES, *[NO] * 8), (*[NO] * 9, YES)],
    )
    assert host.driver.calls[-1] == ("domain_get_vcpus", host.dom, 2, 2)


def test_pins_of_fewer_vcpus_than_asked_for(host: World) -> None:
    host.says(domain_get_vcpu_pin_info=(b"\xff\x03\x00\x00", 1))
    assert libvirtmod.virDomainGetVcpuPinInfo(host.dom, 0) == [(YES,) * 10]


def test_emulator_pin_is_one_tuple(host: World) -> None:
    host.says(domain_get_emulator_pin_info=(b"\x01", 1))
    assert libvirtmod.virDomainGetEmulatorPinInfo(host.dom, 0) == (YES, *[NO] * 9)


def test_iothreads_have_lists(host: World) -> None:
    host.says(domain_get_iothread_info=([(1, b"\x02\x00")], 1))
    assert libvirtmod.virDomainGetIOThreadInfo(host.dom, 0) == [(1, [NO, YES, *[NO] * 8])]


@pytest.mark.parametrize(
    ("cpumap", "bits"),
    [
        ((), b"\x00\x00"),
        ((YES, NO, YES), b"\x05\x00"),
        ((1, 0, "x"), b"\x05\x00"),
        ((NO,) * 8 + (YES, YES), b"\x00\x03"),
        ((YES,) * 100, b"\xff\x03"),
    ],
)
def test_pinning_packs_as_many_bits_as_the_host_has(
    host: World, cpumap: tuple[Any, ...], bits: bytes
) -> None:
    host.says(domain_pin_vcpu=None, domain_pin_vcpu_flags=None)
    assert libvirtmod.virDomainPinVcpu(host.dom, 1, cpumap) == 0
    assert host.driver.calls[-1] == ("domain_pin_vcpu", host.dom, 1, bits)
    assert libvirtmod.virDomainPinVcpuFlags(host.dom, 1, cpumap, 2) == 0
    assert host.driver.calls[-1] == ("domain_pin_vcpu_flags", host.dom, 1, bits, 2)


def test_pinning_of_emulator_and_iothread(host: World) -> None:
    host.says(domain_pin_emulator=None, domain_pin_iothread=None)
    assert libvirtmod.virDomainPinEmulator(host.dom, (YES,), 1) == 0
    assert host.driver.calls[-1] == ("domain_pin_emulator", host.dom, b"\x01\x00", 1)
    assert libvirtmod.virDomainPinIOThread(host.dom, 4, (YES,), 1) == 0
    assert host.driver.calls[-1] == ("domain_pin_iothread", host.dom, 4, b"\x01\x00", 1)


def test_pinning_needs_a_tuple(host: World) -> None:
    with pytest.raises(TypeError, match=r"^Unexpected type, tuple is required$"):
        libvirtmod.virDomainPinVcpu(host.dom, 0, [YES])


def test_pack_without_cpus() -> None:
    assert pack((YES,), 0) == b""


def test_failure_to_count_cpus_is_the_call_s(host: World) -> None:
    host.says(node_get_cpu_map=report(1, 0, "no cpus"))
    assert libvirtmod.virDomainGetVcpus(host.dom) is None
    assert libvirtmod.virDomainPinVcpu(host.dom, 0, (YES,)) == -1


# --- statistics -----------------------------------------------------------------------------------


def test_total_statistics(world: World) -> None:
    def stats(_dom: Any, nparams: int, start: int, ncpus: int, _flags: int) -> Any:
        assert (start, ncpus) == (-1, 1)
        return ([("cpu_time", 4, 5)], 1) if nparams else ([], 1)

    world.says(domain_get_cpu_stats=stats)
    assert libvirtmod.virDomainGetCPUStats(world.dom, 1, 0) == [{"cpu_time": 5}]


@pytest.mark.parametrize("cpus", [1, 3, 130])
def test_statistics_of_each_cpu(world: World, cpus: int) -> None:
    """128 at once, with types: a dict could not tell CPUs apart."""

    def stats(_dom: Any, nparams: int, start: int, ncpus: int, _flags: int) -> Any:
        if not nparams:
            return [], (2 if ncpus else cpus)
        assert ncpus <= 128
        assert nparams == 2
        triples = [
            item
            for cpu in range(start, start + ncpus)
            for item in (("cpu_time", 4, cpu), ("vcpu_time", 4, -cpu))
        ]
        return triples, 2

    world.says(domain_get_cpu_stats=stats)
    expected = [{"cpu_time": cpu, "vcpu_time": -cpu} for cpu in range(cpus)]
    assert libvirtmod.virDomainGetCPUStats(world.dom, 0, 0) == expected


def test_host_statistics_are_counted_first(world: World) -> None:
    """A daemon refuses any other number than that of the statistics it has."""

    def cpu(_cpu: int, nparams: int, _flags: int) -> Any:
        assert nparams in (0, 2)
        return [("user", 1), ("idle", 2)][:nparams], 2

    def memory(nparams: int, _cell: int, _flags: int) -> Any:
        assert nparams in (0, 1)
        return [("total", 9)][:nparams], 1

    world.says(node_get_cpu_stats=cpu, node_get_memory_stats=memory)
    assert libvirtmod.virNodeGetCPUStats(world.conn, -1, 0) == {"user": 1, "idle": 2}
    assert libvirtmod.virNodeGetMemoryStats(world.conn, -1, 0) == {"total": 9}
    world.says(node_get_cpu_stats=([], 0))
    assert libvirtmod.virNodeGetCPUStats(world.conn, 0, 0) == {}
    assert world.asked[-1:] == ["node_get_cpu_stats"]


def test_parent_of_a_device(world: World) -> None:
    shown: list[Any] = []
    libvirtmod.virRegisterErrorHandler(lambda _context, raw: shown.append(raw), None)
    world.says(node_device_get_parent=report(23, 25, "gone"))
    assert libvirtmod.virNodeDeviceGetParent(world.dev) is None
    assert libvirtmod.virGetLastErrorCode() == 23
    assert shown == []
    world.says(node_device_get_parent="computer")
    assert libvirtmod.virNodeDeviceGetParent(world.dev) == "computer"
    world.says(node_device_get_parent=report(23, 25, "gone"))
    assert libvirtmod.virNodeDeviceGetParent(world.dev) == "computer"
