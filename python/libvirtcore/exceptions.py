# SPDX-License-Identifier: LGPL-2.1-or-later
"""exceptions.py: one exception class per error code, each still a libvirtError.

    try:
        conn.lookupByName("vm")
    except NoDomainError:
        ...

Called by: users; libvirtcore.errors (when the first error is raised). Never: holds behaviour.
"""

from __future__ import annotations

from libvirtcore.errors import libvirtError
from libvirtcore.generated import constants as c


class InternalError(libvirtError):
    """Internal error."""

    code = c.VIR_ERR_INTERNAL_ERROR


class NoMemoryError(libvirtError):
    """Out of memory."""

    code = c.VIR_ERR_NO_MEMORY


class NoSupportError(libvirtError):
    """This function is not supported by the connection driver."""

    code = c.VIR_ERR_NO_SUPPORT


class UnknownHostError(libvirtError):
    """Unknown host."""

    code = c.VIR_ERR_UNKNOWN_HOST


class NoConnectError(libvirtError):
    """No connection driver available."""

    code = c.VIR_ERR_NO_CONNECT


class InvalidConnError(libvirtError):
    """Invalid connection pointer."""

    code = c.VIR_ERR_INVALID_CONN


class InvalidDomainError(libvirtError):
    """Invalid domain pointer."""

    code = c.VIR_ERR_INVALID_DOMAIN


class InvalidArgError(libvirtError):
    """Invalid argument."""

    code = c.VIR_ERR_INVALID_ARG


class OperationFailedError(libvirtError):
    """Operation failed."""

    code = c.VIR_ERR_OPERATION_FAILED


class GetFailedError(libvirtError):
    """GET operation failed."""

    code = c.VIR_ERR_GET_FAILED


class PostFailedError(libvirtError):
    """POST operation failed."""

    code = c.VIR_ERR_POST_FAILED


class HttpError(libvirtError):
    """Got unknown HTTP error code."""

    code = c.VIR_ERR_HTTP_ERROR


class SexprSerialError(libvirtError):
    """Failed to serialize S-Expr."""

    code = c.VIR_ERR_SEXPR_SERIAL


class NoXenError(libvirtError):
    """Could not use Xen hypervisor entry."""

    code = c.VIR_ERR_NO_XEN


class XenCallError(libvirtError):
    """Failed Xen syscall."""

    code = c.VIR_ERR_XEN_CALL


class OsTypeError(libvirtError):
    """Unknown OS type."""

    code = c.VIR_ERR_OS_TYPE


class NoKernelError(libvirtError):
    """Missing kernel information."""

    code = c.VIR_ERR_NO_KERNEL


class NoRootError(libvirtError):
    """Missing root device information."""

    code = c.VIR_ERR_NO_ROOT


class NoSourceError(libvirtError):
    """Missing source information for device."""

    code = c.VIR_ERR_NO_SOURCE


class NoTargetError(libvirtError):
    """Missing target information for device."""

    code = c.VIR_ERR_NO_TARGET


class NoNameError(libvirtError):
    """Missing name information."""

    code = c.VIR_ERR_NO_NAME


class NoOsError(libvirtError):
    """Missing operating system information."""

    code = c.VIR_ERR_NO_OS


class NoDeviceError(libvirtError):
    """Missing devices information."""

    code = c.VIR_ERR_NO_DEVICE


class NoXenstoreError(libvirtError):
    """Could not connect to Xen Store."""

    code = c.VIR_ERR_NO_XENSTORE


class DriverFullError(libvirtError):
    """Too many drivers registered."""

    code = c.VIR_ERR_DRIVER_FULL


class CallFailedError(libvirtError):
    """Library call failed."""

    code = c.VIR_ERR_CALL_FAILED


class XmlError(libvirtError):
    """XML description is invalid or not well formed."""

    code = c.VIR_ERR_XML_ERROR


class DomExistError(libvirtError):
    """This domain exists already."""

    code = c.VIR_ERR_DOM_EXIST


class OperationDeniedError(libvirtError):
    """Operation forbidden for read only access."""

    code = c.VIR_ERR_OPERATION_DENIED


