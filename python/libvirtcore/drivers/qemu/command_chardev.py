# SPDX-License-Identifier: LGPL-2.1-or-later
"""command_chardev.py: character devices: back ends, serial and parallel ports, consoles, channels.

Called by: command.py, command_devices.py, attach code (chardev_device). Calls: command_line.py.
Never: opens a path; listening sockets may come as descriptors in the context.
"""

from __future__ import annotations

import os
from typing import Any

from libvirtcore.drivers.qemu.command_line import (
    Line,
    Props,
    alias,
    comma,
    get,
    onoff,
    unsupported,
)

_SERIALS = {
    "isa-serial": "isa-serial",
    "usb-serial": "usb-serial",
    "pci-serial": "pci-serial",
    "spapr-vio-serial": "spapr-vty",
    "isa-debug": "isa-debugcon",
}


def monitor(line: Line) -> None:
    where = line.ctx.monitor
    place = f"fd={where}" if isinstance(where, int) else f"path={comma(where)}"
    line.add("-chardev", f"socket,id=charmonitor,{place},server=on,wait=off")
    line.add("-mon", "chardev=charmonitor,id=monitor,mode=control")


def backend(line: Line, device: Any, name: str, *, wait: bool = False) -> str:
    """Put the host's side of a character device on the line; its id."""
    chardev = f"char{name}"
    words = [*_backend(line, device, name, wait)]
    words.insert(1, f"id={chardev}")
    log = device.log
    if get(log, "file"):
        opened = _opened(line, f"{name}-log", f"{name}-log")
        words.append("logfile=" + (opened or comma(log.file)))
        append = True if opened else log.append
        if append is not None:
            words.append(f"logappend={onoff(append)}")
    line.add("-chardev", ",".join(words))
    return chardev


def _backend(line: Line, device: Any, name: str, wait: bool) -> list[str]:
    kind, source = device.type, device.source
    if kind in ("null", "vc", "pty", "stdio"):
        return [kind]
    if kind == "dev":
        driver = "parallel" if type(device).__name__ == "Parallel" else "serial"
        return [driver, f"path={comma(source.path)}"]
    if kind == "file":
        opened = _opened(line, name, f"{name}-source")
        if opened is not None:
            return ["file", f"path={opened}", "append=on"]
        words = ["file", f"path={comma(source.path)}"]
        if source.append is not None:
            words.append(f"append={onoff(source.append)}")
        return words
    if kind == "pipe":
        return ["pipe", f"path={comma(source.path)}"]
    if kind == "udp":
        return _udp(device)
    if kind == "tcp":
        return _tcp(line, device, name, wait)
    if kind == "unix":
        return _unix(line, device, name, wait)
    if kind == "spicevmc":
        return ["spicevmc", f"name={_spice_name(device)}"]
    if kind == "spiceport":
        return ["spiceport", f"name={comma(source.channel)}"]
    if kind == "qemu-vdagent":
        words = ["qemu-vdagent", "name=vdagent"]
        paste = get(source, "clipboard", "copypaste")
        if paste is not None:
            words.append(f"clipboard={onoff(paste)}")
        mouse = get(source, "mouse", "mode")
        if mouse is not None:
            words.append(f"mouse={onoff(mouse == 'client')}")
        return words
    if kind == "dbus":
        return ["dbus", f"name={comma(source.channel)}"]
    raise unsupported(f"unsupported chardev '{kind}'")


def _opened(line: Line, name: str, purpose: str) -> str | None:
    """The path that stands for a file which came open; its descriptor goes on the line."""
    found = line.ctx.fdsets.get(name)
    if found is None:
        return None
    number, fd = found
    line.add("-add-fd", f"set={number},fd={fd},opaque={comma(purpose)}")
    return f"/dev/fdset/{number}"


def _spice_name(device: Any) -> str:
    return str(getattr(device, "spice", "vdagent"))


def _udp(device: Any) -> list[str]:
    connect = bind = None
    for source in device.sources:
        if source.mode == "bind":
            bind = source
        else:
            connect = source
    host = get(connect, "host") or ""
    words = ["udp", f"host={comma(host)}" if host else "host=",
             f"port={get(connect, 'service') or ''}"]  # fmt: skip
    if bind is not None:
        words += [f"localaddr={comma(bind.host or '')}", f"localport={bind.service or '0'}"]
    else:
        words += ["localaddr=", "localport=0"]
    return words


def _reconnect(source: Any) -> list[str]:
    reconnect = source.reconnect
    if reconnect is None or reconnect.enabled is None:
        return []
    return [f"reconnect={reconnect.timeout or 0 if reconnect.enabled else 0}"]


def _listening(wait: bool) -> list[str]:
    return ["server=on", f"wait={onoff(wait)}"]


def _tcp(line: Line, device: Any, name: str, wait: bool) -> list[str]:
    source = device.source
    words = ["socket", f"host={comma(source.host)}", f"port={comma(source.service)}"]
    if get(device, "protocol", "type") == "telnet":
        words.append("telnet=on")
    words += _listening(wait) if source.mode == "bind" else _reconnect(source)
    if source.tls:
        credentials = f"objchar{name}_tls0"
        line.object("tls-creds-x509", credentials, {
            "dir": line.ctx.char_tls_dir,
            "endpoint": "server" if source.mode == "bind" else "client",
            "verify-peer": True,
        })  # fmt: skip
        words.append(f"tls-creds={credentials}")
    return words


