# SPDX-License-Identifier: LGPL-2.1-or-later
"""command_devices.py: the smaller devices: input, hubs, balloon, random numbers, watchdogs, TPM, …

Called by: command.py, attach code (each *_device). Calls: command_chardev.py, command_line.py.
Never: starts helpers (TPM emulators, virtiofsd): their sockets are in the context.
"""

from __future__ import annotations

import os
from typing import Any

from libvirtcore.drivers.qemu.command_chardev import backend
from libvirtcore.drivers.qemu.command_line import (
    Line,
    Props,
    alias,
    comma,
    get,
    internal,
    present,
    unsupported,
)

_USB_INPUTS = {"mouse": "usb-mouse", "tablet": "usb-tablet", "keyboard": "usb-kbd"}
_VIRTIO_INPUTS = {"mouse": "virtio-mouse", "tablet": "virtio-tablet",
                  "keyboard": "virtio-keyboard", "passthrough": "virtio-input-host"}  # fmt: skip
_ACTIONS = {"dump": "pause"}
DEFAULT_PANIC_PORT = 0x505


def hubs(line: Line) -> None:
    for device in get(line.dom.devices, "hubs") or ():
        line.device({"driver": "usb-hub", "id": alias(device), **line.address(device)})


def inputs(line: Line) -> None:
    for device in line.dom.devices.inputs:
        if device.type == "evdev":
            _evdev(line, device)
            continue
        props = input_device(line, device)
        if props is not None:
            line.device(props)


def input_device(line: Line, device: Any) -> Props | None:
    """The properties of an input device; None for what every machine has."""
    if device.bus == "usb":
        props: Props = {"driver": _USB_INPUTS[device.type], "id": alias(device)}
    elif device.bus == "virtio":
        props = line.virtio(_VIRTIO_INPUTS[device.type], device, device.model)
        props["id"] = alias(device)
        path = get(device, "source", "evdev")
        if path:
            props["evdev"] = path
    else:
        return None
    return {**props, **line.address(device)}


def _evdev(line: Line, device: Any) -> None:
    source = device.source
    line.object("input-linux", alias(device), present({
        "evdev": source.dev,
        "repeat": source.repeat,
        "grab_all": True if source.grab == "all" else None,
        "grab-toggle": source.grab_toggle,
    }))  # fmt: skip


def balloon(line: Line) -> None:
    device = line.dom.devices.memballoon
    if device is None or device.model in ("none", "xen"):
        return
    props = line.virtio("virtio-balloon", device, device.model)
    props["id"] = alias(device)
    props.update(present({
        "deflate-on-oom": device.autodeflate,
        "free-page-reporting": device.free_page_reporting,
    }))  # fmt: skip
    line.device({**props, **line.address(device)})


def rngs(line: Line) -> None:
    for device in get(line.dom.devices, "rngs") or ():
        kind, name, props = rng_object(line, device)
        line.object(kind, name, props)
        line.device(rng_device(line, device))


def rng_object(line: Line, device: Any) -> tuple[str, str, Props]:
    """(kind, id, properties) of where random numbers come from."""
    source, name = device.backend, alias(device)
    if source.model == "random":
        return "rng-random", f"obj{name}", {"filename": source.value or source.path}
    if source.model == "builtin":
        return "rng-builtin", f"obj{name}", {}
    if source.model == "egd":
        return "rng-egd", f"obj{name}", {"chardev": backend(line, PlainChardev(source), name)}
    raise unsupported("unknown rng-random backend")


class PlainChardev:
    """A character source that has no device of its own around it."""

    def __init__(self, holder: Any, spice: str = "vdagent") -> None:
        self.spice = spice
        self.type = holder.type
        self.sources = holder.sources
        self.source = self.sources[0] if self.sources else None
        self.protocol = get(holder, "protocol")
        self.log = None


