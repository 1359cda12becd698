# SPDX-License-Identifier: LGPL-2.1-or-later
"""check.py: judges a Model; what it finds is wrong in the description.

Each rule is one function that yields faults; RULES lists them.
Called by: generator.description.
Never: changes the model or stops at the first fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from generator.model import (
    Array,
    Constant,
    Model,
    Named,
    Opaque,
    Optional,
    Prim,
    Procedure,
    Right,
    Struct,
    Type,
    TypedParams,
)
from generator.typetable import all_structs

MESSAGE_STRUCTS = ("net_error", "net_header", "stream_hole")


def check(model: Model) -> list[str]:
    """All faults, each as `file:line:column: fault`, in the order of the rules."""
    return [fault for rule in RULES for fault in rule(model)]


def _procedures(model: Model) -> Iterator[Procedure]:
    for program in model.programs:
        yield from program.procedures


def _numbers(model: Model) -> Iterator[str]:
    """Each program numbers its procedures 1, 2, 3 … without gap or double."""
    for program in model.programs:
        expected = 1
        for proc in program.procedures:
            if proc.number < expected:
                yield f"{proc.line}: {program.name} {proc.number} is taken twice"
            elif proc.number > expected:
                yield f"{proc.line}: {program.name} has no procedure {expected}"
            expected = proc.number + 1


def _doubles(model: Model) -> Iterator[str]:
    """No name is stated twice."""
    yield from _twice((p.line, f"{p.program} {p.name}") for p in _procedures(model))
    yield from _twice((f.line, f.name) for f in model.functions)
    yield from _twice((c.line, c.name) for c in model.constants)
    yield from _twice((m.line, f"{m.face} {m.owner}.{m.name}") for m in model.methods)
    for struct in all_structs(model):
        yield from _twice((struct.line, f"{struct.name}.{f.name}") for f in struct.fields)


def _twice(named: Iterator[tuple[str, str]]) -> Iterator[str]:
    seen: set[str] = set()
    for line, name in named:
        if name in seen:
            yield f"{line}: {name} is stated twice"
        seen.add(name)


def _types(model: Model) -> Iterator[str]:
    """Every type named exists, every array is bounded, no struct holds itself."""
    structs = {struct.name: struct for struct in all_structs(model)}
    lines = {proc.args.name: proc.line for proc in _procedures(model) if proc.args}
    lines |= {proc.ret.name: proc.line for proc in _procedures(model) if proc.ret}
    for struct in structs.values():
        line = struct.line or lines.get(struct.name, "")
        for field in struct.fields:
            for type in _parts(field.type):
                if isinstance(type, Named) and type.name not in structs:
                    yield f"{line}: {struct.name}.{field.name}: no type is named {type.name}"
                if isinstance(type, Array | Opaque | TypedParams) and type.max <= 0:
                    yield f"{line}: {struct.name}.{field.name}: the bound must be above 0"
        if struct.name in _reachable(struct, structs):
            yield f"{line}: {struct.name} holds itself"


def _parts(type: Type) -> Iterator[Type]:
    yield type
    if isinstance(type, Optional | Array):
        yield from _parts(type.of)


def _reachable(struct: Struct, structs: dict[str, Struct]) -> set[str]:
    found: set[str] = set()
    todo = [struct]
    while todo:
        for field in todo.pop().fields:
            for type in _parts(field.type):
                if isinstance(type, Named) and type.name in structs and type.name not in found:
                    found.add(type.name)
                    todo.append(structs[type.name])
    return found


def _calls(model: Model) -> Iterator[str]:
    """What is composed, filtered or subscribed to exists."""
    known = {f"{p.program}:{p.name}" for p in _procedures(model)}
    constants = {constant.name for constant in model.constants}
    for function in model.functions:
        for proc_name in function.procedures:
            if proc_name not in known:
                yield f"{function.line}: {function.name}: no procedure is named {proc_name}"
        if function.inputs and function.inputs not in model.typed_inputs:
            yield f"{function.line}: no inputs are named {function.inputs}"
    for proc in _procedures(model):
        if proc.event_id and proc.event_id not in constants:
            yield f"{proc.line}: no constant is named {proc.event_id}"
        if proc.kind == "event" and proc.ret is not None:
            yield f"{proc.line}: event {proc.name} returns something"
        for right in (*proc.acl, *proc.aclfilter):
            yield from _right(right, proc, constants)


def _right(right: Right, proc: Procedure, constants: set[str]) -> Iterator[str]:
    names = {field.name for field in proc.args.fields} if proc.args else set()
    for name in right.when:
        if name not in constants:
            yield f"{proc.line}: {proc.name}: no constant is named {name}"
    if right.when and right.argument not in names:
        yield (
            f"{proc.line}: {proc.name}: right {right.permission} tests {right.argument}, "
            "which the call does not send"
        )


def _functions(model: Model) -> Iterator[str]:
    """Every function says where it belongs and what it does; what has no binding says why."""
    for function in model.functions:
        if not (function.library and function.module):
            yield f"{function.line}: {function.name}: no 'library' or 'module' line above"
        if not function.doc:
            yield f"{function.line}: {function.name}: a comment must say what it does"
        if function.door != "auto" and not function.door_reason:
            yield f"{function.line}: {function.name}: a reason is missing"
    for proc in _procedures(model):
        if not proc.doc:
            yield f"{proc.line}: {proc.name}: a comment must say what it does"
    for method in model.methods:
        if not method.function and not method.hand:
            yield f"{method.line}: {method.owner}.{method.name}: 'hand' and a reason are missing"


def _constants(model: Model) -> Iterator[str]:
    """Within an enumeration the sentinel comes last."""
    last: dict[str, Constant] = {}
    for constant in model.constants:
        before = last.get(constant.enum)
        if constant.enum and before is not None and before.sentinel:
            yield f"{constant.line}: {constant.name} stands after the sentinel {before.name}"
        last[constant.enum] = constant


def _unused(model: Model) -> Iterator[str]:
    """Structs and wire enumerations that nothing uses (build finds the rest)."""
    structs = {struct.name: struct for struct in all_structs(model)}
    used: set[str] = set(MESSAGE_STRUCTS)
    enums: set[str] = set()
    for struct in structs.values():
        for field in struct.fields:
            for type in _parts(field.type):
                if isinstance(type, Named):
                    used.add(type.name)
                elif isinstance(type, Prim):
                    enums.add(type.enum)
    for struct in model.structs:
        if struct.name not in used:
            yield f"{struct.line}: struct {struct.name} is not used"
    for enum in model.wire_enums:
        if enum.name not in enums:
            yield f"{enum.line}: codes {enum.name} are not used"


RULES: tuple[Callable[[Model], Iterator[str]], ...] = (
    _numbers,
    _doubles,
    _types,
    _calls,
    _functions,
    _constants,
    _unused,
)
