# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_event_state.py: registering, filtering, order, and callbacks that change it all."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import pytest

from libvirtcore.errors import VirError
from libvirtcore.events.poll import PollLoop
from libvirtcore.events.state import event_state
from libvirtcore.generated import constants as c
from libvirtcore.handles import ConnectHandle, DomainHandle, NodeDeviceHandle


def domain(conn: ConnectHandle, number: int = 1) -> DomainHandle:
    return DomainHandle(conn, f"vm{number}", bytes([number]) * 16, number)


def test_events_are_delivered_in_order_from_the_loop(
    default_loop: PollLoop, silent: ConnectHandle
) -> None:
    state = event_state(silent)
    seen: list[tuple[str, tuple[Any, ...]]] = []
    assert state.register("domain", 0, None, lambda h, args: seen.append((h.name, args))) == 0
    for number in (1, 2, 3):
        state.queue("domain", 0, domain(silent, number), (number, 0))
    assert seen == []
    default_loop.run_once()
    assert seen == [("vm1", (1, 0)), ("vm2", (2, 0)), ("vm3", (3, 0))]


def test_filter_by_object_and_event(default_loop: PollLoop, silent: ConnectHandle) -> None:
    state = event_state(silent)
    seen: list[tuple[str, Any]] = []
    state.register("domain", 0, domain(silent, 2), lambda h, a: seen.append(("one", h.name)))
    state.register("domain", 1, None, lambda h, a: seen.append(("reboot", h.name)))
    device = NodeDeviceHandle(silent, "pci_1")
    state.register("node_device", 0, device, lambda h, a: seen.append(("dev", h.name)))
    for number in (1, 2):
        state.queue("domain", 0, domain(silent, number), (0, 0))
    state.queue("domain", 1, domain(silent, 1), ())
    state.queue("node_device", 0, NodeDeviceHandle(silent, "pci_2"), (0, 0))
    state.queue("node_device", 0, NodeDeviceHandle(silent, "pci_1"), (0, 0))
    state.queue("network", 0, domain(silent, 1), (0, 0))
    default_loop.run_once()
    assert seen == [("one", "vm2"), ("reboot", "vm1"), ("dev", "pci_1")]


def test_same_event_of_same_object_is_tracked_once(
    default_loop: PollLoop, silent: ConnectHandle
) -> None:
    state = event_state(silent)
    assert state.register("domain", 0, None, print) == 0
    assert state.register("domain", 0, domain(silent), print) == 1
    assert state.register("domain", 0, None, print, legacy=True) == 2
    for handle in (None, domain(silent)):
        with pytest.raises(VirError, match="event callback already tracked") as failure:
            state.register("domain", 0, handle, print)
        assert (failure.value.code, failure.value.domain) == (c.VIR_ERR_INVALID_ARG, 0)
    assert state.register("network", 0, None, print) == 3  # one count for all families


def test_unknown_number_is_refused(default_loop: PollLoop, silent: ConnectHandle) -> None:
    with pytest.raises(VirError, match="could not find event callback 5 for deletion"):
        event_state(silent).deregister(5)


def test_each_callback_gets_its_own_handle(default_loop: PollLoop, silent: ConnectHandle) -> None:
    state = event_state(silent)
    handles: list[Any] = []
    state.register("domain", 0, None, lambda h, a: handles.append(h))
    state.register("domain", 0, domain(silent), lambda h, a: handles.append(h))
    state.queue("domain", 0, domain(silent), (0, 0))
    default_loop.run_once()
    assert len({id(handle) for handle in handles}) == 2
    handles[0].free()
    assert not handles[1]._freed
    assert handles[1].wire == handles[0].wire


def test_callback_may_deregister_itself_and_others(
    default_loop: PollLoop, silent: ConnectHandle
) -> None:
    state = event_state(silent)
    seen: list[str] = []
    ids: list[int] = []

    def first(_handle: Any, _args: Any) -> None:
        seen.append("first")
        for number in ids:
            state.deregister(number)

    ids.append(state.register("domain", 0, None, first))
    ids.append(state.register("domain", 0, domain(silent), lambda h, a: seen.append("second")))
    for _ in range(3):
        state.queue("domain", 0, domain(silent), (0, 0))
    for _ in range(2):
        default_loop.add_timeout(0, lambda *_: None)
        default_loop.run_once()
    assert seen == ["first"]


