# SPDX-License-Identifier: LGPL-2.1-or-later
"""lookup.py: find and list domains.

Called by: drivers.qemu.driver (mixin). Calls: host.
Never: waits for a job or for QEMU.
"""

from __future__ import annotations

import os
import uuid as uuidlib
from collections.abc import Callable

from libvirtcore.drivers.qemu.base import Calls
from libvirtcore.drivers.qemu.guest import Guest, check_flags
from libvirtcore.drivers.qemu.save_file import managed_path
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle

_ALL = (
    c.VIR_CONNECT_LIST_DOMAINS_ACTIVE
    | c.VIR_CONNECT_LIST_DOMAINS_INACTIVE
    | c.VIR_CONNECT_LIST_DOMAINS_PERSISTENT
    | c.VIR_CONNECT_LIST_DOMAINS_TRANSIENT
    | c.VIR_CONNECT_LIST_DOMAINS_RUNNING
    | c.VIR_CONNECT_LIST_DOMAINS_PAUSED
    | c.VIR_CONNECT_LIST_DOMAINS_SHUTOFF
    | c.VIR_CONNECT_LIST_DOMAINS_OTHER
    | c.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE
    | c.VIR_CONNECT_LIST_DOMAINS_NO_MANAGEDSAVE
    | c.VIR_CONNECT_LIST_DOMAINS_AUTOSTART
    | c.VIR_CONNECT_LIST_DOMAINS_NO_AUTOSTART
    | c.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT
    | c.VIR_CONNECT_LIST_DOMAINS_NO_SNAPSHOT
    | c.VIR_CONNECT_LIST_DOMAINS_HAS_CHECKPOINT
    | c.VIR_CONNECT_LIST_DOMAINS_NO_CHECKPOINT
)


def _has_managed_save(guest: Guest) -> bool:
    return os.path.exists(managed_path(guest.host, guest.name))


# Pairs of filters: when either is asked for, a domain must match the one it is.
_FILTERS: tuple[tuple[int, int, Callable[[Guest], bool]], ...] = (
    (c.VIR_CONNECT_LIST_DOMAINS_ACTIVE, c.VIR_CONNECT_LIST_DOMAINS_INACTIVE, lambda g: g.active),
    (
        c.VIR_CONNECT_LIST_DOMAINS_PERSISTENT,
        c.VIR_CONNECT_LIST_DOMAINS_TRANSIENT,
        lambda g: g.persistent,
    ),
    (
        c.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE,
        c.VIR_CONNECT_LIST_DOMAINS_NO_MANAGEDSAVE,
        _has_managed_save,
    ),
    (
        c.VIR_CONNECT_LIST_DOMAINS_AUTOSTART,
        c.VIR_CONNECT_LIST_DOMAINS_NO_AUTOSTART,
        lambda g: g.autostart,
    ),
    (
        c.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT,
        c.VIR_CONNECT_LIST_DOMAINS_NO_SNAPSHOT,
        lambda g: False,
    ),
    (
        c.VIR_CONNECT_LIST_DOMAINS_HAS_CHECKPOINT,
        c.VIR_CONNECT_LIST_DOMAINS_NO_CHECKPOINT,
        lambda g: False,
    ),
)
_STATES = {
    c.VIR_DOMAIN_RUNNING: c.VIR_CONNECT_LIST_DOMAINS_RUNNING,
    c.VIR_DOMAIN_PAUSED: c.VIR_CONNECT_LIST_DOMAINS_PAUSED,
    c.VIR_DOMAIN_SHUTOFF: c.VIR_CONNECT_LIST_DOMAINS_SHUTOFF,
}
_STATE_MASK = sum(_STATES.values()) | c.VIR_CONNECT_LIST_DOMAINS_OTHER


def matches(guest: Guest, flags: int) -> bool:
    """Whether a guest passes the filters of a list call."""
    for yes, no, is_so in _FILTERS:
        if flags & (yes | no) and not flags & (yes if is_so(guest) else no):
            return False
    if flags & _STATE_MASK:
        return bool(flags & _STATES.get(guest.state, c.VIR_CONNECT_LIST_DOMAINS_OTHER))
    return True


def _no_domain(detail: str) -> VirError:
    return report(c.VIR_ERR_NO_DOMAIN, c.VIR_FROM_QEMU, detail)


class LookupCalls(Calls):
    """The calls that find domains."""

    def domain_lookup_by_id(self, id: int) -> DomainHandle:
        for guest in self.host.guests():
            if guest.id == id and id != -1:
                return self._handle(guest)
        raise _no_domain(f"no domain with matching id {id}")

    def domain_lookup_by_uuid(self, uuid: bytes) -> DomainHandle:
        guest = self.host.by_uuid.get(uuid)
        if guest is None:
            raise _no_domain(f"no domain with matching uuid '{uuidlib.UUID(bytes=uuid)}'")
        return self._handle(guest)

    def domain_lookup_by_name(self, name: str) -> DomainHandle:
        guest = self.host.by_name.get(name)
        if guest is None:
            raise _no_domain(f"no domain with matching name '{name}'")
        return self._handle(guest)

    def connect_num_of_domains(self) -> int:
        return sum(guest.active for guest in self.host.guests())

    def connect_list_domains(self, maxids: int) -> list[int]:
        return [guest.id for guest in self.host.guests() if guest.active][:maxids]

    def connect_num_of_defined_domains(self) -> int:
        return sum(not guest.active for guest in self.host.guests())

    def connect_list_defined_domains(self, maxnames: int) -> list[str]:
        return [guest.name for guest in self.host.guests() if not guest.active][:maxnames]

    def connect_list_all_domains(
        self, need_results: int, flags: int
    ) -> tuple[list[DomainHandle], int]:
        check_flags("qemuConnectListAllDomains", flags, _ALL)
        found = [guest for guest in self.host.guests() if matches(guest, flags)]
        return ([self._handle(guest) for guest in found] if need_results else [], len(found))

    def domain_is_active(self, dom: DomainHandle) -> int:
        return int(self.host.find(dom).active)

    def domain_is_persistent(self, dom: DomainHandle) -> int:
        return int(self.host.find(dom).persistent)

    def domain_is_updated(self, dom: DomainHandle) -> int:
        return int(self.host.find(dom).updated)
