# SPDX-License-Identifier: LGPL-2.1-or-later
"""job.py: one change at a time per guest.

A job is held while a call talks to QEMU or changes what a guest is. A long operation (save, dump,
migration) is an `operation`: it lets go of the job while it waits, and only calls that do not
disturb it get one meanwhile.
Called by: the mixins of drivers.qemu. Never: held by calls that only read what is known anyway.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from libvirtcore.errors import report
from libvirtcore.generated import constants as c

# What a call is about to do.
QUERY, MODIFY, SUSPEND, DESTROY, ABORT = range(5)

# What an operation lets through while it runs.
WHILE_SAVING = frozenset({QUERY, DESTROY, ABORT})
WHILE_MIGRATING = frozenset({QUERY, DESTROY, ABORT, SUSPEND})
NOTHING = frozenset({DESTROY})


class Operation:
    """A long operation: what it is, since when, and whether somebody wants it to end."""

    def __init__(self, kind: int, name: str, title: str, allowed: frozenset[int]) -> None:
        self.kind = kind  # VIR_DOMAIN_JOB_OPERATION_…
        self.name = name  # of the call
        self.title = title  # in errors, as libvirt's
        self.allowed = allowed
        self.began = time.monotonic()
        self.aborted = False
        self.progress: dict[str, int] = {}


class Jobs:
    """The jobs of one guest."""

    def __init__(self, limit: Callable[[], int] = lambda: 0) -> None:
        self._limit = limit  # how many may wait; 0: any number
        self._waiting = 0
        self._changed = threading.Condition(threading.Lock())
        self._holder: str | None = None
        self._since = 0.0
        self.operation: Operation | None = None

    def _free_for(self, kind: int) -> bool:
        if self._holder is not None:
            return False
        return self.operation is None or kind in self.operation.allowed

    def acquire(self, kind: int, name: str, seconds: float) -> None:
        """Wait until nobody else changes the guest. Raises: VirError (OPERATION_TIMEOUT)."""
        with self._changed:
            if not self._free_for(kind) and not self._wait_for(kind, seconds):
                holder = self._holder or (self.operation.name if self.operation else None)
                held = f" (held by monitor=remoteDispatch{holder})" if holder else ""
                raise report(
                    c.VIR_ERR_OPERATION_TIMEOUT,
                    c.VIR_FROM_NONE,
                    f"cannot acquire state change lock{held}",
                )
            self._holder = name
            self._since = time.monotonic()

    def _wait_for(self, kind: int, seconds: float) -> bool:
        limit = self._limit()
        if limit and self._waiting >= limit:
            raise report(
                c.VIR_ERR_OPERATION_FAILED,
                c.VIR_FROM_NONE,
                "cannot acquire state change lock due to max_queued limit",
            )
        self._waiting += 1
        try:
            return self._changed.wait_for(lambda: self._free_for(kind), seconds)
        finally:
            self._waiting -= 1

    def try_acquire(self, kind: int, name: str) -> bool:
        """Take the job only if it is free now."""
        with self._changed:
            if not self._free_for(kind):
                return False
            self._holder = name
            self._since = time.monotonic()
            return True

    def release(self) -> None:
        with self._changed:
            self._holder = None
            self._changed.notify_all()

    def held_since(self) -> float | None:
        """When the current holder got the job, on the monotonic clock."""
        with self._changed:
            return self._since if self._holder is not None else None

    @contextmanager
    def hold(self, kind: int, name: str, seconds: float) -> Iterator[None]:
        self.acquire(kind, name, seconds)
        try:
            yield
        finally:
            self.release()

    @contextmanager
    def operate(self, operation: Operation) -> Iterator[Operation]:
        """Begin a long operation, with the job held; the job stays held inside the block.

        Let go of it with `pause` while waiting.
        """
        with self._changed:
            self.operation = operation
        try:
            yield operation
        finally:
            with self._changed:
                self.operation = None
                self._changed.notify_all()

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Let others, as far as the operation allows, have the job for the time of the block."""
        with self._changed:
            holder, self._holder = self._holder, None
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._changed.wait_for(lambda: self._holder is None)
                self._holder = holder
                self._since = time.monotonic()