def test_callback_registered_by_a_callback_hears_the_next_event(
    default_loop: PollLoop, silent: ConnectHandle
) -> None:
    state = event_state(silent)
    seen: list[str] = []

    def first(_handle: Any, args: Any) -> None:
        if args == ("a",):
            state.register("domain", 0, domain(silent), lambda h, a: seen.append(a[0]))

    state.register("domain", 0, None, first)
    state.queue("domain", 0, domain(silent), ("a",))
    state.queue("domain", 0, domain(silent), ("b",))
    default_loop.run_once()
    assert seen == ["b"]


def test_event_caused_by_a_callback_waits_for_the_next_round(
    default_loop: PollLoop, silent: ConnectHandle
) -> None:
    state = event_state(silent)
    seen: list[int] = []

    def again(_handle: Any, args: tuple[int]) -> None:
        seen.append(args[0])
        if args[0] < 3:
            state.queue("domain", 0, domain(silent), (args[0] + 1,))

    state.register("domain", 0, None, again)
    state.queue("domain", 0, domain(silent), (1,))
    default_loop.run_once()
    assert seen == [1]
    default_loop.run_once()
    assert seen == [1, 2]


def test_failing_callback_is_shown_and_the_next_one_runs(
    default_loop: PollLoop, silent: ConnectHandle, capsys: pytest.CaptureFixture[str]
) -> None:
    state = event_state(silent)
    seen: list[str] = []

    def fail(_handle: Any, _args: Any) -> None:
        raise ValueError("no")

    state.register("domain", 0, None, fail)
    state.register("domain", 0, domain(silent), lambda h, a: seen.append(h.name))
    state.queue("domain", 0, domain(silent), (0, 0))
    default_loop.run_once()
    assert seen == ["vm1"]
    assert "ValueError: no" in capsys.readouterr().err


def test_keyboard_interrupt_loses_no_event(default_loop: PollLoop, silent: ConnectHandle) -> None:
    state = event_state(silent)
    seen: list[int] = []

    def deliver(_handle: Any, args: tuple[int]) -> None:
        seen.append(args[0])
        if args[0] == 1:
            raise KeyboardInterrupt

    state.register("domain", 0, None, deliver)
    state.queue("domain", 0, domain(silent), (1,))
    state.queue("domain", 0, domain(silent), (2,))
    with pytest.raises(KeyboardInterrupt):
        default_loop.run_once()
    default_loop.run_once()
    assert seen == [1, 2]


def test_registration_keeps_the_connection_open(
    default_loop: PollLoop, silent: ConnectHandle
) -> None:
    state = event_state(silent)
    number = state.register("domain", 0, None, print)
    assert silent.release() == 1
    state.deregister(number)
    assert silent.closed
    assert silent.driver.closed  # type: ignore[attr-defined]


def test_without_callbacks_nothing_stays_in_the_loop(
    default_loop: PollLoop, silent: ConnectHandle
) -> None:
    state = event_state(silent)
    number = state.register("domain", 0, None, print)
    assert len(default_loop._timers) == 1
    state.queue("domain", 0, domain(silent), (0, 0))
    state.deregister(number)
    assert default_loop._timers == {}
    state.queue("domain", 0, domain(silent), (0, 0))
    assert not state._pending


