# SPDX-License-Identifier: LGPL-2.1-or-later
"""pytypes.py: what a wire type is on the driver's side in Python, and how to cross over.

Object structs are handles, every other struct is a tuple, typed parameters are triples on their
way to a driver and triples or a dict on their way back.
Called by: emit_driver, emit_remote.
Never: knows a single API.
"""

from __future__ import annotations

from generator.model import (
    Array,
    Chars,
    Field,
    Model,
    Named,
    Opaque,
    Optional,
    Prim,
    String,
    Struct,
    Type,
    TypedParams,
)

# Object struct → the class of its handle.
HANDLES: dict[str, str] = {
    "domain": "DomainHandle",
    "domain_checkpoint": "DomainCheckpointHandle",
    "domain_snapshot": "DomainSnapshotHandle",
    "interface": "InterfaceHandle",
    "network": "NetworkHandle",
    "network_port": "NetworkPortHandle",
    "node_device": "NodeDeviceHandle",
    "nwfilter": "NWFilterHandle",
    "nwfilter_binding": "NWFilterBindingHandle",
    "secret": "SecretHandle",
    "storage_pool": "StoragePoolHandle",
    "storage_vol": "StorageVolHandle",
}


class PyTypes:
    """Annotations and conversions for the structs of one model."""

    def __init__(self, model: Model) -> None:
        self._structs = {struct.name: struct for struct in model.structs}
        for program in model.programs:
            for procedure in program.procedures:
                for struct in (procedure.args, procedure.ret):
                    if struct is not None:
                        self._structs[struct.name] = struct

    def annotation(self, type: Type, given: bool) -> str:
        """The Python type of a value; `given` to a driver, else returned by one."""
        match type:
            case Prim(name):
                return "float" if name == "f64" else "int"
            case String():
                return "str"
            case Opaque() | Chars():
                return "bytes"
            case TypedParams():
                return "Params" if given else "ParamValues"
            case Optional(of):
                return f"{self.annotation(of, given)} | None"
            case Array(of):
                return f"list[{self.annotation(of, given)}]"
            case Named(name):
                if name in HANDLES:
                    return HANDLES[name]
                return self.tuple_of(self._structs[name], given)
        raise TypeError(type)

    def tuple_of(self, struct: Struct, given: bool) -> str:
        inner = ", ".join(self.annotation(field.type, given) for field in struct.fields)
        return f"tuple[{inner}]"

    def result(self, struct: Struct | None, returns_fds: bool) -> str:
        """What a driver method returns for a reply of this struct."""
        if struct is None:
            return "list[int]" if returns_fds else "None"
        if len(struct.fields) == 1:
            value = self.annotation(struct.fields[0].type, False)
        else:
            value = self.tuple_of(struct, False)
        return f"tuple[{value}, list[int]]" if returns_fds else value

    def to_wire(self, field: Field) -> str:
        """The expression that sends a driver's argument."""
        match field.type:
            case Named(name) if name in HANDLES:
                return f"{field.name}.wire"
            case Optional(Named(name)) if name in HANDLES:
                return f"None if {field.name} is None else {field.name}.wire"
            case Array(Named(name)) if name in HANDLES:
                return f"[one.wire for one in {field.name}]"
        return field.name

    def holds_handles(self, type: Type) -> bool:
        match type:
            case Named(name):
                return name in HANDLES or any(
                    self.holds_handles(field.type) for field in self._structs[name].fields
                )
            case Optional(of) | Array(of):
                return self.holds_handles(of)
        return False

    def from_wire(self, type: Type, source: str) -> str:
        """The expression that makes a driver's value of what the wire brought."""
        if not self.holds_handles(type):
            return source
        match type:
            case Named(name) if name in HANDLES:
                return f"wire.{name}(self.conn, {source})"
            case Named(name):
                items = ", ".join(
                    self.from_wire(field.type, f"{source}[{index}]")
                    for index, field in enumerate(self._structs[name].fields)
                )
                return f"({items})"
            case Optional(of):
                return f"None if {source} is None else {self.from_wire(of, source)}"
            case Array(of):
                return f"[{self.from_wire(of, 'one')} for one in {source}]"
        raise TypeError(type)
