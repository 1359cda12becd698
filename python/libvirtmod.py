# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirtmod.py: the door: the C functions of libvirt, under their C names.

Handles (`_o` of the public classes) in, values or handles out; -1 or None when a call fails, with
the error in virGetLastError. Most functions are generated; those imported by name are written by
hand and win over generated ones.
Called by: libvirt.py, libvirtcore.objects, and users who reach below the classes. Calls: libvirtcore.api.
Never: raises libvirtError; a wrong type raises TypeError, as C modules do.
"""

from __future__ import annotations

# ruff: noqa: I001 (what is written by hand must come last)

from libvirtcore.generated.door_domain import *  # noqa: F403
from libvirtcore.generated.door_domain_checkpoint import *  # noqa: F403
from libvirtcore.generated.door_domain_snapshot import *  # noqa: F403
from libvirtcore.generated.door_host import *  # noqa: F403
from libvirtcore.generated.door_interface import *  # noqa: F403
from libvirtcore.generated.door_network import *  # noqa: F403
from libvirtcore.generated.door_nodedev import *  # noqa: F403
from libvirtcore.generated.door_nwfilter import *  # noqa: F403
from libvirtcore.generated.door_secret import *  # noqa: F403
from libvirtcore.generated.door_storage import *  # noqa: F403

from libvirtcore.api.connect import (
    virConnectClose as virConnectClose,
    virConnectGetURI as virConnectGetURI,
    virConnectIsAlive as virConnectIsAlive,
    virConnectIsEncrypted as virConnectIsEncrypted,
    virConnectIsSecure as virConnectIsSecure,
    virConnectListDomainsID as virConnectListDomainsID,
    virConnectOpen as virConnectOpen,
    virConnectOpenAuth as virConnectOpenAuth,
    virConnectOpenReadOnly as virConnectOpenReadOnly,
    virConnectSetKeepAlive as virConnectSetKeepAlive,
)
from libvirtcore.api.cpus import (
    virDomainGetCPUStats as virDomainGetCPUStats,
    virDomainGetEmulatorPinInfo as virDomainGetEmulatorPinInfo,
    virDomainGetIOThreadInfo as virDomainGetIOThreadInfo,
    virDomainGetVcpuPinInfo as virDomainGetVcpuPinInfo,
    virDomainGetVcpus as virDomainGetVcpus,
    virDomainPinEmulator as virDomainPinEmulator,
    virDomainPinIOThread as virDomainPinIOThread,
    virDomainPinVcpu as virDomainPinVcpu,
    virDomainPinVcpuFlags as virDomainPinVcpuFlags,
)
from libvirtcore.api.events import (
    virConnectDomainEventDeregister as virConnectDomainEventDeregister,
    virConnectDomainEventDeregisterAny as virConnectDomainEventDeregisterAny,
    virConnectDomainEventRegister as virConnectDomainEventRegister,
    virConnectDomainEventRegisterAny as virConnectDomainEventRegisterAny,
    virConnectNetworkEventDeregisterAny as virConnectNetworkEventDeregisterAny,
    virConnectNetworkEventRegisterAny as virConnectNetworkEventRegisterAny,
    virConnectNodeDeviceEventDeregisterAny as virConnectNodeDeviceEventDeregisterAny,
    virConnectNodeDeviceEventRegisterAny as virConnectNodeDeviceEventRegisterAny,
    virConnectRegisterCloseCallback as virConnectRegisterCloseCallback,
    virConnectSecretEventDeregisterAny as virConnectSecretEventDeregisterAny,
    virConnectSecretEventRegisterAny as virConnectSecretEventRegisterAny,
    virConnectStoragePoolEventDeregisterAny as virConnectStoragePoolEventDeregisterAny,
    virConnectStoragePoolEventRegisterAny as virConnectStoragePoolEventRegisterAny,
    virConnectUnregisterCloseCallback as virConnectUnregisterCloseCallback,
)
from libvirtcore.api.guests import (
    virConnectGetAllDomainStats as virConnectGetAllDomainStats,
    virDomainBlockPeek as virDomainBlockPeek,
    virDomainCreateLinux as virDomainCreateLinux,
    virDomainCreateWithFiles as virDomainCreateWithFiles,
    virDomainCreateXMLWithFiles as virDomainCreateXMLWithFiles,
    virDomainFDAssociate as virDomainFDAssociate,
    virDomainFSFreeze as virDomainFSFreeze,
    virDomainFSThaw as virDomainFSThaw,
    virDomainGetTime as virDomainGetTime,
    virDomainListGetStats as virDomainListGetStats,
    virDomainMemoryPeek as virDomainMemoryPeek,
    virDomainOpenGraphics as virDomainOpenGraphics,
    virDomainSendKey as virDomainSendKey,
    virDomainSetTime as virDomainSetTime,
)
from libvirtcore.api.host import (
    virNodeAllocPages as virNodeAllocPages,
    virNodeGetFreePages as virNodeGetFreePages,
)
from libvirtcore.api.library import (
    virConnGetLastError as virConnGetLastError,
    virConnResetLastError as virConnResetLastError,
    virEventAddHandle as virEventAddHandle,
    virEventAddTimeout as virEventAddTimeout,
    virEventRegisterDefaultImpl as virEventRegisterDefaultImpl,
    virEventRegisterImpl as virEventRegisterImpl,
    virEventRemoveHandle as virEventRemoveHandle,
    virEventRemoveTimeout as virEventRemoveTimeout,
    virEventRunDefaultImpl as virEventRunDefaultImpl,
    virEventUpdateHandle as virEventUpdateHandle,
    virEventUpdateTimeout as virEventUpdateTimeout,
    virGetLastError as virGetLastError,
    virGetLastErrorCode as virGetLastErrorCode,
    virGetLastErrorDomain as virGetLastErrorDomain,
    virGetLastErrorMessage as virGetLastErrorMessage,
    virGetVersion as virGetVersion,
    virInitialize as virInitialize,
    virRegisterErrorHandler as virRegisterErrorHandler,
    virResetLastError as virResetLastError,
)
from libvirtcore.api.lookup import (
    virDomainLookupByUUIDString as virDomainLookupByUUIDString,
    virNWFilterLookupByUUIDString as virNWFilterLookupByUUIDString,
    virNetworkLookupByUUIDString as virNetworkLookupByUUIDString,
    virNetworkPortLookupByUUIDString as virNetworkPortLookupByUUIDString,
    virSecretLookupByUUIDString as virSecretLookupByUUIDString,
    virStoragePoolLookupByUUIDString as virStoragePoolLookupByUUIDString,
)
from libvirtcore.api.migrate import (
    virDomainMigrate as virDomainMigrate,
    virDomainMigrate2 as virDomainMigrate2,
    virDomainMigrate3 as virDomainMigrate3,
    virDomainMigrateToURI as virDomainMigrateToURI,
    virDomainMigrateToURI2 as virDomainMigrateToURI2,
    virDomainMigrateToURI3 as virDomainMigrateToURI3,
)
from libvirtcore.api.objects import (
    virDomainCheckpointFree as virDomainCheckpointFree,
    virDomainCheckpointGetConnect as virDomainCheckpointGetConnect,
    virDomainCheckpointGetDomain as virDomainCheckpointGetDomain,
    virDomainCheckpointGetName as virDomainCheckpointGetName,
    virDomainFree as virDomainFree,
    virDomainGetConnect as virDomainGetConnect,
    virDomainGetID as virDomainGetID,
    virDomainGetName as virDomainGetName,
    virDomainGetUUID as virDomainGetUUID,
    virDomainGetUUIDString as virDomainGetUUIDString,
    virDomainSnapshotFree as virDomainSnapshotFree,
    virDomainSnapshotGetConnect as virDomainSnapshotGetConnect,
    virDomainSnapshotGetDomain as virDomainSnapshotGetDomain,
    virDomainSnapshotGetName as virDomainSnapshotGetName,
    virInterfaceFree as virInterfaceFree,
    virInterfaceGetConnect as virInterfaceGetConnect,
    virInterfaceGetMACString as virInterfaceGetMACString,
    virInterfaceGetName as virInterfaceGetName,
    virNWFilterBindingFree as virNWFilterBindingFree,
    virNWFilterBindingGetFilterName as virNWFilterBindingGetFilterName,
    virNWFilterBindingGetPortDev as virNWFilterBindingGetPortDev,
    virNWFilterFree as virNWFilterFree,
    virNWFilterGetName as virNWFilterGetName,
    virNWFilterGetUUID as virNWFilterGetUUID,
    virNWFilterGetUUIDString as virNWFilterGetUUIDString,
    virNetworkFree as virNetworkFree,
    virNetworkGetConnect as virNetworkGetConnect,
    virNetworkGetName as virNetworkGetName,
    virNetworkGetUUID as virNetworkGetUUID,
    virNetworkGetUUIDString as virNetworkGetUUIDString,
    virNetworkPortFree as virNetworkPortFree,
    virNetworkPortGetNetwork as virNetworkPortGetNetwork,
    virNetworkPortGetUUID as virNetworkPortGetUUID,
    virNetworkPortGetUUIDString as virNetworkPortGetUUIDString,
    virNodeDeviceFree as virNodeDeviceFree,
    virNodeDeviceGetName as virNodeDeviceGetName,
    virSecretFree as virSecretFree,
    virSecretGetConnect as virSecretGetConnect,
    virSecretGetUUID as virSecretGetUUID,
    virSecretGetUUIDString as virSecretGetUUIDString,
    virSecretGetUsageID as virSecretGetUsageID,
    virSecretGetUsageType as virSecretGetUsageType,
    virStoragePoolFree as virStoragePoolFree,
    virStoragePoolGetConnect as virStoragePoolGetConnect,
    virStoragePoolGetName as virStoragePoolGetName,
    virStoragePoolGetUUID as virStoragePoolGetUUID,
    virStoragePoolGetUUIDString as virStoragePoolGetUUIDString,
    virStorageVolFree as virStorageVolFree,
    virStorageVolGetConnect as virStorageVolGetConnect,
    virStorageVolGetKey as virStorageVolGetKey,
    virStorageVolGetName as virStorageVolGetName,
)
from libvirtcore.api.streams import (
    virStreamAbort as virStreamAbort,
    virStreamEventAddCallback as virStreamEventAddCallback,
    virStreamEventRemoveCallback as virStreamEventRemoveCallback,
    virStreamEventUpdateCallback as virStreamEventUpdateCallback,
    virStreamFinish as virStreamFinish,
    virStreamFree as virStreamFree,
    virStreamNew as virStreamNew,
    virStreamRecv as virStreamRecv,
    virStreamRecvFlags as virStreamRecvFlags,
    virStreamRecvHole as virStreamRecvHole,
    virStreamSend as virStreamSend,
    virStreamSendHole as virStreamSendHole,
)
from libvirtcore.api.tuning import (
    virDomainSetBlkioParameters as virDomainSetBlkioParameters,
    virDomainSetInterfaceParameters as virDomainSetInterfaceParameters,
    virDomainSetMemoryParameters as virDomainSetMemoryParameters,
    virDomainSetNumaParameters as virDomainSetNumaParameters,
    virDomainSetPerfEvents as virDomainSetPerfEvents,
    virDomainSetSchedulerParameters as virDomainSetSchedulerParameters,
    virDomainSetSchedulerParametersFlags as virDomainSetSchedulerParametersFlags,
    virNetworkPortSetParameters as virNetworkPortSetParameters,
    virNodeSetMemoryParameters as virNodeSetMemoryParameters,
)