def rng_device(line: Line, device: Any) -> Props:
    props = line.virtio("virtio-rng", device, device.model)
    props.update({"rng": f"obj{alias(device)}", "id": alias(device)})
    rate = device.rate
    if get(rate, "bytes"):
        props.update({"max-bytes": rate.bytes, "period": rate.period or 1000})
    return {**props, **line.address(device)}


def watchdogs(line: Line) -> None:
    action = None
    for device in get(line.dom.devices, "watchdogs") or ():
        props: Props = {"driver": device.model, "id": alias(device)}
        if device.model == "itco":
            line.add("-global", "ICH9-LPC.noreboot=off")
        else:
            line.device({**props, **line.address(device)})
        action = device.action or "reset"
    if action is not None:
        line.add("-watchdog-action", _ACTIONS.get(action, action))


def panics(line: Line) -> None:
    for device in get(line.dom.devices, "panics") or ():
        if device.model == "isa":
            props: Props = {"driver": "pvpanic"}
            port = get(device, "address", "iobase")
            if port is not None:
                props["ioport"] = port
            line.device(props)
        elif device.model == "pvpanic":
            line.device({"driver": "pvpanic-pci", **line.address(device)})
        elif device.model not in ("hyperv", "pseries", "s390"):
            raise unsupported(f"panic model '{device.model}' is not supported")


def memory_dump_info(line: Line) -> None:
    if get(line.dom.features, "vmcoreinfo", "state"):
        line.device({"driver": "vmcoreinfo"})


def vsock(line: Line) -> None:
    device = get(line.dom.devices, "vsock")
    if device is None:
        return
    name = alias(device)
    fd = line.ctx.vsocks.get(name)
    if fd is None and not line.ctx.native:
        raise unsupported("unable to open vhost-vsock device")
    props = line.virtio("vhost-vsock", device, device.model)
    props.update({"id": name, "guest-cid": get(device, "cid", "address") or 0,
                  "vhostfd": str(-1 if fd is None else fd)})  # fmt: skip
    line.device({**props, **line.address(device)})


def shmems(line: Line) -> None:
    for device in get(line.dom.devices, "shmems") or ():
        _shmem(line, device)


def _shmem(line: Line, device: Any) -> None:
    kind, name = get(device, "model", "type"), alias(device)
    if kind == "ivshmem-plain":
        size = (device.size or 4) << 20
        line.object("memory-backend-file", f"shmmem-{name}", {
            "mem-path": f"/dev/shm/{device.name}", "size": size, "share": True,
        })  # fmt: skip
        props: Props = {"driver": kind, "id": name, "memdev": f"shmmem-{name}"}
        if device.role is not None:
            props["master"] = device.role == "master"
        line.device({**props, **line.address(device)})
        return
    if kind != "ivshmem-doorbell":
        raise unsupported("ivshmem device is not supported with this QEMU binary")
    props = {"driver": kind, "id": name, "chardev": f"char{name}"}
    msi = device.msi
    if msi is not None:
        props.update(present({"vectors": msi.vectors or None, "ioeventfd": msi.ioeventfd}))
    line.device({**props, **line.address(device)})
    path = get(device, "server", "path") or f"/var/lib/libvirt/shmem-{device.name}-sock"
    line.add("-chardev", f"socket,id=char{name},path={comma(path)}")


def tpms(line: Line) -> None:
    for device in get(line.dom.devices, "tpms") or ():
        name = alias(device)
        kind = device.backend.type
        if kind == "passthrough":
            _tpm_passthrough(line, device, name)
        else:
            _tpm_emulator(line, device, name)
        model = device.model or "tpm-tis"
        if model == "tpm-tis" and not line.x86:
            model = "tpm-tis-device"
        line.device({"driver": model, "tpmdev": f"tpm-{name}", "id": name,
                     **line.address(device)})  # fmt: skip


