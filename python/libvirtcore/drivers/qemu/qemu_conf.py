# SPDX-License-Identifier: LGPL-2.1-or-later
"""qemu_conf.py: qemu.conf: every setting libvirt 9.0 documents, its type and its default.

A setting is an attribute of `QemuConf`; its default gives its type: bool (0 or 1), int, str or list
of str. What asks for protection that is not built is refused; what merely changes nothing here is
named in the log. `contrib/qemu.conf` explains each one to users; a test holds the two together.
Called by: host.py when a root is opened or read again. Calls: libvirtcore.conf_file.
Never: lets a guest run with less protection than the file asks for.
"""

from __future__ import annotations

import os
from typing import Any

from libvirtcore.conf_file import Value, parse, type_error
from libvirtcore.drivers.qemu.guest import system_error
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c

_BIGGEST_FILE = 1 << 20
_UINT_MAX = 0xFFFFFFFF
_PORT_MAX = 65535
_NO_SECRET = "secrets are not built"
_NO_MIGRATION = "migration is not built"
CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "devices", "blkio", "pids", "io")


class QemuConf:
    """One reading of qemu.conf."""

    # TLS of everything that does not say its own
    default_tls_x509_cert_dir: str = "/etc/pki/qemu"
    default_tls_x509_verify: bool = True
    default_tls_x509_secret_uuid: str = ""
    # VNC
    vnc_listen: str = "127.0.0.1"
    vnc_auto_unix_socket: bool = False
    vnc_tls: bool = False
    vnc_tls_x509_cert_dir: str = "/etc/pki/libvirt-vnc"
    vnc_tls_x509_secret_uuid: str = ""
    vnc_tls_x509_verify: bool = False
    vnc_password: str = ""
    vnc_sasl: bool = False
    vnc_sasl_dir: str = ""
    vnc_allow_host_audio: bool = False
    # SPICE
    spice_listen: str = "127.0.0.1"
    spice_tls: bool = False
    spice_tls_x509_cert_dir: str = "/etc/pki/libvirt-spice"
    spice_auto_unix_socket: bool = False
    spice_password: str = ""
    spice_sasl: bool = False
    spice_sasl_dir: str = ""
    # TLS of other connections
    chardev_tls: bool = False
    chardev_tls_x509_cert_dir: str = "/etc/pki/libvirt-chardev"
    chardev_tls_x509_verify: bool = True
    chardev_tls_x509_secret_uuid: str = ""
    vxhs_tls: bool = False
    vxhs_tls_x509_cert_dir: str = "/etc/pki/libvirt-vxhs"
    vxhs_tls_x509_secret_uuid: str = ""
    nbd_tls: bool = False
    nbd_tls_x509_cert_dir: str = "/etc/pki/libvirt-nbd"
    nbd_tls_x509_secret_uuid: str = ""
    migrate_tls_x509_cert_dir: str = "/etc/pki/libvirt-migrate"
    migrate_tls_x509_verify: bool = True
    migrate_tls_x509_secret_uuid: str = ""
    migrate_tls_force: bool = False
    backup_tls_x509_cert_dir: str = "/etc/pki/libvirt-backup"
    backup_tls_x509_verify: bool = True
    backup_tls_x509_secret_uuid: str = ""
    nographics_allow_host_audio: bool = False
    # ports
    remote_display_port_min: int = 5900
    remote_display_port_max: int = 65535
    remote_websocket_port_min: int = 5700
    remote_websocket_port_max: int = 65535
    # who QEMU is and what it may do
    security_driver: list[str] = ["none"]  # noqa: RUF012 (never changed in place)
    security_default_confined: bool = False
    security_require_confined: bool = False
    user: str = ""
    group: str = ""
    dynamic_ownership: bool = True
    remember_owner: bool = True
    cgroup_controllers: list[str] = ["cpu", "memory", "blkio", "cpuset", "pids"]  # noqa: RUF012
    cgroup_device_acl: list[str] = []  # noqa: RUF012
    namespaces: list[str] = []  # noqa: RUF012
    seccomp_sandbox: int = 1
    # saved guests, dumps
    save_image_format: str = "raw"
    dump_image_format: str = "raw"
    snapshot_image_format: str = "raw"
    auto_dump_path: str = ""
    auto_dump_bypass_cache: bool = False
    auto_start_bypass_cache: bool = False
    dump_guest_core: bool = False
    # the process
    set_process_name: bool = False
    max_processes: int = 0
    max_files: int = 0
    max_threads_per_process: int = 0
    max_core: int = 0
    sched_core: str = "none"
    # memory
    hugetlbfs_mount: list[str] = []  # noqa: RUF012
    memory_backing_dir: str = ""
    # calls that wait
    max_queued: int = 0
    keepalive_interval: int = 5
    keepalive_count: int = 5
    # everything else
    bridge_helper: str = "/usr/lib/qemu/qemu-bridge-helper"
    mac_filter: bool = False
    relaxed_acs_check: bool = False
    lock_manager: str = ""
    migration_address: str = "0.0.0.0"
    migration_host: str = ""
    migration_port_min: int = 49152
    migration_port_max: int = 49215
    log_timestamp: bool = True
    nvram: list[str] = []  # noqa: RUF012
    stdio_handler: str = "file"
    gluster_debug_level: int = 4
    virtiofsd_debug: bool = False
    pr_helper: str = "/usr/bin/qemu-pr-helper"
    slirp_helper: str = "/usr/bin/slirp-helper"
    dbus_daemon: str = "/usr/bin/dbus-daemon"
    swtpm_user: str = "tss"
    swtpm_group: str = "tss"
    capability_filters: list[str] = []  # noqa: RUF012
    deprecation_behavior: str = "none"

    path = ""
    given: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()
    core_unlimited = False  # max_core = "unlimited"


