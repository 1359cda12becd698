# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_counts.py: every count of every message lies, and nothing is allocated for it.

For each array, string and opaque field of each procedure's arguments and reply a smallest message
is built in which that field is present, and its count replaced by -1, 0, max, max + 1, 2^31 - 1 and
2^31. Each must end in a value (0 only) or in one RPC error, on both codecs alike.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from libvirtcore.errors import VirError
from libvirtcore.generated.constants import VIR_ERR_RPC
from libvirtcore.generated.tables import PROGRAMS, TYPE_NET_ERROR, TYPES
from libvirtcore.rpc import pure

I64, U64, F64 = 3, 4, 5
STRING, OPAQUE, OPAQUE_FIXED, CHARS, CHARS_FIXED, OPTIONAL, ARRAY, STRUCT, TPARAMS = range(9, 18)
COUNTED = (STRING, OPAQUE, CHARS, ARRAY, TPARAMS)

Decoder = Callable[[int, bytes, bool], Any]


def decoders() -> list[Any]:
    found: list[Any] = [pytest.param(pure.decode, id="pure")]
    try:
        from libvirtcore import codec
    except ImportError:
        return found
    return [pytest.param(codec.decode, id="C"), *found]


def smallest(offset: int, counts: list[tuple[int, int]], start: int = 0) -> bytes:
    """A message in which each array holds one element.

    `counts` gets the place and the limit of each count.
    """
    code = TYPES[offset]
    if code in (I64, U64, F64):
        return bytes(8)
    if code == OPAQUE_FIXED:
        return bytes(TYPES[offset + 1] + 3 & ~3)
    if code == CHARS_FIXED:
        return bytes(4 * TYPES[offset + 1])
    if code == OPTIONAL:
        return b"\0\0\0\1" + smallest(TYPES[offset + 1], counts, start + 4)
    if code == STRUCT:
        raw = b""
        for field in TYPES[offset + 2 : offset + 2 + TYPES[offset + 1]]:
            raw += smallest(field, counts, start + len(raw))
        return raw
    if code in COUNTED:
        counts.append((start, TYPES[offset + 1]))
    if code == ARRAY:
        return b"\0\0\0\1" + smallest(TYPES[offset + 2], counts, start + 4)
    if code == TPARAMS:
        counts.append((start + 4, 4194304))
        return b"\0\0\0\1" + b"\0\0\0\0" + b"\0\0\0\1" + bytes(4)
    return b"" if code == 0 else bytes(4)


def types() -> Iterator[int]:
    seen = {TYPE_NET_ERROR}
    for program in PROGRAMS.values():
        for row in program.procedures:
            if row is not None:
                seen |= {row.args, row.ret}
    yield from sorted(seen)


@pytest.mark.slow
@pytest.mark.parametrize("decode", decoders())
def test_lying_counts_end_in_one_error(decode: Decoder) -> None:
    fields = 0
    for type_offset in types():
        counts: list[tuple[int, int]] = []
        honest = smallest(type_offset, counts)
        decode(type_offset, honest, False)
        for place, limit in counts:
            fields += 1
            for count in (0, 2, limit, limit + 1, 2**31 - 1, 2**31, 2**32 - 1):
                message = bytearray(honest)
                struct.pack_into(">I", message, place, count)
                for dict_mode in (False, True):
                    try:
                        decode(type_offset, bytes(message), dict_mode)
                    except VirError as error:
                        assert error.code == VIR_ERR_RPC
                    else:
                        assert count <= limit
                        assert count < 2**31
    assert fields > 400


@pytest.mark.parametrize("decode", decoders())
def test_count_above_the_limit_is_named(decode: Decoder) -> None:
    type_offset = next(
        row.ret
        for row in PROGRAMS[0x20008086].procedures
        if row is not None and row.name == "connect_list_domains"
    )
    with pytest.raises(VirError, match="16385 elements exceed the limit of 16384"):
        decode(type_offset, struct.pack(">I", 16385) + bytes(4 * 16385), False)
    with pytest.raises(VirError, match="16384 elements do not fit in the 0 bytes that remain"):
        decode(type_offset, struct.pack(">I", 16384), False)
