# SPDX-License-Identifier: LGPL-2.1-or-later
"""defaults_devices.py: models, buses and options of devices that a definition leaves open.

Called by: defaults.py, attach code of the driver. Calls: addresses_buses.py, machines.py.
Never: adds or removes a device.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

from libvirtcore.drivers.qemu import addresses_buses
from libvirtcore.drivers.qemu.caps import QemuCaps
from libvirtcore.drivers.qemu.machines import is_i440fx, is_virt, is_x86
from libvirtcore.drivers.qemu.model import default, devices, ensure, make, several, single
from libvirtcore.drivers.qemu.validate_whole import check_twice, unsupported
from libvirtcore.errors import VirError
from libvirtcore.generated.constants import VIR_ERR_XML_DETAIL, VIR_FROM_DOMAIN

MAC_PREFIX = (0x52, 0x54, 0x00)
USER_ALIAS = re.compile(r"ua-[A-Za-z0-9_-]*\Z")
HIGHEST_BUS = 255
VIDEO_MEMORY = 16384
PORTS = {"nbd": 10809, "gluster": 24007, "iscsi": 3260, "http": 80, "https": 443, "ftp": 21,
         "ftps": 990, "tftp": 69, "ssh": 22, "vxhs": 9999,
         "sheepdog": 7000}  # fmt: skip


def number_controllers(dom: Any) -> None:
    """Numbers for controllers that have none, free ones of their type."""
    controllers = dom.devices.controllers
    check_twice(controllers)
    for device in controllers:
        if device.type == "pci" and device.index is not None and device.index > HIGHEST_BUS:
            raise unsupported(
                f"PCI controller index {device.index} too high, maximum is {HIGHEST_BUS}"
            )
    usb = [device for device in controllers if device.type == "usb"]
    if len(usb) > 1 and any(device.model == "none" for device in usb):
        raise VirError(
            VIR_ERR_XML_DETAIL, VIR_FROM_DOMAIN,
            "Can't add another USB controller: USB is disabled for this domain",
        )  # fmt: skip
    for device in controllers:
        if device.index is None:
            taken = {each.index for each in controllers if each.type == device.type}
            index = 0
            while index in taken:
                index += 1
            device.index = index


def drop_aliases(dom: Any) -> None:
    """Names a user may not give are forgotten, as libvirt forgets them."""
    for device in devices(dom):
        name = device.alias.name if device.alias is not None else None
        if name is not None and name.startswith("ua-") and USER_ALIAS.match(name) is None:
            device.alias = None


def complete_devices(dom: Any, caps: QemuCaps) -> None:
    """Complete every device."""
    for name in _KINDS:
        for device in several(dom, name):
            complete_device(dom, name, device, caps)
    for name, complete in _SINGLES.items():
        device = single(dom, name)
        if device is not None:
            complete(dom, device, caps)
    _ports(dom)


def complete_device(dom: Any, kind: str, device: Any, caps: QemuCaps) -> None:
    """Complete one device of a kind ("interfaces", …)."""
    complete = _KINDS.get(kind)
    if complete is not None:
        complete(dom, device, caps)


def _disk(dom: Any, disk: Any, caps: QemuCaps) -> None:
    driver = ensure(disk, "driver")
    default(driver, "name", "qemu")
    default(driver, "type", "fat" if disk.type == "dir" else "raw")
    if disk.type == "vhostuser":
        default(disk, "snapshot", "no")
    source = disk.source
    if source is not None:
        for host in source.hosts:
            if host.port is None and host.socket is None:
                host.port = _port(host, source.protocol)
    for holder in (source, disk):
        encryption = getattr(holder, "encryption", None)
        if encryption is not None and encryption.format == "luks":
            default(encryption, "engine", "qemu")
    addresses_buses.assign_drive(disk)


def _port(host: Any, protocol: str | None) -> Any:
    """The port a storage protocol is known to use."""
    number = PORTS.get(protocol or "")
    return None if number is None else type(host).NAMES["port"].codec.parse(str(number))


def sort_disks(dom: Any) -> None:
    """The order in which libvirt keeps disks: those of one bus together, by target."""
    found: list[Any] = []
    for disk in dom.devices.disks:
        number = addresses_buses.target_index(disk.target.dev)
        place = -1
        for index in range(len(found) - 1, -1, -1):
            if found[index].target.bus != disk.target.bus:
                continue
            if addresses_buses.target_index(found[index].target.dev) > number:
                place = index
            elif place == -1:
                place = index + 1
        found.insert(len(found) if place == -1 else place, disk)
    dom.devices.disks[:] = found


def _controller(dom: Any, device: Any, caps: QemuCaps) -> None:
    if device.model is not None:
        if device.model == "auto":
            device.model = None
        else:
            return
    if device.type == "scsi":
        for model, name in (("lsilogic", "lsi53c895a"), ("virtio-scsi", "virtio-scsi-pci")):
            if caps.has_device(name):
                device.model = model
                return
    elif device.type == "usb":
        if is_x86(dom) and caps.has_device("piix3-usb-uhci"):
            device.model = "piix3-uhci"
        elif caps.has_device("qemu-xhci"):
            device.model = "qemu-xhci"


def generate_mac() -> str:
    """A network address in QEMU's range."""
    tail = (random.SystemRandom().randrange(256) for _ in range(3))
    return ":".join(f"{byte:02x}" for byte in (*MAC_PREFIX, *tail))


