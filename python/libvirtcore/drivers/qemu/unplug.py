# SPDX-License-Identifier: LGPL-2.1-or-later
"""unplug.py: asks a guest to give up a device, waits a while, and clears up when it has.

The guest decides when it lets go, if ever. What comes in time the caller waits for; what comes
later is cleared up then, by itself.
Called by: detach. Calls: the monitor, events' waiters.
Never: waits longer than a few seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from libvirtcore.drivers.qemu.attach_replay import Undo
from libvirtcore.drivers.qemu.base import save_live
from libvirtcore.drivers.qemu.devices import forget_device
from libvirtcore.drivers.qemu.guest import Guest, Run
from libvirtcore.drivers.qemu.job import MODIFY
from libvirtcore.drivers.qemu.reactor import defer
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.qmp import QMPError

SECONDS = 5.0  # how long a guest may take to let go of a device while the caller waits


class Waiter:
    """Somebody who waits for a device's end, or has given up waiting."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._happened = threading.Event()
        self._late: Callable[[], None] | None = None
        self.failed = False

    def set(self) -> None:
        """It has ended, or the guest refused: called with the event's news."""
        with self._lock:
            late = None if self.failed else self._late
            self._happened.set()
        if late is not None:
            defer(late, "qemu-unplug")

    def wait(self, seconds: float, late: Callable[[], None]) -> bool:
        """Whether it happened in time; else `late` is called when it does."""
        if self._happened.wait(seconds):
            return True
        with self._lock:
            if self._happened.is_set():
                return True
            self._late = late
            return False


def unplug(guest: Guest, run: Run, alias: str, leavings: Sequence[Undo]) -> bool:
    """Remove a device from a running guest, and what served it; the job is held.

    Returns whether the guest has let go already. Raises: VirError when it refuses.
    """
    key = f"deleted:{alias}"
    waiter = Waiter()
    with guest.lock:
        run.waiters[key] = waiter
    try:
        guest.monitor().command("device_del", {"id": alias})
    except BaseException:
        with guest.lock:
            run.waiters.pop(key, None)
        raise

    def late() -> None:
        with guest.jobs.hold(MODIFY, "DeviceDeleted", guest.host.job_seconds):
            if guest.run is run:
                removed(guest, alias, leavings)

    if not waiter.wait(SECONDS, late):
        return False
    if waiter.failed:
        raise report(
            c.VIR_ERR_OPERATION_FAILED,
            c.VIR_FROM_QEMU,
            "unplug of device was rejected by the guest",
        )
    removed(guest, alias, leavings)
    return True


def removed(guest: Guest, alias: str, leavings: Sequence[Undo]) -> None:
    """A device is gone: clear up behind it and tell."""
    clear(guest, leavings)
    with guest.lock:
        forget_device(guest, alias)
        guest.host.tell(guest, c.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, (alias,))
    save_live(guest)


def clear(guest: Guest, leavings: Sequence[Undo]) -> None:
    """Remove what nothing uses any more; what QEMU does not let go of stays."""
    for name, arguments in leavings:
        try:
            guest.monitor().execute(name, arguments)
        except (QMPError, VirError):
            continue


def image_leavings(disk: Any) -> list[Undo]:
    """The nodes and secrets behind a disk, the topmost first."""
    from libvirtcore.drivers.qemu.stats_block import chain_of

    found: list[Undo] = []
    if getattr(disk.driver, "copy_on_read", None):
        found.append(("blockdev-del", {"node-name": f"libvirt-CoR-{disk.target.dev}"}))
    for image in chain_of(disk):
        if not image.index:
            continue
        node = f"libvirt-{image.index}"
        for part in ("format", "slice-sto", "storage"):
            if part != "slice-sto" or getattr(image.source, "slices", None) is not None:
                found.append(("blockdev-del", {"node-name": f"{node}-{part}"}))
        if getattr(image.source, "encryption", None) is not None:
            found.append(("object-del", {"id": f"{node}-format-encryption-secret0"}))
        if getattr(image.source, "auth", None) is not None:
            found.append(("object-del", {"id": f"{node}-storage-auth-secret0"}))
    return found
