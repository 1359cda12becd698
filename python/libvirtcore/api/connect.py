# SPDX-License-Identifier: LGPL-2.1-or-later
"""connect.py: the door's functions that open, close and describe a connection.

Called by: libvirtmod. Calls: settings (name → URI), drivers.registry (URI → driver).
Never: knows a driver.
"""

from __future__ import annotations

from libvirtcore.api import args as arg
from libvirtcore.api.call import attempt, call, run
from libvirtcore.drivers.registry import open_driver
from libvirtcore.generated import api_table as row
from libvirtcore.generated.constants import VIR_CONNECT_RO
from libvirtcore.generated.limits import REMOTE_DOMAIN_LIST_MAX
from libvirtcore.handles import ConnectHandle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "virConnectClose",
    "virConnectGetURI",
    "virConnectIsAlive",
    "virConnectIsEncrypted",
    "virConnectIsSecure",
    "virConnectListDomainsID",
    "virConnectOpen",
    "virConnectOpenAuth",
    "virConnectOpenReadOnly",
    "virConnectSetKeepAlive",
]


def open_connection(
    name: str | None, auth: Any, flags: int, *, local: bool = False
) -> ConnectHandle:
    """Open what a user's URI, alias or None means; `local`: without the remote driver.

    Raises: VirError.
    """
    from libvirtcore import settings  # and what it needs: half the time of `import libvirt`

    uri = settings.connection_uri(name, flags)
    driver = open_driver(uri, auth, flags, local=local)
    conn = ConnectHandle(driver, str(uri) if uri is not None else "", bool(flags & VIR_CONNECT_RO))
    driver.conn = conn
    return conn


def virConnectOpen(name: Any, /) -> Any:
    return attempt(None, open_connection, arg.text(name, "virConnectOpen", 1), None, 0)


def virConnectOpenReadOnly(name: Any, /) -> Any:
    uri = arg.text(name, "virConnectOpenReadOnly", 1)
    return attempt(None, open_connection, uri, None, VIR_CONNECT_RO)


def virConnectOpenAuth(uri: Any, auth: Any, flags: Any, /) -> Any:
    return attempt(
        None,
        open_connection,
        arg.text(uri, "virConnectOpenAuth", 1),
        _credentials(auth),
        arg.u32(flags),
    )


def _credentials(auth: Any) -> list[Any] | None:
    """[[credential types], callback, opaque]. Raises: TypeError."""
    if auth is None:
        return None
    if not isinstance(auth, (list, tuple)) or len(auth) != 3:
        raise TypeError("auth must be [credential types, callback, opaque]")
    types, callback, opaque = auth
    if not isinstance(types, (list, tuple)):
        raise TypeError(f"credential types must be a list, not {type(types).__name__}")
    if callback is not None and not callable(callback):
        raise TypeError(f"the credential callback must be callable, not {type(callback).__name__}")
    return [[arg.i32(item) for item in types], callback, opaque]


def virConnectClose(connect: Any, /) -> Any:
    """Give back one reference; 1 while others keep the connection open, else 0."""
    return run(row.virConnectClose, lambda _driver, conn: int(conn.release() > 0), connect)


def virConnectIsAlive(connect: Any, /) -> Any:
    return run(row.virConnectIsAlive, lambda driver, _conn: int(driver.is_alive()), connect)


def virConnectIsEncrypted(connect: Any, /) -> Any:
    return run(row.virConnectIsEncrypted, lambda driver, _conn: int(driver.is_encrypted()), connect)


def virConnectIsSecure(connect: Any, /) -> Any:
    return run(row.virConnectIsSecure, lambda driver, _conn: int(driver.is_secure()), connect)


def virConnectGetURI(connect: Any, /) -> Any:
    return run(row.virConnectGetURI, lambda driver, _conn: driver.get_uri(), connect)


def virConnectSetKeepAlive(connect: Any, interval: Any, count: Any, /) -> Any:
    return run(
        row.virConnectSetKeepAlive,
        lambda driver, _conn, *numbers: driver.set_keepalive(*numbers),
        connect,
        arg.i32(interval),
        arg.u32(count),
    )


def virConnectListDomainsID(connect: Any, /) -> Any:
    """The numbers of running domains; named after libvirt-python's C function."""
    return call(row.virConnectListDomains, connect, REMOTE_DOMAIN_LIST_MAX)
