#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""console.py: show what a guest writes to its serial console.

    python examples/console.py URI DOMAIN

Standard input goes to the guest line by line when it is not a terminal.
"""

from __future__ import annotations

import sys
import threading

import libvirt


def feed(stream: libvirt.virStream) -> None:
    for line in sys.stdin.buffer:
        stream.send(line)


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit("usage: console.py URI DOMAIN")
    conn = libvirt.open(sys.argv[1])
    stream = conn.newStream()
    conn.lookupByName(sys.argv[2]).openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
    if not sys.stdin.isatty():
        threading.Thread(target=feed, args=(stream,), daemon=True).start()
    while isinstance(data := stream.recv(4096), bytes) and data:  # -2 comes only without blocking
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    stream.finish()


if __name__ == "__main__":
    main()
