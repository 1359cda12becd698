# SPDX-License-Identifier: LGPL-2.1-or-later
"""options.py: what a connection URI asks of the remote driver.

`PARAMS` lists every query parameter that libvirt documents. Those are taken here; any other one is
left in the URI that the daemon opens.
Called by: driver.py. Calls: uri, settings.
Never: touches a socket or a file.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Literal

from libvirtcore.drivers.remote.failure import RPC, invalid, unsupported
from libvirtcore.settings import Settings
from libvirtcore.uri import Uri

Transport = Literal["tls", "unix", "ssh", "libssh2", "ext", "tcp", "libssh"]
TRANSPORTS: tuple[Transport, ...] = ("tls", "unix", "ssh", "libssh2", "ext", "tcp", "libssh")
SSH: frozenset[str] = frozenset(("ssh", "libssh2", "libssh"))
MODES = ("auto", "legacy", "direct")
PROXIES = ("auto", "netcat", "native")
DEFAULT_PORTS = {"tls": 16514, "tcp": 16509}

# name → transports that use it; elsewhere it has no meaning and is dropped, as libvirt does.
PARAMS: dict[str, frozenset[str]] = {
    "name": frozenset(TRANSPORTS),
    "auth": frozenset(TRANSPORTS),
    "authfile": frozenset(TRANSPORTS),
    "mode": frozenset(TRANSPORTS),
    "socket": SSH | {"unix"},
    "command": SSH | {"ext"},
    "proxy": SSH,
    "netcat": SSH,
    "keyfile": SSH,
    "sshauth": SSH,
    "known_hosts": SSH,
    "known_hosts_verify": SSH,
    "no_tty": SSH,
    "no_verify": SSH | {"tls"},
    "no_sanity": frozenset(("tls",)),
    "pkipath": frozenset(("tls",)),
    "tls_priority": frozenset(("tls",)),
}
_CONSUMED = frozenset(PARAMS)
_INTEGER = re.compile(r"\s*([+-]?[0-9]+)\Z")


@dataclass(frozen=True)
class Options:
    """A connection URI, understood."""

    transport: Transport
    driver: str  # "" when the daemon shall choose one
    name: str  # URI that the daemon opens, "" when it shall choose one
    readonly: bool = False
    session: bool = False  # the user's own daemon
    autostart: bool = False  # start that daemon when it does not run
    host: str = "localhost"
    port: int = 0
    user: str = ""
    socket: str | None = None
    command: str | None = None
    netcat: str | None = None
    keyfile: str | None = None
    pkipath: str | None = None
    known_hosts: str | None = None
    known_hosts_verify: str | None = None
    sshauth: str | None = None
    tls_priority: str | None = None
    auth: str | None = None
    authfile: str | None = None
    mode: str = "auto"
    proxy: str = "auto"
    verify: bool = True
    sanity: bool = True
    tty: bool = True


def transport_of(uri: Uri | None) -> Transport:
    """How to reach the daemon: as the scheme says, else TLS to a server and a UNIX socket here."""
    if uri is None:
        return "unix"
    if "+" not in uri.scheme:
        return "tls" if uri.server else "unix"
    for known in TRANSPORTS:
        if known == uri.transport:
            if known == "unix" and uri.server:
                raise invalid(
                    f"using unix socket and remote server '{uri.server}' is not supported."
                )
            return known
    raise invalid(
        "remote_open: transport in URL not recognised (should be "
        "tls|unix|ssh|ext|tcp|libssh2|libssh)"
    )


def _flag(uri: Uri, name: str) -> bool:
    """A parameter like no_tty: a number, 0 meaning no."""
    text = uri.param(name)
    if text is None:
        return False
    match = _INTEGER.match(text)
    if match is None:
        raise invalid(f"Failed to parse value of URI component {name}")
    return int(match[1]) != 0


def _session(uri: Uri | None) -> bool:
    """Whether the user's own daemon is meant: never for root."""
    if os.geteuid() == 0:
        return False
    return uri is None or uri.path == "/session" or uri.scheme.startswith("test+")


def understand(uri: Uri | None, readonly: bool, settings: Settings) -> Options:
    """Judge a URI.

    Raises: VirError (INVALID_ARG, OPERATION_UNSUPPORTED) for a value that makes no sense.
    """
    transport = transport_of(uri)
    session = _session(uri)
    remote = uri is not None and bool(uri.server)
    autostart = (
        session
        and transport == "unix"
        and not remote
        and os.environ.get("LIBVIRT_AUTOSTART") != "0"
    )
    conf_mode = settings.string("remote_mode")
    if uri is None:
        return Options(
            transport, "", "", readonly, session, autostart, mode=_mode(conf_mode, transport)
        )
    name, mode, proxy = uri.param("name"), uri.param("mode"), uri.param("proxy")
    if name is None:
        name = "" if uri.driver == "remote" else str(uri.inner(_CONSUMED))
    options = Options(
        transport=transport,
        driver="" if uri.driver == "remote" else uri.driver,
        name=name,
        readonly=readonly,
        session=session,
        autostart=autostart,
        host=uri.server or "localhost",
        port=uri.port or DEFAULT_PORTS.get(transport, 0),
        user=uri.user,
        socket=uri.param("socket"),
        command=uri.param("command"),
        netcat=uri.param("netcat"),
        keyfile=uri.param("keyfile"),
        pkipath=uri.param("pkipath"),
        known_hosts=uri.param("known_hosts"),
        known_hosts_verify=uri.param("known_hosts_verify"),
        sshauth=uri.param("sshauth"),
        tls_priority=uri.param("tls_priority"),
        auth=uri.param("auth"),
        authfile=uri.param("authfile"),
        mode=_mode(conf_mode if mode is None else mode, transport),
        proxy="auto" if proxy is None else proxy,
        verify=not _flag(uri, "no_verify"),
        sanity=not _flag(uri, "no_sanity"),
        tty=not _flag(uri, "no_tty"),
    )
    if options.proxy not in PROXIES:
        raise invalid(f"Unknown proxy type '{options.proxy}'")
    if transport in SSH and options.proxy == "native" and options.netcat is not None:
        raise invalid("netcat path not valid with native proxy mode", RPC)
    if transport == "ext" and options.command is None:
        raise invalid("remote_open: for 'ext' transport, command is required")
    return options


def _mode(text: str | None, transport: Transport) -> str:
    mode = "auto" if text is None else text
    if mode not in MODES:
        raise invalid(f"Unknown remote mode '{mode}'")
    if mode == "direct" and transport in SSH:
        raise unsupported(f"Cannot use direct socket mode for {transport} transport")
    return mode
