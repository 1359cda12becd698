# SPDX-License-Identifier: LGPL-2.1-or-later
"""descriptors.py: file descriptors travel to the daemon and back.

Run as: descriptors.py URI GUEST-XML-FILE; the guest has a VNC server.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import libvirt
from tests.interop.stories.storyteller import attempt, quiet, tell


def greeting(descriptor: int) -> bytes:
    with socket.socket(fileno=descriptor) as vnc:
        vnc.settimeout(10)
        return vnc.recv(12)


def main() -> None:
    uri, guest = sys.argv[1], Path(sys.argv[2]).read_text()
    quiet()
    conn = libvirt.open(uri)
    dom = conn.createXML(guest, libvirt.VIR_DOMAIN_START_PAUSED)
    descriptor = dom.openGraphicsFD(0, libvirt.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH)
    tell("returned descriptor", greeting(descriptor))
    ours, theirs = socket.socketpair()
    attempt("openGraphics", dom.openGraphics, 0, theirs.fileno())
    theirs.close()
    tell("sent descriptor", greeting(ours.detach()))
    attempt("no screen", dom.openGraphicsFD, 5)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        os.close(dom.openGraphicsFD(0))
    tell("no leak", len(os.listdir("/proc/self/fd")) - before)
    dom.destroy()

    # a disk that the daemon cannot name, only hold
    image = os.open("/tmp", os.O_TMPFILE | os.O_RDWR)
    os.write(image, b"\0" * (1 << 20))
    disk = "<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
    disk += "<source file='/nonexistent' fdgroup='grp'/><target dev='vdb' bus='virtio'/></disk>"
    other = conn.defineXML(guest.replace("</devices>", disk + "</devices>"))
    attempt("without the group", other.createWithFlags, libvirt.VIR_DOMAIN_START_PAUSED)
    attempt("associate", other.FDAssociate, "grp", [image])
    os.close(image)
    attempt("with the group", other.createWithFlags, libvirt.VIR_DOMAIN_START_PAUSED)
    tell("state", other.state())
    _finish(conn, other)


def _finish(conn: Any, dom: Any) -> None:
    dom.destroy()
    dom.undefine()
    tell("close", conn.close())


main()
