# SPDX-License-Identifier: LGPL-2.1-or-later
"""certificates.py: a throw-away certificate authority, made with the openssl command.

Files: ca.pem, server.pem + server-key.pem (for `localhost`, not for 127.0.0.1), client.pem +
client-key.pem, and other-ca.pem with other-client.pem + other-client-key.pem that nobody trusts.
Called by: the fixture `pki`.
"""

from __future__ import annotations

import subprocess
from pathlib import Path


def make(folder: Path) -> Path:
    """Make all certificates in `folder`; the folder."""
    for prefix in ("", "other-"):
        _authority(folder, f"{prefix}ca", f"{prefix}Interop CA")
    _signed(folder, "server", "ca", "localhost", "subjectAltName=DNS:localhost", "serverAuth")
    _signed(folder, "client", "ca", "interop client", None, "clientAuth")
    _signed(folder, "other-client", "other-ca", "stranger", None, "clientAuth")
    return folder


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def _authority(folder: Path, name: str, subject: str) -> None:
    _openssl(
        folder,
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"),
        *("-subj", f"/CN={subject}", "-keyout", f"{name}-key.pem", "-out", f"{name}.pem"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
    )


def _signed(
    folder: Path, name: str, authority: str, subject: str, alternative: str | None, usage: str
) -> None:
    _openssl(
        folder,
        *("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={subject}"),
        *("-keyout", f"{name}-key.pem", "-out", f"{name}.csr"),
    )
    extensions = folder / f"{name}.ext"
    lines = ["keyUsage=digitalSignature,keyEncipherment", f"extendedKeyUsage={usage}"]
    lines += [alternative] if alternative else []
    extensions.write_text("\n".join(lines) + "\n")
    _openssl(
        folder,
        *("x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-days", "30"),
        *("-CAkey", f"{authority}-key.pem", "-CAcreateserial", "-out", f"{name}.pem"),
        *("-extfile", extensions.name),
    )
