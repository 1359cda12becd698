# SPDX-License-Identifier: LGPL-2.1-or-later
"""daemon.py: our daemon against the real one, each with our client and with libvirt-python.

All serve `test:///default` over a unix socket, and all rivals of a row run on the same processors.
Called by: `python -m benchmarks`. Calls: hosts, rivals, echo, placement, measure.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

from benchmarks.echo import Echo
from benchmarks.hosts import our_daemon
from benchmarks.measure import Result, compare, interleave, timed
from benchmarks.placement import Placement, placed, placements, server_pid
from benchmarks.rivals import Worker, daemon, missing
from benchmarks.wire import RawBytes

PAIR = "libvirt-python + libvirtd"
CLIENTS = 16
_GOALS = (("tiny call", "tiny", 0.35), ("lookup", "lookup", 0.5), ("XML", "xml", 0.5))


def pairs(mine: str, theirs: str, place: Placement) -> list[Result]:
    """One operation after the other, through three pairs of client and daemon, and raw bytes."""
    out: list[Result] = []
    with ExitStack() as stack:
        for uri in (mine, theirs):
            stack.enter_context(placed(server_pid(uri), place.server))
        ours = stack.enter_context(Worker(mine, where=place.client))
        mixed = stack.enter_context(Worker(mine, real_one=True, where=place.client))
        real = stack.enter_context(Worker(theirs, real_one=True, where=place.client))
        for title, operation, goal in _GOALS:
            wall = interleave(
                [
                    lambda name=operation: ours.run(name, 100),  # type: ignore[misc]
                    lambda name=operation: mixed.run(name, 100),  # type: ignore[misc]
                    lambda name=operation: real.run(name, 100),  # type: ignore[misc]
                ],
                60,
            )
            where = f"{title}, our daemon {place.name}"
            out.append(compare(f"{where}, our client", wall[0], wall[2], PAIR, goal))
            out.append(compare(f"{where}, libvirt-python", wall[1], wall[2], PAIR, 0.6))
        stack.enter_context(placed(os.getpid(), place.client))
        raw = RawBytes(mine)
        stack.callback(raw.close)
        echo = Echo(*raw.sizes)
        stack.callback(echo.close)
        stack.enter_context(placed(echo.pid, place.server))
        runs = [lambda: ours.run("tiny", 100), timed(echo.one, 100), timed(raw.one, 100)]
        wall = interleave(runs, 60)
        name = f"tiny call, our daemon {place.name}"
        out.append(compare(name, wall[0], wall[1], "raw ping-pong of two processes", 3.0))
        out.append(compare(name, wall[0], wall[2], "raw bytes to our daemon"))
    return out


def hammer(uri: str, *, real_one: bool, seconds: float = 2.0) -> float:
    """Seconds per call when CLIENTS processes call as fast as they can."""
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(uri, real_one=real_one)) for _ in range(CLIENTS)]
        end = time.monotonic() + seconds
        calls = [0] * CLIENTS

        def drive(index: int) -> None:
            while time.monotonic() < end:
                workers[index].run("tiny", 200)
                calls[index] += 200

        start = time.monotonic()
        threads = [threading.Thread(target=drive, args=(i,)) for i in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return (time.monotonic() - start) / sum(calls)


def results() -> list[Result]:
    if lack := missing():
        print(f"daemon: {lack} is missing, the comparison with it is left out")
        return []
    out: list[Result] = []
    with daemon() as theirs, our_daemon() as ours:
        if not theirs:
            return []
        mine = ours.uri("test")
        for place in placements():
            out += pairs(mine, theirs, place)
        runs: list[Callable[[], float]] = [
            lambda: hammer(mine, real_one=False),
            lambda: hammer(theirs, real_one=True),
        ]
        wall = interleave(runs, 3, 0)
        name = f"{CLIENTS} clients at once, time per call"
        out.append(compare(name, wall[0], wall[1], PAIR, 1 / 1.5))
    return out
