# SPDX-License-Identifier: LGPL-2.1-or-later
"""status.py: puts on record what a running guest is, for whoever comes after this process.

Called by: whatever changes a running guest. Calls: store.
Never: fails a change because it cannot be recorded, once the guest runs.
"""

from __future__ import annotations

from libvirtcore.drivers.qemu.guest import STARTING, Guest, Run
from libvirtcore.drivers.qemu.process import boot_id
from libvirtcore.drivers.qemu.store import Status
from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c
from libvirtcore.log import ERROR, log

_BOOT = boot_id()


def record_state(guest: Guest, run: Run) -> None:
    """Write the status of a guest of which only state, reason and the like have changed."""
    record(guest, run, run.recorded)


def record(guest: Guest, run: Run, xml: str | None = None) -> None:
    """Write the status of a guest; `xml` is its document, if that is at hand.

    Raises: VirError, while it is being started.
    """
    with guest.lock:
        live = guest.live
        if guest.run is not run or live is None:
            return
        operation = guest.jobs.operation
        if xml is None:
            run.recorded = xml = live.format(c.VIR_DOMAIN_XML_SECURE)
        status = Status(
            pid=run.process.pid,
            started=run.process.started,
            boot=_BOOT,
            id=guest.id,
            state=guest.state,
            reason=guest.reason,
            phase=run.phase,
            folder=run.folder,
            mortal=run.mortal or run.owner is not None,
            fake_reboot=run.fake_reboot,
            transient=not guest.persistent,
            job=operation.name if operation is not None else "",
            xml=xml,
        )
        try:
            guest.host.store.save_status(guest.name, status)
        except VirError as fault:
            if run.phase == STARTING:
                raise
            log(ERROR, "drivers.qemu.status", fault.message)
