# SPDX-License-Identifier: LGPL-2.1-or-later
"""emit_c.py: the wire tables and limits for the C core.

Called by: generator.__main__.
Never: emits code that does something; the core holds one walker for all tables.
"""

from __future__ import annotations

from generator.model import Model
from generator.typetable import OPCODES, TypeTable, tables_hash, wire_row

TABLES_H = """\
/* tables.h: every wire type and procedure as data. */
#ifndef LVC_TABLES_H
#define LVC_TABLES_H

#include <stddef.h>
#include <stdint.h>

/* First word of a type in lvc_types; the comment names the words that follow. */
enum lvc_type {{
{opcodes}
}};

struct lvc_procedure {{
    const char *name;
    uint32_t args; /* offset in lvc_types, 0 = nothing is sent */
    uint32_t ret;
    uint8_t kind; /* 0 none, 1 call, 2 event, 3 stream */
    uint8_t high_priority;
    uint8_t fds;    /* descriptors: 0 none, 1 with the call, 2 with the reply, 3 both */
    uint8_t stream; /* 0 none, 1 client reads, 2 client writes */
}};

struct lvc_program {{
    uint32_t number;
    uint32_t version;
    const char *name;
    const struct lvc_procedure *procedures; /* index = procedure number; [0] is unused */
    uint32_t count;                         /* highest procedure number */
}};

extern const uint32_t lvc_types[];
extern const size_t lvc_types_len;
extern const struct lvc_program lvc_programs[];
extern const size_t lvc_programs_len;
extern const char lvc_tables_hash[];
extern const uint32_t lvc_type_net_error;
extern const uint32_t lvc_type_stream_hole;

#endif
"""

TABLES_C = """\
/* tables.c: every wire type and procedure as data. */
#include "tables.h"

const uint32_t lvc_types[] = {{
{types}
}};
const size_t lvc_types_len = sizeof(lvc_types) / sizeof(lvc_types[0]);

const uint32_t lvc_type_net_error = {net_error};
const uint32_t lvc_type_stream_hole = {stream_hole};
const char lvc_tables_hash[] = "{hash}";
{procedures}
const struct lvc_program lvc_programs[] = {{
{programs}
}};
const size_t lvc_programs_len = sizeof(lvc_programs) / sizeof(lvc_programs[0]);
"""

LIMITS_H = """\
/* limits.h: sizes and counts that the protocol allows. */
#ifndef LVC_LIMITS_H
#define LVC_LIMITS_H

{limits}

#endif
"""

OPERANDS = {
    "STRING": "max",
    "OPAQUE": "max",
    "OPAQUE_FIXED": "n",
    "CHARS": "max",
    "CHARS_FIXED": "n",
    "OPTIONAL": "ref",
    "ARRAY": "max ref",
    "STRUCT": "n ref...",
    "TPARAMS": "max",
}


def emit(model: Model) -> dict[str, str]:
    table = TypeTable(model)
    return {
        "libvirtcore/generated/tables.h": TABLES_H.format(opcodes=_opcodes()),
        "libvirtcore/generated/tables.c": _tables_c(model, table),
        "libvirtcore/generated/limits.h": LIMITS_H.format(limits=_limits(model)),
    }


def limit_macro(name: str) -> str:
    """LVC_ and the limit's name without libvirt's prefix."""
    return "LVC_" + name.removeprefix("VIR_")


def _opcodes() -> str:
    lines = []
    for number, name in enumerate(OPCODES):
        operands = OPERANDS.get(name)
        comment = f" /* {operands} */" if operands else ""
        lines.append(f"    LVC_TYPE_{name} = {number},{comment}")
    return "\n".join(lines)


def _limits(model: Model) -> str:
    lines = []
    for name, value in model.limits.items():
        suffix = "u" if value > 0x7FFFFFFF else ""
        lines.append(f"#define {limit_macro(name)} {value}{suffix}")
    return "\n".join(lines)


def _tables_c(model: Model, table: TypeTable) -> str:
    types = []
    for row in table.rows:
        words = " ".join(f"{word}," for word in row.words)
        more = f" and {len(row.names) - 1} more" if len(row.names) > 1 else ""
        types.append(f"    {words} /* {row.offset} {row.names[0]}{more} */")
    procedures, programs = [], []
    for program in model.programs:
        lines = [f"\nstatic const struct lvc_procedure {program.name}_procedures[] = {{"]
        lines.append("    {0},")
        for proc in program.procedures:
            name, *numbers = wire_row(table, proc)
            row_text = ", ".join(str(number) for number in numbers)
            lines.append(f'    {{"{name}", {row_text}}}, /* {proc.number} */')
        lines.append("};")
        procedures.append("\n".join(lines) + "\n")
        programs.append(
            f'    {{0x{program.number:08x}, {program.version}, "{program.name}", '
            f"{program.name}_procedures, {len(program.procedures)}}},"
        )
    return TABLES_C.format(
        types="\n".join(types),
        net_error=table.net_error,
        stream_hole=table.stream_hole,
        hash=tables_hash(model, table),
        procedures="".join(procedures),
        programs="\n".join(programs),
    )
