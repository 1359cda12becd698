# SPDX-License-Identifier: LGPL-2.1-or-later
"""command_controllers.py: controllers of every kind, IOMMUs, and what machines build in.

Called by: command.py, attach code (controller_device). Calls: command_line.py.
Never: adds a controller the model does not have.
"""

from __future__ import annotations

from typing import Any

from libvirtcore.drivers.qemu.command_line import (
    Line,
    Props,
    alias,
    get,
    onoff,
    present,
    unsupported,
)

_ORDER = ("pci", "usb", "scsi", "ide", "sata", "virtio-serial", "ccid", "fdc")
_PCI = {
    "pci-bridge": "pci-bridge",
    "pci-expander-bus": "pxb",
    "dmi-to-pci-bridge": "i82801b11-bridge",
    "pcie-to-pci-bridge": "pcie-pci-bridge",
    "pcie-root-port": "pcie-root-port",
    "pcie-switch-upstream-port": "x3130-upstream",
    "pcie-switch-downstream-port": "xio3130-downstream",
    "pcie-expander-bus": "pxb-pcie",
}
_USB = {
    "piix3-uhci": "piix3-usb-uhci",
    "piix4-uhci": "piix4-usb-uhci",
    "ehci": "usb-ehci",
    "ich9-ehci1": "ich9-usb-ehci1",
    "ich9-uhci1": "ich9-usb-uhci1",
    "ich9-uhci2": "ich9-usb-uhci2",
    "ich9-uhci3": "ich9-usb-uhci3",
    "vt82c686b-uhci": "vt82c686b-usb-uhci",
    "pci-ohci": "pci-ohci",
    "nec-xhci": "nec-usb-xhci",
    "qemu-xhci": "qemu-xhci",
}
_SCSI = {
    "lsilogic": "lsi",
    "auto": "lsi",
    "lsisas1068": "mptsas1068",
    "lsisas1078": "megasas",
    "vmpvscsi": "pvscsi",
    "ibmvscsi": "spapr-vscsi",
    "am53c974": "am53c974",
    "dc390": "dc-390",
}


def global_controllers(line: Line) -> None:
    """What controllers that are part of the machine are told."""
    for controller in line.dom.devices.controllers:
        if controller.type != "pci" or controller.model not in ("pci-root", "pcie-root"):
            continue
        if controller.pcihole64 is not None and not controller.index:
            host = "i440FX-pcihost" if controller.model == "pci-root" else "q35-pcihost"
            line.add("-global", f"{host}.pci-hole64-size={controller.pcihole64}K")
        hotplug = get(controller, "target", "hotplug")
        if hotplug is not None and line.i440fx and not controller.index:
            line.add("-global", f"PIIX4_PM.acpi-root-pci-hotplug={onoff(hotplug)}")


def controllers(line: Line) -> None:
    devices = line.dom.devices.controllers
    if not any(controller.type == "usb" for controller in devices) and not (line.q35 or line.virt):
        line.add("-usb")  # the machine has a controller of its own, if told so
    for kind in _ORDER:
        for controller in line.dom.devices.controllers:
            if controller.type != kind:
                continue
            props = controller_device(line, controller)
            if props is not None:
                line.device(props)


def controller_device(line: Line, controller: Any) -> Props | None:
    """The properties of a controller; None when the machine has it anyway."""
    kind = controller.type
    if kind == "pci":
        props = _pci(line, controller)
    elif kind == "usb":
        props = _usb(controller)
    elif kind == "scsi":
        props = _scsi(line, controller)
    elif kind == "sata":
        if line.q35 and not controller.index:
            return None
        props = {"driver": "ahci", "id": alias(controller)}
    elif kind == "virtio-serial":
        props = line.virtio("virtio-serial", controller, controller.model)
        props["id"] = alias(controller)
        props.update(present({"max_ports": controller.ports, "vectors": controller.vectors}))
    elif kind == "ccid":
        props = {"driver": "usb-ccid", "id": alias(controller)}
    elif kind == "fdc":
        return _floppies(line)
    elif kind == "ide":
        if (line.i440fx and not controller.index) or line.machine == "isapc":
            return None
        raise unsupported("IDE controllers are unsupported for this QEMU binary or machine type")
    else:
        raise unsupported(f"Unsupported controller type: {kind}")
    if props is None:
        return None
    props.update(line.address(controller))
    return props


