# SPDX-License-Identifier: LGPL-2.1-or-later
"""sockets.py: the sockets we listen on: made here, or passed by the service manager.

A UNIX socket has its mode and group from the first moment on, under any umask, and its path may be
of any length: beyond the 107 bytes of the system's structure it is reached through its folder.
Called by: main.py. Calls: activation.py.
Never: takes a path on which somebody else still listens; accepts a client.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat

from libvirtcore.log import DEBUG, WARNING, log
from libvirtd import activation
from libvirtd.fatal import NETWORK, Fatal
from libvirtd.services import SERVICES, TCP, UNIX, UNIX_RO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from libvirtd.config import Config
    from libvirtd.paths import Paths

_SUN_PATH = 107
_SOURCE = "daemon.sockets"


class Listeners:
    """All listening sockets with their services, and the paths to remove in the end."""

    def __init__(self) -> None:
        self.sockets: list[tuple[socket.socket, int]] = []
        self.activated = False
        self._made: list[tuple[str, tuple[int, int]]] = []

    def add(self, listener: socket.socket, service: int) -> None:
        listener.setblocking(False)
        self.sockets.append((listener, service))

    def made(self, path: str) -> None:
        """Remember a socket's file, and which one it is."""
        there = os.lstat(path)
        self._made.append((path, (there.st_dev, there.st_ino)))

    def ports(self) -> list[int]:
        """The TCP ports, of which one given as 0 is known only now."""
        return [s.getsockname()[1] for s, service in self.sockets if service == TCP]

    def close(self) -> None:
        """Stop listening; remove the files, unless another daemon has put its own there."""
        for listener, _ in self.sockets:
            listener.close()
        self.sockets.clear()
        for path, identity in self._made:
            with contextlib.suppress(OSError):
                there = os.lstat(path)
                if (there.st_dev, there.st_ino) == identity:
                    os.unlink(path)
        self._made.clear()


def open_all(config: Config, paths: Paths, *, listen: bool) -> Listeners:
    """Listen wherever the configuration says. Raises: Fatal."""
    _set_authentication(config)
    listeners = Listeners()
    try:
        passed = activation.passed()
        if passed:
            _take_passed(listeners, passed, listen)
        else:
            if listen:
                _open_tcp(listeners, config)
            _open_unix(listeners, config, paths)  # last: who finds it finds the others too
    except BaseException:
        listeners.close()
        raise
    return listeners


def _set_authentication(config: Config) -> None:
    SERVICES[UNIX].auth = config.auth_unix_rw
    SERVICES[UNIX_RO].auth = config.auth_unix_ro
    SERVICES[TCP].auth = config.auth_tcp


def _take_passed(listeners: Listeners, passed: list[tuple[int, str]], listen: bool) -> None:
    if listen:
        text = "--listen parameter not permitted with systemd activation sockets"
        raise Fatal(NETWORK, text)
    listeners.activated = True
    for number, name in passed:
        try:
            listener = socket.socket(fileno=number)
        except OSError as fault:
            text = f"descriptor {number} is not a socket: {fault.strerror}"
            raise Fatal(NETWORK, text) from None
        service = activation.service_of(listener, name)
        if service == TCP and SERVICES[TCP].auth != "none":
            text = (
                f'a TCP socket was passed, but auth_tcp = "{SERVICES[TCP].auth}": only "none" is '
                "built for TCP, which lets everybody in who can reach the port"
            )
            raise Fatal(NETWORK, text)
        listeners.add(listener, service)


# --- unix -----------------------------------------------------------------------------------------


def _open_unix(listeners: Listeners, config: Config, paths: Paths) -> None:
    folder = config.unix_sock_dir or paths.run
    gid = _group(config.unix_sock_group) if config.unix_sock_group else -1
    if paths.private:  # a session's daemon serves its own user, whatever the file says
        _listen_unix(listeners, os.path.join(folder, "libvirt-sock"), UNIX, 0o700, -1, config)
        return
    rw_mode, ro_mode = config.rw_mode, config.ro_mode
    _listen_unix(listeners, os.path.join(folder, "libvirt-sock-ro"), UNIX_RO, ro_mode, gid, config)
    _listen_unix(listeners, os.path.join(folder, "libvirt-sock"), UNIX, rw_mode, gid, config)


