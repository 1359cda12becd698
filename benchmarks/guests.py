# SPDX-License-Identifier: LGPL-2.1-or-later
"""guests.py: calls that reach QEMU: our client and daemon against libvirt-python and libvirtd.

A guest's start is also compared with the same command line run by nobody: a socket that listens,
`exec`, and QEMU's greeting over it.
Called by: `python -m benchmarks`. Calls: hosts, rivals, placement, measure.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.hosts import MOST_GUESTS, Pair, lacks, pair
from benchmarks.measure import Result, compare, interleave
from benchmarks.placement import Placement, placed, placements, server_pid
from benchmarks.rivals import CallFailed, Worker

PAIR = "libvirt-python + libvirtd"
STARTS = 10
_DISCARD = 2


class Bare:
    """The command line of a running guest, to be run with nothing around it.

    What the guest has in its own folder is copied, so that it may end.
    """

    def __init__(self, pid: int, folder: Path) -> None:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
        self._argv = [os.fsdecode(word) for word in words]
        self._socket = str(folder / "bare.sock")
        folders = re.findall(r"/[^\",]*/domain-\d+-[^/\",]+", " ".join(self._argv))
        for theirs in sorted(set(folders)):
            mine = folder / os.path.basename(theirs)
            shutil.copytree(theirs, mine, ignore=shutil.ignore_patterns("*.sock"))
            self._argv = [word.replace(theirs, str(mine)) for word in self._argv]

    def run(self) -> float:
        """Seconds from `exec` to the greeting."""
        with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as monitor:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._socket)
            listener.bind(self._socket)
            listener.listen(1)
            fd = listener.fileno()
            argv = [re.sub(r"(id=charmonitor,fd=)\d+", rf"\g<1>{fd}", word) for word in self._argv]
            start = time.perf_counter()
            process = subprocess.Popen(
                argv, pass_fds=[fd], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
            try:
                monitor.connect(self._socket)
                listener.close()
                greeting = monitor.recv(4096)
                took = time.perf_counter() - start
            finally:
                process.kill()
                _, said = process.communicate()
        if not greeting.startswith(b'{"QMP"'):
            raise RuntimeError(f"QEMU did not greet: {said.decode(errors='replace')}")
        return took


def starts(two: Pair, ours: Worker, theirs: Worker) -> list[Result]:
    """Start a guest paused, and destroy it."""
    ends: tuple[list[float], list[float]] = ([], [])

    def cycle(index: int) -> float:
        worker = (ours, theirs)[index]
        took = worker.run("start", 1)
        ends[index].append(worker.run("destroy", 1))
        return took

    ours.run("start", 1)
    bare = Bare(two.mine_guests()[0], Path(two.folders[0]))
    ours.run("destroy", 1)
    wall = interleave([lambda: cycle(0), lambda: cycle(1), bare.run], STARTS, _DISCARD)
    mine, real = (times[_DISCARD:] for times in ends)
    name = "start a guest paused"
    return [
        compare(name, wall[0], wall[1], PAIR, 0.4, "ms"),
        compare(name, wall[0], wall[2], "exec + QMP greeting", 2.5, "ms"),
        compare("destroy a guest", mine, real, PAIR, 0.1, "ms"),
    ]


_CALLS = (
    ("suspend", "suspend", 5, 24),
    ("resume", "resume", 5, 24),
    ("memoryStats", "memory", 20, 24),
    (f"statistics of {MOST_GUESTS} guests", "stats", 1, 8),
)


def calls(two: Pair, ours: Worker, theirs: Worker, place: Placement) -> list[Result]:
    """Calls that QEMU answers, with client and daemon where `place` says."""
    out: list[Result] = []
    with ExitStack() as stack:
        for uri in two.uris("qemu"):
            stack.enter_context(placed(server_pid(uri), place.server))
        for worker in (ours, theirs):
            stack.enter_context(placed(worker.pid, place.client))
        for title, operation, count, rounds in _CALLS:
            runs = [partial(worker.run, operation, count) for worker in (ours, theirs)]
            try:
                wall = interleave(runs, rounds)
            except CallFailed as fault:
                print(f"guests: {title} is left out: {fault}")
                continue
            out.append(compare(f"{title} {place.name}", wall[0], wall[1], PAIR, 0.5))
    return out


def results() -> list[Result]:
    if lacks("guests"):
        return []
    with pair() as two, ExitStack() as stack:
        ours, theirs = (stack.enter_context(worker) for worker in two.workers(MOST_GUESTS))
        out = starts(two, ours, theirs)
        for worker in (ours, theirs):
            worker.run("all", 1)
        for place in placements():
            out += calls(two, ours, theirs, place)
        for worker in (ours, theirs):
            worker.run("none", 1)
        return out
