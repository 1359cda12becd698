# SPDX-License-Identifier: LGPL-2.1-or-later
"""dump.py: a guest's memory written to a file for a debugger.

Called by: drivers.qemu.driver (mixin), crash. Calls: transfer, the monitor.
Never: leaves a file that is not whole.
"""

from __future__ import annotations

import os
import time

from libvirtcore.drivers.qemu import save_file, transfer
from libvirtcore.drivers.qemu.base import Calls
from libvirtcore.drivers.qemu.guest import Guest, Run, check_flags, invalid
from libvirtcore.drivers.qemu.job import WHILE_SAVING, Operation
from libvirtcore.drivers.qemu.lifecycle import destroy, pause
from libvirtcore.drivers.qemu.save import tell_completed
from libvirtcore.drivers.qemu.start import run_cpus
from libvirtcore.drivers.qemu.status import record
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle

_FLAGS = (
    c.VIR_DUMP_CRASH | c.VIR_DUMP_LIVE | c.VIR_DUMP_BYPASS_CACHE | c.VIR_DUMP_RESET
    | c.VIR_DUMP_MEMORY_ONLY
)  # fmt: skip
_FORMATS = {
    c.VIR_DOMAIN_CORE_DUMP_FORMAT_RAW: "elf",
    c.VIR_DOMAIN_CORE_DUMP_FORMAT_KDUMP_ZLIB: "kdump-zlib",
    c.VIR_DOMAIN_CORE_DUMP_FORMAT_KDUMP_LZO: "kdump-lzo",
    c.VIR_DOMAIN_CORE_DUMP_FORMAT_KDUMP_SNAPPY: "kdump-snappy",
    c.VIR_DOMAIN_CORE_DUMP_FORMAT_WIN_DMP: "win-dmp",
}


class DumpCalls(Calls):
    """The calls that dump a guest's core."""

    def domain_core_dump(self, dom: DomainHandle, to: str, flags: int) -> None:
        self.domain_core_dump_with_format(dom, to, c.VIR_DOMAIN_CORE_DUMP_FORMAT_RAW, flags)

    def domain_core_dump_with_format(
        self, dom: DomainHandle, to: str, dumpformat: int, flags: int
    ) -> None:
        check_flags("qemuDomainCoreDumpWithFormat", flags, _FLAGS)
        if dumpformat not in _FORMATS:
            raise report(
                c.VIR_ERR_INVALID_ARG, c.VIR_FROM_QEMU, f"unknown dumpformat '{dumpformat}'"
            )
        if dumpformat and not flags & c.VIR_DUMP_MEMORY_ONLY:
            raise report(
                c.VIR_ERR_INVALID_ARG,
                c.VIR_FROM_QEMU,
                "kdump-compressed format is only supported with memory-only dump",
            )
        if not os.path.isabs(to):
            to = os.path.abspath(to)
        with self._running(dom, "DomainCoreDumpWithFormat") as guest:
            dump(guest, to, dumpformat, flags)


def dump(guest: Guest, path: str, dumpformat: int, flags: int) -> None:
    """Write a guest's memory to a file; the job is held. Raises: VirError."""
    run = guest.running()
    if guest.jobs.operation is not None:
        raise invalid("another job is active on the domain")
    kind = c.VIR_DOMAIN_JOB_OPERATION_DUMP
    operation = Operation(kind, "DomainCoreDumpWithFormat", "domain core dump job", WHILE_SAVING)
    was_running = guest.state == c.VIR_DOMAIN_RUNNING
    fd = save_file.create(path)
    try:
        with guest.jobs.operate(operation):
            record(guest, run)
            try:
                if was_running and not flags & c.VIR_DUMP_LIVE:
                    pause(guest, run, c.VIR_DOMAIN_PAUSED_DUMP)
                if flags & c.VIR_DUMP_MEMORY_ONLY:
                    _memory_only(guest, run, fd, _FORMATS[dumpformat], operation)
                else:
                    transfer.outgoing(guest, run, fd, operation)
                os.fsync(fd)
            except BaseException:
                save_file.remove(fd, path)
                _afterwards(guest, run, was_running, 0)
                raise
            if not flags & c.VIR_DUMP_MEMORY_ONLY:
                tell_completed(guest, operation)
        _afterwards(guest, run, was_running, flags)
    finally:
        save_file.close(fd)


def _memory_only(guest: Guest, run: Run, fd: int, form: str, operation: Operation) -> None:
    monitor = guest.monitor()
    run.waiters.pop("dump", None)
    monitor.command("getfd", {"fdname": "dump"}, fds=[fd])
    arguments: dict[str, object] = {"paging": False, "protocol": "fd:dump", "detach": True}
    if form != "elf":
        arguments["format"] = form
    monitor.command("dump-guest-memory", arguments)
    while "dump" not in run.waiters:
        if guest.run is not run or run.stopping:
            raise report(c.VIR_ERR_OPERATION_FAILED, c.VIR_FROM_QEMU, "domain is no longer running")
        with guest.jobs.pause(), run.changed:
            run.changed.wait_for(lambda: "dump" in run.waiters or guest.run is not run, 0.5)
        answer = monitor.command("query-dump")
        if isinstance(answer, dict):
            done, total = answer.get("completed"), answer.get("total")
            if isinstance(done, int) and isinstance(total, int):
                operation.progress = {
                    "memory_total": total,
                    "memory_processed": done,
                    "memory_remaining": max(0, total - done),
                }
    error = run.waiters.pop("dump")
    if error:
        raise report(
            c.VIR_ERR_OPERATION_FAILED, c.VIR_FROM_QEMU, f"memory-only dump failed: {error}"
        )


def _afterwards(guest: Guest, run: Run, was_running: bool, flags: int) -> None:
    """End, restart or go on, as the caller wanted."""
    if guest.run is not run or run.stopping:
        return
    if flags & c.VIR_DUMP_CRASH:
        destroy(
            guest,
            reason=c.VIR_DOMAIN_SHUTOFF_CRASHED,
            detail=c.VIR_DOMAIN_EVENT_STOPPED_CRASHED,
        )
        return
    if flags & c.VIR_DUMP_RESET:
        guest.monitor().command("system_reset")
    if guest.state == c.VIR_DOMAIN_PAUSED and was_running:
        try:
            run_cpus(guest, run, c.VIR_DOMAIN_RUNNING_UNPAUSED)
        except VirError:
            guest.set_state(c.VIR_DOMAIN_PAUSED, c.VIR_DOMAIN_PAUSED_API_ERROR)
            raise
    record(guest, run)


def automatic_path(guest: Guest) -> str:
    """Where the dump of a guest that crashed goes."""
    stamp = time.strftime("%Y-%m-%d-%H:%M:%S")
    folder = guest.host.conf.auto_dump_path or guest.host.paths.dump
    return os.path.join(folder, f"{guest.id}-{guest.name[:20]}-{stamp}")
