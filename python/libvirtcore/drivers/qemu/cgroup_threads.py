# SPDX-License-Identifier: LGPL-2.1-or-later
"""cgroup_threads.py: the control groups of a guest's virtual CPUs and I/O threads.

Called by: vcpus.apply_pins (start, plug), vcpu_plug, reconnect. Calls: cgroup, cgroup_files.
Never: moves a thread that has its group already, so it may be called again.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from libvirtcore.drivers.qemu import cgroup
from libvirtcore.drivers.qemu import cgroup_files as files
from libvirtcore.drivers.qemu import cgroup_limits as limits
from libvirtcore.drivers.qemu.guest import Guest, Run
from libvirtcore.errors import report
from libvirtcore.generated import constants as c

if TYPE_CHECKING:
    from libvirtcore.conf import Domain


def place_vcpus(guest: Guest, run: Run) -> None:
    """Give each virtual CPU its group, and take away those of CPUs that are gone.

    Raises: VirError.
    """
    group, model = run.group, guest.live
    if group is None or model is None or not group.threaded:
        return
    threads = dict(zip(run.vcpu_numbers, run.vcpu_threads, strict=True))
    if len(set(threads.values())) != len(run.vcpu_threads) or run.process.pid in run.vcpu_threads:
        threads = {}  # one thread is all of them, and more
        if model.cputune is not None and (model.cputune.period or model.cputune.quota):
            raise report(
                c.VIR_ERR_CONFIG_UNSUPPORTED,
                c.VIR_FROM_QEMU,
                "cgroup cpu is required for scheduler tuning",
            )
    there = group.parts("vcpu")
    for number in there.keys() - threads.keys():
        files.remove(there[number])
    tune = model.cputune
    pins = {pin.vcpu: pin.cpuset for pin in tune.vcpupins} if tune is not None else {}
    for number, thread in sorted(threads.items()):
        _place(model, group, f"vcpu{number}", thread, pins.get(number))


def place_iothreads(guest: Guest, run: Run, threads: dict[int, int]) -> None:
    """Give each I/O thread its group; `threads` has them by number. Raises: VirError."""
    group, model = run.group, guest.live
    if group is None or model is None or not group.threaded:
        return
    pins = iothread_pins(model)
    for number, thread in sorted(threads.items()):
        _place(model, group, f"iothread{number}", thread, pins.get(number))


def iothread_pins(model: Domain) -> dict[int, str]:
    tune = model.cputune
    return {pin.iothread: pin.cpuset for pin in tune.iothreadpins} if tune is not None else {}


def _place(model: Domain, group: cgroup.Group, name: str, thread: int, pin: str | None) -> None:
    """Give a thread its group, unless it is there."""
    inside = files.peek(group.part(name), "cgroup.threads") or ""
    if str(thread) in inside.split():
        return
    folder = group.add_part(name)
    cgroup.limit_threads(model, group, name, pin)
    files.write(folder, "cgroup.threads", str(thread))


def iothreads(answer: Any) -> dict[int, int]:
    """Threads by number, from what QEMU says to query-iothreads."""
    found = {}
    for item in answer if isinstance(answer, list) else ():
        thread = item.get("thread-id") if isinstance(item, dict) else None
        number = str(item.get("id")).removeprefix("iothread") if isinstance(thread, int) else ""
        if isinstance(thread, int) and number.isdecimal():
            found[int(number)] = thread
    return found


def repin(group: cgroup.Group | None, name: str, cpus: str) -> None:
    """Move threads that have a group of their own to other CPUs. Raises: VirError."""
    if group is not None and "cpuset" in group.threaded and os.path.isdir(group.part(name)):
        limits.set_cpus(group.part(name), cpus)
