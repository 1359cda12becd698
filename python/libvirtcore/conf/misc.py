# SPDX-License-Identifier: LGPL-2.1-or-later
"""misc.py: the small devices: input, balloon, random numbers, watchdog, panic, hub, vsock.

Called by: devices.py. Calls: address.py, chardev.py, schema.py.
Never: knows which machine has which of them.
"""

from __future__ import annotations

from libvirtcore.conf.address import Device
from libvirtcore.conf.chardev import CHAR_TYPES, CharSource, Protocol, complete_source
from libvirtcore.conf.nodes import Node
from libvirtcore.conf.reader import complaint
from libvirtcore.conf.schema import (
    IGNORED,
    LIVE,
    Element,
    attribute,
    child,
    children,
    flag,
    leaf,
    leaves,
    text,
)
from libvirtcore.conf.values import (
    INT,
    KIB,
    ONOFF,
    STRING,
    UINT,
    UINT_NONZERO,
    ULONG,
    WORD,
    YESNO,
    Choice,
    Scaled,
    hexadecimal,
)
from libvirtcore.errors import report
from libvirtcore.generated.constants import (
    VIR_ERR_CONFIG_UNSUPPORTED,
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_XML_DETAIL,
    VIR_ERR_XML_ERROR,
    VIR_FROM_DOMAIN,
    VIR_FROM_XML,
)

VIRTIO_MODELS = ("virtio", "virtio-transitional", "virtio-non-transitional")


class VirtioDriver(Element):
    """Options of any virtio device."""

    iommu = attribute(ONOFF)
    ats = attribute(ONOFF)
    packed = attribute(ONOFF)
    page_per_vq = attribute(ONOFF)


class InputSource(Element):
    """The device on the host whose events a guest gets."""

    evdev = attribute(STRING)
    dev = attribute(STRING)
    grab = attribute(Choice("all"))
    grab_toggle = attribute(
        Choice("ctrl-ctrl", "alt-alt", "shift-shift", "meta-meta", "scrolllock",
               "ctrl-scrolllock"), "grabToggle"
    )  # fmt: skip
    repeat = attribute(ONOFF)


class Input(Device):
    """A keyboard, mouse, tablet or a device of the host passed through."""

    type = attribute(
        Choice("mouse", "tablet", "keyboard", "passthrough", "evdev"),
        missing=(VIR_ERR_INTERNAL_ERROR, "missing input device type"),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown input device type '%s'"),
    )
    bus = attribute(
        Choice("ps2", "usb", "xen", "parallels", "virtio", "none", silent=("default",)),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown input bus type '%s'"),
    )
    model = attribute(
        Choice(*VIRTIO_MODELS), bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown input model '%s'")
    )
    driver = child(VirtioDriver)
    source = child(InputSource)


class Stats(Element):
    """How often a balloon asks its guest, in seconds."""

    period = attribute(INT)


class Memballoon(Device):
    """The device through which memory is taken from a guest and given back."""

    model = attribute(Choice(*VIRTIO_MODELS, "xen", "none"), required=True)
    autodeflate = attribute(ONOFF)
    free_page_reporting = attribute(ONOFF, "freePageReporting")
    stats = child(Stats)
    driver = child(VirtioDriver, order=1010)


class Rate(Element):
    """How many bytes a guest gets per period of milliseconds."""

    bytes = attribute(UINT, bad=(VIR_ERR_XML_ERROR, "invalid RNG rate bytes value"))
    period = attribute(UINT, bad=(VIR_ERR_XML_ERROR, "invalid RNG rate period value"))


class RngBackend(Element):
    """Where random numbers come from."""

    KIND = "type"
    KINDS = frozenset(CHAR_TYPES)

    model = attribute(
        Choice("random", "egd", "builtin"),
        missing=(VIR_ERR_XML_ERROR, "missing RNG device backend model"),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown RNG backend model '%s'"),
    )
    type = attribute(
        Choice(*CHAR_TYPES),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown backend type '%s' for egd"),
    )
    sources = children(CharSource, "source", empty=False)
    protocol = child(Protocol, when=("tcp",))
    value = text(WORD)

    @property
    def source(self) -> CharSource | None:
        """The first source of an EGD."""
        return self.sources[0] if self.sources else None

    def parsed(self, node: Node) -> None:
        if self.model == "egd":
            self.value = None
            if self.type is None:
                raise complaint((VIR_ERR_XML_ERROR, "missing EGD backend type"))
            complete_source(self)
        elif self.model == "builtin":
            self.value = None
        else:
            self.type = None
            self.value = self.value or "/dev/random"


