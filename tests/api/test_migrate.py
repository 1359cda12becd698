# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_migrate.py: six public ways to migrate become two driver calls; contradictions do not."""

from __future__ import annotations

from typing import Any

import pytest

import libvirtmod
from libvirtcore import errors
from libvirtcore.generated import constants as c
from tests.api.conftest import World

ULLONG, STRING = 4, 7
P2P, TUNNELLED = c.VIR_MIGRATE_PEER2PEER, c.VIR_MIGRATE_TUNNELLED
DNAME = ("destination_name", STRING, "new")
URI = ("migrate_uri", STRING, "tcp://b")
XML = ("destination_xml", STRING, "<domain/>")
SPEED = ("bandwidth", ULLONG, 9)


def raw() -> tuple[Any, ...]:
    error = errors.last_error()
    assert error is not None
    return error.raw


def test_migration_between_connections(world: World) -> None:
    far = World()
    world.says(domain_migrate=far.dom)
    assert libvirtmod.virDomainMigrate(world.dom, far.conn, 1, "new", "tcp://b", 9) is far.dom
    assert (
        libvirtmod.virDomainMigrate2(world.dom, far.conn, "<domain/>", 1, None, None, 0) is far.dom
    )
    params = {"destination_name": "new", "bandwidth": 9}
    assert libvirtmod.virDomainMigrate3(world.dom, far.conn, params, 1) is far.dom
    assert world.driver.calls == [
        ("domain_migrate", world.dom, far.conn, [DNAME, URI, SPEED], 1, "virDomainMigrate"),
        ("domain_migrate", world.dom, far.conn, [XML], 1, "virDomainMigrate2"),
        ("domain_migrate", world.dom, far.conn, [DNAME, SPEED], 1, "virDomainMigrate3"),
    ]


def test_migration_by_the_source_host(world: World) -> None:
    world.says(domain_migrate_to_uri=None)
    one = libvirtmod.virDomainMigrateToURI
    two = libvirtmod.virDomainMigrateToURI2
    three = libvirtmod.virDomainMigrateToURI3
    assert one(world.dom, "qemu+tcp://b/system", P2P, "new", 9) == 0
    assert one(world.dom, "tcp://b", 0, None, 0) == 0
    assert two(world.dom, "qemu:///system", "tcp://b", "<domain/>", P2P, None, 0) == 0
    assert three(world.dom, None, {"migrate_disks": ["vda", "vdb"]}, 0) == 0
    disks = [("migrate_disks", STRING, "vda"), ("migrate_disks", STRING, "vdb")]
    assert [call[2:] for call in world.driver.calls] == [
        ("qemu+tcp://b/system", [DNAME, SPEED], P2P, "virDomainMigrateToURI"),
        (None, [URI], 0, "virDomainMigrateToURI"),
        ("qemu:///system", [URI, XML], P2P, "virDomainMigrateToURI2"),
        (None, disks, 0, "virDomainMigrateToURI3"),
    ]


def test_migration_needs_a_connection(world: World) -> None:
    assert libvirtmod.virDomainMigrate(world.dom, None, 0, None, None, 0) is None
    assert raw()[:3] == (6, 20, "invalid connection pointer in virDomainMigrate")


def test_migration_needs_a_writable_destination(world: World, readonly: World) -> None:
    assert libvirtmod.virDomainMigrate3(world.dom, readonly.conn, {}, 0) is None
    assert raw()[0] == c.VIR_ERR_OPERATION_DENIED


def test_migration_to_uri_needs_one(world: World) -> None:
    assert libvirtmod.virDomainMigrateToURI(world.dom, None, 0, None, 0) == -1
    assert raw()[2] == "duri in virDomainMigrateToURI must not be NULL"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            c.VIR_MIGRATE_NON_SHARED_DISK | c.VIR_MIGRATE_NON_SHARED_INC,
            "Flags 'VIR_MIGRATE_NON_SHARED_DISK' and 'VIR_MIGRATE_NON_SHARED_INC' are "
            "mutually exclusive",
        ),
        (
            TUNNELLED | c.VIR_MIGRATE_PARALLEL,
            "Flags 'VIR_MIGRATE_TUNNELLED' and 'VIR_MIGRATE_PARALLEL' are mutually exclusive",
        ),
        (
            c.VIR_MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES,
            "Flag 'VIR_MIGRATE_NON_SHARED_DISK | VIR_MIGRATE_NON_SHARED_INC' is required by flag "
            "'VIR_MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES'",
        ),
    ],
)
def test_migration_flags_that_contradict(world: World, flags: int, message: str) -> None:
    far = World()
    assert libvirtmod.virDomainMigrate(world.dom, far.conn, flags, None, None, 0) is None
    assert raw() == (8, 20, message, 2, "virDomainMigrate", "ctl", None, 0, 0)
    assert libvirtmod.virDomainMigrateToURI3(world.dom, None, {}, flags) == -1
    assert raw()[2] == message


def test_tunnel_needs_the_source_host(world: World) -> None:
    far = World()
    text = "cannot perform tunnelled migration without using peer2peer flag"
    libvirtmod.virDomainMigrate2(world.dom, far.conn, None, TUNNELLED, None, None, 0)
    assert raw()[:3] == (55, 20, f"Requested operation is not valid: {text}")
    libvirtmod.virDomainMigrate3(world.dom, far.conn, {}, TUNNELLED)
    assert raw() == (8, 20, text, 2, "virDomainMigrate3", "flags", None, 0, 0)
    libvirtmod.virDomainMigrate3(world.dom, far.conn, {}, P2P)
    assert raw()[2] == "use virDomainMigrateToURI3 for peer-to-peer migration"


@pytest.mark.parametrize(("flags", "way"), [(0, "direct"), (P2P, "p2p")])
def test_driver_that_cannot_migrate(world: World, flags: int, way: str) -> None:
    assert libvirtmod.virDomainMigrateToURI3(world.dom, "x", {}, flags) == -1
    text = f"argument unsupported: {way} migration is not supported by the source host"
    assert raw()[:3] == (74, 20, text)


def test_unknown_type_of_a_parameter(world: World) -> None:
    with pytest.raises(TypeError):
        libvirtmod.virDomainMigrate3(world.dom, world.conn, {"bandwidth": "fast"}, 0)
