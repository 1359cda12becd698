# SPDX-License-Identifier: LGPL-2.1-or-later
"""tls.py: TLS with certificates that fit, and with ones that do not.

Run as: tls.py URI PKI-FOLDER OTHER-FOLDER NO-CLIENT-FOLDER PORT; the URI names `localhost`, each
folder is a pkipath (cacert.pem, clientcert.pem, clientkey.pem).
"""

from __future__ import annotations

import sys
from typing import Any

import libvirt
from tests.interop.stories.storyteller import attempt, quiet, tell


def visit(uri: str) -> list[Any]:
    conn = libvirt.open(uri)
    facts = [conn.getHostname(), conn.isEncrypted(), conn.isSecure(), conn.isAlive()]
    facts.append(len(conn.getCapabilities()) > 1000)
    facts.append(len(conn.listAllDevices()) > 0)
    return [*facts, conn.close()]


def outcome(name: str, uri: str) -> None:
    """Tell success, or that it was refused with which code; texts are the TLS library's own."""
    try:
        tell(name, visit(uri))
    except libvirt.libvirtError as error:
        tell(name, ["refused", error.get_error_code(), error.get_error_domain()])


def main() -> None:
    uri, pki, other, no_client, port = sys.argv[1:6]
    quiet()
    outcome("right", f"{uri}?pkipath={pki}")
    outcome("right, with priority", f"{uri}?pkipath={pki}&tls_priority=NORMAL")
    by_address = uri.replace("localhost", "127.0.0.1")
    outcome("name does not fit", f"{by_address}?pkipath={pki}")
    outcome("name not verified", f"{by_address}?pkipath={pki}&no_verify=1")
    outcome("authority unknown", f"{uri}?pkipath={other}")
    outcome("stranger not verifying", f"{uri}?pkipath={other}&no_verify=1")
    outcome("no client certificate", f"{uri}?pkipath={no_client}")
    attempt("no such folder", libvirt.open, f"{uri}?pkipath=/nonexistent")
    outcome("plain TCP port", f"{uri.replace(port, '16509')}?pkipath={pki}")


main()
