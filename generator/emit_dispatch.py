# SPDX-License-Identifier: LGPL-2.1-or-later
"""emit_dispatch.py: the daemon's rows, one function per procedure: the mirror image of emit_remote.

What a client sent becomes handles of its connection, the API layer admits the call, the driver
answers, and what it says becomes what is sent back.
Called by: generator.__main__, emit_dispatch_table.
Never: emits what the description says is written by hand (its `dispatch` clauses).
"""

from __future__ import annotations

import re
from collections import defaultdict

from generator.emit_door import object_kind
from generator.emit_driver import carried
from generator.families import (
    c_name,
    error_domain,
    family,
    family_domain,
    method_name,
)
from generator.model import (
    Array,
    Chars,
    Field,
    Function,
    Model,
    Named,
    Optional,
    Procedure,
    Type,
    TypedParams,
)
from generator.pytypes import HANDLES, PyTypes
from generator.typetable import all_structs

FOLDER = "python/libvirtcore/generated/"
PROGRAMS = ("remote", "qemu", "lxc")

FILE = '''\
"""dispatch_{family}.py: the daemon's rows, family {family}: from what a client sent to a driver."""

from __future__ import annotations

{imports}

# fmt: off
{rows}{functions}
'''

FUNCTION = """

def {name}(session: Session, {args}: Any, {worker}: Any) -> Any:
{body}
"""

# Names that a function of a row uses itself.
TAKEN = frozenset(("session", "args", "worker", "row", "limits", "admit", "wire", "given"))


