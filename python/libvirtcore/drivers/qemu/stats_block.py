# SPDX-License-Identifier: LGPL-2.1-or-later
"""stats_block.py: what goes through a guest's disks and how full their images are.

QEMU names a drive by its device and an image by its node libvirt-N-format, whose place in the
file is libvirt-N-storage.
Called by: drivers.qemu.driver (mixin), stats_groups. Calls: the monitor, image_sizes.
Never: trusts the shape of an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from libvirtcore.drivers.qemu import image_sizes as files
from libvirtcore.drivers.qemu.base import Calls
from libvirtcore.drivers.qemu.command_storage import has_source
from libvirtcore.drivers.qemu.devices import alias_of
from libvirtcore.drivers.qemu.guest import Guest, check_flags, internal
from libvirtcore.drivers.qemu.job import QUERY
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle
from libvirtcore.qmp import QMPError

_UINT, _ULLONG, _STRING = (
    c.VIR_TYPED_PARAM_UINT, c.VIR_TYPED_PARAM_ULLONG, c.VIR_TYPED_PARAM_STRING,
)  # fmt: skip
_CHAIN_MAX = 200  # images on top of each other

# The name in bulk statistics, QEMU's name, the name in blockStatsFlags.
_COUNTERS = (
    ("rd.reqs", "rd_operations", "rd_operations"),
    ("rd.bytes", "rd_bytes", "rd_bytes"),
    ("rd.times", "rd_total_time_ns", "rd_total_times"),
    ("wr.reqs", "wr_operations", "wr_operations"),
    ("wr.bytes", "wr_bytes", "wr_bytes"),
    ("wr.times", "wr_total_time_ns", "wr_total_times"),
    ("fl.reqs", "flush_operations", "flush_operations"),
    ("fl.times", "flush_total_time_ns", "flush_total_times"),
)
_FLAGS_ORDER = (
    "wr_bytes", "wr_operations", "rd_bytes", "rd_operations", "flush_operations",
    "wr_total_times", "rd_total_times", "flush_total_times",
)  # fmt: skip


@dataclass
class Image:
    """One image of a disk's chain, the top one first."""

    kind: str
    format: str
    source: Any

    @property
    def index(self) -> int:
        return int(getattr(self.source, "index", None) or 0)

    @property
    def path(self) -> str | None:
        """Where it is, if that is on this host."""
        name = {"file": "file", "block": "dev", "dir": "dir"}.get(self.kind)
        value = getattr(self.source, name, None) if name is not None else None
        return value if isinstance(value, str) else None


def chain_of(disk: Any) -> Iterator[Image]:
    """The images of a disk as far as the definition knows them."""
    kind = getattr(disk.driver, "type", None) or "raw"
    yield Image(disk.type, kind, disk.source)
    store = disk.backing_store
    for _ in range(_CHAIN_MAX):
        if store is None or not store.type:
            return
        kind = getattr(store.format, "type", None) or "raw"
        # A backing store bears its number itself, its source says where it is.
        yield _Below(store.type, kind, store.source, store)
        store = store.backing_store


@dataclass
class _Below(Image):
    store: Any = None

    @property
    def index(self) -> int:
        return int(getattr(self.store, "index", None) or 0)


