# SPDX-License-Identifier: LGPL-2.1-or-later
"""worker.py ROOT KIND: drives a guest of an embedded host until it is killed, saying what it did.

Each line is written before and after a call: `+create` then `=create`. Run by test_reconnect.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import libvirt
from tests.qemu.conftest import domain_xml


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def step(name: str, call: Callable[[], Any]) -> None:
    say("+" + name)
    call()
    say("=" + name)


def main(root: str, kind: str) -> None:
    conn = libvirt.open(f"qemu:///embed?root={root}")
    dom = conn.defineXML(domain_xml())
    say("=ready")
    if kind == "hold":
        dom.create()
        say("=held")
        sys.stdin.read()
    if kind == "mortal":
        dom.createWithFlags(libvirt.VIR_DOMAIN_START_AUTODESTROY)
        say("=held")
        sys.stdin.read()
    while True:
        if dom.isActive():
            step("destroy", dom.destroy)
        step("create", dom.create)
        step("suspend", dom.suspend)
        step("resume", dom.resume)
        if kind == "save":
            step("managedSave", dom.managedSave)
            step("create", dom.create)
        conn.defineXML(domain_xml())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