_FIELDS = ("path", "given", "unknown", "core_unlimited")
SETTINGS: dict[str, Any] = {
    name: value
    for name, value in vars(QemuConf).items()
    if not name.startswith("_") and name not in _FIELDS
}
_SIGNED = ("seccomp_sandbox", "keepalive_interval")
_TEXT_OR_LIST = ("security_driver", "hugetlbfs_mount")

# Settings that change nothing here, and why.
INEFFECTIVE = {
    "default_tls_x509_verify": "only VNC has TLS, which has its own setting",
    "vnc_allow_host_audio": "a guest's <audio> elements say where sound goes",
    "nographics_allow_host_audio": "a guest's <audio> elements say where sound goes",
    "spice_listen": "a guest's document says where its SPICE display listens",
    "spice_auto_unix_socket": "a guest's document says where its SPICE display listens",
    "spice_tls_x509_cert_dir": "SPICE has no TLS here",
    "spice_sasl_dir": "SPICE has no SASL here",
    "security_default_confined": "no security driver is built",
    "cgroup_device_acl": "control groups do not limit devices",
    "keepalive_interval": "guests are not migrated",
    "keepalive_count": "guests are not migrated",
    "auto_start_bypass_cache": "a saved image is removed, and its pages with it",
    "max_threads_per_process": "threads are not counted",
    "auto_dump_bypass_cache": "QEMU writes its dumps itself",
    "bridge_helper": "tap devices are made by the daemon itself",
    "relaxed_acs_check": "host devices are not checked for ACS",
    "stdio_handler": "QEMU writes to its log file itself",
    "gluster_debug_level": "QEMU's default counts",
    "virtiofsd_debug": "virtiofsd is not started",
    "pr_helper": "persistent reservations are not built",
    "slirp_helper": "QEMU's own user network is used",
    "dbus_daemon": "no bus is started",
    "swtpm_user": "TPM emulators are not started",
    "swtpm_group": "TPM emulators are not started",
    "capability_filters": "it is for those who develop libvirt",
    "migration_address": _NO_MIGRATION,
    "migration_host": _NO_MIGRATION,
    "migration_port_min": _NO_MIGRATION,
    "migration_port_max": _NO_MIGRATION,
    "migrate_tls_x509_cert_dir": _NO_MIGRATION,
    "migrate_tls_x509_verify": _NO_MIGRATION,
    "migrate_tls_x509_secret_uuid": _NO_MIGRATION,
    "migrate_tls_force": _NO_MIGRATION,
    "backup_tls_x509_cert_dir": "backups are not built",
    "backup_tls_x509_verify": "backups are not built",
    "backup_tls_x509_secret_uuid": "backups are not built",
    "chardev_tls_x509_cert_dir": "character devices have no TLS here",
    "chardev_tls_x509_verify": "character devices have no TLS here",
    "chardev_tls_x509_secret_uuid": "character devices have no TLS here",
    "vxhs_tls_x509_cert_dir": "QEMU has no VxHS any more",
    "vxhs_tls_x509_secret_uuid": "QEMU has no VxHS any more",
    "nbd_tls_x509_cert_dir": "NBD disks have no TLS here",
    "nbd_tls_x509_secret_uuid": "NBD disks have no TLS here",
}

