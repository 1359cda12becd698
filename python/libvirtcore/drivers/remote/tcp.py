# SPDX-License-Identifier: LGPL-2.1-or-later
"""tcp.py: a plain TCP connection, also the ground under TLS.

Called by: transport.py, tls.py.
Never: waits longer than the caller's deadline.
"""

from __future__ import annotations

import errno
import socket

from libvirtcore import deadline
from libvirtcore.drivers.remote.failure import system_error, timed_out
from libvirtcore.drivers.remote.options import Options


def connect(options: Options) -> socket.socket:
    """Try every address of the host in turn; the error is that of the last one."""
    host, port = options.host, options.port
    try:
        found = socket.getaddrinfo(host, port % 65536, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as fault:
        text = fault.strerror if isinstance(fault, socket.gaierror) else str(fault)
        raise system_error(f"Unable to resolve address '{host}' service '{port}': {text}") from None
    number = errno.EADDRNOTAVAIL
    for family, kind, protocol, _name, address in found:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(deadline.remaining())
            connection.connect(address)
            connection.settimeout(None)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as fault:
            connection.close()
            if isinstance(fault, TimeoutError) and fault.errno is None:
                raise timed_out(f"unable to connect to server at '{host}:{port}'") from None
            number = fault.errno or errno.EIO
        else:
            return connection
    raise system_error(f"unable to connect to server at '{host}:{port}'", number)
