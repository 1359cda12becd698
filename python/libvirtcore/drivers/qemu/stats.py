# SPDX-License-Identifier: LGPL-2.1-or-later
"""stats.py: statistics of many guests in one call, each QEMU asked once for all that is wanted.

    every guest whose job is free: all commands are sent → answers are read as they come
    guests that were busy: one after the other, in threads of their own, for a while

So a QEMU that hangs costs the others nothing, and itself only what it alone knows.
Called by: drivers.qemu.driver (mixin). Calls: the monitor, stats_groups.
Never: fails because of one guest; waits for more than one thing while it holds a guest's job.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Sequence
from typing import Any

from libvirtcore import deadline
from libvirtcore.drivers.qemu import stats_groups as groups
from libvirtcore.drivers.qemu.base import Calls
from libvirtcore.drivers.qemu.guest import Guest, check_flags
from libvirtcore.drivers.qemu.job import QUERY
from libvirtcore.drivers.qemu.lookup import matches
from libvirtcore.drivers.qemu.monitor import Monitor
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle

SECONDS = 5.0  # how long a guest that is busy or silent is waited for
THREADS = 16  # guests waited for at the same time

_JOB = "ConnectGetAllDomainStats"
_FILTERS = (
    c.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
    | c.VIR_CONNECT_GET_ALL_DOMAINS_STATS_INACTIVE
    | c.VIR_CONNECT_GET_ALL_DOMAINS_STATS_PERSISTENT
    | c.VIR_CONNECT_GET_ALL_DOMAINS_STATS_TRANSIENT
    | c.VIR_CONNECT_GET_ALL_DOMAINS_STATS_RUNNING
    | c.VIR_CONNECT_GET_ALL_DOMAINS_STATS_PAUSED
    | c.VIR_CONNECT_GET_ALL_DOMAINS_STATS_SHUTOFF
    | c.VIR_CONNECT_GET_ALL_DOMAINS_STATS_OTHER
)
_NOWAIT = c.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
_BACKING = c.VIR_CONNECT_GET_ALL_DOMAINS_STATS_BACKING
_ENFORCE = c.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS

Triples = list[tuple[str, int, Any]]


class _Asking:
    """A guest whose QEMU has been asked; its job is held until `end`."""

    def __init__(self, question: groups.Question, monitor: Monitor, numbers: list[int]) -> None:
        self.question = question
        self.monitor = monitor
        self.numbers = numbers

    def end(self, seconds: float) -> None:
        """Read the answers, as far as they come."""
        try:
            self.question.answers = self.monitor.collect(self.numbers, seconds)
        except VirError:
            self.question.answers = []
        finally:
            self.question.guest.jobs.release()


class StatsCalls(Calls):
    """The call for everything at once."""

    def connect_get_all_domain_stats(
        self, doms: list[DomainHandle], stats: int, flags: int
    ) -> list[tuple[DomainHandle, Any]]:
        check_flags("qemuConnectGetAllDomainStats", flags, _FILTERS | _NOWAIT | _BACKING | _ENFORCE)
        unknown = stats & ~groups.ALL
        if unknown and flags & _ENFORCE:
            raise report(
                c.VIR_ERR_ARGUMENT_UNSUPPORTED,
                c.VIR_FROM_QEMU,
                f"Stats types bits 0x{unknown:x} are not supported by this daemon or QEMU",
            )
        wanted = stats & groups.ALL if stats else groups.ALL
        questions = [
            groups.Question(guest, wanted, bool(flags & _BACKING))
            for guest in self._guests(doms)
            if matches(guest, flags & _FILTERS)
        ]
        self._ask_all(questions, wait=not flags & _NOWAIT)
        return [(self._handle(question.guest), question.describe()) for question in questions]

    def _guests(self, doms: list[DomainHandle]) -> list[Guest]:
        """Those that were named, as far as they still exist, else all."""
        if not doms:
            return self.host.guests()
        found = (self.host.by_uuid.get(dom.uuid) for dom in doms)
        return [guest for guest in found if guest is not None]

    # --- asking -----------------------------------------------------------------------------------

    def _ask_all(self, questions: Sequence[groups.Question], *, wait: bool) -> None:
        left = deadline.remaining(min(SECONDS, self.host.job_seconds))
        assert left is not None
        end = time.monotonic() + left
        asked: list[_Asking] = []
        busy: list[groups.Question] = []
        for question in questions:
            if not question.commands:
                continue
            asking = _ask(question, 0.0)
            if asking is not None:
                asked.append(asking)
            elif question.guest.active:
                busy.append(question)
        _read_all(asked, end)
        if busy:
            _wait_for(busy, end if wait else time.monotonic() + 0.01)


def _ask(question: groups.Question, patience: float) -> _Asking | None:
    """Send a guest's commands; None when it is busy or gone. The job is then not held."""
    jobs = question.guest.jobs
    if patience:
        try:
            jobs.acquire(QUERY, _JOB, patience)
        except VirError:
            return None
    elif not jobs.try_acquire(QUERY, _JOB):
        return None
    try:
        monitor = question.guest.monitor()
        numbers = monitor.submit(question.commands, patience)
        if numbers is not None:
            return _Asking(question, monitor, numbers)
    except VirError:
        pass
    except BaseException:
        jobs.release()
        raise
    jobs.release()
    return None


def _read_all(asked: list[_Asking], end: float) -> None:
    """Read the answers in the order in which the guests begin to give them."""
    waiting = {asking.monitor.fileno(): asking for asking in asked}
    poll = select.poll()
    for fd in waiting:
        poll.register(fd, select.POLLIN)
    try:
        while waiting:
            left = end - time.monotonic()
            ready = poll.poll(max(0, int(left * 1000))) if left > 0 else []
            if not ready:
                return
            for fd, _events in ready:
                poll.unregister(fd)
                waiting.pop(fd).end(max(0.001, end - time.monotonic()))
    finally:
        for asking in waiting.values():
            asking.end(0.001)


def _wait_for(busy: list[groups.Question], end: float) -> None:
    """Ask guests that were busy, some at a time."""
    todo = list(reversed(busy))

    def work() -> None:
        while todo:
            try:
                question = todo.pop()
            except IndexError:
                return
            asking = _ask(question, max(0.001, end - time.monotonic()))
            if asking is not None:
                asking.end(max(0.001, end - time.monotonic()))

    threads = [
        threading.Thread(target=work, name="qemu-stats", daemon=True)
        for _ in range(min(THREADS, len(busy)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
