# SPDX-License-Identifier: LGPL-2.1-or-later
"""syntax.py: the entries of a description as they are written, before anything is derived.

Called by: generator.parse (builds them), generator.build (turns them into a Model).
Never: resolves a name.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TypeRef:
    """`domain<LIST_MAX>?` is ref("domain"), counted by LIST_MAX, optional."""

    name: str
    where: str
    bound: str = ""  # number or name of a limit
    fixed: bool = False  # [n] instead of <n>
    counted: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class FieldDecl:
    name: str
    type: TypeRef
    fill: str = ""


@dataclass(frozen=True, slots=True)
class RightMark:
    """`?read`, `!storage_vol:delete`, `!save[not VIR_X|VIR_Y]`, `!write[source = VIR_Z]`."""

    object: str
    permission: str
    refuses: bool
    where: str
    when: tuple[str, ...] = ()
    negated: bool = False
    argument: str = "flags"


@dataclass(frozen=True, slots=True)
class ParamDecl:
    name: str
    annotation: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class PyClause:
    """`py virDomain.info(flags: int = 0) -> list[int] fails never hand "why"`, parts optional."""

    name: str
    where: str
    params: tuple[ParamDecl, ...] | None = None
    returns: str = ""
    fails: str | None = None  # None: derived
    hand: str = ""


@dataclass(frozen=True, slots=True)
class CProto:
    """A C prototype: result, name, (type, name) of each argument."""

    ret: str
    name: str
    args: tuple[tuple[str, str], ...]


# What a clause begins with, besides marks.
CLAUSES = ("c", "py", "door", "dispatch", "unbound", "via")


@dataclass(slots=True)
class Marks:
    """What may follow a call on its line or in its clauses; `seen` tells where each stands."""

    seen: dict[str, str] = field(default_factory=dict)
    rights: list[RightMark] = field(default_factory=list)
    each: list[RightMark] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)  # high, unauthenticated, writes, no-method
    stream: str = ""
    fds: str = ""
    shape: str = ""
    inputs: str = ""
    since: str = ""
    procedure: str = ""  # as NAME
    via: tuple[str, ...] = ()
    event_id: str = ""
    door: str = ""
    dispatch: str = ""
    unbound: str = ""
    c: CProto | None = None
    py: PyClause | None = None


@dataclass(slots=True)
class Call:
    """A numbered line: a public function's call, a bare procedure, or an event."""

    number: int
    name: str
    args: tuple[FieldDecl, ...] | None
    ret: tuple[FieldDecl, ...] | None
    event: bool
    marks: Marks


@dataclass(slots=True)
class Local:
    """A function without a procedure of its own."""

    proto: CProto
    marks: Marks


@dataclass(slots=True)
class MethodDecl:
    """A method that no C function stands for."""

    py: PyClause


@dataclass(slots=True)
class StructDecl:
    name: str
    fields: tuple[FieldDecl, ...]


@dataclass(slots=True)
class TypeDecl:
    name: str
    type: TypeRef


@dataclass(slots=True)
class CodesDecl:
    """An enumeration of the wire."""

    name: str
    values: tuple[tuple[str, int], ...]


@dataclass(slots=True)
class ConstantDecl:
    name: str
    value: int | str
    since: str
    sentinel: bool
    where: str


@dataclass(slots=True)
class EnumDecl:
    """A public enumeration, or the public texts (name "")."""

    name: str
    constants: list[ConstantDecl]


@dataclass(slots=True)
class InputsDecl:
    """A group of typed parameters: (constant that holds the key, type)."""

    name: str
    fields: list[tuple[str, str, str]]  # constant, type, where


@dataclass(slots=True)
class CallbackDecl:
    family: str
    event_id: str
    args: tuple[str, ...]
    dispatch: str


@dataclass(slots=True)
class LimitDecl:
    name: str
    value: int


@dataclass(slots=True)
class ProgramDecl:
    name: str
    number: int
    version: int
    drops: tuple[str, ...]
    conn: str  # C type of a connection
    strings: str  # the limit of every string, "" when it sends none


@dataclass(slots=True)
class ClassDecl:
    name: str
    handle: str
    strips: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class WordDecl:
    spelled: str
    wire: str
    reason: str


@dataclass(slots=True)
class ShapeDecl:
    """What a door does to a driver's value; without an annotation the first field is kept."""

    name: str
    annotation: str


@dataclass(slots=True)
class VersionDecl:
    version: str


@dataclass(slots=True)
class Use:
    """`library X`, `face X`, `module X`, `calls X`: holds for the lines below it in its file."""

    what: str
    name: str


Decl = (
    Call
    | Local
    | MethodDecl
    | StructDecl
    | TypeDecl
    | CodesDecl
    | EnumDecl
    | InputsDecl
    | CallbackDecl
    | LimitDecl
    | ProgramDecl
    | ClassDecl
    | WordDecl
    | ShapeDecl
    | VersionDecl
    | Use
)


@dataclass(slots=True)
class Entry:
    """One declaration, where it stands and the comment above it."""

    decl: Decl
    where: str
    doc: str
