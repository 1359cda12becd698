# SPDX-License-Identifier: LGPL-2.1-or-later
"""command_disks.py: disks, CD-ROMs, floppies and LUNs: the guest's side on top of the nodes.

Called by: command.py, attach code (disk_device, throttle). Calls: command_storage.py.
Never: sets limits on I/O (QEMU takes them from the monitor: `throttle` says what to set).
"""

from __future__ import annotations

from typing import Any

from libvirtcore.drivers.qemu.command_line import Line, Props, alias, get, present, unsupported
from libvirtcore.drivers.qemu.command_storage import cache_mode, chain, chain_nodes

_NARROW = (None, "auto", "lsilogic", "ncr53c90", "dc390", "am53c974")
_THROTTLE = (
    ("total_bytes_sec", "bps"), ("read_bytes_sec", "bps_rd"), ("write_bytes_sec", "bps_wr"),
    ("total_iops_sec", "iops"), ("read_iops_sec", "iops_rd"), ("write_iops_sec", "iops_wr"),
)  # fmt: skip


def disks(line: Line) -> None:
    for name, index in sorted(line.boot_floppies.items()):
        if line.i440fx:
            line.add("-global", f"isa-fdc.bootindex{name}={index}")
    if any(get(disk, "source", "reservations", "managed") for disk in line.dom.devices.disks):
        path = f"{line.ctx.lib_dir}/pr-helper0.sock"
        line.object("pr-manager-helper", "pr-helper0", {"path": path})
    for disk in line.dom.devices.disks:
        if get(disk, "transient", "share_backing"):
            continue  # plugged in before the guest runs, behind an overlay
        if disk.type == "vhostuser":
            _vhost_user(line, disk)
            continue
        drive = disk_backend(line, disk)
        line.device(disk_device(line, disk, drive))


def disk_backend(line: Line, disk: Any) -> str | None:
    """Put the nodes of a disk on the line; the name of the one the guest sees, if any."""
    image = chain(line, disk)
    if image is None:
        return None
    for node in chain_nodes(line, image):
        line.json("-blockdev", node)
    if not get(disk, "driver", "copy_on_read"):
        return image.format_node
    name = copy_on_read_node(disk)
    line.json("-blockdev", {"driver": "copy-on-read", "node-name": name,
                            "file": image.format_node, "discard": "unmap"})  # fmt: skip
    return name


def copy_on_read_node(disk: Any) -> str:
    return f"libvirt-CoR-{disk.target.dev}"


def disk_device(line: Line, disk: Any, drive: str | None) -> Props:
    """The properties of the device the guest sees."""
    bus = disk.target.bus
    builder = _BUSES.get(bus)
    if builder is None:
        raise unsupported(f"disk bus '{bus}' is not supported with this QEMU binary")
    props = builder(line, disk)
    if disk.shareable and disk.device not in ("cdrom", "floppy"):
        props["share-rw"] = True
    block, geometry = disk.blockio, disk.geometry
    wwn = int(disk.wwn, 16) if disk.wwn else None
    write, read = _policies(disk)
    props.update(present({
        "drive": drive,
        "id": alias(disk),
        "bootindex": line.boot_index.get(id(disk)),
        "logical_block_size": get(block, "logical_block_size") or None,
        "physical_block_size": get(block, "physical_block_size") or None,
        "discard_granularity": get(block, "discard_granularity"),
        "wwn": wwn,
        "rotation_rate": get(disk, "target", "rotation_rate") or None,
        "vendor": disk.vendor,
        "product": disk.product,
        "removable": _removable(disk),
        "write-cache": _write_cache(disk),
        "cyls": get(geometry, "cyls") or None,
        "heads": get(geometry, "heads") or None,
        "secs": get(geometry, "secs") or None,
        "bios-chs-trans": get(geometry, "trans"),
        "serial": disk.serial.replace(" ", "\\ ") if disk.serial else None,
        "werror": write,
        "rerror": read,
    }))  # fmt: skip
    return props


def _removable(disk: Any) -> bool | None:
    stated = disk.target.removable
    return bool(stated) if disk.target.bus == "usb" else stated


def _write_cache(disk: Any) -> str | None:
    mode = cache_mode(disk)
    if mode is None or disk.target.bus == "fdc" or disk.device == "lun":
        return None
    return "off" if mode in ("writethrough", "directsync") else "on"


