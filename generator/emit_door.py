# SPDX-License-Identifier: LGPL-2.1-or-later
"""emit_door.py: the rows of the API layer, and the door's functions that need nothing but a row.

Called by: generator.__main__.
Never: emits what a hand-written door does; the description says which those are, and why.
"""

from __future__ import annotations

from collections import defaultdict

from generator.families import error_domain, method_name
from generator.model import (
    Array,
    Field,
    Function,
    Method,
    Model,
    Named,
    Opaque,
    Optional,
    Prim,
    Procedure,
    Right,
    String,
    TypedParams,
)
from generator.pytypes import HANDLES

FOLDER = "python/libvirtcore/generated/"
FACES = ("libvirt", "libvirt-qemu", "libvirt-lxc")

TABLE = '''\
"""api_table.py: one row of facts per public function."""

from __future__ import annotations

from libvirtcore.api import shapes
from libvirtcore.api.call import Row, done
from libvirtcore.generated.constants import (
{domains}
)

# fmt: off
{rows}
'''

INPUTS = '''\
"""typed_inputs.py: the types of the parameters that setters take as a dict, by function group."""

from __future__ import annotations

# VIR_TYPED_PARAM_…: 1 int, 2 unsigned int, 3 long long, 4 unsigned long long, 7 string
{groups}
'''

DOOR = '''\
"""door_{name}.py: the C functions of {module}, as libvirt-python's C module has them."""

from __future__ import annotations

{imports}

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


__all__ = [
{names}
]
{functions}
'''

FUNCTION = """


def {name}({params}) -> Any:
    return call(row.{name}, {args})\
"""

# C type of an argument → how it is converted.
CONVERTERS = {
    "int": "arg.i32({0})",
    "unsigned int": "arg.u32({0})",
    "unsigned long": "arg.ulong({0})",
    "unsigned long long": "arg.u64({0})",
    "long long": "arg.i64({0})",
    "size_t": "arg.size({0})",
}
SCALARS = {"i32": "int", "u32": "unsigned int", "i64": "long long", "u64": "unsigned long long"}
TYPED = {"INT": 1, "UINT": 2, "LLONG": 3, "ULLONG": 4, "DOUBLE": 5, "BOOLEAN": 6, "STRING": 7}
OBJECT_OF_C = {
    "virConnectPtr": "connect",
    "virDomainCheckpointPtr": "domain_checkpoint",
    "virDomainPtr": "domain",
    "virDomainSnapshotPtr": "domain_snapshot",
    "virInterfacePtr": "interface",
    "virNWFilterBindingPtr": "nwfilter_binding",
    "virNWFilterPtr": "nwfilter",
    "virNetworkPortPtr": "network_port",
    "virNetworkPtr": "network",
    "virNodeDevicePtr": "node_device",
    "virSecretPtr": "secret",
    "virStoragePoolPtr": "storage_pool",
    "virStorageVolPtr": "storage_vol",
    "virStreamPtr": "stream",
}


