# SPDX-License-Identifier: LGPL-2.1-or-later
"""domain.py: a domain's definition as one typed object: parse, change, format.

Called by: programs (`from libvirtcore.conf import Domain`), drivers. Calls: reader.py, writer.py,
defaults.py, validate.py, the model classes.
Never: asks a hypervisor, reads a file.
"""

from __future__ import annotations

import uuid

from libvirtcore.conf.boot import IdMap, Os
from libvirtcore.conf.cpu import Cpu
from libvirtcore.conf.defaults import complete
from libvirtcore.conf.devices import Devices
from libvirtcore.conf.features import Clock, Features
from libvirtcore.conf.identity import Identity, parse_uuid
from libvirtcore.conf.nodes import QEMU_NAMESPACE, Node, read_document
from libvirtcore.conf.qemu import Capabilities, Commandline, Deprecation, Override
from libvirtcore.conf.raw import Metadata
from libvirtcore.conf.reader import PARSE_INACTIVE, read
from libvirtcore.conf.schema import (
    LIVE,
    Element,
    attribute,
    child,
    children,
    leaf,
    leaf_attribute,
    one,
    raw,
    text,
)
from libvirtcore.conf.security import DomainSeclabel, KeyWrap, LaunchSecurity, Sysinfo
from libvirtcore.conf.tuning import (
    BlkioTune,
    CpuTune,
    DefaultIoThread,
    IoThreadIds,
    MaxMemory,
    MemoryBacking,
    MemTune,
    NumaTune,
    Perf,
    Pm,
    Resource,
    Vcpus,
)
from libvirtcore.conf.validate import validate
from libvirtcore.conf.values import CPUSET, KIB, NATURAL, ONOFF, STRING, UINT, WORD, Choice, Codec
from libvirtcore.conf.writer import format_element
from libvirtcore.errors import report
from libvirtcore.generated.constants import (
    VIR_ERR_CONFIG_UNSUPPORTED,
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_XML_ERROR,
    VIR_FROM_DOMAIN,
)

DOMAIN_TYPES = (
    "qemu", "kvm", "xen", "lxc", "uml", "openvz", "test", "vmware", "hyperv", "vbox", "phyp",
    "parallels", "bhyve", "vz", "hvf",
)  # fmt: skip


class Vcpu(Element):
    """How many virtual CPUs there are, and on which host CPUs they may run."""

    placement = attribute(Choice("static", "auto"))
    cpuset = attribute(CPUSET)
    current = attribute(UINT)
    value = text(UINT, default=1, bad=(VIR_ERR_XML_ERROR, "maximum vcpus count must be an integer"))


_LIFE = Choice("destroy", "restart", "rename-restart", "preserve")
_CRASH = Choice(*_LIFE.words, "coredump-destroy", "coredump-restart")
_LOCK = Choice("poweroff", "restart", "pause", "ignore", silent=("default",))


def _action(name: str) -> tuple[int, str]:
    """What to say about an action that is none."""
    return (VIR_ERR_CONFIG_UNSUPPORTED, f"unknown {name} action: %s")


class Genid(Codec[str]):
    """The generation of a guest: a uuid, or "" for one that is to be made up."""

    def parse(self, text: str) -> str:
        if not text:
            return str(uuid.uuid4())
        known = parse_uuid(text)
        if known is None:
            raise report(VIR_ERR_INTERNAL_ERROR, VIR_FROM_DOMAIN, "malformed genid element")
        return known


