# SPDX-License-Identifier: LGPL-2.1-or-later
"""domcaps.py: the answer to virConnectGetDomainCapabilities: what a guest may have.

Called by: the driver. Calls: caps.py, domcaps_cpus.py.
Never: runs QEMU.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from libvirtcore.conf.boot import ARCHITECTURES
from libvirtcore.conf.domain import DOMAIN_TYPES
from libvirtcore.conf.values import escape
from libvirtcore.drivers.qemu.caps import QemuCaps
from libvirtcore.drivers.qemu.domcaps_cpus import custom_models
from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import (
    VIR_ERR_CONFIG_UNSUPPORTED,
    VIR_ERR_INVALID_ARG,
    VIR_FROM_QEMU,
)

FIRMWARE = Path("/usr/share/qemu/firmware")
LARGEST_DESCRIPTOR = 1 << 20
# Where images lie that no descriptor speaks of; offered only when descriptors offer nothing.
UNDESCRIBED = {
    "x86_64": ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_CODE.secboot.fd"),
    "aarch64": ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF32_CODE.fd"),
}
VIRTIO = ("virtio", "virtio-transitional", "virtio-non-transitional")
# What libvirt 9.0 asks QEMU about: libvirt's name and the device behind it.
VIDEO = (
    ("vga", "VGA"), ("cirrus", "cirrus-vga"), ("vmvga", "vmware-svga"), ("qxl", "qxl"),
    ("virtio", "virtio-gpu-pci"), ("none", ""), ("bochs", "bochs-display"), ("ramfb", "ramfb"),
)  # fmt: skip


class Loader(NamedTuple):
    """A firmware image and whether it can enforce signatures."""

    path: str
    secure: bool


def refused(message: str) -> VirError:
    """The error of an argument."""
    return report(VIR_ERR_INVALID_ARG, VIR_FROM_QEMU, message)


def loaders(arch: str, machine: str, folder: Path = FIRMWARE) -> list[Loader]:
    """The UEFI images that the host's descriptor files offer to a machine."""
    found: list[Loader] = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        try:
            if path.stat().st_size > LARGEST_DESCRIPTOR:
                continue
            facts = json.loads(path.read_text())
            if "uefi" not in facts["interface-types"]:
                continue
            fits = any(
                target["architecture"] == arch
                and any(fnmatchcase(machine, pattern) for pattern in target["machines"])
                for target in facts["targets"]
            )
            if fits:
                image = facts["mapping"]["executable"]["filename"]
                found.append(Loader(str(image), "secure-boot" in facts["features"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # somebody else's broken file hides only itself
    return list(dict.fromkeys(found))


def choose(
    load: Callable[[str], QemuCaps],
    find: Callable[[str], QemuCaps | None],
    emulator: str | None,
    arch: str | None,
    native: str,
) -> tuple[QemuCaps, str]:
    """The emulator a caller means, and the architecture it is to have.

    `load` gives the capabilities of a path, `find` those of the emulator for an architecture.
    Raises: VirError when there is none, or it has another architecture.
    """
    if arch and arch not in ARCHITECTURES:
        raise refused(f"unknown architecture: {arch}")
    wanted = arch or native
    if not emulator:
        found = find(wanted)
        if found is None:
            raise report(
                VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_QEMU,
                f"unable to find any emulator to serve '{wanted}' architecture",
            )  # fmt: skip
        return found, wanted
    caps = load(emulator)
    if caps.arch != wanted and (caps.arch, wanted) != ("x86_64", "i686"):
        raise refused(f"Emulator '{emulator}' does not support arch '{wanted}'")
    return caps, wanted


def domain_capabilities(
    caps: QemuCaps,
    virt_type: str | None = None,
    machine: str | None = None,
    firmware: Iterable[Loader] | None = None,
    arch: str | None = None,
) -> str:
    """The document for one emulator. Raises: VirError for a machine or type it does not have."""
    if virt_type and virt_type not in DOMAIN_TYPES:
        raise refused(f"unknown virttype: {virt_type}")
    kind = virt_type or ("kvm" if caps.kvm else "qemu")
    if kind not in ("qemu", "kvm") or (kind == "kvm" and not caps.kvm):
        raise refused(f"Emulator '{caps.binary}' does not support virt type '{kind}'")
    found = caps.machine(machine) if machine else caps.default_machine or caps.machine("virt")
    if found is None:
        raise refused(f"the machine '{machine}' is not supported by emulator '{caps.binary}'")
    images = list(loaders(caps.arch, found.name) if firmware is None else firmware)
    others = [] if images or firmware is not None else undescribed(caps.arch)
    out = [
        "<domainCapabilities>",
        f"  <path>{escape(caps.binary)}</path>",
        f"  <domain>{kind}</domain>",
        f"  <machine>{escape(found.name)}</machine>",
        f"  <arch>{arch or caps.arch}</arch>",
        f"  <vcpu max='{found.max_cpus}'/>",
        "  <iothreads supported='yes'/>",
    ]
    _os(out, images, others)
    _cpu(out, caps, kind)
    _list(out, "memoryBacking", [("sourceType", ["file", "anonymous", "memfd"])], "  ")
    _devices(out, caps, found.name)
    _features(out, caps, kind)
    out.append("</domainCapabilities>")
    return "\n".join(out) + "\n"


Enum = tuple[str, Sequence[str]]


def _list(
    out: list[str], name: str, enums: Sequence[Enum], indent: str, supported: bool = True
) -> None:
    """An element with its enumerations, or that it is not there."""
    if not supported:
        out.append(f"{indent}<{name} supported='no'/>")
        return
    out.append(f"{indent}<{name} supported='yes'>")
    for enum, values in enums:
        _enum(out, enum, values, indent + "  ")
    out.append(f"{indent}</{name}>")


def _enum(out: list[str], name: str, values: Sequence[str], indent: str) -> None:
    if not values:
        out.append(f"{indent}<enum name='{name}'/>")
        return
    out.append(f"{indent}<enum name='{name}'>")
    out += [f"{indent}  <value>{escape(value)}</value>" for value in values]
    out.append(f"{indent}</enum>")


def undescribed(arch: str) -> list[str]:
    """The images at the usual places."""
    return [path for path in UNDESCRIBED.get(arch, ()) if Path(path).exists()]


def _os(out: list[str], images: Sequence[Loader], others: Sequence[str]) -> None:
    out.append("  <os supported='yes'>")
    _enum(out, "firmware", ["efi"] if images else [], "    ")
    out.append("    <loader supported='yes'>")
    paths = [image.path for image in images] + list(others)
    out += [f"      <value>{escape(path)}</value>" for path in paths]
    _enum(out, "type", ["rom", "pflash"], "      ")
    _enum(out, "readonly", ["yes", "no"], "      ")
    secure = ["yes", "no"] if any(image.secure for image in images) else ["no"]
    _enum(out, "secure", secure, "      ")
    out += ["    </loader>", "  </os>"]


def _cpu(out: list[str], caps: QemuCaps, kind: str) -> None:
    out.append("  <cpu>")
    for mode, enum, there in (
        ("host-passthrough", "hostPassthroughMigratable", kind == "kvm"),
        ("maximum", "maximumMigratable", True),
    ):
        if there:
            out.append(f"    <mode name='{mode}' supported='yes'>")
            _enum(out, enum, ["on", "off"], "      ")
            out.append("    </mode>")
        else:
            out.append(f"    <mode name='{mode}' supported='no'/>")
    # Without a catalogue of CPUs the host's model is what the accelerator itself calls it.
    name = "host" if kind == "kvm" else "max"
    out.append("    <mode name='host-model' supported='yes'>")
    out.append(f"      <model fallback='forbid'>{name}</model>")
    out.append("    </mode>")
    models = custom_models(caps, kind == "kvm")
    if models:
        out.append("    <mode name='custom' supported='yes'>")
        for model in models:
            usable = {True: "yes", False: "no", None: "unknown"}[model.usable]
            head = f" usable='{usable}'" + (" deprecated='yes'" if model.deprecated else "")
            head += f" vendor='{model.vendor}'" if model.vendor else ""
            out.append(f"      <model{head}>{escape(model.name)}</model>")
        out.append("    </mode>")
    else:
        out.append("    <mode name='custom' supported='no'/>")
    out.append("  </cpu>")


def _devices(out: list[str], caps: QemuCaps, machine: str) -> None:
    pc = machine.startswith("pc-i440") or machine == "isapc"
    x86 = caps.arch in ("x86_64", "i686")
    buses = ["ide"] if pc else []
    buses += ["fdc"] if x86 else []
    buses += ["scsi", "virtio"]
    buses += ["usb"] if caps.has_device("usb-storage") else []
    buses += ["sata"] if caps.has_device("ich9-ahci") else []
    graphics = ["sdl", "vnc"]
    graphics += ["spice"] if caps.has("option:spice") or caps.has_device("qxl") else []
    graphics += ["egl-headless", "dbus"]
    video = [name for name, device in VIDEO if not device or caps.has_device(device)]
    out.append("  <devices>")
    devices: list[tuple[str, list[Enum]]] = [
        ("disk", [
            ("diskDevice", ["disk", "cdrom", "floppy", "lun"] if x86 else ["disk", "cdrom", "lun"]),
            ("bus", buses), ("model", VIRTIO),
        ]),
        ("graphics", [("type", graphics)]),
        ("video", [("modelType", video)]),
        ("hostdev", [
            ("mode", ["subsystem"]),
            ("startupPolicy", ["default", "mandatory", "requisite", "optional"]),
            ("subsysType", ["usb", "pci", "scsi"]), ("capsType", []), ("pciBackend", []),
        ]),
        ("rng", [("model", VIRTIO), ("backendModel", ["random", "egd", "builtin"])]),
        ("filesystem", [("driverType", ["path", "handle", "virtiofs"])]),
    ]  # fmt: skip
    for name, enums in devices:
        _list(out, name, enums, "    ")
    models = [model for model in ("tpm-tis", "tpm-crb", "tpm-spapr") if model in caps.tpm_models]
    _list(
        out, "tpm",
        [
            ("model", models), ("backendModel", ["passthrough", "emulator", "external"]),
            ("backendVersion", ["1.2", "2.0"]),
        ],
        "    ", bool(models),
    )  # fmt: skip
    _list(out, "redirdev", [("bus", ["usb"])], "    ", caps.has_device("usb-redir"))
    _list(out, "channel", [("type", ["pty", "unix", "spicevmc"])], "    ")
    out.append("  </devices>")


def _features(out: list[str], caps: QemuCaps, kind: str) -> None:
    out.append("  <features>")
    versions = [
        str(version)
        for version, emulated, kernel in sorted(caps.gic)
        if (kernel if kind == "kvm" else emulated)
    ]
    _list(out, "gic", [("version", versions)], "    ", bool(versions))
    for name, there in (
        ("vmcoreinfo", caps.has_device("vmcoreinfo")),
        ("genid", caps.has_device("vmgenid")),
        ("backingStoreInput", True),
        ("backup", True),
        ("sev", caps.sev),
        ("sgx", False),
    ):
        out.append(f"    <{name} supported='{'yes' if there else 'no'}'/>")
    hyperv = ["spinlocks", "vendor_id"] if caps.arch in ("x86_64", "i686") else []
    _list(out, "hyperv", [("features", hyperv)], "    ", bool(hyperv))
    out += ["  </features>"]
