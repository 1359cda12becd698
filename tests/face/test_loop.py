# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_loop.py: the event loop contract, on the default loop, a registered one, and none."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import libvirt
import libvirtmod as door
from libvirtcore.events import loop as loops
from libvirtcore.events.poll import ERROR, HANGUP, READABLE, WRITABLE, PollLoop


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    for fd in (read, write):
        try:
            os.close(fd)
        except OSError:
            pass


def test_handle_is_called_with_watch_fd_events_opaque(
    default_loop: PollLoop, pipe: tuple[int, int]
) -> None:
    seen: list[tuple[Any, ...]] = []
    data = {"cb": lambda *args: seen.append(args), "opaque": "mine"}
    watch = door.virEventAddHandle(pipe[0], READABLE, data)
    assert watch == 1
    os.write(pipe[1], b"x")
    assert door.virEventRunDefaultImpl() == 0
    assert seen == [(1, pipe[0], READABLE, "mine")]
    assert door.virEventRemoveHandle(watch) == 0
    assert door.virEventRemoveHandle(watch) == -1


def test_numbers_count_up_and_are_not_reused(default_loop: PollLoop) -> None:
    data = {"cb": print, "opaque": None}
    assert [door.virEventAddTimeout(-1, data) for _ in range(3)] == [1, 2, 3]
    assert door.virEventRemoveTimeout(3) == 0
    assert door.virEventAddTimeout(-1, data) == 4
    assert door.virEventRemoveTimeout(3) == -1


def test_run_waits_until_something_is_due(default_loop: PollLoop) -> None:
    seen: list[tuple[Any, ...]] = []
    door.virEventAddTimeout(80, {"cb": lambda *args: seen.append(args), "opaque": 5})
    begin = time.monotonic()
    door.virEventRunDefaultImpl()
    assert 0.07 < time.monotonic() - begin < 1
    assert seen == [(1, 5)]


def test_timer_repeats_and_can_be_stopped_from_its_callback(default_loop: PollLoop) -> None:
    seen: list[int] = []

    def tick(timer: int, _opaque: object) -> None:
        seen.append(timer)
        if len(seen) == 3:
            default_loop.update_timeout(timer, -1)

    default_loop.add_timeout(1, tick)
    guard = default_loop.add_timeout(60, lambda *_: None)
    for _ in range(4):
        default_loop.run_once()
    assert len(seen) == 3
    assert default_loop.remove_timeout(guard) == 0


def test_zero_timeout_fires_in_every_iteration(default_loop: PollLoop) -> None:
    seen: list[int] = []
    default_loop.add_timeout(0, lambda timer, _: seen.append(timer))
    for _ in range(5):
        default_loop.run_once()
    assert len(seen) == 5


def test_writable_error_and_hangup(default_loop: PollLoop, pipe: tuple[int, int]) -> None:
    seen: list[tuple[int, int]] = []

    def note(_watch: int, fd: int, events: int, _opaque: object) -> None:
        seen.append((fd, events))

    watch = default_loop.add_handle(pipe[1], WRITABLE, note)
    default_loop.run_once()
    assert seen == [(pipe[1], WRITABLE)]
    os.close(pipe[0])
    seen.clear()
    default_loop.run_once()
    assert seen == [(pipe[1], WRITABLE | ERROR)]
    default_loop.remove_handle(watch)


def test_hangup_is_told_without_being_asked_for(
    default_loop: PollLoop, pipe: tuple[int, int]
) -> None:
    seen: list[int] = []
    default_loop.add_handle(pipe[0], READABLE, lambda _w, _f, events, _o: seen.append(events))
    os.close(pipe[1])
    default_loop.run_once()
    assert seen == [HANGUP]


def test_events_zero_pauses_a_handle(default_loop: PollLoop, pipe: tuple[int, int]) -> None:
    seen: list[int] = []
    watch = default_loop.add_handle(pipe[0], READABLE, lambda *_: seen.append(1))
    os.write(pipe[1], b"x")
    default_loop.update_handle(watch, 0)
    default_loop.add_timeout(10, lambda *_: None)
    default_loop.run_once()
    assert seen == []
    default_loop.update_handle(watch, READABLE)
    default_loop.run_once()
    assert seen == [1]


def test_two_watches_of_one_descriptor(default_loop: PollLoop, pipe: tuple[int, int]) -> None:
    seen: list[str] = []
    second = 0

    def first(_w: int, fd: int, _e: int, _o: object) -> None:
        seen.append("first")
        os.read(fd, 1)
        default_loop.remove_handle(second)

    default_loop.add_handle(pipe[0], READABLE, first)
    second = default_loop.add_handle(pipe[0], READABLE, lambda *_: seen.append("second"))
    os.write(pipe[1], b"x")
    default_loop.run_once()
    assert seen == ["first"]  # the second was removed by the first


def test_free_callback_runs_in_the_loop_and_not_in_remove(default_loop: PollLoop) -> None:
    freed: list[object] = []
    timer = default_loop.add_timeout(-1, lambda *_: None, "data", freed.append)
    default_loop.remove_timeout(timer)
    assert freed == []
    default_loop.run_once()
    assert freed == ["data"]


