# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_shapes.py: driver values become what libvirt-python's C module returns."""

from __future__ import annotations

from typing import Any

import pytest

import libvirtmod
from tests.api.conftest import World

LABEL = b"system_u:object_r\0\0\0"


@pytest.mark.parametrize(
    ("function", "method", "args", "value", "result"),
    [
        ("virDomainGetState", "domain_get_state", (0,), (1, 5), [1, 5]),
        (
            "virDomainGetJobInfo", "domain_get_job_info", (),
            tuple(range(12)), list(range(12)),
        ),
        (
            "virDomainBlockStats", "domain_block_stats", ("vda",),
            (1, 2, 3, 4, -1), (1, 2, 3, 4, -1),
        ),
        (
            "virDomainGetBlockInfo", "domain_get_block_info", ("vda", 0),
            (20, 30, 10), [30, 20, 10],
        ),
        (
            "virDomainGetBlockJobInfo", "domain_get_block_job_info", ("vda", 0),
            (1, 2, 3, 4, 5), {"type": 2, "bandwidth": 3, "cur": 4, "end": 5},
        ),
        (
            "virDomainGetBlockJobInfo", "domain_get_block_job_info", ("vda", 0),
            (0, 0, 0, 0, 0), {},
        ),
        ("virDomainGetSchedulerType", "domain_get_scheduler_type", (), ("fair", 5), ("fair", 5)),
        (
            "virDomainGetDiskErrors", "domain_get_disk_errors", (0,),
            ([("vda", 1), ("vdb", 2)], 2), {"vda": 1, "vdb": 2},
        ),
        (
            "virDomainGetFSInfo", "domain_get_fsinfo", (0,),
            ([("/", "vda1", "ext4", ["vda"])], 1), [("/", "vda1", "ext4", ["vda"])],
        ),
        (
            "virDomainMemoryStats", "domain_memory_stats", (),
            [(6, 2048), (0, 1), (12, 3), (99, 4)],
            {"actual": 2048, "swap_in": 1, "hugetlb_pgfail": 3},
        ),
        (
            "virDomainGetSecurityLabel", "domain_get_security_label", (),
            (LABEL, 1), ["system_u:object_r", True],
        ),
        (
            "virDomainGetSecurityLabelList", "domain_get_security_label_list", (),
            ([(LABEL, 0), (b"dac", 1)], 2), [["system_u:object_r", False], ["dac", True]],
        ),
        ("virDomainGetTime", "domain_get_time", (0,), (5, 6), {"seconds": 5, "nseconds": 6}),
        (
            "virDomainInterfaceAddresses", "domain_interface_addresses", (0, 0),
            [("vnet0", "52:54", [(0, "192.0.2.1", 24)]), ("lo", None, [])],
            {
                "vnet0": {
                    "addrs": [{"addr": "192.0.2.1", "prefix": 24, "type": 0}],
                    "hwaddr": "52:54",
                },
                "lo": {"addrs": None, "hwaddr": None},
            },
        ),
        (
            "virDomainGetMemoryParameters", "domain_get_memory_parameters", (0,),
            ([("hard_limit", 4, 5), ("soft_limit", 4, 6)], 2), {"hard_limit": 5, "soft_limit": 6},
        ),
        (
            "virDomainGetMemoryParameters", "domain_get_memory_parameters", (0,),
            ({"hard_limit": 5}, 1), {"hard_limit": 5},
        ),
        (
            "virDomainGetPerfEvents", "domain_get_perf_events", (0,),
            [("cmt", 6, True)], {"cmt": True},
        ),
        (
            "virDomainGetJobStats", "domain_get_job_stats", (0,),
            (2, [("time_elapsed", 4, 7)]), {"time_elapsed": 7, "type": 2},
        ),
        ("virDomainOpenGraphicsFD", "domain_open_graphics_fd", (0, 0), [17], 17),
    ],
)  # fmt: skip
def test_domain_shape(
    world: World, function: str, method: str, args: tuple[Any, ...], value: Any, result: Any
) -> None:
    world.says(**{method: value})
    assert getattr(libvirtmod, function)(world.dom, *args) == result
    assert type(getattr(libvirtmod, function)(world.dom, *args)) is type(result)


