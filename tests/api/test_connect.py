# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_connect.py: opening, closing, looking up by UUID, and what needs no connection."""

from __future__ import annotations

from typing import Any

import pytest

import libvirtmod
from libvirtcore import errors
from libvirtcore.api.lookup import parse_uuid
from libvirtcore.drivers import registry
from libvirtcore.drivers.base import Driver
from tests.api.conftest import UUID, UUID_TEXT, World


class OpenedDriver(Driver):
    opened: tuple[Any, ...] = ()
    declines = False

    @classmethod
    def connect_open(cls, uri: Any, auth: Any, flags: int) -> Driver | None:
        cls.opened = (str(uri), auth, flags)
        return None if cls.declines else cls()


@pytest.fixture
def scheme(monkeypatch: pytest.MonkeyPatch) -> type[OpenedDriver]:
    monkeypatch.setattr(OpenedDriver, "declines", False)
    monkeypatch.setattr(registry, "_DRIVERS", [])
    registry.register_driver("opened", __name__, "OpenedDriver")
    return OpenedDriver


def raw() -> tuple[Any, ...]:
    error = errors.last_error()
    assert error is not None
    return error.raw


def test_open_gives_the_driver_its_connection(scheme: type[OpenedDriver]) -> None:
    conn = libvirtmod.virConnectOpen("opened:///x")
    assert type(conn.driver) is scheme
    assert conn.driver.conn is conn
    assert (conn.uri, conn.readonly) == ("opened:///x", False)
    assert scheme.opened == ("opened:///x", None, 0)


def test_open_read_only(scheme: type[OpenedDriver]) -> None:
    assert libvirtmod.virConnectOpenReadOnly("opened:///x").readonly
    assert scheme.opened[2] == 1


def test_open_with_credentials(scheme: type[OpenedDriver]) -> None:
    def callback(_credentials: Any, _opaque: Any) -> int:
        return 0

    auth = [[2, 5], callback, "opaque"]
    conn = libvirtmod.virConnectOpenAuth("opened:///x", auth, 1)
    assert conn.readonly
    assert scheme.opened == ("opened:///x", auth, 1)


@pytest.mark.parametrize(
    "auth", [5, [], [[2], None], [5, None, None], [["a"], None, None], [[2], 5, None]]
)
def test_open_refuses_credentials_of_another_form(scheme: type[OpenedDriver], auth: Any) -> None:
    with pytest.raises(TypeError):
        libvirtmod.virConnectOpenAuth("opened:///x", auth, 0)


def test_open_with_a_uri_that_nobody_takes(scheme: type[OpenedDriver]) -> None:
    scheme.declines = True
    assert libvirtmod.virConnectOpen("opened:///x") is None
    assert raw()[:3] == (5, 0, "no connection driver available for opened:///x")
    assert libvirtmod.virConnectOpen("other:///x") is None


def test_open_with_no_uri_at_all(scheme: type[OpenedDriver]) -> None:
    assert libvirtmod.virConnectOpen(":::") is None
    assert raw()[:3] == (1, 45, "internal error: Unable to parse URI :::")
    with pytest.raises(TypeError, match=r"virConnectOpen\(\) argument 1 must be str or None"):
        libvirtmod.virConnectOpen(5)


def test_close_counts_references(world: World) -> None:
    world.says(connect_close=None)
    conn = libvirtmod.virStreamNew(world.conn, 0).conn
    left = libvirtmod.virConnectClose(conn)
    assert left > 0
    assert "connect_close" not in world.asked


def test_keepalive(world: World) -> None:
    world.says(set_keepalive=0)
    assert libvirtmod.virConnectSetKeepAlive(world.conn, 5, 3) == 0
    assert world.driver.calls == [("set_keepalive", 5, 3)]
    with pytest.raises(TypeError):
        libvirtmod.virConnectSetKeepAlive(world.conn, "5", 3)


# --- UUIDs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        UUID_TEXT,
        UUID_TEXT.upper(),
        UUID_TEXT.replace("-", ""),
        f"  {UUID_TEXT} \n",
        UUID_TEXT.replace("-", " "),
    ],
)
def test_uuid_in_its_spellings(text: str) -> None:
    assert parse_uuid(text) == UUID


@pytest.mark.parametrize(
    "text",
    ["", "abc", UUID_TEXT[:-1], UUID_TEXT + "0", "0001020-30405-0607-0809-0a0b0c0d0e0f", "x" * 36],
)
def test_uuid_that_is_none(text: str) -> None:
    assert parse_uuid(text) is None


@pytest.mark.parametrize(
    ("function", "method", "handle"),
    [
        ("virDomainLookupByUUIDString", "domain_lookup_by_uuid", "conn"),
        ("virNetworkLookupByUUIDString", "network_lookup_by_uuid", "conn"),
        ("virStoragePoolLookupByUUIDString", "storage_pool_lookup_by_uuid", "conn"),
        ("virSecretLookupByUUIDString", "secret_lookup_by_uuid", "conn"),
        ("virNWFilterLookupByUUIDString", "nwfilter_lookup_by_uuid", "conn"),
        ("virNetworkPortLookupByUUIDString", "network_port_lookup_by_uuid", "net"),
    ],
)
def test_lookup_by_text(world: World, function: str, method: str, handle: str) -> None:
    world.says(**{method: "found"})
    assert getattr(libvirtmod, function)(getattr(world, handle), UUID_TEXT) == "found"
    assert world.driver.calls[0][-1] == UUID


# --- the library ----------------------------------------------------------------------------------


def test_version_with_and_without_a_driver() -> None:
    assert libvirtmod.virGetVersion(None) == 12008000
    assert libvirtmod.virGetVersion("QEMU") == (12008000, 12008000)
    with pytest.raises(TypeError):
        libvirtmod.virGetVersion(5)


def test_last_error_functions() -> None:
    libvirtmod.virResetLastError()
    assert libvirtmod.virGetLastError() is None
    assert libvirtmod.virGetLastErrorMessage() == "no error"
    assert (libvirtmod.virGetLastErrorCode(), libvirtmod.virGetLastErrorDomain()) == (0, 0)
    libvirtmod.virDomainGetInfo(None)
    assert libvirtmod.virGetLastErrorMessage() == "invalid domain pointer in virDomainGetInfo"
    assert (libvirtmod.virGetLastErrorCode(), libvirtmod.virGetLastErrorDomain()) == (7, 6)
    assert libvirtmod.virInitialize() == 0
    assert libvirtmod.virGetLastError() is None
