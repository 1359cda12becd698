# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_power.py: guests that power off or reset by themselves, with boot sectors of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import libvirt
from tests.qemu.conftest import Subscriber, domain_xml, wait_for

# Power off: 0x2000 (sleep, type S5) to the ACPI control port of the PIIX4 at 0x600 + 4.
POWER_OFF = bytes.fromhex("ba0406 b80020 ef f4ebfd")
# Reset: 0xFE to the keyboard controller.
RESET = bytes.fromhex("b0fe e664 f4ebfd")
ACPI = "<features><acpi/></features>"
SHUTDOWN, STOPPED = libvirt.VIR_DOMAIN_EVENT_SHUTDOWN, libvirt.VIR_DOMAIN_EVENT_STOPPED


def sector(root: Path, code: bytes) -> str:
    """A disk that boots the code."""
    path = root / "boot.img"
    path.write_bytes(code.ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 16))
    return f"""<disk type='file' device='disk'><driver name='qemu' type='raw'/>
      <source file='{path}'/><target dev='hda' bus='ide'/></disk>"""


def test_poweroff_by_the_guest(conn: Any, root: Path) -> None:
    events = Subscriber(conn)
    dom = conn.defineXML(domain_xml(extra=ACPI, devices=sector(root, POWER_OFF)))
    dom.create()
    assert wait_for(lambda: not dom.isActive(), 20.0)
    assert dom.state() == [5, 1]
    assert events.take(5)[3:] == [(SHUTDOWN, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_GUEST), (STOPPED, 0)]


def test_poweroff_that_restarts(conn: Any, root: Path) -> None:
    events = Subscriber(conn)
    extra = ACPI + "<on_poweroff>restart</on_poweroff>"
    dom = conn.createXML(domain_xml(extra=extra, devices=sector(root, POWER_OFF)), 0)

    def restarts() -> int:
        return sum(event == SHUTDOWN for _name, event, _detail in events.seen)

    assert wait_for(lambda: restarts() >= 2, 30.0)
    assert dom.isActive()
    dom.destroy()


@pytest.mark.parametrize("extra", ["", "<on_reboot>destroy</on_reboot>"])
def test_reset_by_the_guest(conn: Any, root: Path, extra: str) -> None:
    reboots: list[str] = []
    conn.domainEventRegisterAny(
        None,
        libvirt.VIR_DOMAIN_EVENT_ID_REBOOT,
        lambda _conn, dom, _opaque: reboots.append(dom.name()),
        None,
    )
    dom = conn.defineXML(domain_xml(extra=extra, devices=sector(root, RESET)))
    dom.create()
    if extra:
        assert wait_for(lambda: not dom.isActive(), 20.0)
        assert dom.state()[0] == libvirt.VIR_DOMAIN_SHUTOFF
    else:
        assert wait_for(lambda: len(reboots) >= 2, 20.0)
        assert dom.isActive()
