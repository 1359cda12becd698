# SPDX-License-Identifier: LGPL-2.1-or-later
"""checks.py: what the public functions refuse before they ask a driver.

A check gets the call's row and its arguments without the object, and raises VirError. Those that
follow from the wire come with the row; CHECKS has the others.
Called by: libvirtcore.api.call. Never: asks a driver.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from libvirtcore.errors import invalid_argument, report
from libvirtcore.generated import constants as c
from libvirtcore.handles import ConnectHandle, Handle

if TYPE_CHECKING:
    from libvirtcore.api.call import Row

Check = Callable[["Row", tuple[Any, ...]], None]


def missing(index: int, name: str) -> Check:
    """Refuse None."""

    def check(row: Row, args: tuple[Any, ...]) -> None:
        if args[index] is None:
            raise invalid_argument(
                row.name, name, f"{name} in {row.name} must not be NULL", row.domain
            )

    return check


def is_object(index: int, cls: type[Any], code: int, domain: int) -> Check:
    """Refuse an argument that is no live object of this kind."""

    def check(row: Row, args: tuple[Any, ...]) -> None:
        value = args[index]
        if value.__class__ is cls and not value._freed:
            return
        if value is not None and not isinstance(value, (Handle, ConnectHandle)):
            raise TypeError(f"{row.name}() takes a handle, not {type(value).__name__}")
        raise report(code, domain, row.name)

    return check


def not_read_only(index: int, bits: int, by_bits: bool, secret: bool) -> Check:
    """Refuse some flags, or one value; asked only on read-only connections."""

    def check(row: Row, args: tuple[Any, ...]) -> None:
        if (args[index] & bits) if by_bits else (args[index] == bits):
            detail = (
                f"{row.name} with secure flag"
                if secret
                else f"read only access prevents {row.name}"
            )
            raise report(c.VIR_ERR_OPERATION_DENIED, row.domain, detail)

    return check


CHECKS: dict[str, tuple[Check, ...]] = {}