def _interface(dom: Any, device: Any, caps: QemuCaps) -> None:
    mac = ensure(device, "mac")
    if mac.address is None:
        mac.address = generate_mac()
    if device.type == "direct" and device.source is not None:
        default(device.source, "mode", "vepa")
    if device.type == "hostdev":
        return
    if device.model is None or device.model.type is None:
        ensure(device, "model").type = default_nic(dom, device, caps)
    driver = device.driver
    if driver is not None:
        if driver.queues == 0:
            driver.queues = None
        if not device.model.type.startswith("virtio") or driver == type(driver)():
            device.driver = None


def default_nic(dom: Any, device: Any, caps: QemuCaps) -> str:
    """The network card of a machine when none is named."""
    if device.type == "vdpa" or not is_x86(dom):
        return "virtio"
    for model in ("rtl8139", "e1000"):
        if caps.has_device(model):
            return model
    return "virtio"


def _serial(dom: Any, device: Any, caps: QemuCaps) -> None:
    target = ensure(device, "target")
    if target.type is None or (target.type == "isa-serial" and is_virt(dom)):
        target.type = "system-serial" if is_virt(dom) else "isa-serial"
    model = ensure(target, "model")
    if model.name is None:
        model.name = {
            "isa-debug": "isa-debugcon",
            "system-serial": "pl011",
            "sclp-serial": "sclpconsole",
            "spapr-vio-serial": "spapr-vty",
        }.get(target.type, target.type)


def _parallel(dom: Any, device: Any, caps: QemuCaps) -> None:
    ensure(device, "target")


def _channel(dom: Any, device: Any, caps: QemuCaps) -> None:
    """A socket of a channel without a path is named at start."""
    if device.type == "unix" and device.target.type == "virtio":
        device.sources = [source for source in device.sources if source.path is not None]


def _ports(dom: Any) -> None:
    """Port numbers of devices that were added since the document was read."""
    for name in ("serials", "parallels", "consoles"):
        targets = [ensure(device, "target") for device in several(dom, name)]
        for target in targets:
            if target.port is None:
                target.port = 1 + max((t.port for t in targets if t.port is not None), default=-1)


def _input(dom: Any, device: Any, caps: QemuCaps) -> None:
    if device.bus is not None:
        return
    if device.type in ("mouse", "keyboard") and is_x86(dom):
        device.bus = "ps2"
    elif device.type == "passthrough":
        device.bus = "virtio"
    elif device.type != "evdev":
        device.bus = "usb"


