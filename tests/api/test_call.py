# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_call.py: the skeleton of a call: object, read-only, arguments, driver, effect, error."""

from __future__ import annotations

from typing import Any

import pytest

import libvirtmod
import libvirtmod_lxc
from libvirtcore import errors
from libvirtcore.api.call import perform
from libvirtcore.errors import VirError, report
from libvirtcore.generated import api_table as row
from libvirtcore.generated import constants as c
from tests.api.conftest import World


def last() -> tuple[Any, ...]:
    error = errors.last_error()
    assert error is not None
    return error.code, error.domain, error.message


# --- results --------------------------------------------------------------------------------------


def test_result_has_the_shape_of_the_c_module(world: World) -> None:
    world.says(domain_get_info=(1, 2, 3, 4, 5), domain_resume=None, domain_is_active=1)
    assert libvirtmod.virDomainGetInfo(world.dom) == [1, 2, 3, 4, 5]
    assert libvirtmod.virDomainResume(world.dom) == 0
    assert libvirtmod.virDomainIsActive(world.dom) == 1


def test_call_on_a_connection_gives_the_driver_no_object(world: World) -> None:
    world.says(connect_list_all_domains=([world.dom], 1))
    assert libvirtmod.virConnectListAllDomains(world.conn, 3) == [world.dom]
    assert world.driver.calls == [("connect_list_all_domains", 1, 3)]


def test_success_forgets_the_last_error(world: World) -> None:
    world.says(domain_resume=None)
    errors.set_last_error(report(1, 0, "old"))
    libvirtmod.virDomainResume(world.dom)
    assert errors.last_error() is None


def test_perform_gives_the_driver_value_and_raises(world: World) -> None:
    world.says(domain_get_info=(1, 2, 3, 4, 5))
    assert perform(row.virDomainGetInfo, world.dom) == (1, 2, 3, 4, 5)
    with pytest.raises(VirError, match="virDomainResume"):
        perform(row.virDomainResume, world.dom)
    assert errors.last_error() is None


# --- failures -------------------------------------------------------------------------------------


def test_failure_values_are_those_of_the_c_module(world: World) -> None:
    gone = report(c.VIR_ERR_NO_DOMAIN, c.VIR_FROM_QEMU, "vm")
    world.says(domain_resume=gone, domain_get_info=gone, domain_get_max_memory=gone)
    assert libvirtmod.virDomainResume(world.dom) == -1
    assert libvirtmod.virDomainGetInfo(world.dom) is None
    assert libvirtmod.virDomainGetMaxMemory(world.dom) == 0
    assert last() == (42, 10, "Domain not found: vm")


def test_failure_is_also_the_connection_s_last_error(world: World) -> None:
    world.says(domain_resume=report(1, 0, "x"))
    libvirtmod.virDomainResume(world.dom)
    raw = libvirtmod.virGetLastError()
    libvirtmod.virResetLastError()
    assert libvirtmod.virConnGetLastError(world.conn) == raw
    libvirtmod.virConnResetLastError(world.conn)
    assert libvirtmod.virConnGetLastError(world.conn) == (0, 0, None, 0, None, None, None, 0, 0)


def test_handler_is_told_once(world: World) -> None:
    seen: list[Any] = []
    libvirtmod.virRegisterErrorHandler(lambda _context, raw: seen.append(raw[0]), None)
    world.says(domain_resume=report(42, 0, "x"))
    libvirtmod.virDomainResume(world.dom)
    assert seen == [42]


