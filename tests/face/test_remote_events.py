# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_remote_events.py: every event message of the protocol, in both styles of registration."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from libvirtcore.drivers.remote.driver import RemoteDriver
from libvirtcore.drivers.remote.event_messages import EVENTS
from libvirtcore.drivers.remote.link import Link
from libvirtcore.errors import VirError
from libvirtcore.events.poll import PollLoop
from libvirtcore.events.state import event_state
from libvirtcore.generated.tables import PROGRAMS
from libvirtcore.handles import (
    ConnectHandle,
    DomainHandle,
    Handle,
    NetworkHandle,
    NodeDeviceHandle,
    SecretHandle,
    StoragePoolHandle,
)
from tests.face.fake_daemon import PROCEDURES, QEMU, REMOTE, FakeDaemon

DOM = ("vm", b"0123456789abcdef", 7)
NET = ("net", b"0123456789abcdef")
POOL = ("pool", b"0123456789abcdef")
DEV = ("pci_0000",)
SECRET = (b"0123456789abcdef", 2, "usage")

# Domain events that old daemons send: what follows the domain. New daemons wrap the same.
WRAPPED: dict[str, tuple[int, tuple[Any, ...]]] = {
    "lifecycle": (0, (2, 1)),
    "reboot": (1, ()),
    "rtc_change": (2, (-3600,)),
    "watchdog": (3, (4,)),
    "io_error": (4, ("/disk", "virtio0", 1)),
    "graphics": (5, (0, (1, "::1", "5900"), (2, "c", "s"), "sasl", [("dname", "x"), ("y", "z")])),
    "io_error_reason": (6, ("/disk", "virtio0", 1, "enospc")),
    "control_error": (7, ()),
    "block_job": (8, ("/disk", 1, 2)),
    "disk_change": (9, (None, "/new", "ide0", 0)),
    "tray_change": (10, ("ide0", 1)),
    "balloon_change": (13, (2**63,)),
    "device_removed": (15, ("net1",)),
}
PM = {"pmwakeup": 11, "pmsuspend": 12, "pmsuspend_disk": 14}
FLAT: dict[str, tuple[int, tuple[Any, ...]]] = {
    "domain_event_block_job_2": (16, ("vda", 1, 2)),
    "domain_event_callback_tunable": (17, ([("cputune.vcpupin0", 7, "0-3")],)),
    "domain_event_callback_agent_lifecycle": (18, (1, 2)),
    "domain_event_callback_device_added": (19, ("net1",)),
    "domain_event_callback_migration_iteration": (20, (3,)),
    "domain_event_callback_job_completed": (21, ([("time_elapsed", 4, 2**64 - 1)],)),
    "domain_event_callback_device_removal_failed": (22, ("net1",)),
    "domain_event_callback_metadata_change": (23, (2, None)),
    "domain_event_block_threshold": (24, ("vda[1]", None, 1, 2**64 - 1)),
    "domain_event_memory_failure": (25, (0, 1, 2**32 - 1)),
    "domain_event_memory_device_size_change": (26, ("dimm0", 2**40)),
    "domain_event_nic_mac_change": (27, ("net0", "52:54:00:00:00:01", "52:54:00:00:00:02")),
    "domain_event_vcpu_removed": (28, (3,)),
    "domain_event_callback_channel_lifecycle": (29, ("org.qemu.guest_agent.0", 1, 2)),
}
OTHER: dict[str, tuple[str, int, tuple[Any, ...], tuple[Any, ...]]] = {
    "network_event_lifecycle": ("network", 0, NET, (1, 2)),
    "network_event_callback_metadata_change": ("network", 1, NET, (2, "urn:x")),
    "storage_pool_event_lifecycle": ("storage_pool", 0, POOL, (1, 2)),
    "storage_pool_event_refresh": ("storage_pool", 1, POOL, ()),
    "node_device_event_lifecycle": ("node_device", 0, DEV, (1, 2)),
    "node_device_event_update": ("node_device", 1, DEV, ()),
    "secret_event_lifecycle": ("secret", 0, SECRET, (1, 2)),
    "secret_event_value_changed": ("secret", 1, SECRET, ()),
}

