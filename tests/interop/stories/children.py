# SPDX-License-Identifier: LGPL-2.1-or-later
"""children.py: transports that are child processes: ssh and ext, with a stand-in program.

Run as: children.py RELAY, a program that joins standard input and output to the daemon.
"""

from __future__ import annotations

import sys
from typing import Any

import libvirt
from tests.interop.stories.storyteller import attempt, quiet, tell


def visit(uri: str) -> list[Any]:
    conn = libvirt.open(uri)
    facts = [conn.getHostname(), conn.isSecure(), conn.isEncrypted(), conn.isAlive()]
    facts.append(len(conn.getCapabilities()) > 1000)
    return [*facts, conn.close()]


def main() -> None:
    relay = sys.argv[1]
    quiet()
    attempt("ext", visit, f"qemu+ext:///system?command={relay}")
    attempt("ssh", visit, f"qemu+ssh://far.invalid/system?command={relay}")
    attempt(
        "ssh, all parameters",
        visit,
        f"qemu+ssh://me@far.invalid:2222/system?command={relay}"
        "&keyfile=/nonexistent&no_tty=1&no_verify=1&proxy=native&sshauth=agent",
    )
    attempt(
        "ssh through netcat",
        visit,
        f"qemu+ssh://far.invalid/system?command={relay}&proxy=netcat&netcat=/bin/nc&socket=/x",
    )
    attempt("test over ext", visit, f"test+ext:///default?command={relay}")
    for program in ("/bin/false", "/nonexistent/program"):
        try:
            tell(program, visit(f"qemu+ext:///system?command={program}"))
        except libvirt.libvirtError as error:  # the text tells how far one came, which varies
            tell(program, [error.get_error_code(), error.get_error_domain()])
    attempt("ext without a command", libvirt.open, "qemu+ext:///system")


main()
