# SPDX-License-Identifier: LGPL-2.1-or-later
"""migrate_managed.py: migrations in which this process tells both ends what to do.

    version 1   prepare → perform → finish
    version 2   (source's XML) → prepare2 → perform → finish2
    version 3   begin3 → prepare3 → perform3 → finish3 → confirm3

The destination opens its ears, the source sends the guest, the destination starts it, the source
drops it; each step hands a cookie to the next. Whatever fails, both ends are told to clean up, and
the caller gets the first error, not that of the cleaning.
Called by: migrate.py.
Never: decides which version both ends speak.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from libvirtcore.drivers.support import Params
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.handles import ConnectHandle, DomainHandle

_XML_MIGRATABLE, _CHANGE_PROTECTION = 11, 7  # features
# What the destination need not hear of.
_SOURCE_ONLY = c.VIR_MIGRATE_ABORT_ON_ERROR | c.VIR_MIGRATE_AUTO_CONVERGE


class Plan(Protocol):
    """How the steps of version 3 are said: with plain arguments or with parameters."""

    @property
    def uri(self) -> str | None: ...
    def is_paused(self) -> bool: ...
    def begin(self, flags: int) -> tuple[bytes, str]: ...
    def prepare(
        self, target: Any, xml: str, cookie: bytes, flags: int
    ) -> tuple[bytes, str | None]: ...
    def redirect(self, uri: str) -> None:
        """The destination wants the guest to be sent elsewhere."""

    def perform(self, cookie: bytes, flags: int) -> bytes: ...
    def finish(
        self, target: Any, cookie: bytes, flags: int, cancelled: int
    ) -> tuple[DomainHandle, bytes]: ...
    def confirm(self, cookie: bytes, flags: int, cancelled: int) -> None: ...


@dataclass
class Plain:
    """The arguments of virDomainMigrate and virDomainMigrate2."""

    dom: DomainHandle
    uri: str | None
    dname: str | None
    xml: str | None
    bandwidth: int

    @property
    def source(self) -> Any:
        return self.dom.conn.driver

    @property
    def target_name(self) -> str:
        return self.dname or self.dom.name

    def is_paused(self) -> bool:
        try:
            return bool(self.source.domain_get_info(self.dom)[0] == c.VIR_DOMAIN_PAUSED)
        except VirError:
            return False  # if something is wrong, the steps themselves will tell

    def begin(self, flags: int) -> tuple[bytes, str]:
        return self.source.domain_migrate_begin3(  # type: ignore[no-any-return]
            self.dom, self.xml, flags, self.dname, self.bandwidth
        )

    def prepare(self, target: Any, xml: str, cookie: bytes, flags: int) -> tuple[bytes, str | None]:
        return target.domain_migrate_prepare3(  # type: ignore[no-any-return]
            cookie, self.uri, flags, self.dname, self.bandwidth, xml
        )

    def redirect(self, uri: str) -> None:
        self.uri = uri

    def perform(self, cookie: bytes, flags: int) -> bytes:
        return self.source.domain_migrate_perform3(  # type: ignore[no-any-return]
            self.dom, None, cookie, None, self.uri, flags, self.dname, self.bandwidth
        )

    def finish(
        self, target: Any, cookie: bytes, flags: int, cancelled: int
    ) -> tuple[DomainHandle, bytes]:
        return target.domain_migrate_finish3(  # type: ignore[no-any-return]
            self.target_name, cookie, None, self.uri, flags, cancelled
        )

    def confirm(self, cookie: bytes, flags: int, cancelled: int) -> None:
        self.source.domain_migrate_confirm3(self.dom, cookie, flags, cancelled)


class WithParams:
    """The parameters of virDomainMigrate3."""

    def __init__(self, dom: DomainHandle, params: Params) -> None:
        self.dom = dom
        self.params = list(params)

    @property
    def source(self) -> Any:
        return self.dom.conn.driver

    @property
    def uri(self) -> str | None:
        uri: str | None = self._get(c.VIR_MIGRATE_PARAM_URI)
        return uri

    def _get(self, wanted: str) -> Any:
        return next((value for name, _type, value in self.params if name == wanted), None)

    def _set(self, wanted: str, value: str) -> None:
        self.params = [param for param in self.params if param[0] != wanted]
        self.params.append((wanted, c.VIR_TYPED_PARAM_STRING, value))

    def is_paused(self) -> bool:
        try:
            return bool(self.source.domain_get_state(self.dom, 0)[0] == c.VIR_DOMAIN_PAUSED)
        except VirError:
            return False

    def begin(self, flags: int) -> tuple[bytes, str]:
        return self.source.domain_migrate_begin3_params(  # type: ignore[no-any-return]
            self.dom, self.params, flags
        )

    def prepare(self, target: Any, xml: str, cookie: bytes, flags: int) -> tuple[bytes, str | None]:
        self._set(c.VIR_MIGRATE_PARAM_DEST_XML, xml)
        return target.domain_migrate_prepare3_params(  # type: ignore[no-any-return]
            self.params, cookie, flags
        )

    def redirect(self, uri: str) -> None:
        self._set(c.VIR_MIGRATE_PARAM_URI, uri)

    def perform(self, cookie: bytes, flags: int) -> bytes:
        return self.source.domain_migrate_perform3_params(  # type: ignore[no-any-return]
            self.dom, None, self.params, cookie, flags
        )

    def finish(
        self, target: Any, cookie: bytes, flags: int, cancelled: int
    ) -> tuple[DomainHandle, bytes]:
        if self._get(c.VIR_MIGRATE_PARAM_DEST_NAME) is None:
            self._set(c.VIR_MIGRATE_PARAM_DEST_NAME, self.dom.name)
        return target.domain_migrate_finish3_params(  # type: ignore[no-any-return]
            self.params, cookie, flags, cancelled
        )

    def confirm(self, cookie: bytes, flags: int, cancelled: int) -> None:
        self.source.domain_migrate_confirm3_params(self.dom, self.params, cookie, flags, cancelled)


def _no_uri(step: str) -> VirError:
    return report(c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_DOMAIN, f"{step} did not set uri")


def version1(dom: DomainHandle, dconn: ConnectHandle, plan: Plain, flags: int) -> DomainHandle:
    target = dconn.driver
    if plan.is_paused():
        flags |= c.VIR_MIGRATE_PAUSED
    cookie, uri = target.domain_migrate_prepare(plan.uri, flags, plan.dname, plan.bandwidth)
    uri = uri or plan.uri
    if uri is None:
        raise _no_uri("domainMigratePrepare")
    plan.source.domain_migrate_perform(dom, cookie, uri, flags, plan.dname, plan.bandwidth)
    return target.domain_migrate_finish(plan.target_name, cookie, uri, flags)


def version2(dom: DomainHandle, dconn: ConnectHandle, plan: Plain, flags: int) -> DomainHandle:
    source, target = plan.source, dconn.driver
    if source.supports_feature(_XML_MIGRATABLE):
        xml_flags = c.VIR_DOMAIN_XML_MIGRATABLE
    else:
        xml_flags = c.VIR_DOMAIN_XML_SECURE | c.VIR_DOMAIN_XML_UPDATE_CPU
    xml = source.domain_get_xml_desc(dom, xml_flags)
    if plan.is_paused():
        flags |= c.VIR_MIGRATE_PAUSED
    there = flags & ~_SOURCE_ONLY
    cookie, uri = target.domain_migrate_prepare2(plan.uri, there, plan.dname, plan.bandwidth, xml)
    uri = uri or plan.uri
    first: VirError | None = None
    try:
        if uri is None:
            raise _no_uri("domainMigratePrepare2")
        source.domain_migrate_perform(dom, cookie, uri, flags, plan.dname, plan.bandwidth)
    except VirError as error:
        first = error
    try:
        moved = target.domain_migrate_finish2(
            plan.target_name, cookie, uri or "", there, int(first is not None)
        )
    except VirError as error:
        raise first or error from None
    if first is not None:
        raise first
    return moved


def version3(dom: DomainHandle, dconn: ConnectHandle, plan: Plan, flags: int) -> DomainHandle:
    """The five steps. Raises: VirError, the first that was met."""
    target = dconn.driver
    protect = 0
    if dom.conn.driver.supports_feature(_CHANGE_PROTECTION):
        protect = c.VIR_MIGRATE_CHANGE_PROTECTION
    cookie, xml = plan.begin(flags | protect)
    if plan.is_paused():
        flags |= c.VIR_MIGRATE_PAUSED
    there = flags & ~_SOURCE_ONLY
    try:
        cookie, uri = plan.prepare(target, xml, cookie, there)
    except VirError as error:
        if protect:  # begin has started a job on the source that only confirm ends
            _tell_source(plan, b"", flags | protect, cancelled=1)
        raise error from None
    first, cookie, source_knows = _send(plan, uri, cookie, flags, protect)
    moved, cookie, first = _start_there(plan, target, cookie, there, first)
    if not source_knows:
        _tell_source(plan, cookie, flags | protect, cancelled=int(moved is None))
    if first is not None:
        raise first
    assert moved is not None
    return moved


def _send(
    plan: Plan, uri: str | None, cookie: bytes, flags: int, protect: int
) -> tuple[VirError | None, bytes, bool]:
    """Perform; returns its error, the next cookie, and whether the source knows of its failure."""
    if uri:
        plan.redirect(uri)
    elif plan.uri is None:
        return _no_uri("domainMigratePrepare3"), cookie, False
    if flags & c.VIR_MIGRATE_OFFLINE:
        return None, cookie, False
    try:
        return None, plan.perform(cookie, flags | protect), False
    except VirError as error:
        return error, b"", True


def _start_there(
    plan: Plan, target: Any, cookie: bytes, flags: int, first: VirError | None
) -> tuple[DomainHandle | None, bytes, VirError | None]:
    """Finish: the destination starts the guest, or drops it after a failure of the source."""
    try:
        moved, cookie = plan.finish(target, cookie, flags, int(first is not None))
    except VirError as error:
        if first is None or _tells_more(error, first):
            first = error
        return None, b"", first
    return (None if first is not None else moved), cookie, first


def _tells_more(error: VirError, first: VirError) -> bool:
    """Whether the destination knows why the source merely saw its connection break."""
    return (
        first.domain == c.VIR_FROM_QEMU
        and first.code == c.VIR_ERR_OPERATION_FAILED
        and error.domain == c.VIR_FROM_QEMU
        and error.code != c.VIR_ERR_MIGRATE_FINISH_OK
    )


def _tell_source(plan: Plan, cookie: bytes, flags: int, cancelled: int) -> None:
    """Confirm: the source drops the guest, or lets it run on. Nothing can be done if that fails."""
    try:
        plan.confirm(cookie, flags, cancelled)
    except VirError:
        return
