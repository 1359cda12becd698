# SPDX-License-Identifier: LGPL-2.1-or-later
"""validate.py: what QEMU, or this QEMU, cannot do although the document is well formed.

Called by: define, create and attach of the driver, after complete. Calls: validate_devices.py,
validate_disks.py, validate_whole.py.
Never: changes the definition, touches the host.
"""

from __future__ import annotations

from typing import Any

from libvirtcore.drivers.qemu import validate_devices, validate_disks
from libvirtcore.drivers.qemu.caps import QemuCaps
from libvirtcore.drivers.qemu.machines import is_arm, is_q35, is_virt, is_x86, machine
from libvirtcore.drivers.qemu.model import devices, several
from libvirtcore.drivers.qemu.refusals import internal, unsupported
from libvirtcore.drivers.qemu.validate_whole import validate_whole

PIT_POLICIES = (None, "delay", "discard")
# Features that belong to other machines, and the test that lets them pass.
FOREIGN = ("hpt", "htm", "nested_hv", "ccf_assist", "ras", "hpt-resizing", "cfpc", "sbbc", "ibs")


def validate(dom: Any, caps: QemuCaps) -> None:
    """Refuse what cannot work. Raises: VirError."""
    validate_whole(dom)
    _kind(dom, caps)
    _places(dom)
    if dom.type == "kvm" and dom.features is not None and dom.features.tcg is not None:
        raise unsupported("TCG features are incompatible with domain type 'kvm'")
    _features(dom)
    _firmware(dom)
    _processors(dom, caps)
    _timers(dom)
    _life(dom)
    _memory(dom)
    if dom.launch_security is not None and not caps.sev:
        raise unsupported("SEV launch security is not supported with this QEMU binary")
    validate_disks.validate_disks(dom, caps)
    validate_devices.validate_devices(dom, caps)


def _kind(dom: Any, caps: QemuCaps) -> None:
    if dom.type not in ("qemu", "kvm"):
        raise unsupported(
            f"Emulator '{dom.devices.emulator}' does not support virt type '{dom.type}'"
        )
    if caps.machine(machine(dom)) is None:
        raise unsupported(
            f"Emulator '{dom.devices.emulator}' does not support machine type '{machine(dom)}'"
        )
    commandline = dom.qemu_commandline
    if commandline is not None and any(arg.value is None for arg in commandline.args):
        raise internal("No qemu command-line argument specified")


def _places(dom: Any) -> None:
    """Kinds of addresses that only other machines have."""
    for device in devices(dom):
        if device.address is not None and device.address.type == "ccw":
            alias = device.alias.name if device.alias is not None else "<null>"
            raise unsupported(
                f"cannot use CCW address type for device '{alias}' using machine type"
                f" '{machine(dom)}'"
            )


def _foreign(dom: Any, name: str) -> Exception:
    return unsupported(
        f"The '{name}' feature is not supported for architecture '{dom.os.type.arch}' or machine"
        f" type '{machine(dom)}'"
    )


def _features(dom: Any) -> None:
    features = dom.features
    if features is None:
        return
    if features.gic is not None and not is_virt(dom):
        raise _foreign(dom, "gic")
    for name in FOREIGN:
        if getattr(features, name.replace("-", "_"), None) is not None:
            raise _foreign(dom, name)
    for name in ("smm", "ioapic", "vmport"):
        if getattr(features, name, None) is not None and not is_x86(dom):
            raise _foreign(dom, name)
    smm = features.smm
    if smm is not None and smm.tseg is not None and not is_q35(dom):
        raise unsupported("SMM TSEG is only supported with q35 machine type")


def has_uefi(dom: Any) -> bool:
    """Whether the guest starts from UEFI firmware."""
    loader = dom.os.loader
    return dom.os.firmware == "efi" or (loader is not None and loader.type == "pflash")


def _firmware(dom: Any) -> None:
    acpi = dom.features is not None and dom.features.acpi
    if is_x86(dom) and has_uefi(dom) and not acpi:
        raise unsupported("UEFI requires ACPI on this architecture")
    if is_arm(dom) and acpi and not has_uefi(dom):
        raise unsupported("ACPI requires UEFI on this architecture")
    loader = dom.os.loader
    if loader is not None and loader.secure:
        if not is_q35(dom):
            raise unsupported("Secure boot is supported with q35 machine types only")
        smm = dom.features.smm if dom.features is not None else None
        if smm is None or not smm.state:
            raise unsupported("Secure boot requires SMM feature enabled")


def _processors(dom: Any, caps: QemuCaps) -> None:
    kind = caps.machine(machine(dom))
    count = dom.vcpu.value or 1
    if kind is not None and kind.max_cpus and count > kind.max_cpus:
        raise unsupported(f"Maximum CPUs greater than specified machine type limit {kind.max_cpus}")
    topology = dom.cpu.topology if dom.cpu is not None else None
    if topology is not None:
        product = (topology.sockets or 1) * (topology.dies or 1)
        product *= (topology.cores or 1) * (topology.threads or 1)
        if product != count:
            raise unsupported("CPU topology doesn't match maximum vcpu count")


def _timers(dom: Any) -> None:
    for timer in getattr(dom.clock, "timers", None) or []:
        name, policy = timer.name, timer.tickpolicy
        if name in ("platform",):
            raise unsupported(f"unsupported timer type (name) '{name}'")
        if name in ("kvmclock", "hypervclock", "tsc", "hpet", "pit") and not is_x86(dom):
            raise _foreign_timer(dom, name)
        if name == "armvtimer" and not is_virt(dom):
            raise _foreign_timer(dom, name)
        if name == "pit" and policy not in PIT_POLICIES:
            raise unsupported(f"unsupported pit tickpolicy '{policy}'")
        if name == "rtc" and policy in ("merge", "discard"):
            raise unsupported(f"unsupported rtc timer tickpolicy '{policy}'")
        if name == "hpet" and policy is not None:
            raise unsupported("setting tickpolicy is not supported for hpet timer")


def _foreign_timer(dom: Any, name: str) -> Exception:
    return unsupported(
        f"Configuring the '{name}' timer is not supported for virtType={dom.type}"
        f" arch={dom.os.type.arch} machine={machine(dom)} guests"
    )


def _life(dom: Any) -> None:
    for off, reboot in ((dom.on_poweroff, dom.on_reboot),):
        if "preserve" in (off, reboot):
            raise unsupported(
                "qemu driver doesn't support the 'preserve' action for 'on_reboot'/'on_poweroff'"
            )
        if off in ("rename-restart",) or reboot in ("rename-restart",):
            raise unsupported(
                "qemu driver doesn't support the 'rename-restart' action for"
                " 'on_reboot'/'on_poweroff'/'on_crash'"
            )


def _memory(dom: Any) -> None:
    numa = dom.cpu.numa if dom.cpu is not None else None
    if dom.max_memory is not None and not (numa is not None and numa.cells):
        raise unsupported(
            "At least one numa node has to be configured when enabling memory hotplug"
        )
    for filesystem in several(dom, "filesystems"):
        driver = filesystem.driver
        if driver is not None and driver.type == "virtiofs" and not shared_memory(dom):
            raise unsupported("'virtiofs' requires shared memory")


def shared_memory(dom: Any) -> bool:
    """Whether other processes can map the guest's memory."""
    backing = dom.memory_backing
    default = backing is not None and backing.access is not None and backing.access.mode == "shared"
    numa = dom.cpu.numa if dom.cpu is not None else None
    if numa is None or not numa.cells:
        return default
    return all(
        cell.mem_access == "shared" or (cell.mem_access is None and default) for cell in numa.cells
    )
