# SPDX-License-Identifier: LGPL-2.1-or-later
"""calls.py: our client against libvirt-python: same daemon, same interpreter, round by round.

Two worker processes stay connected; each round asks one, then the other. The daemon is the real libvirtd when its
socket answers, and the replay server for decoding.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Result, interleave

ROOT = Path(__file__).resolve().parents[1]
SYSTEM_PYTHON = "/usr/bin/python3"
DAEMON_SOCKET = "/run/libvirt/libvirt-sock"


class Worker:
    """One rival in a process of its own."""

    def __init__(self, uri: str, *, ours: bool, pure: bool = False) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        if ours:
            import _cffi_backend

            # The same interpreter as the rival's, with our modules and this one's cffi run time.
            backend = str(Path(_cffi_backend.__file__).parent)
            environment["PYTHONPATH"] = os.pathsep.join((str(ROOT / "python"), backend))
            environment["LIBVIRTCORE_PURE"] = "1" if pure else "0"
        self._process = subprocess.Popen(
            [SYSTEM_PYTHON, str(ROOT / "benchmarks" / "worker.py"), uri],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        self.pid = self._process.pid
        if self._read() != "ready":
            raise RuntimeError(f"the {'own' if ours else 'real'} worker could not open {uri}")

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def run(self, name: str, count: int) -> tuple[float, float]:
        """Return wall and CPU seconds of one call."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{name} {count}\n")
        self._process.stdin.flush()
        answer = self._read().split()
        if len(answer) != 2:
            raise RuntimeError(f"worker died in {name}")
        return float(answer[0]), float(answer[1])

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def replay_server(domains: int, fields: int) -> Iterator[str]:
    """Start the replay server; yield its URI."""
    with tempfile.TemporaryDirectory(prefix="lvc-") as folder:
        path = f"{folder}/sock"
        environment = dict(os.environ, PYTHONPATH=f"{ROOT / 'python'}{os.pathsep}{ROOT}")
        server = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.replay", path, str(domains), str(fields)],
            stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
        )  # fmt: skip
        try:
            assert server.stdout is not None
            server.stdout.readline()
            yield f"qemu+unix:///system?socket={path}"
        finally:
            server.kill()
            server.wait()


def missing() -> str:
    """Return what the comparison with the real library lacks, or ''."""
    probe = subprocess.run(
        [SYSTEM_PYTHON, "-c", "import libvirt"], capture_output=True, check=False
    )
    return "" if probe.returncode == 0 else "python3-libvirt for the system's Python"


def compare(uri: str, name: str, operation: str, count: int, goals: tuple[str, str]) -> list[Result]:
    """Run one operation in both workers; return wall and CPU results."""
    ours, real = Worker(uri, ours=True), Worker(uri, ours=False)
    cpu: dict[bool, list[float]] = {True: [], False: []}

    def run(worker: Worker, mine: bool) -> float:
        wall, used = worker.run(operation, count)
        cpu[mine].append(used)
        return wall

    try:
        wall = interleave([lambda: run(ours, True), lambda: run(real, False)])
    finally:
        ours.close()
        real.close()
    middle = {mine: sorted(values)[len(values) // 2] for mine, values in cpu.items()}
    return [
        Result(f"{name}, wall", wall[0], wall[1], "libvirt-python", goals[0]),
        Result(f"{name}, client CPU", middle[True], middle[False], "libvirt-python", goals[1]),
    ]


def results() -> list[Result]:
    if reason := missing():
        print(f"calls: {reason} is missing, left out")
        return []
    out: list[Result] = []
    if os.path.exists(DAEMON_SOCKET):
        uri = "test+unix:///default"
        out += compare(uri, "tiny call, real libvirtd", "tiny", 500, ("≤ 0.90", "≤ 0.60"))
        out += compare(uri, "lookup, real libvirtd", "lookup", 300, ("", ""))
        out += compare(uri, "XMLDesc, real libvirtd", "xml", 300, ("", ""))
    else:
        print(f"calls: no daemon at {DAEMON_SOCKET}, the real libvirtd is left out")
    with replay_server(1000, 60) as uri:
        out += compare(uri, "1000 × 60 statistics, replayed", "stats", 1, ("≤ 0.40", "≤ 0.40"))
        out += compare(uri, "list of 1000 domains, replayed", "list", 10, ("", ""))
        out += compare(uri, "tiny call, replayed", "tiny", 500, ("", ""))
    return out
