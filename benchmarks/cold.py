# SPDX-License-Identifier: LGPL-2.1-or-later
"""cold.py: from the start of a daemon's process to its first answer about guests.

Both have one guest of QEMU defined, which does not run, and know QEMU's capabilities from an
earlier start; the test driver has its one guest. The question is asked in raw bytes, as soon as
somebody listens, so that no client counts.
Called by: `python -m benchmarks`. Calls: hosts, wire, measure.
"""

from __future__ import annotations

import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.hosts import Pair, lacks, pair
from benchmarks.measure import Result, compare, interleave
from benchmarks.wire import Talk

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 6
_PATIENCE = 20.0


def _first_answer(path: str, uri: str) -> None:
    """Wait until the daemon has said which guests there are."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        try:
            talk = Talk(path)
        except OSError:
            time.sleep(0.0005)
            continue
        with contextlib.closing(talk):
            guests = talk.guests(uri)
        if len(guests) != 1:
            raise RuntimeError(f"the daemon knows {len(guests)} guests, not 1")
        return
    raise RuntimeError(f"nobody listens at {path}")


def _timed(start: Callable[[], object], path: str, stop: Callable[[], object], uri: str) -> float:
    began = time.perf_counter()
    start()
    _first_answer(path, uri)
    took = time.perf_counter() - began
    stop()
    return took


def _measure(two: Pair) -> list[Result]:
    for worker in two.workers(1):
        with worker:
            worker.run("all", 1)
            worker.run("none", 1)
    mine, theirs = two.mine, two.theirs
    mine.stop()
    theirs.stop()
    starts = (
        partial(_timed, partial(mine.start, wait=False), str(mine.socket), mine.stop),
        partial(_timed, theirs.spawn, str(theirs.socket), theirs.stop),
    )
    out = []
    for uri in ("qemu:///system", "test:///default"):
        wall = interleave([partial(start, uri) for start in starts], ROUNDS, 1)
        name = f"cold start to first answer, {uri}"
        out.append(compare(name, wall[0], wall[1], "libvirtd", None, "ms"))
    theirs.start()
    mine.start()
    return out


def results() -> list[Result]:
    if lacks("cold"):
        return []
    with pair() as two:
        return _measure(two)
