# SPDX-License-Identifier: LGPL-2.1-or-later
"""migrate.py: the door's six ways to move a domain, brought to the driver's two.

Plain arguments become migration parameters; what they contradict is refused here, as libvirt does
before it asks a host.
Called by: libvirtmod. Calls: drivers' domain_migrate and domain_migrate_to_uri.
Never: speaks a migration protocol.
"""

from __future__ import annotations

from libvirtcore.api import args as arg
from libvirtcore.api.call import Row, argument, run
from libvirtcore.api.checks import Check, exclusive, needs
from libvirtcore.api.typed import Triple, from_table
from libvirtcore.errors import invalid_argument, report
from libvirtcore.generated import api_table as row
from libvirtcore.generated import constants as c
from libvirtcore.generated import typed_inputs as inputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "virDomainMigrate",
    "virDomainMigrate2",
    "virDomainMigrate3",
    "virDomainMigrateToURI",
    "virDomainMigrateToURI2",
    "virDomainMigrateToURI3",
]


def _params(**given: Any) -> list[Triple]:
    """Parameters from plain arguments; absent ones are left out."""
    types = inputs.DomainMigrate3Params
    return [(name, types[name], value) for name, value in given.items() if value]


_DISKS = exclusive("VIR_MIGRATE_NON_SHARED_DISK", "VIR_MIGRATE_NON_SHARED_INC")
_PARALLEL = exclusive("VIR_MIGRATE_TUNNELLED", "VIR_MIGRATE_PARALLEL")
_SYNCHRONOUS = needs(
    "VIR_MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES",
    "VIR_MIGRATE_NON_SHARED_DISK",
    "VIR_MIGRATE_NON_SHARED_INC",
)
_LONELY_TUNNEL = "cannot perform tunnelled migration without using peer2peer flag"


def _check_flags(facts: Row, flags: int, *checks: Check) -> None:
    for check in checks:
        check(facts, None, (flags,))


def _check_tunnel(facts: Row, flags: int) -> None:
    """Refuse what only the source host could do by itself."""
    peer2peer = flags & c.VIR_MIGRATE_PEER2PEER
    if facts is row.virDomainMigrate3:
        if peer2peer:
            message = "use virDomainMigrateToURI3 for peer-to-peer migration"
            raise invalid_argument(facts.name, "flags", message, facts.domain)
        if flags & c.VIR_MIGRATE_TUNNELLED:
            raise invalid_argument(facts.name, "flags", _LONELY_TUNNEL, facts.domain)
    elif flags & c.VIR_MIGRATE_TUNNELLED and not peer2peer:
        raise report(c.VIR_ERR_OPERATION_INVALID, facts.domain, _LONELY_TUNNEL)


def _to_connection(facts: Row) -> Any:
    """The body of a migration between two open connections."""

    def body(driver: Any, dom: Any, dconn: Any, params: list[Triple], flags: int) -> Any:
        argument(facts, "connect", dconn)
        _check_flags(facts, flags, _DISKS, _SYNCHRONOUS)
        if facts is not row.virDomainMigrate3:
            _check_flags(facts, flags, _PARALLEL)
        if dconn.readonly:
            raise report(
                c.VIR_ERR_OPERATION_DENIED,
                facts.domain,
                f"read only access prevents {facts.name}",
            )
        _check_tunnel(facts, flags)
        return driver.domain_migrate(dom, dconn, params, flags, facts.name)

    return body


def _to_uri(facts: Row) -> Any:
    """The body of a migration that the source host makes by itself."""

    def body(driver: Any, dom: Any, dconnuri: Any, params: list[Triple], flags: int) -> int:
        _check_flags(facts, flags, _DISKS, _PARALLEL, _SYNCHRONOUS)
        driver.domain_migrate_to_uri(dom, dconnuri, params, flags, facts.name)
        return 0

    return body


_migrate = _to_connection(row.virDomainMigrate)
_migrate2 = _to_connection(row.virDomainMigrate2)
_migrate3 = _to_connection(row.virDomainMigrate3)
_uri = _to_uri(row.virDomainMigrateToURI)
_uri2 = _to_uri(row.virDomainMigrateToURI2)
_uri3 = _to_uri(row.virDomainMigrateToURI3)


def virDomainMigrate(
    domain: Any, dconn: Any, flags: Any, dname: Any, uri: Any, bandwidth: Any, /
) -> Any:
    params = _params(
        destination_name=arg.text(dname, "virDomainMigrate", 4),
        migrate_uri=arg.text(uri, "virDomainMigrate", 5),
        bandwidth=arg.ulong(bandwidth),
    )
    return run(row.virDomainMigrate, _migrate, domain, dconn, params, arg.u32(arg.ulong(flags)))


def virDomainMigrate2(
    domain: Any, dconn: Any, dxml: Any, flags: Any, dname: Any, uri: Any, bandwidth: Any, /
) -> Any:
    params = _params(
        destination_xml=arg.text(dxml, "virDomainMigrate2", 3),
        destination_name=arg.text(dname, "virDomainMigrate2", 5),
        migrate_uri=arg.text(uri, "virDomainMigrate2", 6),
        bandwidth=arg.ulong(bandwidth),
    )
    return run(row.virDomainMigrate2, _migrate2, domain, dconn, params, arg.u32(arg.ulong(flags)))


def virDomainMigrate3(domain: Any, dconn: Any, params: Any, flags: Any, /) -> Any:
    triples = from_table(params, inputs.DomainMigrate3Params)
    return run(row.virDomainMigrate3, _migrate3, domain, dconn, triples, arg.u32(flags))


def virDomainMigrateToURI(domain: Any, duri: Any, flags: Any, dname: Any, bandwidth: Any, /) -> Any:
    facts = row.virDomainMigrateToURI
    name = arg.text(dname, facts.name, 4)
    speed = arg.ulong(bandwidth)
    number = arg.u32(arg.ulong(flags))

    def body(driver: Any, dom: Any, duri: str | None, flags: int) -> int:
        if duri is None:
            message = f"duri in {facts.name} must not be NULL"
            raise invalid_argument(facts.name, "duri", message, facts.domain)
        if flags & c.VIR_MIGRATE_PEER2PEER:
            params = _params(destination_name=name, bandwidth=speed)
            _uri(driver, dom, duri, params, flags)
            return 0
        params = _params(destination_name=name, migrate_uri=duri, bandwidth=speed)
        _uri(driver, dom, None, params, flags)
        return 0

    return run(facts, body, domain, arg.text(duri, facts.name, 2), number)


def virDomainMigrateToURI2(
    domain: Any,
    dconnuri: Any,
    miguri: Any,
    dxml: Any,
    flags: Any,
    dname: Any,
    bandwidth: Any,
    /,
) -> Any:
    facts = row.virDomainMigrateToURI2
    params = _params(
        migrate_uri=arg.text(miguri, facts.name, 3),
        destination_xml=arg.text(dxml, facts.name, 4),
        destination_name=arg.text(dname, facts.name, 6),
        bandwidth=arg.ulong(bandwidth),
    )
    uri = arg.text(dconnuri, facts.name, 2)
    return run(facts, _uri2, domain, uri, params, arg.u32(arg.ulong(flags)))


def virDomainMigrateToURI3(domain: Any, dconnuri: Any, params: Any, flags: Any, /) -> Any:
    facts = row.virDomainMigrateToURI3
    uri = arg.text(dconnuri, facts.name, 2)
    triples = from_table(params, inputs.DomainMigrate3Params)
    return run(facts, _uri3, domain, uri, triples, arg.u32(flags))
