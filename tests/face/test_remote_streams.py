# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_remote_streams.py: streams over the wire: data, holes, the end, callbacks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import libvirtcore
from libvirtcore.drivers.remote.driver import RemoteDriver
from libvirtcore.drivers.remote.link import Link
from libvirtcore.drivers.remote.streams import RemoteStream
from libvirtcore.errors import VirError
from libvirtcore.events.poll import PollLoop
from libvirtcore.generated import constants as c
from libvirtcore.handles import ConnectHandle, StorageVolHandle, StreamHandle
from tests.face.fake_daemon import FakeDaemon

READABLE, WRITABLE = 1, 2


class Opened:
    """A volume's stream on a fake daemon."""

    def __init__(self, upload: bool, sparse: bool, nonblock: bool) -> None:
        self.daemon = FakeDaemon()
        self.driver = RemoteDriver(Link(self.daemon.client_end.detach()))
        self.conn = ConnectHandle(self.driver, "test:///fake")
        self.driver.conn = self.conn
        volume = StorageVolHandle(self.conn, "pool", "vol", "/key")
        self.handle = StreamHandle(self.conn, c.VIR_STREAM_NONBLOCK if nonblock else 0)
        call = self.driver.storage_vol_upload if upload else self.driver.storage_vol_download
        call(volume, 0, 0, 1 if sparse else 0, self.handle)
        self.impl: RemoteStream = self.handle.impl
        end = time.monotonic() + 5
        while not hasattr(self.daemon, "opened"):
            assert time.monotonic() < end
            time.sleep(0.001)
        self.head = self.daemon.opened

    def close(self) -> None:
        self.daemon.close()
        self.driver._detach()
        self.driver.client.close()

    def eventually(self, condition: Any) -> None:
        end = time.monotonic() + 5
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.001)


@pytest.fixture
def open_stream(no_loop: None) -> Iterator[Any]:
    made: list[Opened] = []

    def make(upload: bool = False, sparse: bool = False, nonblock: bool = False) -> Opened:
        made.append(Opened(upload, sparse, nonblock))
        return made[-1]

    yield make
    for one in made:
        one.close()


def code_of(failure: pytest.ExceptionInfo[VirError]) -> tuple[int, int]:
    return failure.value.code, failure.value.domain


def test_receive_to_the_end_and_finish(open_stream: Any) -> None:
    one = open_stream()
    one.daemon.stream(one.head, b"hello ")
    one.daemon.stream(one.head, b"world")
    one.daemon.end_of_stream(one.head)
    got = b""
    while piece := one.impl.recv(4):
        assert isinstance(piece, bytes)
        got += piece
    assert got == b"hello world"
    one.impl.finish()
    assert one.daemon.calls[-1][0] == "stream finish"


def test_send_and_finish(open_stream: Any) -> None:
    one = open_stream(upload=True)
    data = bytes(range(256)) * 4000
    assert one.impl.send(data) == len(data)
    one.impl.finish()
    assert b"".join(one.daemon.stream_data) == data


@pytest.mark.parametrize("ending", ["finish", "abort"])
@pytest.mark.parametrize("later", ["finish", "abort", "send", "recv"])
def test_after_the_end_everything_is_refused(open_stream: Any, ending: str, later: str) -> None:
    one = open_stream(upload=True)
    getattr(one.impl, ending)()
    with pytest.raises(VirError, match="operation failed: stream is closed") as failure:
        getattr(one.impl, later)(*{"send": (b"x",), "recv": (1,)}.get(later, ()))
    assert code_of(failure) == (c.VIR_ERR_OPERATION_FAILED, c.VIR_FROM_RPC)


def test_holes_are_received(open_stream: Any) -> None:
    one = open_stream(sparse=True)
    one.daemon.stream(one.head, b"data")
    one.daemon.hole(one.head, 1 << 40)
    one.daemon.stream(one.head, b"more")
    one.daemon.end_of_stream(one.head)
    stop = c.VIR_STREAM_RECV_STOP_AT_HOLE
    assert one.impl.recv_flags(100, stop) == b"data"
    assert one.impl.recv_flags(100, stop) == -3
    assert one.impl.recv_hole(0) == 1 << 40
    assert one.impl.recv_flags(100, stop) == b"more"
    assert one.impl.recv_flags(100, stop) == b""


def test_holes_read_as_zeros_without_the_flag(open_stream: Any) -> None:
    one = open_stream(sparse=True)
    one.daemon.hole(one.head, 5)
    one.daemon.stream(one.head, b"more")
    one.daemon.end_of_stream(one.head)
    got = b""
    while piece := one.impl.recv(3):
        assert isinstance(piece, bytes)
        got += piece
    assert got == b"\0" * 5 + b"more"


