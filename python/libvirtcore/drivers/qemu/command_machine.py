# SPDX-License-Identifier: LGPL-2.1-or-later
"""command_machine.py: the machine itself: type, accelerator, firmware, boot, clock, power, SMBIOS.

Called by: command.py. Calls: command_line.py.
Never: looks for firmware (the model names it), reads the clock but through the context.
"""

from __future__ import annotations

import time
from typing import Any

from libvirtcore.drivers.qemu.command_line import (
    Line,
    Props,
    comma,
    get,
    internal,
    onoff,
    pairs,
    unsupported,
)

_CLOCKS = {"guest": "vm", "wall": "host", "realtime": "rt"}
_SMBIOS = (
    ("bios", 0, ("vendor", "version", "date", "release")),
    ("system", 1, ("manufacturer", "product", "version", "serial", "uuid", "sku", "family")),
)
_BASE_BOARD = ("manufacturer", "product", "version", "serial", "asset", "location")
_CHASSIS = ("manufacturer", "version", "serial", "asset", "sku")


# --- firmware -------------------------------------------------------------------------------------


def pflash(line: Line) -> list[str]:
    """The images of EFI firmware; the words they add to -machine."""
    loader = line.dom.os.loader
    if line.dom.os.firmware is not None and not get(loader, "value"):
        raise internal(f"firmware '{line.dom.os.firmware}' was not chosen")
    if get(loader, "type") != "pflash":
        return []
    words = ["pflash0=libvirt-pflash0-format"]
    readonly = bool(loader.readonly)
    _flash(line, 0, {"driver": "file", "filename": loader.value}, readonly)
    nvram = line.dom.os.nvram
    if nvram is not None and not loader.stateless:
        words.append("pflash1=libvirt-pflash1-format")
        _flash(line, 1, _nvram(nvram), False)
    return words


def _nvram(nvram: Any) -> Props:
    source = nvram.source
    if source is None:
        return {"driver": "file", "filename": nvram.value}
    if nvram.type == "block":
        return {"driver": "host_device", "filename": source.dev}
    if nvram.type == "file":
        return {"driver": "file", "filename": source.file}
    from libvirtcore.drivers.qemu import command_storage

    return command_storage.protocol(nvram.type, source)


def _flash(line: Line, number: int, storage: Props, readonly: bool) -> None:
    node = f"libvirt-pflash{number}"
    line.json("-blockdev", {
        **storage, "node-name": f"{node}-storage", "auto-read-only": True, "discard": "unmap",
    })  # fmt: skip
    line.json("-blockdev", {
        "node-name": f"{node}-format", "read-only": readonly, "driver": "raw",
        "file": f"{node}-storage",
    })  # fmt: skip


def firmware(line: Line) -> None:
    loader = line.dom.os.loader
    if get(loader, "type") == "pflash":
        if loader.secure:
            line.add("-global", "driver=cfi.pflash01,property=secure,value=on")
    elif get(loader, "value"):
        line.add("-bios", loader.value)


# --- machine and accelerator ----------------------------------------------------------------------


def machine(line: Line, flash: list[str], ram: str | None) -> None:
    dom = line.dom
    features = dom.features
    words = [line.machine]
    for cipher in get(dom, "keywrap", "ciphers") or ():
        words.append(f"{cipher.name}-key-wrap={onoff(cipher.state)}")
    words.append("usb=off")
    for name in ("vmport", "smm"):
        state = get(features, name, "state")
        if state is not None:
            words.append(f"{name}={onoff(state)}")
    ioapic = get(features, "ioapic", "driver")
    if ioapic is not None:
        words.append("kernel_irqchip=" + {"qemu": "split", "kvm": "on"}[ioapic])
    gic = get(features, "gic", "version")
    if gic is not None and line.virt:
        words.append(f"gic-version={gic}")
    if get(dom.devices, "iommu", "model") == "smmuv3":
        words.append("iommu=smmuv3")
    dump_core = dom.memory_dump_core
    if dump_core is None:
        dump_core = line.ctx.dump_guest_core
    words.append(f"dump-guest-core={onoff(bool(dump_core))}")
    if get(dom, "memory_backing", "nosharepages"):
        words.append("mem-merge=off")
    if line.arch.startswith("ppc64"):
        words += _pseries(features)
    memorys = get(dom.devices, "memorys") or ()
    if any(memory.model == "nvdimm" for memory in memorys):
        words.append("nvdimm=on")
    security = get(dom, "launch_security")
    if security is not None:
        words.append("confidential-guest-support=lsec0")
    if has_hmat(dom):
        words.append("hmat=on")
    if ram is not None:
        words.append(f"memory-backend={ram}")
    words += flash
    if get(dom.os, "bios", "useserial"):
        words.append("graphics=off")
    line.add("-machine", ",".join(words))