@pytest.mark.parametrize(
    ("function", "method", "args", "value", "result"),
    [
        (
            "virNodeGetInfo", "node_get_info", (),
            (b"x86_64" + bytes(26), 3145728, 4, 1400, 1, 1, 2, 2),
            ["x86_64", 3072, 4, 1400, 1, 1, 2, 2],
        ),
        (
            "virNodeGetSecurityModel", "node_get_security_model", (),
            (b"selinux\0", b"0\0"), ["selinux", "0"],
        ),
        (
            "virNodeGetCPUMap", "node_get_cpu_map", (0,),
            (b"\x05", 2, 4), (4, [True, False, True, False], 2),
        ),
        (
            "virNodeGetCPUStats", "node_get_cpu_stats", (-1, 0),
            ([("user", 1), ("idle", 2)], 2), {"user": 1, "idle": 2},
        ),
        ("virConnectListDefinedDomains", "connect_list_defined_domains", (), ["a"], ["a"]),
        ("virConnectListDomainsID", "connect_list_domains", (), [3, 4], [3, 4]),
        (
            "virConnectGetCPUModelNames", "connect_get_cpu_model_names", ("x86_64", 0),
            (["486"], 1), ["486"],
        ),
        ("virNodeGetCellsFreeMemory", "node_get_cells_free_memory", (0, 2), [5, 6], [5, 6]),
        (
            "virNodeGetFreePages", "node_get_free_pages", ([4, 2048], 1, 2, 0),
            [10, 20, 30, 40], {1: {4: 10, 2048: 20}, 2: {4: 30, 2048: 40}},
        ),
        ("virConnectIsSecure", "is_secure", (), True, 1),
        ("virConnectIsEncrypted", "is_encrypted", (), False, 0),
        ("virConnectIsAlive", "is_alive", (), True, 1),
        ("virConnectGetURI", "get_uri", (), "test:///default", "test:///default"),
    ],
)  # fmt: skip
def test_host_shape(
    world: World, function: str, method: str, args: tuple[Any, ...], value: Any, result: Any
) -> None:
    world.says(**{method: value})
    got = getattr(libvirtmod, function)(world.conn, *args)
    assert (got, type(got)) == (result, type(result))


def test_leases_shape(world: World) -> None:
    lease = ("virbr0", 99, 0, "52:54", None, "192.0.2.7", 24, "vm", None)
    world.says(network_get_dhcp_leases=([lease], 1))
    assert libvirtmod.virNetworkGetDHCPLeases(world.net, None, 0) == [
        {
            "iface": "virbr0",
            "expirytime": 99,
            "type": 0,
            "mac": "52:54",
            "ipaddr": "192.0.2.7",
            "prefix": 24,
            "hostname": "vm",
            "clientid": None,
            "iaid": None,
        }
    ]


def test_statistics_of_many_shape(world: World) -> None:
    world.says(connect_get_all_domain_stats=[(world.dom, [("state.state", 1, 1)])])
    assert libvirtmod.virConnectGetAllDomainStats(world.conn, 1, 0) == [
        (world.dom, {"state.state": 1})
    ]
    assert libvirtmod.virDomainListGetStats(world.conn, [world.dom], 1, 0) == [
        (world.dom, {"state.state": 1})
    ]
    assert [call[1] for call in world.driver.calls] == [[], [world.dom]]


@pytest.mark.parametrize(
    ("function", "handle", "result"),
    [
        ("virDomainGetName", "dom", "vm"),
        ("virDomainGetID", "dom", 7),
        ("virDomainGetUUIDString", "dom", "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        ("virDomainGetUUID", "dom", bytes(range(16))),
        ("virInterfaceGetMACString", "iface", "52:54:00:00:00:01"),
        ("virSecretGetUsageID", "secret", "usage"),
        ("virSecretGetUsageType", "secret", 2),
        ("virStorageVolGetKey", "vol", "/vol"),
        ("virNWFilterBindingGetFilterName", "binding", "clean"),
        ("virNWFilterBindingGetPortDev", "binding", "vnet0"),
        ("virDomainSnapshotGetName", "snap", "before"),
        ("virNetworkPortGetUUIDString", "port", "00010203-0405-0607-0809-0a0b0c0d0e0f"),
    ],
)
def test_what_a_handle_knows_needs_no_driver(
    world: World, function: str, handle: str, result: Any
) -> None:
    assert getattr(libvirtmod, function)(getattr(world, handle)) == result
    assert world.asked == []


def test_handles_know_what_they_belong_to(world: World) -> None:
    assert libvirtmod.virDomainGetConnect(world.dom) is world.conn
    assert libvirtmod.virDomainSnapshotGetDomain(world.snap) is world.dom
    assert libvirtmod.virNetworkPortGetNetwork(world.port) is world.net
