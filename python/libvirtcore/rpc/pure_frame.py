# SPDX-License-Identifier: LGPL-2.1-or-later
"""pure_frame.py: a byte stream to whole messages and back, without I/O.

    u32 length of everything, itself included
    u32 program, u32 version, u32 procedure, u32 type, u32 serial, u32 status
    [u32 number of descriptors, for the two *_WITH_FDS types]
    payload
    [one byte for each descriptor, which travels beside it]

Called by: pure_client (client), tests (server), explain. Calls: the generated limits.
Never: reads a socket; believes a length before it is compared with the limit; keeps a descriptor
that no message announced.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import VIR_ERR_RPC, VIR_FROM_RPC
from libvirtcore.generated.limits import (
    VIR_NET_MESSAGE_LEN_MAX,
    VIR_NET_MESSAGE_MAX,
    VIR_NET_MESSAGE_NUM_FDS_MAX,
)

CALL, REPLY, MESSAGE, STREAM, CALL_WITH_FDS, REPLY_WITH_FDS, STREAM_HOLE = range(7)
OK, ERROR, CONTINUE = range(3)

_LENGTH = struct.Struct(">I")
_HEAD = struct.Struct(">IIIIIII")  # the length word and the header
_SHOWN = 120  # characters of a text peer's greeting in an error
_LOOKED_AT = 4096


class Frame(NamedTuple):
    """One message. `fds` belong to whoever takes the frame."""

    program: int
    version: int
    proc: int
    type: int
    serial: int
    status: int
    payload: bytes = b""
    fds: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        counted = 4 if self.type in (CALL_WITH_FDS, REPLY_WITH_FDS) else 0
        return _HEAD.size + counted + len(self.payload)


def check_size(frame: Frame) -> None:
    """Raises VirError when a message is larger than a peer takes."""
    size = frame.size - VIR_NET_MESSAGE_LEN_MAX
    if size > VIR_NET_MESSAGE_MAX:
        raise rpc_error(
            f"Unable to encode message payload: message of {size} bytes"
            f" exceeds the limit of {VIR_NET_MESSAGE_MAX}"
        )


def pack(frame: Frame) -> bytes:
    """The bytes of a message; its descriptors are announced here and sent by the caller."""
    head = _HEAD.pack(frame.size, *frame[:6])
    if frame.type in (CALL_WITH_FDS, REPLY_WITH_FDS):
        head += _LENGTH.pack(len(frame.fds))
    return head + frame.payload


def rpc_error(text: str) -> VirError:
    return report(VIR_ERR_RPC, VIR_FROM_RPC, text)


class FrameReader:
    """Collects bytes and descriptors; gives messages. After an error it gives nothing more.

    In a recorded stream the descriptors are missing: `recorded` takes their bytes alone.
    """

    def __init__(self, recorded: bool = False) -> None:
        self._recorded = recorded
        self._bytes = bytearray()
        self._pos = 0
        self._fds: deque[int] = deque()

    def feed(self, data: bytes | bytearray | memoryview, fds: Sequence[int] = ()) -> None:
        self._bytes += data
        self._fds.extend(fds)

    def next(self) -> Frame | None:
        """The next whole message, None when more bytes are needed. Raises VirError."""
        frame = self._next()
        if frame is None:
            del self._bytes[: self._pos]
            self._pos = 0
            if self._fds and not self._awaits_fds():
                raise rpc_error(f"{len(self._fds)} descriptors came that belong to no message")
        return frame

    @property
    def left(self) -> int:
        """Bytes of a message that is not whole yet."""
        return len(self._bytes) - self._pos

    def close(self) -> None:
        """Forget what is left; close descriptors that no message took."""
        self._bytes.clear()
        self._pos = 0
        while self._fds:
            os.close(self._fds.popleft())

    def _next(self) -> Frame | None:
        left = self.left
        if left < VIR_NET_MESSAGE_LEN_MAX:
            return None
        (length,) = _LENGTH.unpack_from(self._bytes, self._pos)
        if length < _HEAD.size or length > VIR_NET_MESSAGE_MAX + VIR_NET_MESSAGE_LEN_MAX:
            raise rpc_error(self._length_fault(length))
        if left < length:
            return None
        start, end = self._pos + _HEAD.size, self._pos + length
        _, program, version, proc, kind, serial, status = _HEAD.unpack_from(self._bytes, self._pos)
        count = 0
        if kind in (CALL_WITH_FDS, REPLY_WITH_FDS):
            count = self._descriptor_count(start, end)
            start += 4
        if len(self._bytes) < end + count:
            return None
        if self._recorded:
            self._fds.clear()
        elif len(self._fds) < count:
            raise rpc_error(f"{count} descriptors were announced, {len(self._fds)} came")
        self._pos = end + count
        with memoryview(self._bytes) as view, view[start:end] as part:
            payload = bytes(part)
        fds = tuple(self._fds.popleft() for _ in range(count) if self._fds)
        return Frame(program, version, proc, kind, serial, status, payload, fds)

    def _awaits_fds(self) -> bool:
        """Whether all of a message is there but the bytes that its descriptors ride on."""
        if len(self._fds) > VIR_NET_MESSAGE_NUM_FDS_MAX or len(self._bytes) < _HEAD.size:
            return False
        length, _, _, _, kind, _, _ = _HEAD.unpack_from(self._bytes)
        return length <= len(self._bytes) and kind in (CALL_WITH_FDS, REPLY_WITH_FDS)

    def _descriptor_count(self, start: int, end: int) -> int:
        if end - start < 4:
            kind = _HEAD.unpack_from(self._bytes, self._pos)[4]
            raise rpc_error(f"message of type {kind} has no count of descriptors")
        (count,) = _LENGTH.unpack_from(self._bytes, start)
        if count > VIR_NET_MESSAGE_NUM_FDS_MAX:
            raise rpc_error(
                f"Received too many FDs {count}, expected {VIR_NET_MESSAGE_NUM_FDS_MAX} maximum"
            )
        return int(count)

    def _length_fault(self, length: int) -> str:
        """The length word is impossible. Most often somebody else answers on this port; say who."""
        if length < _HEAD.size:
            return f"packet {length} bytes received from server too small, want {_HEAD.size}"
        start = bytes(self._bytes[self._pos : self._pos + _LOOKED_AT])
        if start[0] in (0x15, 0x16) and start[1] == 3:
            return "the peer speaks TLS instead of plain libvirt RPC"
        if _is_text(start[:4]):
            return f"the peer sent text instead of libvirt RPC: '{_first_line(start)}'"
        return (
            f"packet {length - VIR_NET_MESSAGE_LEN_MAX} bytes received from server too large,"
            f" want {VIR_NET_MESSAGE_MAX}"
        )


def _is_text(data: bytes) -> bool:
    return all(32 <= byte < 127 or byte in b"\t\r\n" for byte in data)


def _first_line(data: bytes) -> str:
    """The first line of a greeting (an SSH banner, an HTTP response), as far as it is text."""
    line = data.lstrip(b"\r\n").split(b"\n")[0].split(b"\r")[0]
    end = next((at for at in range(len(line)) if not _is_text(line[at : at + 1])), len(line))
    return line[: min(end, _SHOWN)].decode("ascii")