def _pseries(features: Any) -> list[str]:
    words = []
    resizing = get(features, "hpt", "resizing")
    if resizing is not None:
        words.append(f"resize-hpt={resizing}")
    size = get(features, "hpt", "maxpagesize")
    if size is not None:
        words.append(f"cap-hpt-max-page-size={size}")
    for name, option in (("htm", "cap-htm"), ("nested_hv", "cap-nested-hv"),
                         ("ccf_assist", "cap-ccf-assist")):  # fmt: skip
        state = get(features, name, "state")
        if state is not None:
            words.append(f"{option}={onoff(state)}")
    for name in ("cfpc", "sbbc", "ibs"):
        value = get(features, name, "value")
        if value is not None:
            words.append(f"cap-{name}={value}")
    return words


def has_hmat(dom: Any) -> bool:
    """Whether NUMA nodes say how far they are from each other in time."""
    numa = get(dom.cpu, "numa")
    if numa is None:
        return False
    return numa.interconnects is not None or any(cell.caches for cell in numa.cells)


def accelerator(line: Line) -> None:
    dom = line.dom
    if dom.type == "qemu":
        size = get(dom.features, "tcg", "tb_cache")
        line.add("-accel", "tcg" if not size else f"tcg,tb-size={size // 1024}")
    elif dom.type == "kvm":
        ring = get(dom.features, "kvm", "dirty_ring")
        size = ring.size if ring is not None and ring.state else None
        line.add("-accel", "kvm" if not size else f"kvm,dirty-ring-size={size}")
    elif dom.type == "hvf":
        line.add("-accel", "hvf")
    else:
        raise internal(f"the QEMU binary does not support {dom.type}")


def tseg(line: Line) -> None:
    size = get(line.dom.features, "smm", "tseg")
    if not size:
        return
    if not line.q35:
        raise unsupported("SMM TSEG is only supported with q35 machine type")
    line.add("-global", f"mch.extended-tseg-mbytes={size}")


# --- clock ----------------------------------------------------------------------------------------


def clock(line: Line) -> None:
    clock = line.dom.clock
    words = ["base=" + _base(line, clock)]
    for timer in clock.timers:
        if timer.name != "rtc":
            continue
        if timer.track is not None:
            if timer.track not in _CLOCKS:
                raise unsupported(f"unsupported rtc timer track '{timer.track}'")
            words.append("clock=" + _CLOCKS[timer.track])
        if timer.tickpolicy == "catchup":
            words.append("driftfix=slew")
        break
    if clock.offset == "timezone" and clock.timezone:
        line.env["TZ"] = clock.timezone
    line.add("-rtc", ",".join(words))
    for timer in clock.timers:
        if timer.name == "pit":
            if timer.tickpolicy in ("delay", "discard") and (
                timer.tickpolicy == "discard" or line.x86
            ):
                line.add("-global", f"kvm-pit.lost_tick_policy={timer.tickpolicy}")
        elif timer.name == "hpet" and timer.present is False:
            line.add("-no-hpet")


def _base(line: Line, clock: Any) -> str:
    offset = clock.offset
    if offset == "utc":
        return "utc"
    if offset in ("localtime", "timezone"):
        return "localtime"
    if offset == "absolute":
        return _stamp(time.gmtime(clock.start or 0))
    now = (line.ctx.now or time.time)()
    adjustment = clock.adjustment
    shift = int(adjustment) if adjustment not in (None, "reset") else 0
    if clock.basis == "localtime":
        local = time.localtime(now)
        shift += local.tm_gmtoff
    return _stamp(time.gmtime(now + shift))


def _stamp(moment: time.struct_time) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", moment)


# --- power and boot -------------------------------------------------------------------------------


def power(line: Line) -> None:
    line.add("-no-shutdown")
    dom = line.dom
    if has_acpi_choice(line) and not get(dom.features, "acpi"):
        line.add("-no-acpi")
    pm = dom.pm
    device = "ICH9-LPC" if line.q35 else "PIIX4_PM"
    for name, switch in (("suspend_to_mem", "disable_s3"), ("suspend_to_disk", "disable_s4")):
        enabled = get(pm, name, "enabled")
        if enabled is not None:
            line.add("-global", f"{device}.{switch}={int(not enabled)}")


