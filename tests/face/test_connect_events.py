# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_connect_events.py: what users' callbacks get, family by family, and how they come and go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import libvirt
import libvirt_qemu
from libvirtcore.events.poll import PollLoop
from libvirtcore.events.state import event_state
from libvirtcore.handles import (
    ConnectHandle,
    DomainHandle,
    Handle,
    NetworkHandle,
    NodeDeviceHandle,
    SecretHandle,
    StoragePoolHandle,
)

UUID = b"0123456789abcdef"
RAW_ADDRESS, ADDRESS = (2, "::1", "5900"), {"family": 2, "node": "::1", "service": "5900"}
PARAMS, BY_NAME = [("a", 1, -1), ("b", 7, "x")], {"a": -1, "b": "x"}

# id: arguments as a driver gives them, and as users see them if that differs
DOMAIN_EVENTS: dict[int, tuple[tuple[Any, ...], ...]] = {
    libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE: ((2, 1),),
    libvirt.VIR_DOMAIN_EVENT_ID_REBOOT: ((),),
    libvirt.VIR_DOMAIN_EVENT_ID_RTC_CHANGE: ((-3600,),),
    libvirt.VIR_DOMAIN_EVENT_ID_WATCHDOG: ((4,),),
    libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR: (("/disk", "virtio0", 1),),
    libvirt.VIR_DOMAIN_EVENT_ID_GRAPHICS: (
        (0, RAW_ADDRESS, RAW_ADDRESS, "sasl", [("dname", "x")]),
        (0, ADDRESS, ADDRESS, "sasl", [("dname", "x")]),
    ),
    libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON: (("/disk", "virtio0", 1, "enospc"),),
    libvirt.VIR_DOMAIN_EVENT_ID_CONTROL_ERROR: ((),),
    libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB: (("/disk", 1, 2),),
    libvirt.VIR_DOMAIN_EVENT_ID_DISK_CHANGE: (("/old", None, "ide0", 0),),
    libvirt.VIR_DOMAIN_EVENT_ID_TRAY_CHANGE: (("ide0", 1),),
    libvirt.VIR_DOMAIN_EVENT_ID_PMWAKEUP: ((0,),),
    libvirt.VIR_DOMAIN_EVENT_ID_PMSUSPEND: ((0,),),
    libvirt.VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE: ((2**63,),),
    libvirt.VIR_DOMAIN_EVENT_ID_PMSUSPEND_DISK: ((0,),),
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED: (("net1",),),
    libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2: (("vda", 1, 2),),
    libvirt.VIR_DOMAIN_EVENT_ID_TUNABLE: ((PARAMS,), (BY_NAME,)),
    libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE: ((1, 2),),
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED: (("net1",),),
    libvirt.VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION: ((3,),),
    libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED: ((BY_NAME,),),
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED: (("net1",),),
    libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE: ((2, None),),
    libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_THRESHOLD: (("vda", "/disk", 1, 2**64 - 1),),
    libvirt.VIR_DOMAIN_EVENT_ID_MEMORY_FAILURE: ((0, 1, 2),),
    libvirt.VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE: (("dimm0", 2**40),),
    libvirt.VIR_DOMAIN_EVENT_ID_NIC_MAC_CHANGE: (("net0", "a", "b"),),
    libvirt.VIR_DOMAIN_EVENT_ID_VCPU_REMOVED: ((3,),),
    libvirt.VIR_DOMAIN_EVENT_ID_CHANNEL_LIFECYCLE: (("org.qemu.guest_agent.0", 1, 2),),
}
OTHERS: list[tuple[str, str, type[Handle], tuple[Any, ...], str, int, tuple[Any, ...]]] = [
    ("network", "networkEvent", NetworkHandle, ("n", UUID), "virNetwork", 0, (1, 2)),
    ("network", "networkEvent", NetworkHandle, ("n", UUID), "virNetwork", 1, (2, "urn:x")),
    (
        "storage_pool",
        "storagePoolEvent",
        StoragePoolHandle,
        ("p", UUID),
        "virStoragePool",
        0,
        (1, 2),
    ),
    ("storage_pool", "storagePoolEvent", StoragePoolHandle, ("p", UUID), "virStoragePool", 1, ()),
    ("node_device", "nodeDeviceEvent", NodeDeviceHandle, ("d",), "virNodeDevice", 0, (1, 2)),
    ("node_device", "nodeDeviceEvent", NodeDeviceHandle, ("d",), "virNodeDevice", 1, ()),
    ("secret", "secretEvent", SecretHandle, (UUID, 2, "u"), "virSecret", 0, (1, 2)),
    ("secret", "secretEvent", SecretHandle, (UUID, 2, "u"), "virSecret", 1, ()),
]