class Images:
    """What QEMU said of drives and nodes."""

    def __init__(self, blockstats: Any, named: Any) -> None:
        self._drives: dict[str, dict[str, Any]] = {}
        self._nodes: dict[str, dict[str, Any]] = {}
        self._sizes: dict[str, dict[str, Any]] = {}
        self.known = isinstance(blockstats, list)
        for entry in blockstats if isinstance(blockstats, list) else ():
            self._add(entry, _CHAIN_MAX)
            place = entry.get("qdev") if isinstance(entry, dict) else None
            for part in place.split("/") if isinstance(place, str) else ():
                self._drives[part] = entry
        for node in named if isinstance(named, list) else ():
            image = node.get("image") if isinstance(node, dict) else None
            if isinstance(image, dict):
                self._sizes[str(node.get("node-name"))] = image

    def _add(self, entry: Any, depth: int) -> None:
        if not isinstance(entry, dict) or depth == 0:
            return
        name = entry.get("node-name")
        if isinstance(name, str):
            self._nodes.setdefault(name, entry)
        self._add(entry.get("parent"), depth - 1)
        self._add(entry.get("backing"), depth - 1)

    def counters(self, disk: Any) -> dict[str, int] | None:
        """What went through a drive, by QEMU's names; None when QEMU does not know it."""
        entry = self._drives.get(alias_of(disk) or "")
        if entry is None:
            index = int(getattr(disk.source, "index", None) or 0)
            entry = self._nodes.get(f"libvirt-{index}-format")
        values = entry.get("stats") if entry is not None else None
        if not isinstance(values, dict):
            return None
        found = {}
        for _short, name, _long in _COUNTERS:
            value = values.get(name)
            found[name] = value if isinstance(value, int) and value >= 0 else 0
        return found

    def sizes(self, index: int) -> files.Sizes | None:
        """How full an image is."""
        if not index:
            return None
        image = self._sizes.get(f"libvirt-{index}-format")
        node = self._nodes.get(f"libvirt-{index}-storage")
        if image is None:
            return None
        stats = node.get("stats") if node is not None else None
        written = stats.get("wr_highest_offset") if isinstance(stats, dict) else 0
        return files.Sizes(
            _size(image.get("virtual-size")), _size(written), _size(image.get("actual-size"))
        )


