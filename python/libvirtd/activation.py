# SPDX-License-Identifier: LGPL-2.1-or-later
"""activation.py: listening sockets that the service manager opened for us (LISTEN_FDS).

A socket is known by the name of its unit (LISTEN_FDNAMES), else by its address: a UNIX path ending
in -sock-ro is the read-only one, any other -sock the one that may change things, IP is tcp.
Called by: sockets.py. Never: closes a descriptor that is not ours.
"""

from __future__ import annotations

import os

from libvirtd.fatal import NETWORK, Fatal
from libvirtd.services import TCP, UNIX, UNIX_RO

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

FIRST = 3
_MOST = 64
_UNITS = {
    "libvirtd.socket": UNIX,
    "libvirtd-ro.socket": UNIX_RO,
    "libvirtd-tcp.socket": TCP,
}
_UNBUILT = {
    "libvirtd-tls.socket": "TLS for clients is not built",
    "libvirtd-admin.socket": "the admin server is not built",
}


def passed() -> list[tuple[int, str]]:
    """The descriptors meant for this process, with their names; the variables are used up."""
    pid = os.environ.pop("LISTEN_PID", "")
    count = os.environ.pop("LISTEN_FDS", "")
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdecimal() or not 0 < int(count) <= _MOST:
        return []
    numbers = range(FIRST, FIRST + int(count))
    for number in numbers:
        try:
            os.set_inheritable(number, False)
        except OSError as fault:
            text = f"LISTEN_FDS names descriptor {number}, which is not open: {fault.strerror}"
            raise Fatal(NETWORK, text) from None
    return [(n, names[i] if i < len(names) else "") for i, n in enumerate(numbers)]


def service_of(listener: socket.socket, name: str) -> int:
    """Which service a passed socket is for. Raises: Fatal."""
    import socket

    if name in _UNBUILT:
        raise Fatal(NETWORK, f"{name} passed a socket, but {_UNBUILT[name]}; mask that unit")
    try:
        listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError:
        listens = 0
    if not listens or listener.type != socket.SOCK_STREAM:
        raise Fatal(NETWORK, f"descriptor {listener.fileno()} is not a listening stream socket")
    if name in _UNITS:
        return _UNITS[name]
    if listener.family != socket.AF_UNIX:
        return TCP
    address = os.fsdecode(listener.getsockname())
    if address.endswith("-admin-sock"):
        raise Fatal(NETWORK, f"'{address}' was passed, but {_UNBUILT['libvirtd-admin.socket']}")
    return UNIX_RO if address.endswith("-ro") else UNIX