class OpenFailedError(libvirtError):
    """Failed to open configuration file."""

    code = c.VIR_ERR_OPEN_FAILED


class ReadFailedError(libvirtError):
    """Failed to read configuration file."""

    code = c.VIR_ERR_READ_FAILED


class ParseFailedError(libvirtError):
    """Failed to parse configuration file."""

    code = c.VIR_ERR_PARSE_FAILED


class ConfSyntaxError(libvirtError):
    """Configuration file syntax error."""

    code = c.VIR_ERR_CONF_SYNTAX


class WriteFailedError(libvirtError):
    """Failed to write configuration file."""

    code = c.VIR_ERR_WRITE_FAILED


class XmlDetailError(libvirtError):
    """Parser error."""

    code = c.VIR_ERR_XML_DETAIL


class InvalidNetworkError(libvirtError):
    """Invalid network pointer."""

    code = c.VIR_ERR_INVALID_NETWORK


class NetworkExistError(libvirtError):
    """This network exists already."""

    code = c.VIR_ERR_NETWORK_EXIST


class SystemCallError(libvirtError):
    """System call error."""

    code = c.VIR_ERR_SYSTEM_ERROR


class RpcError(libvirtError):
    """RPC error."""

    code = c.VIR_ERR_RPC


class GnutlsError(libvirtError):
    """GNUTLS call error."""

    code = c.VIR_ERR_GNUTLS_ERROR


class NoNetworkDriverError(libvirtError):
    """Failed to find the network."""

    code = c.VIR_WAR_NO_NETWORK


class NoDomainError(libvirtError):
    """Domain not found."""

    code = c.VIR_ERR_NO_DOMAIN


class NoNetworkError(libvirtError):
    """Network not found."""

    code = c.VIR_ERR_NO_NETWORK


class InvalidMacError(libvirtError):
    """Invalid MAC address."""

    code = c.VIR_ERR_INVALID_MAC


class AuthFailedError(libvirtError):
    """Authentication failed."""

    code = c.VIR_ERR_AUTH_FAILED


class InvalidStoragePoolError(libvirtError):
    """Invalid storage pool pointer."""

    code = c.VIR_ERR_INVALID_STORAGE_POOL


class InvalidStorageVolError(libvirtError):
    """Invalid storage volume pointer."""

    code = c.VIR_ERR_INVALID_STORAGE_VOL


class NoStorageDriverError(libvirtError):
    """Failed to find a storage driver."""

    code = c.VIR_WAR_NO_STORAGE


class NoStoragePoolError(libvirtError):
    """Storage pool not found."""

    code = c.VIR_ERR_NO_STORAGE_POOL


class NoStorageVolError(libvirtError):
    """Storage volume not found."""

    code = c.VIR_ERR_NO_STORAGE_VOL


class NoNodeDriverError(libvirtError):
    """Failed to find a node driver."""

    code = c.VIR_WAR_NO_NODE


class InvalidNodeDeviceError(libvirtError):
    """Invalid node device pointer."""

    code = c.VIR_ERR_INVALID_NODE_DEVICE


class NoNodeDeviceError(libvirtError):
    """Node device not found."""

    code = c.VIR_ERR_NO_NODE_DEVICE


class NoSecurityModelError(libvirtError):
    """Security model not found."""

    code = c.VIR_ERR_NO_SECURITY_MODEL


class OperationInvalidError(libvirtError):
    """Requested operation is not valid."""

    code = c.VIR_ERR_OPERATION_INVALID


class NoInterfaceDriverError(libvirtError):
    """Failed to find the interface."""

    code = c.VIR_WAR_NO_INTERFACE


class NoInterfaceError(libvirtError):
    """Interface not found."""

    code = c.VIR_ERR_NO_INTERFACE


class InvalidInterfaceError(libvirtError):
    """Invalid interface pointer."""

    code = c.VIR_ERR_INVALID_INTERFACE


class MultipleInterfacesError(libvirtError):
    """Multiple matching interfaces found."""

    code = c.VIR_ERR_MULTIPLE_INTERFACES


