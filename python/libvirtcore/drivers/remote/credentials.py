# SPDX-License-Identifier: LGPL-2.1-or-later
"""credentials.py: names and passwords, from auth.conf first and then from the caller's callback.

The callback is that of openAuth: `[[types], callback, opaque]`. It gets one list per credential,
[type, prompt, challenge, default, result], fills in the results and returns 0.
Called by: auth.py, sasl.py. Calls: authfile.py.
Never: asks for anything that auth.conf or an earlier question has answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libvirtcore.drivers.remote.authfile import AuthFile, locate
from libvirtcore.drivers.remote.failure import auth_failed
from libvirtcore.drivers.remote.options import Options
from libvirtcore.generated import constants as c

USERNAME = c.VIR_CRED_USERNAME  # whose rights to use, if not those of AUTHNAME
AUTHNAME = c.VIR_CRED_AUTHNAME
PASSPHRASE = c.VIR_CRED_PASSPHRASE
REALM = c.VIR_CRED_REALM

# type → name in auth.conf, challenge, prompt
_FACTS: dict[int, tuple[str, str, str]] = {
    USERNAME: ("username", "Authorization Name", "Please enter your authorization name"),
    AUTHNAME: ("authname", "Authentication Name", "Please enter your authentication name"),
    PASSPHRASE: ("password", "Password", "Please enter your password"),
    REALM: ("realm", "Authentication Realm", "Please enter your authentication realm"),
}


class Credentials:
    """What is known about the user, and whom to ask for the rest."""

    def __init__(self, auth: Any, options: Options) -> None:
        types, callback, opaque = _unpack(auth)
        self._types = types
        self._callback = callback
        self._opaque = opaque
        self._known: dict[int, str] = {}
        path = locate(options.authfile)
        if path is not None:
            file = AuthFile(path, options.host)
            for kind, (name, _challenge, _prompt) in _FACTS.items():
                value = file.get(name)
                if value is not None:
                    self._known[kind] = value

    def offers(self, kind: int) -> bool:
        """Whether a credential is known or may be asked for."""
        return kind in self._known or (self._callback is not None and self._type_for(kind) >= 0)

    def _type_for(self, kind: int) -> int:
        """The type to ask with: a password may also be a prompt without echo."""
        if kind in self._types:
            return kind
        if kind == PASSPHRASE and c.VIR_CRED_NOECHOPROMPT in self._types:
            return c.VIR_CRED_NOECHOPROMPT
        return -1

    def obtain(self, kinds: Sequence[int]) -> dict[int, str]:
        """Everything known, after asking once for those of `kinds` that are not yet.

        Raises: VirError (AUTH_FAILED) when the callback gives up.
        """
        asked = [k for k in kinds if k not in self._known and self._type_for(k) >= 0]
        if asked and self._callback is not None:
            questions = tuple(
                [self._type_for(kind), _FACTS[kind][2], _FACTS[kind][1], None, None]
                for kind in asked
            )
            if self._callback(questions, self._opaque) != 0:
                raise auth_failed("Failed to collect auth credentials")
            for kind, question in zip(asked, questions, strict=True):
                if question[4] is not None:
                    self._known[kind] = str(question[4])
        return dict(self._known)


def _unpack(auth: Any) -> tuple[frozenset[int], Any, Any]:
    if not auth:
        return frozenset(), None, None
    types, callback, opaque = auth
    return frozenset(types), callback, opaque
