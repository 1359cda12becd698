# SPDX-License-Identifier: LGPL-2.1-or-later
"""declared.py: what the declarations of all files say, by name, before any call is read.

Called by: generator.build.
Never: derives anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from generator import syntax as s
from generator.lex import DescriptionError
from generator.model import WireEnum
from generator.names import ClassRule

_T = TypeVar("_T")


@dataclass(slots=True)
class Declared:
    """Everything declared; `unused` shrinks as the builder uses it."""

    version: str = ""
    limits: dict[str, int] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    types: dict[str, s.TypeRef] = field(default_factory=dict)
    codes: dict[str, WireEnum] = field(default_factory=dict)
    structs: set[str] = field(default_factory=set)
    programs: dict[str, s.ProgramDecl] = field(default_factory=dict)
    classes: list[ClassRule] = field(default_factory=list)
    shapes: dict[str, str] = field(default_factory=dict)
    unused: dict[tuple[str, str], str] = field(default_factory=dict)  # (what, name) → where

    def use(self, what: str, name: str) -> None:
        self.unused.pop((what, name), None)


def collect(entries: Iterable[s.Entry]) -> Declared:
    tables = Declared()
    for entry in entries:
        match entry.decl:
            case (
                s.WordDecl(name)
                | s.TypeDecl(name)
                | s.ShapeDecl(name)
                | s.ClassDecl(name)
                | s.InputsDecl(name)
            ):
                what = type(entry.decl).__name__.removesuffix("Decl").lower()
                tables.unused[what, name] = entry.where
            case _:
                pass
        match entry.decl:
            case s.VersionDecl(version):
                tables.version = version
            case s.LimitDecl(name, value):
                _once(tables.limits, name, value, entry)
            case s.WordDecl(spelled, wire):
                _once(tables.words, spelled, wire, entry)
            case s.TypeDecl(name, ref):
                _once(tables.types, name, ref, entry)
            case s.CodesDecl(name, values):
                _once(tables.codes, name, WireEnum(name, values, entry.where), entry)
            case s.ProgramDecl() as program:
                _once(tables.programs, program.name, program, entry)
            case s.ShapeDecl(name, annotation):
                _once(tables.shapes, name, annotation, entry)
            case s.ClassDecl(name, handle, strips):
                tables.classes.append(ClassRule(name, handle, strips))
            case s.StructDecl(name):
                if name in tables.structs:
                    raise DescriptionError(entry.where, f"{name} is stated twice")
                tables.structs.add(name)
            case _:
                pass
    return tables


def _once(table: dict[str, _T], name: str, value: _T, entry: s.Entry) -> None:
    if name in table:
        raise DescriptionError(entry.where, f"{name} is stated twice")
    table[name] = value
