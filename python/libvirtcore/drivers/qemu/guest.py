# SPDX-License-Identifier: LGPL-2.1-or-later
"""guest.py: one domain: what it shall be, what it is, and its running QEMU.

`lock` guards the fields and is held for moments only, never while anybody waits for QEMU; changes
that take longer hold the job. Reading one field needs neither. Whoever needs the host's lock too
takes it second.
Called by: every module of drivers.qemu. Calls: host (to tell subscribers).
Never: talks to QEMU.
"""

from __future__ import annotations

import threading
import time
import uuid as uuidlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from libvirtcore.drivers.qemu.job import Jobs
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c

if TYPE_CHECKING:
    from libvirtcore.conf import Domain
    from libvirtcore.drivers.qemu.cgroup import Group
    from libvirtcore.drivers.qemu.host import Host
    from libvirtcore.drivers.qemu.monitor import Monitor
    from libvirtcore.drivers.qemu.process import Process
    from libvirtcore.handles import ConnectHandle

STARTING, RUNNING = "starting", "running"  # how far a start has come, in the status file

# Why a guest is paused → what subscribers are told.
_SUSPENDED = {
    c.VIR_DOMAIN_PAUSED_MIGRATION: c.VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED,
    c.VIR_DOMAIN_PAUSED_IOERROR: c.VIR_DOMAIN_EVENT_SUSPENDED_IOERROR,
    c.VIR_DOMAIN_PAUSED_WATCHDOG: c.VIR_DOMAIN_EVENT_SUSPENDED_WATCHDOG,
    c.VIR_DOMAIN_PAUSED_FROM_SNAPSHOT: c.VIR_DOMAIN_EVENT_SUSPENDED_FROM_SNAPSHOT,
    c.VIR_DOMAIN_PAUSED_API_ERROR: c.VIR_DOMAIN_EVENT_SUSPENDED_API_ERROR,
}
_RESUMED = {
    c.VIR_DOMAIN_RUNNING_RESTORED: c.VIR_DOMAIN_EVENT_RESUMED_FROM_SNAPSHOT,
    c.VIR_DOMAIN_RUNNING_FROM_SNAPSHOT: c.VIR_DOMAIN_EVENT_RESUMED_FROM_SNAPSHOT,
    c.VIR_DOMAIN_RUNNING_MIGRATED: c.VIR_DOMAIN_EVENT_RESUMED_MIGRATED,
}


@dataclass(slots=True, eq=False)
class Run:
    """One life of a guest's QEMU."""

    process: Process
    monitor: Monitor | None
    folder: str  # its monitor socket is here
    phase: str = STARTING
    owner: ConnectHandle | None = None  # whose end is the guest's end
    mortal: bool = False  # dies with the process that started it
    stopping: bool = False  # somebody ends it and will say why
    fake_reboot: bool = False  # a shutdown asked for by a reboot
    pause_reason: int = c.VIR_DOMAIN_PAUSED_UNKNOWN  # of a STOP that is expected
    resume_reason: int = c.VIR_DOMAIN_RUNNING_UNPAUSED  # of a RESUME that is expected
    vcpu_threads: list[int] = field(default_factory=list)
    vcpu_numbers: list[int] = field(default_factory=list)  # of the CPUs that these threads are
    group: Group | None = None  # its control group, where the host has them
    balloon_path: str | None = None  # of the balloon in QEMU's object tree, once looked for
    balloon_polled: bool = False
    balloon_actual: int | None = None  # KiB, once QEMU was asked; then by its events
    recorded: str | None = None  # the document as it was put on record last
    tainted: set[str] = field(default_factory=set)
    waiters: dict[str, Any] = field(default_factory=dict)  # what an operation waits for
    changed: threading.Condition = field(default_factory=threading.Condition)


