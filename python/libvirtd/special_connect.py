# SPDX-License-Identifier: LGPL-2.1-or-later
"""special_connect.py: opening and closing, features, and who the client says it acts for.

Called by: dispatch.py, as functions of (session, args, worker).
Calls: libvirtcore.api.connect.
Never: opens a connection to another daemon.
"""

from __future__ import annotations

from libvirtcore.api.call import admit
from libvirtcore.api.connect import open_connection
from libvirtcore.api.serving import refuse
from libvirtcore.errors import VirError, report
from libvirtcore.generated import api_table as row
from libvirtcore.generated import constants as c
from libvirtd.answers import REPLIED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from libvirtcore.core_server import Worker
    from libvirtd.session import Session

# Features of a connection (`connect_supports_feature`).
FEATURE_FD_PASSING = 8
FEATURE_TYPED_PARAM_STRING = 9
FEATURE_PROGRAM_KEEPALIVE = 10
FEATURE_REMOTE_EVENT_CALLBACK = 14
FEATURE_REMOTE_CLOSE_CALLBACK = 15
FEATURE_NETWORK_UPDATE_ORDER = 16

# What the daemon and the API layer offer, whatever the driver.
_EVERYWHERE = frozenset(
    (
        FEATURE_FD_PASSING,
        FEATURE_TYPED_PARAM_STRING,
        FEATURE_REMOTE_EVENT_CALLBACK,
        FEATURE_REMOTE_CLOSE_CALLBACK,
        FEATURE_NETWORK_UPDATE_ORDER,
    )
)

# What may be told of an identity, and as which type.
_IDENTITY: dict[str, int] = {
    c.VIR_CONNECT_IDENTITY_USER_NAME: c.VIR_TYPED_PARAM_STRING,
    c.VIR_CONNECT_IDENTITY_UNIX_USER_ID: c.VIR_TYPED_PARAM_ULLONG,
    c.VIR_CONNECT_IDENTITY_GROUP_NAME: c.VIR_TYPED_PARAM_STRING,
    c.VIR_CONNECT_IDENTITY_UNIX_GROUP_ID: c.VIR_TYPED_PARAM_ULLONG,
    c.VIR_CONNECT_IDENTITY_PROCESS_ID: c.VIR_TYPED_PARAM_LLONG,
    c.VIR_CONNECT_IDENTITY_PROCESS_TIME: c.VIR_TYPED_PARAM_ULLONG,
    c.VIR_CONNECT_IDENTITY_SASL_USER_NAME: c.VIR_TYPED_PARAM_STRING,
    c.VIR_CONNECT_IDENTITY_X509_DISTINGUISHED_NAME: c.VIR_TYPED_PARAM_STRING,
    c.VIR_CONNECT_IDENTITY_SELINUX_CONTEXT: c.VIR_TYPED_PARAM_STRING,
}


def connect_open(session: Session, args: Any, _worker: Worker) -> None:
    """Open the driver that the URI names; an empty one means the default, as for users."""
    name, flags = args
    with session.lock:
        if session.opened:
            raise refuse("connection already open")
        if session.closed or name is None:
            raise refuse("connection not open")
        readonly = c.VIR_CONNECT_RO if session.readonly or flags & c.VIR_CONNECT_RO else 0
        session.open(open_connection(name or None, None, readonly, local=True))


def connect_close(session: Session, _args: Any, worker: Worker) -> Any:
    """Answer, and then hang up; the connection goes with the client."""
    worker.reply(None)
    worker.flush()
    session.server.close_client(session.client, flush=True)
    return REPLIED


def connect_supports_feature(session: Session, args: Any, _worker: Worker) -> tuple[int]:
    """Keepalive is asked for before anything is open; asking is announcing it."""
    (feature,) = args
    if feature == FEATURE_PROGRAM_KEEPALIVE:
        session.server.keepalive_start(session.client)
        return (1,)
    if not session.opened:
        raise refuse("hypervisor connection not open")
    return (int(feature in _EVERYWHERE or session.conn.driver.supports_feature(feature)),)


def connect_get_uri(session: Session, _args: Any, _worker: Worker) -> tuple[str]:
    return (admit(row.virConnectGetURI, session.conn).get_uri(),)


def connect_is_secure(session: Session, _args: Any, _worker: Worker) -> tuple[int]:
    """As far as the driver knows; the way to the daemon is the client's to judge."""
    return (int(admit(row.virConnectIsSecure, session.conn).is_secure()),)


def connect_set_identity(session: Session, args: Any, _worker: Worker) -> None:
    """A proxy tells for whom it acts; what it leaves out stays what the kernel said."""
    params, _flags = args
    for name, type, _value in params:
        wanted = _IDENTITY.get(name)
        if wanted is None:
            raise report(
                c.VIR_ERR_ARGUMENT_UNSUPPORTED, c.VIR_FROM_NONE, f"parameter '{name}' not supported"
            )
        if type != wanted:
            raise _wrong_type(name, type, wanted)
    session.claimed = {name: value for name, _type, value in params}


_TYPES = ("unknown", "int", "uint", "llong", "ullong", "double", "boolean", "string")


def _wrong_type(name: str, type: int, wanted: int) -> VirError:
    return report(
        c.VIR_ERR_INVALID_ARG,
        c.VIR_FROM_NONE,
        f"invalid type '{_TYPES[type]}' for parameter '{name}', expected '{_TYPES[wanted]}'",
    )
