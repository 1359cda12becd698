# SPDX-License-Identifier: LGPL-2.1-or-later
"""node.py: the state of one simulated host: its domains and who wants to hear of them.

Every connection to `test:///default` in a process sees the same node, as long as one is open.
Called by: drivers.test.driver and its mixins, under `Node.lock`.
Never: knows about handles' wire form or the API layer.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from libvirtcore.drivers.test.definition import Definition
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c

if TYPE_CHECKING:
    from libvirtcore.handles import ConnectHandle, DomainHandle

DEFAULT_DOMAIN = """\
<domain type='test'>
  <name>test</name>
  <uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>
  <memory unit='KiB'>8388608</memory>
  <currentMemory unit='KiB'>2097152</currentMemory>
  <vcpu placement='static'>2</vcpu>
  <os>
    <type arch='i686'>hvm</type>
    <boot dev='hd'/>
  </os>
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <disk type='file' device='disk'>
      <source file='/guest/diskimage1'/>
      <target dev='vda' bus='virtio'/>
      <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>
    </disk>
    <interface type='network'>
      <mac address='aa:bb:cc:dd:ee:ff'/>
      <source network='default'/>
      <target dev='testnet0'/>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x01' function='0x0'/>
    </interface>
    <memballoon model='virtio'>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x0'/>
    </memballoon>
  </devices>
</domain>
"""


@dataclass(slots=True)
class Domain:
    """One domain: what it is now, what it becomes at its next start, and its state."""

    live: Definition
    persistent: bool
    next_start: Definition | None = None
    id: int = -1
    state: int = c.VIR_DOMAIN_SHUTOFF
    reason: int = c.VIR_DOMAIN_SHUTOFF_UNKNOWN
    autostart: bool = False
    started_at: float = field(default_factory=time.time)

    @property
    def active(self) -> bool:
        return self.id != -1


class Node:
    """One simulated host."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.domains: dict[bytes, Domain] = {}
        self.subscribers: list[ConnectHandle] = []
        self._next_id = 1
        domain = Domain(Definition(DEFAULT_DOMAIN), persistent=True)
        self.domains[domain.live.uuid] = domain
        self.start(domain, c.VIR_DOMAIN_RUNNING_UNKNOWN)

    def start(self, domain: Domain, reason: int) -> None:
        domain.id = self._next_id
        self._next_id += 1
        domain.state = c.VIR_DOMAIN_RUNNING
        domain.reason = reason
        domain.started_at = time.time()

    def stop(self, domain: Domain, reason: int) -> None:
        """Stop a running domain; a transient one is gone after that."""
        domain.id = -1
        domain.state = c.VIR_DOMAIN_SHUTOFF
        domain.reason = reason
        if domain.next_start is not None:
            domain.live, domain.next_start = domain.next_start, None
        if not domain.persistent:
            self.domains.pop(domain.live.uuid, None)

    def find(self, handle: DomainHandle) -> Domain:
        """Return the domain a handle means, or raise NO_DOMAIN."""
        domain = self.domains.get(handle.uuid)
        if domain is None:
            text = _uuid_text(handle.uuid)
            raise no_domain(f"no domain with matching uuid '{text}' ({handle.name})")
        return domain

    def find_active(self, handle: DomainHandle) -> Domain:
        domain = self.find(handle)
        if not domain.active:
            raise not_running()
        return domain

    def check_new(self, definition: Definition, *, must_be_inactive: bool) -> Domain | None:
        """Refuse a definition that collides with another domain; return the one it redefines."""
        known = self.domains.get(definition.uuid)
        if known is not None and known.live.name != definition.name:
            raise report(
                c.VIR_ERR_OPERATION_FAILED,
                c.VIR_FROM_DOMAIN,
                f"domain '{known.live.name}' is already defined with uuid {definition.uuid_string}",
            )
        if known is not None and must_be_inactive and known.active:
            raise report(
                c.VIR_ERR_OPERATION_INVALID,
                c.VIR_FROM_DOMAIN,
                f"domain '{known.live.name}' is already active",
            )
        for other in self.domains.values():
            if other is not known and other.live.name == definition.name:
                raise report(
                    c.VIR_ERR_OPERATION_FAILED,
                    c.VIR_FROM_DOMAIN,
                    f"domain '{definition.name}' already exists with uuid {other.live.uuid_string}",
                )
        return known


def _uuid_text(raw: bytes) -> str:
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def no_domain(detail: str = "") -> VirError:
    return report(c.VIR_ERR_NO_DOMAIN, c.VIR_FROM_TEST, detail)


def not_running() -> VirError:
    return report(c.VIR_ERR_OPERATION_INVALID, c.VIR_FROM_DOMAIN, "domain is not running")


def check_flags(function: str, flags: int, known: int) -> None:
    """Refuse flags outside `known`, naming the C function as libvirt's test driver does."""
    unknown = flags & ~known
    if unknown:
        raise VirError(
            c.VIR_ERR_INVALID_ARG,
            c.VIR_FROM_TEST,
            f"unsupported flags (0x{unknown:x}) in function {function}",
            str1=function,
            str2="flags",
            int1=0,
            int2=0,
        )


_shared: Node | None = None
_shared_users = 0
_shared_lock = threading.Lock()


def acquire_default() -> Node:
    """Return the process-wide default node; the first user creates it."""
    global _shared, _shared_users
    with _shared_lock:
        if _shared is None:
            _shared = Node()
        _shared_users += 1
        return _shared


def release_default() -> None:
    """Give the default node back; with its last user its state is forgotten."""
    global _shared, _shared_users
    with _shared_lock:
        _shared_users -= 1
        if _shared_users == 0:
            _shared = None
