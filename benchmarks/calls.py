# SPDX-License-Identifier: LGPL-2.1-or-later
"""calls.py: our client against libvirt-python, on the same daemon, round by round.

Both stay connected; each round asks one, then the other. The daemon is a real libvirtd, and the
replay server where the client's own work counts.
Called by: `python -m benchmarks`. Calls: rivals, measure.
"""

from __future__ import annotations

from benchmarks.measure import Result, compare, interleave
from benchmarks.placement import placed, placements, server_pid
from benchmarks.rivals import Worker, daemon, missing, replay_server

RIVAL = "libvirt-python"


def both(
    uri: str,
    title: str,
    operation: str,
    count: int,
    *,
    rounds: int = 100,
    wall_goal: float | None = None,
    cpu_goal: float | None = None,
    unit: str = "µs",
    where: frozenset[int] | None = None,
) -> list[Result]:
    """One operation in both clients: wall time and the client's CPU time."""
    with Worker(uri, where=where) as ours, Worker(uri, real_one=True, where=where) as real:
        runs = [lambda: ours.run(operation, count), lambda: real.run(operation, count)]
        wall = interleave(runs, rounds)
        skip = len(ours.cpu) - rounds
        return [
            compare(f"{title}, wall", wall[0], wall[1], RIVAL, wall_goal, unit),
            compare(f"{title}, CPU", ours.cpu[skip:], real.cpu[skip:], RIVAL, cpu_goal, unit),
        ]


def results() -> list[Result]:
    if lack := missing():
        print(f"calls: {lack} is missing, the comparison with it is left out")
        return []
    out: list[Result] = []
    with daemon() as uri:
        if uri:
            for place in placements():
                with placed(server_pid(uri), place.server):
                    out += both(
                        uri, f"tiny call, libvirtd {place.name}", "tiny", 100,
                        wall_goal=0.9, cpu_goal=0.6, where=place.client,
                    )  # fmt: skip
            out += both(uri, "info, libvirtd", "info", 100)
            out += both(uri, "lookup, libvirtd", "lookup", 100)
            out += both(uri, "XML, libvirtd", "xml", 100)
    with replay_server(1000, 60) as uri:
        out += both(uri, "tiny call, replayed", "tiny", 200)
        out += both(uri, "list of 1000, replayed", "list", 5, rounds=30)
        out += both(
            uri, "statistics 1000 × 60, replayed", "stats", 1, rounds=25,
            wall_goal=0.4, cpu_goal=0.4, unit="ms",
        )  # fmt: skip
    return out
