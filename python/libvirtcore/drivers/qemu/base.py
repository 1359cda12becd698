# SPDX-License-Identifier: LGPL-2.1-or-later
"""base.py: what every part of the driver's calls needs: the host, the job, which model flags mean.

Called by: the mixins of drivers.qemu. Calls: guest, job.
Never: is a call itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from libvirtcore import deadline
from libvirtcore.drivers.qemu.guest import Guest
from libvirtcore.drivers.qemu.job import MODIFY
from libvirtcore.drivers.qemu.status import record
from libvirtcore.errors import report
from libvirtcore.generated import constants as c
from libvirtcore.handles import ConnectHandle, DomainHandle

if TYPE_CHECKING:
    from libvirtcore.conf import Domain
    from libvirtcore.drivers.qemu.host import Host

LIVE = c.VIR_DOMAIN_AFFECT_LIVE
CONFIG = c.VIR_DOMAIN_AFFECT_CONFIG


class Calls:
    """Base of the mixins."""

    host: Host
    conn: ConnectHandle
    _closed: bool  # the client has gone

    def _handle(self, guest: Guest) -> DomainHandle:
        return DomainHandle(self.conn, guest.name, guest.uuid, guest.id)

    @contextmanager
    def _job(self, dom: DomainHandle, name: str, kind: int = MODIFY) -> Iterator[Guest]:
        """The guest of a handle with its job held. Raises: VirError."""
        guest = self.host.find(dom)
        jobs = guest.jobs
        jobs.acquire(kind, name, self._patience())
        try:
            yield guest
        finally:
            jobs.release()

    def _patience(self) -> float:
        left = deadline.remaining(self.host.job_seconds)
        assert left is not None
        return left

    @contextmanager
    def _running(self, dom: DomainHandle, name: str, kind: int = MODIFY) -> Iterator[Guest]:
        """The same, of a guest that runs, before and after waiting for the job."""
        self.host.find(dom).running()
        with self._job(dom, name, kind) as guest:
            guest.running()
            yield guest


def affected(guest: Guest, flags: int) -> int:
    """Which of LIVE and CONFIG flags mean now. Raises: VirError when that is not possible."""
    if not flags & (LIVE | CONFIG):
        flags |= LIVE if guest.active else CONFIG
    if flags & LIVE and not guest.active:
        raise report(c.VIR_ERR_OPERATION_INVALID, c.VIR_FROM_DOMAIN, "domain is not running")
    if flags & CONFIG and not guest.persistent:
        raise report(
            c.VIR_ERR_OPERATION_INVALID,
            c.VIR_FROM_DOMAIN,
            "transient domains do not have any persistent config",
        )
    return flags


def one_model(guest: Guest, flags: int) -> Domain:
    """The one model that a query with flags means. Raises: VirError."""
    if flags & LIVE and flags & CONFIG:
        raise report(
            c.VIR_ERR_INVALID_ARG,
            c.VIR_FROM_QEMU,
            "Flags 'VIR_DOMAIN_AFFECT_LIVE' and 'VIR_DOMAIN_AFFECT_CONFIG' are mutually exclusive",
        )
    flags = affected(guest, flags)
    model = guest.live if flags & LIVE else guest.config
    return model if model is not None else guest.model()


def save_live(guest: Guest) -> None:
    """Put on record what a running guest is now."""
    run = guest.run
    if run is not None:
        record(guest, run)


def replace_config(guest: Guest, model: Domain) -> None:
    """Make a changed copy the definition, on disk first. Raises: VirError."""
    guest.host.store.save_config(model)
    guest.config = model
