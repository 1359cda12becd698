# SPDX-License-Identifier: LGPL-2.1-or-later
"""parse.py: the grammar of the description.

    file      = { ENTRY declaration { CLAUSE clause } }
    call      = NUMBER NAME fields [ "->" fields ] { mark }
    event     = NUMBER "event" NAME fields { mark }
    local     = "local" prototype { mark }
    fields    = "(" [ NAME ":" type [ "=" fill ] { "," … } ] ")"
    type      = NAME [ "<" bound ">" | "[" NUMBER "]" ] [ "?" ]
    mark      = right | "each" right | "high" | "unauthenticated" | "writes" | "no-method"
              | "stream" WAY | "fds" WHEN | "shape" NAME | "inputs" NAME | "as" NAME
              | "id" NAME | @SINCE
    right     = ( "?" | "!" ) [ NAME ":" ] NAME [ "[" [ "not" | NAME "=" ] NAME { "|" NAME } "]" ]
    clause    = mark … | "c" prototype | "py" method | "door" TEXT | "unbound" TEXT
              | "dispatch" TEXT | "via" NAME { "," NAME }
    method    = NAME [ "(" params ")" ] [ "->" annotation ] [ "fails" how ] [ "hand" TEXT ]

generator/api/README.md explains the notation by example.
Called by: generator.build.
Never: resolves names across entries; a name is right here when it is spelled right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from generator import syntax as s
from generator.lex import DescriptionError, Token, tokens


def parse(source: str, file: str) -> list[s.Entry]:
    """All entries of one file."""
    return _Parser(source, file).file()


class _Parser:
    def __init__(self, source: str, file: str) -> None:
        self._tokens = list(tokens(source, file))
        self._at = 0

    # --- moving -----------------------------------------------------------------------------------

    @property
    def _now(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._now
        self._at += 1
        return token

    def _fail(self, expected: str) -> NoReturn:
        token = self._now
        found = {
            "entry": "the next entry",
            "clause": "a new line",
            "end": "the end of the file",
        }.get(token.kind, repr(token.value))
        raise DescriptionError(token.where, f"expected {expected}, found {found}")

    def _is(self, kind: str, value: str | None = None) -> bool:
        return self._now.kind == kind and (value is None or self._now.value == value)

    def _take(self, kind: str, value: str | None = None) -> bool:
        if self._is(kind, value):
            self._at += 1
            return True
        return False

    def _want(self, kind: str, expected: str) -> str:
        if not self._is(kind):
            self._fail(expected)
        return self._next().value

    def _name(self, expected: str) -> str:
        return self._want("name", expected)

    def _number(self, expected: str = "a number") -> int:
        return int(self._want("number", expected), 0)

    def _punct(self, mark: str) -> None:
        self._want(mark, repr(mark))

    def _list(self, item: Callable[[], None], close: str) -> None:
        """Items between commas up to `close`; a comma may stand before it."""
        while not self._take(close):
            item()
            if not self._take(","):
                self._punct(close)
                return

    # --- entries ----------------------------------------------------------------------------------

    def file(self) -> list[s.Entry]:
        entries = []
        while not self._is("end"):
            if self._is("clause"):
                self._fail("an entry in column 1")
            start = self._next()
            decl = self._declaration()
            if not (self._is("entry") or self._is("end")):
                self._fail("the end of the entry")
            entries.append(s.Entry(decl, start.where, start.doc))
        return entries

    def _declaration(self) -> s.Decl:
        if self._is("number"):
            return self._call()
        keyword = self._name("a number or a keyword")
        parsers: dict[str, Callable[[], s.Decl]] = {
            "local": self._local,
            "method": lambda: s.MethodDecl(self._py()),
            "struct": lambda: s.StructDecl(self._name("a struct's name"), self._fields()),
            "type": self._type_decl,
            "codes": self._codes,
            "enum": lambda: self._enum(self._name("an enumeration's name")),
            "texts": lambda: self._enum(""),
            "inputs": self._inputs,
            "callback": self._callback,
            "limit": self._limit,
            "program": self._program,
            "class": self._class,
            "word": self._word,
            "shape": self._shape,
            "version": lambda: s.VersionDecl(self._want("since", "@VERSION")[1:]),
            **{what: self._use(what) for what in ("library", "face", "module", "calls")},
        }
        if keyword not in parsers:
            self._at -= 1
            self._fail(f"one of {', '.join(sorted(parsers))}, or a number")
        return parsers[keyword]()

    def _use(self, what: str) -> Callable[[], s.Use]:
        return lambda: s.Use(what, self._name(f"a {what}'s name"))

    def _call(self) -> s.Call:
        number = self._number()
        name = self._name("a function or a procedure")
        event = name == "event"
        if event:
            name = self._name("an event's name")
        args = self._fields() if self._is("(") else None
        ret = self._fields() if self._take("->") else None
        return s.Call(number, name, args or None, ret, event, self._marks())

    def _local(self) -> s.Local:
        return s.Local(self._prototype(), self._marks())

    def _type_decl(self) -> s.TypeDecl:
        name = self._name("a type's name")
        self._punct("=")
        return s.TypeDecl(name, self._type())

    def _codes(self) -> s.CodesDecl:
        name = self._name("a name")
        values: list[tuple[str, int]] = []
        self._punct("(")
        self._list(lambda: values.append(self._code()), ")")
        return s.CodesDecl(name, tuple(values))

    def _code(self) -> tuple[str, int]:
        name = self._name("a name")
        self._punct("=")
        return name, self._number()

    def _enum(self, name: str) -> s.EnumDecl:
        constants = []
        while self._take("clause"):
            where = self._now.where
            constant = self._name("a constant")
            self._punct("=")
            value = self._value()
            since = self._next().value[1:] if self._is("since") else ""
            sentinel = self._take("name", "sentinel")
            constants.append(s.ConstantDecl(constant, value, since, sentinel, where))
        return s.EnumDecl(name, constants)

    def _value(self) -> int | str:
        if self._is("text"):
            return self._next().value
        value = self._number("a number or a text")
        if self._take("<<"):
            value <<= self._number()
        return value

    def _inputs(self) -> s.InputsDecl:
        name = self._name("a group's name")
        fields = []
        while self._take("clause"):
            where = self._now.where
            constant = self._name("the constant that holds the key")
            self._punct(":")
            fields.append((constant, self._name("a typed parameter's type"), where))
        return s.InputsDecl(name, fields)

    def _callback(self) -> s.CallbackDecl:
        family = self._name("an event family")
        event_id = self._name("an event id")
        args: list[str] = []
        self._punct("(")
        self._list(lambda: args.append(self._name("an argument")), ")")
        if not self._take("name", "by"):
            self._fail("by METHOD")
        return s.CallbackDecl(family, event_id, tuple(args), self._name("a method"))

    def _limit(self) -> s.LimitDecl:
        name = self._name("a limit's name")
        self._punct("=")
        return s.LimitDecl(name, self._number())

    def _program(self) -> s.ProgramDecl:
        name = self._name("a program's name")
        self._punct("=")
        number = self._number()
        self._keyword("version")
        version = self._number()
        self._keyword("conn")
        conn = self._name("a C type")
        self._keyword("drops")
        drops = [self._name("a part of C names")]
        while self._take(","):
            drops.append(self._name("a part of C names"))
        strings = self._name("a limit") if self._take("name", "strings") else ""
        return s.ProgramDecl(name, number, version, tuple(drops), conn, strings)

    def _class(self) -> s.ClassDecl:
        name = self._name("a class")
        self._punct("(")
        handle = self._name("a handle")
        self._punct(")")
        self._keyword("strips")
        strips: list[tuple[str, str]] = []
        while True:
            prefix = self._name("a prefix of C names")
            strips.append((prefix, self._name("a prefix") if self._take("=") else ""))
            if not self._take(","):
                return s.ClassDecl(name, handle, tuple(strips))

    def _word(self) -> s.WordDecl:
        spelled = self._name("a part of C names")
        self._punct("=")
        return s.WordDecl(spelled, self._name("a word"), self._want("text", "a reason"))

    def _shape(self) -> s.ShapeDecl:
        name = self._name("a shape's name")
        return s.ShapeDecl(name, self._annotation() if self._take("->") else "")

    def _keyword(self, word: str) -> None:
        if not self._take("name", word):
            self._fail(f"'{word}'")

    # --- wire types -------------------------------------------------------------------------------

    def _fields(self) -> tuple[s.FieldDecl, ...]:
        fields: list[s.FieldDecl] = []
        self._punct("(")
        self._list(lambda: fields.append(self._field()), ")")
        return tuple(fields)

    def _field(self) -> s.FieldDecl:
        name = self._name("a field's name")
        self._punct(":")
        type = self._type()
        fill = ""
        if self._take("="):
            fill = self._next().value if self._is("number") else self._name("a number or a limit")
        return s.FieldDecl(name, type, fill)

    def _type(self) -> s.TypeRef:
        where = self._now.where
        name = self._name("a type")
        bound, fixed, counted = "", False, False
        if self._take("<"):
            counted = True
            if not self._is(">"):
                bound = self._next().value if self._is("number") else self._name("a limit")
            self._punct(">")
        elif self._take("["):
            fixed = True
            bound = self._next().value if self._is("number") else self._name("a length")
            self._punct("]")
        return s.TypeRef(name, where, bound, fixed, counted, self._take("?"))

    # --- marks and clauses ------------------------------------------------------------------------

    def _marks(self) -> s.Marks:
        marks = s.Marks()
        while True:
            if self._take("clause"):
                self._clause(marks)
            elif not self._mark(marks):
                return marks

    def _see(self, marks: s.Marks, what: str, where: str, again: bool = False) -> None:
        if what in marks.seen and not again:
            raise DescriptionError(where, f"'{what}' is stated twice")
        marks.seen[what] = where

    def _clause(self, marks: s.Marks) -> None:
        if self._is("name") and self._now.value in s.CLAUSES:
            self._see(marks, self._now.value, self._now.where)
        if self._take("name", "c"):
            marks.c = self._prototype()
        elif self._take("name", "py"):
            marks.py = self._py()
        elif self._take("name", "door"):
            marks.door = self._want("text", "a reason")
        elif self._take("name", "unbound"):
            marks.unbound = self._want("text", "a reason")
        elif self._take("name", "dispatch"):
            marks.dispatch = self._want("text", "a reason")
        elif self._take("name", "via"):
            names: list[str] = [self._name("a procedure")]
            while self._take(","):
                names.append(self._name("a procedure"))
            marks.via = tuple(names)
        elif not self._mark(marks):
            self._fail(f"a clause ({', '.join(s.CLAUSES)}) or a mark")

    def _mark(self, marks: s.Marks) -> bool:
        where = self._now.where
        if self._is("?") or self._is("!"):
            self._see(marks, "right", where, again=True)
            marks.rights.append(self._right())
        elif self._is("since"):
            self._see(marks, "since", where)
            marks.since = self._next().value[1:]
        elif self._is("name"):
            self._word_mark(marks, self._next())
        else:
            return False
        return True

    def _word_mark(self, marks: s.Marks, token: Token) -> None:
        word = token.value
        self._see(marks, word, token.where, again=word == "each")
        if word in ("high", "unauthenticated", "writes", "no-method"):
            marks.flags.add(word)
        elif word == "each":
            marks.each.append(self._right())
        elif word == "stream":
            marks.stream = self._choice("read", "write")
        elif word == "fds":
            marks.fds = self._choice("call", "reply", "both")
        elif word == "shape":
            marks.shape = self._name("a shape")
        elif word == "inputs":
            marks.inputs = self._name("a group of inputs")
        elif word == "as":
            marks.procedure = self._name("a procedure")
        elif word == "id":
            marks.event_id = self._name("an event id")
        else:
            raise DescriptionError(token.where, f"unknown mark {word!r}")

    def _choice(self, *words: str) -> str:
        if not (self._is("name") and self._now.value in words):
            self._fail(" or ".join(words))
        return self._next().value

    def _right(self) -> s.RightMark:
        where = self._now.where
        if not (self._is("?") or self._is("!")):
            self._fail("? or !")
        refuses = self._next().value == "!"
        object, permission = "", self._name("a permission")
        if self._take(":"):
            object, permission = permission, self._name("a permission")
        when: list[str] = []
        negated, argument = False, "flags"
        if self._take("["):
            negated = self._take("name", "not")
            when.append(self._name("a constant"))
            if self._take("="):
                argument, when = when[0], [self._name("a constant")]
            while self._take("|"):
                when.append(self._name("a constant"))
            self._punct("]")
        return s.RightMark(object, permission, refuses, where, tuple(when), negated, argument)

    # --- C and Python -----------------------------------------------------------------------------

    def _prototype(self) -> s.CProto:
        ret, name = self._c_declarator("a C function")
        args: list[tuple[str, str]] = []
        self._punct("(")
        self._list(lambda: args.append(self._c_declarator("an argument")), ")")
        return s.CProto(ret, name, tuple(args))

    def _c_declarator(self, expected: str) -> tuple[str, str]:
        """`const char *name`: words and stars, of which the last word is the name."""
        parts: list[str] = []
        while self._is("name") or self._is("*"):
            parts.append(self._next().value)
        if len(parts) < 2 or parts[-1] == "*":
            self._fail(expected)
        *type_parts, name = parts
        return " ".join(type_parts).replace("* *", "**").replace("* *", "**"), name

    def _py(self) -> s.PyClause:
        where = self._now.where
        named = self._is("name") and self._now.value not in ("fails", "hand")
        name = self._name("a method") if named else ""
        params: list[s.ParamDecl] | None = None
        if self._take("("):
            params = []
            self._list(lambda: params.append(self._param()), ")")
        returns = self._annotation() if self._take("->") else ""
        fails: str | None = None
        if self._take("name", "fails"):
            fails = "" if self._take("name", "never") else self._failure()
        hand = self._want("text", "a reason") if self._take("name", "hand") else ""
        fixed = None if params is None else tuple(params)
        return s.PyClause(name, where, fixed, returns, fails, hand)

    def _failure(self) -> str:
        if self._take("=="):
            return f"== {self._number()}"
        if self._take("name", "is"):
            self._keyword("None")
            return "is None"
        self._fail("never, == NUMBER or is None")

    def _param(self) -> s.ParamDecl:
        name = self._name("a parameter")
        self._punct(":")
        annotation = self._annotation()
        default = None
        if self._take("="):
            if self._take("["):
                self._punct("]")
                default = "[]"
            elif self._is("number") or self._is("name"):
                default = self._next().value
            else:
                self._fail("a default value")
        return s.ParamDecl(name, annotation, default)

    def _annotation(self) -> str:
        parts = [self._annotation_part()]
        while self._take("|"):
            parts.append(self._annotation_part())
        return " | ".join(parts)

    def _annotation_part(self) -> str:
        if self._take("..."):
            return "..."
        if self._take("["):  # the parameters of a Callable
            return f"[{self._annotations()}]"
        name = self._name("a type")
        if self._take("["):
            name += f"[{self._annotations()}]"
        return name

    def _annotations(self) -> str:
        inner: list[str] = []
        self._list(lambda: inner.append(self._annotation()), "]")
        return ", ".join(inner)
