# SPDX-License-Identifier: LGPL-2.1-or-later
"""vcpu_plug.py: virtual CPUs plugged into a running guest and taken out of it.

QEMU says which CPUs there could be (query-hotpluggable-cpus); they are numbered in the order of
their places. One that was there from the beginning has no name and stays.
Called by: drivers.qemu.vcpus, start (CPUs that a document wants plugged in). Calls: the monitor.
Never: says that a CPU is gone before QEMU does.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from libvirtcore.conf.tuning import Vcpus, VcpuState
from libvirtcore.drivers.qemu.cgroup_threads import place_vcpus
from libvirtcore.drivers.qemu.guest import Guest, Run, internal
from libvirtcore.drivers.qemu.info import max_vcpus
from libvirtcore.drivers.qemu.refresh import learn_threads
from libvirtcore.errors import report
from libvirtcore.generated import constants as c

if TYPE_CHECKING:
    from libvirtcore.conf import Domain

UNPLUG_SECONDS = 5.0  # how long a guest may take to let go of a CPU, as libvirt waits
_PLACE = ("node-id", "socket-id", "die-id", "cluster-id", "core-id", "thread-id")
_MOST = 4096  # CPUs that are believed


class _Gone(threading.Event):
    """Set when QEMU says what became of an unplug request."""

    failed = False


def slots(run: Run) -> list[dict[str, Any]]:
    """The places for CPUs, in order. Raises: VirError."""
    monitor = run.monitor
    assert monitor is not None
    answer = monitor.command("query-hotpluggable-cpus")
    if not isinstance(answer, list) or len(answer) > _MOST:
        raise internal("QEMU's list of CPUs is not what it should be")
    found = [item for item in answer if isinstance(item, dict)]
    for item in found:
        if item.get("vcpus-count") != 1 or not isinstance(item.get("props"), dict):
            raise report(
                c.VIR_ERR_OPERATION_UNSUPPORTED,
                c.VIR_FROM_QEMU,
                "virtual CPUs of this machine cannot be plugged one by one",
            )
    return sorted(found, key=lambda item: [_number(item["props"], name) for name in _PLACE])


def _number(props: dict[str, Any], name: str) -> int:
    value = props.get(name, 0)
    return value if isinstance(value, int) else 0


def set_count(guest: Guest, run: Run, wanted: int) -> None:
    """Make a running guest have `wanted` CPUs. Raises: VirError."""
    places = slots(run)
    plugged = [number for number, place in enumerate(places) if "qom-path" in place]
    free = [number for number in range(len(places)) if number not in plugged]
    if wanted > len(plugged):
        chosen = free[: wanted - len(plugged)]
        if len(chosen) < wanted - len(plugged):
            raise _out_of_reach()
        for number in chosen:
            plug(guest, run, number, places[number])
        return
    removable = [number for number in plugged if _named(guest, number)]
    excess = len(plugged) - wanted
    if excess > len(removable):
        raise _out_of_reach()
    for number in removable[len(removable) - excess :][::-1]:
        unplug(guest, run, number)


def _out_of_reach() -> Exception:
    return report(
        c.VIR_ERR_CONFIG_UNSUPPORTED,
        c.VIR_FROM_QEMU,
        "failed to find appropriate hotpluggable vcpus to reach the desired target vcpu count",
    )


def plug(guest: Guest, run: Run, number: int, place: dict[str, Any]) -> None:
    """Plug in one CPU. Raises: VirError."""
    from libvirtcore.drivers.qemu.vcpus import apply_pins

    monitor = run.monitor
    assert monitor is not None
    words = {"driver": place.get("type"), "id": f"vcpu{number}", **place["props"]}
    monitor.command("device_add", words)
    learn_threads(run)
    with guest.lock:
        live = guest.live
        if live is not None:
            _write(live, number, True)
    apply_pins(guest, run)


def unplug(guest: Guest, run: Run, number: int) -> None:
    """Ask the guest to let go of one CPU, and wait. Raises: VirError."""
    monitor = run.monitor
    assert monitor is not None
    alias = f"vcpu{number}"
    gone = _Gone()
    run.waiters[f"deleted:{alias}"] = gone
    try:
        monitor.command("device_del", {"id": alias})
        with guest.jobs.pause():
            done = gone.wait(UNPLUG_SECONDS)
    finally:
        run.waiters.pop(f"deleted:{alias}", None)
    if gone.failed:
        raise report(
            c.VIR_ERR_OPERATION_FAILED,
            c.VIR_FROM_QEMU,
            "vcpu unplug request was rejected by the guest OS",
        )
    if not done:
        raise report(
            c.VIR_ERR_OPERATION_TIMEOUT,
            c.VIR_FROM_QEMU,
            "vcpu unplug request timed out. Unplug result must be manually inspected in the domain",
        )
    forget(guest, run, number)


def forget(guest: Guest, run: Run, number: int) -> None:
    """A CPU is gone."""
    learn_threads(run)
    place_vcpus(guest, run)
    with guest.lock:
        if guest.live is not None:
            _write(guest.live, number, False)


def plug_wanted(guest: Guest, run: Run) -> None:
    """Plug in what a document wants beyond the CPUs that QEMU starts with. Raises: VirError."""
    live = guest.live
    assert live is not None
    wanted = live.vcpus.vcpus if live.vcpus is not None else []
    hot = [item for item in wanted if item.enabled and item.hotpluggable]
    if not hot:
        return
    places = slots(run)
    for item in sorted(hot, key=lambda item: (item.order or 0, item.id)):
        if item.id >= len(places):
            raise internal(f"there is no place for vcpu '{item.id}'")
        if "qom-path" not in places[item.id]:
            plug(guest, run, item.id, places[item.id])


# --- the model ------------------------------------------------------------------------------------


def states(model: Domain) -> list[VcpuState]:
    """Each CPU of a model; made from its numbers where it does not list them."""
    if model.vcpus is not None and model.vcpus.vcpus:
        return list(model.vcpus.vcpus)
    most = max_vcpus(model)
    now = model.vcpu.current or most
    return [
        VcpuState(
            id=number,
            enabled=number < now,
            hotpluggable=number >= now,
            order=number + 1 if number < now else None,
        )
        for number in range(most)
    ]


def write_states(model: Domain, each: list[VcpuState]) -> None:
    """Put CPUs into a model, with their number."""
    model.vcpus = Vcpus(vcpus=each)
    count = sum(1 for item in each if item.enabled)
    model.vcpu.current = count if count < max_vcpus(model) else None


def _write(model: Domain, number: int, enabled: bool) -> None:
    each = states(model)
    for item in each:
        if item.id == number and item.enabled != enabled:
            item.enabled, item.hotpluggable = enabled, True
            highest = max((other.order or 0 for other in each), default=0)
            item.order = highest + 1 if enabled else None
    write_states(model, each)


def _named(guest: Guest, number: int) -> bool:
    """Whether a CPU was plugged in, so that it has a name by which it can be taken out."""
    live = guest.live
    if live is None or live.vcpus is None:
        return False
    return any(item.id == number and bool(item.hotpluggable) for item in live.vcpus.vcpus)
