# SPDX-License-Identifier: LGPL-2.1-or-later
"""uri.py: libvirt's connection URIs: taken apart and put together.

    driver[+transport]://[user@][server][:port]/[path][?name=value&…][#fragment]

Called by: settings.py, libvirtcore.api (opening), drivers.
Never: opens anything, or decides what a parameter means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote

from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c

_ESCAPE = r"%[0-9A-Fa-f]{2}"
_PLAIN = rf"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|{_ESCAPE})"
_GRAMMAR = re.compile(
    rf"""
    (?:(?P<scheme>[A-Za-z][A-Za-z0-9+\-.]*):)?
    (?:(?P<slashes>//|(?<=:)(?![/?\#]))
       (?:(?P<user>(?:{_PLAIN}|:)*)@)?
       (?P<server>\[[^\]/?\#]*\]|{_PLAIN}*)
       (?::(?P<port>[0-9]+))?
       (?=[/?\#]|$)
    |  (?!//)(?(scheme)|(?![^/?\#]*:))
    )
    (?P<path>(?:{_PLAIN}|[:@/])*)
    (?:\?(?P<query>(?:{_PLAIN}|[:@/?])*))?
    (?:\#(?P<fragment>(?:{_PLAIN}|[:@/?])*))?
    """,
    re.VERBOSE | re.ASCII,
)
_PATH_SAFE = "/;@&=+$,-_.!~*'()"
_HOST_SAFE = "!$&'()*+,;="
_USER_SAFE = ";:&=+$,-_.!~*'()"


@dataclass(frozen=True, slots=True)
class Param:
    """One `name=value` of the query, decoded."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Uri:
    """A parsed URI; text parts are decoded, `query` is kept as written. Absent parts are empty."""

    scheme: str = ""
    user: str = ""
    server: str = ""
    port: int = 0
    path: str = ""
    query: str = ""
    fragment: str = ""
    params: tuple[Param, ...] = field(default=())

    @property
    def driver(self) -> str:
        """The scheme without its transport: `qemu` of `qemu+tcp`."""
        return self.scheme.partition("+")[0]

    @property
    def transport(self) -> str:
        """The transport named in the scheme, in lower case: `tcp` of `qemu+TCP`."""
        return self.scheme.partition("+")[2].lower()

    def param(self, name: str) -> str | None:
        """The last value given for a query parameter, whatever the case of its name."""
        wanted = name.lower()
        for item in reversed(self.params):
            if item.name.lower() == wanted:
                return item.value
        return None

    def inner(self, consumed: frozenset[str]) -> Uri:
        """What the daemon is asked to open: no transport, server or consumed parameters."""
        kept = tuple(p for p in self.params if p.name.lower() not in consumed)
        return replace(
            self,
            scheme=self.driver,
            user="",
            server="",
            port=0,
            params=kept,
            query=format_params(kept),
        )

    def __str__(self) -> str:
        parts = [f"{self.scheme}:" if self.scheme else ""]
        if self.scheme or self.server or self.user:
            parts.append("//")
        if self.user:
            parts.append(quote(self.user, safe=_USER_SAFE) + "@")
        if self.server:
            name = quote(self.server, safe=_HOST_SAFE)
            parts.append(f"[{self.server}]" if ":" in self.server else name)
            if self.port:
                parts.append(f":{self.port}")
        parts.append(quote(self.path, safe=_PATH_SAFE))
        if self.query:
            parts.append(f"?{self.query}")
        if self.fragment:
            parts.append(f"#{quote(self.fragment, safe=_PATH_SAFE)}")
        return "".join(parts)


def format_params(params: tuple[Param, ...]) -> str:
    """A query string in which everything but letters, digits and `-._~` is escaped."""
    return "&".join(f"{quote(p.name, safe='')}={quote(p.value, safe='')}" for p in params)


def parse_params(query: str) -> tuple[Param, ...]:
    """Take a query apart at `&`. No `=` means the value ""; a part without a name is dropped."""
    params = []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name:
            params.append(Param(unquote(name), unquote(value)))
    return tuple(params)


def parse(text: str) -> Uri:
    """Take a URI apart.

    Raises: VirError (INTERNAL_ERROR, domain URI) when it follows no URI grammar.
    """
    match = _GRAMMAR.fullmatch(text)
    if match is None or "\0" in unquote(text):
        raise _unparsable(text)
    query = match["query"] or ""
    server = unquote(match["server"] or "").removeprefix("[").removesuffix("]")
    port = int(match["port"] or 0)
    if port > 0x7FFFFFFF:
        raise _unparsable(text)
    return Uri(
        scheme=match["scheme"] or "",
        user=unquote(match["user"] or ""),
        server=server,
        port=port if server else 0,
        path=unquote(match["path"] or ""),
        query=query,
        fragment=unquote(match["fragment"] or ""),
        params=parse_params(query),
    )


def _unparsable(text: str) -> VirError:
    return report(c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_URI, f"Unable to parse URI {text}")
