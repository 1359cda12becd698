# SPDX-License-Identifier: LGPL-2.1-or-later
"""pure_decode.py: XDR bytes to Python values, driven by the generated tables.

Each type offset is compiled once, at first use, into a closure `read(data, pos) -> (value, pos)`.
Neighbouring scalars of a struct share one precompiled `struct.Struct`.
Called by: libvirtcore.rpc.pure, explain, tests (as the oracle of the C transcoder).
Calls: pure_types. Never: does I/O; trusts a count before comparing it with the bytes that remain.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from typing import Any

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

Reader = Callable[[bytes, int], tuple[Any, int]]

_read_u32 = struct.Struct(">I").unpack_from

# Names of typed parameters come again and again; so many, and only such short ones, are kept.
_NAMES_KEPT = 4096
_NAME_KEPT = 84


def decode(type_offset: int, data: bytes, dict_mode: bool = False) -> Any:
    """The value of a whole message. Raises VirError when it is not exactly one such value."""
    try:
        value, end = reader(type_offset, dict_mode)(data, 0)
        if end != len(data):
            raise CodecError(f"{len(data) - end} bytes follow the value", end)
        return value
    except CodecError as fault:
        raise payload_error("Unable to decode message payload", fault.words("message")) from None


@cache
def reader(offset: int, dict_mode: bool = False) -> Reader:
    """The compiled reader of a type; offset 0 reads nothing and gives None."""
    op = TYPES[offset]
    if op == t.VOID:
        return lambda data, pos: (None, pos)
    if op == t.F64:
        return _scalar_reader("d")
    if op in (t.I8, t.U8, t.U16):
        return _narrow_reader(*t.SCALARS[op])
    if op in t.SCALARS:
        return _scalar_reader(t.SCALARS[op][0])
    if op == t.STRUCT:
        return _struct_reader(fields(offset), dict_mode)
    limit = TYPES[offset + 1]
    if op == t.STRING:
        return _string_reader(limit)
    if op == t.OPAQUE:
        return _opaque_reader(limit)
    if op == t.OPAQUE_FIXED:
        return _opaque_fixed_reader(limit)
    if op == t.CHARS:
        return _chars_reader(limit)
    if op == t.CHARS_FIXED:
        return _chars_fixed_reader(limit)
    if op == t.OPTIONAL:
        return _optional_reader(reader(limit, dict_mode))
    if op == t.ARRAY:
        return _array_reader(limit, reader(TYPES[offset + 2], dict_mode))
    return _params_reader(limit, dict_mode)


def _short(data: bytes, pos: int, need: int) -> CodecError:
    return CodecError(f"{need} bytes are needed, {len(data) - pos} remain", pos)


def _scalar_reader(code: str) -> Reader:
    form = struct.Struct(">" + code)
    unpack, size = form.unpack_from, form.size

    def read(data: bytes, pos: int) -> tuple[Any, int]:
        try:
            return unpack(data, pos)[0], pos + size
        except struct.error:
            raise _short(data, pos, size) from None

    return read


def _narrow_reader(code: str, low: int, high: int) -> Reader:
    wide = _scalar_reader(code)

    def read(data: bytes, pos: int) -> tuple[Any, int]:
        value, after = wide(data, pos)
        if not low <= value <= high:
            raise outside(value, low, high, pos)
        return value, after

    return read


def _count(data: bytes, pos: int, limit: int, size: int, things: str) -> int:
    """The count at `pos` of things that take at least `size` bytes each."""
    try:
        (count,) = _read_u32(data, pos)
    except struct.error:
        raise _short(data, pos, 4) from None
    if count > limit:
        raise above(count, things, limit, pos)
    left = len(data) - pos - 4
    if count * size > left:
        raise CodecError(f"{count} {things} do not fit in the {left} bytes that remain", pos)
    return int(count)


def _flag(data: bytes, pos: int) -> bool:
    try:
        (flag,) = _read_u32(data, pos)
    except struct.error:
        raise _short(data, pos, 4) from None
    if flag > 1:
        raise CodecError(f"{flag} is neither 0 nor 1", pos)
    return bool(flag)


def _string_reader(limit: int) -> Reader:
    def read(data: bytes, pos: int) -> tuple[Any, int]:
        size = _count(data, pos, limit, 1, "bytes")
        start = pos + 4
        end = start + size
        after = end + 3 & ~3
        if after > len(data):
            raise _short(data, start, after - start)
        raw = data[start:end]
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            raise _text_fault(raw, start, error.start) from None
        if "\0" in text:
            raise _text_fault(raw, start, size)
        return text, after

    return read


def _text_fault(raw: bytes, start: int, bad: int) -> CodecError:
    nul = raw.find(0, 0, bad)
    if nul >= 0:
        return CodecError("the string holds a NUL", start + nul)
    return CodecError("the string is not UTF-8", start + bad)


def _opaque_reader(limit: int) -> Reader:
    def read(data: bytes, pos: int) -> tuple[Any, int]:
        size = _count(data, pos, limit, 1, "bytes")
        start = pos + 4
        after = start + size + 3 & ~3
        if after > len(data):
            raise _short(data, start, after - start)
        return data[start : start + size], after

    return read


def _opaque_fixed_reader(size: int) -> Reader:
    padded = size + 3 & ~3

    def read(data: bytes, pos: int) -> tuple[Any, int]:
        if pos + padded > len(data):
            raise _short(data, pos, padded)
        return data[pos : pos + size], pos + padded

    return read


def _char_words(data: bytes, pos: int, count: int) -> tuple[bytes, int]:
    """`count` chars, each a word of its own, signed or not as the peer's machine has it."""
    end = pos + 4 * count
    if end > len(data):
        raise _short(data, pos, 4 * count)
    words = struct.unpack_from(f">{count}i", data, pos)
    for index, word in enumerate(words):
        if not -128 <= word <= 255:
            raise outside(word, -128, 255, pos + 4 * index)
    return bytes(word & 255 for word in words), end