@pytest.fixture
def conn(silent: ConnectHandle) -> Iterator[libvirt.virConnect]:
    connection = libvirt.virConnect(silent)
    yield connection
    if connection._o is not None:
        connection.close()


def domain(conn: libvirt.virConnect) -> DomainHandle:
    return DomainHandle(conn._o, "vm", UUID, 7)


def test_every_domain_event_is_here() -> None:
    assert sorted(DOMAIN_EVENTS) == list(range(30))


@pytest.mark.parametrize("event_id", DOMAIN_EVENTS)
def test_domain_event(default_loop: PollLoop, conn: libvirt.virConnect, event_id: int) -> None:
    given, shown = DOMAIN_EVENTS[event_id][0], DOMAIN_EVENTS[event_id][-1]
    seen: list[tuple[Any, ...]] = []
    number = conn.domainEventRegisterAny(None, event_id, lambda *args: seen.append(args), "mine")
    assert conn.domainEventCallbackID == {number: "mine"}
    event_state(conn._o).queue("domain", event_id, domain(conn), given)
    default_loop.run_once()
    ((first, dom, *values),) = seen
    assert first is conn
    assert type(dom) is libvirt.virDomain
    assert (dom.name(), dom.ID(), dom.connect()) == ("vm", 7, conn)
    assert values == [*shown, "mine"]
    conn.domainEventDeregisterAny(number)
    assert conn.domainEventCallbackID == {}


@pytest.mark.parametrize(
    ("family", "prefix", "handle", "wire", "cls", "event_id", "values"),
    OTHERS,
    ids=[f"{row[0]}-{row[5]}" for row in OTHERS],
)
def test_other_event(
    default_loop: PollLoop, conn: libvirt.virConnect, family: str, prefix: str,
    handle: type[Handle], wire: tuple[Any, ...], cls: str, event_id: int, values: tuple[Any, ...],
) -> None:  # fmt: skip
    seen: list[tuple[Any, ...]] = []
    subject = getattr(libvirt, cls)(conn, handle(conn._o, *wire))
    number = getattr(conn, prefix + "RegisterAny")(
        subject, event_id, lambda *args: seen.append(args), "mine"
    )
    assert getattr(conn, prefix + "CallbackID") == {number: "mine"}
    event_state(conn._o).queue(family, event_id, handle(conn._o, *wire), values)
    default_loop.run_once()
    ((first, found, *rest),) = seen
    assert first is conn
    assert type(found) is getattr(libvirt, cls)
    assert found._o.wire == wire
    assert rest == [*values, "mine"]
    getattr(conn, prefix + "DeregisterAny")(number)
    assert getattr(conn, prefix + "CallbackID") == {}


def test_channel_lifecycle_for_five_arguments(
    default_loop: PollLoop, conn: libvirt.virConnect
) -> None:
    seen: list[tuple[Any, ...]] = []

    def as_in_libvirt_python(conn: Any, dom: Any, state: int, reason: int, opaque: Any) -> None:
        seen.append((state, reason, opaque))

    event_id = libvirt.VIR_DOMAIN_EVENT_ID_CHANNEL_LIFECYCLE
    conn.domainEventRegisterAny(None, event_id, as_in_libvirt_python, "mine")
    event_state(conn._o).queue("domain", event_id, domain(conn), ("channel", 1, 2))
    default_loop.run_once()
    assert seen == [(1, 2, "mine")]


