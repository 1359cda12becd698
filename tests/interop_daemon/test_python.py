# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_python.py: the real python3-libvirt gets from our daemon what it gets from the real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.compare import compare
from tests.interop.daemon import clients
from tests.interop.oracle import Log, Step, Worker, play, read_script
from tests.interop_daemon import differences
from tests.interop_daemon.pair import Pair, Side

CALLS = Path(__file__).with_name("calls")
SCRIPTS = sorted(path.stem for path in CALLS.glob("*.calls"))
GUEST = Path(__file__).with_name("guest_calls") / "guest.calls"
LEAST = 100


def played(side: Side, steps: list[Step], transport: str, driver: str = "test") -> Log:
    uri, ro_uri = side.uri(driver, transport), side.uri(driver, "ro")
    with Worker(clients()["real"], side.machine) as worker:
        log = play(worker, steps, uri=uri, ro_uri=ro_uri)
    return log


def test_there_are_enough_steps() -> None:
    steps = [step for name in SCRIPTS for step in read_script(CALLS / f"{name}.calls")]
    assert len(steps) >= LEAST


@pytest.mark.parametrize("transport", ["unix", "tcp"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_python_gets_the_same_answers(pair: Pair, name: str, transport: str) -> None:
    agree(pair, name, read_script(CALLS / f"{name}.calls"), transport, "test")


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_python_gets_the_same_answers_of_guests(pair: Pair, transport: str) -> None:
    agree(pair, "guest", read_script(GUEST), transport, "qemu")


def agree(pair: Pair, name: str, steps: list[Step], transport: str, driver: str) -> None:
    """Play steps on both; they must differ where differences.py says, and nowhere else."""
    real, ours = (played(side, steps, transport, driver) for side in (pair.real, pair.ours))
    assert len(ours.steps) == len(steps), f"the client died: {ours.steps[-1]}"
    found = compare(name, _nameless(real, pair.real), _nameless(ours, pair.ours))
    unexpected = [d for d in found if f"{name}: {d.step.source}" not in differences.PYTHON]
    assert not unexpected, "\n".join(str(difference) for difference in unexpected)
    known = {entry for entry in differences.PYTHON if entry.startswith(f"{name}: ")}
    assert known == {f"{name}: {d.step.source}" for d in found}, "some no longer differ"


def _nameless(log: Log, side: Side) -> Log:
    """The log without the places of its daemon, which appear in messages."""
    import dataclasses
    import json

    def clean(value: object) -> object:
        text = json.dumps(value)
        for part in (str(side.socket_ro), str(side.socket)):
            text = text.replace(part, "SOCKET")
        return json.loads(text.replace(f"127.0.0.1:{side.port}", "127.0.0.1:PORT"))

    steps = []
    for step, outcome in log.steps:
        changed = {
            "value": clean(outcome.value),
            "error": clean(outcome.error),
            "stderr": tuple(clean(list(outcome.stderr))),  # type: ignore[arg-type]
        }
        steps.append((step, dataclasses.replace(outcome, **changed)))  # type: ignore[arg-type]
    return Log(log.client, steps)
