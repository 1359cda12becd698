# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_codec.py: the C transcoder and the pure Python one agree on every message there is."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from libvirtcore.errors import VirError
from libvirtcore.rpc import pure
from tests.differential import values

MESSAGES = values.messages()
IDS = [message.name for message in MESSAGES]
ROUNDS = 12


def outcome(function: Callable[..., Any], *args: Any) -> tuple[Any, ...]:
    """What a codec gives: the value or the whole error. repr tells 1 from True; nan is nan."""
    try:
        return ("value", repr(function(*args)))
    except VirError as error:
        return ("error", *error.raw)


@pytest.mark.parametrize("message", MESSAGES, ids=IDS)
def test_codec_agrees_on_values(compiled: ModuleType, message: values.Message) -> None:
    draw = values.generator(message.name)
    for _ in range(ROUNDS):
        value = values.value(draw, message.offset)
        data = pure.encode(message.offset, value)
        assert compiled.encode(message.offset, value) == data
        wanted = repr(value)
        assert repr(pure.decode(message.offset, data)) == wanted
        assert repr(compiled.decode(message.offset, data)) == wanted
        wanted = repr(values.as_dicts(message.offset, value))
        assert repr(pure.decode(message.offset, data, True)) == wanted
        assert repr(compiled.decode(message.offset, data, True)) == wanted


@pytest.mark.parametrize("message", MESSAGES, ids=IDS)
def test_codec_agrees_on_spoiled_bytes(compiled: ModuleType, message: values.Message) -> None:
    """Not only whether, but where and what is wrong."""
    draw = values.generator("spoiled/" + message.name)
    for _ in range(ROUNDS // 3):
        data = pure.encode(message.offset, values.value(draw, message.offset))
        for bad in values.spoiled(draw, data):
            for dicts in (False, True):
                wanted = outcome(pure.decode, message.offset, bad, dicts)
                assert outcome(compiled.decode, message.offset, bad, dicts) == wanted, bad.hex()


@pytest.mark.parametrize("message", MESSAGES, ids=IDS)
def test_codec_agrees_on_truncation(compiled: ModuleType, message: values.Message) -> None:
    data = values.smallest(message.offset)
    for end in range(len(data) if len(data) < 500 else 100):
        wanted = outcome(pure.decode, message.offset, data[:end])
        assert wanted[0] == "error"
        assert outcome(compiled.decode, message.offset, data[:end]) == wanted


@pytest.mark.parametrize("message", MESSAGES, ids=IDS)
def test_codec_agrees_on_wrong_values(compiled: ModuleType, message: values.Message) -> None:
    draw = values.generator("wrong/" + message.name)
    for _ in range(ROUNDS * 2):
        value = values.replaced(draw, values.value(draw, message.offset))
        wanted = outcome(pure.encode, message.offset, value)
        assert outcome(compiled.encode, message.offset, value) == wanted, repr(value)


def test_codec_tests_reach_faults() -> None:
    """The spoilers do spoil: most of what they make is refused, some is still a message."""
    seen = {"value": 0, "error": 0}
    for message in MESSAGES[:200]:
        draw = values.generator("spoiled/" + message.name)
        data = pure.encode(message.offset, values.value(draw, message.offset))
        for bad in values.spoiled(draw, data):
            seen[outcome(pure.decode, message.offset, bad)[0]] += 1
    assert seen["error"] > 300
    assert seen["value"] > 300
