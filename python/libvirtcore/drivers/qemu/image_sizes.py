# SPDX-License-Identifier: LGPL-2.1-or-later
"""image_sizes.py: sizes of a local image, from its file and the first bytes of its format.

Only the format a definition names is looked for, never guessed: what a guest writes into a raw
image means nothing to its host.
Called by: stats_block. Calls: nothing.
Never: follows what an image says to another file.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

_HEADER = 512


@dataclass(frozen=True)
class Sizes:
    """In bytes: what the guest sees, what is used on the host, how long the file is."""

    capacity: int
    allocation: int
    physical: int


def sizes(path: str, kind: str) -> Sizes:
    """Sizes of an image of a format. Raises: OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        facts = os.fstat(fd)
        if stat.S_ISREG(facts.st_mode):
            physical, allocation = facts.st_size, facts.st_blocks * 512
        elif stat.S_ISBLK(facts.st_mode):
            physical = allocation = os.lseek(fd, 0, os.SEEK_END)
        else:
            return Sizes(0, 0, 0)
        inside = _capacity(os.pread(fd, _HEADER, 0), kind)
        return Sizes(physical if inside is None else inside, allocation, physical)
    finally:
        os.close(fd)


def _capacity(header: bytes, kind: str) -> int | None:
    """What the header of a format says; None for raw, and for a header that is none."""
    place = {
        "qcow2": (b"QFI\xfb", 24, "big"),
        "qcow": (b"QFI\xfb", 24, "big"),
        "qed": (b"QED\0", 48, "little"),
        "vpc": (b"conectix", 48, "big"),
    }.get(kind)
    if kind == "vdi":
        place = (b"<<<", 368, "little")
    if place is None or not header.startswith(place[0]) or len(header) < place[1] + 8:
        return None
    order = "big" if place[2] == "big" else "little"
    return int.from_bytes(header[place[1] : place[1] + 8], order)  # type: ignore[arg-type]
