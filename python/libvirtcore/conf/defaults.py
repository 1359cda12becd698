# SPDX-License-Identifier: LGPL-2.1-or-later
"""defaults.py: what any driver of libvirt fills in when a definition leaves it out.

Called by: domain.py after every parse. Calls: the model classes.
Never: adds what depends on the hypervisor (drivers do).
"""

from __future__ import annotations

import secrets
import uuid
from typing import TYPE_CHECKING

from libvirtcore.conf.boot import BootDev
from libvirtcore.conf.chardev import CharTarget
from libvirtcore.conf.disk import Disk
from libvirtcore.conf.graphics import Video, VideoModel
from libvirtcore.conf.interface import Interface, Mac
from libvirtcore.conf.schema import Element
from libvirtcore.conf.tuning import NumaMemory, NumaTune, Scheduler
from libvirtcore.conf.values import cpu_list

if TYPE_CHECKING:
    from libvirtcore.conf.controller import Controller
    from libvirtcore.conf.domain import Domain


def complete(domain: Domain) -> None:
    """Fill in what every driver would."""
    if domain.uuid is None:
        domain.uuid = str(uuid.uuid4())
    _ = domain.os, domain.clock, domain.devices  # printed even when nothing was said
    _memory(domain)
    if domain.seclabels:
        domain.seclabels = [label for label in domain.seclabels if not label.blank]
    _placement(domain)
    _boot(domain)
    devices = domain.devices
    for field in type(devices).FIELDS:
        value = devices.__dict__.get(field.name)
        for device in value if isinstance(value, list) else (value,):
            if isinstance(device, Element):
                complete_device(device, domain)
    _indices(domain)
    _ports(domain)
    _iothreads(domain)
    _pins(domain)
    for video in devices.videos[:1]:
        if video.model is not None and video.model.type != "none":
            video.model.primary = "yes"


def _placement(domain: Domain) -> None:
    """Where CPUs and memory go: both by hand, or both by numad."""
    vcpu, tune = domain.vcpu, domain.numatune
    memory = tune.memory if tune is not None else None
    if memory is not None:
        if memory.mode is None:
            memory.mode = "strict"
        if memory.placement is None and memory.nodeset is None and vcpu.placement == "auto":
            memory.placement = "auto"
        if memory.placement == "static":
            memory.placement = None
        elif memory.placement == "auto":
            memory.nodeset = None
            if vcpu.placement is None and vcpu.cpuset is None:
                vcpu.placement = "auto"
    if vcpu.placement is None:
        vcpu.placement = "static"
    if vcpu.placement == "auto":
        vcpu.cpuset = None
        if memory is None:
            domain.numatune = tune = tune or NumaTune()
            tune.memory = NumaMemory(mode="strict", placement="auto")
    if domain.vcpus is not None:
        running = sum(each.enabled for each in domain.vcpus.vcpus)
        vcpu.current = running if running < vcpu.value else None
    if vcpu.current == vcpu.value:
        vcpu.current = None


def _boot(domain: Domain) -> None:
    """A guest boots from its first disk unless somebody says otherwise."""
    os, devices = domain.os, domain.devices
    named = any(
        device.boot is not None
        for device in (*devices.disks, *devices.interfaces, *devices.hostdevs, *devices.redirdevs)
    )
    whole = os.type is not None and os.type.value == "hvm" and domain.bootloader is None
    if whole and not os.boots and not named:
        os.boots = [BootDev(dev="hd")]


def _iothreads(domain: Domain) -> None:
    """Threads that are named count even when nobody counted them."""
    ids = domain.iothreadids
    if ids is not None and len(ids.iothreads) > (domain.iothreads or 0):
        domain.iothreads = len(ids.iothreads)


def _pins(domain: Domain) -> None:
    """Pins and schedulers of virtual CPUs are printed one by one, by number."""
    tune = domain.cputune
    if tune is None:
        return
    if tune.vcpupins:
        tune.vcpupins.sort(key=lambda pin: pin.vcpu)
    if tune.vcpuscheds:
        single: dict[int, Scheduler] = {}
        for entry in tune.vcpuscheds:
            for vcpu in cpu_list(entry.vcpus or ""):
                one = entry.copy()
                one.vcpus = str(vcpu)
                single[vcpu] = one
        tune.vcpuscheds = [single[vcpu] for vcpu in sorted(single)]


