# SPDX-License-Identifier: LGPL-2.1-or-later
"""differences.py: where our daemon's answers may differ from those of libvirtd 9.0, with reasons.

A call that our test driver does not support yet needs no entry: it is told so. An entry that no
difference matches fails the test, so that no excuse outlives its need.
Called by: test_all_procedures.py.
"""

from __future__ import annotations

from tests.libvirtd_dispatch.plausible import QEMU, REMOTE

CLOCK = "numbers that run with the clock; their kinds are compared"
HOST = "the name of the host; the real daemon has a host name of its own"
OURS = "our version"
RANDOM = "a new UUID each time; their kinds are compared"
PARSER = "expat's words for a syntax error instead of libxml2's; the code is the same"
LOST = "the real daemon forgets to set an error; ours says that authentication failed"
SLIP = "the real daemon says `node device` where it means `secret`"
ORDER = "refused as read-only before the argument is looked at, there after"
NONE = "nothing can be registered on a read-only connection, so that nothing can be forgotten"
SOCKET = "refused as read-only before the descriptor is looked at, there after"
NEW = "younger than 9.0, which does not know the procedure"

# Both may change things: (program, procedure) → reason.
WRITABLE: dict[tuple[int, int], str] = {
    (REMOTE, 10): PARSER,
    (REMOTE, 11): RANDOM,
    (REMOTE, 16): CLOCK,
    (REMOTE, 20): CLOCK,
    (REMOTE, 59): HOST,
    (REMOTE, 70): LOST,
    (REMOTE, 157): OURS,
    (REMOTE, 350): RANDOM,
    (REMOTE, 381): SLIP,
}
# Both are read-only.
READ_ONLY: dict[tuple[int, int], str] = {
    (REMOTE, 16): CLOCK,
    (REMOTE, 20): CLOCK,
    (REMOTE, 59): HOST,
    (REMOTE, 70): LOST,
    (REMOTE, 157): OURS,
    (REMOTE, 249): SOCKET,
    (REMOTE, 358): ORDER,
    (REMOTE, 381): SLIP,
    (REMOTE, 444): NEW,
    (REMOTE, 447): NEW,
    (REMOTE, 448): NEW,
    (REMOTE, 450): NEW,
    (REMOTE, 451): NEW,
    (REMOTE, 452): NEW,
    (REMOTE, 456): NEW,
    (QEMU, 5): NONE,
}
# Reasons for which the values differ but not their kinds.
SAME_KIND = frozenset((CLOCK, HOST, OURS, RANDOM))
