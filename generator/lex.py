# SPDX-License-Identifier: LGPL-2.1-or-later
"""lex.py: cuts a description into tokens.

A line in column 1 begins an entry, a line indented by four spaces is a clause of it, a line
indented by eight or more continues the line above; inside parentheses lines end nowhere. A comment
directly above an entry is its documentation.
Called by: generator.parse.
Never: knows what the words mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


class DescriptionError(Exception):
    """A fault in a description; its text starts with file:line:column."""

    def __init__(self, where: str, fault: str) -> None:
        super().__init__(f"{where}: {fault}")
        self.where = where
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is name, number, text, since, entry, clause, end or the punctuation itself."""

    kind: str
    value: str
    where: str  # file:line:column
    doc: str = ""  # of an entry: the comment above it


_TOKEN = re.compile(
    r"""
    (?P<space>[ \t]+)
  | (?P<comment>\#[^\n]*)
  | (?P<newline>\n)
  | (?P<since>@\d+(?:\.\d+)+)
  | (?P<number>-?0x[0-9A-Fa-f]+|-?\d+)
  | (?P<name>[A-Za-z_]\w*(?:[-.]\w+)*)
  | (?P<text>"(?:[^"\\\n]|\\["\\])*")
  | (?P<punct>->|==|<<|\.\.\.|[()\[\]<>,:=?!|*])
    """,
    re.VERBOSE,
)


def tokens(source: str, file: str) -> Iterator[Token]:
    """Every token of a file; each entry and clause is announced, the last token is `end`."""
    line, line_start, position, depth = 1, 0, 0, 0
    fresh = True  # nothing but spaces seen on this line
    comments: list[str] = []
    while position < len(source):
        match = _TOKEN.match(source, position)
        where = f"{file}:{line}:{position - line_start + 1}"
        if match is None:
            if source[position] == '"':
                raise DescriptionError(where, "text is not closed on its line")
            raise DescriptionError(where, f"unexpected character {source[position]!r}")
        kind, value = match.lastgroup, match.group()
        column_one = position == line_start
        position = match.end()
        if kind == "newline":
            if fresh and depth == 0:
                comments = []
            line, line_start, fresh = line + 1, position, True
        elif kind == "comment":
            if fresh and column_one:
                comments.append(value.lstrip("#").strip())
                position = source.find("\n", position) + 1 or len(source)
                line, line_start = line + 1, position
            elif depth == 0:
                fresh = False
        elif kind != "space":
            if fresh and depth == 0:
                indent = match.start() - line_start
                if indent in (0, 4):
                    kind_of_line = "clause" if indent else "entry"
                    yield Token(kind_of_line, "", where, " ".join(comments))
                elif indent < 8:
                    raise DescriptionError(where, "indent by 4 for a clause, by 8 to go on")
                comments = []
            fresh = False
            depth += (value == "(") - (value == ")")
            if kind == "text":
                value = re.sub(r"\\(.)", r"\1", value[1:-1])
            yield Token(value if kind == "punct" else str(kind), value, where)
    yield Token("end", "", f"{file}:{line}:{position - line_start + 1}")