def test_holes_are_sent(open_stream: Any) -> None:
    one = open_stream(upload=True, sparse=True)
    one.impl.send(b"data")
    one.impl.send_hole(12345, 0)
    one.impl.finish()
    assert one.daemon.stream_data == [b"data", 12345]


def test_holes_need_a_sparse_stream(open_stream: Any) -> None:
    one = open_stream(upload=True)
    with pytest.raises(VirError, match="Skipping is not supported with this stream") as failure:
        one.impl.send_hole(1, 0)
    assert code_of(failure) == (c.VIR_ERR_OPERATION_INVALID, c.VIR_FROM_RPC)
    with pytest.raises(VirError, match="Holes are not supported with this stream"):
        one.impl.recv_hole(0)


def test_unknown_flags_are_refused(open_stream: Any) -> None:
    one = open_stream()
    with pytest.raises(VirError) as failure:
        one.impl.recv_flags(1, 5)
    assert failure.value.raw == (
        c.VIR_ERR_INVALID_ARG, c.VIR_FROM_REMOTE,
        "unsupported flags (0x4) in function remoteStreamRecvFlags", 2,
        "remoteStreamRecvFlags", "flags", None, 0, 0,
    )  # fmt: skip


def test_nonblocking_receive_says_would_block(open_stream: Any) -> None:
    one = open_stream(nonblock=True)
    assert one.impl.recv(10) == -2
    one.daemon.stream(one.head, b"x")
    one.eventually(lambda: one.impl.recv(10) == b"x")


def test_an_open_stream_is_aborted_when_freed(open_stream: Any) -> None:
    one = open_stream(upload=True)
    one.impl.free()
    one.impl.free()
    one.eventually(lambda: one.daemon.calls[-1][0] == "stream abort")


def test_free_after_the_connection_is_gone_is_silent(open_stream: Any) -> None:
    one = open_stream(upload=True)
    one.daemon.close()
    one.impl.free()


def test_deadline_holds_for_streams(open_stream: Any) -> None:
    one = open_stream()
    begin = time.monotonic()
    with pytest.raises(VirError) as failure, libvirtcore.timeout(0.1):
        one.impl.recv(1)
    assert failure.value.code == c.VIR_ERR_OPERATION_TIMEOUT
    assert time.monotonic() - begin < 2


def test_callback_fires_when_data_is_there(open_stream: Any) -> None:
    one = open_stream(nonblock=True)
    seen: list[Any] = []
    done = threading.Event()

    def ready(events: int) -> None:
        seen.append((events, one.impl.recv(100)))
        if seen[-1][1] == b"":
            one.impl.event_remove_callback()
            done.set()

    one.impl.event_add_callback(READABLE, ready)
    time.sleep(0.03)
    assert seen == []
    one.daemon.stream(one.head, b"first")
    one.eventually(lambda: len(seen) == 1)
    one.daemon.stream(one.head, b"second")
    one.daemon.end_of_stream(one.head)
    assert done.wait(5)
    assert seen == [(1, b"first"), (1, b"second"), (1, b"")]


def test_writable_fires_again_and_again_until_removed(
    default_loop: PollLoop, open_stream: Any
) -> None:
    one = open_stream(upload=True, nonblock=True)
    seen: list[int] = []
    one.impl.event_add_callback(READABLE | WRITABLE, seen.append)
    for _ in range(3):
        default_loop.run_once()
    assert set(seen) == {WRITABLE}
    assert len(seen) >= 2
    one.impl.event_update_callback(READABLE)
    seen.clear()
    guard = default_loop.add_timeout(10, lambda *_: None)
    default_loop.run_once()
    assert seen == []
    one.impl.event_remove_callback()
    default_loop.remove_timeout(guard)
    assert default_loop._timers == {}


def test_one_callback_a_stream(open_stream: Any) -> None:
    one = open_stream(nonblock=True)
    for method, args in (("event_remove_callback", ()), ("event_update_callback", (1,))):
        with pytest.raises(VirError, match="no stream callback registered") as failure:
            getattr(one.impl, method)(*args)
        assert code_of(failure) == (c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_RPC)
    one.impl.event_add_callback(READABLE, print)
    with pytest.raises(VirError, match="multiple stream callbacks not supported"):
        one.impl.event_add_callback(READABLE, print)
    one.impl.event_remove_callback()
    one.impl.event_add_callback(READABLE, print)


def test_loss_of_the_connection_reaches_the_callback(open_stream: Any) -> None:
    one = open_stream(nonblock=True)
    seen: list[int] = []
    failed = threading.Event()

    def ready(events: int) -> None:
        seen.append(events)
        try:
            one.impl.recv(1)
        except VirError:
            one.impl.event_remove_callback()
            failed.set()

    one.impl.event_add_callback(READABLE, ready)
    one.daemon.close()
    assert failed.wait(5)
    assert seen[0] & (4 | 8)
