# SPDX-License-Identifier: LGPL-2.1-or-later
"""defaults.py: what the QEMU driver writes into a definition that leaves it open.

`complete` makes a parsed document into the definition that is kept: emulator, machine, processor,
default devices, models, addresses. Doing it twice changes nothing.
Called by: define, create and domxml-to-native of the driver. Calls: defaults_devices.py,
defaults_added.py, addresses.py.
Never: touches the host.
"""

from __future__ import annotations

import uuid
from typing import Any

from libvirtcore.drivers.qemu import addresses, defaults_added, defaults_devices
from libvirtcore.drivers.qemu.caps import QemuCaps
from libvirtcore.drivers.qemu.machines import is_virt
from libvirtcore.drivers.qemu.model import default, ensure, make, several
from libvirtcore.errors import report
from libvirtcore.generated.constants import (
    VIR_ERR_CONFIG_UNSUPPORTED,
    VIR_FROM_QEMU,
)

MOST_IOTHREADS = 100_000
NVRAM_DIR = "/var/lib/libvirt/qemu/nvram"


def complete(dom: Any, caps: QemuCaps, nvram_dir: str = NVRAM_DIR) -> None:
    """Fill in everything the driver decides. Raises: VirError when it cannot be decided."""
    complete_identity(dom, caps)
    defaults_devices.number_controllers(dom)
    defaults_devices.sort_disks(dom)
    defaults_devices.drop_aliases(dom)
    defaults_added.add_scsi_hostdevs(dom)
    defaults_added.add_default_devices(dom, caps)
    _memory(dom)
    _boot(dom)
    _nvram(dom, nvram_dir)
    _features(dom, caps)
    _cpu(dom, caps)
    _life(dom)
    _iothreads(dom)
    defaults_devices.complete_devices(dom, caps)
    defaults_added.add_implied_devices(dom, caps)
    defaults_devices.complete_devices(dom, caps)
    addresses.assign_addresses(dom, caps)


def complete_identity(dom: Any, caps: QemuCaps) -> None:
    """Emulator, architecture and machine, which everything else depends on."""
    if dom.uuid is None:
        dom.uuid = str(uuid.uuid4())
    if dom.os.type.arch is None:
        dom.os.type.arch = caps.arch
    if not dom.devices.emulator:
        dom.devices.emulator = caps.binary
    if not dom.os.type.machine:
        machine = caps.default_machine
        if machine is None:
            machine = caps.machine("integratorcp")  # what libvirt takes on ARM
        if machine is None:
            raise report(VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_QEMU, "could not find machine type")
        dom.os.type.machine = machine.name
    dom.os.type.machine = caps.canonical_machine(dom.os.type.machine)


def _memory(dom: Any) -> None:
    """NUMA cells and memory devices together are the memory; the balloon starts full."""
    numa = dom.cpu.numa if dom.cpu is not None else None
    if numa is None or not numa.cells:
        return
    total = sum(cell.memory or 0 for cell in numa.cells)
    for device in several(dom, "memorys"):
        if device.target is not None:
            total += device.target.size or 0
    if dom.current_memory == dom.memory or dom.current_memory > total:
        dom.current_memory = total
    dom.memory = total


def _boot(dom: Any) -> None:
    """From the disk, unless something else is said."""
    if dom.os.boots or any(_has_order(device) for device in _bootable(dom)):
        return
    dom.os.boots = [make(dom.os, "boots", dev="hd")]


def _nvram(dom: Any, folder: str) -> None:
    """The file that keeps the variables of firmware in flash memory, a guest's own."""
    loader = dom.os.loader
    if loader is None or loader.type != "pflash" or not loader.readonly or loader.stateless:
        return
    nvram = ensure(dom.os, "nvram")
    if not nvram.value and nvram.source is None:
        nvram.value = f"{folder}/{dom.name}_VARS.fd"


def _bootable(dom: Any) -> list[Any]:
    devices = dom.devices
    found: list[Any] = []
    for name in ("disks", "interfaces", "hostdevs", "redirdevs"):
        found.extend(getattr(devices, name, None) or [])
    return found


def _has_order(device: Any) -> bool:
    boot = getattr(device, "boot", None)
    return boot is not None and boot.order is not None


def _features(dom: Any, caps: QemuCaps) -> None:
    """ARM's interrupt controller: the version the host could serve, 2 when emulated."""
    if not is_virt(dom):
        return
    gic = ensure(ensure(dom, "features"), "gic")
    if gic.version in (None, "host"):
        usable = [version for version, emulated, kernel in caps.gic
                  if (kernel if dom.type == "kvm" else emulated)]  # fmt: skip
        version = 3 if dom.type == "kvm" and 3 in usable else 2
        gic.version = type(gic).NAMES["version"].codec.parse(str(version))


def default_cpu(dom: Any, caps: QemuCaps) -> str | None:
    """The model QEMU gives the machine when none is asked for."""
    machine = caps.machine(dom.os.type.machine)
    if machine is None or machine.default_cpu is None:
        return None
    name = machine.default_cpu
    for suffix in ("-x86_64-cpu", "-i386-cpu", "-arm-cpu"):
        name = name.removesuffix(suffix)
    return name


def _cpu(dom: Any, caps: QemuCaps) -> None:
    """The processor: the machine's default model, and how strictly it is matched."""
    if dom.cpu is None:
        if default_cpu(dom, caps) is None:
            return
        dom.cpu = make(dom, "cpu")
    cpu = dom.cpu
    if cpu.mode is None:
        cpu.mode = "custom"
        if cpu.model is None and not cpu.features:
            name = default_cpu(dom, caps)
            if name == "max":
                cpu.mode = "maximum"
            elif name == "host":
                cpu.mode = "host-passthrough"
            elif name is not None:
                cpu.model = make(cpu, "model", value=name, fallback="forbid")
                default(cpu, "match", "exact")
                default(cpu, "check", "none")
    if cpu.mode == "custom" and cpu.model is not None:
        default(cpu, "match", "exact")
        default(cpu.model, "fallback", "allow")
    if cpu.check is None:
        if cpu.mode == "host-model" or (cpu.mode == "custom" and dom.type == "kvm"):
            cpu.check = "partial"
        else:
            cpu.check = "none"
    if cpu.mode == "host-passthrough" and cpu.migratable is None:
        cpu.migratable = type(cpu).NAMES["migratable"].codec.parse("on")


def _life(dom: Any) -> None:
    """The clock, and what happens when the guest ends."""
    clock = ensure(dom, "clock")
    default(clock, "offset", "utc")
    default(dom, "on_poweroff", "destroy")
    default(dom, "on_reboot", "restart")
    default(dom, "on_crash", "destroy")


def _iothreads(dom: Any) -> None:
    """Numbers for the I/O threads that have none, when some have."""
    if (dom.iothreads or 0) > MOST_IOTHREADS:
        raise report(
            VIR_ERR_CONFIG_UNSUPPORTED,
            VIR_FROM_QEMU,
            f"iothreads count {dom.iothreads} too high, maximum is {MOST_IOTHREADS}",
        )
    threads = dom.iothreadids
    if threads is None or not threads.iothreads:
        return
    taken = {each.id for each in threads.iothreads}
    number = 1
    while len(threads.iothreads) < (dom.iothreads or 0):
        while number in taken:
            number += 1
        taken.add(number)
        threads.iothreads.append(make(threads, "iothreads", id=number))
    dom.iothreads = len(threads.iothreads)
