# SPDX-License-Identifier: LGPL-2.1-or-later
"""buried.py: memory of the C core that Python has let go of.

Garbage in a cycle is finalized in any order, so a finalizer that comes later may still use what an
earlier one let go of: it ends at once, but its memory is freed only when the next one is made.
Called by: core, core_server, qmp.core. Calls: what it is given. Never: raises from a finalizer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

_buried: deque[tuple[Callable[[Any], None], Any]] = deque()


def bury(end: Callable[[Any], None], free: Callable[[Any], None]) -> Callable[[Any], None]:
    """A destructor for ffi.gc that ends its pointer now and leaves the freeing to free_buried."""

    def destroy(pointer: Any) -> None:
        end(pointer)
        _buried.append((free, pointer))

    return destroy


def free_buried() -> None:
    """Free what has been let go of until now."""
    while _buried:
        try:
            free, pointer = _buried.popleft()
        except IndexError:
            return  # another thread was quicker
        free(pointer)
