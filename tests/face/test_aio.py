# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_aio.py: libvirtaio: handles, timers, freeing, other threads, and events of a connection."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import libvirt
import libvirtaio
import libvirtcore
from libvirtcore.events import loop as loops

PYTHON = str(Path(libvirtcore.__file__).parents[1])


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    os.close(read)
    os.close(write)


def run(main: Any) -> None:
    asyncio.run(asyncio.wait_for(main, 20))


def test_handles_in_the_loop(no_loop: None, pipe: tuple[int, int]) -> None:
    async def main() -> None:
        impl = libvirtaio.virEventRegisterAsyncIOImpl()
        assert libvirtaio.getCurrentImpl() is impl
        assert impl.is_idle()
        seen: asyncio.Queue[Any] = asyncio.Queue()

        def ready(watch: int, fd: int, events: int, opaque: str) -> None:
            os.read(fd, 1)
            seen.put_nowait((watch, fd, events, opaque))

        watch = libvirt.virEventAddHandle(pipe[0], libvirt.VIR_EVENT_HANDLE_READABLE, ready, "mine")
        assert repr(impl.callbacks[watch]) == f"<FDCallback iden={watch} fd={pipe[0]} event=1>"
        os.write(pipe[1], b"x")
        assert await seen.get() == (watch, pipe[0], 1, "mine")
        libvirt.virEventUpdateHandle(watch, 0)
        os.write(pipe[1], b"x")
        await asyncio.sleep(0.02)
        assert seen.empty()
        libvirt.virEventUpdateHandle(watch, libvirt.VIR_EVENT_HANDLE_READABLE)
        await seen.get()
        libvirt.virEventRemoveHandle(watch)
        assert not impl.is_idle()  # until the free callback has run
        await impl.drain()
        assert impl.is_idle()
        assert dict(impl.descriptors) == {}

    run(main())


def test_timers_in_the_loop(no_loop: None) -> None:
    async def main() -> None:
        impl = libvirtaio.virEventRegisterAsyncIOImpl()
        fired = 0
        done = asyncio.Event()

        def tick(timer: int, opaque: str) -> None:
            nonlocal fired
            assert opaque == "mine"
            fired += 1
            if fired == 3:
                libvirt.virEventUpdateTimeout(timer, -1)
                done.set()

        timer = libvirt.virEventAddTimeout(1, tick, "mine")
        await done.wait()
        await asyncio.sleep(0.02)
        assert fired == 3
        libvirt.virEventUpdateTimeout(timer, 0)
        libvirt.virEventRemoveTimeout(timer)
        await impl.drain()
        assert impl.is_idle()

    run(main())


def test_two_callbacks_of_one_descriptor_may_leave_while_called(
    no_loop: None, pipe: tuple[int, int]
) -> None:
    async def main() -> None:
        impl = libvirtaio.virEventRegisterAsyncIOImpl()
        seen: list[str] = []
        watches: list[int] = []

        def first(*_: Any) -> None:
            seen.append("first")
            for watch in watches:
                libvirt.virEventRemoveHandle(watch)

        watches.append(libvirt.virEventAddHandle(pipe[0], 1, first, None))
        watches.append(libvirt.virEventAddHandle(pipe[0], 1, lambda *_: seen.append("no"), None))
        os.write(pipe[1], b"x")
        await asyncio.sleep(0.05)
        assert seen == ["first"]
        await impl.drain()

    run(main())


def test_unknown_numbers(no_loop: None) -> None:
    impl = libvirtaio.virEventAsyncIOImpl(asyncio.new_event_loop())
    assert impl._remove_handle(99) == -1
    assert impl._remove_timeout(99) == -1
    assert repr(impl) == "<virEventAsyncIOImpl callbacks={} descriptors={}>"
    impl.loop.close()


