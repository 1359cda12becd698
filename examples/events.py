#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""events.py: print what happens to the domains of a host until interrupted.

python examples/events.py [URI]
"""

from __future__ import annotations

import contextlib
import sys

import libvirt

LIFECYCLE = (
    "defined",
    "undefined",
    "started",
    "suspended",
    "resumed",
    "stopped",
    "shutdown",
    "pmsuspended",
    "crashed",
)


def on_lifecycle(
    conn: libvirt.virConnect, dom: libvirt.virDomain, event: int, detail: int, opaque: object
) -> None:
    print(f"{dom.name()}: {LIFECYCLE[event]} ({detail})", flush=True)


def main() -> None:
    libvirt.virEventRegisterDefaultImpl()
    conn = libvirt.open(sys.argv[1] if len(sys.argv) > 1 else None)
    conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, on_lifecycle, None)
    conn.setKeepAlive(5, 3)
    print(f"listening to {conn.getURI()}", flush=True)
    while conn.isAlive():
        libvirt.virEventRunDefaultImpl()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
