# SPDX-License-Identifier: LGPL-2.1-or-later
"""disk.py: disks, CD-ROMs, floppies and LUNs of a guest.

Called by: devices.py. Calls: storage.py, address.py, schema.py.
Never: looks at an image.
"""

from __future__ import annotations

import re

from libvirtcore.conf.address import BootDevice
from libvirtcore.conf.nodes import Node
from libvirtcore.conf.reader import required
from libvirtcore.conf.schema import KEPT, LIVE, Element, attribute, child, flag, leaf
from libvirtcore.conf.storage import (
    FORMATS,
    SOURCE_TYPES,
    Auth,
    BackingStore,
    Encryption,
    Format,
    MetadataCache,
    Source,
)
from libvirtcore.conf.values import (
    ONOFF,
    STRING,
    UINT,
    UINT_NONZERO,
    ULONG,
    WORD,
    YESNO,
    Choice,
)
from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import (
    VIR_ERR_CONFIG_UNSUPPORTED,
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_NO_TARGET,
    VIR_ERR_XML_ERROR,
    VIR_FROM_DOMAIN,
    VIR_FROM_NONE,
)

BUSES = (
    "ide", "fdc", "scsi", "virtio", "xen", "usb", "uml", "sata", "sd", "none",
)  # fmt: skip
_POLICIES = ("stop", "report", "ignore", "enospace")


class DiskDriver(Element):
    """How the hypervisor opens an image and serves the disk."""

    name = attribute(STRING)
    type = attribute(
        Choice(*FORMATS, "auto", "fat"),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown driver format value '%s'"),
    )
    cache = attribute(
        Choice("none", "writethrough", "writeback", "directsync", "unsafe", silent=("default",))
    )
    error_policy = attribute(Choice(*_POLICIES, silent=("default",)))
    rerror_policy = attribute(Choice("stop", "report", "ignore", silent=("default",)))
    io = attribute(Choice("native", "threads", "io_uring", silent=("default",)))
    ioeventfd = attribute(ONOFF)
    event_idx = attribute(ONOFF)
    copy_on_read = attribute(ONOFF)
    discard = attribute(Choice("unmap", "ignore", silent=("default",)))
    iothread = attribute(UINT_NONZERO)
    detect_zeroes = attribute(Choice("off", "on", "unmap", silent=("default",)))
    queues = attribute(UINT)
    queue_size = attribute(UINT)
    iommu = attribute(ONOFF)
    ats = attribute(ONOFF)
    packed = attribute(ONOFF)
    page_per_vq = attribute(ONOFF)
    metadata_cache = child(MetadataCache)


class Geometry(Element):
    """The geometry a guest's firmware is told."""

    cyls = attribute(UINT)
    heads = attribute(UINT)
    secs = attribute(UINT)
    trans = attribute(Choice("none", "auto", "lba", silent=("default",)))


class BlockIo(Element):
    """The block sizes a guest is told."""

    logical_block_size = attribute(UINT)
    physical_block_size = attribute(UINT)
    discard_granularity = attribute(UINT)


class DiskTarget(Element):
    """What the guest sees the disk as."""

    dev = attribute(STRING)
    bus = attribute(Choice(*BUSES))
    tray = attribute(Choice("closed", "open"))
    removable = attribute(ONOFF)
    rotation_rate = attribute(UINT)


def _tune(name: str) -> tuple[int, str]:
    return (VIR_ERR_XML_ERROR, f"disk iotune field '{name}' must be an integer")


class IoTune(Element):
    """Limits on bytes and requests per second, with bursts."""

    total_bytes_sec = leaf(ULONG, bad=_tune("total_bytes_sec"))
    read_bytes_sec = leaf(ULONG, bad=_tune("read_bytes_sec"))
    write_bytes_sec = leaf(ULONG, bad=_tune("write_bytes_sec"))
    total_iops_sec = leaf(ULONG, bad=_tune("total_iops_sec"))
    read_iops_sec = leaf(ULONG, bad=_tune("read_iops_sec"))
    write_iops_sec = leaf(ULONG, bad=_tune("write_iops_sec"))
    total_bytes_sec_max = leaf(ULONG, bad=_tune("total_bytes_sec_max"))
    read_bytes_sec_max = leaf(ULONG, bad=_tune("read_bytes_sec_max"))
    write_bytes_sec_max = leaf(ULONG, bad=_tune("write_bytes_sec_max"))
    total_iops_sec_max = leaf(ULONG, bad=_tune("total_iops_sec_max"))
    read_iops_sec_max = leaf(ULONG, bad=_tune("read_iops_sec_max"))
    write_iops_sec_max = leaf(ULONG, bad=_tune("write_iops_sec_max"))
    size_iops_sec = leaf(ULONG, bad=_tune("size_iops_sec"))
    group_name = leaf(WORD)
    total_bytes_sec_max_length = leaf(ULONG, bad=_tune("total_bytes_sec_max_length"))
    read_bytes_sec_max_length = leaf(ULONG, bad=_tune("read_bytes_sec_max_length"))
    write_bytes_sec_max_length = leaf(ULONG, bad=_tune("write_bytes_sec_max_length"))
    total_iops_sec_max_length = leaf(ULONG, bad=_tune("total_iops_sec_max_length"))
    read_iops_sec_max_length = leaf(ULONG, bad=_tune("read_iops_sec_max_length"))
    write_iops_sec_max_length = leaf(ULONG, bad=_tune("write_iops_sec_max_length"))


