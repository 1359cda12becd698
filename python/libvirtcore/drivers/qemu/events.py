# SPDX-License-Identifier: LGPL-2.1-or-later
"""events.py: what QEMU says by itself → what the guest is, and what subscribers hear.

Handlers run in the order of QEMU's events, in the thread that read them; they change fields and
queue events, and leave to another thread what must talk to QEMU.
Called by: drivers.qemu.monitor. Calls: guest, status, reactor.defer.
Never: trusts the form of an event; waits.
"""

from __future__ import annotations

import json
import signal
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from libvirtcore.drivers.qemu.devices import disk_of, forget_device
from libvirtcore.drivers.qemu.guest import Guest, Run
from libvirtcore.drivers.qemu.reactor import defer
from libvirtcore.drivers.qemu.status import record, record_state
from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c
from libvirtcore.log import ERROR, WARNING, log

if TYPE_CHECKING:
    from libvirtcore.qmp import Event

Handler = "Callable[[Guest, Run, dict[str, Any]], None]"
_SOURCE = "drivers.qemu.events"

_WATCHDOG = {
    "none": c.VIR_DOMAIN_EVENT_WATCHDOG_NONE,
    "pause": c.VIR_DOMAIN_EVENT_WATCHDOG_PAUSE,
    "reset": c.VIR_DOMAIN_EVENT_WATCHDOG_RESET,
    "poweroff": c.VIR_DOMAIN_EVENT_WATCHDOG_POWEROFF,
    "shutdown": c.VIR_DOMAIN_EVENT_WATCHDOG_SHUTDOWN,
    "debug": c.VIR_DOMAIN_EVENT_WATCHDOG_DEBUG,
    "inject-nmi": c.VIR_DOMAIN_EVENT_WATCHDOG_INJECTNMI,
}
_IO_ERROR = {
    "ignore": c.VIR_DOMAIN_EVENT_IO_ERROR_NONE,
    "stop": c.VIR_DOMAIN_EVENT_IO_ERROR_PAUSE,
    "report": c.VIR_DOMAIN_EVENT_IO_ERROR_REPORT,
}


def handle_event(guest: Guest, run: Run, event: Event) -> None:
    """Act on one event of a guest's QEMU."""
    if guest.run is not run:
        return
    data = event.data if isinstance(event.data, dict) else {}
    details = json.dumps(event.data, separators=(",", ":")) if event.data is not None else None
    guest.host.tell_monitor(guest, (event.name, event.seconds, event.microseconds, details))
    handler = HANDLERS.get(event.name)
    if handler is None:
        return
    try:
        with guest.lock:
            if guest.run is run:
                handler(guest, run, data)
    except Exception:  # a QEMU that lies costs its own guest an event, nothing else
        log(ERROR, _SOURCE, f"domain '{guest.name}': {event.name}: {traceback.format_exc()}")


# --- running, paused ------------------------------------------------------------------------------


def _stop(guest: Guest, run: Run, _data: dict[str, Any]) -> None:
    if guest.paused(run.pause_reason):
        run.pause_reason = c.VIR_DOMAIN_PAUSED_UNKNOWN
        record_state(guest, run)


def _resume(guest: Guest, run: Run, _data: dict[str, Any]) -> None:
    if guest.resumed(run.resume_reason):
        record_state(guest, run)


def _suspend(guest: Guest, run: Run, _data: dict[str, Any]) -> None:
    if guest.state == c.VIR_DOMAIN_RUNNING:
        guest.set_state(c.VIR_DOMAIN_PMSUSPENDED, c.VIR_DOMAIN_PMSUSPENDED_UNKNOWN)
        guest.tell(c.VIR_DOMAIN_EVENT_PMSUSPENDED, c.VIR_DOMAIN_EVENT_PMSUSPENDED_MEMORY)
        record_state(guest, run)
    guest.host.tell(guest, c.VIR_DOMAIN_EVENT_ID_PMSUSPEND, (0,))


