# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_pure_parts.py: the pure client's parts that do no I/O: framing, calls, keepalive."""

from __future__ import annotations

import os
import struct

import pytest

from libvirtcore.errors import VirError
from libvirtcore.generated.tables import PROGRAMS
from libvirtcore.rpc.pure_calls import Call, Calls
from libvirtcore.rpc.pure_frame import (
    CALL,
    CALL_WITH_FDS,
    MESSAGE,
    OK,
    REPLY,
    Frame,
    FrameReader,
    check_size,
    pack,
)
from libvirtcore.rpc.pure_keepalive import Keepalive

REMOTE = 0x20008086
FRAMES = [
    Frame(REMOTE, 1, 66, CALL, 0, OK),
    Frame(REMOTE, 1, 4, REPLY, 2**32 - 1, OK, struct.pack(">Q", 7)),
    Frame(0x6B656570, 1, 1, MESSAGE, 0, OK),
    Frame(REMOTE, 1, 9999, 99, 5, 42, b"x" * 1000),
]


def test_frame_is_these_words() -> None:
    words = (
        0x24,  # length, all included
        0x20008086,  # program
        1,  # version
        4,  # procedure
        1,  # type: reply
        2,  # serial
        0,  # status: ok
        0,  # payload
        7,
    )
    frame = Frame(REMOTE, 1, 4, REPLY, 2, OK, struct.pack(">Q", 7))
    assert pack(frame) == struct.pack(">9I", *words)


@pytest.mark.parametrize("frame", FRAMES)
def test_frame_fed_whole(frame: Frame) -> None:
    reader = FrameReader()
    reader.feed(pack(frame))
    assert reader.next() == frame
    assert reader.next() is None


@pytest.mark.parametrize("frame", FRAMES)
def test_frame_fed_byte_by_byte(frame: Frame) -> None:
    reader = FrameReader()
    data = pack(frame)
    for at in range(len(data) - 1):
        reader.feed(data[at : at + 1])
        assert reader.next() is None
    reader.feed(data[-1:])
    assert reader.next() == frame


def test_frames_glued_together() -> None:
    reader = FrameReader()
    reader.feed(b"".join(map(pack, FRAMES * 3)) + b"\0\0")
    assert [reader.next() for _ in range(12)] == FRAMES * 3
    assert reader.next() is None
    assert reader.left == 2


@pytest.mark.parametrize("frame", FRAMES)
def test_frame_truncated_at_each_length(frame: Frame) -> None:
    data = pack(frame)
    for end in range(0, len(data), 1 if len(data) < 100 else 50):
        reader = FrameReader()
        reader.feed(data[:end])
        assert reader.next() is None
        assert reader.left == end


def test_frame_takes_its_descriptors() -> None:
    reader = FrameReader()
    fds = (os.dup(0), os.dup(0))
    data = pack(Frame(REMOTE, 1, 5, CALL_WITH_FDS, 1, OK, b"abcd", fds))
    assert data[28:] == b"\0\0\0\2abcd"
    reader.feed(data)
    reader.feed(b"\0", fds[:1])
    assert reader.next() is None
    reader.feed(b"\0", fds[1:])
    frame = reader.next()
    assert frame is not None
    assert (frame.payload, frame.fds) == (b"abcd", fds)
    for fd in fds:
        os.close(fd)


def test_frame_reader_closes_descriptors_of_no_message() -> None:
    fd = os.dup(0)
    reader = FrameReader()
    reader.feed(b"\0", [fd])
    with pytest.raises(VirError, match="1 descriptors came that belong to no message"):
        reader.next()
    reader.close()
    with pytest.raises(OSError):
        os.fstat(fd)


def test_frame_of_the_largest_size() -> None:
    check_size(Frame(REMOTE, 1, 4, CALL, 0, OK, bytes(33554432 - 24)))
    with pytest.raises(VirError, match="exceed"):
        check_size(Frame(REMOTE, 1, 4, CALL, 0, OK, bytes(33554432 - 23)))


def version_call() -> Call:
    procedure = PROGRAMS[REMOTE].procedures[4]
    assert procedure is not None
    return Call(REMOTE, 1, 4, procedure)


def test_calls_keep_the_limit_until_answered() -> None:
    calls = Calls(2)
    first, second, third = version_call(), version_call(), version_call()
    assert calls.add(first)
    assert calls.add(second)
    assert not calls.add(third)
    calls.abandon(first)
    assert not calls.add(third), "the daemon still works on it"
    assert calls.answer(FRAMES[1]._replace(serial=first.serial)) is None
    assert calls.add(third)
    assert [first.serial, second.serial, third.serial] == [0, 1, 2]
    assert calls.answer(FRAMES[1]._replace(serial=1)) is second
    assert second.done
    assert calls.in_flight == 1


def test_calls_take_serials_around_the_end() -> None:
    calls = Calls(4)
    stuck = version_call()
    calls.add(stuck)
    calls._next_serial = 2**32 - 1
    after = [version_call() for _ in range(2)]
    for call in after:
        calls.add(call)
    assert [call.serial for call in after] == [2**32 - 1, 1]


def test_keepalive_pings_and_gives_up() -> None:
    watch = Keepalive()
    assert watch.due(100.0) is None
    assert watch.tick(1e9) == ""
    watch.start(5, 2, 100.0)
    assert watch.due(101.0) == 4.0
    steps = [(104.9, ""), (105.0, "ping"), (109.0, ""), (110.0, "ping"), (115.0, "dead")]
    assert [(now, watch.tick(now)) for now, _ in steps] == steps


def test_keepalive_starts_over_at_any_sign_of_life() -> None:
    watch = Keepalive()
    watch.start(5, 1, 100.0)
    assert watch.tick(105.0) == "ping"
    watch.received(106.0)
    assert [watch.tick(now) for now in (110.0, 111.0, 115.0, 116.0)] == ["", "ping", "", "dead"]
