# SPDX-License-Identifier: LGPL-2.1-or-later
"""lookup.py: the door's functions that find an object by its UUID as text.

Called by: libvirtmod.
Never: knows how a driver finds things.
"""

from __future__ import annotations

from libvirtcore.api import args as arg
from libvirtcore.api.call import Row, run
from libvirtcore.errors import invalid_argument
from libvirtcore.generated import api_table as row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "virDomainLookupByUUIDString",
    "virNWFilterLookupByUUIDString",
    "virNetworkLookupByUUIDString",
    "virNetworkPortLookupByUUIDString",
    "virSecretLookupByUUIDString",
    "virStoragePoolLookupByUUIDString",
]

_HEX = frozenset("0123456789abcdefABCDEF")


def parse_uuid(text: str) -> bytes | None:
    """16 bytes from hex digits with dashes or spaces between bytes, None when they are not that."""
    digits = text.strip(" \t\n\v\f\r")
    out: list[int] = []
    at = 0
    while len(out) < 16:
        pair = digits[at : at + 2]
        if pair[:1] in ("-", " "):
            at += 1
            continue
        if len(pair) < 2 or pair[0] not in _HEX or pair[1] not in _HEX:
            return None
        out.append(int(pair, 16))
        at += 2
    return bytes(out) if at == len(digits) else None


def _parsed(facts: Row, text: str | None, message: str) -> bytes:
    if text is None:
        message = f"uuidstr in {facts.name} must not be NULL"
    uuid = None if text is None else parse_uuid(text)
    if uuid is None:
        raise invalid_argument(facts.name, "uuidstr", message, facts.domain)
    return uuid


def _lookup(facts: Row, method: str, handle: Any, uuidstr: Any, message: str = "") -> Any:
    """Ask the driver's method for the object with this UUID."""
    text = arg.text(uuidstr, facts.name, 2)

    def body(driver: Any, handle: Any) -> Any:
        uuid = _parsed(facts, text, message or f"uuidstr in {facts.name} must be a valid UUID")
        if facts.kind == "connect":
            return getattr(driver, method)(uuid)
        return getattr(driver, method)(handle, uuid)

    return run(facts, body, handle)


def virDomainLookupByUUIDString(connect: Any, uuidstr: Any, /) -> Any:
    return _lookup(
        row.virDomainLookupByUUIDString, "domain_lookup_by_uuid", connect, uuidstr, "Invalid UUID"
    )


def virNetworkLookupByUUIDString(connect: Any, uuidstr: Any, /) -> Any:
    return _lookup(row.virNetworkLookupByUUIDString, "network_lookup_by_uuid", connect, uuidstr)


def virNetworkPortLookupByUUIDString(network: Any, uuidstr: Any, /) -> Any:
    return _lookup(
        row.virNetworkPortLookupByUUIDString, "network_port_lookup_by_uuid", network, uuidstr
    )


def virNWFilterLookupByUUIDString(connect: Any, uuidstr: Any, /) -> Any:
    return _lookup(row.virNWFilterLookupByUUIDString, "nwfilter_lookup_by_uuid", connect, uuidstr)


def virSecretLookupByUUIDString(connect: Any, uuidstr: Any, /) -> Any:
    return _lookup(row.virSecretLookupByUUIDString, "secret_lookup_by_uuid", connect, uuidstr)


def virStoragePoolLookupByUUIDString(connect: Any, uuidstr: Any, /) -> Any:
    return _lookup(
        row.virStoragePoolLookupByUUIDString, "storage_pool_lookup_by_uuid", connect, uuidstr
    )