class Rng(Device):
    """A source of random numbers."""

    model = attribute(
        Choice(*VIRTIO_MODELS), missing=(VIR_ERR_XML_ERROR, "missing RNG device model"),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown RNG model '%s'"),
    )  # fmt: skip
    driver = child(VirtioDriver, order=1000)
    rate = child(Rate)
    backend = child(RngBackend, empty=True)

    def parsed(self, node: Node) -> None:
        backends = [item for item in node.children if item.tag == "backend"]
        if len(backends) != 1:
            raise report(VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN, "only one RNG backend is supported")


class Watchdog(Device):
    """A device that acts when the guest no longer answers it."""

    model = attribute(
        Choice("i6300esb", "ib700", "diag288", "itco"),
        missing=(VIR_ERR_INTERNAL_ERROR, "watchdog must contain model name"),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown watchdog model '%s'"),
    )
    action = attribute(
        Choice("reset", "shutdown", "poweroff", "pause", "dump", "none", "inject-nmi"),
        default="reset", bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown watchdog action '%s'"),
    )  # fmt: skip


class Panic(Device):
    """A device through which a guest says that it crashed."""

    model = attribute(
        Choice("isa", "pseries", "hyperv", "s390", "pvpanic", silent=("default",)),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown panic model '%s'"),
    )


class Hub(Device):
    """A USB hub."""

    type = attribute(
        Choice("usb"), missing=(VIR_ERR_INTERNAL_ERROR, "missing hub device type"),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "unknown hub device type '%s'"),
    )  # fmt: skip


class Cid(Element):
    """The number of a guest among sockets between guest and host."""

    auto = attribute(YESNO)
    address = attribute(UINT_NONZERO)

    def parsed(self, node: Node) -> None:
        if self.address is not None and self.address < 3:
            raise complaint((VIR_ERR_CONFIG_UNSUPPORTED, "guest CIDs must be >= 3"))


class Vsock(Device):
    """Sockets between guest and host."""

    model = attribute(Choice(*VIRTIO_MODELS, silent=("default",)))
    cid = child(Cid)
    driver = child(VirtioDriver)


class IommuDriver(Element):
    """Options of an IOMMU."""

    intremap = attribute(ONOFF)
    caching_mode = attribute(ONOFF)
    eim = attribute(ONOFF)
    iotlb = attribute(ONOFF)
    aw_bits = attribute(UINT)


class Iommu(Device):
    """An IOMMU of the guest."""

    model = attribute(Choice("intel", "smmuv3", "virtio"), required=True)
    driver = child(IommuDriver)


class NvramDevice(Device):
    """The NVRAM of a POWER guest."""


class LeaseTarget(Element):
    """The file of a lease."""

    path = attribute(STRING, required=True)
    offset = attribute(ULONG)


class Lease(Element):
    """A lease held while the guest runs."""

    lockspace = leaf(WORD)
    key = leaf(WORD, missing=(VIR_ERR_XML_ERROR, "Missing 'key' element for lease"))
    target = child(LeaseTarget, missing=(VIR_ERR_XML_ERROR, "Missing 'target' element for lease"))


class ShmemModel(Element):
    """The device that shows shared memory."""

    type = attribute(Choice("ivshmem", "ivshmem-plain", "ivshmem-doorbell"))


class ShmemServer(Element):
    """The socket of the server that hands out shared memory."""

    path = attribute(STRING)


class Msi(Element):
    """Interrupts of shared memory."""

    enabled = attribute(YESNO)
    vectors = attribute(UINT)
    ioeventfd = attribute(ONOFF)


class Shmem(Device):
    """Memory shared between guests."""

    name = attribute(
        STRING, missing=(VIR_ERR_XML_ERROR, "shmem element must contain 'name' attribute")
    )
    role = attribute(Choice("master", "peer", silent=("default",)), bad=IGNORED)
    model = child(ShmemModel)
    size = leaf(Scaled(2**20, "M", 2**20, up=False))
    server = child(ShmemServer, empty=True)
    msi = child(Msi, empty=True)

    def parsed(self, node: Node) -> None:
        if "/" in self.name:
            raise report(
                VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_DOMAIN,
                "shmem name cannot include '/' character",
            )  # fmt: skip
        if self.model is None:
            self.model = ShmemModel(type="ivshmem")


