# SPDX-License-Identifier: LGPL-2.1-or-later
"""storage.py: where the bytes of a disk are: files, devices, network, volumes, and their chains.

Called by: disk.py, boot.py (firmware images), hostdev.py. Calls: schema.py, values.py.
Never: opens an image.
"""

from __future__ import annotations

from libvirtcore.conf.nodes import Node
from libvirtcore.conf.reader import complaint
from libvirtcore.conf.schema import (
    LIVE,
    SECURE,
    Element,
    attribute,
    child,
    children,
    leaf,
    nested,
    text,
)
from libvirtcore.conf.values import (
    BYTES,
    STRING,
    UINT,
    ULONG,
    YESNO,
    Choice,
    Integer,
    hexadecimal,
)
from libvirtcore.generated.constants import (
    VIR_ERR_CONFIG_UNSUPPORTED,
    VIR_ERR_XML_ERROR,
    VIR_FROM_NONE,
    VIR_FROM_STORAGE,
)

SOURCE_TYPES = ("file", "block", "dir", "network", "volume", "nvme", "vhostuser", "vhostvdpa")
PROTOCOLS = (
    "nbd", "rbd", "sheepdog", "gluster", "iscsi", "http", "https", "ftp", "ftps", "tftp", "ssh",
    "vxhs", "nfs",
)  # fmt: skip
FORMATS = (
    "raw", "dir", "bochs", "cloop", "dmg", "iso", "vpc", "vdi", "fat", "vhd", "ploop", "cow",
    "qcow", "qcow2", "qed", "vmdk",
)  # fmt: skip


UINT_ANY = Integer(0, 2**32 - 1, base=0)


class Secret(Element):
    """A reference to a secret the daemon keeps, by uuid or usage."""

    type = attribute(STRING)
    uuid = attribute(STRING)
    usage = attribute(STRING)


class Auth(Element):
    """Who we are to a storage server."""

    username = attribute(
        STRING, missing=(VIR_ERR_XML_ERROR, "missing username for auth", VIR_FROM_STORAGE)
    )
    secret = child(
        Secret,
        missing=(VIR_ERR_XML_ERROR, "Missing <secret> element in auth", VIR_FROM_STORAGE),
    )


class EncryptionSecret(Element):
    """The secret that opens an encrypted image."""

    type = attribute(Choice("passphrase"), required=True)
    uuid = attribute(STRING)
    usage = attribute(STRING)


class Cipher(Element):
    """The cipher of a LUKS volume."""

    name = attribute(STRING)
    size = attribute(UINT)
    mode = attribute(STRING)
    hash = attribute(STRING)


class Ivgen(Element):
    """How a LUKS volume makes its initialisation vectors."""

    name = attribute(STRING)
    hash = attribute(STRING)


class Encryption(Element):
    """The encryption of an image."""

    format = attribute(
        Choice("default", "qcow", "luks", "luks2", "luks-any"),
        missing=(VIR_ERR_XML_ERROR, "unknown volume encryption format", VIR_FROM_STORAGE),
        bad=(
            VIR_ERR_CONFIG_UNSUPPORTED, "unknown volume encryption format type %s",
            VIR_FROM_STORAGE,
        ),
    )  # fmt: skip
    engine = attribute(Choice("qemu", "librbd"))
    secrets = children(EncryptionSecret, "secret")
    cipher = child(Cipher)
    ivgen = child(Ivgen)


class Host(Element):
    """A server of network storage."""

    transport = attribute(
        Choice("tcp", "unix", "rdma"),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown protocol transport type '%s'"),
    )
    name = attribute(STRING)
    port = attribute(STRING)
    socket = attribute(STRING)

    def parsed(self, node: Node) -> None:
        if self.transport == "unix":
            if self.socket is None:
                raise complaint((VIR_ERR_XML_ERROR, "missing socket for unix transport"))
        elif self.name is None:
            raise complaint((VIR_ERR_XML_ERROR, "missing name for host"))


class Named(Element):
    """An element that is nothing but its name."""

    name = attribute(STRING)


class PathFile(Element):
    """An element that is nothing but a file."""

    file = attribute(STRING)


class Iqn(Element):
    """An iSCSI name."""

    name = attribute(STRING)


class Initiator(Element):
    """The initiator's side of an iSCSI connection."""

    iqn = child(Iqn)


class Ssl(Element):
    """Whether the server's certificate is checked."""

    verify = attribute(YESNO)


class Cookie(Element):
    """A cookie sent to an HTTP server."""

    name = attribute(STRING, required=True)
    value = text(STRING, secret=SECURE)


class Cookies(Element):
    """Cookies sent to an HTTP server; secret."""

    cookies = children(Cookie, "cookie")


class Readahead(Element):
    """How much curl reads ahead, in bytes."""

    size = attribute(ULONG)


class Timeout(Element):
    """How long curl waits, in seconds."""

    seconds = attribute(ULONG)


class Identity(Element):
    """Who we are to an NFS or SSH server."""

    user = attribute(STRING)
    group = attribute(STRING)
    username = attribute(STRING)
    agentsock = attribute(STRING)
    keyfile = attribute(STRING)


class KnownHosts(Element):
    """The file of known SSH hosts."""

    path = attribute(STRING)