class Emitter:
    def __init__(self, model: Model) -> None:
        self.model = model
        self.types = PyTypes(model)
        self.functions = carried(model)
        self.structs = {struct.name: struct for struct in all_structs(model)}
        self.constants = {constant.name: constant.value for constant in model.constants}

    # --- facts ------------------------------------------------------------------------------------

    def function(self, procedure: Procedure) -> Function | None:
        return self.functions.get(f"{procedure.program}:{procedure.name}")

    def public_name(self, procedure: Procedure) -> str:
        function = self.function(procedure)
        return function.name if function else c_name(method_name(procedure))

    def domain(self, procedure: Procedure) -> str:
        function = self.function(procedure)
        return error_domain(function) if function else family_domain(method_name(procedure))

    def writes(self, procedure: Procedure) -> bool:
        """Whether a read-only client may not call it: also when nothing says that it may."""
        if not procedure.needs_auth:
            return False
        return not procedure.acl or any(r.refuses and not r.when for r in procedure.acl)

    # --- rows -------------------------------------------------------------------------------------

    def row(self, procedure: Procedure) -> tuple[str, str]:
        """The row that admits the call, and its statement when the API layer has none."""
        function = self.function(procedure)
        own = handle_of(procedure)
        kind = own or "connect"
        if function is not None and function.door != "none":
            known = object_kind(function)
            if known == kind:
                return f"row.{function.name}", ""
        name = f"_{method_name(procedure)}"
        parts = [
            f'"{self.public_name(procedure)}"',
            f'"{method_name(procedure)}"',
            f'"{kind}"',
            self.domain(procedure),
        ]
        if self.writes(procedure):
            parts.append("writes=True")
        return name, f"{name} = Row({', '.join(parts)})"

    def body(self, procedure: Procedure) -> list[str]:
        fields = procedure.args.fields if procedure.args else ()
        names = [_local(field.name) for field in fields]
        own = handle_of(procedure)
        lines: list[str] = []
        direct = own and HANDLES[own] in _FLAT
        if own and len(fields) == 1 and direct:
            lines.append(f"{names[0]} = {HANDLES[own]}(session.conn, *args[0])")
        elif fields:
            lines.append(f"{', '.join(names)}{',' if len(fields) == 1 else ''} = args")
            for field, name in zip(fields, names, strict=True):
                value = self.from_wire(field.type, name)
                if value != name:
                    lines.append(f"{name} = {value}")
        for field, name in zip(fields, names, strict=True):
            if is_count(field):
                lines.append(self.check_room(procedure, field, name))
            if takes_room(procedure) and is_count(field):
                lines.append(f"room = {name} or limits.{field.fill}")
            if strips_strings(procedure) and field.name == "flags":
                lines.append("asked = flags & ~STRINGS")
        given = [
            self.given(procedure, field, name) for field, name in zip(fields, names, strict=True)
        ]
        if procedure.stream:
            lines.append("stream = session.new_stream()")
            given.append("stream")
        if procedure.fds in ("call", "both"):
            given.append("fds")
        admitted, _ = self.row(procedure)
        handle = names[0] if own else "session.conn"
        rest = given[1:] if own else given
        admit = f"admit({admitted}, {handle}"
        if rest:
            admit += f", ({', '.join(rest)}{',' if len(rest) == 1 else ''})"
        call = f"{admit}).{method_name(procedure)}({', '.join(given)})"
        answer = self.answer(procedure, call)
        if procedure.fds in ("call", "both"):
            answer = ["with received(worker) as fds:", *(f"    {line}" for line in answer)]
        return lines + answer

    def check_room(self, procedure: Procedure, field: Field, name: str) -> str:
        """Refuse to make room for more than the protocol can carry, in libvirt's words."""
        returned = procedure.ret.fields if procedure.ret else ()
        type = returned[0].type
        if takes_room(procedure):
            row = self.row(procedure)[0] if len(returned) == 1 else "None"
            return f"check_params({name}, limits.{field.fill}, {row})"
        if len(returned) == 1 and isinstance(type, Array) and not isinstance(type.of, Named):
            return f'check_names({name}, limits.{field.fill}, "{field.name}", "{field.fill}")'
        fault = f"{field.name} > {field.fill}" if len(returned) == 1 else f"{field.name} too large"
        return f'check_count({name}, limits.{field.fill}, "{fault}")'

    def given(self, procedure: Procedure, field: Field, name: str) -> str:
        """An argument as the driver gets it."""
        if strips_strings(procedure) and field.name == "flags":
            return "asked"
        if takes_room(procedure) and is_count(field):
            return "room"
        return name

    def answer(self, procedure: Procedure, call: str) -> list[str]:
        fields = procedure.ret.fields if procedure.ret else ()
        returns_fds = procedure.fds in ("reply", "both")
        if procedure.stream:
            if not fields:
                opened = f"session.stream_opened(worker, stream, {_way(procedure)}, None)"
                return [call, f"return {opened}"]
            value = f"({self.to_wire(fields[0], 'ret')},)"
            opened = f"session.stream_opened(worker, stream, {_way(procedure)}, {value})"
            return [f"ret = {call}", f"return {opened}"]
        if not fields:
            if returns_fds:
                return [f"return session.send_descriptors(worker, None, {call})"]
            return [call]
        if returns_fds:
            value = f"({self.to_wire(fields[0], 'ret')},)"
            return [
                f"ret, got = {call}",
                f"return session.send_descriptors(worker, {value}, got)",
            ]
        if takes_room(procedure):
            nparams, flags = self.room(procedure)
            if len(fields) == 1:
                return [f"return (sent_params({call}, {nparams}, {flags}),)"]
            return [f"return sent_counted({call}, {nparams}, {flags})"]
        if len(fields) == 1:
            return self.single(procedure, fields[0], call)
        values = [self.to_wire(field, f"ret[{index}]") for index, field in enumerate(fields)]
        if values == [f"ret[{index}]" for index in range(len(fields))]:
            return [f"return {call}"]
        return [f"ret = {call}", f"return ({', '.join(values)})"]

    def single(self, procedure: Procedure, field: Field, call: str) -> list[str]:
        counts = [f for f in (procedure.args.fields if procedure.args else ()) if is_count(f)]
        if counts and isinstance(field.type, Array):
            return [f"return ({call}[:{_local(counts[0].name)}],)"]
        value = self.to_wire(field, "ret")
        if value == "ret":
            return [f"return ({call},)"]
        if value == "ret.wire":
            return [f"return ({call}.wire,)"]
        return [f"ret = {call}", f"return ({value},)"]

    def room(self, procedure: Procedure) -> tuple[str, str]:
        """How many parameters the client has room for, and whether it can read strings."""
        assert procedure.args
        count = next(_local(f.name) for f in procedure.args.fields if is_count(f))
        flags = any(field.name == "flags" for field in procedure.args.fields)
        return count, "flags" if flags else "0"

    # --- values -----------------------------------------------------------------------------------

    def from_wire(self, type: Type, source: str) -> str:
        match type:
            case Named(name) if name in HANDLES:
                if HANDLES[name] in _FLAT:
                    return f"{HANDLES[name]}(session.conn, *{source})"
                return f"wire.{name}(session.conn, {source})"
            case Optional(of) if self.types.holds_handles(of):
                return f"None if {source} is None else {self.from_wire(of, source)}"
            case Array(of) if self.types.holds_handles(of):
                return f"[{self.from_wire(of, 'one')} for one in {source}]"
        if self.types.holds_handles(type):
            raise TypeError(type)
        return source

    def to_wire(self, field: Field, source: str) -> str:
        value = self.sent(field.type, source)
        type = field.type
        if isinstance(type, Array) and type.max_name and isinstance(type.of, Named):
            return f'listed({value}, limits.{type.max_name}, "{field.name}")'
        return value

    def sent(self, type: Type, source: str) -> str:
        match type:
            case Named(name) if name in HANDLES:
                return f"{source}.wire"
            case Optional(of) if self.types.holds_handles(of):
                return f"None if {source} is None else {self.sent(of, source)}"
            case Array(of) if self.types.holds_handles(of):
                return f"[{self.sent(of, 'one')} for one in {source}]"
            case Chars(fixed=False):
                return f"ended({source})"
            case Array(of) if self.holds_chars(of):
                return f"[{self.sent(of, 'one')} for one in {source}]"
            case Named(name) if self.types.holds_handles(type) or self.holds_chars(type):
                parts = [
                    self.sent(field.type, f"{source}[{index}]")
                    for index, field in enumerate(self.structs[name].fields)
                ]
                return f"({', '.join(parts)})"
        return source

    def holds_chars(self, type: Type) -> bool:
        """Whether a struct has counted characters, which libvirt ends with a NUL."""
        if not isinstance(type, Named):
            return False
        fields = self.structs[type.name].fields
        return any(isinstance(field.type, Chars) and not field.type.fixed for field in fields)


