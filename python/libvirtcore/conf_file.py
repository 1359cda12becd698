# SPDX-License-Identifier: LGPL-2.1-or-later
"""conf_file.py: libvirt's configuration file format, `name = value` lines.

A value is a number, a text in ' or " or \"\"\", or a [list]. Where a name stands twice, the first
wins.
Called by: settings.py (libvirt.conf).
Never: knows what a name means.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import NoReturn

from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c

Value = int | str | Sequence["Value"]

_NAME_START = frozenset(string.ascii_letters)
_NAME_REST = frozenset(string.ascii_letters + string.digits + "_")
_BLANK = " \t"
_BLANK_OR_EOL = " \t\r\n"


class _Parser:
    def __init__(self, text: str, path: str) -> None:
        self.text = text
        self.path = path
        self.at = 0

    def fail(self, what: str) -> NoReturn:
        line = self.text.count("\n", 0, self.at) + 1
        raise report(c.VIR_ERR_CONF_SYNTAX, c.VIR_FROM_CONF, f"{self.path}:{line}: {what}")

    @property
    def here(self) -> str:
        return self.text[self.at : self.at + 1]

    def skip(self, chars: str) -> None:
        while self.here and self.here in chars:
            self.at += 1

    def skip_to_statement(self) -> None:
        """Step over blanks, line ends and comments."""
        while True:
            self.skip(_BLANK_OR_EOL)
            if self.here != "#":
                return
            self.skip_comment()

    def skip_comment(self) -> None:
        end = self.text.find("\n", self.at)
        self.at = len(self.text) if end < 0 else end

    def file(self) -> dict[str, Value]:
        values: dict[str, Value] = {}
        self.skip_to_statement()
        while self.here:
            name = self.name()
            self.skip(_BLANK)
            if self.here != "=":
                self.fail("expecting an assignment")
            self.at += 1
            self.skip(_BLANK)
            value = self.value()
            values.setdefault(name, value)
            self.separator()
        return values

    def name(self) -> str:
        start = self.at
        if self.here not in _NAME_START:
            self.fail("expecting a name")
        while self.here in _NAME_REST:
            self.at += 1
        return self.text[start : self.at]

    def separator(self) -> None:
        self.skip(_BLANK)
        if self.here == "#":
            self.skip_comment()
        if self.here == ";":
            self.at += 1
        elif self.here and self.here not in "\r\n":
            self.fail("expecting a separator")
        self.skip_to_statement()

    def value(self) -> Value:
        first = self.here
        if first in ("'", '"'):
            return self.quoted(first)
        if first == "[":
            return self.items()
        if first and first in "+-0123456789":
            return self.number()
        self.fail("expecting a value")

    def quoted(self, quote: str) -> str:
        triple = quote * 3
        if quote == '"' and self.text.startswith(triple, self.at):
            end = self.text.find(triple, self.at + 3)
            if end >= 0:
                start, self.at = self.at + 3, end + 3
                return self.text[start:end]
        start = self.at + 1
        end = self.text.find(quote, start)
        line_end = self.text.find("\n", start)
        if end < 0 or 0 <= line_end < end:
            self.fail("unterminated string")
        self.at = end + 1
        return self.text[start:end]

    def items(self) -> list[Value]:
        self.at += 1
        values: list[Value] = []
        self.skip_to_statement()
        while self.here != "]":
            if not self.here:
                self.fail("list is not closed with ]")
            values.append(self.value())
            self.skip_to_statement()
            if self.here == ",":
                self.at += 1
                self.skip_to_statement()
            elif self.here and self.here != "]":
                self.fail("expecting a separator in list")
        self.at += 1
        return values

    def number(self) -> int:
        start = self.at
        if self.here and self.here in "+-":
            self.at += 1
        digits = self.at
        while self.here and self.here in "0123456789":
            self.at += 1
        if self.at == digits:
            self.fail("unterminated number")
        return int(self.text[start : self.at])


def parse(text: str, path: str) -> dict[str, Value]:
    """Read the text of the file at `path` (the path only appears in messages)."""
    return _Parser(text, path).file()


def type_error(path: str, name: str, wanted: str, code: int = c.VIR_ERR_INTERNAL_ERROR) -> VirError:
    return report(code, c.VIR_FROM_CONF, f"{path}: expected a {wanted} for '{name}' parameter")


def get_string(values: dict[str, Value], name: str, path: str) -> str | None:
    """The text called `name`, None when absent."""
    value = values.get(name)
    if value is None or isinstance(value, str):
        return value
    raise type_error(path, name, "string")


def get_strings(values: dict[str, Value], name: str, path: str) -> list[str]:
    """The list of texts called `name`, empty when absent."""
    value = values.get(name, [])
    if isinstance(value, str | int):
        raise type_error(path, name, "string list")
    texts = [item for item in value if isinstance(item, str)]
    if len(texts) != len(value):
        raise type_error(path, name, "string list", c.VIR_ERR_CONF_SYNTAX)
    return texts


def get_int(values: dict[str, Value], name: str, path: str) -> int | None:
    """The number called `name`, None when absent."""
    value = values.get(name)
    if value is None or isinstance(value, int):
        return value
    raise type_error(path, name, "signed integer")