def test_changes_from_other_threads_happen_in_the_loop(
    no_loop: None, pipe: tuple[int, int]
) -> None:
    async def main() -> None:
        impl = libvirtaio.virEventRegisterAsyncIOImpl()
        loop = asyncio.get_running_loop()
        where: list[int] = []
        done = asyncio.Event()

        def ready(watch: int, *_: Any) -> None:
            where.append(threading.get_ident())
            libvirt.virEventRemoveHandle(watch)
            done.set()

        def elsewhere() -> None:
            libvirt.virEventAddHandle(pipe[0], 1, ready, None)
            for _ in range(200):
                timer = libvirt.virEventAddTimeout(0, lambda *_: None, None)
                libvirt.virEventUpdateTimeout(timer, 5)
                libvirt.virEventRemoveTimeout(timer)

        os.write(pipe[1], b"x")
        await asyncio.gather(*(loop.run_in_executor(None, elsewhere) for _ in range(1)))
        await done.wait()
        assert where == [threading.get_ident()]
        await impl.drain()

    run(main())


def test_events_of_a_connection(no_loop: None) -> None:
    async def main() -> None:
        impl = libvirtaio.virEventRegisterAsyncIOImpl()
        conn = libvirt.open("test:///default")
        seen: asyncio.Queue[Any] = asyncio.Queue()

        def heard(conn: Any, dom: Any, event: int, detail: int, opaque: str) -> None:
            seen.put_nowait((dom.name(), event, opaque))

        number = conn.domainEventRegisterAny(None, 0, heard, "mine")
        assert not impl.is_idle()
        dom = conn.lookupByName("test")
        dom.suspend()
        await asyncio.get_running_loop().run_in_executor(None, dom.resume)
        assert await seen.get() == ("test", libvirt.VIR_DOMAIN_EVENT_SUSPENDED, "mine")
        assert await seen.get() == ("test", libvirt.VIR_DOMAIN_EVENT_RESUMED, "mine")
        conn.domainEventDeregisterAny(number)
        await impl.drain()
        assert impl.is_idle()
        del dom
        assert conn.close() == 0

    run(main())


def test_registered_before_the_loop_runs(no_loop: None) -> None:
    loop = asyncio.new_event_loop()
    try:
        impl = libvirtaio.virEventRegisterAsyncIOImpl(loop)
        assert impl.loop is loop
        fired = asyncio.Event()
        timer = libvirt.virEventAddTimeout(0, lambda *_: fired.set(), None)
        loop.run_until_complete(asyncio.wait_for(fired.wait(), 5))
        libvirt.virEventRemoveTimeout(timer)
        loop.run_until_complete(impl.drain())
        assert impl.is_idle()
    finally:
        loop.close()


def test_a_closed_loop_is_left_alone(no_loop: None) -> None:
    loop = asyncio.new_event_loop()
    libvirtaio.virEventRegisterAsyncIOImpl(loop)
    conn = libvirt.open("test:///default")
    conn.domainEventRegisterAny(None, 0, print, None)
    loop.close()
    conn.lookupByName("test").suspend()
    conn.lookupByName("test").resume()
    conn.domainEventDeregisterAny(next(iter(conn.domainEventCallbackID)))
    assert conn.close() == 0


def test_second_registration_is_refused(no_loop: None) -> None:
    async def main() -> None:
        libvirtaio.virEventRegisterAsyncIOImpl()
        with pytest.raises(RuntimeError, match="Event loop is already registered"):
            libvirtaio.virEventRegisterAsyncIOImpl()

    run(main())


def test_a_whole_program_ends_silently() -> None:
    script = f"""
import sys
sys.path.insert(0, {PYTHON!r})
import asyncio, libvirt, libvirtaio

async def main():
    libvirtaio.virEventRegisterAsyncIOImpl()
    conn = libvirt.open("test:///default")
    heard = asyncio.Event()
    conn.domainEventRegisterAny(None, 0, lambda *args: heard.set(), None)
    conn.lookupByName("test").suspend()
    await heard.wait()

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_fixture_left_nothing(no_loop: None) -> None:
    assert loops.registered() is None
