# SPDX-License-Identifier: LGPL-2.1-or-later
"""pure_encode.py: Python values to XDR bytes, driven by the generated tables.

Each type offset is compiled once, at first use, into a closure `write(out, value)`. A struct of
plain scalars is packed in one step, and field by field only to name what does not fit.
Called by: libvirtcore.rpc.pure, tests (as the oracle of the C transcoder).
Calls: pure_types. Never: does I/O; cuts, rounds or fills up a value without saying so.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn

from libvirtcore.generated.limits import REMOTE_STRING_MAX
from libvirtcore.generated.tables import TYPES
from libvirtcore.rpc import pure_types as t
from libvirtcore.rpc.pure_types import (
    CodecError,
    above,
    fields,
    outside,
    payload_error,
    run_code,
)

Writer = Callable[[bytearray, Any], None]

_pack_u32 = struct.Struct(">I").pack
_pack_f64 = struct.Struct(">d").pack
_PAD = (b"", b"\0\0\0", b"\0\0", b"\0")


def encode(type_offset: int, value: Any) -> bytes:
    """The XDR bytes of a value. Raises VirError that names the path of what does not fit."""
    out = bytearray()
    try:
        writer(type_offset)(out, value)
    except CodecError as fault:
        raise payload_error("Unable to encode message payload", fault.words("args")) from None
    return bytes(out)


@cache
def writer(offset: int) -> Writer:
    """The compiled writer of a type; offset 0 takes None or () and writes nothing."""
    op = TYPES[offset]
    if op == t.VOID:
        return _write_void
    if op == t.F64:
        return _write_f64
    if op in t.SCALARS:
        return _scalar_writer(*t.SCALARS[op])
    if op == t.STRUCT:
        return _struct_writer(fields(offset))
    limit = TYPES[offset + 1]
    if op == t.STRING:
        return _string_writer(limit)
    if op == t.OPAQUE:
        return _opaque_writer(limit)
    if op == t.OPAQUE_FIXED:
        return _opaque_fixed_writer(limit)
    if op in (t.CHARS, t.CHARS_FIXED):
        return _chars_writer(limit, op == t.CHARS_FIXED)
    if op == t.OPTIONAL:
        return _optional_writer(writer(limit))
    if op == t.ARRAY:
        return _array_writer(limit, writer(TYPES[offset + 2]))
    return _array_writer(limit, _param_writer(), "typed parameters")


def _wrong_type(wanted: str, value: Any) -> NoReturn:
    given = "None" if value is None else type(value).__name__
    raise CodecError(f"expected {wanted}, got {given}")


def _whole_number(value: Any, wanted: str) -> int:
    if not isinstance(value, int):
        _wrong_type(wanted, value)
    if abs(value) >= 2**64:
        raise CodecError("the number does not fit in 64 bits")
    return value


def _write_void(out: bytearray, value: Any) -> None:
    if value is not None and _sequence(value, "tuple"):
        raise CodecError(f"expected 0 values, got {len(value)}")


def _write_f64(out: bytearray, value: Any) -> None:
    out += _pack_f64(value if isinstance(value, float) else _whole_number(value, "float"))


def _scalar_writer(code: str, low: int, high: int) -> Writer:
    pack = struct.Struct(">" + code).pack

    def write(out: bytearray, value: Any) -> None:
        if not low <= _whole_number(value, "int") <= high:
            raise outside(value, low, high)
        out += pack(value)

    return write


def _sequence(value: Any, wanted: str) -> Any:
    if not isinstance(value, (tuple, list)):
        _wrong_type(wanted, value)
    return value


def _raw_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    _wrong_type("bytes", value)


def _string_writer(limit: int) -> Writer:
    def write(out: bytearray, value: Any) -> None:
        if not isinstance(value, str):
            _wrong_type("str", value)
        raw = value.encode("utf-8", "surrogatepass")
        size = len(raw)
        if size > limit:
            raise above(size, "bytes", limit)
        if size != len(value) or b"\0" in raw:
            _check_text(raw)
        out += _pack_u32(size)
        out += raw
        out += _PAD[size & 3]

    return write


def _check_text(raw: bytes) -> None:
    bad = len(raw)
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        bad = error.start
    nul = raw.find(0, 0, bad)
    if nul >= 0:
        raise CodecError(f"the string holds a NUL at byte {nul}")
    if bad < len(raw):
        raise CodecError(f"the string is not UTF-8 at byte {bad}")


def _opaque_writer(limit: int) -> Writer:
    def write(out: bytearray, value: Any) -> None:
        raw = _raw_bytes(value)
        size = len(raw)
        if size > limit:
            raise above(size, "bytes", limit)
        out += _pack_u32(size)
        out += raw
        out += _PAD[size & 3]

    return write


def _opaque_fixed_writer(size: int) -> Writer:
    def write(out: bytearray, value: Any) -> None:
        raw = _raw_bytes(value)
        if len(raw) != size:
            raise CodecError(f"expected {size} bytes, got {len(raw)}")
        out += raw
        out += _PAD[size & 3]

    return write


def _chars_writer(limit: int, fixed: bool) -> Writer:
    def write(out: bytearray, value: Any) -> None:
        raw = _raw_bytes(value)
        size = len(raw)
        if size > limit:
            raise above(size, "characters", limit)
        if fixed:
            raw = raw.ljust(limit, b"\0")
        else:
            out += _pack_u32(size)
        # A char is signed where the protocol was born: 0xE9 travels as -23.
        out += struct.pack(f">{len(raw)}i", *memoryview(raw).cast("b"))

    return write


def _optional_writer(inner: Writer) -> Writer:
    def write(out: bytearray, value: Any) -> None:
        if value is None:
            out += b"\0\0\0\0"
        else:
            out += b"\0\0\0\1"
            inner(out, value)

    return write


def _array_writer(limit: int, element: Writer, things: str = "elements") -> Writer:
    def write(out: bytearray, value: Any) -> None:
        items = _sequence(value, "list")
        if len(items) > limit:
            raise above(len(items), things, limit)
        out += _pack_u32(len(items))
        index = 0
        try:
            for index, item in enumerate(items):  # noqa: B007 (read in the except clause)
                element(out, item)
        except CodecError as fault:
            fault.path.append(index)
            raise

    return write


def _tuple(value: Any, count: int) -> Any:
    values = _sequence(value, "tuple")
    if len(values) != count:
        raise CodecError(f"expected {count} values, got {len(values)}")
    return values


def _fields_writer(parts: tuple[Writer, ...]) -> Writer:
    def write(out: bytearray, value: Any) -> None:
        values = _tuple(value, len(parts))
        index = 0
        try:
            for index, part in enumerate(parts):
                part(out, values[index])
        except CodecError as fault:
            fault.path.append(index)
            raise

    return write


def _struct_writer(offsets: tuple[int, ...]) -> Writer:
    careful = _fields_writer(tuple(map(writer, offsets)))
    codes = [run_code(offset) for offset in offsets]
    # struct would cut or fill up bytes and round numbers, so those take the careful way.
    if len(codes) < 2 or not all(code and code[-1] in "iIqQ" for code in codes):
        return careful
    pack = struct.Struct(">" + "".join(codes)).pack

    def write(out: bytearray, value: Any) -> None:
        try:
            out += pack(*_sequence(value, "tuple"))
        except struct.error:
            careful(out, value)

    return write


def _param_writer() -> Writer:
    write_text = _string_writer(REMOTE_STRING_MAX)
    write_kind = _scalar_writer("i", 1, 7)
    values: dict[int, Writer] = {kind: writer(offset) for kind, offset in t.PARAM_SCALARS.items()}
    values[t.PARAM_BOOLEAN] = _scalar_writer("i", 0, 1)
    values[t.PARAM_STRING] = write_text

    def write(out: bytearray, value: Any) -> None:
        name, kind, content = _tuple(value, 3)
        step = 0
        try:
            write_text(out, name)
            step = 1
            write_kind(out, kind)
            step = 2
            values[kind](out, content)
        except CodecError as fault:
            fault.path.append(step)
            raise

    return write
