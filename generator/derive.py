# SPDX-License-Identifier: LGPL-2.1-or-later
"""derive.py: what a line of the description implies without saying it.

From the wire's fields follow the C prototype, the Python parameters and the Python result; a
clause in the description replaces what does not follow.
Called by: generator.build.
Never: knows the name of a single API; reads nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable

from generator.model import (
    Array,
    CArg,
    Chars,
    Field,
    Named,
    Opaque,
    Optional,
    Param,
    Prim,
    String,
    Struct,
    Type,
    TypedParams,
)
from generator.names import ClassRule

C_SCALARS = {
    "i32": "int",
    "u32": "unsigned int",
    "i64": "long long",
    "u64": "unsigned long long",
    "f64": "double",
}

PY_OF_C = {
    "int": "int",
    "unsigned int": "int",
    "long": "int",
    "unsigned long": "int",
    "long long": "int",
    "unsigned long long": "int",
    "size_t": "int",
    "double": "float",
    "char *": "str",
    "const char *": "str",
    "unsigned char *": "bytes",
    "const unsigned char *": "bytes",
    "void": "None",
}

PARAMS = "_TypedParameter"


class Derive:
    """The rules, given the classes of the description and its helper structs."""

    def __init__(self, rules: Iterable[ClassRule]) -> None:
        self._rules = tuple(rules)
        self._class_of = {rule.handle: rule.name for rule in self._rules}
        self._rule_of_class = {rule.name: rule for rule in self._rules}

    # --- classes ----------------------------------------------------------------------------------

    def class_of(self, handle: str) -> str | None:
        """virDomain for domain, None when no class holds such a handle."""
        return self._class_of.get(handle)

    def rule(self, name: str) -> ClassRule:
        return self._rule_of_class[name]

    def is_class(self, name: str) -> bool:
        return name in self._rule_of_class

    def owner(self, first_c_type: str) -> str:
        """The class whose method a function becomes: that of its first C argument, or ""."""
        name = first_c_type.removesuffix("Ptr")
        return name if name in self._rule_of_class else ""

    # --- C ----------------------------------------------------------------------------------------

    def c_args(self, fields: Iterable[Field], conn: str) -> tuple[CArg, ...] | None:
        """C arguments of a call that sends `fields`, None when they do not follow.

        `conn` is the C type of a connection; it comes first unless the call names an object first.
        """
        args: list[CArg] = []
        for position, field in enumerate(fields):
            ctype = self._c_type(field.type)
            if ctype is None or field.fill:
                return None
            if position == 0 and not isinstance(field.type, Named):
                args.append(CArg("conn", conn))
            args.append(CArg(field.name, ctype))
            if isinstance(field.type, TypedParams):
                args.append(CArg("n" + field.name, "int"))
        return tuple(args) or (CArg("conn", conn),)

    def c_result(self, ret: Struct | None) -> str | None:
        """The C result of a call that returns `ret`, None when it does not follow."""
        if ret is None:
            return "int"
        if len(ret.fields) != 1:
            return None
        match ret.fields[0].type:
            case String() | Optional(String()):
                return "char *"
            case Opaque() | Array() | TypedParams() | Chars():
                return None
            case type:
                return self._c_type(type)

    def _c_type(self, type: Type) -> str | None:
        match type:
            case Prim(name):
                return C_SCALARS.get(name)
            case String() | Optional(String()):
                return "const char *"
            case Opaque(_, True):
                return "const unsigned char *"
            case TypedParams():
                return "virTypedParameterPtr"
            case Named(name) | Optional(Named(name)):
                owner = self.class_of(name)
                return f"{owner}Ptr" if owner else None
        return None

    # --- Python -----------------------------------------------------------------------------------

    def py_params(self, fields: Iterable[Field], owner: str) -> tuple[Param, ...]:
        """Python parameters of a call's method: what it sends, without the object itself."""
        params = []
        for position, field in enumerate(fields):
            if position == 0 and field.type == Named(self.rule(owner).handle if owner else ""):
                continue
            if not field.fill:
                params.append(Param(field.name, self.annotation(field.type)))
        return with_flags_default(params)

    def py_params_of_c(self, args: Iterable[CArg], owner: str) -> tuple[Param, ...]:
        """Python parameters of a local function's method."""
        params = []
        for position, arg in enumerate(args):
            if position == 0 and owner and arg.ctype == f"{owner}Ptr":
                continue
            params.append(Param(arg.name, self.annotation_of_c(arg.ctype)))
        return with_flags_default(params)

    def annotation(self, type: Type) -> str:
        """The Python type of a wire value as a face shows it."""
        match type:
            case Prim(name):
                return "float" if name == "f64" else "int"
            case String():
                return "str"
            case Optional(of):
                return f"{self.annotation(of)} | None"
            case Opaque() | Chars():
                return "bytes"
            case TypedParams():
                return PARAMS
            case Array(of):
                return f"list[{self.annotation(of)}]"
            case Named(name):
                return self.class_of(name) or "Any"

    def annotation_of_c(self, ctype: str) -> str:
        name = ctype.removesuffix("Ptr")
        if name in self._rule_of_class:
            return name
        return PY_OF_C.get(ctype, "Any")

    def returns(self, ret: Struct | None) -> str:
        """The Python result when the driver's value is returned as it is."""
        if ret is None:
            return "int"
        if len(ret.fields) == 1:
            return self.annotation(ret.fields[0].type).removesuffix(" | None")
        inner = ", ".join(self.annotation(field.type) for field in ret.fields)
        return f"tuple[{inner}]"


def with_flags_default(params: list[Param]) -> tuple[Param, ...]:
    """A trailing `flags` may be left out."""
    if params and params[-1].name == "flags":
        params[-1] = Param("flags", "int", "0")
    return tuple(params)


def fails_on(returns: str) -> str:
    """How a door's result says that the call failed."""
    return "== -1" if returns in ("int", "bool", "float") else "is None"


def wrapped_class(returns: str, derive: Derive) -> tuple[str, bool]:
    """The class a result is wrapped in and whether it is a list of them."""
    if derive.is_class(returns):
        return returns, False
    inner = returns.removeprefix("list[").removesuffix("]")
    if inner != returns and derive.is_class(inner):
        return inner, True
    return "", False
