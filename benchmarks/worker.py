# SPDX-License-Identifier: LGPL-2.1-or-later
"""worker.py: run one rival's calls in a process of its own.

Started as a script by measure's callers with any Python and any `libvirt` on the path. Reads lines
`NAME COUNT` from standard input, answers `wall cpu` in seconds per operation.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import libvirt


def operations(uri: str) -> dict[str, Callable[[], Any]]:
    """Return what can be measured on a connection to `uri`."""
    libvirt.registerErrorHandler(lambda _ctx, _err: None, None)
    conn = libvirt.open(uri)
    first = conn.listAllDomains()[:1]
    table: dict[str, Callable[[], Any]] = {
        "tiny": conn.getFreeMemory if not first else first[0].isActive,
        "list": conn.listAllDomains,
        "stats": conn.getAllDomainStats,
    }
    if first:
        dom = first[0]
        name = dom.name()
        table["info"] = dom.info
        table["xml"] = dom.XMLDesc
        table["lookup"] = lambda: conn.lookupByName(name)
    if hasattr(conn, "pipeline") and first:
        table["pipelined"] = lambda: pipelined(conn, first[0])
    return table


def pipelined(conn: Any, dom: Any) -> None:
    """One hundred tiny calls in one pipeline (divide the time by 100)."""
    with conn.pipeline() as p:
        for _ in range(100):
            p.call(dom.isActive)


def main(uri: str) -> None:
    table = operations(uri)
    print("ready", flush=True)
    for line in sys.stdin:
        name, count = line.split()
        run, repeats = table[name], int(count)
        run()
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(repeats):
            run()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(wall / repeats, cpu / repeats, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