# (event procedure, family, event id, message behind the number, what arrives)
NUMBERED = (
    [
        (f"domain_event_callback_{name}", "domain", event_id, ((DOM, *args),), args)
        for name, (event_id, args) in WRAPPED.items()
    ]
    + [
        (f"domain_event_callback_{name}", "domain", event_id, (5, (DOM,)), (5,))
        for name, event_id in PM.items()
    ]
    + [(name, "domain", event_id, (DOM, *args), args) for name, (event_id, args) in FLAT.items()]
    + [
        (name, family, event_id, (wire, *args), args)
        for name, (family, event_id, wire, args) in OTHER.items()
    ]
)
UNNUMBERED = [
    (f"domain_event_{name}", event_id, (DOM, *args), args)
    for name, (event_id, args) in WRAPPED.items()
] + [(f"domain_event_{name}", event_id, (DOM,), (0,)) for name, event_id in PM.items()]


def test_all_events_of_the_protocol_are_here() -> None:
    names = {row[0] for row in NUMBERED} | {row[0] for row in UNNUMBERED}
    protocol = {
        procedure.name
        for procedure in PROGRAMS[REMOTE].procedures
        if procedure is not None and procedure.kind == 2
    }
    assert protocol - names == {"connect_event_connection_closed"}
    assert len(protocol) == 55
    assert {PROCEDURES[REMOTE][name] for name in names} == set(EVENTS)


class Connection:
    """A driver on a fake daemon, and what its callbacks got."""

    def __init__(self, daemon: FakeDaemon) -> None:
        self.daemon = daemon
        self.driver = RemoteDriver(Link(daemon.client_end.detach()))
        self.handle = ConnectHandle(self.driver, "test:///fake")
        self.driver.conn = self.handle
        self.state = event_state(self.handle)
        self.seen: list[tuple[Any, tuple[Any, ...]]] = []
        self.arrived = threading.Condition()

    def take(self, handle: Any, args: tuple[Any, ...]) -> None:
        with self.arrived:
            self.seen.append((handle, args))
            self.arrived.notify_all()

    def wait(self, count: int) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.seen) >= count, 5), self.seen

    def names(self) -> list[str]:
        return [name for name, _ in self.daemon.calls if name != "connect_supports_feature"]


Maker = Callable[..., Connection]


@pytest.fixture
def connect(no_loop: None) -> Iterator[Maker]:
    made: list[Connection] = []

    def make(*features: int) -> Connection:
        made.append(Connection(FakeDaemon(features)))
        return made[-1]

    yield make
    for connection in made:
        connection.daemon.close()
        connection.driver._detach()
        connection.driver.client.close()


def expected(value: Any) -> Any:
    """Typed parameters arrive as a dict, other lists as they are."""
    if isinstance(value, tuple):
        return tuple(expected(one) for one in value)
    if isinstance(value, list) and value and len(value[0]) == 3:
        return {name: item for name, _, item in value}
    return value


@pytest.mark.parametrize(
    ("name", "family", "event_id", "message", "args"), NUMBERED, ids=[row[0] for row in NUMBERED]
)
def test_numbered_event(
    connect: Maker, name: str, family: str, event_id: int, message: tuple[Any, ...], args: Any
) -> None:
    connection = connect(14)
    connection.state.register(family, event_id, None, connection.take)
    connection.daemon.event(name, (999, *message))  # another registration's
    connection.daemon.event(name, (100, *message))
    connection.wait(1)
    handle, got = connection.seen[0]
    assert got == expected(args)
    kinds: dict[str, tuple[type[Handle], tuple[Any, ...]]] = {
        "domain": (DomainHandle, DOM),
        "network": (NetworkHandle, NET),
        "storage_pool": (StoragePoolHandle, POOL),
        "node_device": (NodeDeviceHandle, DEV),
        "secret": (SecretHandle, SECRET),
    }
    assert (type(handle), handle.wire) == kinds[family]
    assert handle.conn is connection.handle
    assert len(connection.seen) == 1


