# SPDX-License-Identifier: LGPL-2.1-or-later
"""wire.py: the RPC path against what the machine can do: raw bytes, pipelining, system calls."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.calls import SYSTEM_PYTHON, Worker, replay_server
from benchmarks.measure import Result, interleave
from benchmarks.replay import HEADER, REMOTE, domains, reply_bytes
from libvirtcore.generated.tables import PROGRAMS
from libvirtcore.rpc import pure

ROOT = Path(__file__).resolve().parents[1]
_IS_ACTIVE = next(
    n for n, p in enumerate(PROGRAMS[REMOTE].procedures) if p is not None and p.name == "domain_is_active"
)


def _raw_ping_pong(path: str) -> Callable[[], float]:
    """Send the bytes of a tiny call and receive the bytes of its reply, with nothing around it."""
    procedure = PROGRAMS[REMOTE].procedures[_IS_ACTIVE]
    assert procedure is not None
    payload = pure.encode(procedure.args, (domains(1)[0],))
    call = HEADER.pack(HEADER.size + len(payload), REMOTE, 1, _IS_ACTIVE, 0, 1, 0) + payload
    answer = HEADER.size + len(reply_bytes("domain_is_active", (1,)))
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(path)

    def run(count: int = 500) -> float:
        buffer = bytearray(answer)
        start = time.perf_counter()
        for _ in range(count):
            peer.send(call)
            if peer.recv_into(buffer) != answer:
                raise RuntimeError("short reply from the replay server")
        return (time.perf_counter() - start) / count

    return run


def system_calls(uri: str) -> float | None:
    """Return system calls per tiny call in steady state, counted by strace."""
    if shutil.which("strace") is None:
        print("wire: strace is missing, system calls are not counted")
        return None
    counts = []
    for repeats in (1000, 3000):
        script = (
            "import libvirt, sys\n"
            "d = libvirt.open(sys.argv[1]).listAllDomains()[0]\n"
            f"for _ in range({repeats}): d.isActive()\n"
        )
        environment = dict(os.environ, PYTHONPATH=str(ROOT / "python"))
        traced = subprocess.run(
            ["strace", "-f", "-c", "-o", "/dev/stderr", sys.executable, "-c", script, uri],
            capture_output=True, text=True, check=True, env=environment,
        )  # fmt: skip
        total = next(line for line in reversed(traced.stderr.splitlines()) if "total" in line)
        counts.append(int(total.split()[-2] if total.split()[-2].isdigit() else total.split()[2]))
    return (counts[1] - counts[0]) / 2000


def results() -> list[Result]:
    out: list[Result] = []
    with replay_server(1, 2) as uri:
        path = uri.partition("socket=")[2]
        raw = _raw_ping_pong(path)
        ours = Worker(uri, ours=True)
        pure_worker = Worker(uri, ours=True, pure=True)
        try:
            tiny, floor, slow = interleave(
                [
                    lambda: ours.run("tiny", 500)[0],
                    raw,
                    lambda: pure_worker.run("tiny", 500)[0],
                ]
            )
            sequential, pipelined = interleave(
                [
                    lambda: ours.run("tiny", 500)[0],
                    lambda: ours.run("pipelined", 5)[0] / 100,
                ]
            )
        finally:
            ours.close()
            pure_worker.close()
        out.append(Result("tiny call, replay server", tiny, floor, "raw ping-pong"))
        out.append(Result("tiny call, C core", tiny, slow, "pure core"))
        out.append(Result("pipelined tiny call", pipelined, sequential, "sequential", "≤ 0.50"))
        calls = system_calls(uri)
        if calls is not None:
            out.append(Result("system calls per tiny call", calls, 2.0, "send + receive", "≤ 1.00", ""))
    if os.path.exists("/run/libvirt/libvirt-sock") and os.path.exists(SYSTEM_PYTHON):
        daemon = Worker("test+unix:///default", ours=True)
        try:
            sequential, pipelined = interleave(
                [
                    lambda: daemon.run("tiny", 300)[0],
                    lambda: daemon.run("pipelined", 3)[0] / 100,
                ]
            )
        finally:
            daemon.close()
        out.append(
            Result("pipelined tiny call, real libvirtd", pipelined, sequential, "sequential", "≤ 0.50")
        )
    return out
