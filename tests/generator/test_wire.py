# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_wire.py: the wire is frozen: wire.txt lists every procedure and field, and may only grow.

The list is made from the generated tables, not from the description, so that a fault of the
generator shows as well. `pytest tests/generator --update-golden` adds new lines; it never drops or
changes one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from generator.typetable import OPCODES
from libvirtcore.generated.field_names import NAMES
from libvirtcore.generated.limits import VIR_NET_MESSAGE_MAX
from libvirtcore.generated.tables import (
    PROGRAMS,
    TABLES_HASH,
    TYPE_NET_ERROR,
    TYPE_STREAM_HOLE,
    TYPES,
)

WIRE = Path(__file__).parent / "wire.txt"
TABLES_C = Path(__file__).resolve().parents[2] / "libvirtcore" / "generated" / "tables.c"
KINDS = ("", "call", "event", "stream")
FDS = ("", "fds with call", "fds with reply", "fds with both")
STREAMS = ("", "client reads", "client writes")


def spelled(offset: int) -> str:
    """The type at an offset, down to its scalars."""
    name = OPCODES[TYPES[offset]]
    match name:
        case "OPTIONAL":
            return f"{spelled(TYPES[offset + 1])}?"
        case "ARRAY":
            return f"{spelled(TYPES[offset + 2])}<{TYPES[offset + 1]}>"
        case "STRUCT":
            return f"{{{', '.join(spelled(ref) for ref in members(offset))}}}"
        case "STRING" | "OPAQUE" | "CHARS" | "TPARAMS":
            return f"{name.lower()}<{TYPES[offset + 1]}>"
        case "OPAQUE_FIXED" | "CHARS_FIXED":
            return f"{name.removesuffix('_FIXED').lower()}[{TYPES[offset + 1]}]"
        case _:
            return name.lower()


def members(offset: int) -> tuple[int, ...]:
    return TYPES[offset + 2 : offset + 2 + TYPES[offset + 1]]


def fields(offset: int, names: tuple[str, ...]) -> str:
    if offset == 0:
        return "-"
    assert OPCODES[TYPES[offset]] == "STRUCT"
    pairs = zip(names, members(offset), strict=True)
    return ", ".join(f"{name}: {spelled(ref)}" for name, ref in pairs) or "nothing"


def wire() -> Iterator[str]:
    for number, program in PROGRAMS.items():
        yield f"program {program.name} 0x{number:08x} version {program.version}"
        for position, proc in enumerate(program.procedures):
            if proc is None:
                continue
            sent, returned = NAMES[number, position]
            marks = [
                KINDS[proc.kind],
                "high" if proc.high_priority else "",
                FDS[proc.fds],
                STREAMS[proc.stream],
            ]
            title = f"{program.name} {position} {proc.name}"
            yield f"{title}: {', '.join(mark for mark in marks if mark)}"
            yield f"{title} sends {fields(proc.args, sent)}"
            yield f"{title} returns {fields(proc.ret, returned)}"
    yield f"error {spelled(TYPE_NET_ERROR)}"
    yield f"stream hole {spelled(TYPE_STREAM_HOLE)}"


def test_wire_only_grows(update_golden: bool) -> None:
    now = list(wire())
    frozen = WIRE.read_text().splitlines() if WIRE.exists() else []
    assert [line for line in frozen if line not in set(now)] == [], "frozen lines changed"
    if update_golden:
        WIRE.write_text("\n".join(now) + "\n")
    else:
        assert frozen == now, "new lines: run pytest tests/generator --update-golden"


def test_offsets_lead_to_types() -> None:
    """Read from the front, the table is a sequence of whole types, and refs point backwards."""
    starts, at = set(), 0
    while at < len(TYPES):
        starts.add(at)
        name = OPCODES[TYPES[at]]
        refs: tuple[int, ...] = ()
        if name == "STRUCT":
            refs, size = members(at), 2 + TYPES[at + 1]
        elif name == "ARRAY":
            refs, size = (TYPES[at + 2],), 3
        elif name == "OPTIONAL":
            refs, size = (TYPES[at + 1],), 2
        else:
            size = 1 if at < 9 else 2
        assert set(refs) <= starts, f"type at {at}"
        at += size
    assert at == len(TYPES)
    used = {offset for p in PROGRAMS.values() for q in p.procedures if q for offset in q[1:3]}
    assert used | {TYPE_NET_ERROR, TYPE_STREAM_HOLE} <= starts


def test_no_bound_exceeds_a_message() -> None:
    for at in range(9, len(TYPES)):
        assert TYPES[at] <= VIR_NET_MESSAGE_MAX


def test_c_and_python_hold_the_same_tables() -> None:
    source = re.sub(r"/\*.*?\*/", "", TABLES_C.read_text())
    words = re.search(r"lvc_types\[\] = \{(.*?)\};", source, re.DOTALL)
    assert words is not None
    assert tuple(int(word) for word in words[1].replace(",", " ").split()) == TYPES
    assert f'lvc_tables_hash[] = "{TABLES_HASH}"' in source
    for program in PROGRAMS.values():
        rows = re.search(rf"{program.name}_procedures\[\] = \{{(.*?)\n\}};", source, re.DOTALL)
        assert rows is not None
        found = re.findall(r'\{"(\w+)", ([\d, ]+)\}', rows[1])
        expected = [(q.name, ", ".join(map(str, q[1:]))) for q in program.procedures if q]
        assert found == expected