class ReservationSource(Element):
    """The socket of a persistent-reservation helper."""

    type = attribute(Choice("unix"))
    path = attribute(STRING)
    mode = attribute(Choice("client", "server"))


class Reservations(Element):
    """Persistent reservations on a SCSI LUN."""

    managed = attribute(YESNO)
    source = child(ReservationSource)


class Slice(Element):
    """A part of an image, in bytes."""

    type = attribute(Choice("storage"), required=True)
    offset = attribute(ULONG, required=True)
    size = attribute(ULONG, required=True)


class Slices(Element):
    """Parts of an image."""

    slices = children(Slice, "slice")


class Reconnect(Element):
    """Whether and how often a lost connection is made again."""

    enabled = attribute(YESNO)
    timeout = attribute(UINT)


class SourceReconnect(Element):
    """How a source's lost connection is made again: for vhost-user, and for NBD for how long."""

    enabled = attribute(YESNO)
    timeout = attribute(UINT)
    delay = attribute(UINT)


class SourceSeclabel(Element):
    """How one image is labelled, against the domain's own label."""

    model = attribute(STRING)
    relabel = attribute(YESNO)
    labelskip = attribute(YESNO)
    label = leaf(STRING)


class HostAddress(Element):
    """The address of a device of the host, in the numbers of its kind."""

    domain = attribute(hexadecimal(4), when=("pci", "nvme"))
    bus = attribute(
        UINT, when={"pci": hexadecimal(2), "nvme": hexadecimal(2), "usb": UINT_ANY, "scsi": UINT}
    )
    slot = attribute(hexadecimal(2), when=("pci", "nvme"))
    function = attribute(hexadecimal(1), when=("pci", "nvme"))
    device = attribute(UINT_ANY, when=("usb",))
    target = attribute(UINT, when=("scsi",))
    unit = attribute(ULONG, when=("scsi",))
    uuid = attribute(STRING, when=("mdev",))

    def parsed(self, node: Node) -> None:
        if "slot" in self.__dict__ or ("function" in self.__dict__):
            for name, limit in (("domain", 0xFFFF), ("bus", 0xFF), ("slot", 0x1F), ("function", 7)):
                value = self.__dict__.setdefault(name, 0)
                if value > limit:
                    shown = f"0x{limit:X}" if limit > 9 else str(limit)
                    raise complaint((
                        VIR_ERR_XML_ERROR,
                        f"Invalid PCI address {name}='0x{value:x}', must be <= {shown}",
                        VIR_FROM_NONE,
                    ))  # fmt: skip


class Source(Element):
    """Where an image is. What counts depends on the type of the disk around it."""

    type = attribute(STRING, when=("nvme", "vhostuser"))
    managed = attribute(YESNO, when=("nvme",))
    namespace = attribute(UINT, when=("nvme",))
    path = attribute(STRING, when=("vhostuser",))
    file = attribute(STRING, when=("file",))
    dev = attribute(STRING, when=("block", "vhostvdpa"))
    dir = attribute(STRING, when=("dir",))
    protocol = attribute(
        Choice(*PROTOCOLS), when=("network",),
    )  # fmt: skip
    name = attribute(STRING, when=("network",))
    query = attribute(STRING, when=("network",))
    pool = attribute(STRING, when=("volume",))
    volume = attribute(STRING, when=("volume",))
    mode = attribute(Choice("host", "direct"), when=("volume",))
    fdgroup = attribute(STRING, when=("file",))
    tls = attribute(YESNO, when=("network",))
    tls_hostname = attribute(STRING, "tlsHostname", when=("network",))
    startup_policy = attribute(
        Choice("mandatory", "requisite", "optional", silent=("default",)), "startupPolicy"
    )
    index = attribute(UINT, secret=LIVE)
    address = child(HostAddress, when=("nvme",))
    hosts = children(Host, "host", when=("network",))
    snapshot = child(Named, when=("network",))
    config = child(PathFile, when=("network",))
    initiator = child(Initiator, when=("network",))
    ssl = child(Ssl, when=("network",))
    cookies = child(Cookies, when=("network",))
    readahead = child(Readahead, when=("network",))
    timeout = child(Timeout, when=("network",))
    identity = child(Identity, when=("network",))
    known_hosts = child(KnownHosts, "knownHosts", when=("network",))
    seclabels = children(SourceSeclabel, "seclabel")
    auth = child(Auth)
    encryption = child(Encryption)
    reservations = child(Reservations)
    slices = child(Slices)
    reconnect = child(SourceReconnect, when=("vhostuser", "network"))


class MaxSize(Element):
    """A size in bytes."""

    value = text(BYTES)


class MetadataCache(Element):
    """How much of a qcow2 image's tables is kept in memory."""

    max_size = leaf(BYTES)


class Format(Element):
    """The format of an image in a chain."""

    type = attribute(
        Choice(*FORMATS, "auto"),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown driver format value '%s'"),
    )
    metadata_cache = child(MetadataCache)


class BackingStore(Element):
    """The image below an image; without a type the end of the chain."""

    KIND = "type"
    KINDS = frozenset(SOURCE_TYPES)

    type = attribute(Choice(*SOURCE_TYPES))
    index = attribute(UINT, secret=LIVE)
    format = child(Format)
    source = child(Source, empty=True)
    backing_store: BackingStore | None = nested("backingStore")
