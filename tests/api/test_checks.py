# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_checks.py: arguments that libvirt refuses before it asks a driver, with its words."""

from __future__ import annotations

from typing import Any

import pytest

import libvirtmod
from libvirtcore import errors
from libvirtcore.api.checks import CHECKS
from libvirtcore.generated import api_table
from tests.api.conftest import World

# function, object, other arguments, message, name of the argument
REFUSED = [
    ("virDomainLookupByName", "conn", (None,), "name in {} must not be NULL", "name"),
    ("virDomainAttachDevice", "dom", (None,), "xml in {} must not be NULL", "xml"),
    ("virStorageVolLookupByPath", "conn", (None,), "path in {} must not be NULL", "path"),
    ("virDomainRestore", "conn", (None,), "from in {} must not be NULL", "from"),
    ("virConnectBaselineCPU", "conn", (None, 0), "xmlCPUs in {} must not be NULL", "xmlCPUs"),
    ("virDomainBlockPeek", "dom", (None, 0, 1, 0), "disk in {} must not be NULL", "disk"),
    ("virDomainLookupByUUID", "conn", (b"abc",), "uuid in {} must have 16 bytes, not 3", "uuid"),
    ("virDomainLookupByUUID", "conn", (None,), "uuid in {} must not be NULL", "uuid"),
    ("virDomainLookupByUUIDString", "conn", ("abc",), "Invalid UUID", "uuidstr"),
    (
        "virDomainLookupByUUIDString", "conn", (None,),
        "uuidstr in {} must not be NULL", "uuidstr",
    ),
    (
        "virNetworkLookupByUUIDString", "conn", ("abc",),
        "uuidstr in {} must be a valid UUID", "uuidstr",
    ),
    ("virDomainLookupByID", "conn", (-1,), "id in {} must be zero or greater", "id"),
    ("virDomainSetMemory", "dom", (0,), "memory in {} must not be zero", "memory"),
    ("virDomainSetMaxMemory", "dom", (0,), "memory in {} must not be zero", "memory"),
    ("virDomainSetVcpus", "dom", (0,), "nvcpus in {} must not be zero", "nvcpus"),
    (
        "virDomainSetMemoryStatsPeriod", "dom", (-1, 0),
        "period in {} must be zero or greater", "period",
    ),
    ("virDomainDelIOThread", "dom", (0, 0), "iothread_id in {} must not be zero", "iothread_id"),
    (
        "virDomainSendProcessSignal", "dom", (0, 9, 0),
        "pid_value in {} must not be zero", "pid_value",
    ),
    (
        "virDomainSendKey", "dom", (0, 0, [], 0, 0),
        "nkeycodes in {} must be greater than zero", "nkeycodes",
    ),
    ("virDomainSendKey", "dom", (10, 0, [1], 1, 0), "Unsupported codeset '10'", "codeset"),
    ("virDomainSendKey", "dom", (-1, 0, [1], 1, 0), "Unsupported codeset '-1'", "codeset"),
    ("virDomainOpenGraphics", "dom", (0, -1, 0), "fd in {} must be zero or greater", "fd"),
    ("virDomainBlockPeek", "dom", ("", 0, 1, 0), "string disk in {} must not be empty", "disk"),
    ("virDomainRename", "dom", ("", 0), "string new_name in {} must not be empty", "new_name"),
    (
        "virDomainCoreDumpWithFormat", "dom", ("/f", 5, 0),
        "dumpformat '5' is not supported", "flags",
    ),
    (
        "virDomainCoreDumpWithFormat", "dom", ("/f", -1, 0),
        "dumpformat '-1' is not supported", "flags",
    ),
    ("virDomainGetMetadata", "dom", (0, "u", 0), "uri in {} must be NULL", "uri"),
    ("virDomainGetMetadata", "dom", (2, None, 0), "uri in {} must not be NULL", "uri"),
    ("virDomainSetMetadata", "dom", (0, "x", "k", None, 0), "key in {} must be NULL", "key"),
    ("virDomainSetMetadata", "dom", (1, "x", "k", "u", 0), "uri in {} must be NULL", "uri"),
    ("virDomainSetMetadata", "dom", (2, "x", None, None, 0), "uri in {} must not be NULL", "uri"),
    ("virDomainSetMetadata", "dom", (2, "x", None, "u", 0), "key in {} must not be NULL", "key"),
    (
        "virDomainSetMetadata", "dom", (1, "a\nb", None, None, 0),
        "metadata title can't contain newlines", "metadata",
    ),
    (
        "virDomainBlockRebase", "dom", ("vda", None, 0, 1),
        "use of flags requires a copy job", "flags",
    ),
    ("virDomainBlockRebase", "dom", ("vda", None, 0, 8), "base in {} must not be NULL", "base"),
    (
        "virStorageVolResize", "vol", (0, 1),
        "capacity in {} cannot be zero without 'delta' or 'shrink' flags set", "capacity",
    ),
    (
        "virNodeGetCPUStats", "conn", (-3, 0),
        "cpuNum in {} only accepts -1 as a negative value", "cpuNum",
    ),
    (
        "virNodeGetMemoryStats", "conn", (-3, 0),
        "cellNum in {} only accepts -1 as a negative value", "cellNum",
    ),
    ("virNodeGetFreePages", "conn", ([], 0, 1, 0), "npages in {} must not be zero", "npages"),
    (
        "virNodeAllocPages", "conn", ({4: 1}, 0, 0, 0),
        "cellCount in {} must not be zero", "cellCount",
    ),
]  # fmt: skip

