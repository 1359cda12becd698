# SPDX-License-Identifier: LGPL-2.1-or-later
"""codec.py: XDR to and from Python values through the C core.

C turns a whole, checked XDR message into a stream that `marshal.loads` makes objects of, and what
`marshal.dumps(value, 2)` gives into XDR. The self-test at import asks whether this Python's marshal
reads and writes what the core expects; if not, pickle reads and a writer of our own writes.
Called by: libvirtcore.core (loads, dumps, error_from), tests and benchmarks (decode, encode).
Calls: _libvirtmod. Never: gives bytes of a peer to loads; C has checked and rewritten them.
"""

from __future__ import annotations

import marshal
import struct
import warnings
from collections.abc import Callable
from typing import Any

from _libvirtmod import ffi, lib
from libvirtcore import __version__
from libvirtcore.errors import VirError, report

_built_as = ffi.string(lib.lvc_version()).decode()
if _built_as != __version__:
    _text = f"the C core is of version {_built_as}, its Python half {__version__}; it is not used"
    warnings.warn(_text, RuntimeWarning, stacklevel=2)
    raise ImportError(_text)

DICT: int = lib.LVC_DECODE_DICT
_MOVED: int = lib.LVC_CODEC_MOVED

Buffer = bytes | bytearray | memoryview

_SAMPLE: list[Any] = [
    (None, True, False),
    -1,
    2**31,
    2**64 - 1,
    -(2**63),
    1.5,
    b"\x00\xff",
    "text",
    "\u00e9\U0001f600",
    "x" * 300,
    {"key": 2},
    {"key": 3},
]
_WRITTEN: tuple[Any, ...] = (None, True, [-1, 2**40, -(2**64)], 1.5, b"\xff", "\u00e9", {})
_WRITTEN_STREAM = (
    b"(\x07\x00\x00\x00NT[\x03\x00\x00\x00i\xff\xff\xff\xff"
    b"l\x03\x00\x00\x00\x00\x00\x00\x00\x00\x04l\xfb\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x10\x00"
    b"g\x00\x00\x00\x00\x00\x00\xf8?s\x01\x00\x00\x00\xffu\x02\x00\x00\x00\xc3\xa9{0"
)


def error_from(err: Any) -> VirError:
    """The exception for a filled `lvc_error *`."""
    message = ffi.string(err.message).decode("utf-8", "replace")
    error = report(err.code, err.domain, message)
    if err.number:
        error.int1 = err.number
    return error


class Codec:
    """One output buffer of the core and the view on it. One thread at a time."""

    __slots__ = ("_codec", "_err", "_view")

    def __init__(self) -> None:
        codec = lib.lvc_codec_new()
        if codec == ffi.NULL:
            raise MemoryError
        self._codec = ffi.gc(codec, lib.lvc_codec_free)
        self._err = ffi.new("lvc_error *")
        self._view = memoryview(b"")

    def _settle(self, length: int) -> int:
        """The length without the mark; the view follows when the output has moved."""
        if length < 0:
            raise error_from(self._err)
        start = lib.lvc_codec_data(self._codec)
        self._view = memoryview(ffi.buffer(start, lib.lvc_codec_room(self._codec)))
        return length - _MOVED

    def decode(self, type_offset: int, data: Buffer, flags: int) -> Any:
        source = data if type(data) is bytes else bytes(data)
        length = lib.lvc_codec_decode(
            self._codec, type_offset, source, len(source), flags, self._err
        )
        if not 0 <= length < _MOVED:
            length = self._settle(length)
        return loads(self._view)

    def encode(self, type_offset: int, value: Any) -> bytes:
        stream = dumps(value)
        length = lib.lvc_codec_encode(self._codec, type_offset, stream, len(stream), self._err)
        if not 0 <= length < _MOVED:
            length = self._settle(length)
        return bytes(self._view[:length])

    def reads_sample(self, loads: Callable[[Any], Any], flags: int) -> bool:
        """Whether `loads` understands all that the core writes."""
        length = lib.lvc_codec_sample(self._codec, flags, self._err)
        if not 0 <= length < _MOVED:
            self._settle(length)
        try:
            return bool(loads(self._view) == _SAMPLE)
        except Exception:  # whatever a foreign format makes it raise
            return False


