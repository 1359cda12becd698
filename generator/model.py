# SPDX-License-Identifier: LGPL-2.1-or-later
"""model.py: what a description says, as frozen dataclasses.

Called by: generator.parse (builds it), generator.check (judges it), every emitter (reads it).
Never: parses text, writes files, or keeps state between two runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# --- wire types -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Prim:
    """A scalar: one of i8 u8 u16 i32 u32 i64 u64 f64 (i8, u8 and u16 take four bytes on the wire).

    `enum` names the wire enumeration whose values an i32 takes, "" for a plain number.
    """

    name: str
    enum: str = ""


@dataclass(frozen=True, slots=True)
class String:
    """UTF-8 text without NUL, at most `max` bytes."""

    max: int
    max_name: str = ""


@dataclass(frozen=True, slots=True)
class Opaque:
    """Raw bytes: exactly `max` when fixed, else counted and at most `max`."""

    max: int
    fixed: bool = False
    max_name: str = ""


@dataclass(frozen=True, slots=True)
class Chars:
    """XDR `char` array as bytes; each element takes four bytes on the wire."""

    max: int
    fixed: bool = False
    max_name: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """A struct, union or typedef by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Array:
    """A counted array of at most `max` elements."""

    of: Type
    max: int
    max_name: str = ""


@dataclass(frozen=True, slots=True)
class Optional:
    """XDR pointer: absent or one value."""

    of: Type


@dataclass(frozen=True, slots=True)
class TypedParams:
    """A counted array of typed parameters (name, type code, value) of at most `max` elements."""

    max: int
    max_name: str = ""


Type = Prim | String | Opaque | Chars | Named | Array | Optional | TypedParams


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message. `fill` is what the door sends when no caller's argument feeds it."""

    name: str
    type: Type
    fill: str = ""


@dataclass(frozen=True, slots=True)
class Struct:
    """A named list of fields; `line` is where the description states it.

    Object structs bear the `kind` of their handle (domain, network_port, …). Argument, return and
    event structs are named after their procedure: domain_get_info_ret, qemu_domain_attach_args.
    """

    name: str
    fields: tuple[Field, ...]
    line: str = ""


@dataclass(frozen=True, slots=True)
class WireEnum:
    """An enumeration of the protocol itself (public enums are constants)."""

    name: str
    values: tuple[tuple[str, int], ...]
    line: str = ""


# --- calls ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Right:
    """A permission a caller needs on an object.

    With `when`, only if one of these bits is set in `argument` (none of them when `negated`; for
    another argument than flags: if it equals the value). `refuses`: a read-only connection may not.
    """

    object: str
    permission: str
    refuses: bool = False
    when: tuple[str, ...] = ()
    negated: bool = False
    argument: str = "flags"


@dataclass(frozen=True, slots=True)
class Procedure:
    """One number of a program. `args`/`ret` are None when nothing is sent.

    `dispatch`: why the daemon's half is written by hand, "" when it is generated.
    """

    program: str
    number: int
    name: str  # domain_resume
    args: Struct | None
    ret: Struct | None
    kind: str  # call | event | stream
    high_priority: bool = False
    needs_auth: bool = True
    stream: str = ""  # "" | read | write
    fds: str = ""  # "" | call | reply | both
    acl: tuple[Right, ...] = ()
    aclfilter: tuple[Right, ...] = ()  # needed on each element of a result, else it is left out
    event_id: str = ""
    since: str = ""
    doc: str = ""
    line: str = ""
    dispatch: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    name: str
    number: int
    version: int
    procedures: tuple[Procedure, ...]  # by number, without gaps


@dataclass(frozen=True, slots=True)
class CArg:
    name: str
    ctype: str


@dataclass(frozen=True, slots=True)
class Function:
    """One public C function and what the door does with it.

    `door`: auto (driver method with the wire's arguments, object first), hand (written in
    libvirtcore/api/, with `door_reason`), or none (no Python binding, with `door_reason`).
    `shape`: name of the function in libvirtcore/api/shapes.py that turns the driver's value into
    what libvirt-python returns; "" returns it as is (or 0 when the procedure returns nothing).
    """

    name: str
    library: str  # libvirt | libvirt-qemu | libvirt-lxc | libvirt-admin
    module: str
    since: str
    ret: str
    args: tuple[CArg, ...]
    doc: str
    procedures: tuple[str, ...] = ()  # "remote:domain_resume"
    direct: str = ""  # of these, the one that carries the call itself; "" when local or composed
    py_args: tuple[str, ...] = ()  # what the door takes: the object, then the method's parameters
    door: str = "auto"
    door_reason: str = ""
    shape: str = ""
    inputs: str = ""  # the group of typed_inputs that types its dict argument
    writes: bool = False  # refused on a read-only connection
    line: str = ""


@dataclass(frozen=True, slots=True)
class Param:
    """One argument of a Python method. `default` is source text, None when required."""

    name: str
    annotation: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Method:
    """One method (or module function, `owner` "") of a Python face."""

    face: str  # libvirt | libvirt_qemu | libvirt_lxc
    owner: str  # class name or ""
    name: str
    params: tuple[Param, ...]  # without self
    function: str  # C name it calls, "" when hand-written
    fails_on: str  # "== -1" | "is None" | ""
    wraps: str = ""  # class the result is wrapped in
    wraps_list: bool = False
    returns: str = "Any"
    message: str = ""  # default message of libvirtError
    hand: str = ""  # reason when the body is written by hand; `function` then only tells its source
    doc: str = ""
    line: str = ""


@dataclass(frozen=True, slots=True)
class Constant:
    """A public number or text. A sentinel counts its enum's values and is not visible in Python."""

    name: str
    value: int | str
    enum: str  # owning enum's name; "" for macros
    library: str
    since: str = ""
    sentinel: bool = False
    line: str = ""


@dataclass(frozen=True, slots=True)
class EventCallback:
    """What a user's callback receives for one event id."""

    family: str  # domain | network | storage_pool | node_device | secret
    id_name: str
    id: int
    dispatch: str  # _dispatchDomainEvent…
    args: tuple[str, ...]
    procedures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """The whole description."""

    version: str
    structs: tuple[Struct, ...]  # object and helper structs, the error and the stream hole
    wire_enums: tuple[WireEnum, ...]
    programs: tuple[Program, ...]
    functions: tuple[Function, ...]
    methods: tuple[Method, ...]
    constants: tuple[Constant, ...]
    limits: dict[str, int] = field(default_factory=dict)
    events: tuple[EventCallback, ...] = ()
    typed_inputs: dict[str, dict[str, str]] = field(
        default_factory=dict
    )  # group → field → INT|UINT|…
    digest: str = ""  # sha256 of the description it was read from
