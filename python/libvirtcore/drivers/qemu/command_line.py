# SPDX-License-Identifier: LGPL-2.1-or-later
"""command_line.py: what all parts of the command line share: the context, the words, the places.

A `Line` collects words in the order QEMU shall read them, together with the environment.
Called by: every command_*.py. Calls: errors.
Never: knows a particular device; opens or makes a file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import (
    VIR_ERR_CONFIG_UNSUPPORTED,
    VIR_ERR_INTERNAL_ERROR,
    VIR_FROM_QEMU,
)

if TYPE_CHECKING:
    from libvirtcore.conf import Domain
    from libvirtcore.drivers.qemu.caps import QemuCaps

Props = dict[str, Any]


class Command(NamedTuple):
    """A program with its arguments, and all of its environment."""

    argv: list[str]
    env: dict[str, str]


@dataclass
class Context:
    """What is not in the model: folders, descriptors QEMU inherits, what the driver found out.

    Descriptors are named by the alias of their device. Of `taps` the first is queue 0; entries
    may be names (`fds` given by the monitor) as well as numbers. `native` prints what
    domxml-to-native prints: a command that needs nothing to be prepared.
    """

    lib_dir: str
    monitor: int | str
    incoming: str | None = None
    native: bool = False
    channel_dir: str | None = None  # of channels without a path
    ram_dir: str | None = None  # of memory kept in files
    hugepage_dirs: Mapping[int, str] = field(default_factory=dict)  # size in KiB → folder
    master_key: bytes | None = None  # as lib_dir/master-key.aes has it (command_secrets)
    taps: Mapping[str, Sequence[int | str]] = field(default_factory=dict)
    vhosts: Mapping[str, Sequence[int | str]] = field(default_factory=dict)
    vdpa: Mapping[str, int] = field(default_factory=dict)
    vsocks: Mapping[str, int] = field(default_factory=dict)
    sockets: Mapping[str, int] = field(default_factory=dict)  # listening, of character devices
    # Files of character devices that somebody else opened: ALIAS or ALIAS-log → set, descriptor.
    fdsets: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    passt: Mapping[str, str] = field(default_factory=dict)  # sockets: paths, or fd:N
    tpm: Mapping[str, str] = field(default_factory=dict)  # sockets of emulators
    virtiofs: Mapping[str, str] = field(default_factory=dict)
    secret: Callable[[str, str], bytes] | None = None  # (kind, uuid or usage) → its value
    host_cpu: Any = None  # what `host-model` means here: a conf Cpu
    now: Callable[[], float] | None = None  # the host's time, for clocks with an offset
    sandbox: bool = True
    timestamps: bool = True
    process_name: bool = False  # whether `ps` shows the guest's name
    dump_guest_core: bool = False  # for guests that say nothing of it
    deprecation: str = "none"  # for guests that say nothing of it
    path: str = ""  # PATH of QEMU, ours when empty
    vnc_tls_dir: str | None = None
    vnc_tls_verify: bool = False
    vnc_sasl: bool = False
    spice_tls_dir: str = "/etc/pki/qemu"
    spice_password: bool = False
    dbus: str | None = None  # the address of the guest's bus
    vnc_password: bool = False  # whether a password is set for all displays
    nbd_tls_dir: str = "/etc/pki/qemu"
    char_tls_dir: str = "/etc/pki/qemu"
    numad: str | None = None  # nodes advised for placement='auto'


class Line:
    """The words of a command, as they come."""

    def __init__(self, dom: Domain, caps: QemuCaps, ctx: Context) -> None:
        self.dom: Any = dom
        self.caps = caps
        self.ctx = ctx
        self.argv: list[str] = []
        self.env: dict[str, str] = {}
        self.boot_index: dict[int, int] = {}  # id(device) → bootindex
        self.nodes: dict[int, int] = {}  # id(source or backing store) → number of its nodes
        self.boot_floppies: dict[str, int] = {}  # A, B → bootindex
        self.overrides: dict[str, Any] = {}
        override = get(dom, "qemu_override")
        for device in get(override, "devices") or ():
            self.overrides[device.alias] = device.frontend
        self._pci: dict[int, str] = {}
        self.root_express = False
        for controller in self.dom.devices.controllers:
            if controller.type == "pci":
                root = controller.model in ("pci-root", "pcie-root")
                if controller.model == "pcie-root":
                    self.root_express = True
                name = alias(controller)
                if root and not (controller.index or 0):
                    name = "pcie.0" if controller.model == "pcie-root" else "pci.0"
                elif root:
                    name += ".0"
                self._pci[controller.index or 0] = name

    # --- words ------------------------------------------------------------------------------------

    def add(self, *words: str) -> None:
        self.argv += words

    def json(self, option: str, props: Props) -> None:
        """An option whose value is JSON."""
        self.argv += [option, dump(props)]

    def object(self, kind: str, name: str, props: Props | None = None) -> None:
        self.json("-object", {"qom-type": kind, "id": name, **(props or {})})

    def device(self, props: Props) -> None:
        """A device, with what qemu:override says about it."""
        frontend = self.overrides.get(props.get("id", ""))
        for item in get(frontend, "propertys") or ():
            apply_override(props, item)
        self.json("-device", props)

    # --- places -----------------------------------------------------------------------------------

    @property
    def arch(self) -> str:
        return str(self.dom.os.type.arch)

    @property
    def machine(self) -> str:
        return str(self.dom.os.type.machine)

    @property
    def x86(self) -> bool:
        return self.arch in ("x86_64", "i686")

    @property
    def q35(self) -> bool:
        return self.machine == "q35" or self.machine.startswith("pc-q35")

    @property
    def i440fx(self) -> bool:
        name = self.machine
        return name == "pc" or name.startswith(("pc-0.", "pc-1.", "pc-i440", "rhel"))

    @property
    def virt(self) -> bool:
        return self.machine == "virt" or self.machine.startswith("virt-")

    def controller(self, kind: str, index: int) -> Any:
        for controller in self.dom.devices.controllers:
            if controller.type == kind and (controller.index or 0) == index:
                return controller
        raise internal(f"Could not find {kind} controller with index {index} required for device")

    def address(self, device: Any) -> Props:
        """Where a device sits: `bus` and what else its kind of bus wants."""
        place = device.address
        if place is None:
            return {}
        kind = place.type
        if kind == "pci":
            return self._pci_address(device, place)
        if kind == "usb":
            name = alias(self.controller("usb", place.bus or 0))
            port = place.port or ""
            return {"bus": f"{name}.0", **({"port": port} if port else {})}
        if kind == "virtio-serial":
            name = alias(self.controller("virtio-serial", place.controller or 0))
            return {"bus": f"{name}.{place.bus or 0}", "nr": int(place.port or 0)}
        if kind == "ccid":
            return {"bus": f"ccid{place.controller or 0}.0"}
        if kind == "isa":
            found: Props = {}
            if place.iobase is not None:
                found["iobase"] = place.iobase
            if place.irq is not None:
                found["irq"] = place.irq
            return found
        if kind == "dimm":
            found = {"slot": place.slot} if place.slot is not None else {}
            if place.base is not None and not self.ctx.native:
                found["addr"] = place.base
            return found
        if kind == "spapr-vio":
            return {"reg": place.reg} if place.reg is not None else {}
        if kind == "ccw":
            return {"devno": f"{place.cssid:x}.{place.ssid:x}.{place.devno:04x}"}
        return {}

    def _pci_address(self, device: Any, place: Any) -> Props:
        number = place.bus or 0
        bus = self._pci.get(number)
        if bus is None:
            raise internal(f"Could not find PCI controller with index {number} required for device")
        props: Props = {"bus": bus}
        if place.multifunction is not None:
            props["multifunction"] = place.multifunction
        function = f".0x{place.function:x}" if place.function else ""
        props["addr"] = f"0x{place.slot or 0:x}{function}"
        acpi = get(device, "acpi", "index")
        if acpi:
            props["acpi-index"] = acpi
        return props

    def virtio(self, base: str, device: Any, model: str | None = None) -> Props:
        """The driver and the options of any virtio device."""
        kind = get(device, "address", "type")
        suffix = {"ccw": "-ccw", "virtio-mmio": "-device"}.get(kind or "pci", "-pci")
        if model in ("virtio-transitional", "virtio-non-transitional") and suffix == "-pci":
            suffix += model.removeprefix("virtio")
        return {"driver": base + suffix, **virtio_options(device)}


def virtio_options(device: Any) -> Props:
    driver = get(device, "driver")
    found = {
        "iommu_platform": get(driver, "iommu"),
        "ats": get(driver, "ats"),
        "packed": get(driver, "packed"),
        "page-per-vq": get(driver, "page_per_vq"),
    }
    return {name: value for name, value in found.items() if value is not None}


def get(value: Any, *names: str) -> Any:
    """The attribute of an attribute …, None as soon as one is not there."""
    for name in names:
        if value is None:
            return None
        value = getattr(value, name, None)
    return value


def alias(device: Any) -> str:
    """The name of a device, which must have been given."""
    name = get(device, "alias", "name")
    if not name:
        raise internal(f"device of type {type(device).__name__} has no alias")
    return str(name)


def present(props: Mapping[str, Any]) -> Props:
    """The properties that are not None, by their exact names."""
    return {key: value for key, value in props.items() if value is not None}


def dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def comma(text: str) -> str:
    """A value for an option of the old syntax: commas are doubled."""
    return text.replace(",", ",,")


def pairs(items: Iterable[tuple[str, Any]]) -> str:
    """name=value,… without those whose value is None."""
    return ",".join(f"{name}={value}" for name, value in items if value is not None)


def onoff(value: bool) -> str:
    return "on" if value else "off"


def apply_override(props: Props, item: Any) -> None:
    kind, text = item.type, item.value or ""
    if kind == "remove":
        props.pop(item.name, None)
    elif kind == "bool":
        props[item.name] = text == "true"
    elif kind in ("signed", "unsigned"):
        props[item.name] = int(text, 0)
    else:
        props[item.name] = text


def unsupported(message: str) -> VirError:
    return report(VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_QEMU, message)


def internal(message: str) -> VirError:
    return report(VIR_ERR_INTERNAL_ERROR, VIR_FROM_QEMU, message)
