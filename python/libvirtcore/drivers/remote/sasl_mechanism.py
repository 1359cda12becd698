# SPDX-License-Identifier: LGPL-2.1-or-later
"""sasl_mechanism.py: what every SASL mechanism offers, and PLAIN, the simplest.

Called by: sasl.py; base of sasl_scram, sasl_digest, sasl_gssapi.
Never: talks to the daemon.
"""

from __future__ import annotations

from typing import ClassVar

from libvirtcore.drivers.remote.credentials import AUTHNAME, PASSPHRASE, USERNAME
from libvirtcore.drivers.remote.failure import RPC, auth_failed


class Mechanism:
    """One run of a mechanism, client side. `done` says that nothing is missing on our side."""

    name: ClassVar[str] = ""
    needs: ClassVar[tuple[int, ...]] = (AUTHNAME, PASSPHRASE)
    wants: ClassVar[tuple[int, ...]] = (USERNAME, AUTHNAME, PASSPHRASE)
    layer: ClassVar[bool] = False  # able to encrypt what follows

    def __init__(self, credentials: dict[int, str], host: str) -> None:
        self.user = credentials.get(AUTHNAME, "")
        self.password = credentials.get(PASSPHRASE, "")
        self.authorize_as = credentials.get(USERNAME, "")
        self.host = host
        self.done = False

    def start(self) -> bytes | None:
        """The first message; None when the server speaks first."""
        raise NotImplementedError

    def step(self, challenge: bytes) -> bytes:
        """The answer to a message of the server.

        Raises: VirError (AUTH_FAILED) when the message is wrong or the server an impostor.
        """
        raise NotImplementedError


def refuse(text: str) -> Exception:
    """The error of a negotiation that this side ends."""
    return auth_failed(f"Failed to step SASL negotiation: {text}", RPC)


class Plain(Mechanism):
    """RFC 4616: name and password as they are; only for connections that nobody else can read."""

    name = "PLAIN"

    def start(self) -> bytes:
        parts = [part.encode() for part in (self.authorize_as, self.user, self.password)]
        if any(b"\0" in part for part in parts):
            raise refuse("a name or password holds a NUL")
        self.done = True
        return b"\0".join(parts)

    def step(self, challenge: bytes) -> bytes:
        raise refuse("PLAIN knows no second message")
