# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_stream_class.py: virStream: the loops over send and recv, their handlers, and its life."""

from __future__ import annotations

import gc
from typing import Any

import pytest

import libvirt
from libvirtcore.errors import report
from libvirtcore.handles import ConnectHandle, StreamHandle


class Memory:
    """The driver's half of a stream, in memory. `incoming`: data, or the length of a hole."""

    def __init__(self, *incoming: bytes | int, nonblock: bool = False) -> None:
        self.incoming: list[bytes | int] = list(incoming)
        self.sent: list[bytes | int] = []
        self.nonblock = nonblock
        self.most = 1 << 30
        self.end = ""
        self.closed = False
        self.deliver: Any = None

    def _check(self) -> None:
        if self.closed:
            raise report(libvirt.VIR_ERR_OPERATION_FAILED, libvirt.VIR_FROM_RPC, "stream is closed")

    def send(self, data: bytes) -> int:
        self._check()
        if self.nonblock:
            return -2
        self.sent.append(data[: self.most])
        return len(data[: self.most])

    def recv(self, nbytes: int) -> bytes | int:
        return self.recv_flags(nbytes, 0)

    def recv_flags(self, nbytes: int, flags: int) -> bytes | int:
        self._check()
        if self.nonblock:
            return -2
        if not self.incoming:
            return b""
        if isinstance(self.incoming[0], int):
            return -3
        data = self.incoming.pop(0)
        assert isinstance(data, bytes)
        return data[:nbytes]

    def send_hole(self, length: int, flags: int) -> None:
        self.sent.append(length)

    def recv_hole(self, flags: int) -> int:
        length = self.incoming.pop(0)
        assert isinstance(length, int)
        return length

    def finish(self) -> None:
        self._check()
        self.end, self.closed = "finish", True

    def abort(self) -> None:
        self._check()
        self.end, self.closed = "abort", True

    def event_add_callback(self, events: int, deliver: Any) -> None:
        self.deliver = deliver

    def event_update_callback(self, events: int) -> None: ...

    def event_remove_callback(self) -> None:
        self.deliver = None

    def free(self) -> None:
        self.deliver = None
        if not self.closed:
            self.end, self.closed = "freed", True


@pytest.fixture
def conn() -> Any:
    connection = libvirt.open("test:///default")
    yield connection
    connection.close()


def stream(conn: Any, impl: Memory | None = None) -> libvirt.virStream:
    opened: libvirt.virStream = conn.newStream()
    opened._o.impl = impl
    return opened


def fail(*_: object) -> Any:
    raise ValueError("from the handler")


def test_recv_all_gives_each_piece(conn: Any) -> None:
    memory = Memory(b"one", b"two")
    opened, seen = stream(conn, memory), []
    opened.recvAll(lambda *args: seen.append(args), "mine")
    assert seen == [(opened, b"one", "mine"), (opened, b"two", "mine")]
    assert memory.end == ""  # finishing is the caller's


@pytest.mark.parametrize(
    ("handler", "error", "text"),
    [
        (fail, ValueError, "from the handler"),
        (lambda *_: -1, RuntimeError, "recvAll handler returned -1"),
    ],
)
def test_recv_all_aborts_when_its_handler_fails(
    conn: Any, handler: Any, error: type[Exception], text: str
) -> None:
    memory = Memory(b"one", b"two")
    opened = stream(conn, memory)
    with pytest.raises(error, match=text):
        opened.recvAll(handler, None)
    assert memory.end == "abort"
    with pytest.raises(libvirt.libvirtError, match="stream is closed"):
        opened.recv(1)


def test_send_all_sends_whole_pieces_until_nothing_comes(conn: Any) -> None:
    memory = Memory()
    memory.most = 3
    pieces: list[Any] = [b"abcdefgh", b"ij", None]
    wanted = []

    def source(_stream: Any, nbytes: int, opaque: str) -> Any:
        wanted.append((nbytes, opaque))
        return pieces.pop(0)

    stream(conn, memory).sendAll(source, "mine")
    assert memory.sent == [b"abc", b"def", b"gh", b"ij"]
    assert wanted == [(262120, "mine")] * 3


def test_send_all_aborts_when_its_handler_fails(conn: Any) -> None:
    memory = Memory()
    with pytest.raises(ValueError, match="from the handler"):
        stream(conn, memory).sendAll(fail, None)
    assert memory.end == "abort"


@pytest.mark.parametrize("given", ["text", 5, ["x"]])
def test_only_bytes_are_sent(conn: Any, given: Any) -> None:
    for method, others in (("sendAll", []), ("sparseSendAll", [lambda *_: (True, 5), fail])):
        memory = Memory()
        with pytest.raises(TypeError, match="handler returned"):
            getattr(stream(conn, memory), method)(lambda *_: given, *others, None)
        assert (memory.sent, memory.end) == ([], "abort")


