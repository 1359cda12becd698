# SPDX-License-Identifier: LGPL-2.1-or-later
"""emit_dispatch_table.py: procedure number → the daemon's function, and what a call needs.

Called by: generator.__main__.
Never: emits the functions; emit_dispatch does.
"""

from __future__ import annotations

from generator.emit_dispatch import FOLDER, PROGRAMS, Emitter, is_generated
from generator.families import family, method_name
from generator.model import Model, Named, Procedure, Program, TypedParams
from generator.pytypes import HANDLES

TABLE = '''\
"""dispatch_table.py: procedure number → the daemon's function, and what a call needs.

A row of FACTS: the function's name in errors, its domain, the family, whether a read-only client
may call it, and what it may not ask for: (argument, bits or value, by bits, secret).
"""

from __future__ import annotations

from libvirtcore.generated import (
{modules}
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    Dispatch: TypeAlias = Callable[[Any, Any, Any], Any]
    Facts: TypeAlias = tuple[str, int, str, bool, tuple[tuple[int, int, bool, bool], ...]]

# fmt: off
# None: an event, or written by hand (BY_HAND says its name).
CALLS: dict[int, tuple[Dispatch | None, ...]] = {{
{calls}
}}

# Procedures that the daemon answers by hand.
BY_HAND: dict[int, dict[int, str]] = {{
{by_hand}
}}

# None: an event.
FACTS: dict[int, tuple[Facts | None, ...]] = {{
{facts}
}}

# Calls that send typed parameters, which drivers want as triples: (program, procedure).
TRIPLES: frozenset[tuple[int, int]] = frozenset((
{triples}
))

# Family and event id → procedure and layout of the event for old registrations, which bear no
# number (0: there are none), and for numbered ones. Layouts: plain (object, facts), wrapped
# (number, (object, facts)), reason (number, reason, (object)), flat (number, object, facts).
EVENTS: dict[tuple[str, int], tuple[int, int, str]] = {{
{events}
}}
'''


def emit(model: Model) -> dict[str, str]:
    emitter = Emitter(model)
    programs = [program for program in model.programs if program.name in PROGRAMS]
    rooms = {
        family(method_name(procedure))
        for program in programs
        for procedure in program.procedures
        if is_generated(procedure)
    }
    return {f"{FOLDER}dispatch_table.py": _table(emitter, programs, sorted(rooms))}


def guards(emitter: Emitter, procedure: Procedure) -> str:
    """What a read-only client may not ask for: (place, bits or value, by bits, secret)."""
    if emitter.writes(procedure):
        return "()"
    found: dict[tuple[str, bool], int] = {}
    for right in procedure.acl:
        if not (right.refuses and right.when):
            continue
        if right.negated:
            raise ValueError(f"{procedure.line}: a refusal without a flag needs a guard")
        key = (right.argument, right.permission == "read_secure")
        for name in right.when:
            found[key] = found.get(key, 0) | int(emitter.constants[name])
    names = [field.name for field in procedure.args.fields] if procedure.args else []
    rows = [
        f"({names.index(argument)}, {bits}, {argument == 'flags'}, {secret})"
        for (argument, secret), bits in found.items()
    ]
    return f"({', '.join(rows)},)" if rows else "()"


def facts(emitter: Emitter, procedure: Procedure) -> str:
    domain = int(emitter.constants.get(emitter.domain(procedure), 0))
    return (
        f'("{emitter.public_name(procedure)}", {domain}, "{family(method_name(procedure))}", '
        f"{not emitter.writes(procedure)}, {guards(emitter, procedure)})"
    )


def _table(emitter: Emitter, programs: list[Program], rooms: list[str]) -> str:
    calls, hand, needs = [], [], []
    for program in programs:
        functions = ["    None,"]
        rows = ["    None,"]
        names = []
        for procedure in program.procedures:
            name = method_name(procedure)
            called = f"dispatch_{family(name)}.{name}" if is_generated(procedure) else "None"
            functions.append(f"    {called},  # {procedure.number}")
            is_call = procedure.kind != "event"
            row = facts(emitter, procedure) if is_call else None
            rows.append(f"    {row},  # {procedure.number}")
            if is_call and procedure.dispatch:
                names.append(f'    {procedure.number}: "{name}",')
        key = f"0x{program.number:08x}"
        calls.append(_entry(key, functions, "()"))
        needs.append(_entry(key, rows, "()"))
        hand.append(_entry(key, names, "{}"))
    return TABLE.format(
        modules="\n".join(f"    dispatch_{room}," for room in rooms),
        calls="\n".join(calls),
        by_hand="\n".join(hand),
        facts="\n".join(needs),
        triples="\n".join(_triples(programs)),
        events="\n".join(_events(emitter.model)),
    )


def _triples(programs: list[Program]) -> list[str]:
    return [
        f"    (0x{program.number:08x}, {procedure.number}),"
        for program in programs
        for procedure in program.procedures
        if procedure.kind != "event" and procedure.args
        if any(isinstance(field.type, TypedParams) for field in procedure.args.fields)
    ]


def _entry(key: str, lines: list[str], brackets: str) -> str:
    inner = "\n".join(f"    {line}" for line in lines)
    return f"    {key}: {brackets[0]}\n{inner}\n    {brackets[1]},"


# --- events ---------------------------------------------------------------------------------------


def _events(model: Model) -> list[str]:
    """One line per family and event id."""
    events = {(event.family, event.id): event for event in model.events}
    procedures = {
        f"{program.name}:{procedure.name}": procedure
        for program in model.programs
        for procedure in program.procedures
    }
    lines = []
    for (room, number), event in sorted(events.items()):
        old, new, layout = 0, 0, ""
        for name in event.procedures:
            procedure = procedures[name]
            shape = event_layout(procedure)
            if shape == "plain":
                old = procedure.number
            else:
                new, layout = procedure.number, shape
        lines.append(f'    ("{room}", {number}): ({old}, {new}, "{layout}"),  # {event.id_name}')
    return lines


def event_layout(procedure: Procedure) -> str:
    """How an event's message is put together."""
    fields = procedure.args.fields if procedure.args else ()
    kinds = [field.type.name if isinstance(field.type, Named) else "" for field in fields]
    if kinds[0] in HANDLES:
        return "plain"
    if kinds[1] in HANDLES:
        return "flat"
    return "wrapped" if kinds[1] else "reason"
