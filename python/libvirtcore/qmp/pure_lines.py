# SPDX-License-Identifier: LGPL-2.1-or-later
"""pure_lines.py: bytes of a monitor or a guest agent → lines, checked and told apart. No I/O.

Takes exactly what the C core takes: JSON in UTF-8 without lone surrogates, NaN or infinities,
numbers of NUMBER_MAX characters, DEPTH_MAX levels; an agent's line begins behind its last 0xFF.
Called by: pure. Calls: json.
Never: keeps more than one line that is not whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from json import decoder
from typing import Any, NamedTuple

GARBAGE, OTHER, GREETING, RETURN, ERROR, EVENT = range(6)
DEPTH_MAX = 256
NUMBER_MAX = 512
EXCERPT_MAX = 64
ALIEN = -1  # an id that we never send

_KINDS = {"QMP": GREETING, "return": RETURN, "error": ERROR, "event": EVENT}
_scan_string: Callable[[str, int, bool], tuple[str, int]] = vars(decoder)["scanstring"]
_space = re.compile(r"[ \t\n\r]*").match
_surrogate = re.compile(r"\\u[dD][89a-fA-F]").search
_long_number = re.compile(rf"[-+.0-9eE]{{{NUMBER_MAX + 1}}}").search
_token = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL).finditer


class Line(NamedTuple):
    """One line; `id` is None without one, `value` that of QMP, return, error or event."""

    kind: int
    id: int | None
    value: Any
    raw: bytes


class TooLong(Exception):
    """A line is longer than the limit."""


class LineReader:
    """Feed bytes, take lines."""

    def __init__(self, max_line: int, agent: bool) -> None:
        self._max = max_line
        self._agent = agent
        self._data = bytearray()
        self._start = 0
        self._scanned = 0

    def feed(self, data: memoryview | bytes) -> None:
        if self._start:
            del self._data[: self._start]
            self._scanned -= self._start
            self._start = 0
        self._data += data

    def next(self) -> Line | None:
        """The next whole line that is not empty. Raises: TooLong."""
        while True:
            end = self._data.find(b"\n", self._scanned)
            if end < 0:
                self._scanned = len(self._data)
                if self._scanned - self._start > self._max:
                    raise TooLong
                return None
            if end - self._start > self._max:
                raise TooLong
            raw = bytes(self._data[self._start : end])
            self._start = self._scanned = end + 1
            if self._agent:
                raw = raw.rpartition(b"\xff")[2]
            raw = raw.strip(b" \t\r")
            if raw:
                return parse(raw)

    def pending(self) -> bytes:
        """The beginning of a line that is not whole."""
        return bytes(self._data[self._start : self._start + EXCERPT_MAX + 1])

    def close(self) -> None:
        self._data = bytearray()
        self._start = self._scanned = 0


def excerpt(raw: bytes) -> str:
    """The beginning of a line with only printable characters, for a message."""
    text = "".join(chr(c) if 0x20 <= c < 0x7F else "?" for c in raw[:EXCERPT_MAX])
    return text + "..." if len(raw) > EXCERPT_MAX else text


def parse(raw: bytes) -> Line:
    """Look at one line."""
    try:
        text = raw.decode("utf-8")
        _check(text)
        return _members(text, raw)
    except (ValueError, IndexError, RecursionError):
        return Line(GARBAGE, None, None, raw)


def _members(text: str, raw: bytes) -> Line:
    if text[0] != "{":
        raise ValueError
    kind, number, value = OTHER, None, None
    seen = set()
    at = _after(text, 1)
    while text[at] == '"':
        key_start = at + 1
        _key, at = _scan_string(text, key_start, True)
        key = text[key_start : at - 1]  # as it stands: names with escapes are none of ours
        at = _after(text, at)
        if text[at] != ":":
            raise ValueError
        try:
            member, at = _scan(text, _after(text, at + 1))
        except StopIteration:
            raise ValueError from None
        if key == "id":
            number = _id(member)
        elif key in _KINDS:
            seen.add(key)
            kind, value = _KINDS[key], member
        at = _after(text, at)
        if text[at] != ",":
            break
        at = _after(text, at + 1)
        if text[at] != '"':
            raise ValueError
    if text[at] != "}" or _after(text, at + 1) != len(text):
        raise ValueError
    if len(seen) != 1 or (kind == EVENT and not isinstance(value, str)):
        return Line(OTHER, number, None, raw)
    return Line(kind, number, value, raw)


def _after(text: str, at: int) -> int:
    found = _space(text, at)
    return at if found is None else found.end()


def _id(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 10**18 else ALIEN


def _refuse(_text: str) -> Any:
    raise ValueError


def _short_int(text: str) -> int:
    return int(text) if len(text) <= NUMBER_MAX else _refuse(text)


def _short_float(text: str) -> float:
    return float(text) if len(text) <= NUMBER_MAX else _refuse(text)


_scan: Callable[[str, int], tuple[Any, int]] = vars(json.JSONDecoder(parse_constant=_refuse))[
    "scan_once"
]
_decode_carefully = json.JSONDecoder(
    parse_constant=_refuse, parse_int=_short_int, parse_float=_short_float
).decode


def _check(text: str) -> None:
    """What Python's json lets through and we do not. Raises: ValueError."""
    if text.count("[") + text.count("{") > DEPTH_MAX:
        depth = 0
        for token in _token(text):
            if token.group() in ("[", "{"):
                depth += 1
                if depth > DEPTH_MAX:
                    raise ValueError
            elif token.group() in ("]", "}"):
                depth -= 1
    if _long_number(text) is not None:
        _decode_carefully(text)
    if _surrogate(text) is not None:
        json.dumps(_decode_carefully(text), ensure_ascii=False).encode("utf-8")
