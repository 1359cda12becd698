# SPDX-License-Identifier: LGPL-2.1-or-later
"""streams.py: the door's functions on streams.

A stream does nothing until a call that takes one has opened it; then the driver's half is in the
handle.
Called by: libvirtmod. Calls: the driver's Stream.
Never: copies data.
"""

from __future__ import annotations

from libvirtcore.api import args as arg
from libvirtcore.api.call import Row, run
from libvirtcore.drivers.support import no_support
from libvirtcore.errors import invalid_argument
from libvirtcore.generated import api_table as row
from libvirtcore.handles import StreamHandle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from libvirtcore.drivers.base import Stream

__all__ = [
    "virStreamAbort",
    "virStreamEventAddCallback",
    "virStreamEventRemoveCallback",
    "virStreamEventUpdateCallback",
    "virStreamFinish",
    "virStreamFree",
    "virStreamNew",
    "virStreamRecv",
    "virStreamRecvFlags",
    "virStreamRecvHole",
    "virStreamSend",
    "virStreamSendHole",
]


def _opened(facts: Row, stream: Any) -> Stream:
    if stream.impl is None:
        raise no_support(facts.name, facts.domain)
    return stream.impl  # type: ignore[no-any-return]


def _ask(facts: Row, act: Callable[..., Any], stream: Any, *args: Any) -> Any:
    """Have the driver's half do something and return what it says."""

    def body(_driver: Any, stream: Any, *args: Any) -> Any:
        return act(_opened(facts, stream), *args)

    return run(facts, body, stream, *args)


def _tell(facts: Row, act: Callable[..., None], stream: Any, *args: Any) -> Any:
    """The same for what says nothing: 0."""

    def body(_driver: Any, stream: Any, *args: Any) -> int:
        act(_opened(facts, stream), *args)
        return 0

    return run(facts, body, stream, *args)


def virStreamNew(connect: Any, flags: Any, /) -> Any:
    def body(driver: Any, conn: Any, flags: int) -> StreamHandle:
        stream = StreamHandle(conn, flags)
        driver.stream_new(stream)
        return stream

    return run(row.virStreamNew, body, connect, arg.u32(flags))


def virStreamFree(stream: Any, /) -> Any:
    def body(_driver: Any, stream: Any) -> int:
        if stream.impl is not None:
            stream.impl.free()
        stream.free()
        return 0

    return run(row.virStreamFree, body, stream)


def virStreamSend(stream: Any, data: Any, /) -> Any:
    """Bytes taken, -2 when a non-blocking stream would wait."""
    return _ask(row.virStreamSend, lambda impl, data: impl.send(data), stream, _stream_data(data))


def _stream_data(value: Any) -> bytes:
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if value is None or isinstance(value, str):
        raise TypeError(f"a bytes-like object is required, not '{type(value).__name__}'")
    return arg.data(value, "virStreamSend", 2) or b""


def _size(facts: Row, nbytes: int) -> None:
    if nbytes < 0:
        message = f"nbytes in {facts.name} must be zero or greater"
        raise invalid_argument(facts.name, "nbytes", message, facts.domain)


def virStreamRecv(stream: Any, nbytes: Any, /) -> Any:
    """Data, b"" at the end, -2 when a non-blocking stream would wait."""
    facts = row.virStreamRecv

    def act(impl: Stream, nbytes: int) -> Any:
        _size(facts, nbytes)
        return impl.recv(nbytes)

    return _ask(facts, act, stream, arg.i32(nbytes))


def virStreamRecvFlags(stream: Any, nbytes: Any, flags: Any, /) -> Any:
    """The same, -3 at a hole if the flags ask to stop there."""
    facts = row.virStreamRecvFlags

    def act(impl: Stream, nbytes: int, flags: int) -> Any:
        _size(facts, nbytes)
        return impl.recv_flags(nbytes, flags)

    return _ask(facts, act, stream, arg.i32(nbytes), arg.u32(flags))


def virStreamSendHole(stream: Any, length: Any, flags: Any, /) -> Any:
    return _tell(
        row.virStreamSendHole,
        lambda impl, *args: impl.send_hole(*args),
        stream,
        arg.i64(length),
        arg.u32(flags),
    )


def virStreamRecvHole(stream: Any, flags: Any, /) -> Any:
    """Length of the hole."""
    return _ask(
        row.virStreamRecvHole, lambda impl, flags: impl.recv_hole(flags), stream, arg.u32(flags)
    )


def virStreamFinish(stream: Any, /) -> Any:
    return _tell(row.virStreamFinish, lambda impl: impl.finish(), stream)


def virStreamAbort(stream: Any, /) -> Any:
    """Also a stream that was never opened can be aborted."""

    def body(_driver: Any, stream: Any) -> int:
        if stream.impl is not None:
            stream.impl.abort()
        return 0

    return run(row.virStreamAbort, body, stream)


def virStreamEventAddCallback(stream: Any, events: Any, cbData: Any, /) -> Any:
    """Events go to `cbData["stream"]._dispatchStreamEventCallback`."""

    def deliver(events: int) -> object:
        return cbData["stream"]._dispatchStreamEventCallback(events, cbData)

    return _tell(
        row.virStreamEventAddCallback,
        lambda impl, events: impl.event_add_callback(events, deliver),
        stream,
        arg.i32(events),
    )


def virStreamEventUpdateCallback(stream: Any, events: Any, /) -> Any:
    return _tell(
        row.virStreamEventUpdateCallback,
        lambda impl, events: impl.event_update_callback(events),
        stream,
        arg.i32(events),
    )


def virStreamEventRemoveCallback(stream: Any, /) -> Any:
    return _tell(
        row.virStreamEventRemoveCallback, lambda impl: impl.event_remove_callback(), stream
    )
