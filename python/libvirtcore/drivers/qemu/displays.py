# SPDX-License-Identifier: LGPL-2.1-or-later
"""displays.py: where the displays of a guest that starts listen: addresses, ports, sockets.

Called by: drivers.qemu.resources. Calls: qemu_conf (what applies to all guests), model of a guest.
Never: keeps a port bound: QEMU binds it, and says so when somebody else was faster. What one
guest was given is not given to another that starts in the same moment.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from libvirtcore.drivers.qemu.guest import internal, system_error
from libvirtcore.drivers.qemu.model import ensure
from libvirtcore.drivers.qemu.qemu_conf import QemuConf
from libvirtcore.errors import report
from libvirtcore.generated import constants as c

if TYPE_CHECKING:
    from libvirtcore.conf import Domain

DRI = "/dev/dri"
_REMEMBERED = 30.0  # seconds in which a chosen port is not chosen again: its QEMU is starting
_lock = threading.Lock()
_chosen: dict[int, float] = {}  # port → when


def place(graphics: Any, conf: QemuConf, folder: str) -> None:
    """Write into a display where it listens. Raises: VirError when no port is free."""
    if graphics.type == "vnc":
        _place_vnc(graphics, conf, folder)
    elif graphics.type == "spice":
        _place_spice(graphics, conf, folder)
    _render_node(graphics)


def _render_node(graphics: Any) -> None:
    """The device that draws for a display with OpenGL, if it names none. Raises: VirError."""
    gl = graphics.gl
    wanted = graphics.type == "egl-headless" or (
        graphics.type == "spice" and gl is not None and gl.enable is True
    )
    if not wanted or (gl is not None and gl.rendernode):
        return
    try:
        names = sorted(name for name in os.listdir(DRI) if name.startswith("renderD"))
    except OSError as fault:
        raise system_error(fault, f"cannot open directory '{DRI}'", c.VIR_FROM_NONE) from None
    if not names:
        raise internal("No DRM render nodes available")
    ensure(graphics, "gl").rendernode = os.path.join(DRI, names[0])


def _place_vnc(graphics: Any, conf: QemuConf, folder: str) -> None:
    first = graphics.listens[0] if graphics.listens else None
    kind = first.type if first is not None else "address"
    if kind == "address" and first is not None and first.address is None and not first.network:
        if conf.vnc_auto_unix_socket:
            first.type = kind = "socket"
            graphics.listen, graphics.port, graphics.autoport = None, None, None
        elif graphics.listen is None:
            graphics.listen = first.address = conf.vnc_listen
    if kind == "socket" and first is not None and not first.socket and not graphics.socket:
        graphics.socket = first.socket = os.path.join(folder, "vnc.sock")
    if kind in ("socket", "none"):
        return
    address = (first.address if first is not None else None) or graphics.listen or conf.vnc_listen
    if graphics.port is None or graphics.port <= 0:
        low, high = conf.remote_display_port_min, conf.remote_display_port_max
        graphics.port = free_port(address, low, high, "vnc")
    if graphics.websocket == -1:
        low, high = conf.remote_websocket_port_min, conf.remote_websocket_port_max
        graphics.websocket = free_port(address, low, high, "webSocket")
        graphics.websocket_generated = "yes"


def _place_spice(graphics: Any, conf: QemuConf, folder: str) -> None:
    first = graphics.listens[0] if graphics.listens else None
    kind = first.type if first is not None else "address"
    if kind == "socket" and first is not None and not first.socket:
        first.socket = os.path.join(folder, "spice.sock")
    if kind in ("socket", "none"):
        return
    if first is not None and first.address is None and graphics.listen is None:
        graphics.listen = first.address = conf.spice_listen
    mode, automatic = graphics.default_mode, graphics.autoport == "yes"
    tls = mode != "insecure" and (conf.spice_tls or mode == "secure") if automatic else False
    plain = automatic and mode != "secure"
    address = (first.address if first is not None else None) or graphics.listen
    low, high = conf.remote_display_port_min, conf.remote_display_port_max
    if plain or graphics.port == -1:
        graphics.port = free_port(address or conf.spice_listen, low, high, "spice")
    if tls or graphics.tls_port == -1:
        if not conf.spice_tls:
            raise report(
                c.VIR_ERR_CONFIG_UNSUPPORTED,
                c.VIR_FROM_QEMU,
                "Auto allocation of spice TLS port requested but spice TLS is disabled in"
                " qemu.conf",
            )
        graphics.tls_port = free_port(address or conf.spice_listen, low, high, "spice")


def free_port(address: str, low: int, high: int, name: str) -> int:
    """A port for a display that nobody listens on. Raises: VirError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    now = time.monotonic()
    with _lock:
        for port, when in list(_chosen.items()):
            if now - when > _REMEMBERED:
                del _chosen[port]
        for port in range(low, high + 1):
            if port not in _chosen and _is_free(family, address, port):
                _chosen[port] = now
                return port
    raise internal(f"Unable to find an unused port in range '{name}' ({low}-{high})")


def forget(model: Domain) -> None:
    """The ports of a guest whose start has failed or whose QEMU has bound them."""
    with _lock:
        for graphics in model.devices.graphics:
            for port in (graphics.port, graphics.tls_port, graphics.websocket):
                _chosen.pop(port or 0, None)


def _is_free(family: int, address: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind((address, port))
        probe.listen(1)
        return True
    return False
