# SPDX-License-Identifier: LGPL-2.1-or-later
"""values.py: how the text of an attribute or element becomes a Python value and text again.

A codec reads one text, says in a ValueError what it would have expected, and writes the value in
the one spelling libvirt prints. Numbers are read as C reads them: blanks and a sign in front,
nothing behind, and never more bits than the field has.
Called by: the model classes, schema.py, reader.py, writer.py. Calls: errors.
Never: knows which element a value stands in.
"""

from __future__ import annotations

import re
from typing import Generic, TypeVar

from libvirtcore.errors import report
from libvirtcore.generated.constants import VIR_ERR_INVALID_ARG, VIR_FROM_NONE

T = TypeVar("T")

_SPECIAL = re.compile("[<>&'\"\x00-\x08\x0b\x0c\x0e-\x1f]")
_ESCAPES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "'": "&apos;", '"': "&quot;"}
_NUMBER = re.compile(r"[ \t\n\v\f\r]*([+-]?)(0[xX][0-9a-fA-F]+|[0-9]+)\Z")
_LONGEST_NUMBER = 64  # more digits than any 64-bit number needs, far fewer than int() refuses


def escape(text: str) -> str:
    """Text as it stands between quotes or tags; control characters XML cannot carry are dropped."""
    if _SPECIAL.search(text) is None:
        return text
    return _SPECIAL.sub(lambda match: _ESCAPES.get(match[0], ""), text)


def number(text: str, base: int = 10) -> int | None:
    """The integer strtol would read from all of `text`, None if it would not; base 0 guesses."""
    if len(text) > _LONGEST_NUMBER:
        return None
    match = _NUMBER.match(text)
    if match is None:
        return None
    digits = match[2]
    if digits[:2] in ("0x", "0X"):
        if base in (8, 10):
            return None
        value = int(digits, 16)
    elif base == 16:
        value = int(digits, 16)
    elif base == 8 or (base == 0 and digits[0] == "0"):
        if "8" in digits or "9" in digits:
            return None
        value = int(digits, 8)
    else:
        value = int(digits)
    return -value if match[1] == "-" else value


class Codec(Generic[T]):
    """One kind of value. `parse` raises ValueError with the end of libvirt's message."""

    unit: str | None = None  # what a `unit` attribute beside the value says when it is printed

    def parse(self, text: str) -> T | None:
        """The value of a text; None for a text that means "not given"."""
        raise NotImplementedError

    def format(self, value: T) -> str:
        """The value as XML text, escaped."""
        return str(value)

    def parse_scaled(self, text: str, unit: str | None) -> T | None:
        """The value of a text beside a `unit` attribute."""
        return self.parse(text)


class Text(Codec[str]):
    """Any text. With `blank=False` the empty text counts as not given."""

    def __init__(self, blank: bool = True) -> None:
        self._blank = blank

    def parse(self, text: str) -> str | None:
        return text if text or self._blank else None

    def format(self, value: str) -> str:
        return escape(value)


class Integer(Codec[int]):
    """A whole number between two bounds, printed in decimal or in hex with leading zeros."""

    def __init__(
        self, low: int, high: int, *, base: int = 10, nonzero: bool = False, form: str = "%d",
        silent: int | None = None,
    ) -> None:  # fmt: skip
        self._low = low
        self._high = high
        self._base = base
        self._nonzero = nonzero
        self._form = form
        self._silent = silent
        self._wanted = "non-negative integer" if low >= 0 else "integer"

    def parse(self, text: str) -> int | None:
        value = number(text, self._base)
        if value is None or not self._low <= value <= self._high:
            raise ValueError(f"'{text}'. Expected {self._wanted} value")
        if self._nonzero and value == 0:
            raise ValueError("Zero is not permitted")
        return None if value == self._silent else value

    def format(self, value: int) -> str:
        return self._form % value


class Natural(Codec[int]):
    """A signed C integer that must not be negative: two different complaints."""

    def parse(self, text: str) -> int | None:
        value = number(text)
        if value is None or not -(2**31) <= value < 2**31:
            raise ValueError(f"'{text}'. Expected integer value")
        if value < 0:
            raise ValueError(f"'{text}'. Expected non-negative value")
        return value


class Choice(Codec[str]):
    """One of a set of words; those in `silent` are understood but mean "not given"."""

    def __init__(self, *words: str, silent: tuple[str, ...] = ()) -> None:
        self.words = words
        self._values: dict[str, str | None] = {word: word for word in words}
        self._values |= dict.fromkeys(silent)

    def parse(self, text: str) -> str | None:
        try:
            return self._values[text]
        except KeyError:
            raise ValueError(f"'{text}'.") from None

    def format(self, value: str) -> str:
        return escape(value)


