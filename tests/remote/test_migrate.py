# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_migrate.py: the steps of every kind of migration, and what happens when one of them fails.

Both ends are drivers that write down what they are told and fail where a test wants it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from libvirtcore.drivers.base import Driver
from libvirtcore.drivers.remote.migrate import (
    CHANGE_PROTECTION,
    DIRECT,
    OFFLINE,
    P2P,
    PARAMS,
    V1,
    V2,
    V3,
    MigrateMixin,
)
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.handles import ConnectHandle, DomainHandle

URI = c.VIR_MIGRATE_PARAM_URI
NAME = c.VIR_MIGRATE_PARAM_DEST_NAME
XML = c.VIR_MIGRATE_PARAM_DEST_XML
ALL = {V1, V2, V3, P2P, DIRECT, CHANGE_PROTECTION, OFFLINE, PARAMS, 11}
PROTECT = c.VIR_MIGRATE_CHANGE_PROTECTION
UUID = bytes(16)


class End(MigrateMixin, Driver):
    """One end; `told` lists the steps of both in order."""

    def __init__(self, side: str, told: list[tuple[Any, ...]], features: set[int]) -> None:
        self.side = side
        self.told = told
        self.features = features
        self.failures: dict[str, VirError] = {}
        self.state = c.VIR_DOMAIN_RUNNING
        self.uri_out: str | None = "tcp:there:49152"

    def supports_feature(self, feature: int) -> bool:
        return feature in self.features

    def get_uri(self) -> str:
        return f"qemu+tcp://{self.side}/system"

    def domain_get_info(self, dom: DomainHandle) -> tuple[int, int, int, int, int]:
        return (self.state, 0, 0, 0, 0)

    def domain_get_state(self, dom: DomainHandle, flags: int) -> tuple[int, int]:
        return (self.state, 0)

    def domain_get_xml_desc(self, dom: DomainHandle, flags: int) -> str:
        return f"<xml flags={flags}/>"

    def domain_lookup_by_name(self, name: str) -> DomainHandle:
        return DomainHandle(self.conn, name, UUID, 7)

    def __getattribute__(self, name: str) -> Any:
        """Every step of a migration is written down and answered by `_answer`."""
        if name.startswith("domain_migrate_") and name not in ("domain_migrate_to_uri",):

            def step(*args: Any) -> Any:
                self.told.append((self.side, name.removeprefix("domain_migrate_"), *args))
                if name in self.failures:
                    raise self.failures[name]
                return self._answer(name)

            return step
        return super().__getattribute__(name)

    def _answer(self, name: str) -> Any:
        if "begin" in name:
            return b"cookie-begin", "<domain/>"
        if "prepare" in name:
            return b"cookie-prepare", self.uri_out
        if "finish3" in name:
            return DomainHandle(self.conn, "moved", UUID, 3), b"cookie-finish"
        if "finish" in name:
            return DomainHandle(self.conn, "moved", UUID, 3)
        return b"cookie-perform" if "perform3" in name else None


class World:
    def __init__(self, source: set[int], target: set[int]) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.source = End("here", self.told, source)
        self.target = End("there", self.told, target)
        for end in (self.source, self.target):
            end.conn = ConnectHandle(end, end.get_uri())
        self.dom = DomainHandle(self.source.conn, "vm", UUID, 1)

    def migrate(self, params: Any = (), flags: int = 0, function: str = "virDomainMigrate") -> Any:
        return self.source.domain_migrate(self.dom, self.target.conn, list(params), flags, function)

    def to_uri(
        self, dconnuri: str | None, params: Any = (), flags: int = 0,
        function: str = "virDomainMigrateToURI",
    ) -> None:  # fmt: skip
        self.source.domain_migrate_to_uri(self.dom, dconnuri, list(params), flags, function)

    @property
    def steps(self) -> list[str]:
        return [f"{side}.{step}" for side, step, *_args in self.told]


Make = Callable[..., World]


def world(source: set[int] = ALL, target: set[int] | None = None) -> World:
    return World(set(source), set(source if target is None else target))


def text(name: str, value: str) -> tuple[str, int, str]:
    return (name, c.VIR_TYPED_PARAM_STRING, value)


def qemu_error(detail: str, code: int = c.VIR_ERR_OPERATION_FAILED) -> VirError:
    return report(code, c.VIR_FROM_QEMU, detail)


# --- managed --------------------------------------------------------------------------------------


def test_migrate_version_3() -> None:
    w = world()
    params = [text(NAME, "new"), text(XML, "<changed/>"), ("bandwidth", 4, 8)]
    assert w.migrate(params, c.VIR_MIGRATE_LIVE | c.VIR_MIGRATE_ABORT_ON_ERROR).name == "moved"
    here, there, uri = 1 | 0x1000, 1, "tcp:there:49152"
    assert w.told == [
        ("here", "begin3", w.dom, "<changed/>", here | PROTECT, "new", 8),
        ("there", "prepare3", b"cookie-begin", None, there, "new", 8, "<domain/>"),
        ("here", "perform3", w.dom, None, b"cookie-prepare", None, uri, here | PROTECT, "new", 8),
        ("there", "finish3", "new", b"cookie-perform", None, uri, there, 0),
        ("here", "confirm3", w.dom, b"cookie-finish", here | PROTECT, 0),
    ]