def _size(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


# --- bulk statistics ------------------------------------------------------------------------------


def describe_disks(
    model: Any, images: Images | None, backing: bool, found: list[tuple[str, int, Any]]
) -> None:
    """The block group; `images` is None for a guest that does not run."""
    place = len(found)
    number = 0
    for disk in model.devices.disks:
        for depth, image in enumerate(chain_of(disk)):
            if depth and not backing:
                break
            prefix = f"block.{number}."
            number += 1
            found.append((f"{prefix}name", _STRING, disk.target.dev))
            if image.path is not None:
                found.append((f"{prefix}path", _STRING, image.path))
            if image.index and images is not None:
                found.append((f"{prefix}backingIndex", _UINT, image.index))
            if depth == 0 and images is not None:
                counted = images.counters(disk)
                for short, name, _long in _COUNTERS if counted is not None else ():
                    assert counted is not None
                    found.append((prefix + short, _ULLONG, counted[name]))
            size = images.sizes(image.index) if images is not None else _on_disk(image)
            if size is not None:
                found += [
                    (f"{prefix}allocation", _ULLONG, size.allocation),
                    (f"{prefix}capacity", _ULLONG, size.capacity),
                    (f"{prefix}physical", _ULLONG, size.physical),
                ]
    found.insert(place, ("block.count", _UINT, number))


def _on_disk(image: Image) -> files.Sizes | None:
    path = image.path
    if path is None or image.kind == "dir":
        return None
    try:
        return files.sizes(path, image.format)
    except OSError:
        return None


# --- one disk -------------------------------------------------------------------------------------


def disk_named(model: Any, path: str) -> Any:
    """The disk with a target or a source; None if there is none."""
    for disk in model.devices.disks:
        if disk.target.dev == path:
            return disk
    for disk in model.devices.disks:
        if Image(disk.type, "raw", disk.source).path == path:
            return disk
    return None


def _invalid(detail: str) -> VirError:
    return report(c.VIR_ERR_INVALID_ARG, c.VIR_FROM_QEMU, detail)


class BlockStatsCalls(Calls):
    """The calls about disks that only look."""

    def domain_block_stats(self, dom: DomainHandle, path: str) -> tuple[int, int, int, int, int]:
        values = self._counters(dom, path)
        return (
            values["rd_operations"], values["rd_bytes"],
            values["wr_operations"], values["wr_bytes"], -1,
        )  # fmt: skip

    def domain_block_stats_flags(
        self, dom: DomainHandle, path: str, nparams: int, flags: int
    ) -> tuple[list[tuple[str, int, Any]], int]:
        check_flags("qemuDomainBlockStatsFlags", flags, c.VIR_TYPED_PARAM_STRING_OKAY)
        values = self._counters(dom, path)
        if nparams == 0:
            return [], len(_FLAGS_ORDER)
        ours = {long: values[name] for _short, name, long in _COUNTERS}
        kind = c.VIR_TYPED_PARAM_LLONG
        params = [(name, kind, ours[name]) for name in _FLAGS_ORDER][:nparams]
        return params, len(params)

    def _counters(self, dom: DomainHandle, path: str) -> dict[str, int]:
        """What went through one disk, or through all when none is named. Raises: VirError."""
        with self._running(dom, "DomainBlockStats", QUERY) as guest:
            model = guest.model()
            disks = list(model.devices.disks)
            if path:
                disk = disk_named(model, path)
                if disk is None:
                    raise _invalid(f"invalid path: {path}")
                disks = [disk]
            images = Images(guest.monitor().command("query-blockstats"), None)
        total = {name: 0 for _short, name, _long in _COUNTERS}
        for disk in disks:
            counted = images.counters(disk)
            if counted is None:
                if path:
                    raise internal(f"cannot find statistics for device '{alias_of(disk)}'")
                continue
            for name, value in counted.items():
                total[name] += value
        return total

    def domain_get_block_info(
        self, dom: DomainHandle, path: str, flags: int
    ) -> tuple[int, int, int]:
        check_flags("qemuDomainGetBlockInfo", flags, 0)
        with self._job(dom, "DomainGetBlockInfo", QUERY) as guest:
            disk = disk_named(guest.model(), path)
            if disk is None:
                raise _invalid(f"invalid path {path} not assigned to domain")
            if not has_source(disk.type, disk.source):
                raise _invalid(
                    f"disk '{disk.target.dev}' does not currently have a source assigned"
                )
            image = next(chain_of(disk))
            size = _block_info(guest, image)
        return size.allocation, size.capacity, size.physical

    def domain_get_disk_errors(
        self, dom: DomainHandle, maxerrors: int, flags: int
    ) -> tuple[list[tuple[str, int]], int]:
        check_flags("qemuDomainGetDiskErrors", flags, 0)
        with self._running(dom, "DomainGetDiskErrors", QUERY) as guest:
            disks: dict[str, str] = {
                alias_of(disk) or "": str(disk.target.dev)  # type: ignore[union-attr]
                for disk in guest.model().devices.disks
            }
            if maxerrors == 0:
                return [], len(disks)
            answer = guest.monitor().command("query-block")
        found = []
        for item in answer if isinstance(answer, list) else ():
            status = str(item.get("io-status")) if isinstance(item, dict) else ""
            error = {"failed": c.VIR_DOMAIN_DISK_ERROR_UNSPEC,
                     "nospace": c.VIR_DOMAIN_DISK_ERROR_NO_SPACE}.get(status)  # fmt: skip
            if error is None:
                continue
            for part in str(item.get("qdev")).split("/"):
                if part in disks:
                    found.append((disks[part], error))
        return found[:maxerrors], len(found[:maxerrors])


def _block_info(guest: Guest, image: Image) -> files.Sizes:
    """Sizes of an image; what QEMU has not written to is as full as its file. Raises: VirError."""
    local = None
    path = image.path
    if path is not None:
        try:
            local = files.sizes(path, image.format)
        except OSError as fault:
            if not guest.active:
                from libvirtcore.drivers.qemu.guest import system_error

                raise system_error(fault, f"cannot stat file '{path}'") from None
    if not guest.active:
        return local or files.Sizes(0, 0, 0)
    monitor = guest.monitor()
    try:
        images = Images(
            monitor.execute("query-blockstats"),
            monitor.execute("query-named-block-nodes", {"flat": True}),
        )
    except QMPError as refused:
        raise internal(refused.desc) from None
    size = images.sizes(image.index)
    if size is None:
        return local or files.Sizes(0, 0, 0)
    physical = local.physical if local is not None else size.physical
    # In a file that grows, what it takes on the host counts; on a device, how far it is written.
    used = size.allocation if image.kind == "block" else size.physical
    return files.Sizes(size.capacity, used, physical)
