# SPDX-License-Identifier: LGPL-2.1-or-later
"""authfile.py: auth.conf, where users keep names and passwords for daemons.

    [credentials-prod]            [auth-libvirt-host1.example.com]     [auth-libvirt-default]
    authname=fred                 credentials=prod                     credentials=prod
    password=123456

It is the first of: the URI's `authfile`, $LIBVIRT_AUTH_FILE, the user's and the system's auth.conf.
Called by: credentials.py.
Never: keeps a password longer than the connection takes to open.
"""

from __future__ import annotations

import configparser
import os

from libvirtcore import settings
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c

SERVICE = "libvirt"


def locate(explicit: str | None) -> str | None:
    """The file to read; None when there is none."""
    if explicit is not None:
        return explicit
    named = os.environ.get("LIBVIRT_AUTH_FILE")
    if named:
        return named if os.path.exists(named) else None
    for folder in (settings.config_directory(), settings.SYSTEM_CONFIG):
        path = os.path.join(folder, "auth.conf")
        if os.path.exists(path):
            return path
    return None


class AuthFile:
    """The values one file has for one host."""

    def __init__(self, path: str, host: str) -> None:
        self.path = path
        self._values = self._look_up(self._read(), host)

    def get(self, name: str) -> str | None:
        """A value such as `authname` or `password`."""
        return self._values.get(name)

    def _fail(self, what: str) -> VirError:
        return report(c.VIR_ERR_CONF_SYNTAX, c.VIR_FROM_AUTH, what)

    def _read(self) -> configparser.RawConfigParser:
        parser = configparser.RawConfigParser(
            delimiters=("=",), comment_prefixes=("#",), strict=False, default_section=""
        )
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        try:
            with open(self.path, encoding="utf-8") as file:
                parser.read_file(file)
        except (OSError, UnicodeError) as fault:
            raise self._fail(f"cannot read {self.path}: {fault}") from None
        except configparser.Error as fault:
            raise self._fail(f"{self.path}: {fault.message.splitlines()[0]}") from None
        return parser

    def _look_up(self, parser: configparser.RawConfigParser, host: str) -> dict[str, str]:
        for group in (f"auth-{SERVICE}-{host}", f"auth-{SERVICE}-default"):
            if parser.has_section(group):
                break
        else:
            return {}
        if not parser.has_option(group, "credentials"):
            raise self._fail(f"Missing item 'credentials' in group '{group}' in '{self.path}'")
        wanted = f"credentials-{parser.get(group, 'credentials')}"
        if not parser.has_section(wanted):
            raise self._fail(
                f"Missing group '{wanted}' referenced from group '{group}' in '{self.path}'"
            )
        return dict(parser.items(wanted))