def test_bug_in_a_driver_is_not_a_libvirt_error(world: World) -> None:
    world.says(domain_resume=ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        libvirtmod.virDomainResume(world.dom)


@pytest.mark.parametrize(
    ("function", "args", "domain"),
    [
        ("virDomainResume", ("dom",), c.VIR_FROM_DOMAIN),
        ("virNodeGetInfo", ("conn",), c.VIR_FROM_DOMAIN),
        ("virNetworkCreate", ("net",), c.VIR_FROM_NETWORK),
        ("virStoragePoolDestroy", ("pool",), c.VIR_FROM_STORAGE),
        ("virNodeDeviceReset", ("dev",), c.VIR_FROM_NODEDEV),
        ("virInterfaceIsActive", ("iface",), c.VIR_FROM_INTERFACE),
        ("virSecretUndefine", ("secret",), c.VIR_FROM_SECRET),
        ("virNWFilterUndefine", ("nwfilter",), c.VIR_FROM_NWFILTER),
        ("virDomainSnapshotGetXMLDesc", ("snap", 0), c.VIR_FROM_DOMAIN_SNAPSHOT),
        ("virDomainCheckpointGetXMLDesc", ("checkpoint", 0), c.VIR_FROM_DOMAIN_CHECKPOINT),
        ("virStreamFinish", ("stream",), c.VIR_FROM_STREAMS),
    ],
)
def test_what_a_driver_lacks_is_not_supported(
    world: World, function: str, args: tuple[Any, ...], domain: int
) -> None:
    handle, *rest = args
    getattr(libvirtmod, function)(getattr(world, handle), *rest)
    text = f"this function is not supported by the connection driver: {function}"
    assert last() == (c.VIR_ERR_NO_SUPPORT, domain, text)


def test_lxc_enter_cgroup_is_not_offered(world: World) -> None:
    assert libvirtmod_lxc.virDomainLxcEnterCGroup(world.dom, 0) is None
    assert last()[:2] == (c.VIR_ERR_NO_SUPPORT, c.VIR_FROM_NONE)


# --- objects --------------------------------------------------------------------------------------

BAD_OBJECTS = [
    ("virConnectGetHostname", (), 6, 20, "invalid connection pointer in virConnectGetHostname"),
    ("virDomainResume", (), 7, 6, "invalid domain pointer in virDomainResume"),
    ("virNetworkIsActive", (), 36, 19, "invalid network pointer in virNetworkIsActive"),
    ("virStoragePoolBuild", (0,), 46, 18, "invalid storage pool pointer in virStoragePoolBuild"),
    ("virStorageVolDelete", (0,), 47, 18, "invalid storage volume pointer in virStorageVolDelete"),
    ("virNodeDeviceReset", (), 52, 22, "invalid node device pointer in virNodeDeviceReset"),
    ("virInterfaceIsActive", (), 58, 26, "invalid interface pointer in virInterfaceIsActive"),
    ("virNWFilterUndefine", (), 61, 33, "Invalid network filter: virNWFilterUndefine"),
    (
        "virNWFilterBindingDelete", (), 100, 33,
        "Invalid network filter binding: virNWFilterBindingDelete",
    ),
    ("virSecretUndefine", (), 65, 30, "Invalid secret: virSecretUndefine"),
    (
        "virDomainSnapshotDelete", (0,), 71, 35,
        "Invalid domain snapshot: virDomainSnapshotDelete",
    ),
    (
        "virDomainCheckpointDelete", (0,), 102, 69,
        "Invalid domain checkpoint: virDomainCheckpointDelete",
    ),
    ("virNetworkPortDelete", (0,), 105, 19, "Invalid network port pointer: virNetworkPortDelete"),
    ("virStreamFinish", (), 73, 38, "invalid stream pointer in virStreamFinish"),
]  # fmt: skip


@pytest.mark.parametrize(("function", "args", "code", "domain", "message"), BAD_OBJECTS)
def test_no_object(
    function: str, args: tuple[Any, ...], code: int, domain: int, message: str
) -> None:
    assert getattr(libvirtmod, function)(None, *args) in (-1, None)
    assert last() == (code, domain, message)


def test_object_of_another_kind(world: World) -> None:
    assert libvirtmod.virDomainGetInfo(world.net) is None
    assert last() == (7, 6, "invalid domain pointer in virDomainGetInfo")


def test_freed_object(world: World) -> None:
    world.says(domain_resume=None)
    assert libvirtmod.virDomainFree(world.dom) == 0
    assert libvirtmod.virDomainResume(world.dom) == -1
    assert libvirtmod.virDomainFree(world.dom) == -1
    assert last() == (7, 6, "invalid domain pointer in virDomainFree")
    assert world.asked == []


def test_closed_connection() -> None:
    world = World()
    world.says(connect_close=None, connect_get_hostname="h", domain_get_info=(1, 2, 3, 4, 5))
    dom, conn = world.dom, world.conn
    for name in ("port", "net", "pool", "vol", "iface", "dev", "secret", "nwfilter", "binding",
                 "snap", "checkpoint", "stream"):  # fmt: skip
        getattr(world, name).free()
    assert libvirtmod.virConnectClose(conn) == 1
    assert libvirtmod.virDomainGetInfo(dom) == [1, 2, 3, 4, 5]
    dom.free()
    assert world.asked[-1] == "connect_close"
    assert libvirtmod.virConnectGetHostname(conn) is None
    assert last() == (6, 20, "invalid connection pointer in virConnectGetHostname")
    assert libvirtmod.virConnectClose(conn) == -1


# --- read-only connections ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "handle", "args"),
    [
        ("virDomainSuspend", "dom", ()),
        ("virDomainCreateXML", "conn", ("<domain/>", 0)),
        ("virDomainSetVcpus", "dom", (1,)),
        ("virDomainGetHostname", "dom", (0,)),
        ("virDomainSetSchedulerParameters", "dom", ({"weight": 1},)),
        ("virDomainGetGuestVcpus", "dom", (0,)),
        ("virDomainMigrate", "dom", (None, 0, None, None, 0)),
        ("virNetworkDestroy", "net", ()),
        ("virStorageVolDelete", "vol", (0,)),
        ("virSecretGetValue", "secret", (0,)),
    ],
)
def test_read_only_connection_refuses(
    readonly: World, function: str, handle: str, args: tuple[Any, ...]
) -> None:
    getattr(libvirtmod, function)(getattr(readonly, handle), *args)
    code, _domain, message = last()
    assert code == c.VIR_ERR_OPERATION_DENIED
    assert message == f"operation forbidden: read only access prevents {function}"
    assert readonly.asked == []