def _suspend_disk(guest: Guest, run: Run, _data: dict[str, Any]) -> None:
    if guest.state == c.VIR_DOMAIN_RUNNING:
        guest.set_state(c.VIR_DOMAIN_PMSUSPENDED, c.VIR_DOMAIN_PMSUSPENDED_UNKNOWN)
        guest.tell(c.VIR_DOMAIN_EVENT_PMSUSPENDED, c.VIR_DOMAIN_EVENT_PMSUSPENDED_DISK)
        record_state(guest, run)
    guest.host.tell(guest, c.VIR_DOMAIN_EVENT_ID_PMSUSPEND_DISK, (0,))


def _wakeup(guest: Guest, run: Run, _data: dict[str, Any]) -> None:
    if guest.state == c.VIR_DOMAIN_PMSUSPENDED:
        guest.set_state(c.VIR_DOMAIN_RUNNING, c.VIR_DOMAIN_RUNNING_WAKEUP)
        guest.tell(c.VIR_DOMAIN_EVENT_STARTED, c.VIR_DOMAIN_EVENT_STARTED_WAKEUP)
        record_state(guest, run)
    guest.host.tell(guest, c.VIR_DOMAIN_EVENT_ID_PMWAKEUP, (0,))


# --- the end and the beginning --------------------------------------------------------------------


def _shutdown(guest: Guest, run: Run, data: dict[str, Any]) -> None:
    if guest.state == c.VIR_DOMAIN_SHUTDOWN:
        return
    by_guest = data.get("guest")
    if by_guest is None:
        detail = c.VIR_DOMAIN_EVENT_SHUTDOWN_FINISHED
    elif by_guest:
        detail = c.VIR_DOMAIN_EVENT_SHUTDOWN_GUEST
    else:
        detail = c.VIR_DOMAIN_EVENT_SHUTDOWN_HOST
    guest.set_state(c.VIR_DOMAIN_SHUTDOWN, c.VIR_DOMAIN_SHUTDOWN_UNKNOWN)
    guest.tell(c.VIR_DOMAIN_EVENT_SHUTDOWN, detail)
    record_state(guest, run)
    if run.stopping:
        return
    live = guest.live
    restart = live is not None and live.on_poweroff == "restart" and data.get("reason") not in (
        "guest-reset", "host-qmp-system-reset", "host-signal", "host-qmp-quit",
    )  # fmt: skip
    if run.fake_reboot or restart:
        defer(lambda: _boot_again(guest, run), f"reboot-{guest.id}")
    else:
        run.process.send(signal.SIGTERM)  # QEMU waits with what it holds until it is told


def _boot_again(guest: Guest, run: Run) -> None:
    """A guest that shut down shall run on: what a reboot without QEMU's help is."""
    monitor = run.monitor
    if monitor is None or guest.run is not run:
        return
    try:
        with guest.jobs.hold(1, "DomainReboot", guest.host.job_seconds):
            if guest.run is not run:
                return
            run.fake_reboot = False
            run.resume_reason = c.VIR_DOMAIN_RUNNING_BOOTED
            monitor.command("system_reset")
            with guest.lock:
                guest.set_state(c.VIR_DOMAIN_PAUSED, c.VIR_DOMAIN_PAUSED_USER)
            monitor.command("cont")
            guest.resumed(c.VIR_DOMAIN_RUNNING_BOOTED)
            run.resume_reason = c.VIR_DOMAIN_RUNNING_UNPAUSED
            record(guest, run)
    except VirError as fault:
        log(WARNING, _SOURCE, f"domain '{guest.name}' does not boot again: {fault.message}")
        run.process.send(signal.SIGTERM)


def _reset(guest: Guest, run: Run, _data: dict[str, Any]) -> None:
    ends = guest.live is not None and guest.live.on_reboot in ("destroy", "preserve")
    if ends:
        if not run.stopping:
            run.process.send(signal.SIGTERM)
        return
    run.balloon_actual = None
    if guest.state == c.VIR_DOMAIN_CRASHED:
        guest.set_state(c.VIR_DOMAIN_PAUSED, c.VIR_DOMAIN_PAUSED_CRASHED)
    guest.host.tell(guest, c.VIR_DOMAIN_EVENT_ID_REBOOT, ())


