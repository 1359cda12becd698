#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""boot.py: run a guest in this process, without a daemon, and go through a day of its life.

    python examples/boot.py DISK [FOLDER]

DISK is a raw image that talks on its first serial port; FOLDER keeps the state (a temporary one
otherwise). The guest ends with this program, however that ends.
"""

from __future__ import annotations

import sys
import tempfile
import time
from xml.sax.saxutils import quoteattr

import libvirt

GUEST = """<domain type='{type}'>
  <name>demo</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file={disk}/><target dev='hda' bus='ide'/>
    </disk>
    <controller type='usb' model='none'/>
    <serial type='pty'/>
    <memballoon model='virtio'/>
  </devices>
</domain>"""
STATES = {1: "running", 3: "paused", 5: "shut off"}


def read_until(stream: libvirt.virStream, wanted: bytes, seconds: float = 20.0) -> bytes:
    """What the console prints, up to and with `wanted`."""
    seen = b""
    until = time.monotonic() + seconds
    while wanted not in seen:
        data = stream.recv(4096)
        if isinstance(data, bytes) and data:
            seen += data
        elif data == b"" or time.monotonic() > until:
            raise SystemExit(f"the console said only {seen!r}")
        else:
            time.sleep(0.01)
    return seen


def main() -> None:
    if len(sys.argv) < 2:
        raise SystemExit("usage: boot.py DISK [FOLDER]")
    folder = sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp(prefix="libvirtcore-")
    with libvirt.open(f"qemu:///embed?root={folder}") as conn:
        print(f"connected to {conn.getURI()}, QEMU {conn.getVersion()}")
        xml = GUEST.format(type="qemu", disk=quoteattr(sys.argv[1]))
        flags = libvirt.VIR_DOMAIN_START_PAUSED | libvirt.VIR_DOMAIN_START_AUTODESTROY
        dom = conn.createXML(xml, flags)
        console = conn.newStream(libvirt.VIR_STREAM_NONBLOCK)
        dom.openConsole(None, console, 0)
        dom.resume()
        print(f"started {dom.name()}; its console says:")
        print("  " + read_until(console, b"\n").decode("ascii", "replace").strip())
        dom.suspend()
        print("suspended:", STATES[dom.state()[0]])
        dom.resume()
        print("resumed:  ", STATES[dom.state()[0]])
        console.send(b"HELLO")
        answer = read_until(console, b"hello").decode("ascii", "replace")
        print(f"typed HELLO, the guest answered {answer.strip()}")
        for name, value in sorted(dom.memoryStats().items()):
            print(f"  {name:<16} {value}")
        console.send(b"q")  # the guest switches itself off
        until = time.monotonic() + 20
        while dom.ID() != -1 and time.monotonic() < until and dom.name() in _running(conn):
            time.sleep(0.05)
        print("switched off; guests left:", len(_running(conn)))


def _running(conn: libvirt.virConnect) -> list[str]:
    return [dom.name() for dom in conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)]


if __name__ == "__main__":
    main()
