# SPDX-License-Identifier: LGPL-2.1-or-later
"""sasl_digest.py: DIGEST-MD5 (RFC 2831, historic since RFC 6331), without its encryption.

Used only when the URI asks for it by name, `auth=sasl.DIGEST-MD5`.
Called by: sasl.py.
Never: chosen by itself.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from libvirtcore.drivers.remote.credentials import REALM
from libvirtcore.drivers.remote.sasl_mechanism import Mechanism, refuse

_DIRECTIVE = re.compile(rb'\s*([a-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))\s*(?:,|\Z)', re.I)


def directives(message: bytes) -> list[tuple[str, bytes]]:
    """Take `name="value",name=value` apart."""
    found, at = [], 0
    while at < len(message):
        match = _DIRECTIVE.match(message, at)
        if match is None:
            raise refuse("DIGEST-MD5: the server's message makes no sense")
        quoted = match[2]
        value = match[3] if quoted is None else re.sub(rb"\\(.)", rb"\1", quoted)
        found.append((match[1].decode().lower(), value))
        at = match.end()
    return found


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _quote(value: bytes) -> bytes:
    return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


class DigestMd5(Mechanism):
    name = "DIGEST-MD5"

    def __init__(self, credentials: dict[int, str], host: str) -> None:
        super().__init__(credentials, host)
        self.realm = credentials.get(REALM, "")
        self._expected: bytes | None = None

    def start(self) -> None:
        return None

    def make_nonce(self) -> bytes:
        return secrets.token_hex(16).encode()

    def step(self, challenge: bytes) -> bytes:
        if self._expected is None:
            return self._respond(directives(challenge))
        answer = dict(directives(challenge)).get("rspauth", b"")
        if not hmac.compare_digest(answer, self._expected):
            raise refuse("DIGEST-MD5: the server does not know the password")
        self.done = True
        return b""

    def _respond(self, challenge: list[tuple[str, bytes]]) -> bytes:
        facts = dict(challenge)
        realms = [value for name, value in challenge if name == "realm"]
        realm = self.realm.encode() if self.realm else (realms[0] if realms else b"")
        qops = [word.strip() for word in facts.get("qop", b"auth").split(b",")]
        if b"auth" not in qops or facts.get("algorithm") != b"md5-sess" or "nonce" not in facts:
            raise refuse("DIGEST-MD5: the server offers nothing that this client speaks")
        nonce, cnonce, uri = facts["nonce"], self.make_nonce(), f"libvirt/{self.host}".encode()
        user, password = self.user.encode(), self.password.encode()
        authorize = self.authorize_as.encode() if self.authorize_as != self.user else b""
        secret = _md5(user + b":" + realm + b":" + password) + b":" + nonce + b":" + cnonce
        if authorize:
            secret += b":" + authorize
        key = _md5(secret).hex().encode()

        def proof(verb: bytes) -> bytes:
            target = _md5(verb + b":" + uri).hex().encode()
            parts = (key, nonce, b"00000001", cnonce, b"auth", target)
            return _md5(b":".join(parts)).hex().encode()

        self._expected = proof(b"")
        fields = [b"username=" + _quote(user), b"realm=" + _quote(realm)]
        fields += [b"nonce=" + _quote(nonce), b"cnonce=" + _quote(cnonce)]
        fields += [b"nc=00000001", b"qop=auth"]
        fields += [b"digest-uri=" + _quote(uri), b"response=" + proof(b"AUTHENTICATE")]
        if "charset" in facts:
            fields.insert(0, b"charset=utf-8")
        if authorize:
            fields.append(b"authzid=" + _quote(authorize))
        return b",".join(fields)