def _group(name: str) -> int:
    import grp

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        digits = name.removeprefix("+")
        if digits.isascii() and digits.isdigit() and int(digits) < 0xFFFFFFFF:
            return int(digits)
    raise Fatal(NETWORK, f"invalid argument: Failed to parse group '{name}'")


def _listen_unix(
    listeners: Listeners, path: str, service: int, mode: int, gid: int, config: Config
) -> None:
    folder, name = os.path.split(path)
    try:
        at = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as fault:
        raise _bind_failed(path, fault) from None
    try:
        short = path if len(os.fsencode(path)) <= _SUN_PATH else f"/proc/self/fd/{at}/{name}"
        _clear_stale(path, short)
        listener = _bind(path, short, mode, gid)
    finally:
        os.close(at)
    listeners.made(path)
    listeners.add(listener, service)
    _start_listening(listener, path, config)


def _bind_failed(path: str, fault: OSError) -> Fatal:
    return Fatal(NETWORK, f"Failed to bind socket to '{path}': {fault.strerror or fault}")


def _clear_stale(path: str, short: str) -> None:
    """Remove the socket of a daemon that ended badly; refuse that of one that lives."""
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as fault:
        raise _bind_failed(path, fault) from None
    if not stat.S_ISSOCK(there.st_mode):
        raise Fatal(NETWORK, f"Failed to bind socket to '{path}': it is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(short)
        except (ConnectionRefusedError, FileNotFoundError):
            pass
        except OSError as fault:
            if fault.errno not in (errno.ECONNREFUSED, errno.ENOENT):
                raise _bind_failed(path, fault) from None
        else:
            raise Fatal(NETWORK, f"Failed to bind socket to '{path}': {_listener_of(probe)}")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _listener_of(probe: socket.socket) -> str:
    """Who answers on a socket."""
    import struct

    from libvirtd.pidfile import describe

    packed = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid = struct.unpack("3i", packed)[0]
    return f"{describe(pid)} listens on it"


def _bind(path: str, short: str, mode: int, gid: int) -> socket.socket:
    """A socket whose file nobody else could open before it has its group and mode."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~mode if gid < 0 else 0o177)
    try:
        listener.bind(short)
        if gid >= 0:
            os.chown(short, -1, gid, follow_symlinks=False)
            os.chmod(short, mode)
    except OSError as fault:
        listener.close()
        raise _bind_failed(path, fault) from None
    finally:
        os.umask(before)
    return listener


def _start_listening(listener: socket.socket, where: str, config: Config) -> None:
    try:
        listener.listen(min(max(config.max_queued_clients, 1), 0x7FFFFFFF))
    except OSError as fault:
        raise Fatal(NETWORK, f"Unable to listen on socket '{where}': {fault.strerror}") from None


# --- tcp ------------------------------------------------------------------------------------------


def _open_tcp(listeners: Listeners, config: Config) -> None:
    if not config.listen_tcp:
        log(WARNING, _SOURCE, "--listen without listen_tcp = 1 opens no port")
        return
    host, port = config.listen_addr or None, config.tcp_port
    try:
        found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)
    except (OSError, UnicodeError) as fault:
        reason = getattr(fault, "strerror", None) or str(fault)
        text = f"Unable to resolve address '{host or '*'}' service '{port}': {reason}"
        raise Fatal(NETWORK, text) from None
    bound = 0
    problem: OSError | None = None
    for family, kind, protocol, _name, address in sorted(found, key=_ipv6_first):
        try:
            listener = _bind_tcp(family, kind, protocol, address, config)
        except OSError as fault:
            absent = fault.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
            if problem is None or not absent:
                problem = fault
            log(DEBUG, _SOURCE, f"cannot listen on {address}: {fault.strerror}")
            continue
        listeners.add(listener, TCP)
        bound += 1
    in_use = problem is not None and problem.errno == errno.EADDRINUSE
    if problem is not None and (bound == 0 or in_use):
        where = f"{host or '*'}:{port}"
        raise Fatal(NETWORK, f"Unable to bind to port {where}: {problem.strerror}")


def _ipv6_first(found: tuple[object, ...]) -> bool:
    return found[0] is not socket.AF_INET6


def _bind_tcp(
    family: int, kind: int, protocol: int, address: object, config: Config
) -> socket.socket:
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)  # type: ignore[arg-type]
        listener.listen(min(max(config.max_queued_clients, 1), 0x7FFFFFFF))
    except OSError:
        listener.close()
        raise
    return listener
