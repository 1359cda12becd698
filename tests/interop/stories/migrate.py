# SPDX-License-Identifier: LGPL-2.1-or-later
"""migrate.py: a running guest moves between two daemons, in every style a client can drive.

Run as: migrate.py SOURCE-URI DESTINATION-URI GUEST-XML-FILE. The URIs must also mean something to
the daemons: peer-to-peer migration makes the source daemon connect to the destination.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import libvirt
from tests.interop.stories.storyteller import attempt, quiet, run_loop, tell

LIVE = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_UNSAFE
PEER = LIVE | libvirt.VIR_MIGRATE_PEER2PEER
TUNNEL = PEER | libvirt.VIR_MIGRATE_TUNNELLED
LISTEN = "tcp://127.0.0.1:%d"


class Journey:
    def __init__(self, source: Any, destination: Any, guest: str) -> None:
        self.source, self.destination, self.guest = source, destination, guest

    def go(self, name: str, move: Callable[[Any], Any]) -> None:
        """Start the guest on the source, move it, tell where it is now, and end it."""
        dom = self.source.createXML(self.guest)
        try:
            moved = move(dom)
            tell(f"{name}: returned", moved)
        except Exception as error:
            tell(f"{name}: raised", error)
        there = [d.state() for d in self.destination.listAllDomains()]
        tell(f"{name}: at the destination", there)
        tell(f"{name}: left", [d.state() for d in self.source.listAllDomains()])
        for conn in (self.source, self.destination):
            for dom in conn.listAllDomains():
                dom.destroy()


def main() -> None:
    source_uri, destination_uri = sys.argv[1:3]
    guest = Path(sys.argv[3]).read_text()
    quiet()
    run_loop()
    source, destination = libvirt.open(source_uri), libvirt.open(destination_uri)
    journey = Journey(source, destination, guest)
    listen = LISTEN % 49300
    journey.go("migrate", lambda dom: dom.migrate(destination, LIVE, None, listen, 0))
    journey.go(
        "migrate2, renamed",
        lambda dom: dom.migrate2(destination, None, LIVE, "moved", LISTEN % 49301, 0),
    )
    params = {
        libvirt.VIR_MIGRATE_PARAM_URI: LISTEN % 49302,
        libvirt.VIR_MIGRATE_PARAM_DEST_NAME: "moved3",
        libvirt.VIR_MIGRATE_PARAM_BANDWIDTH: 1000,
    }
    journey.go("migrate3", lambda dom: dom.migrate3(destination, params, LIVE))
    journey.go(
        "migrate3, paused, persistent",
        lambda dom: dom.migrate3(
            destination,
            {libvirt.VIR_MIGRATE_PARAM_URI: LISTEN % 49303},
            LIVE | libvirt.VIR_MIGRATE_PAUSED | libvirt.VIR_MIGRATE_PERSIST_DEST,
        ),
    )
    for dom in destination.listAllDomains():
        dom.undefine()
    journey.go("migrateToURI", lambda dom: dom.migrateToURI(destination_uri, PEER, None, 0))
    journey.go(
        "migrateToURI2",
        lambda dom: dom.migrateToURI2(destination_uri, LISTEN % 49304, None, PEER, None, 0),
    )
    journey.go(
        "migrateToURI3",
        lambda dom: dom.migrateToURI3(
            destination_uri, {libvirt.VIR_MIGRATE_PARAM_URI: LISTEN % 49305}, PEER
        ),
    )
    journey.go("tunnelled", lambda dom: dom.migrateToURI(destination_uri, TUNNEL, None, 0))
    # what must fail, and leave the guest where it was
    journey.go("to itself", lambda dom: dom.migrate(source, LIVE, None, None, 0))
    journey.go("bad uri", lambda dom: dom.migrate(destination, LIVE, None, "nonsense://x", 0))
    journey.go("bad xml", lambda dom: dom.migrate2(destination, "<domain/>", LIVE, None, None, 0))
    journey.go(
        "nobody there",
        lambda dom: dom.migrateToURI("qemu+unix:///system?socket=/nonexistent", PEER, None, 0),
    )
    journey.go("unknown parameter", lambda dom: dom.migrate3(destination, {"nonsense": 1}, LIVE))
    attempt("close", source.close)
    attempt("close", destination.close)


main()
