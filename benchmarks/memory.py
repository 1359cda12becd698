# SPDX-License-Identifier: LGPL-2.1-or-later
"""memory.py: resident memory of our daemon and the real one: at start, with clients, with guests.

The same clients are connected to both: libvirt-python's, in one process, idle after `open`.
Called by: `python -m benchmarks`. Calls: hosts, rivals.
Never: counts the guests' own memory; QEMU's is the same.
"""

from __future__ import annotations

import subprocess
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from benchmarks.hosts import MOST_GUESTS, lacks, pair
from benchmarks.measure import Result
from benchmarks.placement import server_pid
from benchmarks.rivals import real

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS = 100
_OPEN = (
    "import libvirt, sys\n"
    "kept = [libvirt.open(sys.argv[1]) for _ in range(int(sys.argv[2]))]\n"
    "print('ready', flush=True)\n"
    "sys.stdin.read()\n"
)


def resident(pid: int) -> float:
    """Bytes of a process that are in memory."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("VmRSS:"))
    return float(line.split()[1]) * 1024


@contextmanager
def idle_clients(uri: str, count: int) -> Iterator[None]:
    """So many connections from one process that asks nothing."""
    command, environment = real("-c", _OPEN, uri, str(count))
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"{count} clients could not connect to {uri}")
        try:
            yield
        finally:
            process.stdin.close()


def results() -> list[Result]:
    if lacks("memory"):
        return []
    out: list[Result] = []
    with pair() as two, ExitStack() as stack:
        uris = two.uris("qemu")
        pids = [server_pid(uri) for uri in uris]

        def look(name: str) -> None:
            mine, real_one = (resident(pid) for pid in pids)
            ratio = mine / real_one
            out.append(Result(f"memory {name}", mine, real_one, ratio, "libvirtd", None, "MiB"))

        look("at start")
        with ExitStack() as clients:
            for uri in uris:
                clients.enter_context(idle_clients(uri, CLIENTS))
            look(f"with {CLIENTS} idle clients")
        workers = [stack.enter_context(worker) for worker in two.workers(MOST_GUESTS)]
        for worker in workers:
            worker.run("all", 1)
        look(f"with {MOST_GUESTS} guests")
        for worker in workers:
            worker.run("none", 1)
    return out