class Mirror(Element):
    """The other side of a block job that copies this disk."""

    KIND = "type"
    KINDS = frozenset(SOURCE_TYPES)

    type = attribute(Choice(*SOURCE_TYPES))
    file = attribute(STRING)
    format_name = attribute(STRING, "format")
    job = attribute(Choice("copy", "active-commit"))
    ready = attribute(Choice("yes", "abort", "pivot"))
    format = child(Format)
    source = child(Source)
    backing_store = child(BackingStore, "backingStore")


class Transient(Element):
    """The disk forgets what was written when the guest ends."""

    share_backing = attribute(YESNO, "shareBacking")


class Disk(BootDevice):
    """A disk, CD-ROM, floppy or LUN."""

    KIND = "type"
    KINDS = frozenset(SOURCE_TYPES)

    type = attribute(Choice(*SOURCE_TYPES), default="file")
    device = attribute(Choice("disk", "cdrom", "floppy", "lun"), default="disk")
    model = attribute(Choice("virtio", "virtio-transitional", "virtio-non-transitional"))
    rawio = attribute(YESNO)
    sgio = attribute(Choice("filtered", "unfiltered", silent=("default",)))
    snapshot = attribute(Choice("no", "internal", "external", "manual", silent=("default",)))
    driver = child(DiskDriver)
    auth = child(Auth)
    source = child(Source, secret=KEPT)
    backing_store = child(BackingStore, "backingStore", empty=True)
    geometry = child(Geometry)
    blockio = child(BlockIo)
    mirror = child(Mirror, secret=LIVE)
    target = child(DiskTarget)
    iotune = child(IoTune)
    readonly = flag()
    shareable = flag()
    transient = child(Transient, empty=True)
    serial = leaf(STRING)
    wwn = leaf(STRING)
    vendor = leaf(STRING)
    product = leaf(STRING)
    encryption = child(Encryption)

    def parsed(self, node: Node) -> None:
        target = self.target
        if target is None or not target.dev:
            raise _no_target(self.source)
        if target.bus is None:
            target.bus = guess_bus(target.dev, self.device)
        if self.device == "cdrom":
            self.readonly = True
        if self.address is None and (target.bus is None or not known_disk_name(target.dev)):
            raise report(
                VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN,
                f"Unknown disk name '{target.dev}' and no address specified",
            )  # fmt: skip
        self._check_source()
        for label, value, limit in (("vendor", self.vendor, 8), ("product", self.product, 16)):
            if value is not None and len(value) > limit:
                raise report(
                    VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_DOMAIN,
                    f"disk {label} is more than {limit} characters",
                )  # fmt: skip
        if self.wwn is not None and _WWN.match(self.wwn) is None:
            raise report(VIR_ERR_INTERNAL_ERROR, VIR_FROM_NONE, f"Malformed wwn: {self.wwn}")
        if self.type == "vhostuser" and self.snapshot is None:
            self.snapshot = "no"

    def _check_source(self) -> None:
        """A source says what its type needs."""
        source = self.source
        if source is None:
            return
        if self.type == "network":
            if source.protocol is None:
                raise required("protocol", "source")
            if source.name is None and source.protocol != "nbd":
                raise report(VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN, "missing name for disk source")
            if source.protocol == "rbd" and "/" not in (source.name or ""):
                raise report(
                    VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN,
                    f"can't split path '{source.name}' into pool name and image name",
                )  # fmt: skip
        elif source.blank:
            self.source = None
        elif self.type == "volume" and (source.pool is None) != (source.volume is None):
            raise report(
                VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN,
                "'pool' and 'volume' must be specified together for 'pool' type source",
            )  # fmt: skip


_WWN = re.compile(r"[0-9a-fA-F]{16}\Z")
_NAME = re.compile(r"(fd|hd|vd|sd|xvd|ubd)[a-z]+[0-9]*\Z")


def known_disk_name(dev: str) -> bool:
    """Whether a target name has a place on a bus."""
    return _NAME.match(dev) is not None


def guess_bus(dev: str, device: str) -> str | None:
    """The bus a target name speaks of, None when it speaks of none."""
    if dev.startswith("fd"):
        return "fdc"
    for prefix, bus in (("hd", "ide"), ("sd", "scsi"), ("vd", "virtio"), ("xvd", "xen"),
                        ("ubd", "uml")):  # fmt: skip
        if dev.startswith(prefix):
            return bus
    return "fdc" if device == "floppy" else None


def _no_target(source: Source | None) -> VirError:
    path = "" if source is None else source.file or source.dev or source.dir or source.name or ""
    return report(VIR_ERR_NO_TARGET, VIR_FROM_DOMAIN, path)