class Guest:
    """A domain of a host."""

    def __init__(self, host: Host, name: str, uuid: bytes) -> None:
        self.host = host
        self.name = name
        self.uuid = uuid
        self.lock = threading.RLock()
        self.jobs = Jobs(lambda: host.conf.max_queued)
        self.config: Domain | None = None  # what it is at its next start; None: transient
        self.live: Domain | None = None  # what it is now, while it runs
        self.run: Run | None = None
        self.id = -1
        self.state = c.VIR_DOMAIN_SHUTOFF
        self.reason = c.VIR_DOMAIN_SHUTOFF_UNKNOWN
        self.autostart = False
        self.updated = False  # changed since it was defined or started
        self.completed: list[tuple[str, int, Any]] = []  # statistics of the last long operation
        self.state_since = time.time()

    # --- facts ------------------------------------------------------------------------------------

    @property
    def active(self) -> bool:
        return self.id != -1

    @property
    def persistent(self) -> bool:
        return self.config is not None

    @property
    def uuid_text(self) -> str:
        return str(uuidlib.UUID(bytes=self.uuid))

    def model(self) -> Domain:
        """What it is now, else what it will be."""
        model = self.live or self.config
        if model is None:  # removed while a call was under way
            raise no_domain(self.uuid, self.name)
        return model

    def running(self) -> Run:
        """The running QEMU. Raises: VirError (OPERATION_INVALID)."""
        run = self.run
        if run is None or self.id == -1:
            raise not_running()
        return run

    def monitor(self) -> Monitor:
        """The monitor of the running QEMU. Raises: VirError (OPERATION_INVALID)."""
        monitor = self.running().monitor
        if monitor is None:
            raise not_running()
        return monitor

    # --- changes of state, by calls and by events; what is so already is not told again ----------

    def set_state(self, state: int, reason: int) -> None:
        self.state, self.reason = state, reason
        self.state_since = time.time()

    def paused(self, reason: int) -> bool:
        """Its CPUs stand still. False when that was known."""
        with self.lock:
            if self.state not in (c.VIR_DOMAIN_RUNNING, c.VIR_DOMAIN_PMSUSPENDED):
                return False
            self.set_state(c.VIR_DOMAIN_PAUSED, reason)
            detail = _SUSPENDED.get(reason, c.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED)
            self.tell(c.VIR_DOMAIN_EVENT_SUSPENDED, detail)
            return True

    def resumed(self, reason: int) -> bool:
        """Its CPUs run. False when that was known."""
        with self.lock:
            if self.state not in (
                c.VIR_DOMAIN_PAUSED, c.VIR_DOMAIN_PMSUSPENDED, c.VIR_DOMAIN_CRASHED,
            ):  # fmt: skip
                return False
            self.set_state(c.VIR_DOMAIN_RUNNING, reason)
            detail = _RESUMED.get(reason, c.VIR_DOMAIN_EVENT_RESUMED_UNPAUSED)
            self.tell(c.VIR_DOMAIN_EVENT_RESUMED, detail)
            return True

    def tell(self, event: int, detail: int, number: int | None = None) -> None:
        """Tell subscribers of a turn in its life; `number` is what it was, if that has changed."""
        self.host.tell(self, c.VIR_DOMAIN_EVENT_ID_LIFECYCLE, (event, detail), number)


def no_domain(uuid: bytes, name: str) -> VirError:
    return report(
        c.VIR_ERR_NO_DOMAIN,
        c.VIR_FROM_QEMU,
        f"no domain with matching uuid '{uuidlib.UUID(bytes=uuid)}' ({name})",
    )


def not_running(domain: int = c.VIR_FROM_DOMAIN) -> VirError:
    return report(c.VIR_ERR_OPERATION_INVALID, domain, "domain is not running")


def invalid(detail: str) -> VirError:
    """The error of something that is not possible in the state things are in."""
    return report(c.VIR_ERR_OPERATION_INVALID, c.VIR_FROM_QEMU, detail)


def internal(detail: str) -> VirError:
    return report(c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_QEMU, detail)


def system_error(fault: OSError, what: str, domain: int = c.VIR_FROM_QEMU) -> VirError:
    """The error of a failed system call: what could not be done, and why."""
    message = f"{what}: {fault.strerror}"
    return VirError(
        c.VIR_ERR_SYSTEM_ERROR, domain, message, str1="%s", str2=message, int1=fault.errno or -1
    )


def check_flags(function: str, flags: int, known: int) -> None:
    """Refuse flags outside `known`, naming the C function as libvirt's driver does."""
    unknown = flags & ~known
    if unknown:
        raise VirError(
            c.VIR_ERR_INVALID_ARG,
            c.VIR_FROM_QEMU,
            f"unsupported flags (0x{unknown:x}) in function {function}",
            str1=function,
            str2="flags",
            int1=0,
            int2=0,
        )