class Truth(Codec[bool]):
    """One of two words."""

    def __init__(self, yes: str, no: str) -> None:
        self._words = (no, yes)
        self._values = {yes: True, no: False}

    def parse(self, text: str) -> bool | None:
        try:
            return self._values[text]
        except KeyError:
            raise ValueError(f"'{text}'.") from None

    def format(self, value: bool) -> str:
        return self._words[bool(value)]


class Boolean(Truth):
    """yes or no, understood as libvirt understands words for both elsewhere."""


_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6}


def scale(unit: str, default: int = 1) -> int | None:
    """What one of `unit` is in bytes, None for an unknown unit."""
    low = unit.lower()
    if not low:
        return default
    if low in ("b", "byte", "bytes"):
        return 1
    power = _POWERS.get(low[0])
    if not power or low[1:] not in ("", "b", "ib"):
        return None
    return int(1000**power if low[1:] == "b" else 1024**power)


class Scaled(Codec[int]):
    """A size with a unit: kept in units of `step` bytes, printed with its unit."""

    def __init__(
        self, step: int = 1024, unit: str = "KiB", default: int = 1024, *, up: bool = True
    ) -> None:
        self._step = step
        self._slack = step - 1 if up else 0
        self._default = default
        self.unit = unit

    def parse(self, text: str) -> int | None:
        return self.parse_scaled(text, None)

    def parse_scaled(self, text: str, unit: str | None) -> int | None:
        value = number(text)
        if value is None or not -(2**63) <= value < 2**64:
            raise BadSize(text, "number")
        if value < 0:
            raise BadSize(text, "number")
        factor = self._default if unit is None else scale(unit, self._default)
        if factor is None:
            raise BadSize(unit or "", "unit")
        if value * factor >= 2**64:
            raise BadSize(text + (unit or ""), "overflow")
        return (value * factor + self._slack) // self._step


class BadSize(ValueError):
    """A size that is no number, has an unknown unit, or does not fit 64 bits."""

    def __init__(self, value: str, reason: str) -> None:
        super().__init__(f"'{value}'. Expected non-negative integer value")
        self.value = value
        self.reason = reason


STRING = Text()
WORD = Text(blank=False)
INT = Integer(-(2**31), 2**31 - 1)
NATURAL = Natural()
UINT = Integer(0, 2**32 - 1)
UINT_NONZERO = Integer(0, 2**32 - 1, nonzero=True)
ULONG = Integer(0, 2**64 - 1)
LONG = Integer(-(2**63), 2**63 - 1)
YESNO = Truth("yes", "no")
ONOFF = Truth("on", "off")
KIB = Scaled()
BYTES = Scaled(1, "bytes", 1)


def hexadecimal(digits: int, bits: int = 32) -> Integer:
    """A number printed as 0x and at least so many digits, read in any base C understands."""
    return Integer(0, 2**bits - 1, base=0, form=f"0x%0{digits}x")


MAX_CPUS = 16384  # the highest number in a set of CPUs


def cpu_list(text: str) -> list[int]:
    """The numbers of a set like 0-3,^2,7, sorted. Raises VirError."""
    found = 0  # one bit per number: a range costs the same whatever its width
    for part in text.split(","):
        word = part.strip()
        first, dash, last = word.removeprefix("^").partition("-")
        fine = first.isdecimal() and len(word) < 16 and (last.isdecimal() if dash else True)
        low = int(first) if fine else 0
        high = int(last) if fine and dash else low
        if not fine or high < low or high > MAX_CPUS:
            raise report(VIR_ERR_INVALID_ARG, VIR_FROM_NONE, f"Failed to parse bitmap '{text}'")
        span = ((1 << (high - low + 1)) - 1) << low
        found = found & ~span if word.startswith("^") else found | span
    return [number for number in range(found.bit_length()) if found >> number & 1]


def format_cpu_list(numbers: list[int]) -> str:
    """A set of numbers in its shortest form."""
    parts: list[str] = []
    start = 0
    for place, value in enumerate(numbers):
        if place + 1 < len(numbers) and numbers[place + 1] == value + 1:
            continue
        first = numbers[start]
        parts.append(str(value) if first == value else f"{first}-{value}")
        start = place + 1
    return ",".join(parts)


class CpuSet(Codec[str]):
    """A set of CPUs or nodes, kept as text in its shortest form."""

    def parse(self, text: str) -> str:
        return format_cpu_list(cpu_list(text))


CPUSET = CpuSet()
