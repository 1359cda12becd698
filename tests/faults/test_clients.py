# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_clients.py: too many clients, slow ones, and clients that vanish, at the whole daemon.

The server alone: tests/rpc_server/test_server_limits.py.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import libvirt
from tests.faults.conftest import Clock, agree, connect
from tests.ours_daemon import OurDaemon
from tests.qemu.conftest import UUID, Subscriber, domain_xml, wait_for
from tests.rpc.peer import pack
from tests.security.conftest import descriptors, resident
from tests.security.wire import REMOTE, Raw, encoded, numbers

pytestmark = pytest.mark.slow

LIMIT, CLIENTS, AT_ONCE = 100, 2000, 80
TEST = ("test", bytes.fromhex("6695eb01f6a4830479aa97f2502e193f"), 1)


def test_two_thousand_clients_against_a_limit_of_a_hundred(make: Callable[..., OurDaemon]) -> None:
    """Those beyond the limit wait for their turn; all are served, and the daemon never has more."""
    daemon = make(max_clients=LIMIT, max_anonymous_clients=LIMIT)
    idle = [Raw(daemon.socket).open() for _ in range(LIMIT - 20)]
    pid, most, served = daemon.pid, 0, []
    before = descriptors(pid)
    lookup = numbers()["domain_lookup_by_name"]

    def visit() -> None:
        for _ in range(CLIENTS // AT_ONCE):
            with Raw(daemon.socket, 60) as raw:
                raw.open()
                served.append(not raw.call(*lookup, ("test",)).refused)

    threads = [threading.Thread(target=visit) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        most = max(most, descriptors(pid))
        time.sleep(0.005)
    assert served == [True] * CLIENTS
    assert before < most <= before + 20 + 20  # … and those on their way out
    assert all(raw.alive() for raw in idle)
    for raw in idle:
        raw.close()


def test_clients_that_wait_all_at_once_are_served_later(make: Callable[..., OurDaemon]) -> None:
    daemon = make(max_clients=10, max_anonymous_clients=10, max_queued_clients=1000)
    inside = [Raw(daemon.socket).open() for _ in range(10)]
    waiting = [Raw(daemon.socket) for _ in range(500)]
    assert all(raw.alive() for raw in inside)
    for raw in inside:
        raw.close()
    for raw in waiting:
        raw.open()
        raw.close()


def test_a_slow_reader_in_a_storm_of_events_slows_nobody(daemon: OurDaemon) -> None:
    """It registers for all events and reads none; others hear everything, in time."""
    register = numbers()["connect_domain_event_callback_register_any"]
    sleepers = []
    for _ in range(3):
        raw = Raw(daemon.socket)
        raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.open()
        for event in range(8):
            raw.sock.sendall(pack(register[1], 0, 90 + event, 0,
                                  encoded(*register, (0, None))))  # fmt: skip
        sleepers.append(raw)
    conn = connect(daemon, "test")
    seen = Subscriber(conn)
    time.sleep(0.2)
    before, slowest, count = resident(daemon.pid), 0.0, 4000
    dom = conn.lookupByName("test")
    for number in range(count):
        with Clock() as clock:
            if number % 2:
                dom.resume()
            else:
                dom.suspend()
        slowest = max(slowest, clock.seconds)
    assert wait_for(lambda: len(seen.seen) == count)
    assert slowest < 0.5
    assert resident(daemon.pid) - before < 64 << 20
    for raw in sleepers:
        raw.close()
    conn.close()


def vanish_before_a_word(raw: Raw) -> None:
    del raw


def vanish_in_a_header(raw: Raw) -> None:
    raw.sock.sendall(b"\0\0\0\x1c\x20\0")


def vanish_in_a_payload(raw: Raw) -> None:
    raw.sock.sendall(pack(23, 0, 1, 0, b"\0\0\0\4test")[:-3])


def vanish_in_a_call(raw: Raw) -> None:
    raw.open()
    raw.sock.sendall(pack(*(23, 0, 1, 0), encoded(REMOTE, 23, ("test",))))


def vanish_with_many_calls(raw: Raw) -> None:
    raw.open()
    with contextlib.suppress(OSError):
        raw.sock.sendall(pack(14, 0, 1, 0, encoded(REMOTE, 14, (TEST, 0))) * 200)


def vanish_while_it_registers(raw: Raw) -> None:
    raw.open()
    for event in range(5):
        raw.sock.sendall(pack(316, 0, event, 0, encoded(REMOTE, 316, (event, None))))


def vanish_without_its_descriptor(raw: Raw) -> None:
    raw.open("qemu:///system")
    raw.sock.sendall(pack(349, 4, 1, 0, b"\0\0\0\1" + bytes(28)))


def vanish_half_closed(raw: Raw) -> None:
    raw.open()
    raw.sock.shutdown(socket.SHUT_WR)


PHASES = [value for name, value in globals().items() if name.startswith("vanish_")]


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: str(phase.__name__))
def test_a_client_that_vanishes_leaves_nothing(
    daemon: OurDaemon, phase: Callable[[Raw], None]
) -> None:
    other = connect(daemon, "test")
    dom = other.lookupByName("test")

    def visit(count: int) -> None:
        for _ in range(count):
            raw = Raw(daemon.socket)
            phase(raw)
            raw.close()

    visit(5)
    assert wait_for(lambda: dom.info()[0])
    time.sleep(0.05)
    before = descriptors(daemon.pid)
    visit(100)
    assert wait_for(lambda: descriptors(daemon.pid) <= before, 5.0)
    with Clock() as clock:
        dom.suspend()  # its events go to nobody
        dom.resume()
    assert clock.seconds < 0.1
    assert "Traceback" not in daemon.log()


def test_a_client_that_vanishes_in_a_start_leaves_whole_guests(daemon: OurDaemon) -> None:
    """The start goes on or is undone; with autodestroy the guest ends."""
    conn = connect(daemon)
    create = numbers()["domain_create_xml"]
    for number in range(8):
        xml = domain_xml(f"guest{number}", UUID[:-1] + str(number))
        raw = Raw(daemon.socket).open("qemu:///system")
        flags = libvirt.VIR_DOMAIN_START_AUTODESTROY if number % 2 else 0
        raw.sock.sendall(pack(create[1], 0, 1, 0, encoded(*create, (xml, flags))))
        time.sleep(0.01 * number)
        raw.close()

    def names() -> list[str]:
        return sorted(dom.name() for dom in conn.listAllDomains())

    assert wait_for(lambda: names() == [f"guest{number}" for number in (0, 2, 4, 6)], 10.0), names()
    agree(daemon, conn)
    for dom in conn.listAllDomains():
        assert dom.state() == [1, 1]
        dom.destroy()


def test_no_descriptor_is_left_in_the_daemon(make: Callable[..., OurDaemon]) -> None:
    """EMFILE: those inside are served, a start fails cleanly, and all is well afterwards."""
    daemon = make(
        wrapper=lambda words: ["sh", "-c", 'ulimit -n 100; exec "$@"', "sh", *words],
        max_anonymous_clients=500,
    )
    assert daemon.process is not None
    conn = connect(daemon)
    dom = conn.defineXML(domain_xml())
    crowd: list[Any] = []
    for _ in range(200):
        raw = Raw(daemon.socket)
        crowd.append(raw)
    assert wait_for(lambda: descriptors(daemon.pid) >= 99)
    with Clock() as clock:
        assert conn.getVersion()
        assert dom.info()
    assert clock.seconds < 0.5
    with pytest.raises(libvirt.libvirtError):
        dom.create()
    assert not dom.isActive()
    for raw in crowd:
        raw.close()
    assert wait_for(lambda: descriptors(daemon.pid) < 50)
    dom.create()
    assert dom.state() == [1, 1]
    dom.destroy()
    agree(daemon, connect(daemon))
