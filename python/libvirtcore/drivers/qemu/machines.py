# SPDX-License-Identifier: LGPL-2.1-or-later
"""machines.py: the families of machine types, by their names.

Called by: everything that completes, checks or starts a domain. Calls: nothing.
Never: asks QEMU.
"""

from __future__ import annotations

from typing import Any

X86 = ("x86_64", "i686")
ARM = ("aarch64", "armv7l", "armv6l")


def machine(dom: Any) -> str:
    """The machine type of a domain, "" when it has none."""
    return dom.os.type.machine or ""


def is_x86(dom: Any) -> bool:
    """Whether the guest is an x86 one."""
    return dom.os.type.arch in X86


def is_arm(dom: Any) -> bool:
    """Whether the guest is an ARM one."""
    return dom.os.type.arch in ARM


def is_q35(dom: Any) -> bool:
    """The PC with PCI Express."""
    name = machine(dom)
    return is_x86(dom) and (name == "q35" or name.startswith("pc-q35"))


def is_i440fx(dom: Any) -> bool:
    """The PC with conventional PCI."""
    name = machine(dom)
    if not is_x86(dom):
        return False
    return name == "pc" or name.startswith(("pc-0.", "pc-1.", "pc-i440", "rhel"))


def is_virt(dom: Any) -> bool:
    """ARM's machine for virtual guests."""
    name = machine(dom)
    return is_arm(dom) and (name == "virt" or name.startswith("virt-"))
