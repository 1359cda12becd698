# SPDX-License-Identifier: LGPL-2.1-or-later
"""restart.py: what a client sees when the daemon goes away, and when it comes back.

Run as: restart.py URI GUEST-XML-FILE. On standard output the script asks the test to stop, kill,
freeze, thaw or start the daemon, and reads a line when that is done.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import libvirt
from tests.interop.stories.storyteller import Heard, attempt, quiet, run_loop, tell, wait_until


def please(what: str) -> None:
    print(json.dumps(["please", what]), flush=True)
    sys.stdin.readline()


def open_watched(uri: str, heard: Heard) -> Any:
    conn = libvirt.open(uri)
    conn.registerCloseCallback(
        lambda conn, reason, opaque: heard.note("closed", type(conn).__name__, reason, opaque),
        "opaque",
    )
    return conn


def afterwards(name: str, conn: Any, dom: Any, heard: Heard) -> None:
    heard.wait(1)
    tell(name)
    heard.tell()
    tell("alive", conn.isAlive())
    attempt("call", conn.getHostname)
    attempt("call on an object", dom.info)
    attempt("list", conn.listAllDomains)
    tell("name is known", dom.name())
    attempt("stream", lambda: conn.newStream() is not None)
    attempt("register", conn.domainEventRegisterAny, None, 0, print, None)
    attempt("close", conn.close)


def main() -> None:
    uri, guest = sys.argv[1], Path(sys.argv[2]).read_text()
    quiet()
    run_loop()
    heard = Heard()

    conn = open_watched(uri, heard)
    attempt("twice", conn.registerCloseCallback, print, None)
    dom = conn.createXML(guest, libvirt.VIR_DOMAIN_START_PAUSED)
    please("stop")
    afterwards("stopped", conn, dom, heard)
    attempt("nobody listens", libvirt.open, uri)
    please("start")

    conn = open_watched(uri, heard)
    dom = conn.lookupByName("guest")
    tell("the guest survived", dom.state())
    please("kill")
    afterwards("killed", conn, dom, heard)
    please("start")

    # a frozen daemon is noticed by keepalive
    conn = open_watched(uri, heard)
    dom = conn.lookupByName("guest")
    tell("keepalive", conn.setKeepAlive(1, 2))
    please("freeze")
    wait_until(lambda: heard.events, "the close callback", 10)
    tell("frozen")
    heard.tell()
    attempt("call", conn.getHostname)
    attempt("close", conn.close)
    please("thaw")

    conn = open_watched(uri, heard)
    attempt("unregister", conn.unregisterCloseCallback)
    attempt("unregister again", conn.unregisterCloseCallback)
    tell("close", conn.close())


main()
