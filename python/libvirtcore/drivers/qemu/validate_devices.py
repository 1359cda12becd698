# SPDX-License-Identifier: LGPL-2.1-or-later
"""validate_devices.py: which devices other than disks QEMU has on a machine.

Called by: validate.py, attach code of the driver. Calls: refusals.py.
Never: touches the host.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from libvirtcore.drivers.qemu.caps import QemuCaps
from libvirtcore.drivers.qemu.machines import is_q35, is_virt, is_x86
from libvirtcore.drivers.qemu.model import several, single
from libvirtcore.drivers.qemu.refusals import unsupported

VNC_PASSWORD = 8
XHCI_PORTS = 15
# Serial models by the target type they need.
SERIAL_TYPES = {
    "isa-serial": "isa-serial",
    "usb-serial": "usb-serial",
    "pci-serial": "pci-serial",
    "spapr-vty": "spapr-vio-serial",
    "pl011": "system-serial",
    "16550a": "system-serial",
    "sclpconsole": "sclp-serial",
    "sclplmconsole": "sclp-serial",
    "isa-debugcon": "isa-debug",
}
VIDEO_DEVICES = {"vga": "VGA", "cirrus": "cirrus-vga", "vmvga": "vmware-svga", "qxl": "qxl",
                 "bochs": "bochs-display", "ramfb": "ramfb"}  # fmt: skip
MODELS_WITH_HEADS = ("qxl", "virtio")
TRANSITIONAL = ("virtio-transitional", "virtio-non-transitional")


def validate_devices(dom: Any, caps: QemuCaps) -> None:
    """Refuse devices that cannot be. Raises: VirError."""
    for name in _CHECKS:
        for device in several(dom, name):
            validate_device(dom, name, device, caps)
    if len(several(dom, "smartcards")) > 1:
        raise unsupported("this QEMU binary lacks multiple smartcard support")
    tpms = [tpm for tpm in several(dom, "tpms") if tpm.model != "spapr-tpm-proxy"]
    if len(tpms) > 1:
        raise unsupported("only a single TPM non-proxy device is supported")
    if single(dom, "nvram") is not None:
        raise unsupported("nvram device is only supported for PPC64")
    iommu = single(dom, "iommu")
    if iommu is not None:
        _iommu(dom, iommu, caps)


def validate_device(dom: Any, kind: str, device: Any, caps: QemuCaps) -> None:
    """Refuse one device of a kind ("interfaces", …). Raises: VirError."""
    check = _CHECKS.get(kind)
    if check is not None:
        check(dom, device, caps)


def _interface(dom: Any, device: Any, caps: QemuCaps) -> None:
    driver = device.driver
    if driver is not None:
        for name in ("rx_queue_size", "tx_queue_size"):
            size = getattr(driver, name)
            if size and size & (size - 1):
                raise unsupported(f"{name} has to be a power of two")
    if device.type not in ("user",) and (device.ips or device.routes):
        raise unsupported(
            "Invalid attempt to set network interface guest-side IP route and/or address info,"
            " not supported by QEMU"
        )


def _serial(dom: Any, device: Any, caps: QemuCaps) -> None:
    kind, model = device.target.type, device.target.model.name
    wanted = SERIAL_TYPES.get(model or "")
    if wanted is not None and wanted != kind:
        raise unsupported(f"Target model '{model}' requires target type '{wanted}'")
    fits = {
        "spapr-vio-serial": False,
        "sclp-serial": False,
        "system-serial": is_virt(dom),
        "isa-serial": is_x86(dom),
        "isa-debug": is_x86(dom),
    }.get(kind, True)
    if not fits:
        raise unsupported(
            f"Serial device with target type '{kind}' and target model '{model}' not compatible"
            " with guest architecture or machine type"
        )


def _console(dom: Any, device: Any, caps: QemuCaps) -> None:
    kind = device.target.type
    if kind in ("sclp", "sclplm"):
        raise unsupported(f"{kind}console is not supported in this QEMU binary")
    if kind not in ("serial", "virtio"):
        raise unsupported(f"unsupported console target type {kind}")


def _input(dom: Any, device: Any, caps: QemuCaps) -> None:
    if device.bus != "virtio" or device.model not in TRANSITIONAL:
        return
    if device.model == "virtio-transitional" or device.type != "passthrough":
        raise unsupported(
            f"virtio (non-)transitional models are not supported for input type={device.type}"
        )


def _graphics(dom: Any, device: Any, caps: QemuCaps) -> None:
    if device.type == "rdp":
        raise unsupported("rdp graphics are not supported with this QEMU")
    if device.type == "desktop":
        raise unsupported(f"unsupported graphics type '{device.type}'")
    if device.type == "egl-headless":
        others = {each.type for each in dom.devices.graphics} - {"egl-headless"}
        if others and not others & {"vnc", "spice"}:
            raise unsupported(
                "graphics type 'egl-headless' is only supported with one of: 'vnc', 'spice'"
                " graphics types"
            )
    if device.type == "vnc" and device.passwd is not None and len(device.passwd) > VNC_PASSWORD:
        raise unsupported(
            f"VNC password is {len(device.passwd)} characters long, only {VNC_PASSWORD} permitted"
        )


def _video(dom: Any, device: Any, caps: QemuCaps) -> None:
    kind = device.model.type
    known = kind in ("none", "virtio") or kind in VIDEO_DEVICES
    if not known or (kind in VIDEO_DEVICES and not caps.has_device(VIDEO_DEVICES[kind])):
        raise unsupported(f"domain configuration does not support video model '{kind}'")
    if (device.model.heads or 1) > 1 and kind not in MODELS_WITH_HEADS:
        raise unsupported(f"video type '{kind}' doesn't support multiple 'heads'")
    if device.model.vram is not None and device.model.vram < 1024 and kind != "none":
        raise unsupported("value for 'vram' must be at least 1 MiB (1024 KiB)")
    if device.model.blob is not None and kind != "virtio":
        raise unsupported(f"video type '{kind}' doesn't support 'blob' resources")


def _hostdev(dom: Any, device: Any, caps: QemuCaps) -> None:
    if device.mode == "capabilities":
        raise unsupported("hostdev mode 'capabilities' is not supported in qemu")
    source = device.source
    if source is not None and getattr(source, "write_filtering", None) is not None:
        raise unsupported(
            "Write filtering of PCI device configuration space is not supported by qemu"
        )


def _watchdog(dom: Any, device: Any, caps: QemuCaps) -> None:
    if device.model == "diag288":
        raise unsupported("diag288 model of watchdog is allowed for s390 and s390x only")
    if device.model == "itco" and not is_q35(dom):
        raise unsupported("itco model of watchdog is part of q35 machines only")


def _panic(dom: Any, device: Any, caps: QemuCaps) -> None:
    if device.model == "s390":
        raise unsupported("only S390 guests support panic device of model 's390'")
    if device.model == "pseries":
        raise unsupported("only pSeries guests support panic device of model 'pseries'")
    if device.model == "pvpanic" and not caps.has_device("pvpanic-pci"):
        raise unsupported("the QEMU binary does not support the panic device of model 'pvpanic'")


def _shmem(dom: Any, device: Any, caps: QemuCaps) -> None:
    model = device.model.type if device.model is not None else "ivshmem"
    if not caps.has_device(model or "ivshmem"):
        raise unsupported(f"{model} device is not supported with this QEMU binary")


def _tpm(dom: Any, device: Any, caps: QemuCaps) -> None:
    if device.model not in caps.tpm_models:
        raise unsupported(
            f"The QEMU executable {dom.devices.emulator} does not support TPM model {device.model}"
        )


def _iommu(dom: Any, device: Any, caps: QemuCaps) -> None:
    if device.model == "intel" and not is_q35(dom):
        raise unsupported("IOMMU device: 'intel' is only supported with Q35 machines")
    if device.model == "smmuv3" and not is_virt(dom):
        raise unsupported("IOMMU device: 'smmuv3' is only supported with ARM Virt machines")
    if device.model == "virtio":
        if not is_q35(dom) and not is_virt(dom):
            raise unsupported(
                "IOMMU device: 'virtio' is only supported with Q35 and ARM Virt machines"
            )
        if is_x86(dom) and not (dom.features is not None and dom.features.acpi):
            raise unsupported("IOMMU device: 'virtio' requires ACPI")


def _controller(dom: Any, device: Any, caps: QemuCaps) -> None:
    if device.type != "usb" or device.model not in ("qemu-xhci", "nec-xhci"):
        return
    if (device.ports or 0) > XHCI_PORTS:
        raise unsupported(f"'{device.model}' controller only supports up to '{XHCI_PORTS}' ports")


_CHECKS: dict[str, Callable[[Any, Any, QemuCaps], None]] = {
    "controllers": _controller,
    "interfaces": _interface,
    "serials": _serial,
    "consoles": _console,
    "inputs": _input,
    "graphics": _graphics,
    "videos": _video,
    "hostdevs": _hostdev,
    "watchdogs": _watchdog,
    "panics": _panic,
    "shmems": _shmem,
    "tpms": _tpm,
}
