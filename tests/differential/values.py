# SPDX-License-Identifier: LGPL-2.1-or-later
"""values.py: random values, minimal messages and spoiled bytes for any type of the tables.

It reads the type words by itself and builds XDR by itself, so it is a third opinion beside the two
codecs under test.
Called by: the tests of this room. Never: imports a codec; draws from an unseeded generator.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from libvirtcore.generated.tables import (
    PROGRAMS,
    TYPE_NET_ERROR,
    TYPE_STREAM_HOLE,
    TYPES,
)

SEED = os.environ.get("LIBVIRTCORE_TEST_SEED", "1")

VOID, I32, U32, I64, U64, F64, I8, U8, U16, STRING, OPAQUE, OPAQUE_FIXED = range(12)
CHARS, CHARS_FIXED, OPTIONAL, ARRAY, STRUCT, TPARAMS = range(12, 18)

RANGES = {
    I32: (-(2**31), 2**31 - 1),
    U32: (0, 2**32 - 1),
    I64: (-(2**63), 2**63 - 1),
    U64: (0, 2**64 - 1),
    I8: (-128, 127),
    U8: (0, 255),
    U16: (0, 65535),
}
CODES = {I32: ">i", U32: ">I", I64: ">q", U64: ">Q", I8: ">i", U8: ">i", U16: ">i", F64: ">d"}
FLOATS = (0.0, -0.0, 1.5, -1e308, 5e-324, float("inf"), float("-inf"), float("nan"))
TEXTS = ("", "a", "test", "é", "\U0001f600", "日本語テキスト", "x" * 255, "x" * 256, "\x7f\x01")


class Message(NamedTuple):
    """One message that can travel: who sends it and the offset of its type."""

    name: str
    offset: int


def messages() -> list[Message]:
    """Every argument, return and event type of every procedure of every program."""
    found = [Message("net_error", TYPE_NET_ERROR), Message("stream_hole", TYPE_STREAM_HOLE)]
    for program in PROGRAMS.values():
        for number, procedure in enumerate(program.procedures):
            if procedure is not None:
                name = f"{program.name}-{number}-{procedure.name}"
                found.append(Message(f"{name}-args", procedure.args))
                found.append(Message(f"{name}-ret", procedure.ret))
    return found


def generator(name: str) -> random.Random:
    return random.Random(f"{SEED}/{name}")


def value(draw: random.Random, offset: int) -> Any:
    """A random value of a type, often at an edge."""
    op = TYPES[offset]
    if op == VOID:
        return None
    if op in RANGES:
        low, high = RANGES[op]
        return draw.choice((low, high, 0, 1, draw.randint(low, high), draw.randint(0, 100)))
    if op == F64:
        return draw.choice((*FLOATS, draw.uniform(-1e6, 1e6)))
    if op == STRUCT:
        return tuple(value(draw, field) for field in fields(offset))
    if op == OPTIONAL:
        return None if draw.random() < 0.4 else value(draw, TYPES[offset + 1])
    limit = TYPES[offset + 1]
    if op == STRING:
        return text(draw, limit)
    if op in (OPAQUE, CHARS):
        return draw.randbytes(draw.choice((0, 1, 2, 3, 4, 5, 17)) % (limit + 1))
    if op in (OPAQUE_FIXED, CHARS_FIXED):
        return draw.randbytes(limit)
    count = min(limit, draw.choice((0, 0, 1, 1, 2, 3, 9)))
    if op == ARRAY:
        return [value(draw, TYPES[offset + 2]) for _ in range(count)]
    return [parameter(draw) for _ in range(count)]


def text(draw: random.Random, limit: int) -> str:
    chosen = draw.choice(TEXTS)
    return (
        chosen
        if len(chosen.encode()) <= limit
        else chosen.encode()[:limit].decode("ascii", "ignore")
    )


def parameter(draw: random.Random) -> tuple[str, int, Any]:
    kind = draw.randint(1, 7)
    name = draw.choice(("cpu_time", "vcpu.0.state", "é", "", "x" * 80, "x" * 300))
    if kind == 6:
        return name, kind, draw.random() < 0.5
    if kind == 7:
        return name, kind, draw.choice(TEXTS)
    return name, kind, value(draw, kind)


def fields(offset: int) -> tuple[int, ...]:
    return TYPES[offset + 2 : offset + 2 + TYPES[offset + 1]]


def as_dicts(offset: int, item: Any) -> Any:
    """The same value as the codecs give it in dict mode."""
    op = TYPES[offset]
    if op == STRUCT:
        return tuple(
            as_dicts(field, part) for field, part in zip(fields(offset), item, strict=True)
        )
    if op == ARRAY:
        return [as_dicts(TYPES[offset + 2], part) for part in item]
    if op == OPTIONAL:
        return None if item is None else as_dicts(TYPES[offset + 1], item)
    if op == TPARAMS:
        return {name: part for name, _, part in item}
    return item


# --- messages by hand -----------------------------------------------------------------------------


class Count(NamedTuple):
    """A count word of a message: where it stands, its limit, and the bytes of one element."""

    at: int
    limit: int
    element: bytes
    op: int


def pad(raw: bytes) -> bytes:
    return raw + bytes(-len(raw) % 4)


def smallest(offset: int, at: int = 0, counts: list[Count] | None = None) -> bytes:
    """The message with one element in every array, every option present and texts of one byte.

    `counts` collects the count words; `at` is where the message begins.
    """
    op = TYPES[offset]
    if op == VOID:
        return b""
    if op in CODES:
        return struct.pack(CODES[op], 0)
    if op == STRUCT:
        out = b""
        for field in fields(offset):
            out += smallest(field, at + len(out), counts)
        return out
    if op == OPTIONAL:
        return b"\0\0\0\1" + smallest(TYPES[offset + 1], at + 4, counts)
    limit = TYPES[offset + 1]
    if op == OPAQUE_FIXED:
        return pad(bytes(limit))
    if op == CHARS_FIXED:
        return bytes(4 * limit)
    element = {STRING: b"a", OPAQUE: b"\0", CHARS: b"\0\0\0\0", TPARAMS: _PARAMETER}.get(op)
    if counts is not None:
        own = smallest(TYPES[offset + 2]) if op == ARRAY else element
        counts.append(Count(at, limit, own or b"", op))
    if op == ARRAY:
        element = smallest(TYPES[offset + 2], at + 4, counts)
    return b"\0\0\0\1" + pad(element or b"")


_PARAMETER = b"\0\0\0\1a\0\0\0" + b"\0\0\0\1" + b"\0\0\0\0"


# --- spoiling -------------------------------------------------------------------------------------

WORDS = (0, 1, 2, 3, 255, 256, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 4, 0x61626364)


def spoiled(draw: random.Random, data: bytes) -> Iterator[bytes]:
    """Damaged copies of a message."""
    for _ in range(4):
        if data:
            at = draw.randrange(len(data))
            yield data[:at] + bytes((data[at] ^ (1 << draw.randrange(8)),)) + data[at + 1 :]
            at = draw.randrange(len(data))
            yield data[:at] + bytes((draw.choice((0, 0x80, 0xC0, 0xED, 0xFF)),)) + data[at + 1 :]
    for _ in range(6):
        if len(data) >= 4:
            at = draw.randrange(len(data) // 4) * 4
            yield data[:at] + struct.pack(">I", draw.choice(WORDS)) + data[at + 4 :]
    at = draw.randrange(len(data) + 1)
    yield data[:at]
    yield data + draw.randbytes(draw.choice((1, 4, 8)))
    at = draw.randrange(len(data) // 4 + 1) * 4
    yield data[:at] + data[at + 4 :]
    yield data[:at] + draw.randbytes(4) + data[at:]


WRONG: tuple[Any, ...] = (
    None, True, 0, -1, 2**31, 2**32, -(2**63) - 1, 2**64, -(2**64), 10**30, 1.5, float("nan"), "",
    "text", "n\0l", "\ud800", "é\0", b"", b"bytes", b"x" * 17, (), (1,), [], [None], [("a", 1, 2)],
    [("a", 9, 2)], [("a", -5, "x")], [("a", 6, 2)], [("a", 7, 1)], ("a", 1), {}, {"a": 1}, object,
)  # fmt: skip


def replaced(draw: random.Random, item: Any) -> Any:
    """The value with something wrong at a random place."""
    if isinstance(item, (tuple, list)) and item and draw.random() < 0.8:
        at = draw.randrange(len(item))
        parts = [*item[:at], replaced(draw, item[at]), *item[at + 1 :]]
        return tuple(parts) if isinstance(item, tuple) else parts
    if isinstance(item, tuple) and draw.random() < 0.3:
        return item[:-1] if draw.random() < 0.5 else (*item, 0)
    return draw.choice(WRONG)
