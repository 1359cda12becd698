# SPDX-License-Identifier: LGPL-2.1-or-later
"""info.py: state, sizes, CPU time, jobs of a guest: what is known without asking QEMU.

Called by: drivers.qemu.driver (mixin). Calls: /proc.
Never: waits for a job or for QEMU, so that a stuck guest is still described.
"""

from __future__ import annotations

import os
import time
from typing import Any

from libvirtcore.drivers.qemu import cgroup_limits
from libvirtcore.drivers.qemu.base import Calls
from libvirtcore.drivers.qemu.guest import Guest, Run, check_flags, invalid
from libvirtcore.errors import report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle

_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


def stat_fields(path: str) -> list[bytes]:
    """The fields of a /proc/…/stat behind the command's name; empty when it is gone."""
    try:
        with open(path, "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def cpu_times(pid: int, thread: int | None = None) -> tuple[int, int]:
    """User and system time of a process or of one of its threads, in nanoseconds."""
    where = f"/proc/{pid}/stat" if thread is None else f"/proc/{pid}/task/{thread}/stat"
    fields = stat_fields(where)
    if len(fields) < 13:
        return 0, 0
    return int(fields[11]) * _TICK, int(fields[12]) * _TICK


def group_times(run: Run) -> tuple[int, int, int]:
    """All, user and system time of a guest by its control group, else by its process."""
    times = cgroup_limits.cpu_times(run.group.folder) if run.group is not None else None
    if times is not None:
        return times
    user, system = cpu_times(run.process.pid)
    return user + system, user, system


def last_cpu(pid: int, thread: int) -> int:
    """The host's CPU a thread ran on last."""
    fields = stat_fields(f"/proc/{pid}/task/{thread}/stat")
    return int(fields[36]) if len(fields) > 36 else 0


def resident_kib(pid: int) -> int:
    """Memory of the host that a process takes now."""
    try:
        fd = os.open(f"/proc/{pid}/statm", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return int(os.read(fd, 128).split()[1]) * _PAGE_KIB
        finally:
            os.close(fd)
    except (OSError, IndexError, ValueError):
        return 0


def vcpu_count(model: Any) -> int:
    """How many virtual CPUs a model has plugged in."""
    vcpu = model.vcpu
    if vcpu is None:
        return 1
    return int(vcpu.current or vcpu.value or 1)


def max_vcpus(model: Any) -> int:
    vcpu = model.vcpu
    return int(vcpu.value or 1) if vcpu is not None else 1


class InfoCalls(Calls):
    """The calls that describe."""

    def domain_get_info(self, dom: DomainHandle) -> tuple[int, int, int, int, int]:
        guest = self.host.find(dom)
        with guest.lock:
            model = guest.model()
            run = guest.run
            most, now = int(model.memory or 0), model.current_memory
            now = most if now is None else int(now)
            state, count = guest.state, vcpu_count(model)
            pid = run.process.pid if run is not None else None
        used = sum(cpu_times(pid)) if pid is not None else 0
        return (state, most, now, count, used)

    def domain_get_state(self, dom: DomainHandle, flags: int) -> tuple[int, int]:
        check_flags("qemuDomainGetState", flags, 0)
        guest = self.host.find(dom)
        with guest.lock:
            return (guest.state, guest.reason)

    def domain_get_max_memory(self, dom: DomainHandle) -> int:
        return int(self.host.find(dom).model().memory or 0)

    def domain_get_control_info(self, dom: DomainHandle, flags: int) -> tuple[int, int, int]:
        check_flags("qemuDomainGetControlInfo", flags, 0)
        guest = self.host.find(dom)
        run = guest.running()
        monitor = run.monitor
        if monitor is None or monitor.closed:
            return (c.VIR_DOMAIN_CONTROL_ERROR, c.VIR_DOMAIN_CONTROL_ERROR_REASON_MONITOR, 0)
        busy = monitor.busy_since
        if busy is not None:
            return (c.VIR_DOMAIN_CONTROL_OCCUPIED, 0, _millis(busy))
        operation = guest.jobs.operation
        if operation is not None:
            return (c.VIR_DOMAIN_CONTROL_JOB, 0, _millis(operation.began))
        return (c.VIR_DOMAIN_CONTROL_OK, 0, 0)

    # --- jobs -------------------------------------------------------------------------------------

    def domain_get_job_info(
        self, dom: DomainHandle
    ) -> tuple[int, int, int, int, int, int, int, int, int, int, int, int]:
        guest = self.host.find(dom)
        guest.running()
        params = self._progress(guest)
        kind = c.VIR_DOMAIN_JOB_UNBOUNDED if params else c.VIR_DOMAIN_JOB_NONE
        names = (
            "time_elapsed", "time_remaining", "data_total", "data_processed", "data_remaining",
            "memory_total", "memory_processed", "memory_remaining", "disk_total",
            "disk_processed", "disk_remaining",
        )  # fmt: skip
        values = [params.get(name, 0) for name in names]
        return (kind, *values)  # type: ignore[return-value]

    def domain_get_job_stats(
        self, dom: DomainHandle, flags: int
    ) -> tuple[int, list[tuple[str, int, Any]]]:
        check_flags(
            "qemuDomainGetJobStats",
            flags,
            c.VIR_DOMAIN_JOB_STATS_COMPLETED | c.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED,
        )
        guest = self.host.find(dom)
        if flags & c.VIR_DOMAIN_JOB_STATS_COMPLETED:
            done = guest.completed
            if not flags & c.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED:
                guest.completed = []
            return (c.VIR_DOMAIN_JOB_COMPLETED if done else c.VIR_DOMAIN_JOB_NONE, done)
        guest.running()
        progress = self._progress(guest)
        if not progress:
            return (c.VIR_DOMAIN_JOB_NONE, [])
        return (c.VIR_DOMAIN_JOB_UNBOUNDED, progress_params(progress))

    def _progress(self, guest: Guest) -> dict[str, int]:
        operation = guest.jobs.operation
        if operation is None:
            return {}
        elapsed = int((time.monotonic() - operation.began) * 1000)
        return {"operation": operation.kind, "time_elapsed": elapsed} | operation.progress

    def domain_abort_job(self, dom: DomainHandle) -> None:
        self.domain_abort_job_flags(dom, 0)

    def domain_abort_job_flags(self, dom: DomainHandle, flags: int) -> None:
        check_flags("qemuDomainAbortJobFlags", flags, c.VIR_DOMAIN_ABORT_JOB_POSTCOPY)
        guest = self.host.find(dom)
        run = guest.running()
        operation = guest.jobs.operation
        if operation is None:
            raise invalid("no job is active on the domain")
        operation.aborted = True
        with run.changed:
            run.changed.notify_all()

    # --- facts of the process ---------------------------------------------------------------------

    def domain_get_vcpus(
        self, dom: DomainHandle, maxinfo: int, maplen: int
    ) -> tuple[list[tuple[int, int, int, int]], bytes]:
        guest = self.host.find(dom)
        run = guest.run
        if run is None or not guest.active:
            raise invalid("cannot retrieve vcpu information for inactive domain")
        infos = []
        cpus = os.cpu_count() or 1
        one_map = bytearray(maplen)
        for cpu in range(min(cpus, maplen * 8)):
            one_map[cpu // 8] |= 1 << (cpu % 8)
        pid = run.process.pid
        for number, thread in enumerate(run.vcpu_threads[:maxinfo]):
            used = sum(cpu_times(pid, thread))
            infos.append((number, c.VIR_VCPU_RUNNING, used, last_cpu(pid, thread)))
        return infos, bytes(one_map) * len(infos)

    def domain_get_max_vcpus(self, dom: DomainHandle) -> int:
        return self.domain_get_vcpus_flags(
            dom, c.VIR_DOMAIN_AFFECT_LIVE | c.VIR_DOMAIN_VCPU_MAXIMUM
        )

    def domain_get_vcpus_flags(self, dom: DomainHandle, flags: int) -> int:
        from libvirtcore.drivers.qemu.base import one_model

        check_flags(
            "qemuDomainGetVcpusFlags",
            flags,
            c.VIR_DOMAIN_AFFECT_LIVE
            | c.VIR_DOMAIN_AFFECT_CONFIG
            | c.VIR_DOMAIN_VCPU_MAXIMUM
            | c.VIR_DOMAIN_VCPU_GUEST,
        )
        guest = self.host.find(dom)
        model = one_model(guest, flags)
        if flags & c.VIR_DOMAIN_VCPU_GUEST:
            if not guest.active:
                raise report(
                    c.VIR_ERR_INVALID_ARG,
                    c.VIR_FROM_QEMU,
                    "vCPU count provided by the guest agent can only be requested for live domains",
                )
            raise report(
                c.VIR_ERR_ARGUMENT_UNSUPPORTED,
                c.VIR_FROM_QEMU,
                "QEMU guest agent is not configured",
            )
        return max_vcpus(model) if flags & c.VIR_DOMAIN_VCPU_MAXIMUM else vcpu_count(model)

    def domain_get_cpu_stats(
        self, dom: DomainHandle, nparams: int, start_cpu: int, ncpus: int, flags: int
    ) -> tuple[list[tuple[str, int, Any]], int]:
        check_flags("qemuDomainGetCPUStats", flags, c.VIR_TYPED_PARAM_STRING_OKAY)
        run = self.host.find(dom).running()
        if start_cpu != -1:  # cgroup2 does not count by processor
            raise invalid("cgroup CPUACCT controller is not mounted")
        names = ("cpu_time", "user_time", "system_time")
        if nparams == 0:
            return [], len(names)
        values = group_times(run)
        kind = c.VIR_TYPED_PARAM_ULLONG
        params = [(name, kind, value) for name, value in zip(names, values, strict=True)]
        return params[:nparams], min(nparams, len(names))

    def domain_get_security_label(self, dom: DomainHandle) -> tuple[bytes, int]:
        self.host.find(dom)
        return (b"\0", 0)

    def domain_get_security_label_list(
        self, dom: DomainHandle
    ) -> tuple[list[tuple[bytes, int]], int]:
        self.host.find(dom)
        return [], 0

    def domain_get_messages(self, dom: DomainHandle, flags: int) -> list[str]:
        check_flags(
            "qemuDomainGetMessages",
            flags,
            c.VIR_DOMAIN_MESSAGE_DEPRECATION | c.VIR_DOMAIN_MESSAGE_TAINTING,
        )
        guest = self.host.find(dom)
        run = guest.run
        if run is None or (flags and not flags & c.VIR_DOMAIN_MESSAGE_TAINTING):
            return []
        return [f"tainted: {what}" for what in sorted(run.tainted)]


def progress_params(progress: dict[str, int]) -> list[tuple[str, int, Any]]:
    """Progress of an operation as typed parameters."""
    params: list[tuple[str, int, Any]] = []
    for name, value in progress.items():
        kind = c.VIR_TYPED_PARAM_INT if name == "operation" else c.VIR_TYPED_PARAM_ULLONG
        params.append((name, kind, value))
    return params


def _millis(since: float) -> int:
    return int((time.monotonic() - since) * 1000)
