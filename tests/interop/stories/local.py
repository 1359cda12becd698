# SPDX-License-Identifier: LGPL-2.1-or-later
"""local.py: URIs without a socket parameter; runs with the machine's own /run and /etc.

Run as: local.py.
"""

from __future__ import annotations

import os
from typing import Any

import libvirt
from tests.interop.stories.storyteller import attempt, quiet, tell


def visit(uri: str | None, opener: Any = libvirt.open) -> list[Any]:
    conn = opener(uri)
    return [conn.getURI(), conn.getHostname(), conn.isSecure(), conn.isEncrypted(), conn.close()]


def main() -> None:
    quiet()
    attempt("qemu", visit, "qemu:///system")
    attempt("read-only", visit, "qemu:///system", libvirt.openReadOnly)
    attempt("tcp at the usual port", visit, "qemu+tcp://127.0.0.1/system")
    attempt("by name", visit, "qemu+tcp://localhost/system")
    attempt("IPv6 literal, nobody there", visit, "qemu+tcp://[::1]/system")
    attempt("test over unix", visit, "test+unix:///default")
    attempt("network driver", visit, "network:///system")
    attempt("storage driver", visit, "storage:///system")
    attempt("mode legacy", visit, "qemu:///system?mode=legacy")
    attempt("mode direct", visit, "qemu:///system?mode=direct")
    attempt("mode nonsense", visit, "qemu:///system?mode=nonsense")
    attempt("unknown parameter", visit, "qemu:///system?nonsense=1")
    attempt("no name", visit, None)
    attempt("empty name", visit, "")
    os.environ["LIBVIRT_DEFAULT_URI"] = "test+unix:///default"
    attempt("default from the environment", visit, None)
    del os.environ["LIBVIRT_DEFAULT_URI"]
    attempt("alias", visit, "far")
    attempt("no alias", visit, "nowhere")
    attempt("host does not exist", visit, "qemu+tcp://host.invalid/system")
    attempt("lxc", visit, "lxc:///system")
    attempt("embed", visit, "nonsense:///embed")
    conn = libvirt.open("qemu:///system")
    tell("domains", conn.listAllDomains())


main()
