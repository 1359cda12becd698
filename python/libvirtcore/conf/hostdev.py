# SPDX-License-Identifier: LGPL-2.1-or-later
"""hostdev.py: devices of the host in the guest: passed through, redirected, or as a file system.

Called by: devices.py. Calls: address.py, chardev.py, storage.py, schema.py.
Never: detaches anything from the host.
"""

from __future__ import annotations

from libvirtcore.conf.address import BootDevice, Device, Rom
from libvirtcore.conf.chardev import CHAR_TYPES, CharSource, Protocol, complete_source
from libvirtcore.conf.identity import parse_uuid
from libvirtcore.conf.interface import Teaming
from libvirtcore.conf.nodes import Node
from libvirtcore.conf.reader import required
from libvirtcore.conf.schema import (
    IGNORED,
    Element,
    attribute,
    child,
    children,
    flag,
    leaf,
)
from libvirtcore.conf.storage import Auth, Host, HostAddress, Initiator
from libvirtcore.conf.values import (
    BYTES,
    ONOFF,
    STRING,
    UINT,
    ULONG,
    YESNO,
    Choice,
    Integer,
    hexadecimal,
)
from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import (
    VIR_ERR_CONFIG_UNSUPPORTED,
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_NO_SOURCE,
    VIR_ERR_NO_TARGET,
    VIR_ERR_XML_ERROR,
    VIR_FROM_DOMAIN,
)

SUBSYSTEMS = ("usb", "pci", "scsi", "scsi_host", "mdev")
CAPABILITIES = ("storage", "misc", "net")


class HexId(Element):
    """A number of a vendor or product."""

    id = attribute(hexadecimal(4), required=True)


class Adapter(Element):
    """A SCSI adapter of the host."""

    name = attribute(STRING)


class HostdevSource(Element):
    """A device of the host. What counts depends on the kind of device."""

    startup_policy = attribute(
        Choice("mandatory", "requisite", "optional", silent=("default",)), "startupPolicy",
        when=("usb",),
    )  # fmt: skip
    guest_reset = attribute(Choice("off", "uninitialized", "on"), "guestReset", when=("usb",))
    protocol = attribute(STRING, when=("scsi", "scsi_host"))
    name = attribute(STRING, when=("scsi",))
    wwpn = attribute(STRING, when=("scsi_host",))
    write_filtering = attribute(YESNO, "writeFiltering", when=("pci",))
    vendor = child(HexId, when=("usb",))
    product = child(HexId, when=("usb",))
    hosts = children(Host, "host", when=("scsi",))
    initiator = child(Initiator, when=("scsi",))
    auth = child(Auth, when=("scsi",))
    adapter = child(Adapter, when=("scsi",))
    address = child(HostAddress, when=("usb", "pci", "scsi", "mdev"))
    block = leaf(STRING, when=("storage",))
    char = leaf(STRING, when=("misc",))
    interface = leaf(STRING, when=("net",))


class HostdevDriver(Element):
    """Who passes a PCI device through."""

    name = attribute(Choice("kvm", "vfio", "xen", silent=("default",)))


class Hostdev(BootDevice):
    """A device of the host, passed through."""

    KIND = "type"
    KINDS = frozenset((*SUBSYSTEMS, *CAPABILITIES))

    mode = attribute(
        Choice("subsystem", "capabilities"), default="subsystem",
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown hostdev mode '%s'"),
    )  # fmt: skip
    type = attribute(
        Choice(*SUBSYSTEMS, *CAPABILITIES),
        missing=(VIR_ERR_XML_ERROR, "missing source address type"),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown host device source address type '%s'"),
    )
    managed = attribute(YESNO, bad=IGNORED)
    sgio = attribute(Choice("filtered", "unfiltered", silent=("default",)), when=("scsi",))
    rawio = attribute(YESNO, when=("scsi",))
    model = attribute(
        Choice("vfio-pci", "vfio-ccw", "vfio-ap", "virtio", "virtio-transitional",
               "virtio-non-transitional"), when=("mdev", "scsi_host"),
    )  # fmt: skip
    display = attribute(ONOFF, when=("mdev",))
    ramfb = attribute(ONOFF, when=("mdev",))
    driver = child(HostdevDriver)
    source = child(HostdevSource)
    teaming = child(Teaming)
    readonly = flag()
    shareable = flag()
    rom = child(Rom, order=1003)

    def parsed(self, node: Node) -> None:
        named = any(item.tag == "source" for item in node.children)
        if not named and self.type != "usb":  # libvirt writes a USB device without a source
            raise report(
                VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN, "Missing <source> element in hostdev device"
            )
        if self.source is None:
            self.source = HostdevSource()
        source = self.source
        if self.type == "usb":
            if source.vendor is not None and source.product is None:
                raise report(VIR_ERR_INTERNAL_ERROR, VIR_FROM_DOMAIN, "missing product")
            if source.product is not None and source.vendor is None:
                raise report(VIR_ERR_INTERNAL_ERROR, VIR_FROM_DOMAIN, "missing vendor")
            if source.address is not None:
                for name in ("bus", "device"):
                    if getattr(source.address, name) is None:
                        raise required(name, "address")
        elif self.type == "pci" and source.address is None:
            source.address = HostAddress(domain=0, bus=0, slot=0, function=0)
        elif self.type == "scsi_host" and source.protocol is None:
            raise required("protocol", "source")
        elif self.type == "mdev":
            if self.model is None:
                raise required("model", "hostdev")
            uuid = source.address.uuid if source.address is not None else None
            if uuid is None or parse_uuid(uuid) is None:
                raise report(
                    VIR_ERR_INTERNAL_ERROR, VIR_FROM_DOMAIN,
                    "Cannot parse uuid attribute of element <address>",
                )  # fmt: skip
        elif self.type == "scsi" and source.protocol is None and source.address is None:
            raise report(
                VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN,
                "'address' must be specified for scsi hostdev source",
            )  # fmt: skip
        if self.managed is None and self.mode == "subsystem":
            self.managed = False