@pytest.mark.parametrize(
    ("name", "event_id", "message", "args"), UNNUMBERED, ids=[row[0] for row in UNNUMBERED]
)
def test_unnumbered_event(
    connect: Maker, name: str, event_id: int, message: tuple[Any, ...], args: Any
) -> None:
    connection = connect()
    other = DomainHandle(connection.handle, "other", b"x" * 16)
    connection.state.register("domain", event_id, other, connection.take)
    connection.state.register("domain", event_id, None, connection.take)
    connection.daemon.event(name, message)
    connection.wait(1)
    time.sleep(0.02)
    assert [got for _, got in connection.seen] == [args]  # the filter is ours
    register = "connect_domain_event_register" + ("" if event_id == 0 else "_any")
    assert connection.names() == [register]  # both callbacks share it


def test_old_style_deregisters_with_the_last_callback(connect: Maker) -> None:
    connection = connect()
    ids = [
        connection.state.register("domain", 0, None, connection.take),
        connection.state.register("domain", 0, None, connection.take, legacy=True),
        connection.state.register("domain", 3, None, connection.take),
    ]
    connection.state.deregister(ids[0])
    connection.state.deregister_legacy()
    connection.state.deregister(ids[2])
    assert connection.daemon.calls[-4:] == [
        ("connect_domain_event_register", None),
        ("connect_domain_event_register_any", (3,)),
        ("connect_domain_event_deregister", None),
        ("connect_domain_event_deregister_any", (3,)),
    ]


def test_new_style_registers_per_object_and_shares(connect: Maker) -> None:
    connection = connect(14)
    dom = DomainHandle(connection.handle, *DOM)
    state = connection.state
    ids = [
        state.register("domain", 0, None, connection.take),
        state.register("domain", 0, dom, connection.take),
        state.register("domain", 0, None, connection.take, legacy=True),
    ]
    connection.daemon.event("domain_event_callback_lifecycle", (101, (DOM, 1, 2)))
    connection.wait(1)
    connection.daemon.event("domain_event_callback_lifecycle", (100, (DOM, 3, 4)))
    connection.wait(3)
    assert [args for _, args in connection.seen] == [(1, 2), (3, 4), (3, 4)]
    for number in ids:
        state.deregister(number)
    any_ = "connect_domain_event_callback_"
    assert [c for c in connection.daemon.calls if c[0].startswith(any_)] == [
        (any_ + "register_any", (0, None)),
        (any_ + "register_any", (0, DOM)),
        (any_ + "deregister_any", (101,)),
        (any_ + "deregister_any", (100,)),
    ]


@pytest.mark.parametrize(
    ("family", "handle", "procedure"),
    [
        ("network", lambda c: NetworkHandle(c, *NET), "connect_network_event"),
        ("storage_pool", lambda c: StoragePoolHandle(c, *POOL), "connect_storage_pool_event"),
        ("node_device", lambda c: NodeDeviceHandle(c, *DEV), "connect_node_device_event"),
        ("secret", lambda c: SecretHandle(c, *SECRET), "connect_secret_event"),
    ],
)
def test_families_register_their_own_way(
    connect: Maker, family: str, handle: Any, procedure: str
) -> None:
    connection = connect(14)
    subject = handle(connection.handle)
    connection.state.deregister(connection.state.register(family, 1, subject, connection.take))
    assert connection.daemon.calls == [
        (procedure + "_register_any", (1, subject.wire)),
        (procedure + "_deregister_any", (100,)),
    ]


def test_monitor_events(connect: Maker) -> None:
    connection = connect(14)
    number = connection.state.register("qemu_monitor", ("^ST", 1), None, connection.take)
    other = connection.state.register("qemu_monitor", (None, 0), None, lambda h, a: None)
    assert ("connect_domain_monitor_event_register", (None, "^ST", 1)) in connection.daemon.calls
    for name in ("STOP", "RESUME"):
        connection.daemon.event("domain_monitor_event", (100, DOM, name, 1, 2, None), program=QEMU)
    connection.wait(1)
    connection.state.deregister(number)
    connection.state.deregister(other)
    assert [args for _, args in connection.seen] == [("STOP", 1, 2, None)]
    assert connection.daemon.calls[-2:] == [
        ("connect_domain_monitor_event_deregister", (100,)),
        ("connect_domain_monitor_event_deregister", (101,)),
    ]


