# SPDX-License-Identifier: LGPL-2.1-or-later
"""error_texts.py: the words for error codes, domains and levels.

TEXTS: code → (message without detail, message with detail). The wording is part of the interface:
scripts compare it, and daemons send it.
Called by: libvirtcore.errors. Never: imports anything of ours but constants.
"""

from __future__ import annotations

from libvirtcore.generated import constants as c

TEXTS: dict[int, tuple[str, str]] = {
    c.VIR_ERR_INTERNAL_ERROR: ("internal error", "internal error: %s"),
    c.VIR_ERR_NO_MEMORY: ("out of memory", "out of memory: %s"),
    c.VIR_ERR_NO_SUPPORT: (
        "this function is not supported by the connection driver",
        "this function is not supported by the connection driver: %s",
    ),
    c.VIR_ERR_UNKNOWN_HOST: ("unknown host", "unknown host %s"),
    c.VIR_ERR_NO_CONNECT: (
        "no connection driver available",
        "no connection driver available for %s",
    ),
    c.VIR_ERR_INVALID_CONN: ("invalid connection pointer in", "invalid connection pointer in %s"),
    c.VIR_ERR_INVALID_DOMAIN: ("invalid domain pointer in", "invalid domain pointer in %s"),
    c.VIR_ERR_INVALID_ARG: ("invalid argument", "invalid argument: %s"),
    c.VIR_ERR_OPERATION_FAILED: ("operation failed", "operation failed: %s"),
    c.VIR_ERR_GET_FAILED: ("GET operation failed", "GET operation failed: %s"),
    c.VIR_ERR_POST_FAILED: ("POST operation failed", "POST operation failed: %s"),
    c.VIR_ERR_HTTP_ERROR: ("got unknown HTTP error code", "got unknown HTTP error code %s"),
    c.VIR_ERR_SEXPR_SERIAL: ("failed to serialize S-Expr", "failed to serialize S-Expr: %s"),
    c.VIR_ERR_NO_XEN: (
        "could not use Xen hypervisor entry",
        "could not use Xen hypervisor entry %s",
    ),
    c.VIR_ERR_XEN_CALL: ("failed Xen syscall", "failed Xen syscall %s"),
    c.VIR_ERR_OS_TYPE: ("unknown OS type", "unknown OS type %s"),
    c.VIR_ERR_NO_KERNEL: ("missing kernel information", "missing kernel information: %s"),
    c.VIR_ERR_NO_ROOT: ("missing root device information", "missing root device information in %s"),
    c.VIR_ERR_NO_SOURCE: (
        "missing source information for device",
        "missing source information for device %s",
    ),
    c.VIR_ERR_NO_TARGET: (
        "missing target information for device",
        "missing target information for device %s",
    ),
    c.VIR_ERR_NO_NAME: ("missing name information", "missing name information in %s"),
    c.VIR_ERR_NO_OS: (
        "missing operating system information",
        "missing operating system information for %s",
    ),
    c.VIR_ERR_NO_DEVICE: ("missing devices information", "missing devices information for %s"),
    c.VIR_ERR_NO_XENSTORE: ("could not connect to Xen Store", "could not connect to Xen Store %s"),
    c.VIR_ERR_DRIVER_FULL: ("too many drivers registered", "too many drivers registered in %s"),
    c.VIR_ERR_CALL_FAILED: ("library call failed", "library call failed: %s"),
    c.VIR_ERR_XML_ERROR: ("XML description is invalid or not well formed", "XML error: %s"),
    c.VIR_ERR_DOM_EXIST: ("this domain exists already", "domain %s exists already"),
    c.VIR_ERR_OPERATION_DENIED: (
        "operation forbidden for read only access",
        "operation forbidden: %s",
    ),
    c.VIR_ERR_OPEN_FAILED: (
        "failed to open configuration file",
        "failed to open configuration file %s",
    ),
    c.VIR_ERR_READ_FAILED: (
        "failed to read configuration file",
        "failed to read configuration file %s",
    ),
    c.VIR_ERR_PARSE_FAILED: (
        "failed to parse configuration file",
        "failed to parse configuration file %s",
    ),
    c.VIR_ERR_CONF_SYNTAX: (
        "configuration file syntax error",
        "configuration file syntax error: %s",
    ),
    c.VIR_ERR_WRITE_FAILED: (
        "failed to write configuration file",
        "failed to write configuration file: %s",
    ),
    c.VIR_ERR_XML_DETAIL: ("parser error", "%s"),
    c.VIR_ERR_INVALID_NETWORK: ("invalid network pointer in", "invalid network pointer in %s"),
    c.VIR_ERR_NETWORK_EXIST: ("this network exists already", "network %s exists already"),
    c.VIR_ERR_SYSTEM_ERROR: ("system call error", "%s"),
    c.VIR_ERR_RPC: ("RPC error", "%s"),
    c.VIR_ERR_GNUTLS_ERROR: ("GNUTLS call error", "%s"),
    c.VIR_WAR_NO_NETWORK: ("Failed to find the network", "Failed to find the network: %s"),
    c.VIR_ERR_NO_DOMAIN: ("Domain not found", "Domain not found: %s"),
    c.VIR_ERR_NO_NETWORK: ("Network not found", "Network not found: %s"),
    c.VIR_ERR_INVALID_MAC: ("invalid MAC address", "invalid MAC address: %s"),
    c.VIR_ERR_AUTH_FAILED: ("authentication failed", "authentication failed: %s"),
    c.VIR_ERR_INVALID_STORAGE_POOL: (
        "invalid storage pool pointer in",
        "invalid storage pool pointer in %s",
    ),
    c.VIR_ERR_INVALID_STORAGE_VOL: (
        "invalid storage volume pointer in",
        "invalid storage volume pointer in %s",
    ),
    c.VIR_WAR_NO_STORAGE: (
        "Failed to find a storage driver",
        "Failed to find a storage driver: %s",
    ),
    c.VIR_ERR_NO_STORAGE_POOL: ("Storage pool not found", "Storage pool not found: %s"),
    c.VIR_ERR_NO_STORAGE_VOL: ("Storage volume not found", "Storage volume not found: %s"),
    c.VIR_WAR_NO_NODE: ("Failed to find a node driver", "Failed to find a node driver: %s"),
    c.VIR_ERR_INVALID_NODE_DEVICE: (
        "invalid node device pointer",
        "invalid node device pointer in %s",
    ),
    c.VIR_ERR_NO_NODE_DEVICE: ("Node device not found", "Node device not found: %s"),
    c.VIR_ERR_NO_SECURITY_MODEL: ("Security model not found", "Security model not found: %s"),
    c.VIR_ERR_OPERATION_INVALID: (
        "Requested operation is not valid",
        "Requested operation is not valid: %s",
    ),
    c.VIR_WAR_NO_INTERFACE: ("Failed to find the interface", "Failed to find the interface: %s"),
    c.VIR_ERR_NO_INTERFACE: ("Interface not found", "Interface not found: %s"),
    c.VIR_ERR_INVALID_INTERFACE: (
        "invalid interface pointer in",
        "invalid interface pointer in %s",
    ),
    c.VIR_ERR_MULTIPLE_INTERFACES: (
        "multiple matching interfaces found",
        "multiple matching interfaces found: %s",
    ),
    c.VIR_WAR_NO_NWFILTER: (
        "Failed to start the nwfilter driver",
        "Failed to start the nwfilter driver: %s",
    ),
    c.VIR_ERR_INVALID_NWFILTER: ("Invalid network filter", "Invalid network filter: %s"),
    c.VIR_ERR_NO_NWFILTER: ("Network filter not found", "Network filter not found: %s"),
    c.VIR_ERR_BUILD_FIREWALL: (
        "Error while building firewall",
        "Error while building firewall: %s",
    ),
    c.VIR_WAR_NO_SECRET: (
        "Failed to find a secret storage driver",
        "Failed to find a secret storage driver: %s",
    ),
    c.VIR_ERR_INVALID_SECRET: ("Invalid secret", "Invalid secret: %s"),
    c.VIR_ERR_NO_SECRET: ("Secret not found", "Secret not found: %s"),
    c.VIR_ERR_CONFIG_UNSUPPORTED: ("unsupported configuration", "unsupported configuration: %s"),
    c.VIR_ERR_OPERATION_TIMEOUT: ("Timed out during operation", "Timed out during operation: %s"),
    c.VIR_ERR_MIGRATE_PERSIST_FAILED: (
        "Failed to make domain persistent after migration",
        "Failed to make domain persistent after migration: %s",
    ),
    c.VIR_ERR_HOOK_SCRIPT_FAILED: (
        "Hook script execution failed",
        "Hook script execution failed: %s",
    ),
    c.VIR_ERR_INVALID_DOMAIN_SNAPSHOT: ("Invalid domain snapshot", "Invalid domain snapshot: %s"),
    c.VIR_ERR_NO_DOMAIN_SNAPSHOT: ("Domain snapshot not found", "Domain snapshot not found: %s"),
    c.VIR_ERR_INVALID_STREAM: ("invalid stream pointer", "invalid stream pointer in %s"),
    c.VIR_ERR_ARGUMENT_UNSUPPORTED: ("argument unsupported", "argument unsupported: %s"),
    c.VIR_ERR_STORAGE_PROBE_FAILED: ("Storage pool probe failed", "Storage pool probe failed: %s"),
    c.VIR_ERR_STORAGE_POOL_BUILT: ("Storage pool already built", "Storage pool already built: %s"),
    c.VIR_ERR_SNAPSHOT_REVERT_RISKY: ("revert requires force", "revert requires force: %s"),
    c.VIR_ERR_OPERATION_ABORTED: ("operation aborted", "operation aborted: %s"),
    c.VIR_ERR_AUTH_CANCELLED: ("authentication cancelled", "authentication cancelled: %s"),
    c.VIR_ERR_NO_DOMAIN_METADATA: ("metadata not found", "metadata not found: %s"),
    c.VIR_ERR_MIGRATE_UNSAFE: ("Unsafe migration", "Unsafe migration: %s"),
    c.VIR_ERR_OVERFLOW: ("numerical overflow", "numerical overflow: %s"),
    c.VIR_ERR_BLOCK_COPY_ACTIVE: ("block copy still active", "block copy still active: %s"),
    c.VIR_ERR_OPERATION_UNSUPPORTED: ("Operation not supported", "Operation not supported: %s"),
    c.VIR_ERR_SSH: ("SSH transport error", "SSH transport error: %s"),
    c.VIR_ERR_AGENT_UNRESPONSIVE: (
        "Guest agent is not responding",
        "Guest agent is not responding: %s",
    ),
    c.VIR_ERR_RESOURCE_BUSY: ("resource busy", "resource busy: %s"),
    c.VIR_ERR_ACCESS_DENIED: ("access denied", "access denied: %s"),
    c.VIR_ERR_DBUS_SERVICE: ("error from service", "error from service: %s"),
    c.VIR_ERR_STORAGE_VOL_EXIST: (
        "this storage volume exists already",
        "storage volume %s exists already",
    ),
    c.VIR_ERR_CPU_INCOMPATIBLE: (
        "the CPU is incompatible with host CPU",
        "the CPU is incompatible with host CPU: %s",
    ),
    c.VIR_ERR_XML_INVALID_SCHEMA: (
        "XML document failed to validate against schema",
        "XML document failed to validate against schema: %s",
    ),
    c.VIR_ERR_MIGRATE_FINISH_OK: (
        "migration successfully aborted",
        "migration successfully aborted: %s",
    ),
    c.VIR_ERR_AUTH_UNAVAILABLE: ("authentication unavailable", "authentication unavailable: %s"),
    c.VIR_ERR_NO_SERVER: ("Server not found", "Server not found: %s"),
    c.VIR_ERR_NO_CLIENT: ("Client not found", "Client not found: %s"),
    c.VIR_ERR_AGENT_UNSYNCED: (
        "guest agent replied with wrong id to guest-sync command",
        "guest agent replied with wrong id to guest-sync command: %s",
    ),
    c.VIR_ERR_LIBSSH: ("libssh transport error", "libssh transport error: %s"),
    c.VIR_ERR_DEVICE_MISSING: ("device not found", "device not found: %s"),
    c.VIR_ERR_INVALID_NWFILTER_BINDING: (
        "Invalid network filter binding",
        "Invalid network filter binding: %s",
    ),
    c.VIR_ERR_NO_NWFILTER_BINDING: (
        "Network filter binding not found",
        "Network filter binding not found: %s",
    ),
    c.VIR_ERR_INVALID_DOMAIN_CHECKPOINT: (
        "Invalid domain checkpoint",
        "Invalid domain checkpoint: %s",
    ),
    c.VIR_ERR_NO_DOMAIN_CHECKPOINT: (
        "Domain checkpoint not found",
        "Domain checkpoint not found: %s",
    ),
    c.VIR_ERR_NO_DOMAIN_BACKUP: (
        "Domain backup job id not found",
        "Domain backup job id not found: %s",
    ),
    c.VIR_ERR_INVALID_NETWORK_PORT: (
        "Invalid network port pointer",
        "Invalid network port pointer: %s",
    ),
    c.VIR_ERR_NETWORK_PORT_EXIST: (
        "this network port exists already",
        "network port %s exists already",
    ),
    c.VIR_ERR_NO_NETWORK_PORT: ("network port not found", "network port not found: %s"),
    c.VIR_ERR_NO_HOSTNAME: ("no hostname found", "no hostname found: %s"),
    c.VIR_ERR_CHECKPOINT_INCONSISTENT: ("checkpoint inconsistent", "checkpoint inconsistent: %s"),
    c.VIR_ERR_MULTIPLE_DOMAINS: (
        "multiple matching domains found",
        "multiple matching domains found: %s",
    ),
    c.VIR_ERR_NO_NETWORK_METADATA: ("network metadata not found", "network metadata not found: %s"),
    c.VIR_ERR_AGENT_COMMAND_TIMEOUT: (
        "guest agent command timed out",
        "guest agent command timed out: %s",
    ),
    c.VIR_ERR_AGENT_COMMAND_FAILED: (
        "guest agent command failed",
        "guest agent command failed: %s",
    ),
    c.VIR_ERR_INVALID_ENCR_KEY_SECRET: (
        "invalid encryption key for the secret",
        "invalid encryption key for the secret: %s",
    ),
}