class MemorySource(Element):
    """What a module is made of."""

    path = leaf(WORD)
    alignsize = leaf(KIB)
    pagesize = leaf(KIB)
    pmem = flag()
    nodemask = leaf(WORD)


class MemoryLabel(Element):
    """The label area of an NVDIMM."""

    size = leaf(KIB)


class BaseAddress(Element):
    """Where in the guest's memory a module lies."""

    base = attribute(hexadecimal(1, 64))


class MemoryTarget(Element):
    """What the guest sees, in KiB."""

    size = leaf(
        KIB, missing=(VIR_ERR_XML_ERROR, "missing element or attribute './size'", VIR_FROM_XML),
        bad=(
            VIR_ERR_XML_ERROR, "Invalid value '%s' for element or attribute './size'",
            VIR_FROM_XML,
        ),
    )  # fmt: skip
    node = leaf(UINT)
    label = child(MemoryLabel)
    block = leaf(KIB)
    requested = leaf(KIB)
    current = leaf(KIB, secret=LIVE)
    address = child(BaseAddress)
    readonly = flag()


class Memory(Device):
    """A memory module: DIMM, NVDIMM, virtio-mem, virtio-pmem, SGX."""

    model = attribute(
        Choice("dimm", "nvdimm", "virtio-pmem", "virtio-mem", "sgx-epc"), required=True
    )
    access = attribute(Choice("shared", "private"))
    discard = attribute(YESNO)
    uuid = leaf(WORD)
    source = child(MemorySource)
    target = child(
        MemoryTarget,
        missing=(VIR_ERR_XML_ERROR, "missing <target> element for <memory> device"),
    )

    def parsed(self, node: Node) -> None:
        if self.model in ("nvdimm", "virtio-pmem") and (
            self.source is None or self.source.path is None
        ):
            raise complaint((VIR_ERR_XML_DETAIL, f"path is required for model '{self.model}'"))


class Smartcard(Device):
    """A smart card: the host's, one of certificates, or passed through."""

    KIND = "type"
    KINDS = frozenset(CHAR_TYPES)

    mode = attribute(Choice("host", "host-certificates", "passthrough"), required=True)
    type = attribute(Choice(*CHAR_TYPES))
    sources = children(CharSource, "source", empty=False)
    protocol = child(Protocol, when=("tcp",))
    certificates = leaves(STRING, "certificate")
    database = leaf(WORD)

    @property
    def source(self) -> CharSource | None:
        """The first source."""
        return self.sources[0] if self.sources else None

    def parsed(self, node: Node) -> None:
        if self.mode == "host-certificates" and len(self.certificates) != 3:
            raise report(
                VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN,
                "host-certificates mode needs exactly three certificates",
            )  # fmt: skip
        if self.mode == "passthrough":
            if self.type is None:
                raise report(
                    VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN,
                    "passthrough mode requires a character device type attribute",
                )  # fmt: skip
            complete_source(self)


class TpmDevice(Element):
    """The TPM of the host."""

    path = attribute(STRING)


class TpmEncryption(Element):
    """The secret that opens a TPM's state."""

    secret = attribute(STRING)


class PcrBanks(Element):
    """The hashes a TPM keeps."""

    sha1 = flag()
    sha256 = flag()
    sha384 = flag()
    sha512 = flag()


class TpmSource(Element):
    """The socket of a TPM that runs elsewhere."""

    type = attribute(Choice("unix"))
    mode = attribute(Choice("connect", "bind"))
    path = attribute(STRING)


class TpmBackend(Element):
    """Who plays the TPM."""

    KIND = "type"
    KINDS = frozenset(("passthrough", "emulator", "external"))

    type = attribute(Choice("passthrough", "emulator", "external"), required=True)
    version = attribute(Choice("1.2", "2.0", silent=("default",)), when=("emulator",))
    persistent_state = attribute(YESNO, when=("emulator",))
    device = child(TpmDevice, when=("passthrough",))
    encryption = child(TpmEncryption, when=("emulator",))
    active_pcr_banks = child(PcrBanks, when=("emulator",))
    source = child(TpmSource, when=("external",))

    def parsed(self, node: Node) -> None:
        if self.type == "passthrough" and self.device is None:
            self.device = TpmDevice(path="/dev/tpm0")


class Tpm(Device):
    """A trusted platform module."""

    model = attribute(Choice("tpm-tis", "tpm-crb", "tpm-spapr", "spapr-tpm-proxy",
                             silent=("default",)))  # fmt: skip
    backend = child(TpmBackend, missing=(VIR_ERR_XML_ERROR, "missing TPM device backend"))
