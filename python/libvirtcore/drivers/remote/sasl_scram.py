# SPDX-License-Identifier: LGPL-2.1-or-later
"""sasl_scram.py: SCRAM (RFC 5802, 7677), which never shows the password and proves the server, too.

Called by: sasl.py.
Never: believes a server before it has proven that it knows the password.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import stringprep
import unicodedata
from typing import ClassVar

from libvirtcore.drivers.remote.sasl_mechanism import Mechanism, refuse

_ITERATIONS_MAX = 1_000_000  # beyond, a server would keep this process busy for seconds
_FORBIDDEN = (
    stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3,
    stringprep.in_table_c4, stringprep.in_table_c5, stringprep.in_table_c6,
    stringprep.in_table_c7, stringprep.in_table_c8, stringprep.in_table_c9,
)  # fmt: skip
_CHALLENGE = re.compile(
    rb"r=(?P<nonce>[!-+\--~]+),s=(?P<salt>[A-Za-z0-9+/=]+),i=(?P<count>[0-9]{1,9})(?:,.*)?"
)


def saslprep(text: str) -> str:
    """RFC 4013: one spelling for texts that look alike."""
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char
        for char in text
        if not stringprep.in_table_b1(char)
    )
    result = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    for char in result:
        if any(table(char) for table in _FORBIDDEN):
            raise refuse(f"U+{ord(char):04X} is not allowed in a name or password")
    if any(map(stringprep.in_table_d1, result)):
        ends = stringprep.in_table_d1(result[0]) and stringprep.in_table_d1(result[-1])
        if any(map(stringprep.in_table_d2, result)) or not ends:
            raise refuse("a name or password mixes directions of writing")
    return result


def _escape(name: str) -> str:
    return name.replace("=", "=3D").replace(",", "=2C")


class Scram(Mechanism):
    """One exchange; subclasses name the hash."""

    digest: ClassVar[str] = ""

    def start(self) -> bytes:
        self.nonce = self.make_nonce()
        authorize = f"a={_escape(saslprep(self.authorize_as))}" if self.authorize_as else ""
        self._header = f"n,{authorize},".encode()
        self._first = f"n={_escape(saslprep(self.user))},r={self.nonce}".encode()
        self._signature: bytes | None = None
        return self._header + self._first

    def make_nonce(self) -> str:
        return base64.b64encode(secrets.token_bytes(24)).decode()

    def step(self, challenge: bytes) -> bytes:
        if self._signature is None:
            return self._prove(challenge)
        if not self.done:
            self._check(challenge)
        return b""

    def _hmac(self, key: bytes, data: bytes) -> bytes:
        return hmac.digest(key, data, self.digest)

    def _prove(self, challenge: bytes) -> bytes:
        match = _CHALLENGE.fullmatch(challenge)
        if match is None:
            raise refuse(f"{self.name}: the server's message makes no sense")
        nonce = match["nonce"]
        if not nonce.startswith(self.nonce.encode()) or len(nonce) <= len(self.nonce):
            raise refuse(f"{self.name}: the server answered somebody else")
        count = int(match["count"])
        if not 0 < count <= _ITERATIONS_MAX:
            raise refuse(f"{self.name}: {count} iterations asked, at most {_ITERATIONS_MAX} done")
        try:
            salt = base64.b64decode(match["salt"], validate=True)
        except binascii.Error:
            raise refuse(f"{self.name}: the server's salt makes no sense") from None
        password = saslprep(self.password).encode()
        salted = hashlib.pbkdf2_hmac(self.digest, password, salt, count)
        final = b"c=" + base64.b64encode(self._header) + b",r=" + nonce
        signed = b",".join((self._first, challenge, final))
        key = self._hmac(salted, b"Client Key")
        signature = self._hmac(hashlib.new(self.digest, key).digest(), signed)
        proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        self._signature = self._hmac(self._hmac(salted, b"Server Key"), signed)
        return final + b",p=" + base64.b64encode(proof)

    def _check(self, message: bytes) -> None:
        assert self._signature is not None
        if message.startswith(b"e="):
            reason = message[2:].split(b",")[0].decode(errors="replace")
            raise refuse(f"{self.name}: the server says {reason}")
        expected = b"v=" + base64.b64encode(self._signature)
        if not hmac.compare_digest(message.split(b",")[0], expected):
            raise refuse(f"{self.name}: the server does not know the password")
        self.done = True


class ScramSha1(Scram):
    name = "SCRAM-SHA-1"
    digest = "sha1"


class ScramSha256(Scram):
    name = "SCRAM-SHA-256"
    digest = "sha256"


class ScramSha512(Scram):
    name = "SCRAM-SHA-512"
    digest = "sha512"