def test_refused_subscription_leaves_no_trace(
    default_loop: PollLoop, silent: ConnectHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise VirError(c.VIR_ERR_NO_SUPPORT, 0, "no")

    state = event_state(silent)
    monkeypatch.setattr(silent.driver, "event_subscribe", refuse)
    with pytest.raises(VirError):
        state.register("domain", 0, None, print)
    assert len(silent.refs) == 1
    assert default_loop._timers == {}


def test_event_that_overtakes_its_registration_is_not_lost(
    default_loop: PollLoop, silent: ConnectHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = event_state(silent)
    seen: list[int] = []

    def subscribe(*_: object) -> None:
        state.queue("domain", 0, domain(silent), (1,))
        default_loop.add_timeout(0, lambda *_: None)
        default_loop.run_once()  # the event is pending, its callback not complete

    monkeypatch.setattr(silent.driver, "event_subscribe", subscribe)
    state.register("domain", 0, None, lambda h, args: seen.append(args[0]))
    assert seen == []
    default_loop.run_once()
    assert seen == [1]


@pytest.mark.parametrize(
    ("pattern", "flags", "heard"),
    [
        (None, 0, ["STOP", "Resume", "RESUME_X"]),
        ("STOP", 0, ["STOP"]),
        ("resume", 2, ["Resume"]),
        ("^RES", 1, ["RESUME_X"]),
        ("^RES", 3, ["Resume", "RESUME_X"]),
    ],
)
def test_monitor_events_are_chosen_by_name(
    default_loop: PollLoop, silent: ConnectHandle, pattern: str | None, flags: int, heard: list[str]
) -> None:
    state = event_state(silent)
    seen: list[str] = []
    state.register("qemu_monitor", (pattern, flags), None, lambda h, args: seen.append(args[0]))
    for name in ("STOP", "Resume", "RESUME_X"):
        state.queue("qemu_monitor", None, domain(silent), (name, 0, 0, "{}"))
    default_loop.run_once()
    assert seen == heard


def test_token_addresses_its_subscribers_only(
    default_loop: PollLoop, silent: ConnectHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = event_state(silent)
    tokens = [object(), object()]
    monkeypatch.setattr(silent.driver, "event_subscribe", lambda f, e, h: tokens[h is not None])
    seen: list[str] = []
    state.register("domain", 0, None, lambda h, a: seen.append("all"))
    state.register("domain", 0, domain(silent), lambda h, a: seen.append("one"))
    state.queue("domain", 0, domain(silent), (0, 0), tokens[1])
    default_loop.run_once()
    assert seen == ["one"]


def test_without_a_loop_the_thread_delivers(no_loop: None, silent: ConnectHandle) -> None:
    state = event_state(silent)
    done = threading.Event()
    state.register("domain", 0, None, lambda h, a: done.set())
    state.queue("domain", 0, domain(silent), (0, 0))
    assert done.wait(5)


def test_a_flood_from_many_threads_arrives_whole_and_in_order_per_thread(
    no_loop: None, silent: ConnectHandle
) -> None:
    state = event_state(silent)
    seen: list[tuple[int, int]] = []
    done = threading.Event()

    def take(_handle: Any, args: tuple[int, int]) -> None:
        seen.append(args)
        if len(seen) == 4000:
            done.set()

    state.register("domain", 0, None, take)

    def send(thread: int) -> None:
        handle = domain(silent)
        for number in range(1000):
            state.queue("domain", 0, handle, (thread, number))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done.wait(20)
    for number in range(4):
        assert [n for t, n in seen if t == number] == list(range(1000))


def test_close_callback_is_called_once(default_loop: PollLoop, silent: ConnectHandle) -> None:
    silent.driver.tells_close = True  # type: ignore[misc]
    silent.driver.connect_register_close_callback = lambda: None  # type: ignore[method-assign]
    silent.driver.connect_unregister_close_callback = lambda: None  # type: ignore[method-assign]
    state = event_state(silent)
    seen: list[tuple[int]] = []
    with pytest.raises(VirError, match="A different callback was requested") as failure:
        state.unregister_close()
    assert (failure.value.code, failure.value.domain) == (c.VIR_ERR_OPERATION_INVALID, 13)
    state.register_close(lambda h, args: seen.append(args))
    with pytest.raises(VirError, match="A close callback is already registered"):
        state.register_close(print)
    assert len(silent.refs) == 2
    state.connection_closed(1)
    state.connection_closed(1)
    assert seen == [(1,)]
    assert len(silent.refs) == 1


def test_connections_that_cannot_be_lost_accept_close_callbacks(
    default_loop: PollLoop, silent: ConnectHandle
) -> None:
    state = event_state(silent)
    state.register_close(print)
    state.register_close(print)
    state.unregister_close()
    state.unregister_close()
    assert len(silent.refs) == 1


def test_a_dropped_connection_is_collected(default_loop: PollLoop) -> None:
    from tests.face.conftest import SilentDriver

    conn = ConnectHandle(SilentDriver(), "silent:///")  # type: ignore[arg-type]
    state = event_state(conn)
    state.deregister(state.register("domain", 0, None, print))
    watch = weakref.ref(conn)
    del conn, state
    gc.collect()
    assert watch() is None