def _tpm_passthrough(line: Line, device: Any, name: str) -> None:
    path = get(device.backend, "device", "path") or "/dev/tpm0"
    cancel = f"/sys/class/tpm/{os.path.basename(path)}/device/cancel"
    words = ["passthrough", f"id=tpm-{name}", f"path={comma(path)}", f"cancel-path={comma(cancel)}"]
    line.add("-tpmdev", ",".join(words))


def _tpm_emulator(line: Line, device: Any, name: str) -> None:
    path = line.ctx.tpm.get(name)
    if device.backend.type == "external":
        path = get(device.backend, "source", "path")
    if path is not None:
        line.add("-chardev", f"socket,id=chrtpm,path={comma(path)}")
    elif line.ctx.native:
        line.add("-chardev", "null,id=chrtpm")
    else:
        raise unsupported("TPM emulator was not started")
    line.add("-tpmdev", f"emulator,id=tpm-{name},chardev=chrtpm")


def smartcards(line: Line) -> None:
    for device in get(line.dom.devices, "smartcards") or ():
        name = alias(device)
        if device.mode == "host":
            props: Props = {"driver": "ccid-card-emulated", "backend": "nss-emulated"}
        elif device.mode == "host-certificates":
            props = {"driver": "ccid-card-emulated", "backend": "certificates"}
            for place, path in enumerate(device.certificates, 1):
                props[f"cert{place}"] = path
            props["db"] = device.database or "/etc/pki/nssdb"
        else:
            chardev = backend(line, PlainChardev(device, "smartcard"), name)
            props = {"driver": "ccid-card-passthru", "chardev": chardev}
        line.device({**props, "id": name, **(line.address(device) or {"bus": "ccid0.0"})})


# --- file systems ---------------------------------------------------------------------------------


def filesystems(line: Line) -> None:
    for device in get(line.dom.devices, "filesystems") or ():
        if get(device, "driver", "type") == "virtiofs":
            _virtiofs(line, device)
        else:
            _plan9(line, device)


def _plan9(line: Line, device: Any) -> None:
    if device.type not in (None, "mount"):
        raise unsupported("only supports mount filesystem type")
    name = alias(device)
    driver = get(device, "driver", "type") or "path"
    if driver not in ("path", "handle", "default"):
        raise unsupported("Filesystem driver type not supported")
    modes = {"passthrough": "passthrough", "mapped": "mapped", "squash": "none"}
    words = ["local" if driver != "handle" else "handle",
             "security_model=" + modes[device.accessmode or "passthrough"]]  # fmt: skip
    if device.multidevs is not None:
        words.append(f"multidevs={device.multidevs}")
    for option in ("fmode", "dmode"):
        mode = getattr(device, option)
        if mode:
            words.append(f"{option}={mode:04o}" if isinstance(mode, int) else f"{option}={mode}")
    if get(device, "driver", "wrpolicy") == "immediate":
        words.append("writeout=immediate")
    words += [f"id=fsdev-{name}", f"path={comma(device.source.dir)}"]
    if device.readonly:
        words.append("readonly")
    line.add("-fsdev", ",".join(words))
    props = line.virtio("virtio-9p", device, device.model)
    props.update({"id": name, "fsdev": f"fsdev-{name}", "mount_tag": device.target.dir})
    line.device({**props, **line.address(device)})


def _virtiofs(line: Line, device: Any) -> None:
    name = alias(device)
    path = get(device, "source", "socket") or line.ctx.virtiofs.get(name)
    if path is None:
        if not line.ctx.native:
            raise internal("virtiofsd was not started")
        path = os.path.join(line.ctx.lib_dir, f"{name}-fs.sock")
    line.add("-chardev", f"socket,id=chr-vu-{name},path={comma(path)}")
    props = line.virtio("vhost-user-fs", device, device.model)
    props.update({"id": name, "chardev": f"chr-vu-{name}"})
    props.update(present({
        "queue-size": get(device, "driver", "queue") or None,
        "tag": device.target.dir,
        "bootindex": line.boot_index.get(id(device)),
    }))  # fmt: skip
    line.device({**props, **line.address(device)})