def test_migrate_version_3_with_parameters() -> None:
    w = world()
    w.target.uri_out = None
    w.source.state = c.VIR_DOMAIN_PAUSED
    given = [text(URI, "tcp:asked"), ("disks_port", 1, 5)]
    w.migrate(given, 0, "virDomainMigrate3")
    paused = c.VIR_MIGRATE_PAUSED
    sent = [*given, text(XML, "<domain/>")]
    named = [*sent, text(NAME, "vm")]
    assert w.told == [
        ("here", "begin3_params", w.dom, given, PROTECT),
        ("there", "prepare3_params", sent, b"cookie-begin", paused),
        ("here", "perform3_params", w.dom, None, sent, b"cookie-prepare", paused | PROTECT),
        ("there", "finish3_params", named, b"cookie-perform", paused, 0),
        ("here", "confirm3_params", w.dom, named, b"cookie-finish", paused | PROTECT, 0),
    ]


def test_migrate_offline_skips_perform() -> None:
    w = world()
    w.migrate([], c.VIR_MIGRATE_OFFLINE)
    assert w.steps == ["here.begin3", "there.prepare3", "there.finish3", "here.confirm3"]
    assert w.told[2][3] == b"cookie-prepare"


def test_migrate_prepare_fails() -> None:
    w = world()
    w.target.failures["domain_migrate_prepare3"] = qemu_error("no room")
    with pytest.raises(VirError, match="no room"):
        w.migrate()
    assert w.steps == ["here.begin3", "there.prepare3", "here.confirm3"]
    assert w.told[-1][-1] == 1  # cancelled
    old = world(ALL - {CHANGE_PROTECTION})
    old.target.failures["domain_migrate_prepare3"] = qemu_error("no room")
    with pytest.raises(VirError, match="no room"):
        old.migrate()
    assert old.steps == ["here.begin3", "there.prepare3"]


def test_migrate_perform_fails() -> None:
    """The destination is told, the source knows already."""
    w = world()
    w.source.failures["domain_migrate_perform3"] = qemu_error("migration was aborted")
    w.target.failures["domain_migrate_finish3"] = qemu_error("", c.VIR_ERR_MIGRATE_FINISH_OK)
    with pytest.raises(VirError, match="migration was aborted"):
        w.migrate()
    assert w.steps == ["here.begin3", "there.prepare3", "here.perform3", "there.finish3"]
    assert w.told[-1][-1] == 1


def test_migrate_destination_knows_better_why_perform_failed() -> None:
    w = world()
    w.source.failures["domain_migrate_perform3"] = qemu_error("migration unexpectedly failed")
    w.target.failures["domain_migrate_finish3"] = qemu_error("qemu died", c.VIR_ERR_INTERNAL_ERROR)
    with pytest.raises(VirError, match="qemu died"):
        w.migrate()


def test_migrate_finish_fails() -> None:
    """The source must let the guest run on."""
    w = world()
    w.target.failures["domain_migrate_finish3"] = qemu_error("cannot start")
    with pytest.raises(VirError, match="cannot start"):
        w.migrate()
    assert w.steps[-1] == "here.confirm3"
    assert w.told[-1][-1] == 1


def test_migrate_confirm_fails_without_harm() -> None:
    w = world()
    w.source.failures["domain_migrate_confirm3"] = qemu_error("too late")
    assert w.migrate().name == "moved"


def test_migrate_no_uri_at_all() -> None:
    w = world()
    w.target.uri_out = None
    with pytest.raises(VirError, match="domainMigratePrepare3 did not set uri"):
        w.migrate()
    assert w.steps[-2:] == ["there.finish3", "here.confirm3"]


def test_migrate_version_2() -> None:
    w = world({V2, 11})
    w.migrate([text(URI, "tcp:asked")], c.VIR_MIGRATE_AUTO_CONVERGE)
    auto = c.VIR_MIGRATE_AUTO_CONVERGE
    xml = f"<xml flags={c.VIR_DOMAIN_XML_MIGRATABLE}/>"
    uri = "tcp:there:49152"
    assert w.told == [
        ("there", "prepare2", "tcp:asked", 0, None, 0, xml),
        ("here", "perform", w.dom, b"cookie-prepare", uri, auto, None, 0),
        ("there", "finish2", "vm", b"cookie-prepare", uri, 0, 0),
    ]


def test_migrate_version_2_perform_fails() -> None:
    w = world({V2})
    w.source.failures["domain_migrate_perform"] = qemu_error("lost")
    with pytest.raises(VirError, match="lost"):
        w.migrate()
    assert w.told[-1] == ("there", "finish2", "vm", b"cookie-prepare", "tcp:there:49152", 0, 1)


