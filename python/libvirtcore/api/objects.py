# SPDX-License-Identifier: LGPL-2.1-or-later
"""objects.py: the door's functions that ask the handle and nobody else.

Called by: libvirtmod.
Never: asks a driver, but to close a connection.
"""

from __future__ import annotations

from libvirtcore.api.call import Row, run
from libvirtcore.generated import api_table as row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

__all__ = [
    "virDomainCheckpointFree",
    "virDomainCheckpointGetConnect",
    "virDomainCheckpointGetDomain",
    "virDomainCheckpointGetName",
    "virDomainFree",
    "virDomainGetConnect",
    "virDomainGetID",
    "virDomainGetName",
    "virDomainGetUUID",
    "virDomainGetUUIDString",
    "virDomainSnapshotFree",
    "virDomainSnapshotGetConnect",
    "virDomainSnapshotGetDomain",
    "virDomainSnapshotGetName",
    "virInterfaceFree",
    "virInterfaceGetConnect",
    "virInterfaceGetMACString",
    "virInterfaceGetName",
    "virNWFilterBindingFree",
    "virNWFilterBindingGetFilterName",
    "virNWFilterBindingGetPortDev",
    "virNWFilterFree",
    "virNWFilterGetName",
    "virNWFilterGetUUID",
    "virNWFilterGetUUIDString",
    "virNetworkFree",
    "virNetworkGetConnect",
    "virNetworkGetName",
    "virNetworkGetUUID",
    "virNetworkGetUUIDString",
    "virNetworkPortFree",
    "virNetworkPortGetNetwork",
    "virNetworkPortGetUUID",
    "virNetworkPortGetUUIDString",
    "virNodeDeviceFree",
    "virNodeDeviceGetName",
    "virSecretFree",
    "virSecretGetConnect",
    "virSecretGetUUID",
    "virSecretGetUUIDString",
    "virSecretGetUsageID",
    "virSecretGetUsageType",
    "virStoragePoolFree",
    "virStoragePoolGetConnect",
    "virStoragePoolGetName",
    "virStoragePoolGetUUID",
    "virStoragePoolGetUUIDString",
    "virStorageVolFree",
    "virStorageVolGetConnect",
    "virStorageVolGetKey",
    "virStorageVolGetName",
]

Door: TypeAlias = "Callable[..., Any]"


def uuid_string(uuid: bytes) -> str:
    """16 bytes as text."""
    digits = uuid.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _getter(facts: Row, attribute: str) -> Door:
    """A function that returns one attribute of its handle."""

    def body(_driver: Any, handle: Any) -> Any:
        return getattr(handle, attribute)

    def door(handle: Any, /) -> Any:
        return run(facts, body, handle)

    return _named(facts, door)


def _uuid_text(facts: Row) -> Door:
    """A function that returns the UUID of its handle as text."""

    def body(_driver: Any, handle: Any) -> str:
        return uuid_string(handle.uuid)

    def door(handle: Any, /) -> Any:
        return run(facts, body, handle)

    return _named(facts, door)


def _free(facts: Row) -> Door:
    """A function that gives back its handle."""

    def body(_driver: Any, handle: Any) -> int:
        handle.free()
        return 0

    def door(handle: Any, /) -> Any:
        return run(facts, body, handle)

    return _named(facts, door)


def _named(facts: Row, door: Door) -> Door:
    door.__name__ = door.__qualname__ = facts.name
    return door


virDomainGetName = _getter(row.virDomainGetName, "name")
virDomainGetID = _getter(row.virDomainGetID, "id")
virDomainGetUUID = _getter(row.virDomainGetUUID, "uuid")
virDomainGetUUIDString = _uuid_text(row.virDomainGetUUIDString)
virDomainGetConnect = _getter(row.virDomainGetConnect, "conn")
virDomainFree = _free(row.virDomainFree)

virDomainCheckpointGetName = _getter(row.virDomainCheckpointGetName, "name")
virDomainCheckpointGetDomain = _getter(row.virDomainCheckpointGetDomain, "dom")
virDomainCheckpointGetConnect = _getter(row.virDomainCheckpointGetConnect, "conn")
virDomainCheckpointFree = _free(row.virDomainCheckpointFree)

virDomainSnapshotGetName = _getter(row.virDomainSnapshotGetName, "name")
virDomainSnapshotGetDomain = _getter(row.virDomainSnapshotGetDomain, "dom")
virDomainSnapshotGetConnect = _getter(row.virDomainSnapshotGetConnect, "conn")
virDomainSnapshotFree = _free(row.virDomainSnapshotFree)

virInterfaceGetName = _getter(row.virInterfaceGetName, "name")
virInterfaceGetMACString = _getter(row.virInterfaceGetMACString, "mac")
virInterfaceGetConnect = _getter(row.virInterfaceGetConnect, "conn")
virInterfaceFree = _free(row.virInterfaceFree)

virNetworkGetName = _getter(row.virNetworkGetName, "name")
virNetworkGetUUID = _getter(row.virNetworkGetUUID, "uuid")
virNetworkGetUUIDString = _uuid_text(row.virNetworkGetUUIDString)
virNetworkGetConnect = _getter(row.virNetworkGetConnect, "conn")
virNetworkFree = _free(row.virNetworkFree)

virNetworkPortGetUUID = _getter(row.virNetworkPortGetUUID, "uuid")
virNetworkPortGetUUIDString = _uuid_text(row.virNetworkPortGetUUIDString)
virNetworkPortGetNetwork = _getter(row.virNetworkPortGetNetwork, "net")
virNetworkPortFree = _free(row.virNetworkPortFree)

virNodeDeviceGetName = _getter(row.virNodeDeviceGetName, "name")
virNodeDeviceFree = _free(row.virNodeDeviceFree)

virNWFilterGetName = _getter(row.virNWFilterGetName, "name")
virNWFilterGetUUID = _getter(row.virNWFilterGetUUID, "uuid")
virNWFilterGetUUIDString = _uuid_text(row.virNWFilterGetUUIDString)
virNWFilterFree = _free(row.virNWFilterFree)

virNWFilterBindingGetPortDev = _getter(row.virNWFilterBindingGetPortDev, "portdev")
virNWFilterBindingGetFilterName = _getter(row.virNWFilterBindingGetFilterName, "filtername")
virNWFilterBindingFree = _free(row.virNWFilterBindingFree)

virSecretGetUUID = _getter(row.virSecretGetUUID, "uuid")
virSecretGetUUIDString = _uuid_text(row.virSecretGetUUIDString)
virSecretGetUsageID = _getter(row.virSecretGetUsageID, "usage_id")
virSecretGetUsageType = _getter(row.virSecretGetUsageType, "usage_type")
virSecretGetConnect = _getter(row.virSecretGetConnect, "conn")
virSecretFree = _free(row.virSecretFree)

virStoragePoolGetName = _getter(row.virStoragePoolGetName, "name")
virStoragePoolGetUUID = _getter(row.virStoragePoolGetUUID, "uuid")
virStoragePoolGetUUIDString = _uuid_text(row.virStoragePoolGetUUIDString)
virStoragePoolGetConnect = _getter(row.virStoragePoolGetConnect, "conn")
virStoragePoolFree = _free(row.virStoragePoolFree)

virStorageVolGetName = _getter(row.virStorageVolGetName, "name")
virStorageVolGetKey = _getter(row.virStorageVolGetKey, "key")
virStorageVolGetConnect = _getter(row.virStorageVolGetConnect, "conn")
virStorageVolFree = _free(row.virStorageVolFree)
