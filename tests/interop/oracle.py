# SPDX-License-Identifier: LGPL-2.1-or-later
"""oracle.py: the parent's half of worker.py, and the reading of call scripts.

A script is a file of plain Python statements, `calls/<driver>/<name>.calls`. Every top-level
statement is one step; a comment `#~ …` on its last line says how its value is compared (see
compare.py). `Worker` runs steps with one implementation of libvirt inside one machine.
Called by: the tests, sweep.py, play.py.
"""

from __future__ import annotations

import ast
import contextlib
import json
import selectors
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.interop.daemon import Client, Daemon
from tests.interop.machine import Machine

WORKER = Path(__file__).with_name("worker.py")
CALLS = Path(__file__).with_name("calls")
DRIVERS = ("test", "qemu", "lxc")
STEP_DEADLINE = 60.0


@dataclass(frozen=True)
class Step:
    """One statement of a script."""

    line: int
    source: str
    marker: str = "exact"
    why: str = ""

    def __str__(self) -> str:
        return f"{self.line}: {self.source}"


@dataclass(frozen=True)
class Outcome:
    """What one statement gave: a value or an error, and what was printed meanwhile."""

    value: Any = None
    error: Mapping[str, Any] | None = None
    stderr: tuple[str, ...] = ()
    apis: tuple[str, ...] = ()
    trace: str = ""
    seconds: float = 0.0


@dataclass
class Log:
    """A script as one implementation played it."""

    client: str
    steps: list[tuple[Step, Outcome]] = field(default_factory=list)

    def apis(self) -> tuple[set[str], set[str]]:
        """All APIs called, and those of them that succeeded at least once."""
        called: set[str] = set()
        succeeded: set[str] = set()
        for _, outcome in self.steps:
            called.update(outcome.apis)
            if outcome.error is None:
                succeeded.update(outcome.apis)
        return called, succeeded


class WorkerDied(Exception):
    """The worker ended or fell silent in the middle of a step."""


class Worker:
    """A Python with one implementation of libvirt, on one machine."""

    def __init__(self, client: Client, machine: Machine, *, mounts: bool = False) -> None:
        self.client = client
        self._root = str(machine.root)
        self._process = machine.popen(
            client.command("-u", str(WORKER)),
            mounts=mounts,
            env=client.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._partial = b""

    def ask(self, request: Mapping[str, Any], seconds: float = STEP_DEADLINE) -> dict[str, Any]:
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            raise WorkerDied(f"{self.client.name}: the worker is gone") from None
        answer: dict[str, Any] = json.loads(self._read_line(seconds).replace(self._root, "ROOT"))
        return answer

    def _read_line(self, seconds: float) -> str:
        stdout = self._process.stdout
        assert stdout is not None
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while b"\n" not in self._partial:
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise WorkerDied(f"{self.client.name}: no answer within {seconds} s")
                chunk = stdout.read1(1 << 20)  # type: ignore[attr-defined]
                if not chunk:
                    code = self._process.wait()
                    raise WorkerDied(f"{self.client.name}: ended with status {code}")
                self._partial += chunk
        line, _, self._partial = self._partial.partition(b"\n")
        return line.decode()

    def let(self, **names: str) -> None:
        self.ask({"do": "let", "names": names})

    def describe(self) -> dict[str, dict[str, list[str]]]:
        classes: dict[str, dict[str, list[str]]] = self.ask({"do": "describe"})["classes"]
        return classes

    def step(self, step: Step) -> Outcome:
        answer = self.ask({"do": "step", "source": step.source})
        return Outcome(
            answer.get("value"),
            answer.get("error"),
            tuple(answer["stderr"]),
            tuple(answer["apis"]),
            answer.get("trace", ""),
            answer["seconds"],
        )

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_script(path: Path) -> list[Step]:
    """The steps of a .calls file."""
    text = path.read_text()
    lines = text.splitlines()
    steps = []
    for node in ast.parse(text, str(path)).body:
        source = ast.get_source_segment(text, node)
        assert source is not None and node.end_lineno is not None
        _, _, comment = lines[node.end_lineno - 1].partition("#~")
        marker, _, why = comment.strip().partition(" ")
        steps.append(Step(node.lineno, source, marker or "exact", why.strip("- ")))
    return steps


def scripts(driver: str) -> list[Path]:
    return sorted((CALLS / driver).glob("*.calls"))


def play(worker: Worker, steps: Iterable[Step], **names: str) -> Log:
    """Run all steps; a dead worker ends the log with an error of type WorkerDied."""
    log = Log(worker.client.name)
    worker.let(**names)
    for step in steps:
        try:
            outcome = worker.step(step)
        except WorkerDied as death:
            outcome = Outcome(error={"type": "WorkerDied", "text": str(death)})
            log.steps.append((step, outcome))
            break
        log.steps.append((step, outcome))
    return log


def play_on(
    daemon: Daemon, client: Client, steps: Iterable[Step], driver: str, transport: str
) -> Log:
    """Play a script on a daemon; `uri` and `ro_uri` are what its steps connect to."""
    uri = daemon.uri(driver, transport)
    ro_uri = uri.replace(str(daemon.socket), str(daemon.socket_ro))
    with Worker(client, daemon.machine) as worker:
        return play(worker, steps, uri=uri, ro_uri=ro_uri)
