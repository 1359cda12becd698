# SPDX-License-Identifier: LGPL-2.1-or-later
"""config.py: libvirtd.conf: every setting libvirt documents, its type and its default.

A setting is an attribute of `Config`; its default gives its type: bool (0 or 1), int, str or list
of str. `contrib/libvirtd.conf` explains each one to users; a test holds the two together.
Called by: main.py at start, daemon.py on SIGHUP. Calls: libvirtcore.conf_file.
Never: ignores a setting that was meant to protect something: what is not built is refused.
"""

from __future__ import annotations

import os

from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtd.fatal import CONFIG, INIT, NETWORK, Fatal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SIGNED = ("keepalive_interval", "admin_keepalive_interval")
_UINT_MAX = 0xFFFFFFFF
_INT_MAX = 0x7FFFFFFF
_BIGGEST_FILE = 1 << 20
_LEAST_SSF = 112
_AUTHS = ("none", "polkit", "sasl")


class Config:
    """One reading of libvirtd.conf."""

    # network
    listen_tls: bool = False
    listen_tcp: bool = False
    tls_port: str = "16514"
    tcp_port: str = "16509"
    listen_addr: str = ""
    # unix sockets
    unix_sock_group: str = ""
    unix_sock_ro_perms: str = "0777"
    unix_sock_rw_perms: str = "0700"
    unix_sock_admin_perms: str = "0700"
    unix_sock_dir: str = ""
    # who may talk to us
    auth_unix_ro: str = "none"
    auth_unix_rw: str = "none"
    auth_tcp: str = "sasl"
    auth_tls: str = "none"
    tcp_min_ssf: int = _LEAST_SSF
    access_drivers: list[str] = []  # noqa: RUF012 (never changed in place)
    sasl_allowed_username_list: list[str] = []  # noqa: RUF012
    # TLS
    key_file: str = ""
    cert_file: str = ""
    ca_file: str = ""
    crl_file: str = ""
    tls_no_sanity_certificate: bool = False
    tls_no_verify_certificate: bool = False
    tls_allowed_dn_list: list[str] = []  # noqa: RUF012
    tls_priority: str = ""
    # how much at once
    max_clients: int = 5000
    max_queued_clients: int = 1000
    max_anonymous_clients: int = 20
    min_workers: int = 5
    max_workers: int = 20
    prio_workers: int = 5
    max_client_requests: int = 5
    admin_min_workers: int = 1
    admin_max_workers: int = 5
    admin_max_clients: int = 5
    admin_max_queued_clients: int = 5
    admin_max_client_requests: int = 5
    # log
    log_level: int = 0
    log_filters: str = ""
    log_outputs: str = ""
    # audit
    audit_level: int = 1
    audit_logging: bool = False
    # the host
    host_uuid: str = ""
    host_uuid_source: str = "smbios"
    ovs_timeout: int = 5
    # dead clients
    keepalive_interval: int = 5
    keepalive_count: int = 5
    keepalive_required: bool = False
    admin_keepalive_interval: int = 5
    admin_keepalive_count: int = 5
    admin_keepalive_required: bool = False

    path = ""
    given: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()

    @property
    def rw_mode(self) -> int:
        """The mode of the socket that may change things; with polkit everybody may come and ask."""
        if self.auth_unix_rw == "polkit" and "unix_sock_rw_perms" not in self.given:
            return 0o777
        return _mode(self.unix_sock_rw_perms)

    @property
    def ro_mode(self) -> int:
        return _mode(self.unix_sock_ro_perms)


_FIELDS = ("path", "given", "unknown", "rw_mode", "ro_mode")
SETTINGS: dict[str, Any] = {
    name: value
    for name, value in vars(Config).items()
    if not name.startswith("_") and name not in _FIELDS
}


def _mode(text: str) -> int:
    if not text or len(text) > 6 or any(digit not in "01234567" for digit in text):
        raise Fatal(NETWORK, f"Failed to parse mode '{text}'")
    return int(text, 8) & 0o777


# --- reading --------------------------------------------------------------------------------------


def load(path: str, *, must_exist: bool) -> Config:
    """Read a file; one that is not there means the defaults, unless the user named it.

    Raises: Fatal.
    """
    try:
        with open(path, "rb") as file:
            raw = file.read(_BIGGEST_FILE + 1)
    except FileNotFoundError as fault:
        if must_exist:
            raise _cannot_load(path, _open_failed(path, fault)) from None
        return Config()
    except OSError as fault:
        raise _cannot_load(path, _open_failed(path, fault)) from None
    if len(raw) > _BIGGEST_FILE:
        raise _cannot_load(path, f"Failed to read file '{path}': File too large")
    return read(raw.decode("utf-8", "surrogateescape"), path)


def _open_failed(path: str, fault: OSError) -> str:
    return f"Failed to open file '{path}': {fault.strerror}"


def _cannot_load(path: str, why: str) -> Fatal:
    return Fatal(CONFIG, f"Can't load config file: {why}: {path}")


