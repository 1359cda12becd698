# SPDX-License-Identifier: LGPL-2.1-or-later
"""build.py: turns parsed entries into a Model; names are resolved and what is implied is derived.

Called by: generator.description, tests/generator.
Calls: generator.derive, generator.names.
Never: reads files; judges more than a name that cannot be resolved (generator.check does).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from generator import model as m
from generator import syntax as s
from generator.declared import Declared, collect
from generator.derive import Derive, fails_on, wrapped_class
from generator.lex import DescriptionError
from generator.names import method_of, procedure_of, struct_name

SCALARS = frozenset(("i8", "u8", "u16", "i32", "u32", "i64", "u64", "f64"))

PARAM_TYPES = ("INT", "UINT", "LLONG", "ULLONG", "DOUBLE", "BOOLEAN", "STRING")

# Which marks and clauses an entry may bear.
EVENT_MARKS = frozenset(("id", "since", "as"))
BARE_MARKS = frozenset(
    ("right", "each", "high", "unauthenticated", "stream", "fds", "as", "since", "dispatch")
)
FUNCTION_MARKS = frozenset(
    ("shape", "inputs", "no-method", "since", "py", "door", "unbound", "via")
)
CALL_MARKS = BARE_MARKS | FUNCTION_MARKS | {"c"}
LOCAL_MARKS = FUNCTION_MARKS | {"writes"}

STRINGS = "VIR_NET_MESSAGE_STRING_MAX"  # of strings outside any program: in the error

NO_CALL = "done without a call of its own"
SEVERAL_CALLS = "composed of several calls"


@dataclass(slots=True)
class _Context:
    """What the `library`, `face`, `module` and `calls` lines above an entry say."""

    library: str = ""
    face: str = ""
    module: str = ""
    program: str = ""


def build(files: Iterable[list[s.Entry]]) -> m.Model:
    """The model of a description; each list holds one file's entries."""
    files = list(files)
    tables = collect(entry for entries in files for entry in entries)
    builder = _Builder(tables)
    for entries in files:
        builder.file(entries)
    model = builder.model()
    for (what, name), where in tables.unused.items():
        raise DescriptionError(where, f"{what} {name} is not used")
    return model


