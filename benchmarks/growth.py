# SPDX-License-Identifier: LGPL-2.1-or-later
"""growth.py: how times grow with guests (of the test driver) and with clients that are connected.

Our client on our daemon against libvirt-python on the real one; every figure is a point of a curve.
Called by: `python -m benchmarks`. Calls: hosts, rivals, memory (idle clients), measure.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from benchmarks.hosts import Pair, lacks, pair
from benchmarks.measure import Result, compare, interleave
from benchmarks.memory import idle_clients
from benchmarks.rivals import Worker

PAIR = "libvirt-python + libvirtd"
GUESTS = (10, 100, 1000)
CLIENTS = (1, 10, 100, 1000)
_ROUNDS = 9
# What is done, its name, how often in a round, and in which unit it is told.
_OPERATIONS = (
    ("look up one of so many guests", "lookup", 40, "µs"),
    ("list so many guests", "list", 2, "ms"),
    ("info of each of so many guests", "infos", 1, "ms"),
)


def with_guests(two: Pair) -> list[Result]:
    """Calls to a test driver that has more and more guests."""
    out: list[Result] = []
    with ExitStack() as stack:
        mine, theirs = two.uris("test")
        workers = (
            stack.enter_context(Worker(mine)),
            stack.enter_context(Worker(theirs, real_one=True)),
        )
        for size in GUESTS:
            for worker in workers:
                worker.run(f"grow-{size}", 1)
            for name, operation, count, unit in _OPERATIONS:
                runs = [partial(worker.run, operation, count) for worker in workers]
                wall = interleave(runs, _ROUNDS)
                out.append(compare(name, wall[0], wall[1], PAIR, None, unit, size))
    return out


def with_clients(two: Pair) -> list[Result]:
    """A tiny call while more and more clients are connected and ask nothing."""
    out: list[Result] = []
    with ExitStack() as stack:
        mine, theirs = two.uris("test")
        there = 0
        workers = (
            stack.enter_context(Worker(mine)),
            stack.enter_context(Worker(theirs, real_one=True)),
        )
        for size in CLIENTS:
            for uri in (mine, theirs):
                if size - 1 > there:
                    stack.enter_context(idle_clients(uri, size - 1 - there))
            there = size - 1
            runs = [partial(worker.run, "tiny", 100) for worker in workers]
            wall = interleave(runs, 2 * _ROUNDS)
            name = "a tiny call with so many clients"
            out.append(compare(name, wall[0], wall[1], PAIR, None, "µs", size))
    return out


def results() -> list[Result]:
    if lacks("growth", qemu=False):
        return []
    with pair(max_clients=2000) as two:
        return with_guests(two) + with_clients(two)
