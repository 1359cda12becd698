# SPDX-License-Identifier: LGPL-2.1-or-later
"""worker.py: one client's calls, in a process of its own.

Run as a script, by any Python with any `libvirt` on its path. Reads lines `NAME COUNT`, answers
each with the wall and the CPU seconds of one call.
Called by: rivals.Worker. Never: imports anything of ours but `libvirt`.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from typing import Any

import libvirt

IN_PIPELINE = 100
_GUEST = """
<domain type='test'>
  <name>grown-{number}</name>
  <memory unit='KiB'>65536</memory>
  <vcpu>1</vcpu>
  <os><type>hvm</type></os>
</domain>
"""


def operations(uri: str) -> dict[str, Callable[[], Any]]:
    """What can be measured on a connection to `uri`."""
    conn = libvirt.open(uri)
    dom = conn.listAllDomains()[0]
    name = dom.name()

    def pipelined() -> None:
        with conn.pipeline() as pipeline:
            for _ in range(IN_PIPELINE):
                pipeline.call(dom.isActive)

    def grow(size: int) -> None:
        for number in range(len(conn.listAllDomains()), size):
            conn.defineXML(_GUEST.format(number=number))

    return {
        "grow-10": lambda: grow(10),
        "grow-100": lambda: grow(100),
        "grow-1000": lambda: grow(1000),
        "infos": lambda: [guest.info() for guest in conn.listAllDomains()],
        "tiny": dom.isActive,
        "info": dom.info,
        "xml": dom.XMLDesc,
        "lookup": lambda: conn.lookupByName(name),
        "list": conn.listAllDomains,
        "stats": conn.getAllDomainStats,
        "pipelined": pipelined,
    }


def main(uri: str) -> None:
    table = operations(uri)
    print("ready", flush=True)
    for line in sys.stdin:
        name, count = line.split()
        call, repeats = table[name], range(int(count))
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in repeats:
            call()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(wall / len(repeats), cpu / len(repeats), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
