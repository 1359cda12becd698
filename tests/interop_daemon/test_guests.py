# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_guests.py: real guests live the same life on our daemon and on the real one.

Every line of guests.steps is played by Debian's virsh on both. What ours does not know at all is in
`guest_differences.LACKING` and listed at the end of the run; any other difference needs a reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop_daemon import guest_differences, guest_files
from tests.interop_daemon.pair import Pair, Side

HERE = Path(__file__).parent
LEAST = 220
SECONDS = 20
NO_SUPPORT = "this function is not supported by the connection driver"

# What no two runs have in common: clocks, counters, terminals, what QEMU occupies.
VOLATILE = tuple(
    (re.compile(pattern, re.MULTILINE), instead)
    for pattern, instead in (
        (r"^CPU time: +[0-9.]+s\n", ""),  # not shown when it is 0
        (r"(^CPU: +)\d+", r"\1#"),
        (r"(Time(?: elapsed)?: +)[0-9]+", r"\1#"),
        (r'("id": ?"libvirt-)[0-9]+', r"\1#"),
        (r"^\d{4}-\d\d-\d\d [0-9:.+]+: ", "DATE: "),
        (r"(127\.0\.0\.1:)\d+$", r"\1#"),
        (r"(<graphics type='vnc' port=')\d+", r"\1#"),
        (r"(^\d+KiB: )\d+$", r"\1#"),
        (r"/dev/pts/\d+", "/dev/pts/#"),
        (r"^((?:rss|usable|last_update|available|unused|disk_caches) )\d+", r"\1#"),
        (r"(\.(?:time|wait|delay|rss|last-update|user|system)=)\d+", r"\1#"),
        (r"((?:_time|_req|_bytes|flush_operations|_times) +)\d+(\.\d+)?", r"\1#"),
        (r"(\.(?:reqs|bytes|times)=)\d+", r"\1#"),
        (r"((?:Data|Memory|File|Normal|Constant) [a-z]+: +)[0-9.]+ (?:[KMG]i)?B", r"\1# B"),
        (r"((?:Memory|Data|File|Total) ?(?:processed|remaining|total|bandwidth)?: +)[0-9.]+ \w+",
         r"\1#"),
        (r"((?:Total downtime|Downtime|Setup time|Iteration|Constant pages|Normal pages): +)\d+",
         r"\1#"),
        (r"((?:cpu|user|system)_time +)[0-9.]+", r"\1#"),
    )
)  # fmt: skip


class Stage:
    """Both daemons, each with a folder of files of its own."""

    def __init__(self, pair: Pair, folder: Path) -> None:
        self.pair = pair
        self._folders = {side.name: folder / side.name for side in (pair.real, pair.ours)}
        for path in self._folders.values():
            path.mkdir()
            guest_files.write(path)

    def play(self, side: Side, line: str) -> tuple[int, str, str]:
        """What virsh says, without what differs at every run."""
        folder = self._folders[side.name]
        where, _, command = re.sub(r" \(\d+\)$", "", line).partition(" $ ")
        command = command.replace("FILES/", f"{folder}/")
        answer = side.virsh(where.strip(), command, seconds=SECONDS)
        if answer[0] == -1:
            # A virsh that watches a job waits for ever when the answer comes before it does.
            answer = side.virsh(where.strip(), command, seconds=SECONDS)
        status, *texts = answer
        texts = [text.replace(str(folder), "FILES") for text in texts]
        for pattern, instead in VOLATILE:
            texts = [pattern.sub(instead, text) for text in texts]
        return status, texts[0], texts[1]


def steps() -> list[str]:
    """The lines in their order; one that comes again has its number behind it."""
    found: dict[str, int] = {}
    names = []
    for line in (HERE / "guests.steps").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            found[line] = found.get(line, 0) + 1
            names.append(line if found[line] == 1 else f"{line} ({found[line]})")
    return names


def played(stage: Stage, line: str) -> tuple[tuple[int, str, str], tuple[int, str, str]]:
    return stage.play(stage.pair.real, line), stage.play(stage.pair.ours, line)


@pytest.fixture(scope="module")
def stage(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    yield Stage(pair, tmp_path_factory.mktemp("guests"))


def test_there_are_enough_steps() -> None:
    assert len(steps()) >= LEAST
    assert len(set(steps())) == len(steps())
    known = set(guest_differences.LACKING) | set(guest_differences.GUESTS)
    assert known <= set(steps())
    assert not set(guest_differences.LACKING) & set(guest_differences.GUESTS)


@pytest.mark.parametrize("line", steps())
def test_guests_live_the_same_life(stage: Stage, line: str) -> None:
    real, ours = played(stage, line)
    if line in guest_differences.LACKING:
        assert NO_SUPPORT in ours[2], "no longer lacking"
        assert real != ours, "no longer differs"
    elif line in guest_differences.GUESTS:
        assert real != ours, f"no longer differs: {guest_differences.GUESTS[line]}"
    else:
        assert ours == real
