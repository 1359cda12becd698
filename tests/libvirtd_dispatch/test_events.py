# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_events.py: what clients registered for, old way and new, and nothing else, reaches them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from libvirtcore.errors import VirError
from libvirtcore.events import families
from libvirtcore.events.state import event_state
from libvirtcore.generated import constants as c
from libvirtcore.generated.dispatch_table import EVENTS
from libvirtcore.handles import (
    DomainHandle,
    NetworkHandle,
    NodeDeviceHandle,
    SecretHandle,
    StoragePoolHandle,
)
from libvirtcore.rpc import Client
from tests.libvirtd_dispatch.fake_driver import UUID, FakeDriver, registered
from tests.libvirtd_dispatch.served import QEMU, REMOTE, call, opened

OTHER = bytes(reversed(UUID))
DOM = ("x", UUID, 5)


@pytest.fixture
def client(path: str) -> Iterator[Client]:
    with registered():
        one = opened(path, "fake:///x")
        yield one
        driver = FakeDriver.opened[0]
        one.close()
        assert driver.closed.wait(5)
        assert driver.subscribed == []


def driver() -> FakeDriver:
    return FakeDriver.opened[-1]


def next_event(client: Client, seconds: float = 5.0) -> Any:
    """The next event, None when none comes."""
    until = time.monotonic() + seconds
    while (event := client.next_event()) is None and time.monotonic() < until:
        client.pump(0.05)
    return event


def domain(uuid: bytes = UUID) -> DomainHandle:
    return DomainHandle(driver().conn, "x", uuid, 5)


def refused(client: Client, procedure: int, args: Any = None, program: int = REMOTE) -> str:
    with pytest.raises(VirError) as caught:
        call(client, procedure, args, program)
    return caught.value.message


def test_new_registrations_are_numbered(client: Client) -> None:
    (number,) = call(client, 316, (0, None))
    driver().emit(families.DOMAIN, 0, domain(), 4, 1)
    assert next_event(client) == (REMOTE, 318, (number, (DOM, 4, 1)))


@pytest.mark.parametrize(("register", "args", "answer"), [(105, None, (0,)), (167, (0,), None)])
def test_old_registrations_bear_no_number(
    client: Client, register: int, args: Any, answer: Any
) -> None:
    assert call(client, register, args) == answer
    driver().emit(families.DOMAIN, 0, domain(), 4, 1)
    assert next_event(client) == (REMOTE, 107, (DOM, 4, 1))


def test_sleep_events_carry_their_reason_beside_the_message(client: Client) -> None:
    (number,) = call(client, 316, (12, None))
    driver().emit(families.DOMAIN, 12, domain(), 0)
    assert next_event(client) == (REMOTE, 330, (number, 0, (DOM,)))
    call(client, 317, (number,))
    call(client, 167, (12,))
    driver().emit(families.DOMAIN, 12, domain(), 0)
    assert next_event(client) == (REMOTE, 270, (DOM,))


def test_filters_let_only_their_object_through(client: Client) -> None:
    (number,) = call(client, 316, (0, ("x", UUID, 5)))
    driver().emit(families.DOMAIN, 0, domain(OTHER), 4, 1)
    driver().emit(families.DOMAIN, 0, domain(), 5, 2)
    assert next_event(client) == (REMOTE, 318, (number, (DOM, 5, 2)))


def test_what_was_forgotten_is_not_told(client: Client) -> None:
    (number,) = call(client, 316, (0, None))
    call(client, 317, (number,))
    driver().emit(families.DOMAIN, 0, domain(), 4, 1)
    assert next_event(client, 0.2) is None
    expected = f"internal error: domain event callback {number} not registered"
    assert refused(client, 317, (number,)) == expected


def test_a_second_callback_of_the_same_kind_is_refused(client: Client) -> None:
    call(client, 316, (0, None))
    expected = "invalid argument: event callback already tracked"
    assert refused(client, 316, (0, None)) == expected
    assert refused(client, 105) == expected
    call(client, 316, (0, DOM))  # another object is another matter


