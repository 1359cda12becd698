# SPDX-License-Identifier: LGPL-2.1-or-later
"""differences.py: where our client may differ from python3-libvirt 9.0, each with a reason.

An entry belongs to one script and must match at least one difference there, else the test fails: a
list of excuses that nobody needs any more is not kept.
Called by: test_calls.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.interop.compare import Difference


@dataclass(frozen=True)
class Allowed:
    """A difference in `script` at statements matching `source`, of the kind `what` begins with."""

    script: str
    source: str
    what: str
    reason: str
    transports: tuple[str, ...] = ("unix", "tcp")

    def matches(self, difference: Difference) -> bool:
        return (
            difference.script == self.script
            and difference.what.startswith(self.what)
            and re.search(self.source, difference.step.source) is not None
        )


ALLOWED: tuple[Allowed, ...] = ()


def split(
    script: str, transport: str, found: list[Difference]
) -> tuple[list[Difference], list[Allowed]]:
    """The differences that nothing allows, and the entries for this script that nothing needs."""
    entries = [a for a in ALLOWED if a.script == script and transport in a.transports]
    unexpected = [d for d in found if not any(a.matches(d) for a in entries)]
    unused = [a for a in entries if not any(a.matches(d) for d in found)]
    return unexpected, unused