def _unix(line: Line, device: Any, name: str, wait: bool) -> list[str]:
    source = device.source
    path, mode = get(source, "path"), get(source, "mode")
    if path is None:
        path, mode = channel_path(line, device), "bind"
    fd = line.ctx.sockets.get(name)
    if fd is not None and mode == "bind":
        return ["socket", f"fd={fd}", *_listening(wait)]
    words = ["socket", f"path={comma(path)}"]
    return words + (_listening(wait) if mode == "bind" else _reconnect(source))


def channel_path(line: Line, device: Any) -> str:
    """Where a channel listens that was not told where."""
    folder = line.ctx.channel_dir
    if folder is None:
        base, name = os.path.split(line.ctx.lib_dir.rstrip("/"))
        folder = os.path.join(base, "channel", "target", name)
    name = get(device, "target", "name") or alias(device)
    if "/" in name or name in (".", ".."):
        raise unsupported(f"channel name '{name}' cannot name a socket")
    return os.path.join(folder, name)


# --- the guest's side -----------------------------------------------------------------------------


def chardev_device(line: Line, device: Any) -> Props | None:
    """The properties of the device the guest sees; None for those of the machine itself."""
    kind = type(device).__name__
    return {"Serial": _serial, "Parallel": _parallel, "Console": _console, "Channel": _channel}[
        kind
    ](line, device)


def _serial(line: Line, device: Any) -> Props | None:
    target = device.target
    kind = get(target, "type") or "isa-serial"
    if kind == "system-serial":
        return None
    driver = get(target, "model", "name") or _SERIALS.get(kind)
    if driver is None:
        raise unsupported(f"Invalid target type '{kind}' for serial devices")
    name = alias(device)
    props: Props = {"driver": driver, "chardev": f"char{name}", "id": name}
    if kind == "isa-serial":
        props["index"] = get(target, "port") or 0
    return {**props, **line.address(device)}


def _parallel(line: Line, device: Any) -> Props:
    name = alias(device)
    return {"driver": "isa-parallel", "chardev": f"char{name}", "id": name}


def _console(line: Line, device: Any) -> Props:
    kind = get(device, "target", "type")
    name = alias(device)
    if kind == "virtio":
        props: Props = {"driver": "virtconsole"}
        if get(device, "address", "type") == "virtio-serial" and not _default_port(line, device):
            place = line.address(device)
            props.update({"bus": place["bus"], "nr": place["nr"]})
        return {**props, "chardev": f"char{name}", "id": name}
    if kind in ("sclp", "sclplm"):
        return {"driver": f"{kind}console", "chardev": f"char{name}", "id": name}
    raise unsupported(f"unsupported console target type {kind}")


def _default_port(line: Line, device: Any) -> bool:
    place = device.address
    return not (place.controller or place.bus) and int(place.port or 0) == 0


def _channel(line: Line, device: Any) -> Props | None:
    kind = device.target.type
    if kind != "virtio":
        return None
    name = alias(device)
    place = line.address(device)
    props: Props = {"driver": "virtserialport"}
    if place:
        props.update({"bus": place["bus"], "nr": place["nr"]})
    props.update({"chardev": f"char{name}", "id": name})
    if device.type == "spicevmc" and not device.target.name:
        props["name"] = "com.redhat.spice.0"
    elif device.target.name:
        props["name"] = device.target.name
    return props


def serials(line: Line) -> None:
    for device in line.dom.devices.serials:
        _put(line, device)


def parallels(line: Line) -> None:
    for device in line.dom.devices.parallels:
        _put(line, device)


def _put(line: Line, device: Any) -> None:
    chardev = backend(line, device, alias(device))
    props = chardev_device(line, device)
    if props is None:
        line.add("-serial", f"chardev:{chardev}")
    else:
        line.device(props)


def channels(line: Line) -> None:
    for device in line.dom.devices.channels:
        chardev = backend(line, device, alias(device))
        if device.target.type == "guestfwd":
            line.json("-netdev", guest_forward(device, chardev))
        else:
            props = chardev_device(line, device)
            if props is not None:
                line.device(props)


def guest_forward(device: Any, chardev: str) -> Props:
    """The user network whose only connection ends in a character device."""
    target = device.target
    word = f"tcp:{target.address}:{target.port}-chardev:{chardev}"
    return {"type": "user", "guestfwd": [{"str": word}], "id": alias(device)}


def consoles(line: Line) -> None:
    """Consoles of their own; the first may be the first serial port under another name."""
    for place, device in enumerate(line.dom.devices.consoles):
        kind = get(device, "target", "type")
        if kind == "serial" and place == 0:
            continue
        if kind in ("serial", None):
            raise unsupported(f"unsupported console target type {kind}")
        backend(line, device, alias(device))
        props = chardev_device(line, device)
        if props is not None:
            line.device(props)
