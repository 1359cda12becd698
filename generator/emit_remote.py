# SPDX-License-Identifier: LGPL-2.1-or-later
"""emit_remote.py: the remote driver's rows, one short method per procedure, a file per family.

Called by: generator.__main__.
Never: emits how a call travels; libvirtcore.drivers.remote does that.
"""

from __future__ import annotations

import re
from collections import defaultdict

from generator.emit_driver import result, signature
from generator.families import family, method_name, procedures
from generator.model import Model, Procedure, TypedParams
from generator.pytypes import HANDLES, PyTypes

FOLDER = "python/libvirtcore/generated/"

FILE = '''\
"""remote_{family}.py: the rows of the remote driver, family {family}."""

from __future__ import annotations

{imports}

# mypy: disable-error-code="no-any-return"


class Remote{title}({base}):
    """Sends what it is given and makes handles of what comes back."""
{methods}
'''

METHOD = """
    def {name}({params}) -> {result}:
{body}\
"""

PROGRAM_CALLS = {"remote": "_call", "qemu": "_call_qemu", "lxc": "_call_lxc"}
PROGRAM_NUMBERS = {"remote": "REMOTE", "qemu": "QEMU", "lxc": "LXC"}


def row(procedure: Procedure, types: PyTypes) -> str:
    """The method of one procedure."""
    return METHOD.format(
        name=method_name(procedure),
        params=signature(procedure, types),
        result=result(procedure, types),
        body="\n".join(f"        {line}" for line in _body(procedure, types)),
    )


def _body(procedure: Procedure, types: PyTypes) -> list[str]:
    call = _call(procedure, types)
    fields = procedure.ret.fields if procedure.ret else ()
    returns_fds = procedure.fds in ("reply", "both")
    if procedure.fds:
        call = f"ret, received = {call}" if returns_fds and fields else call
        call = f"ret, _ = {call}" if fields and not returns_fds else call
        call = f"_, received = {call}" if returns_fds and not fields else call
    elif fields:
        call = f"ret = {call}"
    values = [types.from_wire(field.type, f"ret[{index}]") for index, field in enumerate(fields)]
    if not fields:
        return [call, "return received"] if returns_fds else [call]
    if len(fields) > 1 and all(value.startswith("ret[") for value in values):
        value = "ret"
    else:
        value = values[0] if len(values) == 1 else f"({', '.join(values)})"
    if returns_fds:
        return [call, f"return {value}, received"]
    if value.count("ret") == 1 and not value.startswith("("):
        made = call.removeprefix("ret = ")
        if " _ = " not in call:
            return ["return " + re.sub(r"\bret\b", lambda _: made, value, count=1)]
    return [call, f"return {value}"]


def _takes_strings(procedure: Procedure) -> bool:
    """Whether a daemon leaves out parameters that are strings unless a flag asks for them.

    It does where the caller says how many parameters it has room for.
    """
    names = {field.name for field in procedure.args.fields} if procedure.args else set()
    returned = procedure.ret.fields if procedure.ret else ()
    return {"nparams", "flags"} <= names and isinstance(returned[0].type, TypedParams)


def _call(procedure: Procedure, types: PyTypes) -> str:
    number = str(procedure.number)
    fields = procedure.args.fields if procedure.args else ()
    values_sent = [types.to_wire(field) for field in fields]
    if _takes_strings(procedure):
        values_sent = ["flags | STRINGS" if value == "flags" else value for value in values_sent]
    args = ", ".join(values_sent)
    if len(fields) == 1:
        args += ","
    values = f"({args})" if fields else "None"
    program = PROGRAM_NUMBERS[procedure.program]
    if procedure.stream:
        return f"self._call_stream({program}, {number}, {values}, stream)"
    if procedure.fds:
        fds = "fds" if procedure.fds in ("call", "both") else "()"
        return f"self._call_fds({program}, {number}, {values}, {fds})"
    return f"self.{PROGRAM_CALLS[procedure.program]}({number}{', ' + values if fields else ''})"


def emit(model: Model) -> dict[str, str]:
    types = PyTypes(model)
    rows: dict[str, list[str]] = defaultdict(list)
    for procedure in procedures(model):
        rows[family(method_name(procedure))].append(row(procedure, types))
    return {f"{FOLDER}remote_{name}.py": _file(name, rows[name]) for name in sorted(rows)}


def _file(name: str, rows: list[str]) -> str:
    text = "\n".join(rows)
    used = [
        handle
        for handle in sorted({*HANDLES.values(), "StreamHandle"})
        if re.search(rf"\b{handle}\b", text)
    ]
    support = [name for name in ("Params", "ParamValues") if re.search(rf"\b{name}\b", text)]
    numbers = [
        number
        for number in sorted((*PROGRAM_NUMBERS.values(), "STRINGS"))
        if re.search(rf"\b{number}\b", text)
    ]
    imports = []
    if used or support:
        imports.append("from typing import TYPE_CHECKING\n")
    if re.search(r"\bwire\.\w+\(self", text):
        imports.append("from libvirtcore.drivers import wire")
    imports.append(f"from libvirtcore.drivers.wire import {', '.join([*numbers, 'Rows'])}")
    if used or support:
        imports.append("\nif TYPE_CHECKING:")
    if support:
        imports.append(f"    from libvirtcore.drivers.support import {', '.join(support)}")
    if used:
        line = f"    from libvirtcore.handles import {', '.join(used)}"
        if len(line) > 100:
            items = "".join(f"        {item},\n" for item in used)
            line = f"    from libvirtcore.handles import (\n{items}    )"
        imports.append(line)
    title = "".join(part.capitalize() for part in name.split("_"))
    return FILE.format(
        family=name, title=title, base="Rows", imports="\n".join(imports), methods=text
    )