def test_sparse_receive(conn: Any) -> None:
    memory = Memory(b"data", 1000, b"more")
    seen: list[Any] = []
    stream(conn, memory).sparseRecvAll(
        lambda _s, data, _o: seen.append(data), lambda _s, length, _o: seen.append(length), None
    )
    assert seen == [b"data", 1000, b"more"]


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    ("handler", "error", "text"),
    [
        (fail, ValueError, "from the handler"),
        (lambda *_: -5, RuntimeError, "handler returned -5"),
    ],
)
def test_sparse_receive_aborts_when_a_handler_fails(
    conn: Any, place: int, handler: Any, error: type[Exception], text: str
) -> None:
    memory = Memory(b"data", 1000, b"more")
    handlers: list[Any] = [lambda *_: None, lambda *_: None]
    handlers[place] = handler
    with pytest.raises(error, match=text):
        stream(conn, memory).sparseRecvAll(handlers[0], handlers[1], None)
    assert memory.end == "abort"


def test_sparse_send(conn: Any) -> None:
    memory = Memory()
    sections = [(True, 10), (False, 1000), (True, 5), (False, 0)]
    skipped: list[int] = []

    def source(_stream: Any, nbytes: int, _opaque: Any) -> bytes:
        if sections:
            sections.pop(0)
        return b"x" * nbytes

    def hole(_stream: Any, _opaque: Any) -> tuple[bool, int]:
        return sections[0] if sections else (True, 0)

    def skip(_stream: Any, length: int, _opaque: Any) -> None:
        sections.pop(0)
        skipped.append(length)

    stream(conn, memory).sparseSendAll(source, hole, skip, None)
    assert memory.sent == [b"x" * 10, 1000, b"x" * 5]
    assert skipped == [1000]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_sparse_send_aborts_when_a_handler_fails(conn: Any, place: int) -> None:
    memory = Memory()
    handlers: list[Any] = [lambda *_: b"x", lambda *_: (place != 2, 5), lambda *_: 0]
    handlers[place] = fail
    with pytest.raises(ValueError, match="from the handler"):
        stream(conn, memory).sparseSendAll(handlers[0], handlers[1], handlers[2], None)
    assert memory.end == "abort"


@pytest.mark.parametrize(
    ("method", "handlers"),
    [
        ("recvAll", [lambda *_: 0]),
        ("sendAll", [lambda *_: b"x"]),
        ("sparseRecvAll", [lambda *_: 0, lambda *_: 0]),
        ("sparseSendAll", [lambda *_: b"x", lambda *_: (True, 1), lambda *_: 0]),
    ],
)
def test_the_loops_refuse_nonblocking_streams(conn: Any, method: str, handlers: list[Any]) -> None:
    opened = stream(conn, Memory(nonblock=True))
    with pytest.raises(libvirt.libvirtError, match=f"cannot use {method} with nonblocking stream"):
        getattr(opened, method)(*handlers, None)


def test_unused_stream_can_only_be_aborted(conn: Any) -> None:
    opened = stream(conn)
    for method, args in (
        ("recv", (1,)), ("recvFlags", (1,)), ("recvHole", ()), ("send", (b"x",)),
        ("sendHole", (1,)), ("finish", ()), ("eventUpdateCallback", (1,)),
        ("eventRemoveCallback", ()), ("eventAddCallback", (1, print, None)),
    ):  # fmt: skip
        with pytest.raises(libvirt.libvirtError) as failure:
            getattr(opened, method)(*args)
        name = f"virStream{method[0].upper()}{method[1:]}"
        assert failure.value.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT
        assert failure.value.get_error_domain() == libvirt.VIR_FROM_STREAMS
        assert failure.value.get_str2() == name
    assert opened.abort() == 0


def test_callback_gets_stream_events_opaque(conn: Any) -> None:
    memory = Memory()
    opened, seen = stream(conn, memory), []
    callback = lambda *args: seen.append(args)  # noqa: E731
    opened.eventAddCallback(3, callback, "mine")
    assert opened.cb is callback
    memory.deliver(2)
    assert seen == [(opened, 2, "mine")]
    opened.eventRemoveCallback()
    assert memory.deliver is None


def test_context_manager_finishes_or_aborts(conn: Any) -> None:
    memory = Memory()
    with stream(conn, memory) as opened:
        opened.send(b"x")
    assert memory.end == "finish"
    memory = Memory()
    with pytest.raises(KeyError), stream(conn, memory):
        raise KeyError
    assert memory.end == "abort"
    memory = Memory()
    with stream(conn, memory) as opened:
        opened.finish()
    assert memory.end == "finish"


def test_dropped_stream_gives_everything_back() -> None:
    class Driver:
        def connect_close(self) -> None: ...

    handle = ConnectHandle(Driver(), "x:///")  # type: ignore[arg-type]
    owner = libvirt.virConnect(handle)
    memory = Memory()
    opened = libvirt.virStream(owner, StreamHandle(handle))
    opened._o.impl = memory
    assert len(handle.refs) == 2
    del opened
    gc.collect()
    assert memory.end == "freed"
    assert len(handle.refs) == 1