def _chars_reader(limit: int) -> Reader:
    def read(data: bytes, pos: int) -> tuple[Any, int]:
        count = _count(data, pos, limit, 4, "characters")
        return _char_words(data, pos + 4, count)

    return read


def _chars_fixed_reader(count: int) -> Reader:
    def read(data: bytes, pos: int) -> tuple[Any, int]:
        return _char_words(data, pos, count)

    return read


def _optional_reader(inner: Reader) -> Reader:
    def read(data: bytes, pos: int) -> tuple[Any, int]:
        if _flag(data, pos):
            return inner(data, pos + 4)
        return None, pos + 4

    return read


def _array_reader(limit: int, element: Reader) -> Reader:
    def read(data: bytes, pos: int) -> tuple[Any, int]:
        count = _count(data, pos, limit, 4, "elements")
        pos += 4
        values: list[Any] = []
        append = values.append
        try:
            for _ in range(count):
                value, pos = element(data, pos)
                append(value)
        except CodecError as fault:
            fault.path.append(len(values))
            raise
        return values, pos

    return read


def _run_reader(codes: list[str]) -> Reader:
    """Several neighbouring fields at once; gives a tuple."""
    form = struct.Struct(">" + "".join(codes))
    unpack, size = form.unpack_from, form.size

    def read(data: bytes, pos: int) -> tuple[Any, int]:
        try:
            return unpack(data, pos), pos + size
        except struct.error:
            raise _run_fault(codes, data, pos) from None

    return read


def _run_fault(codes: list[str], data: bytes, pos: int) -> CodecError:
    """Which field of a run the message ends in."""
    index = 0
    while (size := struct.calcsize(">" + codes[index])) <= len(data) - pos:
        pos += size
        index += 1
    fault = _short(data, pos, size)
    fault.path.append(index)
    return fault


