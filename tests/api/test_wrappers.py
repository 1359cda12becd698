# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_wrappers.py: generated methods call the door, raise on its failure value, wrap handles."""

from __future__ import annotations

from typing import Any

import pytest

import libvirt
import libvirtmod
from libvirtcore.errors import libvirtError, report
from libvirtcore.exceptions import NoDomainError
from libvirtcore.handles import DomainHandle, DomainSnapshotHandle
from tests.api.conftest import UUID, World


@pytest.fixture
def conn(world: World) -> libvirt.virConnect:
    world.says(connect_close=None)
    return libvirt.virConnect(world.conn)


@pytest.fixture
def dom(world: World, conn: libvirt.virConnect) -> libvirt.virDomain:
    return libvirt.virDomain(conn, _obj=world.dom)


def test_method_returns_what_the_door_returns(world: World, dom: libvirt.virDomain) -> None:
    world.says(domain_get_info=(1, 2, 3, 4, 5), domain_resume=None)
    assert dom.info() == [1, 2, 3, 4, 5]
    assert dom.resume() == 0


@pytest.mark.parametrize(
    ("method", "args", "driver"),
    [
        ("resume", (), "domain_resume"),
        ("info", (), "domain_get_info"),
        ("maxMemory", (), "domain_get_max_memory"),
        ("snapshotCurrent", (), "domain_snapshot_current"),
        ("listAllSnapshots", (), "domain_list_all_snapshots"),
    ],
)
def test_method_raises_on_the_failure_value(
    world: World, dom: libvirt.virDomain, method: str, args: tuple[Any, ...], driver: str
) -> None:
    world.says(**{driver: report(42, 10, "vm")})
    with pytest.raises(NoDomainError, match=r"^Domain not found: vm$") as caught:
        getattr(dom, method)(*args)
    assert caught.value.get_error_domain() == 10


def test_method_that_hides_why_it_failed(world: World, dom: libvirt.virDomain) -> None:
    world.says(domain_get_guest_vcpus=report(42, 10, "vm"))
    assert dom.guestVcpus() is None
    assert libvirtmod.virGetLastErrorCode() == 42


def test_methods_are_called_after_their_public_classes(dom: libvirt.virDomain) -> None:
    assert libvirt.virDomain.info.__qualname__ == "virDomain.info"
    with pytest.raises(TypeError, match=r"^virDomain\.setVcpus\(\) missing 1 required"):
        dom.setVcpus()  # type: ignore[call-arg]


def test_defaults_are_those_of_libvirt_python(world: World, dom: libvirt.virDomain) -> None:
    world.says(domain_get_xml_desc="<domain/>", domain_block_pull=None)
    dom.XMLDesc()
    dom.blockPull("vda", flags=1)
    assert world.driver.calls == [
        ("domain_get_xml_desc", world.dom, 0),
        ("domain_block_pull", world.dom, "vda", 0, 1),
    ]


def test_handles_are_wrapped_in_what_they_belong_to(
    world: World, conn: libvirt.virConnect, dom: libvirt.virDomain
) -> None:
    world.says(
        domain_lookup_by_name=lambda name: DomainHandle(world.conn, name, UUID),
        connect_list_all_domains=lambda *_: ([DomainHandle(world.conn, "a", UUID)], 1),
        domain_snapshot_lookup_by_name=world.snap,
        domain_snapshot_get_parent=lambda snap, _flags: DomainSnapshotHandle(snap.dom, "older"),
        storage_pool_lookup_by_volume=world.pool,
        network_port_lookup_by_uuid=world.port,
    )
    found = conn.lookupByName("vm")
    assert (type(found), found.connect(), found.name()) == (libvirt.virDomain, conn, "vm")
    assert [type(item) for item in conn.listAllDomains()] == [libvirt.virDomain]
    snap = dom.snapshotLookupByName("before")
    assert (type(snap), snap.getDomain()) == (libvirt.virDomainSnapshot, dom)
    assert snap.getParent().getDomain() is dom
    vol = libvirt.virStorageVol(conn, _obj=world.vol)
    assert vol.storagePoolLookupByVolume().connect() is conn
    net = libvirt.virNetwork(conn, _obj=world.net)
    assert net.portLookupByUUID(bytes(16)).network() is net


def test_migrated_domain_belongs_to_the_destination(world: World, dom: libvirt.virDomain) -> None:
    far = World()
    far.says(connect_close=None)
    world.says(domain_migrate=far.dom)
    there = libvirt.virConnect(far.conn)
    assert dom.migrate(there).connect() is there


def test_objects_as_arguments_give_their_handles(world: World, dom: libvirt.virDomain) -> None:
    world.says(domain_revert_to_snapshot=None)
    snap = libvirt.virDomainSnapshot(dom, _obj=world.snap)
    assert dom.revertToSnapshot(snap) == 0
    assert world.driver.calls == [("domain_revert_to_snapshot", world.snap, 0)]
    with pytest.raises(libvirtError, match="Invalid domain snapshot"):
        dom.revertToSnapshot(None)  # type: ignore[arg-type]


def test_closed_connection_raises(conn: libvirt.virConnect) -> None:
    conn.close()
    with pytest.raises(libvirtError, match="invalid connection pointer in virConnectGetHostname"):
        conn.getHostname()
