# SPDX-License-Identifier: LGPL-2.1-or-later
"""wire.py: a call against what the machine can do: the same bytes raw, calls in a row, system calls.

Called by: `python -m benchmarks`. Calls: rivals, measure.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess

from benchmarks.measure import Result, compare, interleave, timed
from benchmarks.replay import HEADER, REMOTE, domains, number_of, procedure, reply_bytes
from benchmarks.rivals import Worker, daemon, ours, replay_server
from benchmarks.worker import IN_PIPELINE
from libvirtcore.rpc import pure


class RawPingPong:
    """The bytes of a tiny call out, those of its reply in, and nothing around them."""

    def __init__(self, path: str) -> None:
        payload = pure.encode(procedure("domain_is_active").args, (domains(1)[0],))
        length = HEADER.size + len(payload)
        number = number_of("domain_is_active")
        self._call = HEADER.pack(length, REMOTE, 1, number, 0, 1, 0) + payload
        self._answer = HEADER.size + len(reply_bytes("domain_is_active", (1,)))
        self._peer = socket.socket(socket.AF_UNIX)
        self._peer.connect(path)

    def __call__(self) -> None:
        self._peer.send(self._call)
        if len(self._peer.recv(65536)) != self._answer:
            raise RuntimeError("a short reply from the replay server")

    def close(self) -> None:
        self._peer.close()


_CALLS = "import libvirt, sys; call = libvirt.open(sys.argv[1]).listAllDomains()[0].isActive\n"


def system_calls(uri: str) -> float | None:
    """System calls per tiny call once all is warm; None without strace."""
    if shutil.which("strace") is None:
        print("wire: strace is missing, system calls are not counted")
        return None
    totals = []
    for repeats in (500, 2500):
        command, environment = ours("-c", f"{_CALLS}for _ in range({repeats}): call()", uri)
        traced = subprocess.run(
            ["strace", "-f", "-c", "-U", "calls,name", *command],
            capture_output=True, text=True, check=True, env=environment,
        )  # fmt: skip
        total = re.search(r"^\s*(\d+)\s+total$", traced.stderr, re.MULTILINE)
        if total is None:
            print("wire: strace does not count here, system calls are left out")
            return None
        totals.append(int(total.group(1)))
    return (totals[1] - totals[0]) / 2000


def pipelining(uri: str, where: str) -> Result:
    """Tiny calls in pipelines against the same one after another, by one client."""
    with Worker(uri) as worker:
        many, single = interleave(
            [
                lambda: worker.run("pipelined", 3) / IN_PIPELINE,
                lambda: worker.run("tiny", 3 * IN_PIPELINE),
            ]
        )
    return compare(f"pipelined tiny call, {where}", many, single, "one by one", 0.5)


def results() -> list[Result]:
    out: list[Result] = []
    with replay_server(1, 2) as uri:
        raw = RawPingPong(uri.partition("socket=")[2])
        with Worker(uri) as c_core, Worker(uri, pure=True) as pure_core:
            tiny, floor, slow = interleave(
                [
                    lambda: c_core.run("tiny", 400),
                    timed(raw, 400),
                    lambda: pure_core.run("tiny", 400),
                ]
            )
        raw.close()
        out.append(compare("tiny call, replayed", tiny, floor, "raw ping-pong"))
        out.append(compare("tiny call, replayed", tiny, slow, "pure core"))
        out.append(pipelining(uri, "replayed"))
        count = system_calls(uri)
        if count is not None:
            name = "system calls of a tiny call"
            out.append(Result(name, count, 2.0, count / 2.0, "send + receive", 1.0, ""))
    with daemon() as uri:
        if uri:
            out.append(pipelining(uri, "libvirtd"))
    return out