class _Builder:
    def __init__(self, tables: Declared) -> None:
        self._tables = tables
        self._derive = Derive(tables.classes)
        self._now = _Context()
        self._structs: list[m.Struct] = []
        self._procedures: dict[str, list[m.Procedure]] = {name: [] for name in tables.programs}
        self._functions: list[m.Function] = []
        self._methods: list[m.Method] = []
        self._constants: list[m.Constant] = []
        self._inputs: list[tuple[s.InputsDecl, s.Entry]] = []
        self._callbacks: list[tuple[s.CallbackDecl, s.Entry]] = []

    # --- all --------------------------------------------------------------------------------------

    def file(self, entries: list[s.Entry]) -> None:
        self._now = _Context()
        for entry in entries:
            match entry.decl:
                case s.Use(what, name):
                    setattr(self._now, "program" if what == "calls" else what, name)
                case s.Call() as call:
                    self._call(call, entry)
                case s.Local(proto, marks):
                    self._local(proto, marks, entry)
                case s.MethodDecl(py):
                    self._method(py, "", "", (), entry)
                case s.StructDecl(name, fields):
                    self._structs.append(m.Struct(name, self._fields(fields), entry.where))
                case s.EnumDecl(name, constants):
                    self._enum(name, constants)
                case s.InputsDecl() as inputs:
                    self._inputs.append((inputs, entry))
                case s.CallbackDecl() as callback:
                    self._callbacks.append((callback, entry))
                case _:
                    pass

    def model(self) -> m.Model:
        tables = self._tables
        values = {constant.name: constant for constant in self._constants}
        programs = [
            m.Program(
                name,
                program.number,
                program.version,
                tuple(sorted(self._procedures[name], key=lambda proc: proc.number)),
            )
            for name, program in tables.programs.items()
        ]
        return m.Model(
            tables.version,
            tuple(self._structs),
            tuple(tables.codes.values()),
            tuple(programs),
            tuple(self._functions),
            tuple(self._methods),
            tuple(self._constants),
            tables.limits,
            self._events(programs, values),
            {
                inputs.name: {
                    str(_lookup(values, name, where).value): _param_type(type, where)
                    for name, type, where in inputs.fields
                }
                for inputs, _ in self._inputs
            },
        )

    def _events(
        self, programs: list[m.Program], values: dict[str, m.Constant]
    ) -> tuple[m.EventCallback, ...]:
        carriers: dict[str, list[str]] = defaultdict(list)
        for program in programs:
            for proc in program.procedures:
                if proc.event_id:
                    carriers[proc.event_id].append(f"{program.name}:{proc.name}")
        return tuple(
            m.EventCallback(
                callback.family,
                callback.event_id,
                int(_lookup(values, callback.event_id, entry.where).value),
                callback.dispatch,
                callback.args,
                tuple(carriers[callback.event_id]),
            )
            for callback, entry in self._callbacks
        )

    # --- calls ------------------------------------------------------------------------------------

    def _call(self, call: s.Call, entry: s.Entry) -> None:
        if self._now.program not in self._tables.programs:
            raise DescriptionError(entry.where, "no 'calls PROGRAM' line above this call")
        program = self._tables.programs[self._now.program]
        marks = call.marks
        public = call.name.startswith(program.drops[0]) and not call.event
        allowed = EVENT_MARKS if call.event else CALL_MARKS if public else BARE_MARKS
        _only(marks, allowed, call.name)
        name = call.name
        if public:
            name = procedure_of(call.name, program.drops, self._tables.words)
            for word in self._tables.words:
                if word in call.name:
                    self._tables.use("word", word)
        name = marks.procedure or name
        args = self._message(program.name, name, "msg" if call.event else "args", call.args)
        kind = "event" if call.event else "stream" if marks.stream else "call"
        proc = m.Procedure(
            program.name,
            call.number,
            name,
            args,
            self._message(program.name, name, "ret", call.ret),
            kind,
            "high" in marks.flags,
            "unauthenticated" not in marks.flags,
            marks.stream,
            marks.fds,
            tuple(self._right(mark, args) for mark in marks.rights),
            tuple(self._right(mark, args) for mark in marks.each),
            marks.event_id,
            marks.since,
            entry.doc,
            entry.where,
            marks.dispatch,
        )
        self._procedures[program.name].append(proc)
        if public:
            self._public(call, proc, program, entry)

    def _public(
        self, call: s.Call, proc: m.Procedure, program: s.ProgramDecl, entry: s.Entry
    ) -> None:
        marks = call.marks
        fields = proc.args.fields if proc.args else ()
        if marks.c is not None:
            ret, c_args = marks.c.ret, _c_args(marks.c)
        else:
            derived_args = self._derive.c_args(fields, program.conn)
            derived_ret = self._derive.c_result(proc.ret)
            if derived_args is None or derived_ret is None:
                raise DescriptionError(
                    entry.where, f"{call.name} needs a 'c' clause: its prototype does not follow"
                )
            ret, c_args = derived_ret, derived_args
        direct = f"{proc.program}:{proc.name}"
        door = "none" if marks.unbound else "hand" if marks.door else "auto"
        owner = self._derive.owner(c_args[0].ctype) if c_args else ""
        returns = self._shaped(marks, entry)
        if not returns and marks.shape and proc.ret:
            returns = self._derive.annotation(proc.ret.fields[0].type)
        self._function(
            m.Function(
                call.name,
                self._now.library,
                self._now.module,
                marks.since,
                ret,
                c_args,
                entry.doc,
                (direct, *(self._qualified(name, entry) for name in marks.via)),
                direct,
                (),
                door,
                marks.unbound or marks.door,
                marks.shape,
                marks.inputs,
                any(right.refuses and not right.when for right in proc.acl),
                entry.where,
            ),
            marks,
            self._derive.py_params(fields, owner),
            returns or self._derive.returns(proc.ret),
            entry,
        )

    def _local(self, proto: s.CProto, marks: s.Marks, entry: s.Entry) -> None:
        _only(marks, LOCAL_MARKS, proto.name)
        via = tuple(self._qualified(name, entry) for name in marks.via)
        args = _c_args(proto)
        owner = self._derive.owner(args[0].ctype) if args else ""
        door = "none" if marks.unbound else "hand"
        reason = marks.unbound or marks.door or (SEVERAL_CALLS if via else NO_CALL)
        returns = self._shaped(marks, entry) or self._derive.annotation_of_c(proto.ret)
        self._function(
            m.Function(
                proto.name,
                self._now.library,
                self._now.module,
                marks.since,
                proto.ret,
                args,
                entry.doc,
                via,
                "",
                (),
                door,
                reason,
                marks.shape,
                marks.inputs,
                "writes" in marks.flags,
                entry.where,
            ),
            marks,
            self._derive.py_params_of_c(args, owner),
            returns,
            entry,
        )

    def _shaped(self, marks: s.Marks, entry: s.Entry) -> str:
        """The Python type that the call's shape makes, "" when it leaves the wire's."""
        if marks.shape and marks.shape not in self._tables.shapes:
            raise DescriptionError(entry.where, f"no shape is named {marks.shape}")
        self._tables.use("shape", marks.shape)
        return self._tables.shapes.get(marks.shape, "")

    def _function(
        self,
        function: m.Function,
        marks: s.Marks,
        params: tuple[m.Param, ...],
        returns: str,
        entry: s.Entry,
    ) -> None:
        names = tuple(arg.name for arg in function.args)
        if function.door != "none" and "no-method" not in marks.flags:
            py = marks.py or s.PyClause("", entry.where)
            method = self._method(py, function.name, returns, params, entry, function)
            names = tuple(param.name for param in method.params)
            if method.owner:
                names = (self._derive.rule(method.owner).handle, *names)
        if function.door == "none":
            names = ()
        self._tables.use("inputs", function.inputs)
        self._functions.append(replace(function, py_args=names))

    # --- Python -----------------------------------------------------------------------------------

    def _method(
        self,
        py: s.PyClause,
        function: str,
        returns: str,
        params: tuple[m.Param, ...],
        entry: s.Entry,
        source: m.Function | None = None,
    ) -> m.Method:
        owner, _, name = py.name.rpartition(".")
        if source is not None and not py.name:
            owner = self._derive.owner(source.args[0].ctype) if source.args else ""
            if not owner or self._now.face != "libvirt":
                raise DescriptionError(py.where, f"{function} needs a 'py' clause with a name")
            name = method_of(function, self._derive.rule(owner))
        self._tables.use("class", owner)
        if py.params is not None:
            params = tuple(m.Param(p.name, p.annotation, p.default) for p in py.params)
        returns = py.returns or returns or "Any"
        fails = py.fails
        if fails is None:
            fails = fails_on(returns) if function and returns != "None" else ""
        wraps, is_list = wrapped_class(returns, self._derive) if function else ("", False)
        method = m.Method(
            self._now.face,
            owner,
            name,
            params,
            function,
            fails,
            wraps,
            is_list,
            returns,
            f"{function}() failed" if function and fails else "",
            py.hand,
            entry.doc,
            entry.where,
        )
        self._methods.append(method)
        return method

    def _enum(self, name: str, constants: list[s.ConstantDecl]) -> None:
        for c in constants:
            self._constants.append(
                m.Constant(c.name, c.value, name, self._now.library, c.since, c.sentinel, c.where)
            )

    # --- wire -------------------------------------------------------------------------------------

    def _message(
        self, program: str, name: str, part: str, fields: tuple[s.FieldDecl, ...] | None
    ) -> m.Struct | None:
        if fields is None:
            return None
        return m.Struct(struct_name(program, name, part), self._fields(fields))

    def _fields(self, fields: tuple[s.FieldDecl, ...]) -> tuple[m.Field, ...]:
        return tuple(m.Field(f.name, self._type(f.type), self._fill(f)) for f in fields)

    def _fill(self, field: s.FieldDecl) -> str:
        if field.fill and not field.fill.lstrip("-").isdigit():
            return self._limit(field.fill, field.type.where)[1]
        return field.fill

    def _type(self, ref: s.TypeRef) -> m.Type:
        type = self._counted(ref)
        return m.Optional(type) if ref.optional else type

    def _counted(self, ref: s.TypeRef) -> m.Type:
        if not ref.counted and not ref.fixed:
            return self._plain(ref)
        if not ref.bound:
            raise DescriptionError(ref.where, f"{ref.name}<> has no bound; every array needs one")
        bound, bound_name = self._bound(ref)
        match ref.name:
            case "opaque":
                return m.Opaque(bound, ref.fixed, bound_name)
            case "chars":
                return m.Chars(bound, ref.fixed, bound_name)
            case "params" if ref.counted:
                return m.TypedParams(bound, bound_name)
        if ref.fixed:
            raise DescriptionError(ref.where, f"{ref.name}[…]: only opaque and chars can be fixed")
        return m.Array(self._plain(ref), bound, bound_name)

    def _plain(self, ref: s.TypeRef) -> m.Type:
        name = ref.name
        if name in SCALARS:
            return m.Prim(name)
        if name in self._tables.codes:
            return m.Prim("i32", name)
        if name == "string":
            program = self._tables.programs.get(self._now.program)
            return m.String(*self._limit(program.strings if program else STRINGS, ref.where))
        if name in ("opaque", "chars", "params"):
            raise DescriptionError(ref.where, f"{name} needs a bound, as in {name}<NAME_MAX>")
        if name in self._tables.types:
            self._tables.use("type", name)
            return self._type(self._tables.types[name])
        return m.Named(name)

    def _bound(self, ref: s.TypeRef) -> tuple[int, str]:
        if ref.bound.isdigit() or ref.bound.startswith("0x"):
            return int(ref.bound, 0), ""
        return self._limit(ref.bound, ref.where)

    def _limit(self, name: str, where: str) -> tuple[int, str]:
        """A limit by its full name, or by its name without the program's."""
        for full in (name, f"{self._now.program.upper()}_{name}"):
            if full in self._tables.limits:
                return self._tables.limits[full], full
        raise DescriptionError(where, f"no limit is named {name}")

    def _right(self, mark: s.RightMark, args: m.Struct | None) -> m.Right:
        """A right without an object is on the call's object, or on the connection."""
        object = mark.object
        if not object:
            first = args.fields[0].type if args and args.fields else None
            is_object = isinstance(first, m.Named) and self._derive.class_of(first.name)
            object = first.name if is_object and isinstance(first, m.Named) else "connect"
        return m.Right(
            object, mark.permission, mark.refuses, mark.when, mark.negated, mark.argument
        )

    def _qualified(self, name: str, entry: s.Entry) -> str:
        program, _, procedure = name.rpartition(".")
        if (program or self._now.program) not in self._tables.programs:
            raise DescriptionError(entry.where, f"via {name}: no program is named {program}")
        return f"{program or self._now.program}:{procedure}"


def _only(marks: s.Marks, allowed: frozenset[str], name: str) -> None:
    for mark, where in marks.seen.items():
        if mark not in allowed:
            raise DescriptionError(where, f"'{mark}' means nothing for {name}")


def _c_args(proto: s.CProto) -> tuple[m.CArg, ...]:
    return tuple(m.CArg(name, ctype) for ctype, name in proto.args)


def _param_type(name: str, where: str) -> str:
    if name not in PARAM_TYPES:
        raise DescriptionError(where, f"{name} is no typed parameter's type")
    return name


def _lookup(values: dict[str, m.Constant], name: str, where: str) -> m.Constant:
    if name not in values:
        raise DescriptionError(where, f"no constant is named {name}")
    return values[name]