def test_migrate_version_1() -> None:
    w = world({V1})
    w.migrate([text(NAME, "new")])
    assert w.steps == ["there.prepare", "here.perform", "there.finish"]
    assert w.told[-1][2:] == ("new", b"cookie-prepare", "tcp:there:49152", 0)


@pytest.mark.parametrize(
    ("source", "target", "params", "flags", "function", "code"),
    [
        (ALL, set(), [], 0, "virDomainMigrate", c.VIR_ERR_NO_SUPPORT),
        ({V2}, {V1}, [], 0, "virDomainMigrate", c.VIR_ERR_NO_SUPPORT),
        ({V2}, {V2}, [text(XML, "<x/>")], 0, "virDomainMigrate2", c.VIR_ERR_ARGUMENT_UNSUPPORTED),
        ({V3}, {V3}, [("parallel.connections", 1, 2)], 0, "virDomainMigrate3", 74),
        ({V3}, ALL, [], c.VIR_MIGRATE_OFFLINE, "virDomainMigrate", 74),
        (ALL, {V3}, [], c.VIR_MIGRATE_OFFLINE, "virDomainMigrate", 74),
        ({V3}, ALL, [], PROTECT, "virDomainMigrate", 74),
        (ALL, ALL, [], c.VIR_MIGRATE_TUNNELLED, "virDomainMigrate", c.VIR_ERR_OPERATION_INVALID),
        (ALL, ALL, [], c.VIR_MIGRATE_PEER2PEER, "virDomainMigrate3", c.VIR_ERR_INVALID_ARG),
        ({V3}, ALL, [], c.VIR_MIGRATE_PEER2PEER, "virDomainMigrate", 74),
    ],
)
def test_migrate_refused(
    source: set[int], target: set[int], params: Any, flags: int, function: str, code: int
) -> None:
    w = world(source, target)
    with pytest.raises(VirError) as caught:
        w.migrate(params, flags, function)
    assert caught.value.code == code
    assert w.told == []


def test_migrate_3_on_old_hosts_with_old_parameters() -> None:
    w = world({V3})
    w.migrate([text(URI, "tcp:a")], 0, "virDomainMigrate3")
    assert w.steps[0] == "here.begin3"


# --- by the source alone --------------------------------------------------------------------------


def test_migrate_peer_to_peer() -> None:
    w = world()
    flags = c.VIR_MIGRATE_PEER2PEER | c.VIR_MIGRATE_TUNNELLED
    moved = w.migrate([text(NAME, "new")], flags)
    assert (moved.name, moved.id, moved.conn) == ("new", 7, w.target.conn)
    there = "qemu+tcp://there/system"
    assert w.told == [("here", "perform3", w.dom, None, b"", there, None, flags, "new", 0)]


def test_migrate_to_uri() -> None:
    w = world()
    p2p = c.VIR_MIGRATE_PEER2PEER
    w.to_uri("qemu+ssh://b/system", [], p2p)
    w.to_uri("ignored", [text(URI, "tcp:b")], 0)
    w.to_uri("qemu:///b", [text(XML, "<x/>"), text(URI, "u")], p2p, "virDomainMigrateToURI2")
    w.to_uri("qemu:///b", [("x", 1, 2)], p2p, "virDomainMigrateToURI3")
    assert w.told == [
        ("here", "perform3", w.dom, None, b"", "qemu+ssh://b/system", None, p2p, None, 0),
        ("here", "perform3", w.dom, None, b"", None, "tcp:b", 0, None, 0),
        ("here", "perform3", w.dom, "<x/>", b"", "qemu:///b", "u", p2p, None, 0),
        ("here", "perform3_params", w.dom, "qemu:///b", [("x", 1, 2)], b"", p2p),
    ]


def test_migrate_to_uri_on_old_hosts() -> None:
    w = world({P2P, DIRECT})
    w.to_uri("qemu:///b", [], c.VIR_MIGRATE_PEER2PEER)
    assert w.told == [("here", "perform", w.dom, b"", "qemu:///b", 2, None, 0)]
    for params, function in (
        ([("x", 1, 2)], "virDomainMigrateToURI3"),
        ([text(XML, "<x/>")], "virDomainMigrateToURI2"),
        ([text(URI, "u")], "virDomainMigrateToURI2"),
    ):
        with pytest.raises(VirError):
            w.to_uri("qemu:///b", params, c.VIR_MIGRATE_PEER2PEER, function)
    with pytest.raises(VirError) as caught:
        world({P2P}).to_uri("x", [], 0)
    assert caught.value.code == c.VIR_ERR_ARGUMENT_UNSUPPORTED
    assert caught.value.str2 == "direct migration is not supported by the source host"
    with pytest.raises(VirError, match="p2p migration is not supported by the source host"):
        world({DIRECT}).to_uri("x", [], c.VIR_MIGRATE_PEER2PEER)
