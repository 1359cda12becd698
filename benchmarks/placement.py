# SPDX-License-Identifier: LGPL-2.1-or-later
"""placement.py: which processor the two ends of a connection run on.

Where the kernel puts client and daemon decides more about a call of some tens of microseconds than
what they do: on one processor they hand over to each other, on two each wakes the other out of its
sleep. Left to itself the placement changes from run to run, so what depends on it is measured
in both, all rivals alike.
Called by: calls, wire. Calls: the operating system.
Never: leaves a process other than its own workers where it put it.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Placement:
    """Processors for the client and for the server; `name` is part of a benchmark's."""

    name: str
    client: frozenset[int]
    server: frozenset[int]


def placements() -> list[Placement]:
    """Both ends together, and apart where there are two processors."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    mine = sorted(os.sched_getaffinity(0))
    one, other = frozenset(mine[-1:]), frozenset(mine[:1])
    together = [Placement("on one processor", one, one)]
    return together + ([Placement("on two processors", one, other)] if one != other else [])


def server_pid(uri: str) -> int:
    """The process that listens at the end of a URI with `socket=`."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(uri.partition("socket=")[2])
        peer = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", peer)[0])


@contextmanager
def placed(pid: int, where: frozenset[int]) -> Iterator[None]:
    """All threads of a process on these processors, for a while."""
    before = os.sched_getaffinity(pid)
    _place(pid, where)
    try:
        yield
    finally:
        _place(pid, before)


def _place(pid: int, where: frozenset[int] | set[int]) -> None:
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            os.sched_setaffinity(int(thread), where)
        except ProcessLookupError:
            pass  # that thread has ended
