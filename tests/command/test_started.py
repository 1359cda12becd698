# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_started.py: the command of a started guest is what the real daemon ran.

started/NAME.xml is a guest's live document (with its <cpu> as defined, for the daemon rewrites
that from what QEMU answers), NAME.argv the command from its log. They show what domxml-to-native
leaves out: descriptors, backing chains, chosen ports, emulators.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from libvirtcore.conf import Domain
from libvirtcore.drivers.qemu import command
from tests.command import support

RECORDS = sorted((Path(__file__).parent / "started").glob("*.argv"))
SECRET = re.compile(r'"(data|iv)":"[^"]*"')


def _plain(words: list[str]) -> list[str]:
    return [SECRET.sub(r'"\1":"…"', word) for word in words]


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_command_of_a_started_guest(record: Path) -> None:
    argv, env = support.split(record.read_text())
    dom = Domain.parse(record.with_suffix(".xml").read_text())
    built = command.build(dom, support.capabilities(), support.started(argv, env))
    assert _plain(built.argv) == _plain(argv)
    assert built.env == env


def test_records_of_started_guests_are_there() -> None:
    assert len(RECORDS) >= 60
