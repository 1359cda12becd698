# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_virsh.py: the real virsh gets from our daemon what it gets from the real one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.interop_daemon import differences
from tests.interop_daemon.pair import Pair

HERE = Path(__file__).parent
LEAST = 100

# What no two runs have in common: clocks, and numbers of commands.
VOLATILE = (
    (re.compile(r"(CPU time: +)[0-9.]+s"), r"\1#s"),
    (re.compile(r"(Time: )[0-9]+"), r"\1#"),
    (re.compile(r'("id":"libvirt-)[0-9]+'), r"\1#"),
    (re.compile(r"^\d{4}-\d\d-\d\d [0-9:.+]+: ", re.MULTILINE), "DATE: "),
)


def steps() -> list[str]:
    lines = (HERE / "virsh.steps").read_text().splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def played(pair: Pair, line: str) -> tuple[tuple[int, str, str], tuple[int, str, str]]:
    where, _, command = line.partition(" $ ")
    command = command.replace("XML/", f"{HERE}/xml/")
    real, ours = (side.virsh(where.strip(), command) for side in (pair.real, pair.ours))
    return _steady(real), _steady(ours)


def _steady(answer: tuple[int, str, str]) -> tuple[int, str, str]:
    status, out, err = answer
    for pattern, instead in VOLATILE:
        out, err = pattern.sub(instead, out), pattern.sub(instead, err)
    return status, out, err


def test_there_are_enough_steps() -> None:
    assert len(steps()) >= LEAST
    assert len(set(steps())) == len(steps())
    assert set(differences.VIRSH) <= set(steps())


@pytest.mark.parametrize("line", steps())
def test_virsh_gets_the_same_answer(pair: Pair, line: str) -> None:
    real, ours = played(pair, line)
    if line in differences.VIRSH:
        assert real != ours, f"no longer differs: {differences.VIRSH[line]}"
        return
    assert ours == real
