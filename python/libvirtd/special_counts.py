# SPDX-License-Identifier: LGPL-2.1-or-later
"""special_counts.py: calls whose client chooses how large the answer is, within bounds.

Called by: dispatch.py, as functions of (session, args, worker).
Calls: the API layer, then the driver.
Never: has a driver make room for more than the protocol carries.
"""

from __future__ import annotations

from libvirtcore.api.call import admit
from libvirtcore.api.serving import (
    check_count,
    check_names,
    check_params,
    refuse,
    refuse_message,
    sent_params,
)
from libvirtcore.drivers.wire import STRINGS
from libvirtcore.errors import invalid_argument
from libvirtcore.generated import api_table as row
from libvirtcore.generated import limits
from libvirtcore.handles import DomainHandle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from libvirtcore.api.call import Row
    from libvirtcore.errors import VirError
    from libvirtd.session import Session


def _missing(facts: Row, argument: str) -> VirError:
    message = f"{argument} in {facts.name} must not be NULL"
    return invalid_argument(facts.name, argument, message, facts.domain)


# --- bitmaps of CPUs --------------------------------------------------------------------------


def _check_maps(count: int, length: int, name: str) -> None:
    check_count(count, limits.REMOTE_VCPUINFO_MAX, f"{name} > REMOTE_VCPUINFO_MAX")
    if count < 0:
        raise refuse(f"{name} must be non-negative")
    if length < 0:
        raise refuse("maplen must be non-negative")
    check_count(count * length, limits.REMOTE_CPUMAPS_MAX, "maxinfo * maplen > REMOTE_CPUMAPS_MAX")


def domain_get_vcpus(session: Session, args: Any, _worker: Any) -> Any:
    dom, maxinfo, maplen = args
    facts = row.virDomainGetVcpus
    _check_maps(maxinfo, maplen, "maxinfo")
    dom = DomainHandle(session.conn, *dom)
    driver = admit(facts, dom, (maxinfo, maplen))
    if maxinfo == 0:
        raise _missing(facts, "info")
    info, maps = driver.domain_get_vcpus(dom, maxinfo, maplen)
    return info[:maxinfo], maps[: maxinfo * maplen]


def domain_get_vcpu_pin_info(session: Session, args: Any, _worker: Any) -> Any:
    dom, ncpumaps, maplen, flags = args
    _check_maps(ncpumaps, maplen, "ncpumaps")
    dom = DomainHandle(session.conn, *dom)
    driver = admit(row.virDomainGetVcpuPinInfo, dom, (ncpumaps, maplen, flags))
    return driver.domain_get_vcpu_pin_info(dom, ncpumaps, maplen, flags)


def domain_get_emulator_pin_info(session: Session, args: Any, _worker: Any) -> Any:
    dom, maplen, flags = args
    if not 0 <= maplen <= limits.REMOTE_CPUMAPS_MAX:
        raise refuse_message("Unable to encode message payload")
    dom = DomainHandle(session.conn, *dom)
    driver = admit(row.virDomainGetEmulatorPinInfo, dom, (maplen, flags))
    return driver.domain_get_emulator_pin_info(dom, maplen, flags)


# --- statistics: with no room the answer is how much it takes ---------------------------------


def node_get_cpu_stats(session: Session, args: Any, _worker: Any) -> Any:
    cpu, nparams, flags = args
    check_params(nparams, limits.REMOTE_NODE_CPU_STATS_MAX, None)
    driver = admit(row.virNodeGetCPUStats, session.conn, (cpu, nparams, flags))
    params, count = driver.node_get_cpu_stats(cpu, nparams, flags)
    return ([], count) if nparams == 0 else (params[:nparams], 0)


def node_get_memory_stats(session: Session, args: Any, _worker: Any) -> Any:
    nparams, cell, flags = args
    check_params(nparams, limits.REMOTE_NODE_MEMORY_STATS_MAX, None)
    driver = admit(row.virNodeGetMemoryStats, session.conn, (nparams, cell, flags))
    params, count = driver.node_get_memory_stats(nparams, cell, flags)
    return ([], count) if nparams == 0 else (params[:nparams], 0)


def domain_get_cpu_stats(session: Session, args: Any, _worker: Any) -> Any:
    dom, nparams, start_cpu, ncpus, flags = args
    check_count(nparams, limits.REMOTE_NODE_CPU_STATS_MAX, "nparams too large")
    check_count(ncpus, limits.REMOTE_DOMAIN_GET_CPU_STATS_NCPUS_MAX, "ncpus too large")
    asked = flags & ~STRINGS
    dom = DomainHandle(session.conn, *dom)
    driver = admit(row.virDomainGetCPUStats, dom, (nparams, start_cpu, ncpus, asked))
    params, count = driver.domain_get_cpu_stats(dom, nparams, start_cpu, ncpus, asked)
    return sent_params(params, limits.REMOTE_DOMAIN_GET_CPU_STATS_MAX, flags), count


# --- memory of the host -----------------------------------------------------------------------


def node_get_cells_free_memory(session: Session, args: Any, _worker: Any) -> Any:
    start, count = args
    facts = row.virNodeGetCellsFreeMemory
    check_names(count, limits.REMOTE_NODE_MAX_CELLS, "maxcells", "REMOTE_NODE_MAX_CELLS")
    driver = admit(facts, session.conn, (start, count))
    if count == 0:
        message = f"maxCells in {facts.name} must be greater than zero"
        raise invalid_argument(facts.name, "maxCells", message, facts.domain)
    return (driver.node_get_cells_free_memory(start, count)[:count],)


def node_get_free_pages(session: Session, args: Any, _worker: Any) -> Any:
    pages, start, count, flags = args
    facts = row.virNodeGetFreePages
    check_count(
        len(pages) * count,
        limits.REMOTE_NODE_MAX_CELLS,
        "the result won't fit into REMOTE_NODE_MAX_CELLS",
    )
    driver = admit(facts, session.conn, (pages, start, count, flags))
    if not pages:
        message = f"npages in {facts.name} must not be zero"
        raise invalid_argument(facts.name, "npages", message, facts.domain)
    return (driver.node_get_free_pages(pages, start, count, flags),)


# --- memory and disks of a guest --------------------------------------------------------------


def domain_block_peek(session: Session, args: Any, _worker: Any) -> Any:
    dom, disk, offset, size, flags = args
    limit = limits.REMOTE_DOMAIN_BLOCK_PEEK_BUFFER_MAX
    check_count(size, limit, "size > maximum buffer size")
    dom = DomainHandle(session.conn, *dom)
    driver = admit(row.virDomainBlockPeek, dom, (disk, offset, size, flags))
    return (driver.domain_block_peek(dom, disk, offset, size, flags)[:size],)


def domain_memory_peek(session: Session, args: Any, _worker: Any) -> Any:
    dom, start, size, flags = args
    limit = limits.REMOTE_DOMAIN_MEMORY_PEEK_BUFFER_MAX
    check_count(size, limit, "size > maximum buffer size")
    dom = DomainHandle(session.conn, *dom)
    driver = admit(row.virDomainMemoryPeek, dom, (start, size, flags))
    return (driver.domain_memory_peek(dom, start, size, flags)[:size],)