@pytest.mark.parametrize(
    ("procedure", "args", "message"),
    [
        (167, (16,), "unsupported event ID 16"),
        (167, (-1,), "unsupported event ID -1"),
        (168, (1,), "domain event 1 not registered"),
        (168, (77,), "unsupported event ID 77"),
        (106, None, "domain event 0 not registered"),
        (316, (99, None), "unsupported event ID 99"),
        (313, (5, None), "unsupported network event ID 5"),
        (314, (-1,), "network event callback -1 not registered"),
        (368, (7, None), "unsupported storage pool event ID 7"),
        (374, (7, None), "unsupported node device event ID 7"),
        (380, (9, None), "unsupported secret event ID 9"),
    ],
)
def test_senseless_numbers_are_refused(
    client: Client, procedure: int, args: Any, message: str
) -> None:
    assert refused(client, procedure, args) == f"internal error: {message}"


def test_numbers_of_one_family_mean_nothing_in_another(client: Client) -> None:
    (number,) = call(client, 313, (0, None))
    assert "not registered" in refused(client, 317, (number,))
    call(client, 314, (number,))


def test_every_event_of_a_domain_can_be_told(client: Client) -> None:
    """Each message takes the arguments that drivers give: the wire accepts what is put together."""
    from libvirtcore.generated.tables import PROGRAMS, TYPES
    from tests.libvirtd_dispatch.plausible import _value

    for (family, event_id), (_old, new, layout) in EVENTS.items():
        if family != families.DOMAIN:
            continue
        row = PROGRAMS[REMOTE].procedures[new]
        assert row is not None
        fields = TYPES[row.args + 2 : row.args + 2 + TYPES[row.args + 1]]
        if layout == "wrapped":
            inner = fields[1]
            fields = TYPES[inner + 1 : inner + 2 + TYPES[inner + 1]]
        values = [_value(offset, "") for offset in fields[2:]] if layout != "reason" else [0]
        (number,) = call(client, 316, (event_id, None))
        driver().emit(family, event_id, domain(), *values)
        event = next_event(client)
        assert event is not None, (event_id, layout)
        assert event[:2] == (REMOTE, new)
        assert event[2][0] == number


def test_other_families_have_their_own_objects(client: Client) -> None:
    conn = driver().conn
    for register, family, handle in (
        (313, families.NETWORK, NetworkHandle(conn, "n", UUID)),
        (368, families.STORAGE_POOL, StoragePoolHandle(conn, "p", UUID)),
        (374, families.NODE_DEVICE, NodeDeviceHandle(conn, "d")),
        (380, families.SECRET, SecretHandle(conn, UUID, 1, "u")),
    ):
        (number,) = call(client, register, (0, None))
        driver().emit(family, 0, handle, 1, 2)
        event = next_event(client)
        assert event is not None
        assert event[2] == (number, handle.wire, 1, 2)


def test_monitor_events_pass_their_filter(client: Client) -> None:
    (number,) = call(client, 4, (None, "^STOP$", 1), QEMU)
    driver().emit(families.QEMU_MONITOR, 0, domain(), "RESUME", 1, 2, None)
    driver().emit(families.QEMU_MONITOR, 0, domain(), "STOP", 1, 2, "{}")
    assert next_event(client) == (QEMU, 6, (number, DOM, "STOP", 1, 2, "{}"))
    assert "failed to compile regex '('" in refused(client, 4, (None, "(", 1), QEMU)
    call(client, 5, (number,), QEMU)
    assert "qemu monitor event callback" in refused(client, 5, (number,), QEMU)


def test_two_clients_hear_of_their_own(client: Client, path: str) -> None:
    call(client, 316, (0, None))
    first = driver()
    other = opened(path, "fake:///y")
    second = driver()
    assert second is not first
    call(other, 316, (1, None))
    first.emit(families.DOMAIN, 0, DomainHandle(first.conn, "x", UUID), 1, 1)
    assert next_event(client) is not None
    assert next_event(other, 0.2) is None
    other.close()
    assert second.closed.wait(5)


def test_the_number_is_known_before_the_event(client: Client) -> None:
    """A driver that has an event ready at once does not overtake the answer."""
    driver().eager = True
    (number,) = call(client, 316, (0, None))
    event = next_event(client)
    assert event is not None
    assert event[2][0] == number


def test_closing_is_watched(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeDriver, "tells_close", True)
    call(client, 360)
    event_state(driver().conn).connection_closed(c.VIR_CONNECT_CLOSE_REASON_EOF)
    assert next_event(client) == (REMOTE, 362, (c.VIR_CONNECT_CLOSE_REASON_EOF,))
    call(client, 361)
    call(client, 360)
    call(client, 361)
    assert driver().asked == [("register close",), ("register close",), ("unregister close",)]
