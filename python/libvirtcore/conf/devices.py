# SPDX-License-Identifier: LGPL-2.1-or-later
"""devices.py: the <devices> of a domain, in libvirt's order of printing.

Called by: domain.py, drivers that attach devices. Calls: every device module.
Never: completes what only a hypervisor knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libvirtcore.conf.chardev import Channel, Console, Parallel, Serial
from libvirtcore.conf.controller import Controller
from libvirtcore.conf.defaults import complete_device
from libvirtcore.conf.disk import Disk
from libvirtcore.conf.graphics import Audio, Graphics, Sound, Video
from libvirtcore.conf.hostdev import Filesystem, Hostdev, Redirdev, RedirFilter
from libvirtcore.conf.interface import Interface
from libvirtcore.conf.misc import (
    Hub,
    Input,
    Iommu,
    Lease,
    Memballoon,
    Memory,
    NvramDevice,
    Panic,
    Rng,
    Shmem,
    Smartcard,
    Tpm,
    Vsock,
    Watchdog,
)
from libvirtcore.conf.nodes import Node, read_document
from libvirtcore.conf.reader import complaint, read
from libvirtcore.conf.schema import Element, child, children, leaf
from libvirtcore.conf.values import WORD
from libvirtcore.conf.writer import format_element
from libvirtcore.errors import report
from libvirtcore.generated.constants import (
    VIR_ERR_CONFIG_UNSUPPORTED,
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_XML_ERROR,
    VIR_FROM_DOMAIN,
)

if TYPE_CHECKING:
    from libvirtcore.conf.domain import Domain


class Devices(Element):
    """All devices of a domain by kind, each kind in the order of the document."""

    OPEN = True

    emulator = leaf(WORD)
    disks = children(Disk, "disk")
    controllers = children(Controller, "controller")
    leases = children(Lease, "lease")
    filesystems = children(Filesystem, "filesystem")
    interfaces = children(Interface, "interface")
    smartcards = children(Smartcard, "smartcard")
    serials = children(Serial, "serial")
    parallels = children(Parallel, "parallel")
    consoles = children(Console, "console")
    channels = children(Channel, "channel")
    inputs = children(Input, "input")
    tpms = children(Tpm, "tpm")
    graphics = children(Graphics, "graphics")
    sounds = children(Sound, "sound")
    audios = children(Audio, "audio")
    videos = children(Video, "video")
    hostdevs = children(Hostdev, "hostdev")
    redirdevs = children(Redirdev, "redirdev")
    redirfilter = child(RedirFilter, empty=True)
    hubs = children(Hub, "hub")
    watchdogs = children(Watchdog, "watchdog")
    memballoon = child(Memballoon)
    rngs = children(Rng, "rng")
    nvram = child(NvramDevice, empty=True)
    panics = children(Panic, "panic")
    shmems = children(Shmem, "shmem")
    memorys = children(Memory, "memory")
    iommu = child(Iommu)
    vsock = child(Vsock)

    def parsed(self, node: Node) -> None:
        for tag, message in SINGLE.items():
            if sum(item.tag == tag for item in node.children) > 1:
                raise complaint(message)


SINGLE = {
    "memballoon": (
        VIR_ERR_INTERNAL_ERROR, "only a single memory balloon device is supported",
    ),
    "watchdog": (VIR_ERR_INTERNAL_ERROR, "only a single watchdog device is supported"),
    "iommu": (VIR_ERR_XML_ERROR, "only a single IOMMU device is supported"),
    "vsock": (VIR_ERR_XML_ERROR, "only a single vsock device is supported"),
    "nvram": (VIR_ERR_INTERNAL_ERROR, "only a single nvram device is supported"),
}  # fmt: skip


DEVICES: dict[str, type[Element]] = {
    field.xml: field.element for field in Devices.FIELDS if field.element is not None
}


def parse_device(xml: str, domain: Domain | None = None, flags: int = 0) -> Element:
    """The device a document describes, as attachDevice takes it, completed for `domain`."""
    node, _ = read_document(xml, "", "(device_definition)")
    cls = DEVICES.get(node.tag)
    if cls is None:
        raise report(
            VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_DOMAIN, f"unknown device type '{node.tag}'"
        )
    device = read(cls, node, None, flags)
    complete_device(device, domain)
    return device


def format_device(device: Element, flags: int = 0) -> str:
    """The document of one device."""
    for xml, cls in DEVICES.items():
        if type(device) is cls:
            return format_element(device, xml, flags)
    raise TypeError(f"{type(device).__name__} is no device")