def _panicked(guest: Guest, run: Run, _data: dict[str, Any]) -> None:
    if guest.state == c.VIR_DOMAIN_CRASHED:
        return
    guest.set_state(c.VIR_DOMAIN_CRASHED, c.VIR_DOMAIN_CRASHED_PANICKED)
    guest.tell(c.VIR_DOMAIN_EVENT_CRASHED, c.VIR_DOMAIN_EVENT_CRASHED_PANICKED)
    record_state(guest, run)
    from libvirtcore.drivers.qemu.crash import act

    defer(lambda: act(guest, run), f"crash-{guest.id}")


def _watchdog(guest: Guest, run: Run, data: dict[str, Any]) -> None:
    action = str(data.get("action"))
    if action == "pause" and guest.state == c.VIR_DOMAIN_RUNNING:
        run.pause_reason = c.VIR_DOMAIN_PAUSED_WATCHDOG
    guest.host.tell(guest, c.VIR_DOMAIN_EVENT_ID_WATCHDOG, (_WATCHDOG.get(action, 0),))


# --- devices --------------------------------------------------------------------------------------


def _io_error(guest: Guest, run: Run, data: dict[str, Any]) -> None:
    action = str(data.get("action"))
    reason = "enospc" if data.get("nospace") else str(data.get("reason") or "")
    node = str(data.get("node-name") or data.get("device") or "")
    disk = disk_of(guest.live, node)
    alias = getattr(getattr(disk, "alias", None), "name", None) or ""
    source = getattr(getattr(disk, "source", None), "file", None) or ""
    code = _IO_ERROR.get(action, c.VIR_DOMAIN_EVENT_IO_ERROR_NONE)
    if action == "stop" and guest.state == c.VIR_DOMAIN_RUNNING:
        run.pause_reason = c.VIR_DOMAIN_PAUSED_IOERROR
    tell = guest.host.tell
    tell(guest, c.VIR_DOMAIN_EVENT_ID_IO_ERROR, (source, alias, code))
    short = "enospc" if reason == "enospc" else ""
    tell(guest, c.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, (source, alias, code, short))


def _rtc_change(guest: Guest, _run: Run, data: dict[str, Any]) -> None:
    guest.host.tell(guest, c.VIR_DOMAIN_EVENT_ID_RTC_CHANGE, (_integer(data, "offset"),))


def _balloon(guest: Guest, run: Run, data: dict[str, Any]) -> None:
    run.balloon_actual = actual = _integer(data, "actual") // 1024
    live = guest.live
    if live is not None:
        live.current_memory = actual
    guest.host.tell(guest, c.VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, (actual,))
    record(guest, run)


def _device_deleted(guest: Guest, run: Run, data: dict[str, Any]) -> None:
    alias = data.get("device")
    if not isinstance(alias, str):
        return  # part of a device, or one that nobody named
    waiter = run.waiters.pop(f"deleted:{alias}", None)
    if waiter is not None:
        waiter.set()
        return  # whoever waits does the rest
    forget_device(guest, alias)
    guest.host.tell(guest, c.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, (alias,))
    record(guest, run)


def _device_unplug_error(guest: Guest, run: Run, data: dict[str, Any]) -> None:
    alias = data.get("device")
    if isinstance(alias, str):
        waiter = run.waiters.pop(f"deleted:{alias}", None)
        if waiter is not None:
            waiter.failed = True
            waiter.set()
        guest.host.tell(guest, c.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED, (alias,))


def _tray_moved(guest: Guest, run: Run, data: dict[str, Any]) -> None:
    opened = bool(data.get("tray-open"))
    disk = disk_of(guest.live, str(data.get("id") or data.get("device") or ""))
    alias = getattr(getattr(disk, "alias", None), "name", None)
    if disk is None or alias is None:
        return
    if disk.target is not None:
        disk.target.tray = "open" if opened else None
    reason = c.VIR_DOMAIN_EVENT_TRAY_CHANGE_OPEN if opened else c.VIR_DOMAIN_EVENT_TRAY_CHANGE_CLOSE
    guest.host.tell(guest, c.VIR_DOMAIN_EVENT_ID_TRAY_CHANGE, (alias, reason))
    record(guest, run)


