# SPDX-License-Identifier: LGPL-2.1-or-later
"""host.py: the door's functions about the host: its memory pages, statistics, devices.

Called by: libvirtmod.
Never: knows what a page size or a statistic is good for.
"""

from __future__ import annotations

from libvirtcore.api import args as arg
from libvirtcore.api import shapes
from libvirtcore.api.call import run
from libvirtcore.errors import VirError, invalid_argument, set_last_error
from libvirtcore.generated import api_table as row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "virNodeAllocPages",
    "virNodeDeviceGetParent",
    "virNodeGetCPUStats",
    "virNodeGetFreePages",
    "virNodeGetMemoryStats",
]


def _free_pages(driver: Any, _conn: Any, pages: list[int], start: int, *rest: int) -> Any:
    if not pages:
        facts = row.virNodeGetFreePages
        message = f"npages in {facts.name} must not be zero"
        raise invalid_argument(facts.name, "npages", message, facts.domain)
    counts = driver.node_get_free_pages(pages, start, *rest)
    return {
        start + cell: dict(zip(pages, counts[at : at + len(pages)], strict=False))
        for cell, at in enumerate(range(0, len(counts), len(pages)))
    }


def virNodeGetFreePages(
    connect: Any, pages: Any, startCell: Any, maxCells: Any, flags: Any, /
) -> Any:
    if not isinstance(pages, list):
        raise TypeError("pagesize must be list")
    return run(
        row.virNodeGetFreePages,
        _free_pages,
        connect,
        [arg.u32(size) for size in pages],
        arg.i32(startCell),
        arg.u32(maxCells),
        arg.u32(flags),
    )


def _alloc_pages(driver: Any, _conn: Any, pages: dict[int, int], *rest: int) -> Any:
    return driver.node_alloc_pages(list(pages), list(pages.values()), *rest)


def virNodeAllocPages(
    connect: Any, pages: Any, startCell: Any, cellCount: Any, flags: Any, /
) -> Any:
    if not isinstance(pages, dict):
        raise TypeError(f"pages must be dict, not {type(pages).__name__}")
    if not pages:
        raise LookupError("Need non-empty dictionary to pages attribute")
    return run(
        row.virNodeAllocPages,
        _alloc_pages,
        connect,
        {arg.u32(size): arg.u64(count) for size, count in pages.items()},
        arg.i32(startCell),
        arg.u32(cellCount),
        arg.u32(flags),
    )


# --- statistics: a daemon answers only who asks for exactly as many as there are ------------------


def _cpu_stats(driver: Any, _conn: Any, cpu: int, nparams: int, flags: int) -> dict[str, int]:
    _none, count = driver.node_get_cpu_stats(cpu, nparams, flags)
    return shapes.stats(driver.node_get_cpu_stats(cpu, count, flags)) if count else {}


def virNodeGetCPUStats(connect: Any, cpuNum: Any, flags: Any, /) -> Any:
    return run(row.virNodeGetCPUStats, _cpu_stats, connect, arg.i32(cpuNum), 0, arg.u32(flags))


def _memory_stats(driver: Any, _conn: Any, nparams: int, cell: int, flags: int) -> dict[str, int]:
    _none, count = driver.node_get_memory_stats(nparams, cell, flags)
    return shapes.stats(driver.node_get_memory_stats(count, cell, flags)) if count else {}


def virNodeGetMemoryStats(connect: Any, cellNum: Any, flags: Any, /) -> Any:
    cell = arg.i32(cellNum)
    return run(row.virNodeGetMemoryStats, _memory_stats, connect, 0, cell, arg.u32(flags))


# --- devices --------------------------------------------------------------------------------------


def _parent(driver: Any, dev: Any) -> Any:
    if dev.parent is None:
        try:
            dev.parent = driver.node_device_get_parent(dev)
        except VirError as error:
            set_last_error(error)  # None means no parent to most callers: nothing is shown
    return dev.parent


def virNodeDeviceGetParent(dev: Any, /) -> Any:
    """Asked once: a device does not change its parent."""
    return run(row.virNodeDeviceGetParent, _parent, dev)
