# SPDX-License-Identifier: LGPL-2.1-or-later
"""workers.py: the threads that take clients' calls: how many there are, and what each one does.

`min_workers` are there from the start. More come, up to `max_workers`, when all of them have been
stuck for a moment – not merely busy: short calls gain nothing from more threads – and they go again
when they have had nothing to do for a while. `prio_workers` take only calls that never wait.
Called by: daemon.py. Calls: core_server (work), session (calls).
Never: lets a fault in a call end a thread or the daemon: it becomes that client's INTERNAL_ERROR.
"""

from __future__ import annotations

import threading
import time

from libvirtcore.core_server import ACCEPTED, CALL, CLOSED, DRAINED, IDLE, STREAM
from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC
from libvirtcore.log import DEBUG, ERROR, INFO, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from libvirtcore.core_server import Server, Worker

    class Desk(Protocol):
        """What knows the clients: the daemon."""

        sessions: dict[int, Any]

        def accepted(self, worker: Worker) -> None: ...
        def closed(self, client: int) -> None: ...


STUCK_SECONDS = 0.005  # after which a worker counts as stuck
LINGER_SECONDS = 30.0  # for which a worker above the minimum stays without work
_SOURCE = "daemon.workers"


class Pool:
    """The worker threads of a server."""

    def __init__(self, server: Server, desk: Desk) -> None:
        self.server = server
        self.desk = desk
        self._lock = threading.Lock()
        self._threads: set[_Thread] = set()
        self._minimum = self._maximum = 1
        self._prio = 0
        self._stopping = False
        self._watcher = threading.Thread(target=self._watch, name="pool-watcher", daemon=True)

    # -- size ---------------------------------------------------------------------------------

    def resize(self, minimum: int, maximum: int, prio: int) -> None:
        """Start what is missing; what is too many leaves after its next idle time."""
        with self._lock:
            self._maximum = max(maximum, 1)
            self._minimum = min(max(minimum, 1), self._maximum)
            self._prio = prio
            for thread in self._threads:
                thread.linger = LINGER_SECONDS
        normal, high = self.count()
        for _ in range(normal, self._minimum):
            self._start(prio=False, linger=None)
        for _ in range(high, prio):
            self._start(prio=True, linger=None)
        if not self._watcher.is_alive() and not self._stopping:
            self._watcher.start()

    def count(self) -> tuple[int, int]:
        """How many normal and priority workers there are."""
        with self._lock:
            high = sum(thread.prio for thread in self._threads)
            return len(self._threads) - high, high

    def _start(self, *, prio: bool, linger: float | None) -> None:
        thread = _Thread(self, self.server.worker(prio), prio, linger)
        with self._lock:
            if self._stopping:
                return
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError as fault:  # the system has no room for a thread
            with self._lock:
                self._threads.discard(thread)
            log(ERROR, _SOURCE, f"cannot start a worker: {fault}")

    def _watch(self) -> None:
        while not self._stopping:
            try:
                if self.server.starved(None):
                    self._relieve()
            except Exception as fault:
                log(ERROR, _SOURCE, f"watching the workers: {type(fault).__name__}: {fault}")
                time.sleep(LINGER_SECONDS / 100)

    def _relieve(self) -> None:
        """Add a worker if calls wait and all workers are still at the ones they had before."""
        before = self._progress()
        time.sleep(STUCK_SECONDS)
        normal, _ = self.count()
        if normal >= self._maximum:
            time.sleep(LINGER_SECONDS / 100)
        elif before == self._progress() and self.server.starved(0):
            log(DEBUG, _SOURCE, f"all {normal} workers are stuck: one more")
            self._start(prio=False, linger=LINGER_SECONDS)

    def _progress(self) -> list[int]:
        with self._lock:
            return [thread.done for thread in self._threads if not thread.prio]

    def may_leave(self, thread: _Thread) -> bool:
        """Whether an idle worker is one too many; it then is no longer counted."""
        with self._lock:
            high = sum(other.prio for other in self._threads)
            normal = len(self._threads) - high
            too_many = high > self._prio if thread.prio else normal > self._minimum
            if too_many:
                self._threads.discard(thread)
            else:
                thread.linger = None
            return too_many

    # -- end ----------------------------------------------------------------------------------

    def join(self, seconds: float) -> list[_Thread]:
        """Wait for the threads to end; those that did not. The server must have been stopped."""
        with self._lock:
            self._stopping = True
            threads = list(self._threads)
        until = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        return [thread for thread in threads if thread.is_alive()]


class _Thread(threading.Thread):
    """One worker."""

    def __init__(self, pool: Pool, worker: Worker, prio: bool, linger: float | None) -> None:
        super().__init__(name="prio-worker" if prio else "rpc-worker", daemon=True)
        self._pool = pool
        self._worker = worker
        self.prio = prio
        self.linger = linger  # seconds without work after which it may leave; None: it stays
        self.done = 0

    def run(self) -> None:
        while True:
            try:
                self._serve()
                return
            except Exception as fault:  # of `next`: no memory for what a client sent
                log(ERROR, _SOURCE, f"{self.name}: {type(fault).__name__}: {fault}")
                time.sleep(STUCK_SECONDS)

    def _serve(self) -> None:
        worker, desk = self._worker, self._pool.desk
        sessions, wait = desk.sessions, worker.next
        while wait(self.linger):
            try:
                if worker.kind == CALL:
                    sessions[worker.client].call(worker)
                elif not self._other(worker, desk):
                    return
            except (
                BaseException
            ) as fault:  # SystemExit, too: a driver does not end a thread of ours
                _survive(worker, fault)
            self.done += 1

    def _other(self, worker: Worker, desk: Desk) -> bool:
        """Work that is no call. False when this thread shall end."""
        kind = worker.kind
        if kind == ACCEPTED:
            desk.accepted(worker)
        elif kind == CLOSED:
            desk.closed(worker.client)
        elif kind == STREAM:
            desk.sessions[worker.client].stream(worker)
        elif kind == DRAINED:
            desk.sessions[worker.client].drained(worker)
        elif kind == IDLE:
            return not self._pool.may_leave(self)
        return True


def _survive(worker: Worker, fault: BaseException) -> None:
    """What a fault of ours means for the client and the log."""
    import traceback

    where = f"client {worker.client}, program {worker.program:#x}, procedure {worker.procedure}"
    if isinstance(fault, KeyError) and fault.args == (worker.client,):
        log(DEBUG, _SOURCE, f"{where}: the client has gone")
        return
    if isinstance(fault, VirError):
        error = fault
    else:
        trace = "".join(traceback.format_exception(fault)).rstrip()
        log(ERROR, _SOURCE, f"{where}: unexpected {type(fault).__name__}: {trace}")
        error = report(
            VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC, f"unexpected {type(fault).__name__} in the daemon"
        )
    if worker.kind == CALL:
        try:
            worker.fail(error.to_wire())
        except Exception as problem:
            log(INFO, _SOURCE, f"{where}: the error could not be sent: {problem}")
