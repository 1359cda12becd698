# SPDX-License-Identifier: LGPL-2.1-or-later
"""typed.py: dicts of the user made into typed parameters.

Two ways to find a parameter's type: a table of the function's parameters, or the parameters the
object has now (for functions that libvirt gives no table).
Called by: generated.door_*, libvirtcore.api.
Never: asks a driver.
"""

from __future__ import annotations

from _operator import index  # operator itself takes a while

from libvirtcore.generated import constants as c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeAlias

Triple: TypeAlias = "tuple[str, int, Any]"

_RANGES: dict[int, tuple[int, int, str]] = {
    c.VIR_TYPED_PARAM_INT: (-(1 << 31), (1 << 31) - 1, "C int"),
    c.VIR_TYPED_PARAM_UINT: (0, (1 << 32) - 1, "C unsigned int"),
    c.VIR_TYPED_PARAM_LLONG: (-(1 << 63), (1 << 63) - 1, "C long long"),
    c.VIR_TYPED_PARAM_ULLONG: (0, (1 << 64) - 1, "C unsigned long long"),
}


def from_table(params: Any, types: Mapping[str, int]) -> list[Triple]:
    """Typed parameters by a table; what it does not name gets the type its value suggests.

    A list or tuple as value gives one parameter of that name per item. None is no parameters.
    """
    if params is None:
        return []
    if not isinstance(params, dict):
        raise TypeError(f"a dict of typed parameters is required, not {type(params).__name__}")
    triples: list[Triple] = []
    for name, value in params.items():
        _check_name(name)
        kind = types.get(name, 0)
        for item in value if isinstance(value, (list, tuple)) else (value,):
            triples.append((name, kind or guess(name, item), convert(kind, name, item)))
    return triples


def from_current(params: Any, current: list[Triple]) -> list[Triple]:
    """Typed parameters with the types that `current`, the object's own, have.

    Raises: LookupError for a name the object does not have.
    """
    types = {name: kind for name, kind, _value in current}
    triples: list[Triple] = []
    for name, value in params.items():
        _check_name(name)
        kind = types.get(name)
        if kind is None:
            raise LookupError(f'Attribute name "{name}" could not be recognized')
        triples.append((name, kind, convert(kind, name, value)))
    return triples


def need_dict(params: Any) -> dict[Any, Any]:
    """Settings to change. Raises: TypeError, or LookupError for an empty dict."""
    if not isinstance(params, dict):
        raise TypeError(f"a dict of settings is required, not {type(params).__name__}")
    if not params:
        raise LookupError("Need non-empty dictionary to set attributes")
    return params


def guess(name: str, value: Any) -> int:
    """The type of a parameter that no table names."""
    if isinstance(value, str):
        return c.VIR_TYPED_PARAM_STRING
    if isinstance(value, bool):
        return c.VIR_TYPED_PARAM_BOOLEAN
    if isinstance(value, int):
        return c.VIR_TYPED_PARAM_LLONG if value < 0 else c.VIR_TYPED_PARAM_ULLONG
    if isinstance(value, float):
        return c.VIR_TYPED_PARAM_DOUBLE
    raise TypeError(f'Unknown type of "{name}" field')


def convert(kind: int, name: str, value: Any) -> Any:
    """A value as its type wants it. Raises: TypeError, OverflowError, ValueError."""
    kind = kind or guess(name, value)
    if kind in _RANGES:
        low, high, ctype = _RANGES[kind]
        number = index(value)
        if not low <= number <= high:
            raise OverflowError(f'"{name}" is {number}, which does not fit a {ctype}')
        return number
    if kind == c.VIR_TYPED_PARAM_BOOLEAN:
        return bool(value)
    if kind == c.VIR_TYPED_PARAM_DOUBLE:
        return float(value)
    if not isinstance(value, str):
        raise TypeError(f'"{name}" must be str, not {type(value).__name__}')
    value.encode()
    if "\0" in value:
        raise ValueError("embedded null character")
    return value


def _check_name(name: Any) -> None:
    if not isinstance(name, str):
        raise TypeError(f"names of typed parameters are str, not {type(name).__name__}")
