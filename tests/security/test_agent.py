# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_agent.py: the agent of a hostile guest answers anything, never, or without end.

Each call ends in a value or one error, and nobody else waits (CVE-2019-20485, CVE-2018-1064).
What single wrong answers look like is in tests/qemu/test_agent.py.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import libvirt
import libvirtcore
from tests.qemu.conftest import capabilities, conn, root  # noqa: F401 (fixtures)
from tests.qemu.test_agent import FakeAgent, agent, dom  # noqa: F401 (fixtures)

pytestmark = pytest.mark.slow

LEAVES: tuple[Any, ...] = (None, True, -1, 0, 2**31, 2**64, 1e308, "", "x" * 5000, "\0", "../..")
KEYS = ("name", "ip-addresses", "hardware-address", "mountpoint", "disk", "id", "user", "online",
        "logical-id", "can-offline", "host-name", "offset", "zone", "bus-type", "pci-controller",
        "ip-address-type", "prefix", "type", "total-bytes", "kernel-release", "domain")  # fmt: skip
COMMANDS = ("guest-network-get-interfaces", "guest-get-fsinfo", "guest-get-users",
            "guest-get-osinfo", "guest-get-timezone", "guest-get-host-name", "guest-get-time",
            "guest-get-vcpus", "guest-get-disks", "guest-fsfreeze-freeze", "guest-fsfreeze-thaw",
            "guest-fstrim", "guest-set-user-password", "guest-exec")  # fmt: skip


def nonsense(chance: random.Random, depth: int = 0) -> Any:
    """A value of any shape, with the names that are looked for in it."""
    kind = chance.randrange(4) if depth < 4 else 0
    if kind == 1:
        return [nonsense(chance, depth + 1) for _ in range(chance.randrange(4))]
    if kind > 1:
        return {key: nonsense(chance, depth + 1) for key in chance.sample(KEYS, 6)}
    return chance.choice(LEAVES)


def calls(guest: Any) -> tuple[Callable[[], Any], ...]:
    by_agent = libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT
    return (
        lambda: guest.interfaceAddresses(by_agent),
        lambda: guest.guestInfo(0),
        lambda: guest.fsInfo(),
        lambda: guest.getTime(),
        lambda: guest.hostname(libvirt.VIR_DOMAIN_GET_HOSTNAME_AGENT),
        lambda: guest.fsFreeze(),
        lambda: guest.fsThaw(),
        lambda: guest.fSTrim(None, 0, 0),
    )


def test_answers_of_any_shape(dom: Any, agent: FakeAgent) -> None:  # noqa: F811
    """Values and libvirt's errors come out of it, never an exception of ours."""
    chance = random.Random(11)
    refused = 0
    for _ in range(150):
        for command in COMMANDS:
            value = nonsense(chance)
            agent.answers[command] = [] if value is None else value
        for call in calls(dom):
            try:
                call()
            except libvirt.libvirtError as error:
                refused += 1
                assert "unexpected" not in str(error)
    assert refused > 200
    assert dom.isActive()


def test_silence_holds_nobody_up(dom: Any, agent: FakeAgent) -> None:  # noqa: F811
    agent.answers["guest-get-time"] = None  # never answers

    def wait_in_vain() -> None:
        with contextlib.suppress(libvirt.libvirtError), libvirtcore.timeout(3.0):
            dom.getTime()

    waiting = threading.Thread(target=wait_in_vain)
    waiting.start()
    time.sleep(0.1)
    began = time.monotonic()
    assert dom.info()
    dom.resume()
    assert dom.memoryStats()
    dom.suspend()
    assert time.monotonic() - began < 1.0
    assert waiting.is_alive()
    waiting.join(10)
    assert not waiting.is_alive()
    dom.destroy()
