# SPDX-License-Identifier: LGPL-2.1-or-later
"""domains.py: the life of domains in the test driver: look up, list, define, start, stop.

Called by: drivers.test.driver (mixin). Calls: drivers.test.node under its lock.
Never: delivers an event while holding the node's lock.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from libvirtcore.drivers.test.definition import Definition
from libvirtcore.drivers.test.node import Domain, Node, check_flags, no_domain
from libvirtcore.drivers.test.tuning import DomainTuning
from libvirtcore.errors import VirError, report
from libvirtcore.events.state import event_state
from libvirtcore.generated import constants as c
from libvirtcore.handles import ConnectHandle, DomainHandle

if TYPE_CHECKING:
    from collections.abc import Callable

_REBOOT_FLAGS = 0x1F  # every way to ask a guest: acpi, agent, initctl, signal, paravirt
_XML_FLAGS = c.VIR_DOMAIN_XML_SECURE | c.VIR_DOMAIN_XML_INACTIVE | c.VIR_DOMAIN_XML_MIGRATABLE
_UNDEFINE_FLAGS = c.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | c.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
_LIST_FLAGS = 0xFFFF

# Pairs of list filters: when either of a pair is asked for, a domain must match the one it is.
_LIST_FILTERS: tuple[tuple[int, int, Callable[[Domain], bool]], ...] = (
    (c.VIR_CONNECT_LIST_DOMAINS_ACTIVE, c.VIR_CONNECT_LIST_DOMAINS_INACTIVE, lambda d: d.active),
    (
        c.VIR_CONNECT_LIST_DOMAINS_PERSISTENT,
        c.VIR_CONNECT_LIST_DOMAINS_TRANSIENT,
        lambda d: d.persistent,
    ),
    (
        c.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE,
        c.VIR_CONNECT_LIST_DOMAINS_NO_MANAGEDSAVE,
        lambda d: False,
    ),
    (
        c.VIR_CONNECT_LIST_DOMAINS_AUTOSTART,
        c.VIR_CONNECT_LIST_DOMAINS_NO_AUTOSTART,
        lambda d: d.autostart,
    ),
    (
        c.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT,
        c.VIR_CONNECT_LIST_DOMAINS_NO_SNAPSHOT,
        lambda d: False,
    ),
    (
        c.VIR_CONNECT_LIST_DOMAINS_HAS_CHECKPOINT,
        c.VIR_CONNECT_LIST_DOMAINS_NO_CHECKPOINT,
        lambda d: False,
    ),
)
_STATE_FILTERS = (
    (c.VIR_CONNECT_LIST_DOMAINS_RUNNING, {c.VIR_DOMAIN_RUNNING}),
    (c.VIR_CONNECT_LIST_DOMAINS_PAUSED, {c.VIR_DOMAIN_PAUSED}),
    (c.VIR_CONNECT_LIST_DOMAINS_SHUTOFF, {c.VIR_DOMAIN_SHUTOFF}),
)
_STATE_MASK = (
    c.VIR_CONNECT_LIST_DOMAINS_RUNNING
    | c.VIR_CONNECT_LIST_DOMAINS_PAUSED
    | c.VIR_CONNECT_LIST_DOMAINS_SHUTOFF
    | c.VIR_CONNECT_LIST_DOMAINS_OTHER
)


def _matches(domain: Domain, flags: int) -> bool:
    for yes, no, is_so in _LIST_FILTERS:
        if flags & (yes | no) and not flags & (yes if is_so(domain) else no):
            return False
    if flags & _STATE_MASK:
        known = False
        for flag, states in _STATE_FILTERS:
            if domain.state in states:
                known = True
                if flags & flag:
                    return True
        return not known and bool(flags & c.VIR_CONNECT_LIST_DOMAINS_OTHER)
    return True


class DomainCalls(DomainTuning):
    """The domain calls of the test driver that look up, list or change state."""

    node: Node
    conn: ConnectHandle

    # --- look up and list -------------------------------------------------------------------------

    def _handle(self, domain: Domain) -> DomainHandle:
        return DomainHandle(self.conn, domain.live.name, domain.live.uuid, domain.id)

    def domain_lookup_by_id(self, id: int) -> DomainHandle:
        return self._lookup(lambda d: d.active and d.id == id)

    def domain_lookup_by_uuid(self, uuid: bytes) -> DomainHandle:
        with self.node.lock:
            domain = self.node.domains.get(uuid)
            if domain is None:
                raise no_domain()
            return self._handle(domain)

    def domain_lookup_by_name(self, name: str) -> DomainHandle:
        return self._lookup(lambda d: d.live.name == name)

    def _lookup(self, wanted: Callable[[Domain], bool]) -> DomainHandle:
        with self.node.lock:
            for domain in self.node.domains.values():
                if wanted(domain):
                    return self._handle(domain)
        raise no_domain()

    def _select(self, wanted: Callable[[Domain], bool]) -> list[Domain]:
        with self.node.lock:
            return [domain for domain in self.node.domains.values() if wanted(domain)]

    def connect_num_of_domains(self) -> int:
        return len(self._select(lambda d: d.active))

    def connect_list_domains(self, maxids: int) -> list[int]:
        return [domain.id for domain in self._select(lambda d: d.active)][:maxids]

    def connect_num_of_defined_domains(self) -> int:
        return len(self._select(lambda d: not d.active))

    def connect_list_defined_domains(self, maxnames: int) -> list[str]:
        return [domain.live.name for domain in self._select(lambda d: not d.active)][:maxnames]

    def connect_list_all_domains(
        self, need_results: int, flags: int
    ) -> tuple[list[DomainHandle], int]:
        check_flags("testConnectListAllDomains", flags, _LIST_FLAGS)
        found = self._select(lambda d: _matches(d, flags))
        return ([self._handle(domain) for domain in found] if need_results else [], len(found))

    # --- define and undefine ----------------------------------------------------------------------

    def domain_define_xml(self, xml: str) -> DomainHandle:
        return self.domain_define_xml_flags(xml, 0)

    def domain_define_xml_flags(self, xml: str, flags: int) -> DomainHandle:
        check_flags("testDomainDefineXMLFlags", flags, c.VIR_DOMAIN_DEFINE_VALIDATE)
        definition = Definition(xml)
        with self.node.lock:
            domain = self.node.check_new(definition, must_be_inactive=False)
            detail = c.VIR_DOMAIN_EVENT_DEFINED_ADDED
            if domain is None:
                domain = Domain(definition, persistent=True)
                self.node.domains[definition.uuid] = domain
            else:
                if domain.persistent:
                    detail = c.VIR_DOMAIN_EVENT_DEFINED_UPDATED
                domain.persistent = True
                if domain.active:
                    domain.next_start = definition
                else:
                    domain.live = definition
            handle = self._handle(domain)
        self._tell(handle, c.VIR_DOMAIN_EVENT_DEFINED, detail)
        return handle

    def domain_undefine(self, dom: DomainHandle) -> None:
        self.domain_undefine_flags(dom, 0)

    def domain_undefine_flags(self, dom: DomainHandle, flags: int) -> None:
        check_flags("testDomainUndefineFlags", flags, _UNDEFINE_FLAGS)
        with self.node.lock:
            domain = self.node.find(dom)
            if not domain.persistent:
                raise report(
                    c.VIR_ERR_OPERATION_INVALID,
                    c.VIR_FROM_TEST,
                    "cannot undefine transient domain",
                )
            domain.persistent = False
            domain.next_start = None
            if not domain.active:
                del self.node.domains[domain.live.uuid]
            handle = self._handle(domain)
        self._tell(handle, c.VIR_DOMAIN_EVENT_UNDEFINED, c.VIR_DOMAIN_EVENT_UNDEFINED_REMOVED)

    def domain_rename(self, dom: DomainHandle, new_name: str | None, flags: int) -> int:
        check_flags("testDomainRename", flags, 0)
        name = new_name or ""
        if "/" in name:
            raise report(c.VIR_ERR_XML_ERROR, c.VIR_FROM_TEST, f"name {name} cannot contain '/'")
        with self.node.lock:
            domain = self.node.find(dom)
            if domain.active:
                raise report(
                    c.VIR_ERR_OPERATION_INVALID, c.VIR_FROM_TEST, "cannot rename active domain"
                )
            if domain.live.name == name:
                raise report(
                    c.VIR_ERR_OPERATION_INVALID,
                    c.VIR_FROM_DOMAIN,
                    "Can't rename domain to itself",
                )
            if any(other.live.name == name for other in self.node.domains.values()):
                raise report(
                    c.VIR_ERR_OPERATION_INVALID,
                    c.VIR_FROM_DOMAIN,
                    f"domain with name '{name}' already exists",
                )
            before = self._handle(domain)
            domain.live.name = name
            after = self._handle(domain)
        self._tell(before, c.VIR_DOMAIN_EVENT_UNDEFINED, c.VIR_DOMAIN_EVENT_UNDEFINED_RENAMED)
        self._tell(after, c.VIR_DOMAIN_EVENT_DEFINED, c.VIR_DOMAIN_EVENT_DEFINED_RENAMED)
        return 0

    # --- start and stop ---------------------------------------------------------------------------

    def domain_create_xml(self, xml_desc: str, flags: int) -> DomainHandle:
        check_flags("testDomainCreateXML", flags, c.VIR_DOMAIN_START_VALIDATE)
        definition = Definition(xml_desc)
        with self.node.lock:
            domain = self.node.check_new(definition, must_be_inactive=True)
            if domain is None:
                domain = Domain(definition, persistent=False)
                self.node.domains[definition.uuid] = domain
            else:
                domain.next_start, domain.live = domain.live, definition
            self.node.start(domain, c.VIR_DOMAIN_RUNNING_BOOTED)
            handle = self._handle(domain)
        self._tell(handle, c.VIR_DOMAIN_EVENT_STARTED, c.VIR_DOMAIN_EVENT_STARTED_BOOTED)
        return handle

    def domain_create(self, dom: DomainHandle) -> None:
        self.domain_create_with_flags(dom, 0)

    def domain_create_with_flags(self, dom: DomainHandle, flags: int) -> DomainHandle:
        check_flags("testDomainCreateWithFlags", flags, 0)
        with self.node.lock:
            domain = self.node.find(dom)
            if domain.active:
                raise report(
                    c.VIR_ERR_INTERNAL_ERROR,
                    c.VIR_FROM_TEST,
                    f"Domain '{domain.live.name}' is already running",
                )
            self.node.start(domain, c.VIR_DOMAIN_RUNNING_BOOTED)
            dom.id = domain.id
            handle = self._handle(domain)
        self._tell(handle, c.VIR_DOMAIN_EVENT_STARTED, c.VIR_DOMAIN_EVENT_STARTED_BOOTED)
        return handle

    def domain_suspend(self, dom: DomainHandle) -> None:
        with self.node.lock:
            domain = self.node.find(dom)
            if domain.state != c.VIR_DOMAIN_RUNNING:
                raise self._wrong_state(domain, "running")
            domain.state, domain.reason = c.VIR_DOMAIN_PAUSED, c.VIR_DOMAIN_PAUSED_USER
            handle = self._handle(domain)
        self._tell(handle, c.VIR_DOMAIN_EVENT_SUSPENDED, c.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED)

    def domain_resume(self, dom: DomainHandle) -> None:
        with self.node.lock:
            domain = self.node.find(dom)
            if domain.state != c.VIR_DOMAIN_PAUSED:
                raise self._wrong_state(domain, "paused")
            domain.state, domain.reason = c.VIR_DOMAIN_RUNNING, c.VIR_DOMAIN_RUNNING_UNPAUSED
            handle = self._handle(domain)
        self._tell(handle, c.VIR_DOMAIN_EVENT_RESUMED, c.VIR_DOMAIN_EVENT_RESUMED_UNPAUSED)

    def domain_shutdown(self, dom: DomainHandle) -> None:
        self.domain_shutdown_flags(dom, 0)

    def domain_shutdown_flags(self, dom: DomainHandle, flags: int) -> None:
        check_flags("testDomainShutdownFlags", flags, 0)
        with self.node.lock:
            domain = self.node.find(dom)
            if domain.state == c.VIR_DOMAIN_SHUTOFF:
                raise self._wrong_state(domain, "running")
            handle = self._stop(domain, dom, c.VIR_DOMAIN_SHUTOFF_SHUTDOWN)
        self._tell(handle, c.VIR_DOMAIN_EVENT_STOPPED, c.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN)

    def domain_destroy(self, dom: DomainHandle) -> None:
        self.domain_destroy_flags(dom, 0)

    def domain_destroy_flags(self, dom: DomainHandle, flags: int) -> None:
        check_flags("testDomainDestroyFlags", flags, c.VIR_DOMAIN_DESTROY_GRACEFUL)
        with self.node.lock:
            domain = self.node.find_active(dom)
            handle = self._stop(domain, dom, c.VIR_DOMAIN_SHUTOFF_DESTROYED)
        self._tell(handle, c.VIR_DOMAIN_EVENT_STOPPED, c.VIR_DOMAIN_EVENT_STOPPED_DESTROYED)

    def domain_reboot(self, dom: DomainHandle, flags: int) -> None:
        check_flags("testDomainReboot", flags, _REBOOT_FLAGS)
        self._restart(dom)

    def domain_reset(self, dom: DomainHandle, flags: int) -> None:
        check_flags("testDomainReset", flags, 0)
        self._restart(dom)

    def _restart(self, dom: DomainHandle) -> None:
        with self.node.lock:
            domain = self.node.find_active(dom)
            domain.state, domain.reason = c.VIR_DOMAIN_RUNNING, c.VIR_DOMAIN_RUNNING_BOOTED
            domain.started_at = time.time()

    # --- state ------------------------------------------------------------------------------------

    def domain_get_info(self, dom: DomainHandle) -> tuple[int, int, int, int, int]:
        with self.node.lock:
            domain = self.node.find(dom)
            live = domain.live
            # The clock serves as CPU time: it only has to grow.
            return (domain.state, live.max_memory, live.memory, live.vcpus, time.time_ns())

    def domain_get_state(self, dom: DomainHandle, flags: int) -> tuple[int, int]:
        check_flags("testDomainGetState", flags, 0)
        with self.node.lock:
            domain = self.node.find(dom)
            return (domain.state, domain.reason)

    def domain_get_xml_desc(self, dom: DomainHandle, flags: int) -> str:
        check_flags("testDomainGetXMLDesc", flags, _XML_FLAGS)
        with self.node.lock:
            domain = self.node.find(dom)
            if flags & c.VIR_DOMAIN_XML_INACTIVE:
                return (domain.next_start or domain.live).format(-1)
            return domain.live.format(domain.id)

    def domain_get_os_type(self, dom: DomainHandle) -> str:
        with self.node.lock:
            self.node.find(dom)
        return "linux"

    def domain_is_active(self, dom: DomainHandle) -> int:
        with self.node.lock:
            return int(self.node.find(dom).active)

    def domain_is_persistent(self, dom: DomainHandle) -> int:
        with self.node.lock:
            return int(self.node.find(dom).persistent)

    def domain_is_updated(self, dom: DomainHandle) -> int:
        with self.node.lock:
            self.node.find(dom)
        return 0

    def domain_has_managed_save_image(self, dom: DomainHandle, flags: int) -> int:
        check_flags("testDomainHasManagedSaveImage", flags, 0)
        with self.node.lock:
            self.node.find(dom)
        return 0

    # --- helpers ----------------------------------------------------------------------------------

    def _stop(self, domain: Domain, dom: DomainHandle, reason: int) -> DomainHandle:
        name, uuid = domain.live.name, domain.live.uuid
        self.node.stop(domain, reason)
        dom.id = -1
        return DomainHandle(self.conn, name, uuid, -1)

    def _wrong_state(self, domain: Domain, wanted: str) -> VirError:
        return report(
            c.VIR_ERR_INTERNAL_ERROR,
            c.VIR_FROM_TEST,
            f"domain '{domain.live.name}' not {wanted}",
        )

    def _tell(self, handle: DomainHandle, event: int, detail: int) -> None:
        """Queue a lifecycle event on every subscribed connection."""
        with self.node.lock:
            subscribers = list(self.node.subscribers)
        for conn in subscribers:
            subject = DomainHandle(conn, handle.name, handle.uuid, handle.id)
            event_state(conn).queue(
                "domain", c.VIR_DOMAIN_EVENT_ID_LIFECYCLE, subject, (event, detail)
            )