def _port_change(guest: Guest, run: Run, data: dict[str, Any]) -> None:
    from libvirtcore.drivers.qemu.devices import channel_changed

    changed = channel_changed(guest.live, str(data.get("id")), bool(data.get("open")))
    if changed == "agent":
        state = 1 if data.get("open") else 2
        guest.host.tell(
            guest,
            c.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE,
            (state, c.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_CHANNEL),
        )
    if changed:
        record(guest, run)


_PHASE = {
    "VNC_CONNECTED": c.VIR_DOMAIN_EVENT_GRAPHICS_CONNECT,
    "VNC_INITIALIZED": c.VIR_DOMAIN_EVENT_GRAPHICS_INITIALIZE,
    "VNC_DISCONNECTED": c.VIR_DOMAIN_EVENT_GRAPHICS_DISCONNECT,
}
_FAMILY = {
    "ipv4": c.VIR_DOMAIN_EVENT_GRAPHICS_ADDRESS_IPV4,
    "ipv6": c.VIR_DOMAIN_EVENT_GRAPHICS_ADDRESS_IPV6,
    "unix": c.VIR_DOMAIN_EVENT_GRAPHICS_ADDRESS_UNIX,
}


def _graphics(phase: int) -> Callable[[Guest, Run, dict[str, Any]], None]:
    def handler(guest: Guest, _run: Run, data: dict[str, Any]) -> None:
        ends = []
        for end in ("client", "server"):
            side = data.get(end)
            side = side if isinstance(side, dict) else {}
            family = _FAMILY.get(str(side.get("family")), 0)
            ends.append((family, str(side.get("host", "")), str(side.get("service", ""))))
        client, server = data.get("client") or {}, data.get("server") or {}
        identities = []
        if isinstance(client, dict):
            if client.get("x509_dname"):
                identities.append(("x509dname", str(client["x509_dname"])))
            if client.get("sasl_username"):
                identities.append(("saslUsername", str(client["sasl_username"])))
        auth = str(server.get("auth") or "") if isinstance(server, dict) else ""
        # Of the connection: local is QEMU's end, remote the viewer's.
        guest.host.tell(
            guest,
            c.VIR_DOMAIN_EVENT_ID_GRAPHICS,
            (phase, ends[1], ends[0], auth, identities),
        )

    return handler


# --- long operations ------------------------------------------------------------------------------


def _migration(guest: Guest, run: Run, data: dict[str, Any]) -> None:
    with run.changed:
        run.waiters["migration"] = str(data.get("status"))
        run.changed.notify_all()


def _migration_pass(guest: Guest, _run: Run, data: dict[str, Any]) -> None:
    number = _integer(data, "pass")
    guest.host.tell(guest, c.VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION, (number,))


def _dump_completed(guest: Guest, run: Run, data: dict[str, Any]) -> None:
    with run.changed:
        run.waiters["dump"] = str(data.get("error") or "")
        run.changed.notify_all()


def _integer(data: dict[str, Any], name: str) -> int:
    value = data.get(name)
    return value if isinstance(value, int) else 0


HANDLERS: dict[str, Callable[[Guest, Run, dict[str, Any]], None]] = {
    "STOP": _stop,
    "RESUME": _resume,
    "SUSPEND": _suspend,
    "SUSPEND_DISK": _suspend_disk,
    "WAKEUP": _wakeup,
    "SHUTDOWN": _shutdown,
    "RESET": _reset,
    "GUEST_PANICKED": _panicked,
    "WATCHDOG": _watchdog,
    "BLOCK_IO_ERROR": _io_error,
    "RTC_CHANGE": _rtc_change,
    "BALLOON_CHANGE": _balloon,
    "DEVICE_DELETED": _device_deleted,
    "DEVICE_UNPLUG_GUEST_ERROR": _device_unplug_error,
    "DEVICE_TRAY_MOVED": _tray_moved,
    "VSERPORT_CHANGE": _port_change,
    "MIGRATION": _migration,
    "MIGRATION_PASS": _migration_pass,
    "DUMP_COMPLETED": _dump_completed,
    **{name: _graphics(phase) for name, phase in _PHASE.items()},
}
