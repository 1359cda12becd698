# SPDX-License-Identifier: LGPL-2.1-or-later
"""controller.py: the controllers devices hang from, PCI bridges among them.

Called by: devices.py. Calls: address.py, schema.py.
Never: decides which controllers a machine needs.
"""

from __future__ import annotations

from libvirtcore.conf.address import Device, Master
from libvirtcore.conf.nodes import Node
from libvirtcore.conf.schema import Element, attribute, child, leaf
from libvirtcore.conf.values import (
    INT,
    KIB,
    NATURAL,
    ONOFF,
    UINT,
    UINT_NONZERO,
    Choice,
    hexadecimal,
)
from libvirtcore.errors import report
from libvirtcore.generated.constants import VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_DOMAIN

CONTROLLER_TYPES = (
    "ide", "fdc", "scsi", "sata", "virtio-serial", "ccid", "usb", "pci", "xenbus", "isa",
)  # fmt: skip
_VIRTIO = ("virtio", "virtio-transitional", "virtio-non-transitional")
MODELS: dict[str, tuple[str, ...]] = {
    "pci": (
        "pci-root", "pcie-root", "pci-bridge", "dmi-to-pci-bridge", "pcie-to-pci-bridge",
        "pcie-root-port", "pcie-switch-upstream-port", "pcie-switch-downstream-port",
        "pci-expander-bus", "pcie-expander-bus",
    ),
    "usb": (
        "piix3-uhci", "piix4-uhci", "ehci", "ich9-ehci1", "ich9-uhci1", "ich9-uhci2",
        "ich9-uhci3", "vt82c686b-uhci", "pci-ohci", "nec-xhci", "qusb1", "qusb2", "qemu-xhci",
        "none",
    ),
    "scsi": (
        "auto", "buslogic", "lsilogic", "lsisas1068", "vmpvscsi", "ibmvscsi", "virtio-scsi",
        "lsisas1078", "virtio-transitional", "virtio-non-transitional", "ncr53c90", "dc390",
        "am53c974",
    ),
    "ide": ("piix3", "piix4", "ich6"),
    "virtio-serial": _VIRTIO,
    "isa": (),
}  # fmt: skip


class PciModel(Element):
    """The device that plays a PCI controller, by the name QEMU gives it."""

    name = attribute(
        Choice(
            "pci-bridge", "i82801b11-bridge", "pcie-pci-bridge", "ioh3420", "x3130-upstream",
            "xio3130-downstream", "pxb", "pxb-pcie", "pcie-root-port", "spapr-pci-host-bridge",
        )
    )  # fmt: skip


class PciTarget(Element):
    """What tells one PCI controller from another to the guest."""

    chassis_nr = attribute(INT, "chassisNr")
    chassis = attribute(INT)
    port = attribute(hexadecimal(1))
    bus_nr = attribute(INT, "busNr")
    index = attribute(INT)
    hotplug = attribute(ONOFF)
    node = leaf(UINT)


class ControllerDriver(Element):
    """Queues and virtio options of a controller."""

    queues = attribute(UINT)
    cmd_per_lun = attribute(UINT)
    max_sectors = attribute(UINT)
    ioeventfd = attribute(ONOFF)
    iothread = attribute(UINT_NONZERO)
    iommu = attribute(ONOFF)
    ats = attribute(ONOFF)
    packed = attribute(ONOFF)
    page_per_vq = attribute(ONOFF)


class Controller(Device):
    """A controller: PCI, USB, SCSI, SATA, IDE, virtio serial and others."""

    KIND = "type"
    KINDS = frozenset(CONTROLLER_TYPES)

    type = attribute(Choice(*CONTROLLER_TYPES), default="ide")
    index = attribute(NATURAL)
    model = attribute(
        Choice(*dict.fromkeys(model for models in MODELS.values() for model in models)),
        bad=(VIR_ERR_CONFIG_UNSUPPORTED, "Unknown model type '%s'"),
    )
    ports = attribute(NATURAL, when=("virtio-serial", "usb"))
    vectors = attribute(NATURAL, when=("virtio-serial",))
    max_grant_frames = attribute(NATURAL, "maxGrantFrames", when=("xenbus",))
    max_event_channels = attribute(NATURAL, "maxEventChannels", when=("xenbus",))
    pci_model = child(PciModel, "model", when=("pci",))
    target = child(PciTarget, when=("pci",))
    driver = child(ControllerDriver)
    pcihole64 = leaf(KIB, when=("pci",))
    master = child(Master, when=("usb",), order=1002)

    def parsed(self, node: Node) -> None:
        if self.model is not None and self.model not in MODELS.get(self.type, ()):
            raise report(
                VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_DOMAIN, f"Unknown model type '{self.model}'"
            )
