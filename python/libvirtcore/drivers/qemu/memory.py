# SPDX-License-Identifier: LGPL-2.1-or-later
"""memory.py: how much memory a guest has, and what it does with it.

Called by: drivers.qemu.driver (mixin). Calls: the monitor.
Never: trusts numbers of a guest further than to hand them out.
"""

from __future__ import annotations

from typing import Any

from libvirtcore.drivers.qemu.base import (
    CONFIG,
    LIVE,
    Calls,
    affected,
    replace_config,
    save_live,
)  # fmt: skip
from libvirtcore.drivers.qemu.guest import Guest, Run, check_flags, internal, invalid
from libvirtcore.drivers.qemu.info import resident_kib
from libvirtcore.drivers.qemu.job import QUERY
from libvirtcore.drivers.qemu.model import ensure
from libvirtcore.errors import report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle
from libvirtcore.qmp import QMPError

_BALLOON_TYPE = "virtio-balloon"
_TREE_DEPTH = 6
_TREE_NODES = 500

# QEMU's name of a statistic → ours, and how many of QEMU's units make one of ours.
_STATS = (
    ("stat-swap-in", c.VIR_DOMAIN_MEMORY_STAT_SWAP_IN, 1024),
    ("stat-swap-out", c.VIR_DOMAIN_MEMORY_STAT_SWAP_OUT, 1024),
    ("stat-major-faults", c.VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT, 1),
    ("stat-minor-faults", c.VIR_DOMAIN_MEMORY_STAT_MINOR_FAULT, 1),
    ("stat-free-memory", c.VIR_DOMAIN_MEMORY_STAT_UNUSED, 1024),
    ("stat-total-memory", c.VIR_DOMAIN_MEMORY_STAT_AVAILABLE, 1024),
    ("stat-available-memory", c.VIR_DOMAIN_MEMORY_STAT_USABLE, 1024),
    ("stat-disk-caches", c.VIR_DOMAIN_MEMORY_STAT_DISK_CACHES, 1024),
    ("stat-htlb-pgalloc", c.VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGALLOC, 1),
    ("stat-htlb-pgfail", c.VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGFAIL, 1),
)
_UNKNOWN = (1 << 64) - 1  # what QEMU says of a figure that the guest has not given


def balloon_path(guest: Guest, run: Run) -> str | None:
    """Where the balloon is in QEMU's object tree; "" once it is known that there is none."""
    if run.balloon_path is None:
        alias = getattr(getattr(_balloon(guest), "alias", None), "name", None)
        run.balloon_path = _find_balloon(guest, alias) or ""
    return run.balloon_path or None


def _balloon(guest: Guest) -> Any:
    live = guest.live
    return live.devices.memballoon if live is not None and live.devices is not None else None


def _find_balloon(guest: Guest, alias: str | None) -> str | None:
    monitor = guest.monitor()
    if alias:
        path = f"/machine/peripheral/{alias}"
        try:
            listed = monitor.execute("qom-list", {"path": path})
        except QMPError:
            listed = []
        names = {item.get("name") for item in listed if isinstance(item, dict)}
        return path if "guest-stats" in names else None
    return _search(guest, "/machine/peripheral", _TREE_DEPTH, [_TREE_NODES])


def _search(guest: Guest, path: str, depth: int, budget: list[int]) -> str | None:
    budget[0] -= 1
    if depth == 0 or budget[0] < 0:
        return None
    try:
        listed = guest.monitor().execute("qom-list", {"path": path})
    except QMPError:
        return None
    for item in listed if isinstance(listed, list) else []:
        kind, name = str(item.get("type")), str(item.get("name"))
        if kind.startswith(f"child<{_BALLOON_TYPE}"):
            return f"{path}/{name}"
    return None


