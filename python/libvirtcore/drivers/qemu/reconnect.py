# SPDX-License-Identifier: LGPL-2.1-or-later
"""reconnect.py: how a host begins: load, find guests that run, start those that shall.

A guest runs if its status names a process that lives and began when the status says. One whose
start was not finished is ended: nobody was told that it runs. What happened while nobody listened
is found out from QEMU, and told.
Called by: drivers.qemu.host, with its root locked. Calls: store, process, start, stop.
Never: fails because of one guest.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from typing import Any

from libvirtcore.conf import Domain
from libvirtcore.drivers.qemu import documents, files
from libvirtcore.drivers.qemu.cgroup_threads import place_vcpus
from libvirtcore.drivers.qemu.guest import RUNNING, Guest, Run
from libvirtcore.drivers.qemu.host import Host, for_each
from libvirtcore.drivers.qemu.job import MODIFY
from libvirtcore.drivers.qemu.process import Process, boot_id
from libvirtcore.drivers.qemu.reactor import defer
from libvirtcore.drivers.qemu.refresh import refresh
from libvirtcore.drivers.qemu.save_file import managed_path
from libvirtcore.drivers.qemu.start import Wish, launch, open_monitor, run_cpus
from libvirtcore.drivers.qemu.status import record
from libvirtcore.drivers.qemu.stop import close_run, finalise, remove_folders
from libvirtcore.drivers.qemu.store import Status
from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c
from libvirtcore.log import ERROR, WARNING, log

_SOURCE = "drivers.qemu.reconnect"
SECONDS = 2.0  # how long a beginning host waits for QEMUs that do not answer
PATIENCE = 86400.0  # how long such a QEMU may take, while all else goes on

# QEMU's run state → ours. Anything else is a guest that stands still for an unknown reason.
_STATES = {
    "running": (c.VIR_DOMAIN_RUNNING, c.VIR_DOMAIN_RUNNING_UNKNOWN),
    "suspended": (c.VIR_DOMAIN_PMSUSPENDED, c.VIR_DOMAIN_PMSUSPENDED_UNKNOWN),
    "shutdown": (c.VIR_DOMAIN_SHUTDOWN, c.VIR_DOMAIN_SHUTDOWN_UNKNOWN),
    "guest-panicked": (c.VIR_DOMAIN_CRASHED, c.VIR_DOMAIN_CRASHED_PANICKED),
    "io-error": (c.VIR_DOMAIN_PAUSED, c.VIR_DOMAIN_PAUSED_IOERROR),
    "watchdog": (c.VIR_DOMAIN_PAUSED, c.VIR_DOMAIN_PAUSED_WATCHDOG),
}


def load_all(host: Host) -> None:
    """Read the definitions."""
    for name, model in host.store.configs():
        try:
            with host.defining:
                if host.claim(model, active_ok=True) is not None:
                    continue
                guest = Guest(host, model.name, documents.uuid_bytes(model))
                guest.config = model
                guest.autostart = host.store.has_autostart(name)
                host.add(guest)
        except (VirError, ValueError) as fault:
            log(ERROR, _SOURCE, f"{host.store.config_path(name)} is left alone: {fault}")


def adopt_all(host: Host) -> None:
    """Find the guests that run. Slow QEMUs are waited for side by side, and not for ever: one that
    stands still is as it was on record until it answers, and nobody may change it before."""
    folders = set()
    threads = []
    for name, status in host.store.statuses():
        try:
            found = _claim(host, name, status)
        except (VirError, ValueError) as fault:
            log(ERROR, _SOURCE, f"{host.store.status_path(name)} is left alone: {fault}")
            folders.add(status.folder)
            continue
        if found is None:
            continue
        guest, run = found
        folders.add(run.folder)
        thread = threading.Thread(target=_guarded_adopt, args=(guest, run, status), daemon=True)
        thread.start()
        threads.append(thread)
    until = time.monotonic() + SECONDS
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    _sweep(host, folders)


def _claim(host: Host, name: str, status: Status) -> tuple[Guest, Run] | None:
    """The guest of a status file and its process; None when that is gone, which is told."""
    model = Domain.parse(status.xml, 0)
    if model.name != name:
        raise ValueError(f"it is of a domain named '{model.name}'")
    with host.defining:
        guest = host.claim(model, active_ok=True)
        if guest is None:
            guest = Guest(host, model.name, documents.uuid_bytes(model))
            host.add(guest)
    host.used_id(status.id)
    process = None
    if status.boot == boot_id():
        process = Process.adopt(status.pid, status.started)
    guest.live, guest.id = model, status.id
    model.id = status.id
    guest.set_state(status.state, status.reason)
    if process is None:
        host.groups.sweep(status.id, model)
        _gone(guest, status)
        return None
    run = Run(process, None, status.folder, phase=status.phase, mortal=status.mortal)
    run.fake_reboot = status.fake_reboot
    run.group = host.groups.find(status.id, name, status.pid)
    guest.run = run
    return guest, run


def _gone(guest: Guest, status: Status) -> None:
    """A guest ended while nobody listened."""
    host = guest.host
    guest.live, guest.id = None, -1
    shut_down = status.state == c.VIR_DOMAIN_SHUTDOWN
    guest.set_state(
        c.VIR_DOMAIN_SHUTOFF,
        c.VIR_DOMAIN_SHUTOFF_SHUTDOWN if shut_down else c.VIR_DOMAIN_SHUTOFF_UNKNOWN,
    )
    host.store.remove_status(guest.name)
    if status.folder.startswith(host.paths.lib + os.sep):
        remove_folders(host.paths.lib, status.folder)
    if not guest.persistent:
        host.remove(guest)


def _guarded_adopt(guest: Guest, run: Run, status: Status) -> None:
    try:
        with guest.jobs.hold(MODIFY, "Reconnect", guest.host.job_seconds):
            _adopt(guest, run, status)
    except Exception as fault:
        message = fault.message if isinstance(fault, VirError) else repr(fault)
        log(WARNING, _SOURCE, f"domain '{guest.name}' is given up: {message}")
        _end(guest, run, c.VIR_DOMAIN_SHUTOFF_DAEMON)


def _end(guest: Guest, run: Run, reason: int) -> None:
    if guest.run is not run or run.stopping:
        return
    run.stopping = True
    run.process.kill()
    finalise(guest, run, reason, c.VIR_DOMAIN_EVENT_STOPPED_FAILED)


def _adopt(guest: Guest, run: Run, status: Status) -> None:
    if status.phase != RUNNING:
        log(WARNING, _SOURCE, f"domain '{guest.name}' was being started and is ended")
        _end(guest, run, c.VIR_DOMAIN_SHUTOFF_FAILED)
        return
    if status.mortal:
        log(WARNING, _SOURCE, f"domain '{guest.name}' has outlived its owner and is ended")
        _end(guest, run, c.VIR_DOMAIN_SHUTOFF_DESTROYED)
        return
    open_monitor(guest, run, PATIENCE)
    if run.stopping:  # the host was closed meanwhile
        close_run(run)
        return
    monitor = run.monitor
    assert monitor is not None
    answer = monitor.command("query-status")
    refresh(guest, run)
    _place(guest, run)
    files.remove(managed_path(guest.host, guest.name))  # it runs: what was saved is the past
    _reconcile(guest, run, answer if isinstance(answer, dict) else {}, status)
    record(guest, run)


def _place(guest: Guest, run: Run) -> None:
    """Give a CPU that was being plugged in its control group; it runs, so without is possible."""
    try:
        place_vcpus(guest, run)
    except VirError as fault:
        log(WARNING, _SOURCE, f"domain '{guest.name}': {fault.message}")


def _reconcile(guest: Guest, run: Run, answer: dict[str, Any], status: Status) -> None:
    """Make the state what QEMU says it is; a reason on record stays while it still fits."""
    word = str(answer.get("status"))
    state, reason = _STATES.get(word, (c.VIR_DOMAIN_PAUSED, c.VIR_DOMAIN_PAUSED_UNKNOWN))
    monitor = run.monitor
    assert monitor is not None
    if status.job and word in ("running", "paused", "postmigrate", "finish-migrate"):
        _cancel_operation(guest, run, word)
        return
    with guest.lock:
        if guest.run is not run or guest.state == state:
            return
        if state == c.VIR_DOMAIN_RUNNING:
            guest.set_state(state, reason)
            guest.tell(c.VIR_DOMAIN_EVENT_RESUMED, c.VIR_DOMAIN_EVENT_RESUMED_UNPAUSED)
        elif state == c.VIR_DOMAIN_PAUSED:
            guest.set_state(c.VIR_DOMAIN_RUNNING, c.VIR_DOMAIN_RUNNING_UNKNOWN)
            guest.paused(reason)
        else:
            guest.set_state(state, reason)
    if state == c.VIR_DOMAIN_SHUTDOWN and not run.fake_reboot:
        run.process.send(signal.SIGTERM)


def _cancel_operation(guest: Guest, run: Run, word: str) -> None:
    """A save or dump was cut off: the guest goes on as it was before."""
    monitor = run.monitor
    assert monitor is not None
    with contextlib.suppress(VirError):
        monitor.command("migrate_cancel")
    with guest.lock:
        guest.set_state(c.VIR_DOMAIN_PAUSED, c.VIR_DOMAIN_PAUSED_UNKNOWN)
    if word != "running":
        run_cpus(guest, run, c.VIR_DOMAIN_RUNNING_SAVE_CANCELED)
    else:
        with guest.lock:
            guest.set_state(c.VIR_DOMAIN_RUNNING, c.VIR_DOMAIN_RUNNING_SAVE_CANCELED)


def _sweep(host: Host, keep: set[str]) -> None:
    """Remove the folders of guests that are gone."""
    with contextlib.suppress(OSError):
        for name in os.listdir(host.paths.lib):
            path = os.path.join(host.paths.lib, name)
            if name.startswith("domain-") and path not in keep and not os.path.islink(path):
                remove_folders(host.paths.lib, path)


def autostart_all(host: Host) -> None:
    """Start what shall start with the host, without keeping anybody waiting."""
    waiting = [guest for guest in host.guests() if guest.autostart and not guest.active]
    if waiting:
        defer(lambda: for_each(waiting, _autostart), "qemu-autostart")


def _autostart(guest: Guest) -> None:
    from libvirtcore.drivers.qemu.save import restore_managed

    with guest.jobs.hold(MODIFY, "DomainCreate", guest.host.job_seconds):
        if guest.active or guest.config is None:
            return
        if restore_managed(guest, Wish()):
            return
        launch(guest, guest.config, Wish())