def _struct_reader(offsets: tuple[int, ...], dict_mode: bool) -> Reader:
    # Parts in order: (reader, True) fills one field, (reader, False) a run of fields.
    parts: list[tuple[Reader, bool]] = []
    run: list[str] = []
    for offset in (*offsets, None):
        code = "" if offset is None else run_code(offset)
        if code:
            run.append(code)
            continue
        if run:
            parts.append((_run_reader(run), False))
            run = []
        if offset is not None:
            parts.append((reader(offset, dict_mode), True))
    if len(parts) == 1 and not parts[0][1]:
        return parts[0][0]

    def read(data: bytes, pos: int) -> tuple[Any, int]:
        values: list[Any] = []
        single = True
        try:
            for part, single in parts:
                value, pos = part(data, pos)
                if single:
                    values.append(value)
                else:
                    values += value
        except CodecError as fault:
            if single:
                fault.path.append(len(values))
            else:
                fault.path[-1] += len(values)
            raise
        return tuple(values), pos

    return read


def _param_reader() -> Reader:
    """One typed parameter, step by step: its name, the type code, the value."""
    read_text = _string_reader(REMOTE_STRING_MAX)
    scalars = {kind: reader(offset) for kind, offset in t.PARAM_SCALARS.items()}

    def read(data: bytes, pos: int) -> tuple[Any, int]:
        name, pos = read_text(data, pos)
        try:
            (kind,) = _read_u32(data, pos)
        except struct.error:
            raise _short(data, pos, 4) from None
        if not 1 <= kind <= 7:
            raise CodecError(f"{kind} is not a type of typed parameters (1..7)", pos)
        pos += 4
        if kind == t.PARAM_STRING:
            value, pos = read_text(data, pos)
        elif kind == t.PARAM_BOOLEAN:
            value, pos = _flag(data, pos), pos + 4
        else:
            value, pos = scalars[kind](data, pos)
        return (name, kind, value), pos

    return read


def _params_reader(limit: int, dict_mode: bool) -> Reader:
    careful = _param_reader()
    # type code -> unpacks the code and its value, bytes of both
    forms = {kind: struct.Struct(">I" + code) for kind, code in enumerate("iIqQd", start=1)}
    scalars = {kind: (form.unpack_from, form.size) for kind, form in forms.items()}
    # a short name with its count word -> the name, bytes with padding
    names: dict[bytes, tuple[str, int]] = {}

    def read(data: bytes, pos: int) -> tuple[Any, int]:
        # Each takes at least a length, a type and a value of four bytes.
        count = _count(data, pos, limit, 12, "typed parameters")
        pos += 4
        found: dict[str, Any] = {}
        triples: list[tuple[str, int, Any]] = []
        index = 0
        try:
            for index in range(count):  # noqa: B007 (read in the except clause)
                # The common case in one step: a name met before and a scalar. Lengths and types are
                # looked up by their last byte; the other three are compared with the key or below.
                known = names.get(data[pos : pos + 4 + data[pos + 3]])
                if known is not None:
                    name, step = known
                    form = scalars.get(data[pos + step + 3])
                    if form is not None:
                        unpack, size = form
                        kind, value = unpack(data, pos + step)
                        if kind in scalars:
                            pos += step + size
                            if dict_mode:
                                found[name] = value
                            else:
                                triples.append((name, kind, value))
                            continue
                (name, kind, value), after = careful(data, pos)
                found[name] = value
                triples.append((name, kind, value))
                _keep_name(names, data, pos, name)
                pos = after
        except (CodecError, struct.error, IndexError) as fault:
            raise _param_fault(fault, careful, data, pos, index) from None
        return (found if dict_mode else triples), pos

    return read


def _keep_name(names: dict[bytes, tuple[str, int]], data: bytes, pos: int, name: str) -> None:
    size = 4 + _read_u32(data, pos)[0]
    if size <= _NAME_KEPT and len(names) < _NAMES_KEPT:
        names[data[pos : pos + size]] = (name, size + 3 & ~3)


def _param_fault(
    fault: CodecError | struct.error | IndexError,
    careful: Reader,
    data: bytes,
    pos: int,
    index: int,
) -> CodecError:
    """The fault of the parameter at `pos`; the quick way does not say where its bytes ran out."""
    if not isinstance(fault, CodecError):
        try:
            careful(data, pos)
        except CodecError as exact:
            fault = exact
    assert isinstance(fault, CodecError)
    fault.path.append(index)
    return fault