# By number, VIR_FROM_NONE first.
DOMAINS: tuple[str, ...] = (
    "",  # VIR_FROM_NONE
    "Xen Driver",  # VIR_FROM_XEN
    "Xen Daemon",  # VIR_FROM_XEND
    "Xen Store",  # VIR_FROM_XENSTORE
    "S-Expression",  # VIR_FROM_SEXPR
    "XML Util",  # VIR_FROM_XML
    "Domain",  # VIR_FROM_DOM
    "XML-RPC",  # VIR_FROM_RPC
    "Proxy Daemon",  # VIR_FROM_PROXY
    "Config File",  # VIR_FROM_CONF
    "QEMU Driver",  # VIR_FROM_QEMU
    "Network",  # VIR_FROM_NET
    "Test Driver",  # VIR_FROM_TEST
    "Remote Driver",  # VIR_FROM_REMOTE
    "OpenVZ Driver",  # VIR_FROM_OPENVZ
    "Xen XM Driver",  # VIR_FROM_XENXM
    "Linux Statistics",  # VIR_FROM_STATS_LINUX
    "LXC Driver",  # VIR_FROM_LXC
    "Storage Driver",  # VIR_FROM_STORAGE
    "Network Driver",  # VIR_FROM_NETWORK
    "Domain Config",  # VIR_FROM_DOMAIN
    "User Mode Linux Driver",  # VIR_FROM_UML
    "Node Device Driver",  # VIR_FROM_NODEDEV
    "Xen Inotify Driver",  # VIR_FROM_XEN_INOTIFY
    "Security Driver",  # VIR_FROM_SECURITY
    "VirtualBox Driver",  # VIR_FROM_VBOX
    "Network Interface Driver",  # VIR_FROM_INTERFACE
    "Open Nebula Driver",  # VIR_FROM_ONE
    "ESX Driver",  # VIR_FROM_ESX
    "Power Hypervisor Driver",  # VIR_FROM_PHYP
    "Secrets Driver",  # VIR_FROM_SECRET
    "CPU Driver",  # VIR_FROM_CPU
    "XenAPI Driver",  # VIR_FROM_XENAPI
    "Network Filter Driver",  # VIR_FROM_NWFILTER
    "Lifecycle Hook",  # VIR_FROM_HOOK
    "Domain Snapshot",  # VIR_FROM_DOMAIN_SNAPSHOT
    "Audit Utils",  # VIR_FROM_AUDIT
    "Sysinfo Utils",  # VIR_FROM_SYSINFO
    "I/O Stream Utils",  # VIR_FROM_STREAMS
    "VMware Driver",  # VIR_FROM_VMWARE
    "Event Loop",  # VIR_FROM_EVENT
    "Xen Light Driver",  # VIR_FROM_LIBXL
    "Lock Driver",  # VIR_FROM_LOCKING
    "Hyper-V Driver",  # VIR_FROM_HYPERV
    "Capabilities Utils",  # VIR_FROM_CAPABILITIES
    "URI Utils",  # VIR_FROM_URI
    "Authentication Utils",  # VIR_FROM_AUTH
    "DBus Utils",  # VIR_FROM_DBUS
    "Parallels Cloud Server",  # VIR_FROM_PARALLELS
    "Device Config",  # VIR_FROM_DEVICE
    "SSH transport layer",  # VIR_FROM_SSH
    "Lock Space",  # VIR_FROM_LOCKSPACE
    "Init control",  # VIR_FROM_INITCTL
    "Identity",  # VIR_FROM_IDENTITY
    "Cgroup",  # VIR_FROM_CGROUP
    "Access Manager",  # VIR_FROM_ACCESS
    "Systemd",  # VIR_FROM_SYSTEMD
    "Bhyve",  # VIR_FROM_BHYVE
    "Crypto",  # VIR_FROM_CRYPTO
    "Firewall",  # VIR_FROM_FIREWALL
    "Polkit",  # VIR_FROM_POLKIT
    "Thread jobs",  # VIR_FROM_THREAD
    "Admin Interface",  # VIR_FROM_ADMIN
    "Log Manager",  # VIR_FROM_LOGGING
    "Xen XL Config",  # VIR_FROM_XENXL
    "Perf",  # VIR_FROM_PERF
    "Libssh transport layer",  # VIR_FROM_LIBSSH
    "Resource control",  # VIR_FROM_RESCTRL
    "FirewallD",  # VIR_FROM_FIREWALLD
    "Domain Checkpoint",  # VIR_FROM_DOMAIN_CHECKPOINT
    "TPM",  # VIR_FROM_TPM
    "BPF",  # VIR_FROM_BPF
    "Cloud-Hypervisor Driver",  # VIR_FROM_CH
)

LEVELS: dict[int, str] = {c.VIR_ERR_WARNING: "warning", c.VIR_ERR_ERROR: "error"}