class MemoryCalls(Calls):
    """The calls about memory."""

    def domain_memory_stats(
        self, dom: DomainHandle, maxStats: int, flags: int
    ) -> list[tuple[int, int]]:
        check_flags("qemuDomainMemoryStats", flags, 0)
        with self._running(dom, "DomainMemoryStats", QUERY) as guest:
            return memory_stats(guest)[:maxStats]

    def domain_set_memory_stats_period(self, dom: DomainHandle, period: int, flags: int) -> None:
        check_flags("qemuDomainSetMemoryStatsPeriod", flags, LIVE | CONFIG)
        with self._job(dom, "DomainSetMemoryStatsPeriod") as guest:
            flags = affected(guest, flags)
            config = guest.config.copy() if flags & CONFIG and guest.config else None
            for model in (guest.live if flags & LIVE else None, config):
                balloon = model.devices.memballoon if model and model.devices else None
                if model is not None and (balloon is None or balloon.model == "none"):
                    raise invalid(
                        "No memory balloon device configured, can not set the collection period"
                    )
            if flags & LIVE:
                run = guest.running()
                path = balloon_path(guest, run)
                if path is None:
                    raise invalid("unable to set balloon driver collection period")
                _poll(guest, run, path, period)
                _set_period(guest.live, period)
                save_live(guest)
            if config is not None:
                _set_period(config, period)
                replace_config(guest, config)

    def domain_set_max_memory(self, dom: DomainHandle, memory: int) -> None:
        self.domain_set_memory_flags(dom, memory, c.VIR_DOMAIN_MEM_MAXIMUM)

    def domain_set_memory(self, dom: DomainHandle, memory: int) -> None:
        self.domain_set_memory_flags(dom, memory, LIVE)

    def domain_set_memory_flags(self, dom: DomainHandle, memory: int, flags: int) -> None:
        check_flags("qemuDomainSetMemoryFlags", flags, LIVE | CONFIG | c.VIR_DOMAIN_MEM_MAXIMUM)
        with self._job(dom, "DomainSetMemoryFlags") as guest:
            flags = affected(guest, flags)
            config = guest.config.copy() if flags & CONFIG and guest.config else None
            if flags & c.VIR_DOMAIN_MEM_MAXIMUM:
                if flags & LIVE:
                    raise invalid("cannot resize the maximum memory on an active domain")
                assert config is not None
                _set_maximum(config, memory)
                replace_config(guest, config)
                return
            for model in (guest.live if flags & LIVE else None, config):
                if model is not None and memory > int(model.memory or 0):
                    raise report(
                        c.VIR_ERR_INVALID_ARG,
                        c.VIR_FROM_QEMU,
                        "cannot set memory higher than max memory",
                    )
            if flags & LIVE:
                self._inflate(guest, memory)
            if config is not None:
                config.current_memory = memory
                replace_config(guest, config)

    def _inflate(self, guest: Guest, memory: int) -> None:
        balloon = _balloon(guest)
        if balloon is not None and balloon.model == "none":
            raise report(
                c.VIR_ERR_OPERATION_INVALID,
                c.VIR_FROM_QEMU,
                "Unable to change memory of active domain without the balloon device and guest OS "
                "balloon driver",
            )
        try:
            guest.monitor().execute("balloon", {"value": memory * 1024})
        except QMPError as refused:
            if refused.class_ == "DeviceNotActive":
                raise invalid(
                    "Unable to change memory of active domain without the balloon device and "
                    "guest OS balloon driver"
                ) from None
            raise internal(f"unable to execute QEMU command 'balloon': {refused.desc}") from None


def memory_stats(guest: Guest) -> list[tuple[int, int]]:
    """What is known of a running guest's memory; the job is held. Raises: VirError."""
    run = guest.running()
    stats: list[tuple[int, int]] = []
    path = balloon_path(guest, run)
    if path is not None:
        known = _ask_balloon(guest, run, path)
        if run.balloon_actual is not None:
            stats.append((c.VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON, run.balloon_actual))
        stats += guest_stats(known)  # nothing of a balloon that the guest does not drive
    if not any(tag == c.VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON for tag, _value in stats):
        model = guest.model()
        memory = int(model.current_memory or model.memory or 0)
        stats.insert(0, (c.VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON, memory))
    stats.append((c.VIR_DOMAIN_MEMORY_STAT_RSS, resident_kib(run.process.pid)))
    return stats


def _ask_balloon(guest: Guest, run: Run, path: str) -> Any:
    """The balloon's statistics, or QEMU's refusal; how large it is goes to `run`.

    QEMU tells every change of that size, so it is asked for it only once. It reads its monitor
    byte by byte, which takes longer than the answer: the balloon is named by the end of its path.
    """
    monitor = guest.monitor()
    asked = {"path": path.rpartition("/")[2], "property": "guest-stats"}
    if run.balloon_actual is not None:
        try:
            return monitor.execute("qom-get", asked)
        except QMPError as refused:
            known = refused
    else:
        known, size = monitor.execute_many([("qom-get", asked), ("query-balloon", None)])
        _note_size(run, size)
    if isinstance(known, QMPError) and known.class_ == "DeviceNotFound":  # or not the only one
        return monitor.execute_many([("qom-get", asked | {"path": path})])[0]
    return known


def _note_size(run: Run, size: Any) -> None:
    """Keep how large QEMU says the balloon is."""
    actual = size.get("actual") if isinstance(size, dict) else None
    if isinstance(actual, int) and run.balloon_actual is None:  # else an event was faster
        run.balloon_actual = actual // 1024


def guest_stats(answer: Any) -> list[tuple[int, int]]:
    """The balloon's statistics in our units and order."""
    found: list[tuple[int, int]] = []
    values = answer.get("stats") if isinstance(answer, dict) else None
    values = values if isinstance(values, dict) else {}
    for name, tag, unit in _STATS:
        value = values.get(name)
        if isinstance(value, int) and 0 <= value < _UNKNOWN:
            found.append((tag, value // unit))
    updated = answer.get("last-update") if isinstance(answer, dict) else None
    if isinstance(updated, int) and 0 <= updated < _UNKNOWN:
        found.append((c.VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE, updated))
    return found


def _poll(guest: Guest, run: Run, path: str, period: int) -> None:
    """Have QEMU ask the guest for statistics every few seconds. Raises: VirError."""
    guest.monitor().command(
        "qom-set",
        {"path": path, "property": "guest-stats-polling-interval", "value": period},
    )
    run.balloon_polled = period > 0


def _set_period(model: Any, period: int) -> None:
    balloon = model.devices.memballoon
    if period <= 0:
        balloon.stats = None
        return
    ensure(balloon, "stats").period = period


def _set_maximum(config: Any, memory: int) -> None:
    cells = getattr(getattr(config.cpu, "numa", None), "cells", None) if config.cpu else None
    if cells:
        raise invalid("initial memory size of a domain with NUMA cannot be modified with this API")
    config.memory = memory
    if (config.current_memory or 0) > memory:
        config.current_memory = memory