def test_read_only_connection_allows_reading(readonly: World) -> None:
    readonly.says(domain_get_xml_desc="<domain/>", domain_get_vcpus_flags=2)
    assert libvirtmod.virDomainGetXMLDesc(readonly.dom, 2) == "<domain/>"
    assert libvirtmod.virDomainGetVcpusFlags(readonly.dom, 0) == 2


@pytest.mark.parametrize(
    ("function", "handle", "args", "message"),
    [
        ("virDomainGetXMLDesc", "dom", (1,), "virDomainGetXMLDesc with secure flag"),
        ("virDomainGetXMLDesc", "dom", (8,), "virDomainGetXMLDesc with secure flag"),
        (
            "virDomainSnapshotGetXMLDesc", "snap", (1,),
            "virDomainSnapshotGetXMLDesc with secure flag",
        ),
        ("virDomainGetVcpusFlags", "dom", (8,), "read only access prevents virDomainGetVcpusFlags"),
        (
            "virDomainInterfaceAddresses", "dom", (1, 0),
            "read only access prevents virDomainInterfaceAddresses",
        ),
    ],
)  # fmt: skip
def test_read_only_connection_refuses_by_flag(
    readonly: World, function: str, handle: str, args: tuple[Any, ...], message: str
) -> None:
    getattr(libvirtmod, function)(getattr(readonly, handle), *args)
    assert last()[2] == f"operation forbidden: {message}"


def test_read_only_counts_before_arguments(readonly: World) -> None:
    libvirtmod.virDomainSetMemory(readonly.dom, 0)
    assert last()[0] == c.VIR_ERR_OPERATION_DENIED


# --- effects --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "method", "args"),
    [
        ("virDomainDestroy", "domain_destroy", ()),
        ("virDomainDestroyFlags", "domain_destroy_flags", (0,)),
        ("virDomainSave", "domain_save", ("/f",)),
        ("virDomainManagedSave", "domain_managed_save", (0,)),
    ],
)
def test_guest_that_stopped_has_no_number(
    world: World, function: str, method: str, args: tuple[Any, ...]
) -> None:
    world.says(**{method: None})
    assert getattr(libvirtmod, function)(world.dom, *args) == 0
    assert libvirtmod.virDomainGetID(world.dom) == -1


def test_guest_that_could_not_be_stopped_keeps_its_number(world: World) -> None:
    libvirtmod.virDomainDestroy(world.dom)
    assert libvirtmod.virDomainGetID(world.dom) == 7


def test_started_guest_has_its_new_number(world: World) -> None:
    fresh = type(world.dom)(world.conn, "vm", world.dom.uuid, 9)
    world.says(domain_create=None, domain_lookup_by_uuid=fresh, domain_create_with_flags=fresh)
    world.dom.id = -1
    assert libvirtmod.virDomainCreate(world.dom) == 0
    assert libvirtmod.virDomainGetID(world.dom) == 9
    world.dom.id = -1
    assert libvirtmod.virDomainCreateWithFlags(world.dom, 0) == 0
    assert libvirtmod.virDomainGetID(world.dom) == 9