class _Emitter:
    def __init__(self, model: Model) -> None:
        self.model = model
        self.constants = {constant.name: constant.value for constant in model.constants}
        self.procedures = {
            f"{program.name}:{procedure.name}": procedure
            for program in model.programs
            for procedure in program.procedures
        }
        self.methods = {method.function: method for method in model.methods if method.function}

    def functions(self) -> list[Function]:
        return [f for f in self.model.functions if f.library in FACES and f.door != "none"]

    # --- rows -------------------------------------------------------------------------------------

    def row(self, function: Function) -> str:
        procedure = self.procedures.get(function.direct)
        kind = object_kind(function)
        if not kind:
            return ""
        parts = [
            f'"{function.name}"',
            f'"{method_name(procedure)}"' if procedure else '""',
            f'"{kind}"',
            error_domain(function),
        ]
        failure = self.failure(function, procedure)
        if failure is not None:
            parts.append(str(failure))
        if function.writes:
            parts.append("writes=True")
        if procedure and function.door == "auto":
            for word, value in (
                ("required", self.required(function, procedure)),
                ("uuids", self.uuids(function, procedure)),
                ("objects", self.objects(function, procedure)),
                ("guards", self.guards(function, procedure)),
            ):
                if value:
                    parts.append(f"{word}=({', '.join(value)},)")
        shape = self.shape(function, procedure)
        if shape:
            parts.append(f"shape={shape}")
        return f"{function.name} = Row({', '.join(parts)})"

    def failure(self, function: Function, procedure: Procedure | None) -> int | None:
        """What the door returns when the call fails."""
        method: Method | None = self.methods.get(function.name)
        fails_on = method.fails_on if method else ""
        if fails_on.startswith("== "):
            return int(fails_on[3:])
        if fails_on or function.ret.endswith("*") or function.ret in OBJECT_OF_C:
            return None
        if function.ret in ("unsigned long", "unsigned long long"):
            return 0
        return None if procedure and has_out_argument(function) else -1

    def shape(self, function: Function, procedure: Procedure | None) -> str:
        """What makes the driver's value what the C module returns; "" leaves it as it is."""
        if procedure is None or function.door != "auto":
            return ""
        if function.shape:
            return f"shapes.{function.shape}"
        if procedure.fds == "reply":
            return "" if has_out_argument(function) else "shapes.first"
        if procedure.ret is None:
            return "done"
        fields = procedure.ret.fields
        returns_object = len(fields) == 1 and isinstance(fields[0].type, Named)
        return "done" if returns_object and function.ret == "int" else ""

    def required(self, function: Function, procedure: Procedure) -> list[str]:
        """Texts and bytes that may not be None, by their place among the driver's arguments."""
        return [
            f'({index}, "{c_argument(function, field)}")'
            for index, field in enumerate(given(procedure))
            if isinstance(field.type, String)
            or (isinstance(field.type, Opaque) and not field.type.fixed)
            or self.needed(function, field)
        ]

    def uuids(self, function: Function, procedure: Procedure) -> list[str]:
        """Bytes of a fixed length."""
        return [
            f'({index}, "{c_argument(function, field)}")'
            for index, field in enumerate(given(procedure))
            if isinstance(field.type, Opaque) and field.type.fixed
        ]

    def needed(self, function: Function, field: Field) -> bool:
        """Whether a list of strings may not be None: the method says so."""
        if not isinstance(field.type, Array) or not isinstance(field.type.of, String):
            return False
        params = {param.name: param for param in self.methods[function.name].params}
        return "None" not in params[field.name].annotation

    def objects(self, function: Function, procedure: Procedure) -> list[str]:
        """Objects other than the call's own."""
        fields = given(procedure)
        found = [
            f'({index}, "{field.type.name}")'
            for index, field in enumerate(fields)
            if isinstance(field.type, Named)
        ]
        if procedure.stream:
            found.append(f'({len(fields)}, "stream")')
        return found

    def guards(self, function: Function, procedure: Procedure) -> list[str]:
        """What a read-only connection may not ask for: (place, bits or value, by bits, secret)."""
        if function.writes:
            return []
        found: dict[tuple[str, bool], int] = {}
        for right in procedure.acl:
            if right.refuses and right.when:
                key = (right.argument, right.permission == "read_secure")
                found[key] = found.get(key, 0) | self.bits(right)
        names = [field.name for field in given(procedure)]
        return [
            f"({names.index(argument)}, {bits}, {argument == 'flags'}, {secret})"
            for (argument, secret), bits in found.items()
        ]

    def bits(self, right: Right) -> int:
        total = 0
        for name in right.when:
            total |= int(self.constants[name])
        return total

    # --- functions --------------------------------------------------------------------------------

    def door(self, function: Function) -> str:
        """The function, "" when its arguments say that it is written by hand."""
        procedure = self.procedures[function.direct]
        fields = procedure.args.fields if procedure.args else ()
        own = fields[0] if fields and is_object(fields[0]) else None
        handle = function.py_args[0]
        if own is not None and own.name in function.py_args:
            handle = own.name
        values = [handle]
        left = [name for name in function.py_args if name != handle]
        for field in given(procedure):
            if field.fill:
                values.append(fill(field))
                continue
            if field.name not in left:
                return ""
            values.append(self.convert(function, field))
            left.remove(field.name)
        if procedure.stream:
            values.append(left.pop(0))
        if [name for name in left if name != function.py_args[0]]:
            return ""
        params = ", ".join(f"{name}: Any" for name in function.py_args)
        return FUNCTION.format(name=function.name, params=f"{params}, /", args=", ".join(values))

    def convert(self, function: Function, field: Field) -> str:
        name = field.name
        place = f'"{function.name}", {function.py_args.index(name) + 1}'
        match field.type:
            case TypedParams():
                table = f"inputs.{function.inputs}" if function.inputs else "{}"
                return f"from_table({name}, {table})"
            case String() | Optional(String()):
                return f"arg.text({name}, {place})"
            case Opaque():
                return f"arg.data({name}, {place})"
            case Array(String()):
                return f"arg.texts({name})" + ("" if self.needed(function, field) else " or []")
            case Prim(scalar):
                ctypes = {item.name: item.ctype for item in function.args}
                ctype = ctypes.get(name, SCALARS[scalar])
                return CONVERTERS.get(ctype, CONVERTERS[SCALARS[scalar]]).format(name)
        return name