def _graphics(dom: Any, device: Any, caps: QemuCaps) -> None:
    if device.type not in ("vnc", "spice"):
        return
    _listen(device)
    fixed = any(each.type in ("socket", "none") for each in device.listens)
    if device.type == "vnc":
        if fixed:
            return
        if device.port in (None, 0, -1):
            device.port, device.autoport = -1, "yes"
        else:
            device.autoport = "no"
    elif device.autoport == "yes":
        device.port = device.tls_port = None
    elif device.port is None and device.tls_port is None:
        for each in device.listens:
            if each.type == "address" and each.address is None:
                each.type = "none"


def _listen(device: Any) -> None:
    """The `listen` and `socket` attributes and the first <listen> say the same."""
    if not device.listens:
        new = make(device, "listens")
        if device.socket:
            new.type, new.socket = "socket", device.socket
        else:
            new.type = "address"
            if device.listen:
                new.address = device.listen
        device.listens.append(new)
    first = device.listens[0]
    if first.type == "address" and first.address:
        device.listen = first.address
    if first.type == "socket" and first.socket and device.type == "vnc":
        device.socket = first.socket


def _video(dom: Any, device: Any, caps: QemuCaps) -> None:
    from libvirtcore.drivers.qemu.defaults_added import default_video

    model = ensure(device, "model")
    if model.type in (None, "default"):
        model.type = default_video(dom, caps)
    if model.type == "none":
        return
    if model.type == "qxl":
        default(model, "ram", 65536)
        default(model, "vram", 65536)
        default(model, "vgamem", 16384)
    elif model.type in ("vga", "cirrus", "vmvga", "bochs"):
        default(model, "vram", VIDEO_MEMORY)
    default(model, "heads", 1)


def _filesystem(dom: Any, device: Any, caps: QemuCaps) -> None:
    default(device, "type", "mount")
    if device.driver is None or device.driver.type != "virtiofs":
        default(device, "accessmode", "passthrough")


def _hostdev(dom: Any, device: Any, caps: QemuCaps) -> None:
    if device.managed is None:
        device.managed = type(device).NAMES["managed"].codec.parse("no")


def _rng(dom: Any, device: Any, caps: QemuCaps) -> None:
    backend = device.backend
    if backend is not None and backend.model == "random" and not backend.value:
        backend.value = "/dev/random"


def _watchdog(dom: Any, device: Any, caps: QemuCaps) -> None:
    default(device, "action", "reset")


def _panic(dom: Any, device: Any, caps: QemuCaps) -> None:
    if device.model is None and is_x86(dom):
        device.model = "isa"


def _tpm(dom: Any, device: Any, caps: QemuCaps) -> None:
    default(device, "model", "tpm-tis")
    backend = device.backend
    if backend is not None and backend.type == "emulator":
        default(backend, "version", "2.0")


def _smartcard(dom: Any, device: Any, caps: QemuCaps) -> None:
    if device.address is None:
        device.address = make(device, "address", type="ccid", controller=0, slot=0)


def _memballoon(dom: Any, device: Any, caps: QemuCaps) -> None:
    """No balloon has no place."""
    if device.model == "none":
        device.address = device.alias = None


def _vsock(dom: Any, device: Any, caps: QemuCaps) -> None:
    default(device, "model", "virtio")


_KINDS: dict[str, Callable[[Any, Any, QemuCaps], None]] = {
    "disks": _disk,
    "controllers": _controller,
    "interfaces": _interface,
    "serials": _serial,
    "parallels": _parallel,
    "channels": _channel,
    "inputs": _input,
    "graphics": _graphics,
    "videos": _video,
    "filesystems": _filesystem,
    "hostdevs": _hostdev,
    "rngs": _rng,
    "watchdogs": _watchdog,
    "panics": _panic,
    "tpms": _tpm,
    "smartcards": _smartcard,
}
_SINGLES: dict[str, Callable[[Any, Any, QemuCaps], None]] = {
    "memballoon": _memballoon,
    "vsock": _vsock,
}
_ = is_i440fx
