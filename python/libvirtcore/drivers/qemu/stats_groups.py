# SPDX-License-Identifier: LGPL-2.1-or-later
"""stats_groups.py: the groups of statistics of one guest: what to ask QEMU, and what is told.

Called by: stats.py. Calls: /proc, memory, stats_block, interfaces.
Never: waits; trusts the shape of an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from libvirtcore.drivers.qemu.devices import alias_of
from libvirtcore.drivers.qemu.guest import Guest, Run
from libvirtcore.drivers.qemu.info import (
    cpu_times,
    group_times,
    max_vcpus,
    resident_kib,
    vcpu_count,
)
from libvirtcore.drivers.qemu.interfaces import counters
from libvirtcore.drivers.qemu.memory import guest_stats
from libvirtcore.drivers.qemu.stats_block import Images, describe_disks
from libvirtcore.generated import constants as c

Command = tuple[str, dict[str, Any] | None]
Triple = tuple[str, int, Any]

INT, UINT, LLONG = c.VIR_TYPED_PARAM_INT, c.VIR_TYPED_PARAM_UINT, c.VIR_TYPED_PARAM_LLONG
ULLONG, STRING = c.VIR_TYPED_PARAM_ULLONG, c.VIR_TYPED_PARAM_STRING

_STATE, _CPU, _BALLOON = (
    c.VIR_DOMAIN_STATS_STATE, c.VIR_DOMAIN_STATS_CPU_TOTAL, c.VIR_DOMAIN_STATS_BALLOON,
)  # fmt: skip
_VCPU, _INTERFACE, _BLOCK = (
    c.VIR_DOMAIN_STATS_VCPU, c.VIR_DOMAIN_STATS_INTERFACE, c.VIR_DOMAIN_STATS_BLOCK,
)  # fmt: skip
_IOTHREAD, _DIRTYRATE = c.VIR_DOMAIN_STATS_IOTHREAD, c.VIR_DOMAIN_STATS_DIRTYRATE
# These are known, and empty without hardware that counts or a host's accelerator.
_SILENT = c.VIR_DOMAIN_STATS_PERF | c.VIR_DOMAIN_STATS_MEMORY | c.VIR_DOMAIN_STATS_VM
ALL = (
    _STATE | _CPU | _BALLOON | _VCPU | _INTERFACE | _BLOCK | _IOTHREAD | _DIRTYRATE | _SILENT
)  # fmt: skip

_BALLOON_NAMES = {
    c.VIR_DOMAIN_MEMORY_STAT_SWAP_IN: "swap_in",
    c.VIR_DOMAIN_MEMORY_STAT_SWAP_OUT: "swap_out",
    c.VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT: "major_fault",
    c.VIR_DOMAIN_MEMORY_STAT_MINOR_FAULT: "minor_fault",
    c.VIR_DOMAIN_MEMORY_STAT_UNUSED: "unused",
    c.VIR_DOMAIN_MEMORY_STAT_AVAILABLE: "available",
    c.VIR_DOMAIN_MEMORY_STAT_USABLE: "usable",
    c.VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE: "last-update",
    c.VIR_DOMAIN_MEMORY_STAT_DISK_CACHES: "disk_caches",
    c.VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGALLOC: "hugetlb_pgalloc",
    c.VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGFAIL: "hugetlb_pgfail",
}
_DIRTY_STATUS = {"unstarted": 0, "measuring": 1, "measured": 2}


class Question:
    """What is wanted of one guest, what its QEMU must be asked, and what it answered."""

    def __init__(self, guest: Guest, wanted: int, backing: bool) -> None:
        self.guest = guest
        self.wanted = wanted
        self.backing = backing
        self.commands: list[Command] = []
        self.answers: list[Any] = []
        self._uses: list[str] = []
        live = guest.live
        self._run = guest.run if guest.active else None
        if self._run is None or live is None or self._run.monitor is None:
            return
        if wanted & _BALLOON:
            self._ask_balloon(live)
        if wanted & _BLOCK and live.devices.disks:
            self._ask("query-blockstats")
            self._ask("query-named-block-nodes", {"flat": True})
        if wanted & _IOTHREAD and live.iothreads:
            self._ask("query-iothreads")
        if wanted & _DIRTYRATE:
            self._ask("query-dirty-rate")

    def _ask(self, command: str, arguments: dict[str, Any] | None = None) -> None:
        self.commands.append((command, arguments))
        self._uses.append(command)

    def _ask_balloon(self, live: Any) -> None:
        balloon = live.devices.memballoon
        alias = alias_of(balloon)
        if alias is not None and balloon.model != "none":
            path = f"/machine/peripheral/{alias}"
            self._ask("qom-get", {"path": path, "property": "guest-stats"})

    def answer(self, command: str) -> Any:
        """What QEMU said, None when it was not asked or did not answer well."""
        if command not in self._uses:
            return None
        place = self._uses.index(command)
        value = self.answers[place] if place < len(self.answers) else None
        return None if isinstance(value, Exception) else value

    def describe(self) -> list[Triple]:
        """All that is known now."""
        found: list[Triple] = []
        run = self._run if self.guest.run is self._run else None
        for bit, describe in _GROUPS:
            if self.wanted & bit:
                describe(self, run, found)
        return found


def _state(question: Question, _run: Run | None, found: list[Triple]) -> None:
    guest = question.guest
    with guest.lock:
        found += [("state.state", INT, guest.state), ("state.reason", INT, guest.reason)]


def _cpu(_question: Question, run: Run | None, found: list[Triple]) -> None:
    if run is None:
        return
    total, user, system = group_times(run)
    found += [
        ("cpu.time", ULLONG, total),
        ("cpu.user", ULLONG, user),
        ("cpu.system", ULLONG, system),
        ("cpu.cache.monitor.count", UINT, 0),
        ("cpu.haltpoll.success.time", ULLONG, 0),
        ("cpu.haltpoll.fail.time", ULLONG, 0),
    ]


def _balloon(question: Question, run: Run | None, found: list[Triple]) -> None:
    model = question.guest.live or question.guest.config
    if model is None:
        return
    most = int(model.memory or 0)
    now = model.current_memory
    found.append(("balloon.current", ULLONG, most if now is None else int(now)))
    found.append(("balloon.maximum", ULLONG, most))
    if run is None:
        return
    for tag, value in guest_stats(question.answer("qom-get")):
        name = _BALLOON_NAMES.get(tag)
        if name is not None:
            found.append((f"balloon.{name}", ULLONG, value))
    found.append(("balloon.rss", ULLONG, resident_kib(run.process.pid)))


def _vcpu(question: Question, run: Run | None, found: list[Triple]) -> None:
    model = question.guest.live or question.guest.config
    if model is None:
        return
    found.append(("vcpu.current", UINT, vcpu_count(model)))
    found.append(("vcpu.maximum", UINT, max_vcpus(model)))
    if run is None:
        return
    pid = run.process.pid
    for number, thread in enumerate(run.vcpu_threads):
        found += [
            (f"vcpu.{number}.state", INT, c.VIR_VCPU_RUNNING),
            (f"vcpu.{number}.time", ULLONG, sum(cpu_times(pid, thread))),
            (f"vcpu.{number}.wait", ULLONG, _waited(pid, thread)),
            (f"vcpu.{number}.delay", ULLONG, _delayed(pid, thread)),
        ]


def _waited(pid: int, thread: int) -> int:
    """Nanoseconds a thread waited for I/O, where the kernel tells."""
    try:
        with open(f"/proc/{pid}/task/{thread}/sched", "rb") as file:
            for line in file:
                if line.startswith((b"se.statistics.wait_sum", b"wait_sum")):
                    return int(float(line.rpartition(b":")[2]) * 1_000_000)
    except (OSError, ValueError):
        pass
    return 0


def _delayed(pid: int, thread: int) -> int:
    """Nanoseconds a thread was ready to run and did not."""
    try:
        with open(f"/proc/{pid}/task/{thread}/schedstat", "rb") as file:
            return int(file.read().split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _interface(question: Question, run: Run | None, found: list[Triple]) -> None:
    live = question.guest.live
    if run is None or live is None:
        return
    interfaces = live.devices.interfaces
    found.append(("net.count", UINT, len(interfaces)))
    for number, interface in enumerate(interfaces):
        name = interface.target.dev if interface.target is not None else None
        if not name:
            continue
        found.append((f"net.{number}.name", STRING, name))
        values = counters(interface, name)
        for key, value in values.items() if values is not None else ():
            found.append((f"net.{number}.{key}", ULLONG, value))


def _block(question: Question, run: Run | None, found: list[Triple]) -> None:
    model = question.guest.live or question.guest.config
    if model is None:
        return
    images = None
    if run is not None:
        images = Images(
            question.answer("query-blockstats"), question.answer("query-named-block-nodes")
        )
    describe_disks(model, images, question.backing, found)


def _iothread(question: Question, run: Run | None, found: list[Triple]) -> None:
    live = question.guest.live
    if run is None or live is None:
        return
    answer = question.answer("query-iothreads")
    if answer is None and live.iothreads:
        return
    threads = [one for one in answer or () if isinstance(one, dict)]
    if not threads:
        return
    found.append(("iothread.count", UINT, len(threads)))
    for one in threads:
        number = str(one.get("id")).removeprefix("iothread")
        for key, name, kind in (
            ("poll-max-ns", "poll-max-ns", ULLONG),
            ("poll-grow", "poll-grow", UINT),
            ("poll-shrink", "poll-shrink", UINT),
        ):
            value = one.get(key)
            if isinstance(value, int) and value >= 0:
                found.append((f"iothread.{number}.{name}", kind, value))


def _dirtyrate(question: Question, run: Run | None, found: list[Triple]) -> None:
    answer = question.answer("query-dirty-rate")
    if run is None or not isinstance(answer, dict):
        return
    status = _DIRTY_STATUS.get(str(answer.get("status")))
    if status is None:
        return
    mode = str(answer.get("mode", "page-sampling"))
    found += [
        ("dirtyrate.calc_status", INT, status),
        ("dirtyrate.calc_start_time", LLONG, _number(answer.get("start-time"))),
        ("dirtyrate.calc_period", INT, _number(answer.get("calc-time"))),
    ]
    found.append(("dirtyrate.calc_mode", STRING, mode))
    rate = answer.get("dirty-rate")
    if status == 2 and isinstance(rate, int):
        found.append(("dirtyrate.megabytes_per_second", LLONG, rate))
    rates = answer.get("vcpu-dirty-rate")
    for one in rates if status == 2 and isinstance(rates, list) else ():
        if isinstance(one, dict):
            name = f"dirtyrate.vcpu.{_number(one.get('id'))}.megabytes_per_second"
            found.append((name, ULLONG, _number(one.get("dirty-rate"))))


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


_GROUPS: tuple[tuple[int, Callable[[Question, Run | None, list[Triple]], None]], ...] = (
    (_STATE, _state),
    (_CPU, _cpu),
    (_BALLOON, _balloon),
    (_VCPU, _vcpu),
    (_INTERFACE, _interface),
    (_BLOCK, _block),
    (_IOTHREAD, _iothread),
    (_DIRTYRATE, _dirtyrate),
)
