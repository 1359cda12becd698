# SPDX-License-Identifier: LGPL-2.1-or-later
"""sasl.py: the SASL exchange with a daemon.

Over plain TCP only a mechanism that encrypts is used; on UNIX sockets, ssh and TLS the connection
protects itself. DIGEST-MD5 must be named in the URI.
Called by: auth.py. Calls: the mechanisms, credentials.py.
Never: sends a password before the mechanism is settled.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from libvirtcore.drivers.remote.credentials import PASSPHRASE, Credentials
from libvirtcore.drivers.remote.failure import RPC, auth_failed
from libvirtcore.drivers.remote.link import Link
from libvirtcore.drivers.remote.sasl_digest import DigestMd5
from libvirtcore.drivers.remote.sasl_gssapi import Gssapi
from libvirtcore.drivers.remote.sasl_mechanism import Mechanism, Plain, refuse
from libvirtcore.drivers.remote.sasl_scram import ScramSha1, ScramSha256, ScramSha512

Call = Callable[[int, Any], Any]

_INIT, _START, _STEP = 67, 68, 69
_ROUNDS_MAX = 10
_PREFERRED: tuple[type[Mechanism], ...] = (ScramSha512, ScramSha256, ScramSha1, Gssapi, Plain)
_ON_REQUEST: tuple[type[Mechanism], ...] = (DigestMd5,)


def choose(
    offered: list[str], wanted: str | None, link: Link, credentials: Credentials
) -> type[Mechanism]:
    """The best mechanism that both sides speak, the connection allows and the user can feed.

    Raises: VirError (AUTH_FAILED) when there is none.
    """
    if wanted is not None:
        if wanted not in offered:
            raise auth_failed(f"SASL mechanism {wanted} not supported by server")
        offered = [wanted]
    possible = [
        mechanism
        for mechanism in (*_PREFERRED, *(_ON_REQUEST if wanted is not None else ()))
        if mechanism.name in offered
        and (link.secure or mechanism.layer)
        and all(credentials.offers(kind) for kind in mechanism.needs)
    ]
    if len(possible) > 1 and possible[0] is Gssapi and find_spec("gssapi") is None:
        del possible[0]
    if possible:
        return possible[0]
    error = auth_failed(
        "Failed to start SASL negotiation: -4 (SASL(-4): no mechanism available: "
        "No worthy mechs found)",
        RPC,
    )
    error.str3 = f"the server offers {', '.join(offered) or 'nothing'}"
    if not link.secure:
        error.str3 += "; without TLS only GSSAPI may be used"
    raise error


def authenticate(call: Call, link: Link, wanted: str | None, credentials: Credentials) -> None:
    """Prove who we are; afterwards `link` may be encrypted.

    Raises: VirError (AUTH_FAILED) when either side is not convinced.
    """
    (names,) = call(_INIT, None)
    offered = [name for name in re.split(r"[,\s]+", names) if name]
    kind = choose(offered, wanted, link, credentials)
    values = credentials.obtain(kind.wants)
    for need in kind.needs:
        if not values.get(need, "").strip():
            what = "password" if need == PASSPHRASE else "authentication name"
            raise auth_failed(f"Failed to start SASL negotiation: no {what} was given", RPC)
    if kind is Gssapi:
        mechanism: Mechanism = Gssapi(values, link.peer, encrypt=not link.secure)
    else:
        mechanism = kind(values, link.peer)
    first = mechanism.start()
    complete, _nil, data = call(_START, (kind.name, int(first is None), first or b""))
    for _round in range(_ROUNDS_MAX):
        if complete and (mechanism.done or not data):
            break
        answer = mechanism.step(data)
        if complete:
            break
        complete, _nil, data = call(_STEP, (0, answer))
    if not complete or not mechanism.done:
        raise refuse("the server ended the exchange too early")
    if isinstance(mechanism, Gssapi) and not link.secure:
        mechanism.encrypt_link(link)