def _floppies(line: Line) -> Props | None:
    """The floppy controller, where the machine does not bring one."""
    if line.i440fx or line.machine == "isapc":
        return None
    indexes = {f"bootindex{name}": index for name, index in sorted(line.boot_floppies.items())}
    return {"driver": "isa-fdc", **indexes}


def _pci(line: Line, controller: Any) -> Props | None:
    model = controller.model
    if model in ("pci-root", "pcie-root"):
        return None
    driver = get(controller, "pci_model", "name") or _PCI.get(model)
    if driver is None:
        raise unsupported(f"Unsupported PCI Express root controller: {model}")
    target = controller.target
    props: Props = {"driver": driver}
    if model == "pci-bridge":
        props["chassis_nr"] = get(target, "chassis_nr")
    elif model in ("pci-expander-bus", "pcie-expander-bus"):
        props["bus_nr"] = get(target, "bus_nr")
    elif model in ("pcie-root-port", "pcie-switch-downstream-port"):
        props["port"] = get(target, "port")
        props["chassis"] = get(target, "chassis")
    props["id"] = alias(controller)
    if model in ("pci-expander-bus", "pcie-expander-bus"):
        props["numa_node"] = get(target, "node")
    elif model in ("pcie-root-port", "pcie-switch-downstream-port"):
        props["hotplug"] = get(target, "hotplug")
    return present(props)


def _usb(controller: Any) -> Props | None:
    model = controller.model
    if model == "none":
        return None
    driver = _USB.get(model or "piix3-uhci")
    if driver is None:
        raise unsupported(f"USB controller model '{model}' not supported in this QEMU binary")
    props: Props = {"driver": driver}
    if controller.ports is not None:
        if not driver.endswith("xhci"):
            raise unsupported(f"usb controller type '{model}' doesn't support 'ports'")
        props.update({"p2": controller.ports, "p3": controller.ports})
    start = get(controller, "master", "startport")
    if start is not None:
        props.update({"masterbus": f"{alias(controller)}.0", "firstport": start})
    else:
        props["id"] = alias(controller)
    return props


def _scsi(line: Line, controller: Any) -> Props:
    model, driver = controller.model, controller.driver
    if model in ("virtio-scsi", "virtio-transitional", "virtio-non-transitional"):
        props = line.virtio("virtio-scsi", controller, model)
        thread = get(driver, "iothread")
        if thread:
            props["iothread"] = f"iothread{thread}"
        props["id"] = alias(controller)
        props.update(present({
            "num_queues": get(driver, "queues") or None,
            "cmd_per_lun": get(driver, "cmd_per_lun") or None,
            "max_sectors": get(driver, "max_sectors") or None,
            "ioeventfd": get(driver, "ioeventfd"),
        }))  # fmt: skip
        return props
    name = _SCSI.get(model or "lsilogic")
    if name is None:
        raise unsupported(f"Unsupported controller model: {model}")
    return {"driver": name, "id": alias(controller)}


def iommu(line: Line) -> None:
    device = get(line.dom.devices, "iommu")
    if device is None:
        return
    driver = device.driver
    if device.model == "intel":
        line.device({"driver": "intel-iommu", "id": alias(device), **present({
            "intremap": _word(get(driver, "intremap")),
            "caching-mode": get(driver, "caching_mode"),
            "eim": _word(get(driver, "eim")),
            "device-iotlb": get(driver, "iotlb"),
            "aw-bits": get(driver, "aw_bits") or None,
        })})  # fmt: skip
    elif device.model == "virtio":
        line.device({"driver": "virtio-iommu", "id": alias(device), **line.address(device)})


def _word(state: bool | None) -> str | None:
    return None if state is None else onoff(state)
