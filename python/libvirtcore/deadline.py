# SPDX-License-Identifier: LGPL-2.1-or-later
"""deadline.py: how long calls may take: `with libvirtcore.timeout(2.5): dom.info()`.

The limit holds for everything the block does, together; blocks nest, the nearer end counts. It
follows the flow of control (a context variable), so it holds inside asyncio tasks and not in other
threads.
Called by: users, drivers.remote.
Never: interrupts anything by itself; whoever waits asks how long it may.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from libvirtcore.errors import report
from libvirtcore.generated import constants as c

_end: ContextVar[float | None] = ContextVar("libvirtcore_deadline", default=None)
moment = _end.get  # when the time is over, on the monotonic clock; None without a limit


@contextmanager
def timeout(seconds: float | None) -> Iterator[None]:
    """Limit the time of every call in the block; None leaves the enclosing limit as it is."""
    if seconds is None:
        yield
        return
    mine, outer = time.monotonic() + seconds, _end.get()
    token = _end.set(mine if outer is None else min(mine, outer))
    try:
        yield
    finally:
        _end.reset(token)


def remaining(default: float | None = None) -> float | None:
    """Seconds left; `default` when no limit is set.

    Raises: VirError (OPERATION_TIMEOUT) when the time is over, so that nothing is begun too late.
    """
    end = moment()
    if end is None:
        return default
    left = end - time.monotonic()
    if left <= 0:
        raise report(
            c.VIR_ERR_OPERATION_TIMEOUT, c.VIR_FROM_RPC, "the deadline passed before the call began"
        )
    return left if default is None else min(left, default)


def set_default_timeout(conn: Any, seconds: float | None) -> None:
    """Limit every call on a connection that no `timeout` block limits more; None lifts the limit.

    `conn` is a virConnect or its handle. Drivers that work in this process do not wait for anybody
    and pay no attention.
    """
    handle = getattr(conn, "_o", conn)
    handle.driver.default_timeout = seconds
