# SPDX-License-Identifier: LGPL-2.1-or-later
"""args.py: the door's argument conversions, with the errors that libvirt-python's C module raises.

Each converter takes what the user gave and returns what a driver takes. Integers follow the C
formats: unsigned ones are cut to their width, signed ones are range-checked.
Called by: generated.door_*, libvirtcore.api.
Never: knows a single API.
"""

from __future__ import annotations

from _operator import index  # operator itself takes a while

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

U32 = 0xFFFFFFFF
U64 = 0xFFFFFFFFFFFFFFFF


def u32(value: Any) -> int:
    """A C unsigned int: higher bits are dropped."""
    return index(value) & U32


def i32(value: Any) -> int:
    """A C int. Raises: OverflowError out of range."""
    number = index(value)
    if -0x80000000 <= number <= 0x7FFFFFFF:
        return number
    if -0x8000000000000000 <= number <= 0x7FFFFFFFFFFFFFFF:
        side = "less than minimum" if number < 0 else "greater than maximum"
        raise OverflowError(f"signed integer is {side}")
    raise OverflowError("Python int too large to convert to C long")


def ulong(value: Any) -> int:
    """A C unsigned long, converted as libvirt-python does: through a signed long."""
    number = index(value)
    if -0x8000000000000000 <= number <= 0x7FFFFFFFFFFFFFFF:
        return number & U64
    raise OverflowError("Python int too large to convert to C long")


def u64(value: Any) -> int:
    """A C unsigned long long, converted as libvirt-python does: through a signed one."""
    number = index(value)
    if -0x8000000000000000 <= number <= 0x7FFFFFFFFFFFFFFF:
        return number & U64
    raise OverflowError("int too big to convert")


def i64(value: Any) -> int:
    """A C long long. Raises: OverflowError out of range."""
    number = index(value)
    if -0x8000000000000000 <= number <= 0x7FFFFFFFFFFFFFFF:
        return number
    raise OverflowError("int too big to convert")


def u64_masked(value: Any) -> int:
    """A C unsigned long long of which only the low 64 bits are taken."""
    return index(value) & U64


def size(value: Any) -> int:
    """A C size that must fit a signed one. Raises: OverflowError out of range."""
    number = index(value)
    if -0x8000000000000000 <= number <= 0x7FFFFFFFFFFFFFFF:
        return number
    raise OverflowError("cannot fit 'int' into an index-sized integer")


def text(value: Any, function: str, position: int) -> str | None:
    """A C string or NULL."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(
            f"{function}() argument {position} must be str or None, not {type(value).__name__}"
        )
    if not value.isascii():
        value.encode()  # lone surrogates have no UTF-8
    if "\0" in value:
        raise ValueError("embedded null character")
    return value


def data(value: Any, function: str, position: int) -> bytes | None:
    """Raw bytes: bytes, or text as UTF-8."""
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    kind = type(value).__name__
    if isinstance(value, (bytearray, memoryview)):
        raise TypeError(
            f"{function}() argument {position} must be read-only bytes-like object, not {kind}"
        )
    raise TypeError(f"a bytes-like object is required, not '{kind}'")


def texts(value: Any) -> list[str] | None:
    """A list of C strings, or None."""
    if value is None:
        return None
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"a list of str is required, not '{type(value).__name__}'")
    for item in value:
        if not isinstance(item, str):
            raise TypeError(f"a list of str is required, not one with '{type(item).__name__}'")
        item.encode()
        if "\0" in item:
            raise ValueError("embedded null character")
    return list(value)