def test_lifecycle_in_the_first_style(default_loop: PollLoop, conn: libvirt.virConnect) -> None:
    seen: list[tuple[Any, ...]] = []

    def first(*args: Any) -> None:
        seen.append(("first", *args))

    def second(*args: Any) -> None:
        seen.append(("second", *args))

    conn.domainEventDeregister(first)  # nothing registered: nothing happens
    conn.domainEventRegister(first, "old")
    conn.domainEventRegister(first, "new")
    conn.domainEventRegister(second, "other")
    assert conn.domainEventCallbacks == {first: "new", second: "other"}
    event_state(conn._o).queue("domain", 0, domain(conn), (3, 0))
    default_loop.run_once()
    assert [(name, event, detail, opaque) for name, _, _, event, detail, opaque in seen] == [
        ("first", 3, 0, "new"),
        ("second", 3, 0, "other"),
    ]
    assert seen[0][2] is not seen[1][2]
    with pytest.raises(KeyError):
        conn.domainEventDeregister(print)
    conn.domainEventDeregister(first)
    conn.domainEventDeregister(second)
    assert "domainEventCallbacks" not in conn.__dict__
    conn.domainEventDeregister(second)
    assert default_loop._timers == {}


def test_refusals(default_loop: PollLoop, conn: libvirt.virConnect) -> None:
    for number in (-1, 30, 999):
        libvirt.virResetLastError()
        with pytest.raises(libvirt.libvirtError) as failure:
            conn.domainEventRegisterAny(None, number, print, None)
        assert str(failure.value) == "virConnectDomainEventRegisterAny() failed"
        assert failure.value.err is None
    with pytest.raises(libvirt.libvirtError) as failure:
        conn.domainEventDeregisterAny(-1)
    assert failure.value.err == (
        libvirt.VIR_ERR_INVALID_ARG, libvirt.VIR_FROM_DOMAIN,
        "callbackID in virConnectDomainEventDeregisterAny must be zero or greater", 2,
        "virConnectDomainEventDeregisterAny", "callbackID", None, 0, 0,
    )  # fmt: skip
    with pytest.raises(libvirt.libvirtError, match="could not find event callback 7 for deletion"):
        conn.domainEventDeregisterAny(7)
    with pytest.raises(AttributeError):
        conn.domainEventRegisterAny("vm", 0, print, None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        conn.domainEventRegisterAny(None, "0", print, None)  # type: ignore[arg-type]
    number = conn.domainEventRegisterAny(None, 0, print, None)
    with pytest.raises(libvirt.libvirtError, match="event callback already tracked"):
        conn.domainEventRegisterAny(None, 0, print, None)
    with pytest.raises(KeyError):
        conn.networkEventDeregisterAny(number)  # it is gone all the same, as in libvirt-python


@pytest.mark.parametrize(
    ("register", "cls", "handle", "wire", "text", "domain"),
    [
        ("domainEventRegisterAny", "virDomain", DomainHandle, ("vm", UUID),
         "domain 'vm' must match connection", libvirt.VIR_FROM_DOMAIN),
        ("networkEventRegisterAny", "virNetwork", NetworkHandle, ("n", UUID),
         "network 'n' in virConnectNetworkEventRegisterAny must match connection",
         libvirt.VIR_FROM_NETWORK),
        ("storagePoolEventRegisterAny", "virStoragePool", StoragePoolHandle, ("p", UUID),
         "storage pool 'p' in virConnectStoragePoolEventRegisterAny must match connection",
         libvirt.VIR_FROM_STORAGE),
        ("nodeDeviceEventRegisterAny", "virNodeDevice", NodeDeviceHandle, ("d",),
         "node device 'd' in virConnectNodeDeviceEventRegisterAny must match connection",
         libvirt.VIR_FROM_NODEDEV),
        ("secretEventRegisterAny", "virSecret", SecretHandle, (UUID, 0, ""),
         "secret '30313233-3435-3637-3839-616263646566' in virConnectSecretEventRegisterAny"
         " must match connection", libvirt.VIR_FROM_SECRET),
    ],
)  # fmt: skip
def test_object_of_another_connection(
    default_loop: PollLoop, conn: libvirt.virConnect, register: str, cls: str,
    handle: Any, wire: tuple[Any, ...], text: str, domain: int,
) -> None:  # fmt: skip
    other = libvirt.open("test:///default")
    subject = getattr(libvirt, cls)(other, handle(other._o, *wire))
    with pytest.raises(libvirt.libvirtError) as failure:
        getattr(conn, register)(subject, 0, print, None)
    assert failure.value.get_error_message() == text
    assert failure.value.get_error_domain() == domain


def test_monitor_event(default_loop: PollLoop, conn: libvirt.virConnect) -> None:
    seen: list[tuple[Any, ...]] = []
    number = libvirt_qemu.qemuMonitorEventRegister(
        conn, None, "STOP", lambda *args: seen.append(args), "mine"
    )
    assert conn.qemuMonitorEventCallbackID == {number: "mine"}
    for name in ("STOP", "RESUME"):
        event_state(conn._o).queue("qemu_monitor", None, domain(conn), (name, 1, 2, "{}"))
    default_loop.run_once()
    ((first, dom, *values),) = seen
    assert first is conn
    assert type(dom) is libvirt.virDomain
    assert values == ["STOP", 1, 2, "{}", "mine"]
    libvirt_qemu.qemuMonitorEventDeregister(conn, number)
    assert conn.qemuMonitorEventCallbackID == {}


def test_monitor_events_need_a_writable_connection(conn: libvirt.virConnect) -> None:
    conn._o.readonly = True
    with pytest.raises(libvirt.libvirtError) as failure:
        libvirt_qemu.qemuMonitorEventRegister(conn, None, None, print, None)
    assert failure.value.get_error_code() == libvirt.VIR_ERR_OPERATION_DENIED


def test_close_callback(default_loop: PollLoop, conn: libvirt.virConnect) -> None:
    driver: Any = conn._o.driver
    driver.tells_close = True
    driver.connect_register_close_callback = driver.connect_unregister_close_callback = lambda: None
    seen: list[tuple[Any, ...]] = []
    assert conn.registerCloseCallback(lambda *args: seen.append(args), "mine") == 0
    with pytest.raises(libvirt.libvirtError, match="A close callback is already registered"):
        conn.registerCloseCallback(print, None)
    event_state(conn._o).connection_closed(libvirt.VIR_CONNECT_CLOSE_REASON_EOF)
    assert seen == [(conn, libvirt.VIR_CONNECT_CLOSE_REASON_EOF, "mine")]
    with pytest.raises(libvirt.libvirtError, match="A different callback was requested"):
        conn.unregisterCloseCallback()


def test_calls_inside_callbacks(default_loop: PollLoop) -> None:
    conn = libvirt.open("test:///default")
    dom = conn.lookupByName("test")
    seen: list[tuple[int, bool]] = []
    numbers: list[int] = []

    def heard(conn: Any, dom: Any, event: int, detail: int, opaque: Any) -> None:
        seen.append((event, bool(dom.isActive())))
        if event == libvirt.VIR_DOMAIN_EVENT_SUSPENDED:
            dom.resume()
        else:
            conn.domainEventDeregisterAny(numbers[0])

    numbers.append(conn.domainEventRegisterAny(dom, 0, heard, None))
    dom.suspend()
    default_loop.run_once()
    default_loop.run_once()
    assert seen == [
        (libvirt.VIR_DOMAIN_EVENT_SUSPENDED, True),
        (libvirt.VIR_DOMAIN_EVENT_RESUMED, True),
    ]
    assert default_loop._timers == {}
    del dom
    assert conn.close() == 0


def test_callbacks_keep_a_closed_connection_open(
    default_loop: PollLoop, conn: libvirt.virConnect
) -> None:
    handle = conn._o
    seen: list[Any] = []
    conn.domainEventRegisterAny(None, 1, lambda *args: seen.append(args[0]), None)
    assert conn.close() == 1
    event_state(handle).queue("domain", 1, DomainHandle(handle, "vm", UUID), ())
    default_loop.run_once()
    assert seen == [conn]