def _policies(disk: Any) -> tuple[str | None, str | None]:
    """What happens after errors in writing and reading."""
    write = get(disk, "driver", "error_policy")
    read = get(disk, "driver", "rerror_policy") or write
    if read == "enospace":
        read = None
    return ("enospc" if write == "enospace" else write), read


def _virtio(line: Line, disk: Any) -> Props:
    driver = disk.driver
    props = line.virtio("virtio-blk", disk, disk.model)
    thread = get(driver, "iothread")
    props.update(present({
        "iothread": f"iothread{thread}" if thread else None,
        "ioeventfd": get(driver, "ioeventfd"),
        "event_idx": get(driver, "event_idx"),
        "num-queues": get(driver, "queues") or None,
        "queue-size": get(driver, "queue_size") or None,
    }))  # fmt: skip
    return {**props, **line.address(disk)}


def _ide(line: Line, disk: Any) -> Props:
    place = disk.address
    kind = "ide-cd" if disk.device == "cdrom" else "ide-hd"
    return {"driver": kind, "bus": f"ide.{place.bus or 0}", "unit": place.unit or 0}


def _sata(line: Line, disk: Any) -> Props:
    place = disk.address
    controller = line.controller("sata", place.controller or 0)
    built_in = line.q35 and not (controller.index or 0)
    name = "ide" if built_in else alias(controller)
    kind = "ide-cd" if disk.device == "cdrom" else "ide-hd"
    return {"driver": kind, "bus": f"{name}.{place.unit or 0}"}


def _scsi(line: Line, disk: Any) -> Props:
    place = disk.address
    controller = line.controller("scsi", place.controller or 0)
    kinds = {"lun": "scsi-block", "cdrom": "scsi-cd"}
    props: Props = {"driver": kinds.get(disk.device, "scsi-hd"), "bus": f"{alias(controller)}.0"}
    if controller.model in _NARROW:
        if place.target:
            model = controller.model or "lsilogic"
            raise unsupported(f"target must be 0 for controller model '{model}'")
        props["scsi-id"] = place.unit or 0
    else:
        props.update({"channel": place.bus or 0, "scsi-id": place.target or 0,
                      "lun": place.unit or 0})  # fmt: skip
    if disk.device != "lun":
        props["device_id"] = disk.serial or f"drive-{alias(disk)}"
    return props


def _usb(line: Line, disk: Any) -> Props:
    return {"driver": "usb-storage", **line.address(disk)}


def _floppy(line: Line, disk: Any) -> Props:
    return {"driver": "floppy", "unit": get(disk, "address", "unit") or 0}


def _sd(line: Line, disk: Any) -> Props:
    return {"driver": "sd-card"}


_BUSES = {"virtio": _virtio, "ide": _ide, "sata": _sata, "scsi": _scsi, "usb": _usb,
          "fdc": _floppy, "sd": _sd}  # fmt: skip


def _vhost_user(line: Line, disk: Any) -> None:
    """A disk that another process plays."""
    source, name = disk.source, alias(disk)
    chardev = f"chr-vu-{name}"
    words = f"socket,id={chardev},path={source.path.replace(',', ',,')}"
    if get(source, "reconnect", "enabled"):
        words += f",reconnect={source.reconnect.timeout or 0}"
    line.add("-chardev", words)
    props = {**line.virtio("vhost-user-blk", disk, disk.model), **line.address(disk)}
    driver = disk.driver
    props.update(present({
        "num-queues": get(driver, "queues") or None,
        "queue-size": get(driver, "queue_size") or None,
        "chardev": chardev,
        "id": name,
        "bootindex": line.boot_index.get(id(disk)),
    }))  # fmt: skip
    line.device(props)


def throttle(disk: Any) -> Props | None:
    """The arguments of block_set_io_throttle for a disk; None when nothing is limited."""
    tune = disk.iotune
    if tune is None:
        return None
    props: Props = {"id": alias(disk)}
    for field, option in _THROTTLE:
        props[option] = getattr(tune, field) or 0
    for field, option in _THROTTLE:
        most = getattr(tune, f"{field}_max")
        if most:
            props[f"{option}_max"] = most
    if tune.size_iops_sec:
        props["iops_size"] = tune.size_iops_sec
    if not any(value for name, value in props.items() if name != "id"):
        return None
    props["group"] = tune.group_name or f"drive-{alias(disk)}"
    for field, option in _THROTTLE:
        seconds = getattr(tune, f"{field}_max_length")
        if seconds:
            props[f"{option}_max_length"] = seconds
    return props
