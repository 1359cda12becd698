# SPDX-License-Identifier: LGPL-2.1-or-later
"""command_graphics.py: displays, video cards, audio back ends and sound cards.

Called by: command.py. Calls: command_line.py.
Never: chooses a port (the model has it by now); puts a password on the command line.
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
    internal,
    onoff,
    present,
    unsupported,
)

_HEADS = ("qxl", "virtio")
_VGA = {
    "vga": "VGA", "cirrus": "cirrus-vga", "vmvga": "vmware-svga", "qxl": "qxl-vga",
    "virtio": "virtio-vga", "bochs": "bochs-display", "ramfb": "ramfb",
}  # fmt: skip
_SECOND = {**_VGA, "qxl": "qxl", "virtio": "virtio-gpu"}
_AUDIO = {"pulseaudio": "pa", "file": "wav"}


def no_display(line: Line) -> None:
    if not line.dom.devices.graphics:
        line.add("-display", "none")


def graphics(line: Line) -> None:
    for device in line.dom.devices.graphics:
        kind = device.type
        if kind == "vnc":
            _vnc(line, device)
        elif kind == "spice":
            _spice(line, device)
        elif kind == "sdl":
            _sdl(line, device)
        elif kind == "egl-headless":
            node = get(device, "gl", "rendernode")
            line.add("-display", "egl-headless" + (f",rendernode={comma(node)}" if node else ""))
        elif kind == "dbus":
            _dbus(line, device)
        else:
            raise unsupported(f"unsupported graphics type '{kind}'")


def _audio_of(line: Line, device: Any) -> str | None:
    wanted = get(device, "audio", "id")
    for audio in line.dom.devices.audios:
        if wanted is None or audio.id == wanted:
            return f"audio{audio.id}"
    return None


def _vnc(line: Line, device: Any) -> None:
    listen = device.listens[0] if device.listens else None
    kind = get(listen, "type")
    socket = get(listen, "socket") or device.socket
    port = device.port if device.port is not None else -1
    if kind == "socket" or (listen is None and socket):
        if not socket:
            socket = os.path.join(line.ctx.lib_dir, "vnc.sock")
        words = ["vnc=unix:" + comma(socket)]
    elif kind == "none":
        words = ["none"]
    else:
        address = get(listen, "address") or device.listen or "127.0.0.1"
        if ":" in address:
            address = f"[{address}]"
        if 0 < port < 5900:
            raise unsupported("vnc port must be in range [5900,65535]")
        if port < 5900:
            if not line.ctx.native:
                raise internal("a VNC port was not chosen")
            port = 5900
        words = [f"{address}:{port - 5900}"]
        if device.websocket is not None:
            words.append(f"websocket={device.websocket}")
    share = device.share_policy
    if share is not None:
        words.append(f"share={share}")
    if line.ctx.vnc_tls_dir is not None:
        line.object("tls-creds-x509", "vnc-tls-creds0", {
            "dir": line.ctx.vnc_tls_dir, "endpoint": "server",
            "verify-peer": line.ctx.vnc_tls_verify,
        })  # fmt: skip
        words.append("tls-creds=vnc-tls-creds0")
    if device.passwd is not None or line.ctx.vnc_password:
        words.append("password=on")
    if line.ctx.vnc_sasl:
        words.append("sasl=on")
    if device.power_control is not None:
        words.append(f"power-control={onoff(device.power_control)}")
    audio = _audio_of(line, device)
    if audio is not None:
        words.append(f"audiodev={audio}")
    line.add("-vnc", ",".join(words))
    if device.keymap:
        line.add("-k", device.keymap)


def _spice(line: Line, device: Any) -> None:
    if not line.caps.has_option("spice"):
        raise unsupported("spice graphics are not supported with this QEMU")
    words, tls = _spice_place(line, device)
    mouse = get(device, "mouse", "mode")
    if mouse is not None:
        words.append(f"agent-mouse={onoff(mouse == 'client')}")
    if device.passwd is None and not line.ctx.spice_password:
        words.append("disable-ticketing=on")
    if tls:
        words.append("x509-dir=" + comma(line.ctx.spice_tls_dir))
    modes = {"secure": "tls-channel", "insecure": "plaintext-channel"}
    if device.default_mode in modes:
        words.append(f"{modes[device.default_mode]}=default")
    words += [f"{modes[c.mode]}={c.name}" for c in device.channels if c.mode in modes]
    for name, option in (("image", "image-compression"), ("jpeg", "jpeg-wan-compression"),
                         ("zlib", "zlib-glz-wan-compression"),
                         ("playback", "playback-compression")):  # fmt: skip
        value = get(device, name, "compression")
        if value is not None:
            words.append(f"{option}={onoff(value) if isinstance(value, bool) else value}")
    mode = get(device, "streaming", "mode")
    if mode:
        words.append(f"streaming-video={mode}")
    if get(device, "clipboard", "copypaste") is False:
        words.append("disable-copy-paste=on")
    if get(device, "filetransfer", "enable") is False:
        words.append("disable-agent-file-xfer=on")
    if get(device, "gl", "enable"):
        words.append("gl=on")
        node = get(device, "gl", "rendernode")
        words += [f"rendernode={comma(node)}"] if node else []
    words.append("seamless-migration=on")
    line.add("-spice", ",".join(words))
    if device.keymap:
        line.add("-k", device.keymap)


def _spice_place(line: Line, device: Any) -> tuple[list[str], bool]:
    """Where a SPICE display listens, and whether it needs certificates."""
    listen = device.listens[0] if device.listens else None
    kind = get(listen, "type")
    if kind == "socket":
        path = get(listen, "socket") or os.path.join(line.ctx.lib_dir, "spice.sock")
        return ["unix=on", "addr=" + comma(path)], False
    if kind == "none":
        return ["port=0"], False
    words, ports = [], [device.port, device.tls_port]
    if ports[0] is None and device.autoport != "no":
        ports[0] = -1
    for place, name in enumerate(("port", "tls-port")):
        port = ports[place]
        if port is not None and port < 0:
            if not line.ctx.native:
                raise internal("a SPICE port was not chosen")
            port = 5901 + place
        if port:
            words.append(f"{name}={port}")
    words.append("addr=" + comma(get(listen, "address") or device.listen or "127.0.0.1"))
    return words, any(word.startswith("tls-port") for word in words)


def _sdl(line: Line, device: Any) -> None:
    if device.xauth:
        line.env["XAUTHORITY"] = device.xauth
    if device.display:
        line.env["DISPLAY"] = device.display
    if device.fullscreen:
        line.add("-full-screen")
    enable = get(device, "gl", "enable")
    line.add("-display", "sdl" + ("" if enable is None else f",gl={onoff(enable)}"))


def _dbus(line: Line, device: Any) -> None:
    words = ["dbus"]
    if device.p2p:
        words.append("p2p=on")
    elif device.address:
        words.append(f"addr={comma(device.address)}")
    elif line.ctx.dbus is not None:
        words.append(f"addr={comma(line.ctx.dbus)}")
    elif line.ctx.native:
        name = os.path.basename(line.ctx.lib_dir).removeprefix("domain-")
        words.append(f"addr=unix:path=/run/libvirt/qemu/dbus/{name}-dbus.sock")
    else:
        raise unsupported("a D-Bus display needs p2p or an address")
    enable = get(device, "gl", "enable")
    if enable is not None:
        words.append(f"gl={onoff(enable)}")
    node = get(device, "gl", "rendernode")
    if node:
        words.append(f"rendernode={comma(node)}")
    audio = _audio_of(line, device) if device.audio is not None else None
    if audio is not None:
        words.append(f"audiodev={audio}")
    line.add("-display", ",".join(words))


# --- video ----------------------------------------------------------------------------------------


def videos(line: Line) -> None:
    for place, device in enumerate(line.dom.devices.videos):
        if get(device, "model", "type") != "none":
            line.device(_video(line, device, place == 0))


def _video(line: Line, device: Any, first: bool) -> Props:
    model = device.model
    kind = model.type
    names = _VGA if first else _SECOND
    if kind not in names:
        raise unsupported(f"video type {kind} is not supported with QEMU")
    driver = names[kind]
    props: Props = {"driver": driver}
    if kind == "virtio":
        props = _virtio_gpu(line, device, first)
    props["id"] = alias(device)
    if kind in _HEADS and model.heads:
        props["max_outputs"] = model.heads
    if kind == "qxl":
        props.update({
            "ram_size": (model.ram or 0) << 10, "vram_size": (model.vram or 0) << 10,
            "vram64_size_mb": (model.vram64 or 0) >> 10, "vgamem_mb": (model.vgamem or 0) >> 10,
        })  # fmt: skip
    elif kind in ("vga", "vmvga") and model.vram:
        props["vgamem_mb"] = model.vram >> 10
    elif kind == "bochs" and model.vram:
        props["vgamem"] = model.vram << 10
    if kind == "virtio" and model.blob is not None:
        props["blob"] = model.blob
    resolution = model.resolution
    if resolution is not None:
        props.update({"xres": resolution.x, "yres": resolution.y})
    props.update(line.address(device))
    return props


def _virtio_gpu(line: Line, device: Any, first: bool) -> Props:
    base = "virtio-vga" if first and line.x86 else "virtio-gpu"
    if get(device, "model", "acceleration", "accel3d"):
        base += "-gl"
    if get(device, "driver", "name") == "vhostuser":
        base = "vhost-user-vga" if first else "vhost-user-gpu"
    props = line.virtio(base, device)
    if "vga" in base:
        props["driver"] = base
    return props


# --- sound ----------------------------------------------------------------------------------------


def audios(line: Line) -> None:
    for audio in line.dom.devices.audios:
        line.json("-audiodev", _audiodev(audio))
        if audio.type == "sdl" and audio.driver:
            line.env["SDL_AUDIODRIVER"] = audio.driver


def _audiodev(audio: Any) -> Props:
    kind = audio.type
    props: Props = {"id": f"audio{audio.id}", "driver": _AUDIO.get(kind, kind)}
    props.update(present({
        "timer-period": audio.timer_period,
        "try-mmap": audio.try_mmap,
        "exclusive": audio.exclusive,
        "dsp-policy": audio.dsp_policy,
        "path": audio.path,
        "server": audio.server_name,
    }))  # fmt: skip
    for name, side in (("in", audio.input), ("out", audio.output)):
        said = _direction(side)
        if said:
            props[name] = said
    return props


def _direction(side: Any) -> Props:
    if side is None:
        return {}
    settings = side.settings
    return present({
        "mixing-engine": side.mixing_engine,
        "fixed-settings": side.fixed_settings,
        "voices": side.voices,
        "buffer-length": side.buffer_length,
        "frequency": get(settings, "frequency"),
        "channels": get(settings, "channels"),
        "format": get(settings, "format"),
        "dev": side.dev,
        "buffer-count": side.buffer_count,
        "try-poll": side.try_poll,
        "name": side.name,
        "stream-name": side.stream_name,
        "latency": side.latency,
        "server-name": side.server_name,
        "client-name": side.client_name,
        "connect-ports": side.connect_ports,
        "exact-name": side.exact_name,
    })  # fmt: skip


def sounds(line: Line) -> None:
    for device in line.dom.devices.sounds:
        _sound(line, device)


def _sound(line: Line, device: Any) -> None:
    model, name = device.model, alias(device)
    if model == "pcspk":
        line.add("-soundhw", "pcspk")
        return
    drivers = {"sb16": "sb16", "es1370": "ES1370", "ac97": "AC97", "usb": "usb-audio",
               "ich6": "intel-hda", "ich9": "ich9-intel-hda"}  # fmt: skip
    if model not in drivers:
        raise unsupported(f"sound card model '{model}' is not supported by qemu")
    props: Props = {"driver": drivers[model], "id": name}
    audio = _audio_of(line, device)
    if audio is None:
        raise internal("unable to find audio backend for sound device")
    hda = model in ("ich6", "ich9")
    if not hda:
        props.update(present({"audiodev": audio}))
    props.update(line.address(device))
    line.device(props)
    if hda:
        kinds = [codec.type for codec in device.codecs] or ["duplex"]
        for place, kind in enumerate(kinds):
            line.device({
                "driver": f"hda-{kind}", "id": f"{name}-codec{place}", "bus": f"{name}.0",
                "cad": place, **present({"audiodev": audio}),
            })  # fmt: skip