def _ports(domain: Domain) -> None:
    """Number what came without a number: a serial port after all others, a parallel port after
    those before it, consoles by their order; virtio channels have none.
    """
    devices = domain.devices
    for port in (*devices.serials, *devices.parallels, *devices.consoles):
        if port.target is None:
            port.target = CharTarget()
    serials = [port.target for port in devices.serials if port.target is not None]
    last = max((target.port for target in serials if target.port is not None), default=-1)
    for target in serials:
        if target.port is None:
            target.port = last = last + 1
    highest = -1
    for parallel in devices.parallels:
        if parallel.target is not None:
            if parallel.target.port is None:
                parallel.target.port = highest + 1
            highest = max(highest, parallel.target.port)
    for number, console in enumerate(devices.consoles):
        place = console.target
        if place is not None and (place.port is None or place.type != "serial"):
            place.port = number
    for channel in devices.channels:
        if channel.target is not None and channel.target.type == "virtio":
            channel.target.port = None


def _memory(domain: Domain) -> None:
    """The balloon starts full, and never fuller than that."""
    if not domain.memory and domain.cpu is not None and domain.cpu.numa is not None:
        domain.memory = sum(cell.memory or 0 for cell in domain.cpu.numa.cells)
        domain.memory += sum(
            module.target.size or 0
            for module in domain.devices.memorys
            if module.target is not None
        )
    if not domain.current_memory or domain.current_memory > domain.memory:
        domain.current_memory = domain.memory


_USB2 = ("ich9-ehci1", "ich9-uhci1", "ich9-uhci2", "ich9-uhci3")  # one chip, four functions


def _indices(domain: Domain) -> None:
    """Number the controllers that came without a number, per type."""
    used: dict[str, set[int]] = {}
    free: dict[str, int] = {}  # all below are taken
    controllers = domain.devices.controllers
    for controller in controllers:
        if controller.index is not None:
            used.setdefault(controller.type, set()).add(controller.index)
    for number, controller in enumerate(controllers):
        if controller.index is None:
            taken = used.setdefault(controller.type, set())
            index = _companion_index(controllers, number)
            if index is None:
                index = free.get(controller.type, 0)
                while index in taken:
                    index += 1
                free[controller.type] = index + 1
            controller.index = index
            taken.add(index)


def _companion_index(controllers: list[Controller], number: int) -> int | None:
    """The number of the controller before, if both are parts of one USB 2 controller."""
    if not number:
        return None
    before, controller = controllers[number - 1], controllers[number]
    if before.type != "usb" or controller.type != "usb":
        return None
    if before.model not in _USB2 or controller.model not in _USB2:
        return None
    whole = [c.model for c in controllers if c.type == "usb" and c.index == before.index]
    return None if controller.model in whole else before.index


def complete_device(device: Element, domain: Domain | None) -> None:
    """Fill in one device."""
    if isinstance(device, Disk):
        complete_disk(device)
    elif isinstance(device, Video):
        if device.model is None:
            device.model = VideoModel()
        complete_video(device.model)
    elif isinstance(device, Interface):
        complete_interface(device)


PORTS = {
    "http": "80", "https": "443", "ftp": "21", "ftps": "990", "tftp": "69", "ssh": "22",
    "gluster": "24007", "nbd": "10809", "iscsi": "3260", "vxhs": "9999", "sheepdog": "7000",
}  # fmt: skip


def complete_disk(disk: Disk) -> None:
    """Servers listen where their protocol says."""
    source = disk.source
    if source is None or source.protocol is None:
        return
    port = PORTS.get(source.protocol)
    for host in source.hosts:
        if host.port is None and host.transport in (None, "tcp", "rdma"):
            host.port = port


def complete_interface(interface: Interface) -> None:
    """An interface has an address, from QEMU's range if none was given."""
    if interface.mac is None:
        interface.mac = Mac()
    if interface.mac.address is None:
        tail = secrets.token_bytes(3)
        interface.mac.address = "52:54:00:" + ":".join(f"{byte:02x}" for byte in tail)


def complete_video(model: VideoModel) -> None:
    """Memory in KiB and heads of a card, once its type is known."""
    kind = model.type
    if kind == "qxl":
        model.ram = model.ram or 65536
        model.vram = model.vram or 65536
    elif kind in ("vga", "cirrus", "vmvga", "bochs", "parallels", "vbox", "gop"):
        model.vram = model.vram or 16384
    elif kind == "xen":
        model.vram = model.vram or 4096
    if kind not in ("none", "default") and model.heads is None:
        model.heads = 1
