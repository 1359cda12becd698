# SPDX-License-Identifier: LGPL-2.1-or-later
"""block_calls.py: a look into disks and memory, sizes and limits of disks, threads that serve them.

Called by: drivers.qemu.driver (mixin). Calls: the monitor, stats_block.
Never: reads more than a caller may get in one reply.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

from libvirtcore.conf.disk import IoTune
from libvirtcore.drivers.qemu.base import (
    CONFIG,
    LIVE,
    Calls,
    affected,
    one_model,
    replace_config,
    save_live,
)
from libvirtcore.drivers.qemu.command_disks import throttle
from libvirtcore.drivers.qemu.command_storage import has_source
from libvirtcore.drivers.qemu.devices import alias_of
from libvirtcore.drivers.qemu.guest import Guest, check_flags, internal, system_error
from libvirtcore.drivers.qemu.job import QUERY
from libvirtcore.drivers.qemu.node_calls import bitmap
from libvirtcore.drivers.qemu.stats_block import chain_of, disk_named
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.generated.limits import REMOTE_DOMAIN_BLOCK_PEEK_BUFFER_MAX as PEEK_MAX
from libvirtcore.handles import DomainHandle

_FAMILIES = ("bytes_sec", "iops_sec", "bytes_sec_max", "iops_sec_max")
_WAYS = ("total", "read", "write")
_LIMITS = tuple(f"{way}_{family}" for family in _FAMILIES for way in _WAYS)
_LENGTHS = tuple(f"{name}_length" for name in _LIMITS[6:])
_TUNE_NAMES = (*_LIMITS, "size_iops_sec", "group_name", *_LENGTHS)
_QEMU_WAYS = {"total": "", "read": "_rd", "write": "_wr"}

_PERF = (
    "cmt", "mbmt", "mbml", "cpu_cycles", "instructions", "cache_references", "cache_misses",
    "branch_instructions", "branch_misses", "bus_cycles", "stalled_cycles_frontend",
    "stalled_cycles_backend", "ref_cpu_cycles", "cpu_clock", "task_clock", "page_faults",
    "context_switches", "cpu_migrations", "page_faults_min", "page_faults_maj",
    "alignment_faults", "emulation_faults",
)  # fmt: skip


def _invalid(detail: str) -> VirError:
    return report(c.VIR_ERR_INVALID_ARG, c.VIR_FROM_QEMU, detail)


def _unsupported(detail: str) -> VirError:
    return report(c.VIR_ERR_OPERATION_UNSUPPORTED, c.VIR_FROM_QEMU, detail)


def _disk(model: Any, path: str) -> Any:
    disk = disk_named(model, path)
    if disk is None:
        raise _invalid(f"disk '{path}' not found in domain")
    return disk


class BlockCalls(Calls):
    """The calls about disks that do more than count."""

    # --- looking inside ---------------------------------------------------------------------------

    def domain_block_peek(
        self, dom: DomainHandle, disk: str, offset: int, size: int, flags: int
    ) -> bytes:
        check_flags("qemuDomainBlockPeek", flags, 0)
        guest = self.host.find(dom)
        found = _disk(guest.model(), disk)
        image = next(chain_of(found))
        filled = has_source(found.type, found.source)
        kind = image.format if filled else "none"
        path = image.path
        if kind != "raw" or path is None:
            raise _unsupported(f"peeking is only supported for disk with 'raw' format not '{kind}'")
        size = min(size, PEEK_MAX)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                data = os.pread(fd, size, offset)
            finally:
                os.close(fd)
        except (OSError, OverflowError) as fault:
            if isinstance(fault, OverflowError):
                raise _invalid(f"'{disk}' has no byte {offset}") from None
            raise system_error(fault, f"{disk}: failed to seek or read") from None
        if len(data) < size:
            raise _invalid(f"'{disk}' starting from {offset} has only {len(data)} bytes available")
        return data

    def domain_memory_peek(self, dom: DomainHandle, start: int, size: int, flags: int) -> bytes:
        virtual, physical = c.VIR_MEMORY_VIRTUAL, c.VIR_MEMORY_PHYSICAL
        check_flags("qemuDomainMemoryPeek", flags, virtual | physical)
        if flags not in (virtual, physical):
            raise _invalid("flags parameter must be VIR_MEMORY_VIRTUAL or VIR_MEMORY_PHYSICAL")
        size = min(size, PEEK_MAX)
        with self._running(dom, "DomainMemoryPeek", QUERY) as guest:
            folder = guest.running().folder
            fd, path = tempfile.mkstemp(prefix="peek-", dir=folder)
            try:
                name = "memsave" if flags == virtual else "pmemsave"
                guest.monitor().command(name, {"val": start, "size": size, "filename": path})
                with open(path, "rb") as file:
                    return file.read(size)
            except OSError as fault:
                raise system_error(fault, f"failed to read temporary file {path}") from None
            finally:
                os.close(fd)
                os.unlink(path)

    # --- size -------------------------------------------------------------------------------------

    def domain_block_resize(self, dom: DomainHandle, disk: str, size: int, flags: int) -> None:
        in_bytes = c.VIR_DOMAIN_BLOCK_RESIZE_BYTES
        check_flags("qemuDomainBlockResize", flags, in_bytes)
        if not disk:
            raise _invalid("empty path")
        if not flags & in_bytes:
            if size > ((1 << 64) - 1) // 1024:
                raise report(c.VIR_ERR_OVERFLOW, c.VIR_FROM_QEMU, f"size must be less than {size}")
            size *= 1024
        with self._running(dom, "DomainBlockResize") as guest:
            found = disk_named(guest.model(), disk)
            if found is None:
                raise _invalid(f"disk '{disk}' was not found in the domain config")
            if not has_source(found.type, found.source) or found.readonly:
                raise _unsupported(f"can't resize empty or readonly disk '{disk}'")
            image = next(chain_of(found))
            if image.format in ("qcow2", "qed", "raw"):
                size = -(-size // 512) * 512
            guest.monitor().command(
                "block_resize", {"node-name": f"libvirt-{image.index}-format", "size": size}
            )

    # --- limits -----------------------------------------------------------------------------------

    def domain_get_block_io_tune(
        self, dom: DomainHandle, disk: str | None, nparams: int, flags: int
    ) -> tuple[list[tuple[str, int, Any]], int]:
        check_flags(
            "qemuDomainGetBlockIoTune", flags, LIVE | CONFIG | c.VIR_TYPED_PARAM_STRING_OKAY
        )
        with self._job(dom, "DomainGetBlockIoTune", QUERY) as guest:
            model = one_model(guest, flags & (LIVE | CONFIG))
            if nparams == 0:
                return [], len(_TUNE_NAMES)
            values: dict[str, Any] = {}
            found = _disk(model, disk) if disk else None  # without one the number is asked for
            if found is None:
                pass
            elif model is guest.live:
                values = _tune_in_qemu(guest, found)
            else:
                tune = found.iotune
                values = {name: getattr(tune, name, None) for name in _TUNE_NAMES}
        params: list[tuple[str, int, Any]] = []
        for name in _TUNE_NAMES:
            value = values.get(name)
            if name == "group_name":
                params.append((name, c.VIR_TYPED_PARAM_STRING, value or ""))
            else:
                params.append((name, c.VIR_TYPED_PARAM_ULLONG, value or 0))
        return params[:nparams], min(nparams, len(params))

    def domain_set_block_io_tune(
        self, dom: DomainHandle, disk: str, params: list[tuple[str, int, Any]], flags: int
    ) -> None:
        check_flags("qemuDomainSetBlockIoTune", flags, LIVE | CONFIG)
        given = {name: value for name, _kind, value in params}
        unknown = set(given) - set(_TUNE_NAMES)
        if unknown:
            raise _invalid(f"parameter '{sorted(unknown)[0]}' not supported")
        for family in _FAMILIES:
            ways = [given.get(f"{way}_{family}") for way in _WAYS]
            if ways[0] and (ways[1] or ways[2]):
                raise _invalid(f"total and read/write of {family} cannot be set at the same time")
        with self._job(dom, "DomainSetBlockIoTune") as guest:
            flags = affected(guest, flags)
            config = guest.config.copy() if flags & CONFIG and guest.config else None
            if config is not None:
                there = _disk(config, disk)
                there.iotune = _merged(there.iotune, given)
            if flags & LIVE:
                there = _disk(guest.live, disk)
                tune = _merged(there.iotune, given)
                trial = there.copy()
                trial.iotune = tune
                limits = throttle(trial) or _NO_LIMITS
                guest.monitor().command("block_set_io_throttle", limits | {"id": qdev(there)})
                with guest.lock:
                    there.iotune = tune
                save_live(guest)
            if config is not None:
                replace_config(guest, config)

    # --- threads and what a host cannot count -----------------------------------------------------

    def domain_get_iothread_info(
        self, dom: DomainHandle, flags: int
    ) -> tuple[list[tuple[int, bytes]], int]:
        check_flags("qemuDomainGetIOThreadInfo", flags, LIVE | CONFIG)
        with self._job(dom, "DomainGetIOThreadInfo", QUERY) as guest:
            model = one_model(guest, flags)
            cpus = os.cpu_count() or 1
            if model is not guest.live:
                every = bitmap(set(range(cpus)), cpus)
                numbers = range(1, int(model.iothreads or 0) + 1)
                return [(number, every) for number in numbers], len(numbers)
            answer = guest.monitor().command("query-iothreads")
        found = []
        for item in answer if isinstance(answer, list) else ():
            thread = item.get("thread-id") if isinstance(item, dict) else None
            number = str(item.get("id")).removeprefix("iothread") if thread else ""
            if isinstance(thread, int) and number.isdigit():
                try:
                    allowed = os.sched_getaffinity(thread)
                except OSError as fault:
                    raise system_error(fault, f"cannot get CPU affinity of {thread}") from None
                found.append((int(number), bitmap(allowed, cpus)))
        return sorted(found), len(found)

    def domain_get_perf_events(self, dom: DomainHandle, flags: int) -> list[tuple[str, int, Any]]:
        known = LIVE | CONFIG | c.VIR_TYPED_PARAM_STRING_OKAY
        check_flags("qemuDomainGetPerfEvents", flags, known)
        one_model(self.host.find(dom), flags & (LIVE | CONFIG))
        return [(name, c.VIR_TYPED_PARAM_BOOLEAN, False) for name in _PERF]  # none can be enabled

    def domain_get_launch_security_info(
        self, dom: DomainHandle, flags: int
    ) -> list[tuple[str, int, Any]]:
        check_flags("qemuDomainGetLaunchSecurityInfo", flags, c.VIR_TYPED_PARAM_STRING_OKAY)
        self.host.find(dom)
        return []  # no guest of ours is encrypted by its CPU


def qdev(disk: Any) -> str:
    """What QEMU's commands call a disk's device: with virtio, the part that has the image."""
    alias = alias_of(disk) or ""
    if disk.target.bus == "virtio":
        return f"/machine/peripheral/{alias}/virtio-backend"
    return alias


_NO_LIMITS = {"bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0}


def _merged(old: Any, given: dict[str, Any]) -> Any:
    """Limits as they are with some changed; a total and its parts exclude each other."""
    tune = old.copy() if old is not None else IoTune()
    for family in _FAMILIES:
        names = [f"{way}_{family}" for way in _WAYS]
        if any(given.get(name) for name in names):
            for name in names:
                setattr(tune, name, None)
    for name, value in given.items():
        setattr(tune, name, value or None)
    return tune


def _tune_in_qemu(guest: Guest, disk: Any) -> dict[str, Any]:
    """The limits QEMU has now. Raises: VirError."""
    answer = guest.monitor().command("query-block")
    for item in answer if isinstance(answer, list) else ():
        if not isinstance(item, dict) or alias_of(disk) not in str(item.get("qdev")).split("/"):
            continue
        inserted = item.get("inserted")
        if not isinstance(inserted, dict):
            raise internal("block_io_throttle inserted entry was not in expected format")
        values: dict[str, Any] = {"size_iops_sec": inserted.get("iops_size")}
        group = inserted.get("group")
        values["group_name"] = group if isinstance(group, str) else None
        for name in (*_LIMITS, *_LENGTHS):
            way, _, rest = name.partition("_")
            theirs = rest.replace("bytes_sec", "bps").replace("iops_sec", "iops")
            kind, _, suffix = theirs.partition("_")
            key = f"{kind}{_QEMU_WAYS[way]}" + (f"_{suffix}" if suffix else "")
            value = inserted.get(key)
            values[name] = value if isinstance(value, int) else 0
        return values
    raise internal(f"cannot find throttling info for device '{alias_of(disk)}'")