class Redirdev(BootDevice):
    """A USB device of whoever looks at the display."""

    KIND = "type"
    KINDS = frozenset(CHAR_TYPES)

    bus = attribute(
        Choice("usb"), default="usb",
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown redirdev bus '%s'"),
    )  # fmt: skip
    type = attribute(
        Choice(*CHAR_TYPES), missing=(VIR_ERR_INTERNAL_ERROR, "missing type in redirdev"),
        bad=(
            VIR_ERR_CONFIG_UNSUPPORTED, "unknown redirdev character device type '%s'",
        ),
    )  # fmt: skip
    sources = children(CharSource, "source", empty=False)
    protocol = child(Protocol, when=("tcp",))

    @property
    def source(self) -> CharSource | None:
        """The only source."""
        return self.sources[0] if self.sources else None

    def parsed(self, node: Node) -> None:
        complete_source(self)


class UsbDev(Element):
    """A rule about USB devices; None is any."""

    class_ = attribute(Integer(-1, 0xFF, base=0, form="0x%02X", silent=-1), "class")
    vendor = attribute(Integer(-1, 0xFFFF, base=0, form="0x%04X", silent=-1))
    product = attribute(Integer(-1, 0xFFFF, base=0, form="0x%04X", silent=-1))
    version = attribute(STRING)
    allow = attribute(YESNO, required=True)


class RedirFilter(Element):
    """Which USB devices may be redirected."""

    usbdevs = children(UsbDev, "usbdev")


class FsCache(Element):
    """Whether virtiofsd caches."""

    mode = attribute(Choice("none", "always"), required=True)


class FsSandbox(Element):
    """How virtiofsd locks itself in."""

    mode = attribute(Choice("namespace", "chroot"), required=True)


class FsLock(Element):
    """Locks virtiofsd knows."""

    posix = attribute(ONOFF)
    flock = attribute(ONOFF)


class ThreadPool(Element):
    """How many threads virtiofsd has."""

    size = attribute(UINT)


class FsBinary(Element):
    """The program that serves a file system."""

    path = attribute(STRING)
    xattr = attribute(ONOFF)
    cache = child(FsCache)
    sandbox = child(FsSandbox)
    lock = child(FsLock)
    thread_pool = child(ThreadPool)


FS_TYPES = ("mount", "block", "file", "template", "ram", "bind", "volume")


class FsDriver(Element):
    """How a file system is served."""

    type = attribute(
        Choice("path", "handle", "loop", "nbd", "ploop", "virtiofs", silent=("default",))
    )
    format = attribute(STRING)
    name = attribute(STRING)
    wrpolicy = attribute(Choice("immediate", silent=("default",)))
    queue = attribute(ULONG)
    iommu = attribute(ONOFF)
    ats = attribute(ONOFF)
    packed = attribute(ONOFF)
    page_per_vq = attribute(ONOFF)


class FsSource(Element):
    """What a file system shows."""

    dir = attribute(STRING, when=("mount", "bind"))
    socket = attribute(STRING, when=("mount",))
    dev = attribute(STRING, when=("block",))
    file = attribute(STRING, when=("file",))
    name = attribute(STRING, when=("template",))
    usage = attribute(ULONG, when=("ram",))
    units = attribute(STRING, when=("ram",))
    pool = attribute(STRING, when=("volume",))
    volume = attribute(STRING, when=("volume",))


class FsTarget(Element):
    """Where the guest finds it: a tag, or a path."""

    dir = attribute(STRING)


_MODE = Integer(0, 0o777, base=8, form="%04o")


class Filesystem(Device):
    """A part of the host's file system in the guest."""

    KIND = "type"
    KINDS = frozenset(FS_TYPES)

    type = attribute(Choice(*FS_TYPES), default="mount")
    accessmode = attribute(Choice("passthrough", "mapped", "squash"))
    model = attribute(Choice("virtio", "virtio-transitional", "virtio-non-transitional"))
    multidevs = attribute(Choice("remap", "forbid", "warn", silent=("default",)))
    fmode = attribute(_MODE)
    dmode = attribute(_MODE)
    driver = child(FsDriver)
    binary = child(FsBinary)
    source = child(FsSource)
    target = child(FsTarget)
    readonly = flag()
    space_hard_limit = leaf(BYTES)
    space_soft_limit = leaf(BYTES)

    def parsed(self, node: Node) -> None:
        source, target = self.source, self.target
        path = None
        if source is not None:
            path = (
                source.dir or source.socket or source.dev or source.file or source.name
                or source.pool
            )  # fmt: skip
        if path is None and self.type != "ram":
            raise _missing(VIR_ERR_NO_SOURCE, target.dir or "" if target is not None else "")
        if (target is None or not target.dir) and (source is None or source.socket is None):
            raise _missing(VIR_ERR_NO_TARGET, path or "")
        if self.accessmode is None and (self.source is None or self.source.socket is None):
            self.accessmode = "passthrough"


def _missing(code: int, detail: str = "") -> VirError:
    return report(code, VIR_FROM_DOMAIN, detail)