# --- reading --------------------------------------------------------------------------------------


def load(path: str) -> QemuConf:
    """Read a file; one that is not there means the defaults. Raises: VirError."""
    try:
        with open(path, "rb") as file:
            raw = file.read(_BIGGEST_FILE + 1)
    except FileNotFoundError:
        return QemuConf()
    except OSError as fault:
        raise system_error(fault, f"Failed to open file '{path}'", c.VIR_FROM_NONE) from None
    if len(raw) > _BIGGEST_FILE:
        raise system_error(OSError(27, "File too large"), f"Failed to read file '{path}'")
    return read(raw.decode("utf-8", "surrogateescape"), path)


def read(text: str, path: str) -> QemuConf:
    """The settings a text gives. Raises: VirError."""
    conf = QemuConf()
    conf.path = path
    values = parse(text, path)
    if values.get("max_core") == "unlimited":
        values["max_core"], conf.core_unlimited = 0, True
    for name, default in SETTINGS.items():
        if name in values:
            setattr(conf, name, _value(name, values[name], default, path))
    conf.given = frozenset(values) & SETTINGS.keys()
    conf.unknown = tuple(name for name in values if name not in SETTINGS)
    _check_values(conf)
    _check_ports(conf)
    _refuse_unbuilt(conf)
    return conf


def _value(name: str, value: Value, default: Any, path: str) -> Any:
    """A value of the setting's type. Raises: VirError."""
    if isinstance(default, bool):
        if not isinstance(value, int):
            raise type_error(path, name, "bool")
        if value not in (0, 1):
            raise _refusal(
                f"{path}: value for '{name}' parameter must be 0 or 1", c.VIR_ERR_INTERNAL_ERROR
            )
        return bool(value)
    if isinstance(default, int):
        low = -_UINT_MAX - 1 if name in _SIGNED else 0
        if not isinstance(value, int) or not low <= value <= _UINT_MAX:
            raise type_error(path, name, "signed integer" if low else "unsigned integer")
        return value
    if isinstance(default, str):
        if not isinstance(value, str):
            raise type_error(path, name, "string")
        return value
    if isinstance(value, str) and name in _TEXT_OR_LIST:
        return [value] if value else []
    if not isinstance(value, list):
        raise type_error(path, name, "string list")
    if not all(isinstance(item, str) for item in value):
        raise type_error(path, name, "string list", c.VIR_ERR_CONF_SYNTAX)
    return value


def _refusal(text: str, code: int = c.VIR_ERR_CONFIG_UNSUPPORTED) -> VirError:
    return report(code, c.VIR_FROM_CONF, text)


def _check_values(conf: QemuConf) -> None:
    """What libvirt itself refuses when it reads the file. Raises: VirError."""
    if conf.stdio_handler not in ("logd", "file"):
        raise _refusal(f"Unknown stdio handler {conf.stdio_handler}")
    for name in conf.cgroup_controllers:
        if name not in CONTROLLERS:
            raise _refusal(f"Unknown cgroup controller '{name}'")
    for name in conf.namespaces:
        if name != "mount":
            raise _refusal(f"Unknown namespace: {name}")
    if conf.deprecation_behavior not in ("none", "omit", "reject", "crash"):
        raise _refusal(f"Unknown deprecation behavior: {conf.deprecation_behavior}")
    if conf.sched_core not in ("none", "vcpus", "emulator", "full"):
        raise _refusal(f"Unknown core scheduling value {conf.sched_core}")
    for pair in conf.nvram:
        if len(pair.split(":")) != 2:
            raise _refusal(f"Invalid nvram format: '{pair}'", c.VIR_ERR_CONF_SYNTAX)
    for name in ("auto_dump_path", "memory_backing_dir"):
        if getattr(conf, name) and not os.path.isabs(getattr(conf, name)):
            raise _refusal(f"{conf.path}: {name} must be an absolute path")