@pytest.mark.parametrize("when", [" before", ""])
def test_event_around_the_reply_of_its_registration_is_delivered(connect: Maker, when: str) -> None:
    connection = connect(14)
    name = "connect_domain_event_callback_register_any"
    daemon = connection.daemon
    daemon.after[name + when] = lambda: daemon.event("domain_event_callback_reboot", (100, (DOM,)))
    connection.state.register("domain", 1, None, connection.take)
    connection.wait(1)


def test_events_keep_their_order_under_calls_of_many_threads(connect: Maker) -> None:
    connection = connect(14)
    daemon = connection.daemon
    daemon.replies["connect_get_type"] = ("QEMU",)
    connection.state.register("domain", 13, None, connection.take)
    stop = threading.Event()

    def call() -> None:
        while not stop.is_set():
            connection.driver._call(3)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(500):
        daemon.event("domain_event_callback_balloon_change", (100, (DOM, number)))
    connection.wait(500)
    stop.set()
    for thread in threads:
        thread.join()
    assert [args[0] for _, args in connection.seen] == list(range(500))


def test_unknown_registration_number_is_named(connect: Maker) -> None:
    connection = connect(14)
    with pytest.raises(VirError, match="event callback id 9 not registered"):
        connection.state.deregister(9)


def test_registered_loop_watches_from_the_start(default_loop: PollLoop, connect: Maker) -> None:
    connection = connect(14)
    assert [watch.fd for watch in default_loop._watches.values()] == [
        connection.driver.client.fileno()
    ]
    connection.state.register("domain", 1, None, connection.take)
    connection.daemon.event("domain_event_callback_reboot", (100, (DOM,)))
    end = time.monotonic() + 5
    while not connection.seen and time.monotonic() < end:
        default_loop.run_once()
    assert len(connection.seen) == 1
    connection.driver._detach()
    assert default_loop._watches == {}


def test_without_interest_no_thread_is_started(connect: Maker) -> None:
    from libvirtcore.events import loop

    connection = connect(14)
    connection.driver.supports_feature(14)
    assert loop._thread_loop is None


@pytest.mark.parametrize(("how", "reason"), [("leave", 1), ("garbage", 0)])
def test_lost_connection_calls_the_close_callback(connect: Maker, how: str, reason: int) -> None:
    connection = connect(14, 15)
    connection.state.register_close(connection.take)
    assert connection.names() == ["connect_register_close_callback"]
    if how == "leave":
        connection.daemon.close()
    else:
        connection.daemon._socket.sendall(b"\xff" * 28)
    connection.wait(1)
    assert connection.seen == [(None, (reason,))]
    time.sleep(0.02)
    assert len(connection.seen) == 1
    assert connection.driver._watch == -1


def test_the_daemon_tells_of_a_lost_hypervisor(connect: Maker) -> None:
    connection = connect(14, 15)
    connection.state.register_close(connection.take)
    connection.daemon.event("connect_event_connection_closed", (2,))
    connection.wait(1)
    assert connection.seen == [(None, (2,))]


def test_closing_is_no_loss(connect: Maker) -> None:
    connection = connect(14, 15)
    connection.state.register_close(connection.take)
    connection.driver.connect_close()
    time.sleep(0.05)
    assert connection.seen == []


def test_keepalive_runs_in_the_loop_and_notices_silence(connect: Maker) -> None:
    connection = connect(10, 14)
    connection.daemon.pongs = False
    connection.state.register_close(connection.take)
    connection.driver._events_keepalive(1, 1)
    begin = time.monotonic()
    connection.wait(1)
    assert connection.seen == [(None, (2,))]  # VIR_CONNECT_CLOSE_REASON_KEEPALIVE
    assert 1.5 < time.monotonic() - begin < 4.5


def test_a_busy_caller_does_not_wake_the_loop_for_each_reply(
    default_loop: PollLoop, connect: Maker
) -> None:
    connection = connect(14)
    connection.daemon.replies["connect_get_type"] = ("QEMU",)
    rounds = 0
    stop = threading.Event()

    def run() -> None:
        nonlocal rounds
        while not stop.is_set():
            default_loop.run_once()
            rounds += 1

    thread = threading.Thread(target=run)
    thread.start()
    for _ in range(2000):
        connection.driver._call(3)
    busy = rounds
    stop.set()
    default_loop.wake()
    thread.join()
    print("rounds", busy)
    assert busy < 1000