EXCLUSIVE = [
    ("virDomainGetMemoryParameters", (), 3, "VIR_DOMAIN_AFFECT_LIVE", "VIR_DOMAIN_AFFECT_CONFIG"),
    ("virDomainGetVcpusFlags", (), 3, "VIR_DOMAIN_AFFECT_LIVE", "VIR_DOMAIN_AFFECT_CONFIG"),
    ("virDomainGetVcpuPinInfo", (), 3, "VIR_DOMAIN_AFFECT_LIVE", "VIR_DOMAIN_AFFECT_CONFIG"),
    ("virDomainManagedSave", (), 6, "VIR_DOMAIN_SAVE_RUNNING", "VIR_DOMAIN_SAVE_PAUSED"),
    ("virDomainCoreDump", ("/f",), 3, "VIR_DUMP_CRASH", "VIR_DUMP_LIVE"),
    ("virDomainCoreDump", ("/f",), 9, "VIR_DUMP_CRASH", "VIR_DUMP_RESET"),
    ("virDomainCoreDump", ("/f",), 10, "VIR_DUMP_LIVE", "VIR_DUMP_RESET"),
    ("virDomainMemoryPeek", (0, 1), 3, "VIR_MEMORY_VIRTUAL", "VIR_MEMORY_PHYSICAL"),
    ("virDomainSetVcpusFlags", (1,), 10, "VIR_DOMAIN_VCPU_GUEST", "VIR_DOMAIN_AFFECT_CONFIG"),
]

REQUIRED = [
    ("virDomainSetVcpusFlags", (1,), 4, "VIR_DOMAIN_AFFECT_CONFIG", "VIR_DOMAIN_VCPU_MAXIMUM"),
    (
        "virDomainSnapshotCreateXML", ("<x/>",), 2,
        "VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE", "VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT",
    ),
    (
        "virDomainGetJobStats", (), 2,
        "VIR_DOMAIN_JOB_STATS_COMPLETED", "VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED",
    ),
]  # fmt: skip


def raw() -> tuple[Any, ...]:
    error = errors.last_error()
    assert error is not None
    return error.raw


@pytest.mark.parametrize(("function", "handle", "args", "message", "name"), REFUSED)
def test_argument_is_refused(
    world: World, function: str, handle: str, args: tuple[Any, ...], message: str, name: str
) -> None:
    assert getattr(libvirtmod, function)(getattr(world, handle), *args) in (-1, None)
    domain = getattr(api_table, function).domain
    text = message.format(function)
    assert raw() == (8, domain, text, 2, function, name, None, 0, 0)
    assert world.asked == []


@pytest.mark.parametrize(("function", "args", "flags", "one", "other"), EXCLUSIVE)
def test_flags_that_exclude_each_other(
    world: World, function: str, args: tuple[Any, ...], flags: int, one: str, other: str
) -> None:
    getattr(libvirtmod, function)(world.dom, *args, flags)
    message = f"Flags '{one}' and '{other}' are mutually exclusive"
    assert raw() == (8, 20, message, 2, function, "ctl", None, 0, 0)


@pytest.mark.parametrize(("function", "args", "flags", "needed", "given"), REQUIRED)
def test_flags_that_need_each_other(
    world: World, function: str, args: tuple[Any, ...], flags: int, needed: str, given: str
) -> None:
    getattr(libvirtmod, function)(world.dom, *args, flags)
    assert raw()[2] == f"Flag '{needed}' is required by flag '{given}'"


@pytest.mark.parametrize("memory", [(1 << 53) - 1, 1 << 54, (1 << 63) - 1])
def test_memory_whose_bytes_do_not_fit(world: World, memory: int) -> None:
    assert libvirtmod.virDomainSetMemory(world.dom, memory) == -1
    message = f"numerical overflow: input too large: {memory}"
    assert raw()[:3] == (82, 20, message)


def test_memory_that_just_fits(world: World) -> None:
    world.says(domain_set_memory=None)
    assert libvirtmod.virDomainSetMemory(world.dom, (1 << 53) - 2) == 0


def test_descriptor_that_is_no_socket(world: World, tmp_path: Any) -> None:
    with open(tmp_path / "file", "w") as file:
        assert libvirtmod.virDomainOpenGraphics(world.dom, 0, file.fileno(), 0) == -1
        assert raw()[2] == f"fd {file.fileno()} must be a socket"


def test_object_argument_is_checked(world: World) -> None:
    assert libvirtmod.virStorageVolCreateXMLFrom(world.pool, "<volume/>", None, 0) is None
    assert raw()[2] == "invalid storage volume pointer in virStorageVolCreateXMLFrom"
    assert libvirtmod.virDomainRevertToSnapshot(world.dom, None, 0) == -1
    assert raw()[2] == "Invalid domain snapshot: virDomainRevertToSnapshot"


def test_stream_of_another_connection(world: World) -> None:
    other = World()
    assert libvirtmod.virStorageVolUpload(world.vol, other.stream, 0, 0, 0) == -1
    message = "stream in virStorageVolUpload must match connection of volume 'vol'"
    assert raw()[2] == message


def test_no_check_is_for_a_function_that_does_not_exist() -> None:
    assert {name for name in CHECKS if not hasattr(api_table, name)} == set()
