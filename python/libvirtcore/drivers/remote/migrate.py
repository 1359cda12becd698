# SPDX-License-Identifier: LGPL-2.1-or-later
"""migrate.py: which kind of migration both ends can do, and the choice of one.

    function                 with PEER2PEER                  without
    virDomainMigrate, 2      the source does it, told where  managed: this process steers both ends
    virDomainMigrate3        –                               managed
    virDomainMigrateToURI*   the source does it              the source's hypervisor does it alone

Managed migration is in migrate_managed.py. What a daemon can do is asked once a connection.
Called by: libvirtcore.api, through the driver of the source.
Never: looks into cookies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from libvirtcore.drivers.remote import migrate_managed as managed
from libvirtcore.drivers.support import Params, no_support
from libvirtcore.errors import VirError, invalid_argument, report
from libvirtcore.generated import constants as c
from libvirtcore.handles import ConnectHandle, DomainHandle

if TYPE_CHECKING:
    from libvirtcore.drivers.base import Driver

# Features a driver answers for (supports_feature).
V1, V2, P2P, DIRECT, V3 = 1, 3, 4, 5, 6
CHANGE_PROTECTION, OFFLINE, PARAMS = 7, 12, 13

DOMAIN = c.VIR_FROM_DOMAIN
_OLD_PARAMS = frozenset(
    (
        c.VIR_MIGRATE_PARAM_URI,
        c.VIR_MIGRATE_PARAM_DEST_NAME,
        c.VIR_MIGRATE_PARAM_DEST_XML,
        c.VIR_MIGRATE_PARAM_BANDWIDTH,
    )
)


def value_of(params: Params, name: str) -> Any:
    """A migration parameter, None when absent."""
    for known, _type, value in params:
        if known == name:
            return value
    return None


def require_offline(driver: Driver, which: str) -> None:
    if not driver.supports_feature(OFFLINE):
        raise unsupported(f"offline migration is not supported by the {which} host")


def unsupported(detail: str) -> VirError:
    return report(c.VIR_ERR_ARGUMENT_UNSUPPORTED, DOMAIN, detail)


class MigrateMixin:
    """The migration half of the remote driver."""

    if TYPE_CHECKING:

        def supports_feature(self, feature: int) -> bool: ...
        def domain_migrate_perform(
            self, dom: DomainHandle, cookie: bytes, uri: str, flags: int, dname: str | None,
            resource: int,
        ) -> None: ...  # fmt: skip
        def domain_migrate_perform3(
            self, dom: DomainHandle, xmlin: str | None, cookie_in: bytes, dconnuri: str | None,
            uri: str | None, flags: int, dname: str | None, resource: int,
        ) -> bytes: ...  # fmt: skip
        def domain_migrate_perform3_params(
            self, dom: DomainHandle, dconnuri: str | None, params: Params, cookie_in: bytes,
            flags: int,
        ) -> bytes: ...  # fmt: skip

    def domain_migrate(
        self, dom: DomainHandle, dconn: ConnectHandle, params: Params, flags: int, function: str
    ) -> DomainHandle:
        """Move a domain to another open connection; returns it as it is there."""
        if flags & c.VIR_MIGRATE_PEER2PEER:
            return self._migrate_peer2peer(dom, dconn, params, flags, function)
        if flags & c.VIR_MIGRATE_TUNNELLED:
            raise report(
                c.VIR_ERR_OPERATION_INVALID,
                DOMAIN,
                "cannot perform tunnelled migration without using peer2peer flag",
            )
        target = dconn.driver
        if flags & c.VIR_MIGRATE_OFFLINE:
            require_offline(dom.conn.driver, "source")
            require_offline(target, "destination")
        if flags & c.VIR_MIGRATE_CHANGE_PROTECTION:
            if not self.supports_feature(CHANGE_PROTECTION):
                raise unsupported("cannot enforce change protection")
            # Only the source protects, and version 3 sees to it that it does.
            flags &= ~c.VIR_MIGRATE_CHANGE_PROTECTION

        def both(feature: int) -> bool:
            return self.supports_feature(feature) and target.supports_feature(feature)

        if function == "virDomainMigrate3":
            if both(PARAMS):
                return managed.version3(dom, dconn, managed.WithParams(dom, params), flags)
            if any(name not in _OLD_PARAMS for name, _type, _value in params):
                raise unsupported(
                    "Migration APIs with extensible parameters are not supported but extended "
                    "parameters were passed"
                )
        plan = managed.Plain(
            dom,
            uri=value_of(params, c.VIR_MIGRATE_PARAM_URI),
            dname=value_of(params, c.VIR_MIGRATE_PARAM_DEST_NAME),
            xml=value_of(params, c.VIR_MIGRATE_PARAM_DEST_XML),
            bandwidth=value_of(params, c.VIR_MIGRATE_PARAM_BANDWIDTH) or 0,
        )
        if both(V3):
            return managed.version3(dom, dconn, plan, flags)
        if both(V2) or both(V1):
            if plan.xml is not None:
                raise unsupported("Unable to change target guest XML during migration")
            run = managed.version2 if both(V2) else managed.version1
            return run(dom, dconn, plan, flags)
        raise no_support(function, DOMAIN)

    def _migrate_peer2peer(
        self, dom: DomainHandle, dconn: ConnectHandle, params: Params, flags: int, function: str
    ) -> DomainHandle:
        """The source connects to the other daemon at the URI of our own connection to it."""
        if function == "virDomainMigrate3":
            raise invalid_argument(
                function, "flags", "use virDomainMigrateToURI3 for peer-to-peer migration", DOMAIN
            )
        self._unmanaged(dom, dconn.driver.get_uri(), params, flags, function)
        name = value_of(params, c.VIR_MIGRATE_PARAM_DEST_NAME) or dom.name
        return dconn.driver.domain_lookup_by_name(name)

    def domain_migrate_to_uri(
        self, dom: DomainHandle, dconnuri: str | None, params: Params, flags: int, function: str
    ) -> None:
        """Have the source host move a domain by itself."""
        if not flags & c.VIR_MIGRATE_PEER2PEER:
            dconnuri = None
        self._unmanaged(dom, dconnuri, params, flags, function)

    def _unmanaged(
        self, dom: DomainHandle, dconnuri: str | None, params: Params, flags: int, function: str
    ) -> None:
        if flags & c.VIR_MIGRATE_OFFLINE:
            require_offline(dom.conn.driver, "source")
        peer2peer = flags & c.VIR_MIGRATE_PEER2PEER
        if not self.supports_feature(P2P if peer2peer else DIRECT):
            way = "p2p" if peer2peer else "direct"
            raise unsupported(f"{way} migration is not supported by the source host")
        if function == "virDomainMigrateToURI3":
            if self.supports_feature(PARAMS):
                self.domain_migrate_perform3_params(dom, dconnuri, params, b"", flags)
                return
            if any(name not in _OLD_PARAMS for name, _type, _value in params):
                raise unsupported(
                    "Peer-to-peer migration with extensible parameters is not supported but "
                    "extended parameters were passed"
                )
        uri = value_of(params, c.VIR_MIGRATE_PARAM_URI)
        dname = value_of(params, c.VIR_MIGRATE_PARAM_DEST_NAME)
        xml = value_of(params, c.VIR_MIGRATE_PARAM_DEST_XML)
        bandwidth = value_of(params, c.VIR_MIGRATE_PARAM_BANDWIDTH) or 0
        if self.supports_feature(V3):
            self.domain_migrate_perform3(dom, xml, b"", dconnuri, uri, flags, dname, bandwidth)
            return
        if xml is not None:
            raise unsupported("Unable to change target guest XML during migration")
        if uri is not None and dconnuri is not None:
            raise report(
                c.VIR_ERR_INTERNAL_ERROR, DOMAIN, "Unable to override peer2peer migration URI"
            )
        self.domain_migrate_perform(dom, b"", dconnuri or uri or "", flags, dname, bandwidth)
