# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_typed.py: dicts of the user become typed parameters, by table or by the current ones."""

from __future__ import annotations

from typing import Any

import pytest

import libvirtmod
from libvirtcore.api.typed import from_current, from_table
from tests.api.conftest import World

INT, UINT, LLONG, ULLONG, DOUBLE, BOOLEAN, STRING = range(1, 8)
TABLE = {"bandwidth": ULLONG, "level": INT, "disks": STRING, "rounds": UINT}


@pytest.mark.parametrize(
    ("params", "triples"),
    [
        ({"bandwidth": 5, "level": -1}, [("bandwidth", ULLONG, 5), ("level", INT, -1)]),
        ({"disks": ["vda", "vdb"]}, [("disks", STRING, "vda"), ("disks", STRING, "vdb")]),
        ({"disks": ()}, []),
        ({"unknown": 5}, [("unknown", ULLONG, 5)]),
        ({"unknown": -5}, [("unknown", LLONG, -5)]),
        ({"unknown": True}, [("unknown", BOOLEAN, True)]),
        ({"unknown": 1.5}, [("unknown", DOUBLE, 1.5)]),
        ({"unknown": "x"}, [("unknown", STRING, "x")]),
        ({}, []),
        (None, []),
    ],
)
def test_from_table(params: Any, triples: list[Any]) -> None:
    assert from_table(params, TABLE) == triples


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"bandwidth": "5"}, TypeError),
        ({"bandwidth": 1.5}, TypeError),
        ({"bandwidth": -1}, OverflowError),
        ({"bandwidth": 1 << 64}, OverflowError),
        ({"level": 1 << 31}, OverflowError),
        ({"rounds": -1}, OverflowError),
        ({"disks": 5}, TypeError),
        ({"disks": "a\0b"}, ValueError),
        ({"unknown": None}, TypeError),
        ({"unknown": object()}, TypeError),
        ({5: 5}, TypeError),
        ([("bandwidth", 5)], TypeError),
    ],
)
def test_from_table_refuses(params: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        from_table(params, TABLE)


def test_from_current_takes_the_types_of_triples() -> None:
    current = [("weight", UINT, 5), ("quota", LLONG, -1), ("nodes", STRING, "")]
    assert from_current({"quota": 7, "weight": 1}, current) == [
        ("quota", LLONG, 7), ("weight", UINT, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"nope": 5}, LookupError, 'Attribute name "nope" could not be recognized'),
        ({"weight": "x"}, TypeError, "'str' object cannot be interpreted as an integer"),
        ({"weight": 1.5}, TypeError, "'float' object cannot be interpreted as an integer"),
        ({"weight": -5}, OverflowError, "weight"),
        ({"weight": 1 << 40}, OverflowError, "weight"),
        ({5: 5}, TypeError, "names of typed parameters are str"),
    ],
)
def test_from_current_refuses(params: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        from_current(params, [("weight", UINT, 5)])


# --- the setters ----------------------------------------------------------------------------------

SETTERS = [
    (
        "virDomainSetSchedulerParameters", "dom", "domain_{}_scheduler_parameters",
        ({"weight": 9},), [("weight", UINT, 5)], (16,), ([("weight", UINT, 9)],),
    ),
    (
        "virDomainSetSchedulerParametersFlags", "dom", "domain_{}_scheduler_parameters_flags",
        ({"weight": 9}, 2), [("weight", UINT, 5)], (16, 2), ([("weight", UINT, 9)], 2),
    ),
    (
        "virDomainSetMemoryParameters", "dom", "domain_{}_memory_parameters",
        ({"hard_limit": 9}, 2), ([("hard_limit", ULLONG, 5)], 1),
        (16, 2), ([("hard_limit", ULLONG, 9)], 2),
    ),
    (
        "virDomainSetBlkioParameters", "dom", "domain_{}_blkio_parameters",
        ({"device_weight": "a"}, 1), ([("device_weight", STRING, "")], 1),
        (16, 1), ([("device_weight", STRING, "a")], 1),
    ),
    (
        "virDomainSetNumaParameters", "dom", "domain_{}_numa_parameters",
        ({"numa_mode": 2}, 0), ([("numa_mode", INT, 0)], 1), (16, 0), ([("numa_mode", INT, 2)], 0),
    ),
    (
        "virDomainSetInterfaceParameters", "dom", "domain_{}_interface_parameters",
        ("vnet0", {"inbound.peak": 2}, 1), ([("inbound.peak", UINT, 0)], 1),
        ("vnet0", 16, 1), ("vnet0", [("inbound.peak", UINT, 2)], 1),
    ),
    (
        "virDomainSetPerfEvents", "dom", "domain_{}_perf_events",
        ({"cmt": True}, 1), [("cmt", BOOLEAN, False)], (1,), ([("cmt", BOOLEAN, True)], 1),
    ),
    (
        "virNetworkPortSetParameters", "port", "network_port_{}_parameters",
        ({"inbound.peak": 2}, 0), ([("inbound.peak", UINT, 0)], 1),
        (16, 0), ([("inbound.peak", UINT, 2)], 0),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("function", "handle", "method", "args", "now", "get", "put"), SETTERS)
def test_setter_asks_before_it_sets(
    world: World, function: str, handle: str, method: str, args: Any, now: Any, get: Any, put: Any
) -> None:
    getter, setter = method.format("get"), method.format("set")
    world.says(**{getter: now, setter: None})
    target = getattr(world, handle)
    assert getattr(libvirtmod, function)(target, *args) == 0
    assert world.driver.calls == [(getter, target, *get), (setter, target, *put)]


def test_setter_of_the_node_has_no_object(world: World) -> None:
    world.says(node_get_memory_parameters=([("shm_pages_to_scan", UINT, 1)], 1))
    world.says(node_set_memory_parameters=None)
    assert libvirtmod.virNodeSetMemoryParameters(world.conn, {"shm_pages_to_scan": 2}, 0) == 0
    assert world.driver.calls == [
        ("node_get_memory_parameters", 64, 0),
        ("node_set_memory_parameters", [("shm_pages_to_scan", UINT, 2)], 0),
    ]


def test_setter_changes_nothing_when_a_name_is_unknown(world: World) -> None:
    world.says(domain_get_perf_events=[("cmt", BOOLEAN, False)], domain_set_perf_events=None)
    with pytest.raises(LookupError):
        libvirtmod.virDomainSetPerfEvents(world.dom, {"nope": True}, 0)
    assert world.asked == ["domain_get_perf_events"]


def test_setter_needs_something_to_set(world: World) -> None:
    with pytest.raises(LookupError, match=r"^Need non-empty dictionary to set attributes$"):
        libvirtmod.virDomainSetMemoryParameters(world.dom, {}, 0)
    with pytest.raises(TypeError):
        libvirtmod.virDomainSetMemoryParameters(world.dom, None, 0)


def test_setter_with_a_table_asks_nothing(world: World) -> None:
    world.says(domain_set_block_io_tune=None)
    params = {"total_bytes_sec": 5, "group_name": "g"}
    assert libvirtmod.virDomainSetBlockIoTune(world.dom, "vda", params, 0) == 0
    assert world.driver.calls == [
        (
            "domain_set_block_io_tune",
            world.dom,
            "vda",
            [("total_bytes_sec", ULLONG, 5), ("group_name", STRING, "g")],
            0,
        )
    ]
