# SPDX-License-Identifier: LGPL-2.1-or-later
"""sasl.py: who may come in with SASL, asked through callbacks, auth.conf and the URI.

Run as: sasl.py URI AUTH-FILE; the user is `fred` with password `s3cret-ü`.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import libvirt
from tests.interop.stories.storyteller import attempt, quiet, tell

KINDS = [libvirt.VIR_CRED_AUTHNAME, libvirt.VIR_CRED_PASSPHRASE]


def with_callback(uri: str, name: str, user: str | None, password: str | None) -> None:
    asked: list[list[Any]] = []

    def ask(credentials: list[list[Any]], data: Any) -> int:
        for credential in credentials:
            asked.append([credential[0], len(credential), credential[1], data])
            value = user if credential[0] == libvirt.VIR_CRED_AUTHNAME else password
            if value is None:
                return -1
            credential[4] = value
        return 0

    def come_in() -> list[Any]:
        conn = libvirt.openAuth(uri, [KINDS, ask, "my data"], 0)
        return [conn.getHostname(), conn.isEncrypted(), conn.isSecure(), conn.close()]

    attempt(name, come_in)
    tell("asked", sorted(asked, key=repr))


def main() -> None:
    uri, auth_file = sys.argv[1:3]
    quiet()
    with_callback(uri, "right password", "fred", "s3cret-ü")
    with_callback(uri, "wrong password", "fred", "wrong")
    with_callback(uri, "unknown user", "nobody", "s3cret-ü")
    with_callback(uri, "callback gives up", None, None)
    attempt("no callback", libvirt.open, uri)
    attempt("empty credentials", libvirt.openAuth, uri, [[], None, None], 0)
    host = "//fred@localhost:" if "tls" in uri else "//fred@localhost/"
    with_callback(uri.replace("//localhost:", host), "user in URI", "fred", "s3cret-ü")
    with_callback(f"{uri}&authfile={auth_file}", "auth file in URI", None, None)
    with_callback(f"{uri}&authfile=/nonexistent", "no such file", "fred", "s3cret-ü")
    os.environ["LIBVIRT_AUTH_FILE"] = auth_file
    with_callback(uri, "auth file by environment", None, None)


main()
