# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_counts.py: no count of any array of any procedure makes a codec read or take too much."""

from __future__ import annotations

import resource
import struct
import tracemalloc
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from libvirtcore.errors import VirError
from libvirtcore.generated.constants import VIR_ERR_RPC
from libvirtcore.rpc import pure
from tests.differential import values

MESSAGES = [
    (message, count)
    for message in values.messages()
    for counts in [list[values.Count]()]
    for _ in [values.smallest(message.offset, 0, counts)]
    for count in counts
]
IDS = [f"{message.name}@{count.at}" for message, count in MESSAGES]

Decode = Callable[[int, bytes], Any]


@pytest.fixture(params=["pure", "C"])
def decode(request: pytest.FixtureRequest) -> Decode:
    if request.param == "pure":
        return pure.decode
    return request.getfixturevalue("compiled").decode  # type: ignore[no-any-return]


def with_count(data: bytes, at: int, count: int) -> bytes:
    return data[:at] + struct.pack(">I", count & 0xFFFFFFFF) + data[at + 4 :]


def refused(decode: Decode, offset: int, data: bytes) -> bool:
    try:
        decode(offset, data)
    except VirError as error:
        assert error.code == VIR_ERR_RPC
        return True
    return False


def test_counts_are_found_in_every_array() -> None:
    assert len(MESSAGES) > 900
    assert {count.op for _, count in MESSAGES} == {
        values.STRING, values.OPAQUE, values.CHARS, values.ARRAY, values.TPARAMS,
    }  # fmt: skip


def test_counts_beyond_the_message_are_refused(decode: Decode) -> None:
    """-1, max, max + 1, 2^31 - 1, 2^32 - 1 where one element is; and 0, which leaves bytes over."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for message, count in MESSAGES:
        data = values.smallest(message.offset)
        assert not refused(decode, message.offset, data), message
        for wrong in (-1, 0, count.limit, count.limit + 1, 2**31 - 1, 2**32 - 1):
            if wrong != 1:
                bad = with_count(data, count.at, wrong)
                assert refused(decode, message.offset, bad), (message, count, wrong)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 16 * 1024, f"{grown} KiB for messages of a few hundred bytes"


def test_counts_reserve_no_memory_in_pure_python() -> None:
    tracemalloc.start()
    try:
        for message, count in MESSAGES[::7]:
            bad = with_count(values.smallest(message.offset), count.at, count.limit)
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            refused(pure.decode, message.offset, bad)
            assert tracemalloc.get_traced_memory()[1] - before < 200_000
    finally:
        tracemalloc.stop()


def full(message: values.Message, count: values.Count, number: int) -> bytes:
    """The smallest message with `number` elements in one array."""
    data = values.smallest(message.offset)
    one = (
        len(values.pad(count.element))
        if count.op in (values.STRING, values.OPAQUE)
        else len(count.element)
    )
    many = values.pad(count.element * number)
    start = count.at + 4
    return with_count(data, count.at, number)[:start] + many + data[start + one :]


@pytest.mark.parametrize("extra", [0, 1])
def test_counts_at_the_limit(compiled: ModuleType, extra: int) -> None:
    """Exactly max elements are taken, one more is refused, with all their bytes there."""
    seen: set[tuple[object, ...]] = set()
    for message, count in MESSAGES:
        number = count.limit + extra
        size = number * max(1, len(count.element))
        # The same array in a small message is tested everywhere, a large one once of each kind.
        kind: tuple[object, ...] = (message.offset, count.at)
        if size > 600_000:
            kind = (count.op, count.limit, len(count.element))
        if kind in seen or size > 12_000_000:
            continue
        seen.add(kind)
        data = full(message, count, number)
        for decode in (pure.decode, compiled.decode):
            assert refused(decode, message.offset, data) == bool(extra), (message, count)
    assert len(seen) > 80