def _check_ports(conf: QemuConf) -> None:
    for kind, least in (("remote_display", 5900), ("remote_websocket", 5700)):
        low, high = getattr(conf, f"{kind}_port_min"), getattr(conf, f"{kind}_port_max")
        place = f"{conf.path}: {kind}_port"
        if low < least:
            raise _ports(f"{place}_min: port must be greater than or equal to {least}")
        if high > _PORT_MAX or high < least:
            raise _ports(f"{place}_max: port must be between the minimal port and {_PORT_MAX}")
        if low > high:
            raise _ports(f"{place}_min: min port must not be greater than max port")


def _ports(text: str) -> VirError:
    return _refusal(text, c.VIR_ERR_INTERNAL_ERROR)


def _refuse_unbuilt(conf: QemuConf) -> None:
    """Stop where a setting asks for protection or service that is not there. Raises: VirError."""
    wanted: list[tuple[object, str, str]] = [
        (conf.default_tls_x509_secret_uuid, "default_tls_x509_secret_uuid", _NO_SECRET),
        (conf.vnc_tls_x509_secret_uuid, "vnc_tls_x509_secret_uuid", _NO_SECRET),
        (conf.spice_tls, "spice_tls", "TLS for SPICE is not built"),
        (conf.spice_sasl, "spice_sasl", "SASL for SPICE is not built"),
        (conf.spice_password, "spice_password", "SPICE passwords for all guests are not built"),
        (conf.chardev_tls, "chardev_tls", "TLS for character devices is not built"),
        (conf.vxhs_tls, "vxhs_tls", "QEMU has no VxHS any more"),
        (conf.nbd_tls, "nbd_tls", "TLS for NBD disks is not built"),
        (
            any(driver != "none" for driver in conf.security_driver),
            "security_driver",
            "no security driver is built",
        ),
        (conf.security_require_confined, "security_require_confined", "no driver is built"),
        (conf.namespaces, "namespaces", "namespaces for guests are not built, say []"),
        (conf.sched_core != "none", "sched_core", "core scheduling is not built"),
        (conf.mac_filter, "mac_filter", "filtering of MAC addresses is not built"),
        (conf.lock_manager not in ("", "nop"), "lock_manager", "no lock manager is built"),
        (conf.save_image_format != "raw", "save_image_format", "only raw is built"),
        (conf.dump_image_format != "raw", "dump_image_format", "only raw is built"),
        (conf.snapshot_image_format != "raw", "snapshot_image_format", "only raw is built"),
    ]
    for unwelcome, name, why in wanted:
        if unwelcome:
            raise _refusal(f"{conf.path}: {name} = {_shown(name, conf)}: {why}")


def _shown(name: str, conf: QemuConf) -> str:
    """A value as it stands in the file; passwords stay unsaid."""
    value = getattr(conf, name)
    if name.endswith("_password"):
        return "…"
    if isinstance(value, list):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return str(int(value)) if isinstance(value, int) else f'"{value}"'


def ineffective(conf: QemuConf) -> list[str]:
    """Sentences about settings of a file that change nothing here, for the log."""
    said = [f"unknown setting '{name}'" for name in conf.unknown]
    for name in SETTINGS:
        if name in conf.given and name in INEFFECTIVE and not _harmless(conf, name):
            said.append(f"'{name}' has no effect: {INEFFECTIVE[name]}")
    return [f"{os.path.basename(conf.path)}: {sentence}" for sentence in said]


def _harmless(conf: QemuConf, name: str) -> bool:
    """Whether a setting without effect says what happens anyway."""
    return name == "stdio_handler" and conf.stdio_handler == "file"