def has_acpi_choice(line: Line) -> bool:
    """Whether QEMU takes -no-acpi."""
    return line.x86 or line.arch == "aarch64"


def boot(line: Line) -> None:
    system = line.dom.os
    menu = system.bootmenu
    words: list[tuple[str, Any]] = []
    if get(menu, "enable") is not None:
        words.append(("menu", onoff(menu.enable)))
    delay = get(system.bios, "reboot_timeout")
    if delay is not None:
        words.append(("reboot-timeout", delay))
    if get(menu, "timeout") is not None:
        words.append(("splash-time", menu.timeout))
    words.append(("strict", "on"))
    line.add("-boot", pairs(words))
    for option in ("kernel", "initrd"):
        path = getattr(system, option)
        if path:
            line.add(f"-{option}", path)
    if system.cmdline:
        line.add("-append", system.cmdline)
    if system.dtb:
        line.add("-dtb", system.dtb)
    for table in get(system, "acpi", "tables") or ():
        word = "sig=SLIC,file=" if table.type == "slic" else "data="
        line.add("-acpitable", word + comma(table.value or ""))


def boot_order(line: Line) -> None:
    """Number what can be booted: by <boot order> of devices, else by the kinds in <os>."""
    devices = line.dom.devices
    kinds = [boot.dev for boot in line.dom.os.boots]
    places = {kind: place for place, kind in reversed(list(enumerate(kinds, 1)))}
    given = [*devices.disks, *devices.interfaces, *(get(devices, "hostdevs") or ()),
             *(get(devices, "redirdevs") or ()), *(get(devices, "filesystems") or ())]  # fmt: skip
    for device in given:
        order = get(device, "boot", "order")
        if order:
            line.boot_index[id(device)] = order
    seen: set[str] = set()
    for disk in devices.disks:
        kind = {"cdrom": "cdrom", "floppy": "fd"}.get(disk.device, "hd")
        if kind in seen:
            continue
        if places.get(kind) and id(disk) not in line.boot_index:
            line.boot_index[id(disk)] = places[kind]
        seen.add(kind)
    if devices.interfaces and places.get("network"):
        first = devices.interfaces[0]
        line.boot_index.setdefault(id(first), places["network"])
    for disk in devices.disks:
        if disk.target.bus == "fdc":
            index = line.boot_index.pop(id(disk), None)
            if index is not None:
                unit = get(disk, "address", "unit") or 0
                line.boot_floppies["B" if unit else "A"] = index


# --- what firmware tells --------------------------------------------------------------------------


def generation_id(line: Line) -> None:
    genid = line.dom.genid
    if genid is None:
        return
    line.device({"driver": "vmgenid", "guid": str(genid), "id": "vmgenid0"})


def smbios(line: Line) -> None:
    mode = get(line.dom.os, "smbios", "mode")
    if mode in (None, "emulate"):
        return
    if mode == "host":
        raise unsupported("Host SMBIOS information is not available")
    found = [info for info in line.dom.sysinfos if info.type == "smbios"]
    if not found:
        raise report_missing(line.dom.name)
    info = found[0]
    for name, number, fields in _SMBIOS:
        skip = ("uuid",) if number == 1 else ()
        _table(line, number, [getattr(info, name)], [f for f in fields if f not in skip])
    _table(line, 2, info.base_boards, _BASE_BOARD)
    _table(line, 3, [info.chassis], _CHASSIS)
    strings = get(info.oem_strings, "entrys") or ()
    if strings:
        values = [f"value={comma(entry.value or '')}" for entry in strings]
        line.add("-smbios", ",".join(["type=11", *values]))


def report_missing(name: str) -> Exception:
    """The error of SMBIOS that shall come from a block that is not there."""
    return unsupported(f"Domain '{name}' sysinfo are not available")


def _table(line: Line, number: int, blocks: Any, fields: Any) -> None:
    for block in blocks:
        if block is None:
            continue
        said = {entry.name: entry.value for entry in block.entrys}
        words = [f"{name}={comma(said[name])}" for name in fields if said.get(name)]
        if words:
            line.add("-smbios", ",".join([f"type={number}", *words]))


def firmware_config(line: Line) -> None:
    for info in line.dom.sysinfos:
        if info.type != "fwcfg":
            continue
        for entry in info.entrys:
            if entry.file:
                value = "file=" + comma(entry.file)
            else:
                value = "string=" + comma(entry.value or "")
            line.add("-fw_cfg", f"name={comma(entry.name)},{value}")