class NoNWFilterDriverError(libvirtError):
    """Failed to start the nwfilter driver."""

    code = c.VIR_WAR_NO_NWFILTER


class InvalidNWFilterError(libvirtError):
    """Invalid network filter."""

    code = c.VIR_ERR_INVALID_NWFILTER


class NoNWFilterError(libvirtError):
    """Network filter not found."""

    code = c.VIR_ERR_NO_NWFILTER


class BuildFirewallError(libvirtError):
    """Error while building firewall."""

    code = c.VIR_ERR_BUILD_FIREWALL


class NoSecretDriverError(libvirtError):
    """Failed to find a secret storage driver."""

    code = c.VIR_WAR_NO_SECRET


class InvalidSecretError(libvirtError):
    """Invalid secret."""

    code = c.VIR_ERR_INVALID_SECRET


class NoSecretError(libvirtError):
    """Secret not found."""

    code = c.VIR_ERR_NO_SECRET


class ConfigUnsupportedError(libvirtError):
    """Unsupported configuration."""

    code = c.VIR_ERR_CONFIG_UNSUPPORTED


class OperationTimeoutError(libvirtError):
    """Timed out during operation."""

    code = c.VIR_ERR_OPERATION_TIMEOUT


class MigratePersistFailedError(libvirtError):
    """Failed to make domain persistent after migration."""

    code = c.VIR_ERR_MIGRATE_PERSIST_FAILED


class HookScriptFailedError(libvirtError):
    """Hook script execution failed."""

    code = c.VIR_ERR_HOOK_SCRIPT_FAILED


class InvalidDomainSnapshotError(libvirtError):
    """Invalid domain snapshot."""

    code = c.VIR_ERR_INVALID_DOMAIN_SNAPSHOT


class NoDomainSnapshotError(libvirtError):
    """Domain snapshot not found."""

    code = c.VIR_ERR_NO_DOMAIN_SNAPSHOT


class InvalidStreamError(libvirtError):
    """Invalid stream pointer."""

    code = c.VIR_ERR_INVALID_STREAM


class ArgumentUnsupportedError(libvirtError):
    """Argument unsupported."""

    code = c.VIR_ERR_ARGUMENT_UNSUPPORTED


class StorageProbeFailedError(libvirtError):
    """Storage pool probe failed."""

    code = c.VIR_ERR_STORAGE_PROBE_FAILED


class StoragePoolBuiltError(libvirtError):
    """Storage pool already built."""

    code = c.VIR_ERR_STORAGE_POOL_BUILT


class SnapshotRevertRiskyError(libvirtError):
    """Revert requires force."""

    code = c.VIR_ERR_SNAPSHOT_REVERT_RISKY


class OperationAbortedError(libvirtError):
    """Operation aborted."""

    code = c.VIR_ERR_OPERATION_ABORTED


class AuthCancelledError(libvirtError):
    """Authentication cancelled."""

    code = c.VIR_ERR_AUTH_CANCELLED


class NoDomainMetadataError(libvirtError):
    """Metadata not found."""

    code = c.VIR_ERR_NO_DOMAIN_METADATA


class MigrateUnsafeError(libvirtError):
    """Unsafe migration."""

    code = c.VIR_ERR_MIGRATE_UNSAFE


class OverflowError(libvirtError):
    """Numerical overflow."""

    code = c.VIR_ERR_OVERFLOW


class BlockCopyActiveError(libvirtError):
    """Block copy still active."""

    code = c.VIR_ERR_BLOCK_COPY_ACTIVE


class OperationUnsupportedError(libvirtError):
    """Operation not supported."""

    code = c.VIR_ERR_OPERATION_UNSUPPORTED


class SshError(libvirtError):
    """SSH transport error."""

    code = c.VIR_ERR_SSH


class AgentUnresponsiveError(libvirtError):
    """Guest agent is not responding."""

    code = c.VIR_ERR_AGENT_UNRESPONSIVE


class ResourceBusyError(libvirtError):
    """Resource busy."""

    code = c.VIR_ERR_RESOURCE_BUSY