def is_object(field: Field) -> bool:
    return isinstance(field.type, Named) and field.type.name in HANDLES


def given(procedure: Procedure) -> tuple[Field, ...]:
    """The driver's arguments after the object."""
    fields = procedure.args.fields if procedure.args else ()
    return fields[1:] if fields and is_object(fields[0]) else fields


def object_kind(function: Function) -> str:
    """What the call is made on, "" when on nothing."""
    if function.py_args[:1] == ("connect",):
        return "connect"  # also where C takes a list of objects instead
    first = function.args[0].ctype.replace(" ", "").rstrip("*") if function.args else ""
    return OBJECT_OF_C.get(first, "")


def has_out_argument(function: Function) -> bool:
    """Whether the C function returns its result through a pointer."""
    return any(
        arg.ctype.endswith("*") and "char" not in arg.ctype and not arg.ctype.startswith("const")
        for arg in function.args
    )


def c_argument(function: Function, field: Field) -> str:
    """What errors call an argument: its C name."""
    if field.name == "frm":
        return "from"  # a word Python keeps for itself
    names = [arg.name for arg in function.args]
    if field.name in names:
        return field.name
    index = function.py_args.index(field.name) if field.name in function.py_args else -1
    return names[index] if 0 <= index < len(names) else field.name


def fill(field: Field) -> str:
    return field.fill if field.fill.lstrip("-").isdigit() else f"limits.{field.fill}"


def emit(model: Model) -> dict[str, str]:
    emitter = _Emitter(model)
    functions = emitter.functions()
    rows = [row for row in map(emitter.row, functions) if row]
    domains = {error_domain(function) for function in functions if object_kind(function)}
    files = {
        f"{FOLDER}api_table.py": TABLE.format(
            domains="\n".join(f"    {name}," for name in sorted(domains)), rows="\n".join(rows)
        ),
        f"{FOLDER}typed_inputs.py": INPUTS.format(groups=_groups(model)),
    }
    doors: dict[str, dict[str, str]] = defaultdict(dict)
    for function in functions:
        if function.door == "auto":
            text = emitter.door(function)
            if text:
                doors[function.module][function.name] = text
    for module in sorted(doors):
        name = module.removeprefix("libvirt-").replace("-", "_")
        text = "".join(doors[module].values())
        files[f"{FOLDER}door_{name}.py"] = DOOR.format(
            name=name,
            module=module,
            imports=_imports(text),
            names="\n".join(f'    "{function}",' for function in sorted(doors[module])),
            functions=text.removeprefix("\n"),
        )
    return files


def _groups(model: Model) -> str:
    lines = []
    for group, types in model.typed_inputs.items():
        lines.append(f"{group}: dict[str, int] = {{")
        lines += [f'    "{name}": {TYPED[type]},' for name, type in types.items()]
        lines.append("}")
    return "\n".join(lines)


def _imports(text: str) -> str:
    lines = []
    if "arg." in text:
        lines.append("from libvirtcore.api import args as arg")
    lines.append("from libvirtcore.api.call import call")
    if "from_table(" in text:
        lines.append("from libvirtcore.api.typed import from_table")
    lines.append("from libvirtcore.generated import api_table as row")
    if "limits." in text:
        lines.append("from libvirtcore.generated import limits")
    if "inputs." in text:
        lines.append("from libvirtcore.generated import typed_inputs as inputs")
    return "\n".join(lines)
