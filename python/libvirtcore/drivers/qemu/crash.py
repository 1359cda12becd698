# SPDX-License-Identifier: LGPL-2.1-or-later
"""crash.py: what becomes of a guest whose system crashed: on_crash of its document.

Called by: drivers.qemu.events, in a thread of its own. Calls: dump, lifecycle.
Never: runs twice for one crash.
"""

from __future__ import annotations

from libvirtcore.drivers.qemu.dump import automatic_path, dump
from libvirtcore.drivers.qemu.guest import Guest, Run
from libvirtcore.drivers.qemu.job import MODIFY
from libvirtcore.drivers.qemu.lifecycle import destroy
from libvirtcore.drivers.qemu.start import run_cpus
from libvirtcore.drivers.qemu.status import record
from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c
from libvirtcore.log import WARNING, log


def act(guest: Guest, run: Run) -> None:
    """Do what the document says."""
    with guest.jobs.hold(MODIFY, "DomainCrash", guest.host.job_seconds):
        live = guest.live
        if guest.run is not run or live is None or guest.state != c.VIR_DOMAIN_CRASHED:
            return
        action = live.on_crash or "destroy"
        if action.startswith("coredump-"):
            try:
                dump(guest, automatic_path(guest), 0, c.VIR_DUMP_MEMORY_ONLY)
            except VirError as fault:
                log(WARNING, "drivers.qemu.crash", f"no dump of '{guest.name}': {fault.message}")
            action = action.removeprefix("coredump-")
        if action == "destroy":
            destroy(
                guest,
                reason=c.VIR_DOMAIN_SHUTOFF_CRASHED,
                detail=c.VIR_DOMAIN_EVENT_STOPPED_CRASHED,
            )
        elif action == "restart":
            guest.monitor().command("system_reset")
            with guest.lock:
                guest.set_state(c.VIR_DOMAIN_PAUSED, c.VIR_DOMAIN_PAUSED_CRASHED)
            run_cpus(guest, run, c.VIR_DOMAIN_RUNNING_BOOTED)
            record(guest, run)
