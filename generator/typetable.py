# SPDX-License-Identifier: LGPL-2.1-or-later
"""typetable.py: lays all wire types out as one table of 32-bit words.

A type is an offset into the table; equal types share one offset, and a type's parts stand before
it, so adding a procedure at the end moves nothing.
Called by: generator.emit_c, generator.emit_tables, tests/generator.
Never: knows how a table is written down.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from generator.model import (
    Array,
    Chars,
    Model,
    Named,
    Opaque,
    Optional,
    Prim,
    Procedure,
    String,
    Struct,
    Type,
    TypedParams,
)

OPCODES = (
    "VOID",
    "I32",
    "U32",
    "I64",
    "U64",
    "F64",
    "I8",
    "U8",
    "U16",
    "STRING",
    "OPAQUE",
    "OPAQUE_FIXED",
    "CHARS",
    "CHARS_FIXED",
    "OPTIONAL",
    "ARRAY",
    "STRUCT",
    "TPARAMS",
)
CODE = {name: number for number, name in enumerate(OPCODES)}
SCALARS = {name.lower(): number for name, number in CODE.items() if 1 <= number <= 8}

KIND = {"": 0, "call": 1, "event": 2, "stream": 3}
FDS = {"": 0, "call": 1, "reply": 2, "both": 3}
STREAM = {"": 0, "read": 1, "write": 2}


@dataclass(slots=True)
class Row:
    """One type: its words, where they start, and the names it is known by."""

    offset: int
    words: tuple[int, ...]
    names: list[str] = field(default_factory=list)


class TypeTable:
    """The table of a model, filled in the order of programs and procedure numbers."""

    def __init__(self, model: Model) -> None:
        self.rows: list[Row] = []
        self._by_words: dict[tuple[int, ...], Row] = {}
        self._structs = {struct.name: struct for struct in all_structs(model)}
        self._length = 0
        for name in OPCODES[:9]:
            self._place((CODE[name],), name)
        self.procedures: dict[tuple[str, int], tuple[int, int]] = {}
        for program in model.programs:
            for proc in program.procedures:
                self.procedures[program.name, proc.number] = (
                    self.struct(proc.args),
                    self.struct(proc.ret),
                )
        self.net_error = self.of(Named("net_error"))
        self.stream_hole = self.of(Named("stream_hole"))

    @property
    def words(self) -> tuple[int, ...]:
        return tuple(word for row in self.rows for word in row.words)

    def struct(self, struct: Struct | None) -> int:
        if struct is None:
            return 0
        refs = tuple(self.of(field.type) for field in struct.fields)
        return self._place((CODE["STRUCT"], len(refs), *refs), struct.name)

    def of(self, type: Type) -> int:
        """The offset of a type, placed on first use."""
        match type:
            case Prim(name):
                return SCALARS[name]
            case String(max):
                return self._place((CODE["STRING"], max), f"string<{max}>")
            case Opaque(max, fixed):
                code = "OPAQUE_FIXED" if fixed else "OPAQUE"
                return self._place((CODE[code], max), f"{code.lower()} {max}")
            case Chars(max, fixed):
                code = "CHARS_FIXED" if fixed else "CHARS"
                return self._place((CODE[code], max), f"{code.lower()} {max}")
            case TypedParams(max):
                return self._place((CODE["TPARAMS"], max), f"params<{max}>")
            case Optional(of):
                ref = self.of(of)
                return self._place((CODE["OPTIONAL"], ref), f"{spell(of)}?")
            case Array(of, max):
                ref = self.of(of)
                return self._place((CODE["ARRAY"], max, ref), f"{spell(of)}<{max}>")
            case Named(name):
                return self.struct(self._structs[name])

    def _place(self, words: tuple[int, ...], name: str) -> int:
        row = self._by_words.get(words)
        if row is None:
            row = Row(self._length, words)
            self._by_words[words] = row
            self.rows.append(row)
            self._length += len(words)
        if name not in row.names:
            row.names.append(name)
        return row.offset


def all_structs(model: Model) -> Iterable[Struct]:
    """Every struct of the model: the named ones, then those of the procedures."""
    yield from model.structs
    for program in model.programs:
        for proc in program.procedures:
            if proc.args is not None:
                yield proc.args
            if proc.ret is not None:
                yield proc.ret


def spell(type: Type) -> str:
    """A type in the notation of the description, limits as numbers."""
    match type:
        case Prim(name, enum):
            return enum or name
        case String(max):
            return f"string<{max}>"
        case Opaque(max, fixed):
            return f"opaque[{max}]" if fixed else f"opaque<{max}>"
        case Chars(max, fixed):
            return f"chars[{max}]" if fixed else f"chars<{max}>"
        case Optional(of):
            return f"{spell(of)}?"
        case Array(of, max):
            return f"{spell(of)}<{max}>"
        case TypedParams(max):
            return f"params<{max}>"
        case Named(name):
            return name


def wire_row(table: TypeTable, proc: Procedure) -> tuple[str, int, int, int, int, int, int]:
    """A procedure as the tables of both languages hold it, in the order of their fields."""
    args, ret = table.procedures[proc.program, proc.number]
    return (
        proc.name,
        args,
        ret,
        KIND[proc.kind],
        int(proc.high_priority),
        FDS[proc.fds],
        STREAM[proc.stream],
    )


def tables_hash(model: Model, table: TypeTable) -> str:
    """The identity of the tables, compiled into the core and compared at import."""
    digest = hashlib.sha256(repr(table.words).encode())
    for program in model.programs:
        digest.update(f"{program.number} {program.version}\n".encode())
        for proc in program.procedures:
            digest.update(f"{proc.number} {wire_row(table, proc)!r}\n".encode())
    digest.update(f"{table.net_error} {table.stream_hole}".encode())
    return digest.hexdigest()[:16]
