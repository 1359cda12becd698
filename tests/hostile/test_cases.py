# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_cases.py: each scripted lie ends in the error that its file names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.differential.peer import Acting, Peer
from tests.hostile import script

CASES = sorted(Path(__file__).with_name("cases").glob("*.peer"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_case(pair: tuple[Any, Peer], case: Path) -> None:
    client, peer = pair
    lines = script.read(case)
    script.check(lines)
    acting = Acting(script.HostilePeer(peer, lines).play)
    try:
        script.ScriptedClient(client, lines).play()
    finally:
        client.close()
        acting.join()


def test_every_case_says_what_its_peer_does() -> None:
    assert len(CASES) > 60
    for case in CASES:
        assert case.read_text().startswith("# "), case.name
