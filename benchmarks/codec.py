# SPDX-License-Identifier: LGPL-2.1-or-later
"""codec.py: the C transcoder against the pure-Python one, on the same messages in one process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.measure import Result, interleave
from benchmarks.replay import REMOTE, domains, stats_record
from libvirtcore.generated.tables import PROGRAMS
from libvirtcore.rpc import pure


def _types(name: str) -> tuple[int, int]:
    for procedure in PROGRAMS[REMOTE].procedures:
        if procedure is not None and procedure.name == name:
            return procedure.args, procedure.ret
    raise KeyError(name)


def _timed(call: Callable[[], Any], count: int) -> Callable[[], float]:
    def run() -> float:
        start = time.perf_counter()
        for _ in range(count):
            call()
        return (time.perf_counter() - start) / count

    return run


def results() -> list[Result]:
    try:
        from libvirtcore import codec
    except ImportError:
        print("codec: the C extension is missing, nothing to compare")
        return []
    doms = domains(1000)
    info_ret = _types("domain_get_info")[1]
    list_ret = _types("connect_list_all_domains")[1]
    stats_ret = _types("connect_get_all_domain_stats")[1]
    resume_args = _types("domain_resume")[0]
    tiny = pure.encode(info_ret, (1, 1048576, 1048576, 2, 123456789))
    listing = pure.encode(list_ret, (doms, len(doms)))
    bulk = pure.encode(stats_ret, ([stats_record(dom, 60) for dom in doms],))
    resume = (doms[0],)
    cases: list[tuple[str, str, int, Callable[[Any], Any]]] = [
        ("decode a tiny reply", "", 2000, lambda m: m.decode(info_ret, tiny)),
        ("encode a tiny call", "", 2000, lambda m: m.encode(resume_args, resume)),
        ("decode a list of 1000 domains", "≤ 0.50", 20, lambda m: m.decode(list_ret, listing)),
        ("decode 1000 × 60 statistics", "≤ 0.25", 1, lambda m: m.decode(stats_ret, bulk, True)),
    ]
    out = []
    for name, goal, count, call in cases:
        ours, rival = interleave(
            [
                _timed(lambda call=call: call(codec), count),  # type: ignore[misc]
                _timed(lambda call=call: call(pure), count),  # type: ignore[misc]
            ]
        )
        out.append(Result(name, ours, rival, "pure Python", goal))
    return out