class Domain(Element):
    """The definition of a guest."""

    type = attribute(
        Choice(*DOMAIN_TYPES),
        missing=(VIR_ERR_INTERNAL_ERROR, "missing domain type attribute"),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "invalid domain type %s"),
    )
    id = attribute(NATURAL, secret=LIVE)
    name = leaf(STRING, default="")
    uuid = leaf(STRING)
    genid = leaf(Genid())
    title = leaf(WORD)
    description = leaf(WORD)
    metadata = raw("metadata")
    max_memory = child(MaxMemory, "maxMemory")
    memory = leaf(KIB, default=0)
    memory_dump_core = leaf_attribute(ONOFF, "memory", "dumpCore")
    current_memory = leaf(KIB, "currentMemory", default=0)
    blkiotune = child(BlkioTune)
    memtune = child(MemTune)
    memory_backing = child(MemoryBacking, "memoryBacking")
    vcpu = one(Vcpu)
    vcpus = child(Vcpus)
    iothreads = leaf(UINT, bad=(VIR_ERR_XML_ERROR, "invalid iothreads count '%s'"))
    iothreadids = child(IoThreadIds)
    defaultiothread = child(DefaultIoThread)
    cputune = child(CpuTune)
    numatune = child(NumaTune)
    resource = child(Resource)
    sysinfos = children(Sysinfo, "sysinfo")
    bootloader = leaf(WORD)
    bootloader_args = leaf(WORD)
    os = one(Os)
    idmap = child(IdMap)
    features = child(Features)
    cpu = child(Cpu)
    clock = one(Clock)
    on_poweroff = leaf(_LIFE, default="destroy", bad=_action("on_poweroff"))
    on_reboot = leaf(_LIFE, default="restart", bad=_action("on_reboot"))
    on_crash = leaf(_CRASH, default="destroy", bad=_action("on_crash"))
    on_lockfailure = leaf(_LOCK, bad=_action("on_lockfailure"))
    pm = child(Pm)
    perf = child(Perf)
    devices = one(Devices, empty=True)
    seclabels = children(DomainSeclabel, "seclabel")
    keywrap = child(KeyWrap)
    launch_security = child(LaunchSecurity, "launchSecurity")
    qemu_commandline = child(Commandline, "qemu:commandline")
    qemu_capabilities = child(Capabilities, "qemu:capabilities")
    qemu_override = child(Override, "qemu:override")
    qemu_deprecation = child(Deprecation, "qemu:deprecation")

    @classmethod
    def parse(cls, xml: str, flags: int = 0) -> Domain:
        """The domain a document defines, completed and checked as libvirt does at define.

        With PARSE_INACTIVE what only a running guest has (id, aliases, …) is passed over.
        Raises: VirError, with libvirt's code and message.
        """
        node, source = read_document(xml, "domain")
        return cls.from_node(node, source, flags)

    @classmethod
    def from_node(cls, node: Node, source: bytes, flags: int = 0) -> Domain:
        """The same of a document that was read already."""
        identity = Identity.of(node)
        _require_os_type(node)
        if node.attributes.get("type") == "":
            del node.attributes["type"]
        domain = read(cls, node, None, flags)
        domain.uuid = identity.uuid
        for below in node.children:
            if below.tag == "metadata" and below.start:
                span = source[below.start : below.end].decode()
                domain.metadata = Metadata(span, below.attributes)
                break
        if flags & PARSE_INACTIVE:
            for graphics in domain.devices.graphics:
                graphics.forget_ports()
        complete(domain)
        validate(domain)
        return domain

    def format(self, flags: int = 0) -> str:
        """The document in libvirt's shape; FORMAT_SECURE and FORMAT_INACTIVE as XMLDesc's flags."""
        out = format_element(self, "domain", flags)
        if any(self.__dict__.get(name) is not None for name in QEMU_FIELDS):
            place = out.index(">")
            out = f"{out[:place]} xmlns:qemu='{QEMU_NAMESPACE}'{out[place:]}"
        return out

    @property
    def has_numa_memory(self) -> bool:
        """Whether NUMA cells state the memory instead of <memory>."""
        cpu = self.cpu
        return cpu is not None and cpu.numa is not None and any(c.memory for c in cpu.numa.cells)

    def __repr__(self) -> str:
        return f"Domain(name={self.name!r}, uuid={self.uuid!r}, type={self.type!r})"


QEMU_FIELDS = tuple(field.name for field in Domain.FIELDS if field.xml.startswith("qemu:"))


def _require_os_type(node: Node) -> None:
    """Say first, as libvirt does, that nobody knows what the guest is."""
    for below in node.children:
        if below.tag == "os":
            if any(item.tag == "type" and item.text for item in below.children):
                return
            break
    raise report(VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN, "an os <type> must be specified")