class AccessDeniedError(libvirtError):
    """Access denied."""

    code = c.VIR_ERR_ACCESS_DENIED


class DbusServiceError(libvirtError):
    """Error from service."""

    code = c.VIR_ERR_DBUS_SERVICE


class StorageVolExistError(libvirtError):
    """This storage volume exists already."""

    code = c.VIR_ERR_STORAGE_VOL_EXIST


class CpuIncompatibleError(libvirtError):
    """The CPU is incompatible with host CPU."""

    code = c.VIR_ERR_CPU_INCOMPATIBLE


class XmlInvalidSchemaError(libvirtError):
    """XML document failed to validate against schema."""

    code = c.VIR_ERR_XML_INVALID_SCHEMA


class MigrateFinishOkError(libvirtError):
    """Migration successfully aborted."""

    code = c.VIR_ERR_MIGRATE_FINISH_OK


class AuthUnavailableError(libvirtError):
    """Authentication unavailable."""

    code = c.VIR_ERR_AUTH_UNAVAILABLE


class NoServerError(libvirtError):
    """Server not found."""

    code = c.VIR_ERR_NO_SERVER


class NoClientError(libvirtError):
    """Client not found."""

    code = c.VIR_ERR_NO_CLIENT


class AgentUnsyncedError(libvirtError):
    """Guest agent replied with wrong id to guest-sync command."""

    code = c.VIR_ERR_AGENT_UNSYNCED


class LibsshError(libvirtError):
    """Libssh transport error."""

    code = c.VIR_ERR_LIBSSH


class DeviceMissingError(libvirtError):
    """Device not found."""

    code = c.VIR_ERR_DEVICE_MISSING


class InvalidNWFilterBindingError(libvirtError):
    """Invalid network filter binding."""

    code = c.VIR_ERR_INVALID_NWFILTER_BINDING


class NoNWFilterBindingError(libvirtError):
    """Network filter binding not found."""

    code = c.VIR_ERR_NO_NWFILTER_BINDING


class InvalidDomainCheckpointError(libvirtError):
    """Invalid domain checkpoint."""

    code = c.VIR_ERR_INVALID_DOMAIN_CHECKPOINT


class NoDomainCheckpointError(libvirtError):
    """Domain checkpoint not found."""

    code = c.VIR_ERR_NO_DOMAIN_CHECKPOINT


class NoDomainBackupError(libvirtError):
    """Domain backup job id not found."""

    code = c.VIR_ERR_NO_DOMAIN_BACKUP


class InvalidNetworkPortError(libvirtError):
    """Invalid network port pointer."""

    code = c.VIR_ERR_INVALID_NETWORK_PORT


class NetworkPortExistError(libvirtError):
    """This network port exists already."""

    code = c.VIR_ERR_NETWORK_PORT_EXIST


class NoNetworkPortError(libvirtError):
    """Network port not found."""

    code = c.VIR_ERR_NO_NETWORK_PORT


class NoHostnameError(libvirtError):
    """No hostname found."""

    code = c.VIR_ERR_NO_HOSTNAME


class CheckpointInconsistentError(libvirtError):
    """Checkpoint inconsistent."""

    code = c.VIR_ERR_CHECKPOINT_INCONSISTENT


class MultipleDomainsError(libvirtError):
    """Multiple matching domains found."""

    code = c.VIR_ERR_MULTIPLE_DOMAINS


class NoNetworkMetadataError(libvirtError):
    """Network metadata not found."""

    code = c.VIR_ERR_NO_NETWORK_METADATA


class AgentCommandTimeoutError(libvirtError):
    """Guest agent command timed out."""

    code = c.VIR_ERR_AGENT_COMMAND_TIMEOUT


class AgentCommandFailedError(libvirtError):
    """Guest agent command failed."""

    code = c.VIR_ERR_AGENT_COMMAND_FAILED


class InvalidEncrKeySecretError(libvirtError):
    """Invalid encryption key for the secret."""

    code = c.VIR_ERR_INVALID_ENCR_KEY_SECRET
