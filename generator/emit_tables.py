# SPDX-License-Identifier: LGPL-2.1-or-later
"""emit_tables.py: the wire tables, field names, limits and constants for Python.

Called by: generator.__main__.
Never: emits functions; what acts on these tables is written by hand.
"""

from __future__ import annotations

from itertools import groupby

from generator.model import Constant, Model, Struct
from generator.typetable import TypeTable, tables_hash, wire_row

FOLDER = "python/libvirtcore/generated/"

TABLES = '''\
"""tables.py: every wire type and procedure as data, the twin of libvirtcore/generated/tables.c."""

from __future__ import annotations

from libvirtcore.rpc.tables_model import Procedure, Program

TABLES_HASH = "{hash}"
TYPE_NET_ERROR = {net_error}
TYPE_STREAM_HOLE = {stream_hole}

# fmt: off
TYPES: tuple[int, ...] = (
{types}
)
{programs}
PROGRAMS: dict[int, Program] = {{
{index}
}}
'''

FIELD_NAMES = '''\
"""field_names.py: what the fields of each message are called, for error paths and explain."""

from __future__ import annotations

# (program, procedure) -> (fields sent, fields returned)
# ruff: noqa: E501
# fmt: off
NAMES: dict[tuple[int, int], tuple[tuple[str, ...], tuple[str, ...]]] = {{
{rows}
}}
'''

LIMITS = '''\
"""limits.py: sizes and counts that the protocol allows."""

from __future__ import annotations

{limits}
'''

CONSTANTS = '''\
"""{file}: the public constants of {library}, enumeration by enumeration."""

from __future__ import annotations

{constants}
'''

CONSTANT_FILES = {
    "libvirt": "constants.py",
    "libvirt-qemu": "constants_qemu.py",
    "libvirt-admin": "constants_admin.py",
}


def emit(model: Model) -> dict[str, str]:
    table = TypeTable(model)
    files = {
        FOLDER + "tables.py": _tables(model, table),
        FOLDER + "field_names.py": FIELD_NAMES.format(rows=_field_names(model)),
        FOLDER + "limits.py": LIMITS.format(
            limits="\n".join(f"{name} = {value}" for name, value in model.limits.items())
        ),
    }
    for library, file in CONSTANT_FILES.items():
        constants = [c for c in model.constants if c.library == library and not c.sentinel]
        files[FOLDER + file] = CONSTANTS.format(
            file=file, library=library, constants=_constants(constants)
        )
    return files


def _tables(model: Model, table: TypeTable) -> str:
    types = []
    for row in table.rows:
        words = " ".join(f"{word}," for word in row.words)
        types.append(f"    {words}  # {row.offset} {row.names[0]}")
    programs, index = [], []
    for program in model.programs:
        name = f"_{program.name.upper()}"
        lines = [f"\n{name}: tuple[Procedure | None, ...] = (", "    None,"]
        for proc in program.procedures:
            first, *numbers = wire_row(table, proc)
            row_text = ", ".join(str(number) for number in numbers)
            lines.append(f'    Procedure("{first}", {row_text}),  # {proc.number}')
        lines.append(")")
        programs.append("\n".join(lines) + "\n")
        number = f"0x{program.number:08X}"
        index.append(
            f'    {number}: Program({number}, {program.version}, "{program.name}", {name}),'
        )
    return TABLES.format(
        hash=tables_hash(model, table),
        net_error=table.net_error,
        stream_hole=table.stream_hole,
        types="\n".join(types),
        programs="".join(programs),
        index="\n".join(index),
    )


def _field_names(model: Model) -> str:
    rows = []
    for program in model.programs:
        for proc in program.procedures:
            names = f"({_names(proc.args)}, {_names(proc.ret)})"
            rows.append(f"    (0x{program.number:08X}, {proc.number}): {names},  # {proc.name}")
    return "\n".join(rows)


def _names(struct: Struct | None) -> str:
    if struct is None:
        return "()"
    inner = ", ".join(f'"{field.name}"' for field in struct.fields)
    return f"({inner},)" if len(struct.fields) == 1 else f"({inner})"


def _constants(constants: list[Constant]) -> str:
    blocks = []
    for enum, group in groupby(constants, key=lambda constant: constant.enum):
        lines = [f"# {enum or 'texts'}"]
        for constant in group:
            line = f"{constant.name} = {_literal(constant.value)}"
            if len(line) > 100:
                line = f"{constant.name} = (\n    {_literal(constant.value)}\n)"
            lines.append(line)
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _literal(value: int | str) -> str:
    if isinstance(value, int):
        return str(value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