def read(text: str, path: str) -> Config:
    """The settings a text gives. Raises: Fatal."""
    from libvirtcore import conf_file

    config = Config()
    config.path = path
    try:
        values = conf_file.parse(text, path)
        for name, default in SETTINGS.items():
            if name in values:
                setattr(config, name, _value(name, values[name], default, path))
        config.given = frozenset(values) & SETTINGS.keys()
        config.unknown = tuple(name for name in values if name not in SETTINGS)
        _check(config, path)
    except VirError as fault:
        raise _cannot_load(path, fault.message) from None
    return config


def _value(name: str, value: Any, default: Any, path: str) -> Any:
    """A value of the setting's type. Raises: VirError."""
    from libvirtcore.conf_file import type_error

    if isinstance(default, bool):
        if not isinstance(value, int):
            raise type_error(path, name, "bool")
        if value not in (0, 1):
            raise report(
                c.VIR_ERR_INTERNAL_ERROR,
                c.VIR_FROM_CONF,
                f"{path}: value for '{name}' parameter must be 0 or 1",
            )
        return bool(value)
    if isinstance(default, int):
        signed = name in _SIGNED
        low, high = (-_INT_MAX - 1, _INT_MAX) if signed else (0, _UINT_MAX)
        if not isinstance(value, int) or not low <= value <= high:
            kind = "a signed" if signed else "an unsigned"
            text = f"{path}: expected {kind} integer for '{name}' parameter"
            raise report(c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_CONF, text)
        return value
    if isinstance(default, str):
        if not isinstance(value, str):
            raise type_error(path, name, "string")
        return value
    if not isinstance(value, list):
        raise type_error(path, name, "string list")
    if not all(isinstance(item, str) for item in value):
        raise type_error(path, name, "string list", c.VIR_ERR_CONF_SYNTAX)
    return value


def _unsupported(text: str) -> VirError:
    return report(c.VIR_ERR_CONFIG_UNSUPPORTED, c.VIR_FROM_CONF, text)


def _check(config: Config, path: str) -> None:
    """What libvirt itself refuses when it reads the file. Raises: VirError."""
    for name in ("auth_unix_ro", "auth_unix_rw", "auth_tcp", "auth_tls"):
        chosen = getattr(config, name)
        if chosen not in _AUTHS:
            raise _unsupported(f"{path}: {name}: unsupported auth {chosen}")
    if config.max_workers < 1:
        raise report(
            c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_CONF, "'max_workers' must be greater than 0"
        )
    if config.tcp_min_ssf < _LEAST_SSF:
        raise _unsupported(f"minimum SSF levels lower than {_LEAST_SSF} are not supported")


# --- what can be served ---------------------------------------------------------------------------


def refuse_unbuilt(config: Config, *, tcp: bool) -> None:
    """Stop where a setting asks for protection or service that is not there. Raises: Fatal.

    `tcp` tells whether this start listens on TCP/IP at all.
    """
    wanted: list[tuple[bool, str, str]] = [
        (tcp and config.listen_tls, "listen_tls = 1", "TLS for clients is not built"),
        (config.auth_unix_ro == "sasl", 'auth_unix_ro = "sasl"', "SASL for clients is not built"),
        (config.auth_unix_rw == "sasl", 'auth_unix_rw = "sasl"', "SASL for clients is not built"),
        (
            tcp and config.listen_tcp and config.auth_tcp != "none",
            f'auth_tcp = "{config.auth_tcp}"',
            'only "none" is built for TCP, which lets everybody in who can reach the port',
        ),
        (
            any(driver != "none" for driver in config.access_drivers),
            f"access_drivers = {config.access_drivers}",
            "no access driver is built",
        ),
        (config.audit_level > 1, f"audit_level = {config.audit_level}", "auditing is not built"),
        (config.audit_logging, "audit_logging = 1", "auditing is not built"),
    ]
    for unwelcome, setting, why in wanted:
        if unwelcome:
            place = config.path or "the default"
            raise Fatal(CONFIG, f"Can't serve what {place} asks for: {setting}: {why}")
    if config.max_clients < config.max_anonymous_clients:
        raise Fatal(
            INIT,
            "internal error: The overall maximum number of clients must not be less than the "
            "number of clients waiting for authentication",
        )


def ineffective(config: Config) -> list[str]:
    """Sentences about settings of a file that change nothing here, for the log."""
    said = [f"unknown setting '{name}'" for name in config.unknown]
    for name in SETTINGS:
        if name not in config.given:
            continue
        if name.startswith("admin_") or name == "unix_sock_admin_perms":
            said.append(f"'{name}' has no effect: the admin server is not built")
        elif name == "keepalive_required":
            said.append(f"'{name}' has no effect, here and in every libvirt of today")
        elif name == "ovs_timeout":
            said.append(f"'{name}' has no effect: Open vSwitch is not used")
    return [f"{os.path.basename(config.path)}: {sentence}" for sentence in said]
