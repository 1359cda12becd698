# SPDX-License-Identifier: LGPL-2.1-or-later
"""pure_types.py: what the generated type table says, and the codec's one kind of fault.

A fault is raised where it is found; structs and arrays add their index to its path on the way out,
so that the good case pays nothing for a good message. The words are those of the C core.
Called by: pure_decode, pure_encode, explain, tests. Calls: the generated tables.
Never: touches a message.
"""

from __future__ import annotations

from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import VIR_ERR_RPC, VIR_FROM_RPC
from libvirtcore.generated.tables import TYPES

VOID, I32, U32, I64, U64, F64, I8, U8, U16 = range(9)
STRING, OPAQUE, OPAQUE_FIXED, CHARS, CHARS_FIXED, OPTIONAL, ARRAY, STRUCT, TPARAMS = range(9, 18)

# Scalars: struct code, lowest, highest. The narrow ones travel as a whole word.
SCALARS: dict[int, tuple[str, int, int]] = {
    I32: ("i", -(2**31), 2**31 - 1),
    U32: ("I", 0, 2**32 - 1),
    I64: ("q", -(2**63), 2**63 - 1),
    U64: ("Q", 0, 2**64 - 1),
    I8: ("i", -128, 127),
    U8: ("i", 0, 255),
    U16: ("i", 0, 65535),
}
# A typed parameter's type code: 1 int … 5 double are scalars, 6 is a boolean, 7 a string.
PARAM_SCALARS = {1: I32, 2: U32, 3: I64, 4: U64, 5: F64}
PARAM_BOOLEAN, PARAM_STRING = 6, 7


class CodecError(Exception):
    """What is wrong with a value or message, the indexes that lead there, the byte it starts at."""

    def __init__(self, text: str, at: int = -1) -> None:
        super().__init__(text)
        self.text = text
        self.at = at
        self.path: list[int] = []

    def words(self, root: str) -> str:
        place = root + "".join(f"[{index}]" for index in reversed(self.path))
        return (
            f"{place} at byte {self.at}: {self.text}" if self.at >= 0 else f"{place}: {self.text}"
        )


def outside(value: int, low: int, high: int, at: int = -1) -> CodecError:
    return CodecError(f"{value} is outside {low}..{high}", at)


def above(count: int, things: str, limit: int, at: int = -1) -> CodecError:
    return CodecError(f"{count} {things} exceed the limit of {limit}", at)


def payload_error(what: str, detail: str) -> VirError:
    """The RPC error for a message that cannot be taken apart or put together."""
    return report(VIR_ERR_RPC, VIR_FROM_RPC, f"{what}: {detail}")


def fields(offset: int) -> tuple[int, ...]:
    """The type offsets of a struct's fields."""
    first = offset + 2
    return TYPES[first : first + TYPES[offset + 1]]


def run_code(offset: int) -> str:
    """The struct code of a type whose every bit pattern is a value, else "": it may join a run."""
    op = TYPES[offset]
    if op == F64:
        return "d"
    if op in (I32, U32, I64, U64):
        return SCALARS[op][0]
    if op == OPAQUE_FIXED and TYPES[offset + 1] % 4 == 0:
        return f"{TYPES[offset + 1]}s"
    return ""
