# SPDX-License-Identifier: LGPL-2.1-or-later
"""stream.py: virStream: the loops over send and recv, and callbacks.

Called by: libvirt.py. Calls: libvirtmod. Never: buffers data between calls.
"""

from __future__ import annotations

import libvirtmod
from libvirtcore.errors import libvirtError
from libvirtcore.generated.constants import VIR_STREAM_RECV_STOP_AT_HOLE
from libvirtcore.generated.wrappers_stream import virStream as StreamMethods
from libvirtcore.objects.base import Wrapper
from libvirtcore.objects.classes import virStorageVol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, TypeVar

    from typing_extensions import Self

    _T = TypeVar("_T")


class virStream(StreamMethods, Wrapper):
    """A stream of data to or from the other side.

    As a context manager it is finished at the end of the block, or aborted when the block raises.
    """

    def __del__(self) -> None:
        handle = self.__dict__.get("_o")
        if handle is not None:
            self._o = None
            impl, handle.impl = handle.impl, None
            if impl is not None:
                impl.free()
            handle.free()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._o is None or self._o.impl is None or getattr(self._o.impl, "closed", False):
            return
        if exc_type is None:
            self.finish()
        else:
            self._abort_quietly()

    def _dispatchStreamEventCallback(self, events: int, cbData: dict[str, Any]) -> int:
        """The stream is ready for one of the events waited for."""
        cbData["cb"](self, events, cbData["opaque"])
        return 0

    def eventAddCallback(
        self, events: int, cb: Callable[[virStream, int, _T], None], opaque: _T
    ) -> None:
        """Call back, from the event loop, whenever the stream is ready for one of `events`."""
        self.cb = cb
        data = {"stream": self, "cb": cb, "opaque": opaque}
        if libvirtmod.virStreamEventAddCallback(self._o, events, data) == -1:
            raise libvirtError("virStreamEventAddCallback() failed")

    def recvAll(self, handler: Callable[[virStream, bytes, _T], object], opaque: _T) -> None:
        """Receive until the end, giving each piece to `handler(stream, data, opaque)`.

        A handler that raises or returns a negative number aborts the stream. Not for
        non-blocking streams.
        """
        while True:
            got: Any = self.recv(virStorageVol.streamBufSize)
            if got == -2:
                raise libvirtError("cannot use recvAll with nonblocking stream")
            if not got:
                return
            self._ask("recvAll handler", handler, got, opaque)

    def sendAll(self, handler: Callable[[virStream, int, _T], bytes | None], opaque: _T) -> None:
        """Send what `handler(stream, nbytes, opaque)` gives until it gives nothing.

        A handler that raises aborts the stream. Not for non-blocking streams.
        """
        while True:
            data = self._ask("sendAll handler", handler, virStorageVol.streamBufSize, opaque)
            if not data:
                return
            self._send_whole(data, "sendAll")

    def sparseRecvAll(
        self,
        handler: Callable[[virStream, bytes, _T], object],
        holeHandler: Callable[[virStream, int, _T], object],
        opaque: _T,
    ) -> None:
        """As recvAll, and give the length of each hole to `holeHandler(stream, length, opaque)`."""
        while True:
            got = self.recvFlags(virStorageVol.streamBufSize, VIR_STREAM_RECV_STOP_AT_HOLE)
            if got == -2:
                raise libvirtError("cannot use sparseRecvAll with nonblocking stream")
            if got == -3:
                length = self.recvHole()
                self._ask("holeHandler handler", holeHandler, length, opaque)
            elif isinstance(got, int):
                raise ValueError(got)
            elif not isinstance(got, bytes):
                raise TypeError(type(got))
            elif not got:
                return
            else:
                self._ask("sparseRecvAll handler", handler, got, opaque)

    def sparseSendAll(
        self,
        handler: Callable[[virStream, int, _T], bytes | int | None],
        holeHandler: Callable[[virStream, _T], tuple[bool, int]],
        skipHandler: Callable[[virStream, int, _T], object],
        opaque: _T,
    ) -> None:
        """As sendAll, without sending holes.

        `holeHandler(stream, opaque)` tells whether the source stands in data and how long that
        section is; `skipHandler(stream, length, opaque)` moves the source over a hole.
        """
        while True:
            in_data, length = self._ask("sparseSendAll holeHandler", holeHandler, opaque)
            if not in_data and length > 0:
                self.sendHole(length)
                self._ask("sparseSendAll skipHandler", skipHandler, length, opaque)
                continue
            want = min(virStorageVol.streamBufSize, length)
            data = self._ask("sparseSendAll handler", handler, want, opaque)
            if not data:
                return
            self._send_whole(data, "sparseSendAll")

    def _ask(self, name: str, handler: Callable[..., Any], *args: Any) -> Any:
        """Call a handler; when it fails the stream is aborted."""
        try:
            result = handler(self, *args)
            if type(result) is int and result < 0:
                raise RuntimeError(f"{name} returned {result}")
        except BaseException:
            self._abort_quietly()
            raise
        return result

    def _send_whole(self, data: bytes, method: str) -> None:
        if not isinstance(data, (bytes, bytearray, memoryview)):
            self._abort_quietly()
            raise TypeError(f"{method} handler returned {type(data).__name__}, not bytes")
        while data:
            sent = self.send(data)
            if sent == -2:
                raise libvirtError(f"cannot use {method} with nonblocking stream")
            data = data[sent:]

    def _abort_quietly(self) -> None:
        try:
            self.abort()
        except libvirtError:
            pass  # what made us abort is what the caller should hear of


virStream.__module__ = "libvirt"