def test_callback_that_raises_is_shown_and_others_run(
    default_loop: PollLoop, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[int] = []

    def fail(*_: object) -> None:
        raise ValueError("from the callback")

    default_loop.add_timeout(0, fail)
    default_loop.add_timeout(0, lambda *_: seen.append(1))
    default_loop.run_once()
    assert seen == [1]
    assert "ValueError: from the callback" in capsys.readouterr().err


def test_keyboard_interrupt_of_a_callback_ends_the_run(default_loop: PollLoop) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    default_loop.add_timeout(0, interrupt)
    with pytest.raises(KeyboardInterrupt):
        door.virEventRunDefaultImpl()
    assert default_loop._runners == []


def test_adding_in_another_thread_wakes_the_loop(
    default_loop: PollLoop, pipe: tuple[int, int]
) -> None:
    os.write(pipe[1], b"x")
    done = threading.Event()
    watches: list[int] = []

    def add() -> None:
        time.sleep(0.05)
        watches.append(default_loop.add_handle(pipe[0], READABLE, lambda *_: done.set()))

    thread = threading.Thread(target=add)
    thread.start()
    end = time.monotonic() + 5
    while not done.is_set() and time.monotonic() < end:
        default_loop.run_once()
    thread.join()
    assert done.is_set()


def test_a_signal_ends_the_wait(default_loop: PollLoop) -> None:
    caught: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _frame: caught.append(number))
    sender = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        sender.start()
        default_loop.run_once()  # nothing is registered: only the signal can end this
        assert caught == [signal.SIGUSR1]
        assert signal.set_wakeup_fd(-1) == -1  # given back
    finally:
        sender.join()
        signal.signal(signal.SIGUSR1, before)


def test_a_foreign_wakeup_descriptor_is_left_alone(
    default_loop: PollLoop, pipe: tuple[int, int]
) -> None:
    os.set_blocking(pipe[1], False)
    assert signal.set_wakeup_fd(pipe[1]) == -1
    try:
        default_loop.add_timeout(0, lambda *_: None)
        default_loop.run_once()
    finally:
        assert signal.set_wakeup_fd(-1) == pipe[1]


class Recorder:
    """A program's own loop."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def functions(self) -> tuple[Any, ...]:
        def noting(name: str, result: Any) -> Any:
            def function(*args: Any) -> Any:
                self.calls.append((name, *args))
                return result

            return function

        return (
            noting("add handle", 7),
            noting("update handle", None),
            noting("remove handle", 0),
            noting("add timeout", 9),
            noting("update timeout", None),
            noting("remove timeout", -1),
        )


def test_registered_loop_gets_callback_and_opaque(no_loop: None) -> None:
    recorder = Recorder()
    door.virEventRegisterImpl(*recorder.functions())
    seen: list[tuple[Any, ...]] = []
    data = {"cb": lambda *args: seen.append(args), "opaque": "mine"}
    assert door.virEventAddHandle(3, 5, data) == 7
    name, fd, events, invoke, opaque = recorder.calls[0]
    assert (name, fd, events) == ("add handle", 3, 5)
    assert invoke is libvirt._eventInvokeHandleCallback
    assert len(opaque) == 3
    invoke(7, 3, 1, opaque)
    invoke(7, 3, 2, opaque[0], opaque[1])  # as loops written for 0.9.2 do
    assert seen == [(7, 3, 1, "mine"), (7, 3, 2, "mine")]
    libvirt.virEventInvokeFreeCallback(opaque)
    assert door.virEventAddTimeout(10, data) == 9
    recorder.calls[1][2](9, recorder.calls[1][3])
    assert seen[-1] == (9, "mine")
    assert door.virEventRemoveTimeout(9) == 0  # whatever the function returned
    door.virEventUpdateHandle(7, 0)
    assert recorder.calls[-1] == ("update handle", 7, 0)


def test_second_python_loop_is_refused_and_after_the_default_ignored(no_loop: None) -> None:
    first, second = Recorder(), Recorder()
    with pytest.raises(TypeError):
        door.virEventRegisterImpl(1, 2, 3, 4, 5, 6)
    door.virEventRegisterDefaultImpl()
    door.virEventRegisterImpl(*first.functions())
    assert door.virEventAddTimeout(-1, {"cb": print, "opaque": None}) == 1
    assert first.calls == []
    with pytest.raises(RuntimeError, match="Event loop is already registered"):
        door.virEventRegisterImpl(*second.functions())


def test_without_a_loop_the_user_functions_fail(no_loop: None) -> None:
    data = {"cb": print, "opaque": None}
    assert door.virEventAddHandle(0, 1, data) == -1
    assert door.virEventAddTimeout(0, data) == -1
    assert door.virEventRemoveHandle(1) == -1
    assert door.virEventRemoveTimeout(1) == -1


def test_ensure_loop_starts_one_thread(no_loop: None) -> None:
    first = loops.ensure_loop()
    assert loops.ensure_loop() is first
    ran = threading.Event()
    where: list[str] = []

    def note(*_: object) -> None:
        where.append(threading.current_thread().name)
        ran.set()

    timer = first.add_timeout(0, note)
    assert ran.wait(5)
    first.remove_timeout(timer)
    assert where[0] == "libvirtcore-events"


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_starts_afresh(no_loop: None) -> None:
    parent = loops.ensure_loop()
    child = os.fork()
    if child == 0:
        try:
            mine = loops.ensure_loop()
            ran = threading.Event()
            mine.add_timeout(0, lambda *_: ran.set())
            os._exit(0 if mine is not parent and ran.wait(5) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    ran = threading.Event()
    timer = parent.add_timeout(0, lambda *_: ran.set())
    assert ran.wait(5)  # the parent's loop still works
    parent.remove_timeout(timer)
