#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""resume.py: find a paused guest by its UUID, let it run, and look at its memory.

    python examples/resume.py [URI]

The URI may also come from LIBVIRT_EXAMPLE_URI; without either it is qemu+tcp://127.0.0.1/system.
When no daemon answers there, the same story is told on test:///default, inside this process.
"""

from __future__ import annotations

import os
import sys

import libvirt

URI = "qemu+tcp://127.0.0.1/system"
GUEST = "aaba00b2-e2cf-4354-b81f-82e7e3eb775e"
STATES = {
    libvirt.VIR_DOMAIN_RUNNING: "running",
    libvirt.VIR_DOMAIN_PAUSED: "paused",
    libvirt.VIR_DOMAIN_SHUTOFF: "shut off",
}


def connect() -> tuple[libvirt.virConnect, str]:
    """A connection and the UUID of a paused guest on it."""
    uri = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("LIBVIRT_EXAMPLE_URI", URI)
    libvirt.registerErrorHandler(lambda context, error: None, None)  # errors are told by us
    if uri == "test:///default":
        return simulated()
    try:
        return libvirt.open(uri), GUEST
    except libvirt.libvirtError as error:
        if len(sys.argv) > 1:
            raise SystemExit(f"{uri}: {error}") from error
        print(f"No daemon at {uri} ({error});")
        print("the same story on test:///default, inside this process:")
    return simulated()


def simulated() -> tuple[libvirt.virConnect, str]:
    """The one guest of test:///default, paused."""
    conn = libvirt.open("test:///default")
    dom = conn.lookupByName("test")
    dom.suspend()
    return conn, dom.UUIDString()


def main() -> None:
    conn, uuid = connect()
    print(f"connected to {conn.getURI()} on {conn.getHostname()}")
    try:
        dom = conn.lookupByUUIDString(uuid)
    except libvirt.libvirtError as error:
        raise SystemExit(f"{error}; this example wants a paused guest with that UUID") from error
    print(f"found {dom.name()}, {STATES.get(dom.state()[0], '?')}")
    dom.resume()
    print(f"resumed {dom.name()}, now {STATES.get(dom.state()[0], '?')}")
    for name, value in sorted(dom.memoryStats().items()):
        print(f"  {name:<16} {value}")
    conn.close()


if __name__ == "__main__":
    main()
