# SPDX-License-Identifier: LGPL-2.1-or-later
"""validate.py: what no driver of libvirt accepts in a definition.

Called by: domain.py after defaults.py. Calls: the model classes, errors.
Never: knows what a hypervisor can do (drivers do).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libvirtcore.conf.values import cpu_list
from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import (
    VIR_ERR_CONFIG_UNSUPPORTED,
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_NO_SOURCE,
    VIR_ERR_XML_DETAIL,
    VIR_ERR_XML_ERROR,
    VIR_FROM_DOMAIN,
)

if TYPE_CHECKING:
    from libvirtcore.conf.disk import IoTune
    from libvirtcore.conf.domain import Domain


def xml_error(message: str) -> VirError:
    """An XML error of the domain room."""
    return report(VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN, message)


def validate(domain: Domain) -> None:
    """Refuse what contradicts itself."""
    if domain.title is not None and "\n" in domain.title:
        raise xml_error("Domain title can't contain newlines")
    if not domain.memory and not domain.has_numa_memory:
        raise xml_error("Memory size must be specified via <memory> or in the <numa> configuration")
    _cpus(domain)
    _disk_targets(domain)
    _firmware(domain)
    _boot_order(domain)
    _drive_addresses(domain)
    _panics(domain)
    _disks(domain)
    _modules(domain)
    _companions(domain)
    _iothread_pins(domain)
    known = {audio.id for audio in domain.devices.audios}
    for sound in domain.devices.sounds:
        if sound.audio is not None and known and sound.audio.id not in known:
            raise xml_error(f"no audio device with ID {sound.audio.id}")


def _iothread_pins(domain: Domain) -> None:
    """Pinned threads exist."""
    tune = domain.cputune
    if tune is None or not tune.iothreadpins:
        return
    ids = {t.id for t in domain.iothreadids.iothreads} if domain.iothreadids is not None else set()
    unnamed = (domain.iothreads or 0) - len(ids)
    fresh = 1
    while unnamed > 0:
        if fresh not in ids:
            ids.add(fresh)
            unnamed -= 1
        fresh += 1
    for pin in tune.iothreadpins:
        if pin.iothread not in ids:
            raise unsupported(f"Cannot find 'iothread' : {pin.iothread}")


def _modules(domain: Domain) -> None:
    """Memory modules are part of the memory."""
    sizes = [m.target.size or 0 for m in domain.devices.memorys if m.target is not None]
    if sum(sizes) > domain.memory and domain.memory:
        raise xml_error("Total size of memory devices exceeds the total memory size")


def _companions(domain: Domain) -> None:
    """A companion USB controller has a master of the same number."""
    usb = [c for c in domain.devices.controllers if c.type == "usb"]
    masters = {c.index for c in usb if c.master is None}
    for controller in usb:
        if controller.master is not None and controller.index not in masters:
            message = "No master USB controller specified"
            raise VirError(VIR_ERR_XML_DETAIL, VIR_FROM_DOMAIN, message, str1="%s", str2=message)


def _disks(domain: Domain) -> None:
    """What a disk cannot be, whoever runs it."""
    for disk in domain.devices.disks:
        source = disk.source
        target = disk.target
        bus = target.bus if target is not None else None
        if source is None and disk.device in ("disk", "lun"):
            raise report(VIR_ERR_NO_SOURCE, VIR_FROM_DOMAIN, target.dev or "" if target else "")
        if disk.device == "floppy" and bus != "fdc":
            raise internal(f"Invalid bus type '{bus}' for floppy disk")
        if disk.device == "disk" and bus == "fdc":
            raise internal(f"Invalid bus type '{bus}' for disk")
        if target is not None and target.removable is not None and bus != "usb":
            raise xml_error("removable is only valid for usb disks")
        if disk.rawio is not None and disk.device != "lun":
            raise unsupported("rawio can be used only with device='lun'")
        if disk.iotune is not None:
            _io_tune(disk.iotune)
        if disk.sgio == "unfiltered":
            raise unsupported("unfiltered sgio is no longer supported")
        if (
            disk.device == "lun"
            and disk.type not in ("block", "volume")
            and not (source is not None and source.protocol == "iscsi")
        ):
            raise unsupported("disk device='lun' is only valid for block type disk source")


def _io_tune(tune: IoTune) -> None:
    """A total goes without its parts."""
    for what in ("bytes_sec", "iops_sec", "bytes_sec_max", "iops_sec_max"):
        parts = (getattr(tune, f"read_{what}"), getattr(tune, f"write_{what}"))
        if getattr(tune, f"total_{what}") and any(parts):
            raise xml_error(f"total and read/write {what} cannot be set at the same time")


def _cpus(domain: Domain) -> None:
    """Virtual CPUs that are on, pinned or listed exist."""
    most = domain.vcpu.value
    if domain.vcpu.current is not None and domain.vcpu.current > most:
        raise unsupported("maximum vCPU count must not be less than current vCPU count")
    if most == 0:
        raise internal("CPU IDs in <numa> exceed the <vcpu> count")
    limit = domain.max_memory
    if limit is not None and bool(limit.slots) != bool(limit.value):
        raise xml_error("both maximum memory size and memory slot count must be specified")
    for vcpu in domain.vcpus.vcpus if domain.vcpus is not None else ():
        if vcpu.id >= most:
            raise xml_error(f"vcpu id '{vcpu.id}' is out of range of maximum vcpu count")
    if domain.os.type is not None and domain.os.type.value == "exe" and not domain.os.init:
        raise xml_error("init binary must be specified")
    tune, numa = domain.numatune, domain.cpu.numa if domain.cpu is not None else None
    if numa is not None:
        cpus = [cpu for cell in numa.cells if cell.cpus for cpu in cpu_list(cell.cpus)]
        if len(cpus) > most:
            raise internal("Number of CPUs in <numa> exceeds the <vcpu> count")
        if cpus and max(cpus) >= most:
            raise internal("CPU IDs in <numa> exceed the <vcpu> count")
    if tune is not None and tune.memory is not None:
        memory = tune.memory
        if memory.nodeset is None and memory.placement != "auto":
            raise unsupported(
                "nodeset for NUMA memory tuning must be set if 'placement' is 'static'"
            )
    if tune is not None and tune.memnodes and (numa is None or not numa.cells):
        raise xml_error("Element 'memnode' is invalid without any guest NUMA cells")


def _firmware(domain: Domain) -> None:
    """Firmware is either chosen or named."""
    os, detail = domain.os, ""
    if os.firmware is not None:
        if os.loader is not None and os.loader.value is not None and os.loader.type == "rom":
            detail = (
                "loader attribute 'type' cannot be specified when firmware autoselection is enabled"
            )
    elif os.nvram is not None and (os.loader is None or os.loader.value is None):
        detail = "no loader path specified and firmware auto selection disabled"
    if detail:
        raise VirError(VIR_ERR_XML_DETAIL, VIR_FROM_DOMAIN, detail, str1="%s", str2=detail)


def _boot_order(domain: Domain) -> None:
    """A place in the boot order has one device."""
    devices = domain.devices
    seen: set[int] = set()
    for device in (*devices.disks, *devices.interfaces, *devices.hostdevs, *devices.redirdevs):
        if device.boot is None:
            continue
        if device.boot.order in seen:
            raise unsupported(f"boot order '{device.boot.order}' used for more than one device")
        seen.add(device.boot.order)


def _drive_addresses(domain: Domain) -> None:
    """A place on a bus has one disk."""
    seen: dict[tuple[object, ...], str | None] = {}
    for disk in domain.devices.disks:
        address, target = disk.address, disk.target
        if address is None or address.type != "drive" or target is None:
            continue
        place = (target.bus, address.controller, address.bus, address.target, address.unit)
        if place in seen:
            raise unsupported(
                f"Found duplicate drive address for disk with target name '{seen[place]}'"
                f" controller='{address.controller}' bus='{address.bus}'"
                f" target='{address.target}' unit='{address.unit}'"
            )
        seen[place] = target.dev


def _panics(domain: Domain) -> None:
    """One panic device of a model is enough."""
    seen: set[str | None] = set()
    for panic in domain.devices.panics:
        if panic.model in seen and panic.model is not None:
            raise xml_error(f"Multiple panic devices with model '{panic.model}'")
        seen.add(panic.model)


def internal(message: str) -> VirError:
    """An internal error of the domain room."""
    return report(VIR_ERR_INTERNAL_ERROR, VIR_FROM_DOMAIN, message)


def unsupported(message: str) -> VirError:
    """The error of a configuration nobody supports."""
    return report(VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_DOMAIN, message)


def _disk_targets(domain: Domain) -> None:
    """Two disks on one bus cannot share a target."""
    seen: dict[str, str] = {}
    for disk in domain.devices.disks:
        target = disk.target
        if target is None or target.dev is None:
            continue
        shown = disk_source(disk)
        if target.dev in seen:
            raise xml_error(
                f"target '{target.dev}' duplicated for disk sources"
                f" '{seen[target.dev]}' and '{shown}'"
            )
        seen[target.dev] = shown


def disk_source(disk: object) -> str:
    """The path of a disk's image in messages."""
    source = getattr(disk, "source", None)
    if source is None:
        return "(null)"
    return source.file or source.dev or source.dir or source.name or "(null)"
