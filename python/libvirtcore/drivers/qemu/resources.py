# SPDX-License-Identifier: LGPL-2.1-or-later
"""resources.py: what of the host a guest needs before its QEMU starts: sockets, ports, taps, keys.

Sockets of character devices listen here and are handed over, as the monitor's is: the guest's
programs can connect at once, and no path is too long. Closing a `Resources` gives up our copies.
Called by: drivers.qemu.start. Calls: command, command_secrets (the guest's master key),
firmware, images.
Never: leaves anything outside the guest's folder that QEMU's end does not remove, but sockets at
paths that the user chose.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import struct
from typing import TYPE_CHECKING, Any

from libvirtcore.conf.chardev import CharSource
from libvirtcore.drivers.qemu import (
    command,
    command_secrets,
    displays,
    firmware,
    helpers,
    hugepages,
    images,
    ownership,
    passt,
    resources_files,
)
from libvirtcore.drivers.qemu.guest import system_error
from libvirtcore.drivers.qemu.paths import make_private
from libvirtcore.drivers.qemu.refresh import character_devices
from libvirtcore.errors import report
from libvirtcore.generated import constants as c

if TYPE_CHECKING:
    from libvirtcore.conf import Domain
    from libvirtcore.drivers.qemu.host import Host

_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR, _IFF_MULTI_QUEUE = 0x0002, 0x1000, 0x4000, 0x0100
_SIOCGIFINDEX, _SIOCBRADDIF, _SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8933, 0x89A2, 0x8913, 0x8914
_IFF_UP = 1
_TAP_TYPES = ("ethernet", "bridge")


def listen_at(path: str, mode: int = 0o600) -> socket.socket:
    """A socket listening at a path of any length; what is there already is replaced.

    Raises: VirError.
    """
    folder, name = os.path.split(path)
    listening = socket.socket(socket.AF_UNIX)
    parent = -1
    try:
        parent = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=parent)
        listening.bind(f"/proc/self/fd/{parent}/{name}")
        os.chmod(name, mode, dir_fd=parent)
        listening.listen(1)
    except OSError as fault:
        listening.close()
        raise system_error(fault, f"Unable to bind to UNIX socket path '{path}'") from None
    finally:
        if parent >= 0:
            os.close(parent)
    return listening


class Resources:
    """What was made for one start. A context: descriptors are closed at its end."""

    def __init__(self, host: Host, folder: str) -> None:
        self.host = host
        self.folder = folder
        self.fds: list[int] = []  # that QEMU inherits
        self.sockets: dict[str, int] = {}
        self.taps: dict[str, list[int]] = {}
        self.vhosts: dict[str, list[int]] = {}
        self.vsocks: dict[str, int] = {}
        self.fdsets: dict[str, tuple[int, int]] = {}
        self.passt: dict[str, str] = {}
        self.master_key: bytes | None = None
        backing = host.conf.memory_backing_dir
        short = os.path.basename(folder).removeprefix("domain-")
        self.ram_dir = os.path.join(backing, "libvirt", "qemu", short) if backing else None
        self.hugepage_dirs: dict[int, str] = {}
        self._made = contextlib.ExitStack()
        self._displays = contextlib.ExitStack()

    def __enter__(self) -> Resources:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()
        self._displays.close()

    def close(self) -> None:
        """Give up our copies of the descriptors."""
        self._made.close()

    def keep(self, listening: socket.socket) -> int:
        """Hand a socket over to QEMU."""
        self._made.callback(listening.close)
        self.fds.append(listening.fileno())
        return listening.fileno()

    def keep_fd(self, fd: int) -> int:
        """Hand an open file over to QEMU."""
        self._made.callback(os.close, fd)
        self.fds.append(fd)
        return fd

    def twin(self, fd: int) -> list[int]:
        """The same file for reading only, which QEMU wants beside one to write to."""
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDWR:
            return []
        if not stat.S_ISREG(os.fstat(fd).st_mode) and not stat.S_ISBLK(os.fstat(fd).st_mode):
            return []
        try:
            return [self.keep_fd(os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC))]
        except OSError as fault:
            raise system_error(fault, "cannot open a passed file for reading") from None

    def prepare(self, model: Domain, *, reset_nvram: bool = False) -> None:
        """Make what a model needs, and write into it what was chosen. Raises: VirError."""
        try:
            self.master_key = command_secrets.make_master_key(self.folder)
        except OSError as fault:
            raise system_error(fault, f"cannot write a key into '{self.folder}'") from None
        helpers.check(model)
        for disk in model.devices.disks:
            images.complete_chain(disk)
        self._firmware(model, reset_nvram)
        self._memory(model)
        for device in character_devices(model):
            self._character_device(device)
        self._displays.callback(displays.forget, model)
        for graphics in model.devices.graphics:
            displays.place(graphics, self.host.conf, self.folder)
        for interface in model.devices.interfaces:
            if interface.type in _TAP_TYPES:
                self._tap(interface)
                self._vhost(model, interface)
            elif interface.type == "user" and _backend(interface) == "passt":
                self._passt(interface)
        for name, path, append in resources_files.character_files(model):
            fd = self.keep_fd(resources_files.open_file(path, append))
            self.fdsets[name] = len(self.fdsets), fd
        vsock: Any = model.devices.vsock
        if vsock is not None:
            self.vsocks[vsock.alias.name] = self.keep_fd(resources_files.open_vsock(vsock))

    def _firmware(self, model: Domain, reset: bool) -> None:
        """Choose firmware that is asked for by kind, and give the guest its own variables."""
        firmware.choose(model, os.path.join(self.host.paths.lib, "nvram"))
        firmware.known_template(model, self.host.conf.nvram)
        try:
            path = firmware.make_nvram(model, reset=reset)
        except OSError as fault:
            raise system_error(fault, "cannot make the variables of the firmware") from None
        if path is not None:
            ownership.let_pass(self.host, os.path.dirname(path))

    def _memory(self, model: Domain) -> None:
        """The folder of memory that is kept in files."""
        caps = self.host.capabilities(model)
        self.hugepage_dirs = hugepages.folders(self.host, model)
        context = command.Context(
            self.folder, monitor=-1, ram_dir=self.ram_dir, hugepage_dirs=self.hugepage_dirs
        )
        wanted = command.memory_folder(model, caps, context)
        if wanted is not None:
            try:
                make_private(wanted)
            except OSError as fault:
                raise system_error(fault, f"Cannot create directory '{wanted}'") from None
            ownership.open_way(self.host, wanted)

    # --- sockets ----------------------------------------------------------------------------------

    def _character_device(self, device: Any) -> None:
        alias = device.alias.name if device.alias is not None else None
        if device.type != "unix" or alias is None:
            return
        source = device.source
        if source is None or not source.path:
            name = (device.target.name if device.target is not None else None) or alias
            if "/" in name or name in (".", ".."):
                raise report(
                    c.VIR_ERR_CONFIG_UNSUPPORTED,
                    c.VIR_FROM_QEMU,
                    f"channel name '{name}' cannot name a socket",
                )
            short = os.path.basename(self.folder)
            folder = os.path.join(self.host.paths.lib, "channel", "target", short)
            try:
                make_private(folder)
            except OSError as fault:
                raise system_error(fault, f"Cannot create directory '{folder}'") from None
            source = CharSource(mode="bind", path=os.path.join(folder, name))
            device.source = source
        if source.mode == "bind" and alias not in self.sockets:
            self.sockets[alias] = self.keep(listen_at(source.path))

    # --- networks ---------------------------------------------------------------------------------

    def _vhost(self, model: Domain, interface: Any) -> None:
        fd = resources_files.open_vhost_net(model, interface)
        if fd is not None:
            self.vhosts[interface.alias.name] = [self.keep_fd(fd)]

    def _passt(self, interface: Any) -> None:
        connected = self.keep(passt.start(interface, self.host.account))
        self.passt[interface.alias.name] = f"fd:{connected}"

    def _tap(self, interface: Any) -> None:
        """Make a tap device, up and in its bridge."""
        alias = interface.alias.name
        name = interface.target.dev if interface.target is not None else None
        try:
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        except OSError as fault:
            raise system_error(
                fault, "Unable to open /dev/net/tun, is tun module loaded?"
            ) from None
        self._made.callback(os.close, fd)
        wanted = (name or "vnet%d").encode()
        if len(wanted) > 15:
            raise report(
                c.VIR_ERR_CONFIG_UNSUPPORTED,
                c.VIR_FROM_QEMU,
                f"interface name '{name}' is too long",
            )
        flags = _IFF_TAP | _IFF_NO_PI
        if interface.model is not None and str(interface.model.type).startswith("virtio"):
            flags |= _IFF_VNET_HDR
        try:
            answer = fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", wanted, flags))
            made = answer[:16].rstrip(b"\0").decode()
            if interface.type == "bridge":
                _join_bridge(str(interface.source.bridge), made)
            _bring_up(made)
        except OSError as fault:
            raise system_error(fault, f"Unable to create tap device {wanted.decode()}") from None
        from libvirtcore.drivers.qemu.model import ensure

        ensure(interface, "target").dev = made
        self.taps[alias] = [fd]
        self.fds.append(fd)


def _backend(interface: Any) -> str | None:
    return interface.backend.type if interface.backend is not None else None


def _join_bridge(bridge: str, name: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        answer = fcntl.ioctl(control, _SIOCGIFINDEX, struct.pack("16si20x", name.encode(), 0))
        index = struct.unpack_from("16si", answer)[1]
        request = struct.pack("16si20x", bridge.encode()[:15], index)
        fcntl.ioctl(control, _SIOCBRADDIF, request)


def _bring_up(name: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        request = struct.pack("16sH22x", name.encode(), 0)
        flags = struct.unpack_from("16sH", fcntl.ioctl(control, _SIOCGIFFLAGS, request))[1]
        request = struct.pack("16sH22x", name.encode(), flags | _IFF_UP)
        fcntl.ioctl(control, _SIOCSIFFLAGS, request)
