# SPDX-License-Identifier: LGPL-2.1-or-later
"""transfer.py: QEMU's stream of a guest out to a file or in from one, watched and abortable.

Called by: drivers.qemu.save, dump. Calls: the monitor.
Never: leaves a transfer running when it returns.
"""

from __future__ import annotations

import contextlib
import time
from functools import partial
from typing import Any

from libvirtcore.drivers.qemu.guest import Guest, Run, internal
from libvirtcore.drivers.qemu.job import Operation
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c

_ENDED = ("completed", "failed", "cancelled")
_LOOK_SECONDS = 0.5  # between two looks at the progress
_NO_LIMIT = (1 << 63) - (1 << 20)  # bytes per second that QEMU still takes


def outgoing(guest: Guest, run: Run, fd: int, operation: Operation) -> None:
    """Have QEMU write itself to a descriptor; the job is held. Raises: VirError."""
    monitor = guest.monitor()
    monitor.command("migrate-set-parameters", {"max-bandwidth": _NO_LIMIT})
    _tell_of_progress(monitor)
    monitor.command("getfd", {"fdname": "migrate"}, fds=[fd])
    run.waiters["migration"] = ""
    monitor.command("migrate", {"uri": "fd:migrate", "detach": True})
    _wait(guest, run, operation)


def incoming(guest: Guest, run: Run, fd: int, seconds: float = 600.0) -> None:
    """Have a QEMU that waits for it read itself from a descriptor. Raises: VirError."""
    monitor = run.monitor
    assert monitor is not None
    _tell_of_progress(monitor)
    run.waiters["migration"] = ""
    monitor.command("getfd", {"fdname": "restore"}, fds=[fd])
    monitor.command("migrate-incoming", {"uri": "fd:restore"})
    end = time.monotonic() + seconds
    while (status := _status(run)) not in _ENDED:
        if monitor.closed or guest.run is not run:
            raise internal("QEMU ended while it read the saved guest")
        if time.monotonic() > end:
            raise report(
                c.VIR_ERR_OPERATION_TIMEOUT, c.VIR_FROM_QEMU, "QEMU does not read the saved guest"
            )
        with run.changed:
            run.changed.wait_for(lambda: _finished(guest, run), _LOOK_SECONDS)
    if status != "completed":
        raise internal("QEMU could not read the saved guest")


def _tell_of_progress(monitor: Any) -> None:
    monitor.command(
        "migrate-set-capabilities", {"capabilities": [{"capability": "events", "state": True}]}
    )


def _status(run: Run) -> str:
    return str(run.waiters.get("migration"))


def _finished(guest: Guest, run: Run) -> bool:
    return _status(run) in _ENDED or guest.run is not run


def _due(guest: Guest, run: Run, operation: Operation, cancelled: bool) -> bool:
    """Whether there is something to do before the next look."""
    return _finished(guest, run) or (operation.aborted and not cancelled)


def _wait(guest: Guest, run: Run, operation: Operation) -> None:
    cancelled = False
    while _status(run) not in _ENDED:
        if guest.run is not run or run.stopping:
            raise report(c.VIR_ERR_OPERATION_FAILED, c.VIR_FROM_QEMU, "domain is no longer running")
        if operation.aborted and not cancelled:
            cancelled = True
            guest.monitor().command("migrate_cancel")
        with guest.jobs.pause(), run.changed:
            run.changed.wait_for(partial(_due, guest, run, operation, cancelled), _LOOK_SECONDS)
        if not _finished(guest, run):
            look(guest, operation)
    answer = look(guest, operation)
    if _status(run) == "completed":
        return
    if _status(run) == "cancelled" or operation.aborted:
        raise report(
            c.VIR_ERR_OPERATION_ABORTED,
            c.VIR_FROM_QEMU,
            f"{operation.title}: canceled by client",
        )
    why = answer.get("error-desc") or "unexpectedly failed"
    raise report(c.VIR_ERR_OPERATION_FAILED, c.VIR_FROM_QEMU, f"{operation.title}: {why}")


def look(guest: Guest, operation: Operation) -> dict[str, Any]:
    """Ask how far QEMU has come."""
    answer: Any = {}
    with contextlib.suppress(VirError):
        answer = guest.monitor().command("query-migrate")
    if not isinstance(answer, dict):
        return {}
    ram = answer.get("ram")
    ram = ram if isinstance(ram, dict) else {}
    progress: dict[str, int] = {}

    def take(name: str, source: dict[str, Any], key: str, unit: int = 1) -> None:
        value = source.get(key)
        if isinstance(value, (int, float)):
            progress[name] = int(value * unit)

    take("downtime", answer, "downtime")
    take("setup_time", answer, "setup-time")
    for name, key in (("total", "total"), ("processed", "transferred"), ("remaining", "remaining")):
        take(f"data_{name}", ram, key)
    for name, key in (("total", "total"), ("processed", "transferred"), ("remaining", "remaining")):
        take(f"memory_{name}", ram, key)
    take("memory_bps", ram, "mbps", 125000)
    take("memory_constant", ram, "duplicate")
    take("memory_normal", ram, "normal")
    take("memory_normal_bytes", ram, "normal-bytes")
    take("memory_dirty_rate", ram, "dirty-pages-rate")
    take("memory_iteration", ram, "dirty-sync-count")
    take("memory_postcopy_requests", ram, "postcopy-requests")
    take("memory_page_size", ram, "page-size")
    operation.progress = progress
    return answer
