# SPDX-License-Identifier: LGPL-2.1-or-later
"""console.py: streams to a guest's serial ports, consoles and channels, and pictures of its screen.

One stream at a time per device; whoever comes with force cuts the one before.
Called by: drivers.qemu.driver (mixin). Calls: fd_stream, the monitor.
Never: opens anything but what QEMU serves a device by.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any

from libvirtcore.drivers.qemu.base import Calls
from libvirtcore.drivers.qemu.devices import alias_of
from libvirtcore.drivers.qemu.fd_stream import FdStream
from libvirtcore.drivers.qemu.guest import Guest, Run, check_flags, internal, invalid, system_error
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle, StreamHandle
from libvirtcore.qmp import QMPError
from libvirtcore.qmp.client import open_socket

_CONNECT_SECONDS = 5.0


class ConsoleCalls(Calls):
    """The calls that open streams."""

    def domain_open_console(
        self, dom: DomainHandle, dev_name: str | None, flags: int, stream: StreamHandle
    ) -> None:
        known = c.VIR_DOMAIN_CONSOLE_SAFE | c.VIR_DOMAIN_CONSOLE_FORCE
        check_flags("qemuDomainOpenConsole", flags, known)
        guest = self.host.find(dom)
        run = guest.running()
        with guest.lock:
            device = _console(guest.live, dev_name)
        if device is None:
            raise internal(f"cannot find character device {dev_name or '<null>'}")
        if device.type not in ("pty", "unix"):
            raise internal(
                f"character device {dev_name or '<null>'} is not using a PTY or UNIX socket"
            )
        force = bool(flags & c.VIR_DOMAIN_CONSOLE_FORCE)
        _open(guest, run, device, force, stream, "Active console session exists for this domain")

    def domain_open_channel(
        self, dom: DomainHandle, name: str | None, flags: int, stream: StreamHandle
    ) -> None:
        check_flags("qemuDomainOpenChannel", flags, c.VIR_DOMAIN_CHANNEL_FORCE)
        guest = self.host.find(dom)
        run = guest.running()
        with guest.lock:
            device = _channel(guest.live, name)
        if device is None:
            raise internal(f"cannot find channel {name or '<null>'}")
        if device.type != "unix":
            raise internal(f"channel {name or '<null>'} is not using a UNIX socket")
        force = bool(flags & c.VIR_DOMAIN_CHANNEL_FORCE)
        _open(guest, run, device, force, stream, "Active channel stream exists for this domain")

    def domain_screenshot(
        self, dom: DomainHandle, screen: int, flags: int, stream: StreamHandle
    ) -> str | None:
        check_flags("qemuDomainScreenshot", flags, 0)
        with self._running(dom, "DomainScreenshot") as guest:
            device, head = _screen(guest, screen)
            fd = _picture(guest, device, head)
        blocking = not stream.flags & c.VIR_STREAM_NONBLOCK
        stream.impl = FdStream(fd, blocking=blocking, writable=False, pollable=False)
        return "image/png"

    def domain_open_graphics_fd(self, dom: DomainHandle, idx: int, flags: int) -> list[int]:
        import socket

        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self.domain_open_graphics(dom, idx, flags, [theirs.fileno()])
        except BaseException:
            ours.close()
            raise
        return [ours.detach()]

    def domain_open_graphics(self, dom: DomainHandle, idx: int, flags: int, fds: list[int]) -> None:
        function = "qemuDomainOpenGraphicsFD"
        check_flags(function, flags, c.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH)
        with self._running(dom, "DomainOpenGraphics") as guest:
            displays = guest.model().devices.graphics
            if not 0 <= idx < len(displays):
                raise internal(f"No graphics backend with index {idx}")
            kind = displays[idx].type
            if kind not in ("vnc", "spice"):
                raise internal(f"Can only open VNC or SPICE graphics backends, not {kind}")
            monitor = guest.monitor()
            monitor.command("getfd", {"fdname": "graphicsfd"}, fds=fds[:1])
            skip = bool(flags & c.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH)
            try:
                monitor.command(
                    "add_client",
                    {"protocol": kind, "fdname": "graphicsfd", "skipauth": skip},
                )
            except VirError:
                try:
                    monitor.execute("closefd", {"fdname": "graphicsfd"})
                except (QMPError, VirError):
                    pass
                raise


# --- which device ---------------------------------------------------------------------------------


def _console(model: Any, name: str | None) -> Any:
    devices = model.devices
    if name is None:
        for group in (devices.consoles, devices.serials):
            if group:
                return group[0]
        return None
    for group in (devices.consoles, devices.serials, devices.parallels):
        for device in group:
            if alias_of(device) == name:
                return device
    return None


def _channel(model: Any, name: str | None) -> Any:
    for device in model.devices.channels:
        target = device.target.name if device.target is not None else None
        if name is None or name in (alias_of(device), target):
            return device
    return None


# --- opening --------------------------------------------------------------------------------------


def _open(
    guest: Guest, run: Run, device: Any, force: bool, stream: StreamHandle, busy: str
) -> None:
    """Attach a stream to a device. Raises: VirError."""
    path = device.source.path if device.source is not None else None
    if not path:
        raise internal(f"the path of device {alias_of(device)} is not known")
    # The first console is the first serial port: what serves them counts, not their names.
    place = f"stream:{path}"
    with guest.lock:
        before = run.waiters.get(place)
        if before is not None and not force:
            raise report(c.VIR_ERR_OPERATION_FAILED, c.VIR_FROM_QEMU, busy)
        run.waiters.pop(place, None)
    if before is not None:
        before.cut()
    fd = _terminal(path) if device.type == "pty" else open_socket(path, _CONNECT_SECONDS)

    def closed(which: FdStream) -> None:
        with guest.lock:
            if run.waiters.get(place) is which:
                del run.waiters[place]

    blocking = not stream.flags & c.VIR_STREAM_NONBLOCK
    made = FdStream(fd, blocking=blocking, on_close=closed)
    with guest.lock:
        lost = place in run.waiters
        if not lost:
            run.waiters[place] = made
    if lost:  # to somebody who came at the same time
        made.free()
        raise report(c.VIR_ERR_OPERATION_FAILED, c.VIR_FROM_QEMU, busy)
    if stream.impl is not None:
        stream.impl.free()
    stream.impl = made


def _terminal(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as fault:
        raise system_error(fault, f"unable to open file: '{path}'", c.VIR_FROM_STREAMS) from None


# --- the screen -----------------------------------------------------------------------------------


def _screen(guest: Guest, number: int) -> tuple[str | None, int]:
    """The video device and its head of a screen's number. Raises: VirError."""
    videos: list[Any] = [
        video for video in guest.model().devices.videos if _model(video) is not None
    ]
    if not videos:
        raise invalid("no screens to take screenshot from")
    left = number
    for place, video in enumerate(videos):
        heads = int(getattr(video.model, "heads", None) or 1)
        if left < heads:
            # The first is the one QEMU takes by itself; old cards have no name in its tree.
            return (None if place == 0 and left == 0 else alias_of(video)), left
        left -= heads
    raise invalid("no such screen ID")


def _model(video: Any) -> str | None:
    kind = getattr(video.model, "type", None)
    return kind if isinstance(kind, str) and kind != "none" else None


def _picture(guest: Guest, device: str | None, head: int) -> int:
    """A picture of a screen as an open file that has no name any more. Raises: VirError."""
    folder = guest.running().folder
    try:
        fd, path = tempfile.mkstemp(prefix="screen-", suffix=".png", dir=folder)
    except OSError as fault:
        raise system_error(fault, f"cannot make a file in '{folder}'") from None
    try:
        arguments: dict[str, Any] = {"filename": path, "format": "png"}
        if device is not None:
            arguments |= {"device": device, "head": head}
        guest.monitor().command("screendump", arguments)
        # QEMU may have made the file anew; what it is called now is what it wrote.
        written = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as fault:
        raise system_error(fault, f"cannot open the picture '{path}'") from None
    finally:
        os.close(fd)
        os.unlink(path)
    return written
