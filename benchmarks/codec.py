# SPDX-License-Identifier: LGPL-2.1-or-later
"""codec.py: the C transcoder against the pure-Python one, on the same messages, in one process.

Called by: `python -m benchmarks`. Calls: libvirtcore.codec, libvirtcore.rpc.pure, measure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.measure import Result, compare, interleave, timed
from benchmarks.replay import domains, procedure, reply_bytes, stats_record
from libvirtcore.rpc import pure


def results(rounds: int = 25) -> list[Result]:
    try:
        from libvirtcore import codec
    except ImportError:
        print("codec: the C core is not built, there is nothing to compare")
        return []
    doms = domains(1000)
    info_ret = procedure("domain_get_info").ret
    list_ret = procedure("connect_list_all_domains").ret
    stats_ret = procedure("connect_get_all_domain_stats").ret
    resume_args = procedure("domain_resume").args
    tiny = reply_bytes("domain_get_info", (1, 1048576, 1048576, 2, 123456789))
    listing = reply_bytes("connect_list_all_domains", (doms, len(doms)))
    records = [stats_record(dom, 60) for dom in doms]
    bulk = reply_bytes("connect_get_all_domain_stats", (records,))
    cases: list[tuple[str, float | None, int, Callable[[Any], Any]]] = [
        ("encode a tiny call", None, 2000, lambda m: m.encode(resume_args, (doms[0],))),
        ("decode a tiny reply", None, 2000, lambda m: m.decode(info_ret, tiny)),
        ("decode a list of 1000 domains", 0.5, 10, lambda m: m.decode(list_ret, listing)),
        ("decode statistics 1000 × 60", 0.25, 1, lambda m: m.decode(stats_ret, bulk, True)),
    ]
    out = []
    for name, goal, count, call in cases:

        def run(module: Any, call: Callable[[Any], Any] = call) -> Callable[[], Any]:
            return lambda: call(module)

        ours, rival = interleave([timed(run(codec), count), timed(run(pure), count)], rounds)
        out.append(compare(name, ours, rival, "pure Python", goal))
    return out
