# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_flags.py: flags that nobody has defined are refused, by each call of the QEMU driver.

A flag that is silently passed over may one day mean "do not really do it".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from libvirtcore.drivers.base import Driver
from libvirtcore.drivers.qemu.driver import QemuDriver
from libvirtcore.generated import constants as c
from tests.libvirtd_dispatch.plausible import arguments
from tests.ours_daemon import OurDaemon
from tests.qemu.conftest import domain_xml
from tests.security.test_read_only import about
from tests.security.wire import LXC, Raw, calls, encoded, field_names

UNKNOWN = 1 << 28  # no call has given it a meaning
# Not of the driver: the daemon itself acts on these, or takes no flags at all.
ELSEWHERE = {"connect_open", "connect_set_identity"}
# Their arguments are looked at first: None would end the call before its flags are.
TEXT_NEEDED = {"domain_set_user_password", "domain_rename"}
# As libvirt's, it looks for the image first, and at the flags when there is one.
LATER = {"domain_managed_save_define_xml"}


def implemented(name: str) -> bool:
    """Whether the QEMU driver has the call, and not just its place in the table."""
    method = getattr(QemuDriver, name, None)
    return method is not None and method is not getattr(Driver, name, None)


def calls_with_flags() -> Iterator[tuple[int, int, str]]:
    for program, number, name in calls():
        if program == LXC or name in ELSEWHERE | LATER or not implemented(name):
            continue
        if "flags" in field_names(program, number):
            yield program, number, name


def test_most_calls_are_here() -> None:
    assert len(list(calls_with_flags())) >= 55


@pytest.mark.slow
@pytest.mark.parametrize("active", [True, False])
def test_unknown_flags_are_refused(daemon: OurDaemon, qemu: Any, active: bool) -> None:
    guest = qemu.defineXML(domain_xml())
    if active:
        guest.create()
    dom = ("guest", guest.UUID(), guest.ID())
    taken = []
    for program, number, name in calls_with_flags():
        args = about(arguments(program, number), dom)
        args = tuple("x" if arg is None and name in TEXT_NEEDED else arg for arg in args)
        place = field_names(program, number).index("flags")
        with Raw(daemon.socket) as raw:
            raw.open("qemu:///system")
            payload = encoded(program, number, (*args[:place], UNKNOWN, *args[place + 1 :]))
            answer = raw.ask(program, number, payload)
        refused = answer.code in (c.VIR_ERR_INVALID_ARG, c.VIR_ERR_NO_SUPPORT)
        if not refused or (answer.code == c.VIR_ERR_INVALID_ARG and "flags" not in answer.text):
            taken.append((name, answer.code, answer.text))
    assert not taken, taken
    assert guest.isActive() == active
