# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_streams.py: the door's functions on streams, open and not."""

from __future__ import annotations

from typing import Any

import pytest

import libvirtmod
from libvirtcore import errors
from libvirtcore.handles import StreamHandle
from tests.api.conftest import World


class Half:
    """The driver's half of a stream, noting what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        def method(*args: Any) -> Any:
            self.told.append((name, *args))
            return {"send": 3, "recv": b"abc", "recv_flags": -3, "recv_hole": 4096}.get(name)

        return method


@pytest.fixture
def half(world: World) -> Half:
    world.stream.impl = Half()
    return world.stream.impl  # type: ignore[no-any-return]


def test_new_stream_belongs_to_its_connection(world: World) -> None:
    stream = libvirtmod.virStreamNew(world.conn, 1)
    assert isinstance(stream, StreamHandle)
    assert (stream.conn, stream.flags, stream.impl) == (world.conn, 1, None)


UNOPENED = [
    ("virStreamSend", (b"x",)),
    ("virStreamRecv", (5,)),
    ("virStreamRecvFlags", (5, 0)),
    ("virStreamSendHole", (5, 0)),
    ("virStreamRecvHole", (0,)),
    ("virStreamFinish", ()),
    ("virStreamEventAddCallback", (1, {})),
    ("virStreamEventUpdateCallback", (1,)),
    ("virStreamEventRemoveCallback", ()),
]


@pytest.mark.parametrize(("function", "args"), UNOPENED)
def test_stream_that_no_call_opened(world: World, function: str, args: tuple[Any, ...]) -> None:
    assert getattr(libvirtmod, function)(world.stream, *args) in (-1, None)
    error = errors.last_error()
    assert error is not None
    assert (error.code, error.domain, error.str2) == (3, 38, function)


def test_stream_that_no_call_opened_can_be_aborted(world: World) -> None:
    assert libvirtmod.virStreamAbort(world.stream) == 0


def test_open_stream(world: World, half: Half) -> None:
    assert libvirtmod.virStreamSend(world.stream, b"abc") == 3
    assert libvirtmod.virStreamSend(world.stream, bytearray(b"abc")) == 3
    assert libvirtmod.virStreamRecv(world.stream, 5) == b"abc"
    assert libvirtmod.virStreamRecvFlags(world.stream, 5, 1) == -3
    assert libvirtmod.virStreamSendHole(world.stream, 1 << 40, 0) == 0
    assert libvirtmod.virStreamRecvHole(world.stream, 0) == 4096
    assert libvirtmod.virStreamFinish(world.stream) == 0
    assert libvirtmod.virStreamAbort(world.stream) == 0
    assert half.told == [
        ("send", b"abc"),
        ("send", b"abc"),
        ("recv", 5),
        ("recv_flags", 5, 1),
        ("send_hole", 1 << 40, 0),
        ("recv_hole", 0),
        ("finish",),
        ("abort",),
    ]


def test_stream_takes_bytes_only(world: World, half: Half) -> None:
    for wrong in (5, None, [1]):
        with pytest.raises(TypeError):
            libvirtmod.virStreamSend(world.stream, wrong)
    assert half.told == []


def test_stream_reads_no_negative_number_of_bytes(world: World, half: Half) -> None:
    assert libvirtmod.virStreamRecv(world.stream, -1) is None
    assert half.told == []


def test_stream_events_reach_the_dispatcher_of_the_face(world: World, half: Half) -> None:
    seen: list[Any] = []

    class Face:
        def _dispatchStreamEventCallback(self, events: int, data: Any) -> None:
            seen.append((events, data["opaque"]))

    data = {"stream": Face(), "opaque": "o"}
    assert libvirtmod.virStreamEventAddCallback(world.stream, 3, data) == 0
    name, events, deliver = half.told[0]
    assert (name, events) == ("event_add_callback", 3)
    deliver(1)
    assert seen == [(1, "o")]


def test_freeing_a_stream_aborts_it(world: World, half: Half) -> None:
    assert libvirtmod.virStreamFree(world.stream) == 0
    assert half.told == [("free",)]
    assert libvirtmod.virStreamFinish(world.stream) == -1


def test_call_that_opens_a_stream_gets_its_handle_last(world: World) -> None:
    world.says(domain_open_console=None, domain_screenshot="image/png")
    assert libvirtmod.virDomainOpenConsole(world.dom, None, world.stream, 0) == 0
    assert libvirtmod.virDomainScreenshot(world.dom, world.stream, 0, 0) == "image/png"
    assert world.driver.calls == [
        ("domain_open_console", world.dom, None, 0, world.stream),
        ("domain_screenshot", world.dom, 0, 0, world.stream),
    ]
