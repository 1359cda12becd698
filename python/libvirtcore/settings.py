# SPDX-License-Identifier: LGPL-2.1-or-later
"""settings.py: the client's own configuration, libvirt.conf, and what follows from it.

root reads /etc/libvirt/libvirt.conf, everybody else $XDG_CONFIG_HOME/libvirt/libvirt.conf.
Called by: libvirtcore.api (which URI to open), drivers.remote (remote_mode, keepalive, folders).
Calls: conf_file, uri.
Never: keeps a copy between two connections, so that an edit counts from the next one on.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from libvirtcore import conf_file
from libvirtcore.errors import report
from libvirtcore.generated import constants as c
from libvirtcore.uri import Uri, parse

SYSTEM_CONFIG = "/etc/libvirt"
_ALIAS_NAME = re.compile(r"[A-Za-z0-9_-]*")
_NEED_PATH = ("qemu", "vbox", "vz")  # drivers for which `qemu://system` is surely a slip


def _user_directory(variable: str, fallback: str) -> str:
    base = os.environ.get(variable) or os.path.join(os.path.expanduser("~"), fallback)
    return os.path.join(base, "libvirt")


def config_directory() -> str:
    """The user's own libvirt configuration folder."""
    return _user_directory("XDG_CONFIG_HOME", ".config")


def cache_directory() -> str:
    return _user_directory("XDG_CACHE_HOME", ".cache")


def runtime_directory() -> str:
    """Where the sockets of the user's session daemons are."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    return os.path.join(base, "libvirt") if base else cache_directory()


@dataclass(frozen=True)
class Settings:
    """One reading of libvirt.conf; empty when there is no such file."""

    path: str = ""
    values: dict[str, conf_file.Value] = field(default_factory=dict)

    def string(self, name: str) -> str | None:
        return conf_file.get_string(self.values, name, self.path)

    def strings(self, name: str) -> list[str]:
        return conf_file.get_strings(self.values, name, self.path)

    def integer(self, name: str) -> int | None:
        return conf_file.get_int(self.values, name, self.path)


def load() -> Settings:
    """Read libvirt.conf of the current user."""
    folder = SYSTEM_CONFIG if os.geteuid() == 0 else config_directory()
    path = os.path.join(folder, "libvirt.conf")
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            text = file.read()
    except FileNotFoundError:
        return Settings()
    except OSError as fault:
        raise report(
            c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_CONF, f"cannot read {path}: {fault.strerror}"
        ) from None
    return Settings(path, conf_file.parse(text, path))


def default_uri(settings: Settings) -> str | None:
    """What to open when the caller names nothing: the environment, then `uri_default`."""
    return os.environ.get("LIBVIRT_DEFAULT_URI") or settings.string("uri_default")


def resolve_alias(settings: Settings, name: str) -> str:
    """The URI that `uri_aliases` gives for `name`, or `name` itself."""
    for entry in settings.strings("uri_aliases"):
        alias, equals, target = entry.partition("=")
        if not equals:
            raise _malformed(entry, "expected 'alias=uri://host/path'")
        if not _ALIAS_NAME.fullmatch(alias):
            raise _malformed(entry, "aliases may only contain 'a-Z, 0-9, _, -'")
        if alias == name:
            return target
    return name


def _malformed(entry: str, hint: str) -> Exception:
    return report(
        c.VIR_ERR_CONF_SYNTAX,
        c.VIR_FROM_URI,
        f"Malformed 'uri_aliases' config entry '{entry}', {hint}",
    )


def connection_uri(name: str | None, flags: int, settings: Settings | None = None) -> Uri | None:
    """The URI behind what the caller wrote; None when a daemon shall choose.

    Raises: VirError when libvirt.conf is wrong or the URI has no grammar, no driver or one slash
    too few.
    """
    settings = load() if settings is None else settings
    text = name or default_uri(settings)
    if not text:
        return None
    if not flags & c.VIR_CONNECT_NO_ALIASES:
        text = resolve_alias(settings, text)
    uri = parse(text)
    if uri.server in ("session", "system") and uri.scheme in _NEED_PATH:
        raise report(
            c.VIR_ERR_INTERNAL_ERROR,
            c.VIR_FROM_NONE,
            f"invalid URI {uri} (maybe you want {uri.scheme}:///{uri.server})",
        )
    if not uri.scheme:
        raise report(
            c.VIR_ERR_NO_CONNECT,
            c.VIR_FROM_NONE,
            f"URI '{text}' does not include a driver name",
        )
    return uri