def _marshal_dumps(value: Any) -> bytes:
    try:
        return marshal.dumps(value, 2)
    except ValueError:  # an enum, a named tuple, or something that is no value at all
        return write(value)


_pack_u32 = struct.Struct("<I").pack


def write(value: Any) -> bytes:
    """What marshal.dumps(value, 2) gives, also for values of derived classes.

    A value that has no place on the wire becomes its type's name, for the core to complain about.
    """
    if value is None:
        return b"N"
    if value is True:
        return b"T"
    if value is False:
        return b"F"
    if isinstance(value, int):
        return _write_int(int(value))
    if isinstance(value, float):
        return b"g" + struct.pack("<d", value)
    if isinstance(value, str):
        raw = str.encode(value, "utf-8", "surrogatepass")
        return b"u" + _pack_u32(len(raw)) + raw
    if isinstance(value, (bytes, bytearray, memoryview)):
        raw = bytes(value)
        return b"s" + _pack_u32(len(raw)) + raw
    if isinstance(value, (tuple, list)):
        code = b"(" if isinstance(value, tuple) else b"["
        return code + _pack_u32(len(value)) + b"".join(map(write, value))
    if isinstance(value, dict):
        return b"{" + b"".join(write(key) + write(item) for key, item in value.items()) + b"0"
    name = type(value).__name__.encode("ascii", "replace")[:255]
    return b"?" + bytes((len(name),)) + name


def _write_int(value: int) -> bytes:
    if -(2**31) <= value < 2**31:
        return b"i" + struct.pack("<i", value)
    digits = bytearray()
    magnitude = abs(value)
    while magnitude:
        digits += (magnitude & 0x7FFF).to_bytes(2, "little")
        magnitude >>= 15
    count = len(digits) // 2
    return b"l" + struct.pack("<i", -count if value < 0 else count) + digits


def _choose_reader() -> tuple[Callable[[Any], Any], int]:
    """`loads`, and the flag that makes the core write what it reads."""
    codec = Codec()
    if codec.reads_sample(marshal.loads, 0):
        return marshal.loads, 0
    import pickle  # here, since nearly no Python gets this far

    # Safe: the opcodes come from our core, which has none that calls or imports.
    if codec.reads_sample(pickle.loads, lib.LVC_DECODE_PICKLE):
        return pickle.loads, int(lib.LVC_DECODE_PICKLE)
    raise ImportError("neither marshal nor pickle of this Python reads what the C core writes")


def _refuse(_value: Any, _version: int) -> bytes:
    raise ValueError


def _choose_writer() -> tuple[Callable[[Any], bytes], Callable[[Any, int], bytes]]:
    """`dumps`, and a quicker `dumps2(value, 2)` that may raise ValueError instead."""
    if marshal.dumps(_WRITTEN, 2) == _WRITTEN_STREAM:
        return _marshal_dumps, marshal.dumps
    return write, _refuse


loads, FORMAT = _choose_reader()
dumps, dumps2 = _choose_writer()

_spare: list[Codec] = []  # pop and append are atomic: each call has a codec of its own


def decode(type_offset: int, data: Buffer, dict_mode: bool = False) -> Any:
    """The value of a whole message. Raises VirError when it is not exactly one such value."""
    try:
        codec = _spare.pop()
    except IndexError:
        codec = Codec()
    try:
        return codec.decode(type_offset, data, FORMAT | DICT if dict_mode else FORMAT)
    finally:
        _spare.append(codec)


def encode(type_offset: int, value: Any) -> bytes:
    """The XDR bytes of a value. Raises VirError that names the path of what does not fit."""
    try:
        codec = _spare.pop()
    except IndexError:
        codec = Codec()
    try:
        return codec.encode(type_offset, value)
    finally:
        _spare.append(codec)
