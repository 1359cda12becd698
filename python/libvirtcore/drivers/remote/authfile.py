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

import os
import re

from libvirtcore import settings
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c

SERVICE = "libvirt"
_ESCAPES = {"s": " ", "n": "\n", "t": "\t", "r": "\r", "\\": "\\"}


def locate(explicit: str | None) -> str | None:
    """The file to read; None when there is none."""
    if explicit is not None:
        return explicit
    named = os.environ.get("LIBVIRT_AUTH_FILE")
    if named:
        return named
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
        return report(c.VIR_ERR_CONF_SYNTAX, c.VIR_FROM_NONE, what)

    def _read(self) -> dict[str, dict[str, str]]:
        """Groups of `name=value`; blanks around `=` do not count, those at the end of a line do."""
        try:
            with open(self.path, encoding="utf-8") as file:
                lines = file.read().splitlines()
        except (OSError, UnicodeError) as fault:
            reason = (isinstance(fault, OSError) and fault.strerror) or "it is not UTF-8"
            raise self._fail(f"cannot read '{self.path}': {reason}") from None
        groups: dict[str, dict[str, str]] = {}
        group: dict[str, str] | None = None
        for number, line in enumerate(lines, 1):
            text = line.lstrip()
            if not text or text.startswith("#"):
                continue
            if text.startswith("[") and text.rstrip().endswith("]"):
                group = groups.setdefault(text.rstrip()[1:-1], {})
                continue
            name, equals, value = text.partition("=")
            if group is None or not equals or not name.strip():
                raise self._fail(f"{self.path}:{number}: expected [group] or name=value")
            group[name.strip()] = self._unescape(value.lstrip(), number)
        return groups

    def _unescape(self, value: str, number: int) -> str:
        """Undo `\\s` for a blank and its kin."""

        def meaning(match: re.Match[str]) -> str:
            if match[1] not in _ESCAPES:
                raise self._fail(f"{self.path}:{number}: unknown escape '{match[0]}'")
            return _ESCAPES[match[1]]

        return re.sub(r"\\(.?)", meaning, value)

    def _look_up(self, groups: dict[str, dict[str, str]], host: str) -> dict[str, str]:
        for name in (f"auth-{SERVICE}-{host}", f"auth-{SERVICE}-default"):
            if name in groups:
                break
        else:
            return {}
        if "credentials" not in groups[name]:
            raise self._fail(f"Missing item 'credentials' in group '{name}' in '{self.path}'")
        wanted = f"credentials-{groups[name]['credentials']}"
        if wanted not in groups:
            raise self._fail(
                f"Missing group '{wanted}' referenced from group '{name}' in '{self.path}'"
            )
        return groups[wanted]
