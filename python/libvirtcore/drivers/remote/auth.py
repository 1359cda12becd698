# SPDX-License-Identifier: LGPL-2.1-or-later
"""auth.py: which proof the daemon wants, and giving it: none, polkit or SASL.

Called by: driver.py. Calls: sasl.py, credentials.py.
Never: goes on when the daemon offers nothing that the URI allows.
"""

from __future__ import annotations

from typing import Any

from libvirtcore.drivers.remote import sasl
from libvirtcore.drivers.remote.credentials import Credentials
from libvirtcore.drivers.remote.failure import auth_failed
from libvirtcore.drivers.remote.link import Link
from libvirtcore.drivers.remote.options import Options
from libvirtcore.drivers.remote.sasl import Call
from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c

_LIST, _POLKIT = 66, 70
NONE, SASL, POLKIT = 0, 1, 2  # enum remote_auth_type
_NAMES = {"sasl": SASL, "polkit": POLKIT}


def requested(auth: str | None) -> tuple[int | None, str | None]:
    """The type and SASL mechanism that the URI's `auth` parameter insists on."""
    if auth is None:
        return None, None
    name, dot, mechanism = auth.partition(".")
    if name not in _NAMES or (dot and name != "sasl"):
        raise auth_failed(f"unknown authentication type {auth}")
    return _NAMES[name], mechanism or None


def authenticate(call: Call, link: Link, options: Options, auth: Any) -> None:
    """Satisfy the daemon.

    Raises: VirError (AUTH_FAILED and friends).
    """
    try:
        (types,) = call(_LIST, None)
    except VirError as error:
        if error.code == c.VIR_ERR_NO_SUPPORT:
            return  # a daemon from before authentication
        raise
    insisted, mechanism = requested(options.auth)
    if insisted is not None and insisted not in types:
        raise auth_failed(f"requested authentication type {options.auth} rejected")
    kind = insisted if insisted is not None else (types[0] if types else NONE)
    if kind == NONE:
        return
    if kind == POLKIT:
        call(_POLKIT, None)
    elif kind == SASL:
        sasl.authenticate(call, link, mechanism, Credentials(auth, options))
    else:
        raise auth_failed(f"unsupported authentication type {kind}")