# Handles made from the wire's fields in their order.
_FLAT = frozenset(HANDLES.values()) - {
    "DomainCheckpointHandle",
    "DomainSnapshotHandle",
    "NetworkPortHandle",
}


def handle_of(procedure: Procedure) -> str:
    """The kind of the object that the call is made on, "" when on the connection."""
    first = procedure.args.fields[0].type if procedure.args and procedure.args.fields else None
    return first.name if isinstance(first, Named) and first.name in HANDLES else ""


def is_count(field: Field) -> bool:
    """Whether an argument says how many results there is room for, at most a limit."""
    return bool(field.fill) and not field.fill.lstrip("-").isdigit()


def takes_room(procedure: Procedure) -> bool:
    """Whether a client says how many typed parameters it has room for; 0 asks for their number."""
    fields = procedure.args.fields if procedure.args else ()
    returned = procedure.ret.fields if procedure.ret else ()
    counts = any(is_count(field) for field in fields)
    return counts and bool(returned) and isinstance(returned[0].type, TypedParams)


def strips_strings(procedure: Procedure) -> bool:
    """Whether a flag of the call only says that the client can read parameters that are text."""
    returned = procedure.ret.fields if procedure.ret else ()
    if takes_room(procedure):
        return True
    return len(returned) == 1 and isinstance(returned[0].type, TypedParams)


def _local(name: str) -> str:
    return f"{name}_" if name in TAKEN else name


def _way(procedure: Procedure) -> str:
    return "True" if procedure.stream == "read" else "False"


def emit(model: Model) -> dict[str, str]:
    emitter = Emitter(model)
    functions: dict[str, list[str]] = defaultdict(list)
    rows: dict[str, list[str]] = defaultdict(list)
    programs = [program for program in model.programs if program.name in PROGRAMS]
    for program in programs:
        for procedure in program.procedures:
            if not is_generated(procedure):
                continue
            room = family(method_name(procedure))
            statement = emitter.row(procedure)[1]
            if statement:
                rows[room].append(statement)
            body = emitter.body(procedure)
            functions[room].append(
                FUNCTION.format(
                    name=method_name(procedure),
                    args="args" if any(re.search(r"\bargs\b", line) for line in body) else "_args",
                    worker="worker" if any("worker" in line for line in body) else "_worker",
                    body="\n".join(f"    {line}" for line in body),
                ).rstrip("\n")
            )
    return {
        f"{FOLDER}dispatch_{room}.py": _file(room, rows[room], functions[room])
        for room in sorted(functions)
    }


def is_generated(procedure: Procedure) -> bool:
    return procedure.kind != "event" and not procedure.dispatch


def _file(room: str, rows: list[str], functions: list[str]) -> str:
    text = "\n".join(rows + functions)

    def used(*names: str) -> list[str]:
        return [name for name in names if re.search(rf"\b{name}\b", text)]

    api = ", ".join(used("Row", "admit"))
    served = ", ".join(
        used(
            "check_count",
            "check_names",
            "check_params",
            "ended",
            "listed",
            "received",
            "sent_counted",
            "sent_params",
        )
    )
    domains = used(*sorted({f"VIR_FROM_{d}" for d in re.findall(r"VIR_FROM_(\w+)", text)}))
    handles = ", ".join(used(*sorted(_FLAT)))
    imports = [f"from libvirtcore.api.call import {api}"]
    if served:
        line = f"from libvirtcore.api.serving import {served}"
        if len(line) > 100:
            names = "".join(f"    {name},\n" for name in served.split(", "))
            line = f"from libvirtcore.api.serving import (\n{names})"
        imports.append(line)
    if re.search(r"\bwire\.\w+\(session", text):
        imports.append("from libvirtcore.drivers import wire")
    if used("STRINGS"):
        imports.append("from libvirtcore.drivers.wire import STRINGS")
    if "row." in text:
        imports.append("from libvirtcore.generated import api_table as row")
    if "limits." in text:
        imports.append("from libvirtcore.generated import limits")
    if domains and rows:
        imports.append(f"from libvirtcore.generated.constants import {', '.join(domains)}")
    if handles:
        imports.append(f"from libvirtcore.handles import {handles}")
    imports += [
        "",
        "TYPE_CHECKING = False",
        "if TYPE_CHECKING:",
        "    from typing import Any",
        "",
        "    from libvirtcore.api.serving import Session",
    ]
    return FILE.format(
        family=room,
        imports="\n".join(imports),
        rows="\n".join(rows) + "\n" if rows else "",
        functions="\n".join(functions).removeprefix("\n") if not rows else "\n".join(functions),
    )
