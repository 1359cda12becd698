# SPDX-License-Identifier: LGPL-2.1-or-later
"""tuning.py: sizes and small settings of domains in the test driver: memory, vCPUs, autostart.

Called by: drivers.test.domains (base class of its mixin). Calls: drivers.test.node under its lock.
Never: changes a domain's state.
"""

from __future__ import annotations

from libvirtcore.drivers.test.definition import Definition
from libvirtcore.drivers.test.node import Domain, Node, check_flags
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle

_LIVE = c.VIR_DOMAIN_AFFECT_LIVE
_CONFIG = c.VIR_DOMAIN_AFFECT_CONFIG
_GUEST_TIME = 627319920  # seconds since 1970; libvirt's test guests all live in that moment
_HOST_CPUS = 16
_LABEL = b"libvirt-test"  # security label of every running guest


def _invalid(detail: str) -> VirError:
    return report(c.VIR_ERR_INVALID_ARG, c.VIR_FROM_TEST, detail)


class DomainTuning:
    """The domain calls of the test driver that read or set a size or a switch."""

    node: Node

    def _definitions(self, dom: DomainHandle, flags: int) -> list[Definition]:
        """Return the definitions that flags of VIR_DOMAIN_AFFECT_* mean."""
        domain = self.node.find(dom)
        if not flags & (_LIVE | _CONFIG):
            flags |= _LIVE if domain.active else _CONFIG
        if flags & _LIVE and not domain.active:
            raise report(c.VIR_ERR_OPERATION_INVALID, c.VIR_FROM_DOMAIN, "domain is not running")
        if flags & _CONFIG and not domain.persistent:
            raise report(
                c.VIR_ERR_OPERATION_INVALID,
                c.VIR_FROM_DOMAIN,
                "transient domains do not have any persistent config",
            )
        return self._pick(domain, flags)

    @staticmethod
    def _pick(domain: Domain, flags: int) -> list[Definition]:
        chosen = [domain.live] if flags & _LIVE or domain.next_start is None else []
        if flags & _CONFIG and domain.next_start is not None:
            chosen.append(domain.next_start)
        return chosen

    # --- memory (KiB) -----------------------------------------------------------------------------

    def domain_get_max_memory(self, dom: DomainHandle) -> int:
        with self.node.lock:
            return self.node.find(dom).live.max_memory

    def domain_set_max_memory(self, dom: DomainHandle, memory: int) -> None:
        self.domain_set_memory_flags(dom, memory, c.VIR_DOMAIN_MEM_MAXIMUM)

    def domain_set_memory(self, dom: DomainHandle, memory: int) -> None:
        self.domain_set_memory_flags(dom, memory, _LIVE)

    def domain_set_memory_flags(self, dom: DomainHandle, memory: int, flags: int) -> None:
        check_flags("testDomainSetMemoryFlags", flags, _LIVE | _CONFIG | c.VIR_DOMAIN_MEM_MAXIMUM)
        with self.node.lock:
            definitions = self._definitions(dom, flags)
            if flags & c.VIR_DOMAIN_MEM_MAXIMUM:
                if self.node.find(dom).active:
                    raise report(
                        c.VIR_ERR_OPERATION_INVALID,
                        c.VIR_FROM_TEST,
                        "cannot resize the maximum memory on an active domain",
                    )
                for definition in definitions:
                    definition.max_memory = memory
                    definition.memory = min(definition.memory, memory)
                return
            for definition in definitions:
                if memory > definition.max_memory:
                    raise _invalid("cannot set memory higher than max memory")
            for definition in definitions:
                definition.memory = memory

    def domain_memory_stats(
        self, dom: DomainHandle, maxStats: int, flags: int
    ) -> list[tuple[int, int]]:
        check_flags("testDomainMemoryStats", flags, 0)
        with self.node.lock:
            memory = self.node.find_active(dom).live.memory
        stats = [
            (c.VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON, memory),
            (c.VIR_DOMAIN_MEMORY_STAT_SWAP_IN, 0),
            (c.VIR_DOMAIN_MEMORY_STAT_SWAP_OUT, 0),
            (c.VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT, 0),
            (c.VIR_DOMAIN_MEMORY_STAT_MINOR_FAULT, 0),
            (c.VIR_DOMAIN_MEMORY_STAT_UNUSED, memory // 2),
            (c.VIR_DOMAIN_MEMORY_STAT_AVAILABLE, memory),
            (c.VIR_DOMAIN_MEMORY_STAT_USABLE, memory // 2),
            (c.VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE, _GUEST_TIME),
            (c.VIR_DOMAIN_MEMORY_STAT_DISK_CACHES, memory // 8),
            (c.VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGALLOC, 0),
            (c.VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGFAIL, 0),
            (c.VIR_DOMAIN_MEMORY_STAT_RSS, memory // 2),
        ]
        return stats[:maxStats]

    # --- virtual CPUs -----------------------------------------------------------------------------

    def domain_get_max_vcpus(self, dom: DomainHandle) -> int:
        return self.domain_get_vcpus_flags(dom, _LIVE | c.VIR_DOMAIN_VCPU_MAXIMUM)

    def domain_get_vcpus_flags(self, dom: DomainHandle, flags: int) -> int:
        check_flags("testDomainGetVcpusFlags", flags, _LIVE | _CONFIG | c.VIR_DOMAIN_VCPU_MAXIMUM)
        with self.node.lock:
            return self._definitions(dom, flags)[0].vcpus

    def domain_get_vcpus(
        self, dom: DomainHandle, maxinfo: int, maplen: int
    ) -> tuple[list[tuple[int, int, int, int]], bytes]:
        with self.node.lock:
            domain = self.node.find(dom)
            if not domain.active:
                raise report(
                    c.VIR_ERR_OPERATION_INVALID,
                    c.VIR_FROM_TEST,
                    "cannot list vcpus for an inactive domain",
                )
            count = min(domain.live.vcpus, maxinfo)
            started = domain.started_at
        nanoseconds = int(started * 1e8)
        info = [(n, c.VIR_VCPU_RUNNING, nanoseconds, _HOST_CPUS - 1) for n in range(count)]
        one_map = (b"\xff" + b"\0" * maplen)[:maplen]
        return info, one_map * count

    # --- switches and facts -----------------------------------------------------------------------

    def domain_get_autostart(self, dom: DomainHandle) -> int:
        with self.node.lock:
            return int(self.node.find(dom).autostart)

    def domain_set_autostart(self, dom: DomainHandle, autostart: int) -> None:
        with self.node.lock:
            self.node.find(dom).autostart = bool(autostart)

    def domain_get_security_label(self, dom: DomainHandle) -> tuple[bytes, int]:
        with self.node.lock:
            return (_LABEL, 1) if self.node.find(dom).active else (b"", 0)

    def domain_get_hostname(self, dom: DomainHandle, flags: int) -> str:
        check_flags("testDomainGetHostname", flags, 0)
        with self.node.lock:
            return f"{self.node.find_active(dom).live.name}host"

    def domain_get_time(self, dom: DomainHandle, flags: int) -> tuple[int, int]:
        check_flags("testDomainGetTime", flags, 0)
        with self.node.lock:
            if not self.node.find(dom).active:
                raise report(c.VIR_ERR_OPERATION_INVALID, c.VIR_FROM_TEST, "domain is not running")
        return (_GUEST_TIME, 0)

    def domain_get_control_info(self, dom: DomainHandle, flags: int) -> tuple[int, int, int]:
        check_flags("testDomainGetControlInfo", flags, 0)
        with self.node.lock:
            self.node.find_active(dom)
        return (c.VIR_DOMAIN_CONTROL_OK, 0, 0)
