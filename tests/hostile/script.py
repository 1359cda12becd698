# SPDX-License-Identifier: LGPL-2.1-or-later
"""script.py: reads a .peer file and plays both parts of it: the hostile peer and the client.

The language is explained in README.md beside this file.
Called by: test_cases.py. Calls: tests.differential.peer, the pure codec (the peer's part).
Never: ignores a line; a line that makes no sense or is never reached fails the test.
"""

from __future__ import annotations

import ast
import itertools
import shlex
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from libvirtcore.errors import VirError
from libvirtcore.generated import constants
from libvirtcore.generated.tables import PROGRAMS
from libvirtcore.rpc.pure_encode import encode
from libvirtcore.rpc.pure_frame import ERROR, MESSAGE, OK, REPLY, STREAM, STREAM_HOLE, Frame
from tests.differential.peer import DOMAIN, KEEPALIVE, NUMBERS, REMOTE, Peer

NAMES = {"domain": DOMAIN, "volume": ("pool", "volume", "/key")}
FIELDS = ("program", "version", "proc", "type", "serial", "status")
WORDS = {"u32": ">I", "i32": ">i", "u64": ">Q", "i64": ">q"}
GRACE = 1.5  # seconds beyond the deadline that a busy machine may need


class Line(NamedTuple):
    number: int
    verb: str
    rest: str


class ScriptError(Exception):
    """A line that makes no sense."""


def read(path: Path) -> list[Line]:
    lines = []
    for number, text in enumerate(path.read_text().splitlines(), start=1):
        verb, _, rest = text.strip().partition(" ")
        if verb and not verb.startswith("#"):
            lines.append(Line(number, verb, rest.strip()))
    return lines


def literal(text: str) -> Any:
    """A Python literal in which `domain` and `volume` stand for objects."""

    class Named(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            return ast.parse(repr(NAMES[node.id]), mode="eval").body

    return ast.literal_eval(Named().visit(ast.parse(text, mode="eval")))


# --- the peer -------------------------------------------------------------------------------------


class HostilePeer:
    """Plays the lines that are the peer's."""

    def __init__(self, peer: Peer, lines: list[Line]) -> None:
        self._peer = peer
        self._lines = lines
        self._call = Frame(REMOTE, 1, NUMBERS["remote.connect_get_version"][1], 0, 0, OK)
        self._send: Callable[[bytes], None] = peer.raw

    def play(self) -> None:
        for line in self._lines:
            action = getattr(self, f"_do_{VERBS.get(line.verb, '')}", None)
            try:
                if action is not None:
                    action(line.rest)
            except (BrokenPipeError, ConnectionResetError):
                return  # the client has had enough; what it made of it is the other part's to say
            except (ValueError, KeyError, ScriptError, struct.error) as problem:
                raise ScriptError(f"line {line.number}: {problem}") from problem

    def _do_expect(self, rest: str) -> None:
        name = rest.removeprefix("stream ").split()[0]
        self._call = self._peer.call(name)

    def _do_send(self, rest: str) -> None:
        self._send(message(self._call, rest))

    def _do_raw(self, rest: str) -> None:
        self._send(payload(rest, None))

    def _do_repeat(self, rest: str) -> None:
        count, _, what = rest.partition(" ")
        verb, _, content = what.partition(" ")
        data = message(self._call, content) if verb == "<" else payload(content, None)
        for _ in range(int(count) // 64):
            self._send(data * 64)
        self._send(data * (int(count) % 64))

    def _do_split(self, _rest: str) -> None:
        self._send = lambda data: self._drip(data, 0)

    def _do_drip(self, rest: str) -> None:
        self._send = lambda data: self._drip(data, float(rest))

    def _drip(self, data: bytes, pause: float) -> None:
        for at in range(len(data)):
            self._peer.raw(data[at : at + 1])
            time.sleep(pause)

    def _do_fds(self, rest: str) -> None:
        for _ in range(int(rest)):
            self._peer.send_fd(0)

    def _do_close(self, _rest: str) -> None:
        self._peer.close()

    def _do_stall(self, _rest: str) -> None:
        try:
            while True:
                self._peer.next()
        except (EOFError, OSError):
            return


VERBS = {
    ">": "expect", "<": "send", "raw": "raw", "repeat": "repeat", "split": "split", "drip": "drip",
    "fds": "fds", "close": "close", "stall": "stall",
}  # fmt: skip
CLIENT_VERBS = (">", "!", "=", "deadline", "closed")


def message(call: Frame, text: str) -> bytes:
    """The bytes of one `<` line."""
    kind, _, rest = text.partition(" ")
    frame, offset = _base(call, kind, rest)
    if kind == "event":
        rest = rest.partition(" ")[2]
    fields, length, rest = _fields(frame, rest)
    body = payload(rest, offset)
    data = _HEAD.pack(_HEAD.size + len(body), *fields) + body
    if length is not None:
        right = len(data) if isinstance(length, str) else 0
        data = struct.pack(">I", (right + int(length)) & 0xFFFFFFFF) + data[4:]
    return data


_HEAD = struct.Struct(">7I")


def _base(call: Frame, kind: str, rest: str) -> tuple[Frame, int | None]:
    """The honest message of a kind, and the type of its payload."""
    procedure = PROGRAMS[call.program].procedures[call.proc]
    assert procedure is not None
    plain = call._replace(payload=b"", fds=())
    if kind == "reply":
        return plain._replace(type=REPLY, status=OK), procedure.ret
    if kind == "error":
        return plain._replace(type=REPLY, status=ERROR), None
    if kind in ("stream", "hole"):
        return plain._replace(type=STREAM if kind == "stream" else STREAM_HOLE, status=2), None
    if kind in ("ping", "pong"):
        return Frame(KEEPALIVE, 1, 1 if kind == "ping" else 2, MESSAGE, 0, OK), None
    if kind == "event":
        program, proc = NUMBERS["remote." + rest.split()[0]]
        event = PROGRAMS[program].procedures[proc]
        assert event is not None
        return Frame(program, 1, proc, MESSAGE, 0, OK), event.args
    raise ScriptError(f"'{kind}' is no kind of message")


def _fields(frame: Frame, text: str) -> tuple[list[int], int | str | None, str]:
    """The header with the fields that lie, the length if it lies (text when relative), the rest."""
    header = [getattr(frame, name) for name in FIELDS]
    length: int | str | None = None
    words = text.split(" ")
    while words and "=" in words[0] and not words[0].startswith(("str", "raw")):
        name, _, value = words.pop(0).partition("=")
        if name == "length":
            length = value if value[0] in "+-" else int(value, 0)
        elif name in FIELDS:
            at = FIELDS.index(name)
            right = header[at] if value[0] in "+-" else 0
            header[at] = (right + int(value, 0)) & 0xFFFFFFFF
        else:
            raise ScriptError(f"'{name}' is no field")
    return header, length, " ".join(words)


def payload(text: str, offset: int | None) -> bytes:
    """The bytes that the words of a payload stand for."""
    if text.startswith("value"):
        if offset is None:
            raise ScriptError("no type to encode a value by")
        return encode(offset, literal(text.removeprefix("value").strip()))
    out = b""
    for word in shlex.split(text):
        kind, _, operand = word.partition(":")
        if kind in WORDS:
            out += struct.pack(WORDS[kind], int(operand, 0))
        elif kind == "hex":
            out += bytes.fromhex(operand)
        elif kind == "raw":
            out += operand.encode().decode("unicode_escape").encode("latin-1")
        elif kind == "str":
            raw = operand.encode()
            out += struct.pack(">I", len(raw)) + raw + bytes(-len(raw) % 4)
        elif kind in ("zero", "x"):
            out += (b"\0" if kind == "zero" else b"x") * int(operand)
        else:
            raise ScriptError(f"'{word}' is no payload")
    return out


# --- the client -----------------------------------------------------------------------------------


class ScriptedClient:
    """Does what the script says and compares what comes of it."""

    def __init__(self, client: Any, lines: list[Line]) -> None:
        self._client = client
        self._lines = lines
        self._deadline = 5.0
        self._stream: Any = None

    def play(self) -> None:
        ends = "open"
        for line, wanted in self._actions():
            if line.verb == "deadline":
                self._deadline = float(line.rest)
            elif line.verb == "closed":
                ends = line.rest
            else:
                began = time.monotonic()
                got = self._act(line)
                took = time.monotonic() - began
                assert _same(got, wanted), f"line {line.number}: {got!r} is not {wanted!r}"
                assert took < self._deadline + GRACE, f"line {line.number} took {took:.2f} s"
        assert (self._client.closed or "open") == ends

    def _actions(self) -> Iterator[tuple[Line, str]]:
        """The client's lines, each with what it should lead to."""
        mine = [line for line in self._lines if line.verb in CLIENT_VERBS]
        for line, after in itertools.zip_longest(mine, mine[1:]):
            if line.verb != "=":
                wanted = after.rest if after is not None and after.verb == "=" else "value None"
                yield line, _normal(wanted)

    def _act(self, line: Line) -> str:
        try:
            value = self._call(line) if line.verb == ">" else self._use(line)
        except VirError as error:
            return f"error {_code_name(error.code)} {error.message}"
        return f"value {value!r}"

    def _call(self, line: Line) -> Any:
        text = line.rest.removeprefix("stream ")
        name, _, args = text.partition(" ")
        program, proc = NUMBERS["remote." + name]
        value = literal(args) if args else None
        if text != line.rest:
            self._stream = self._client.open_stream(program, proc, value, timeout=self._deadline)
            return self._stream.reply
        return self._client.call(program, proc, value, self._deadline)

    def _use(self, line: Line) -> Any:
        verb, *operands = line.rest.split()
        if verb in ("pump", "next_event"):
            return getattr(self._client, verb)(*map(float, operands))
        self._stream.timeout = self._deadline
        return getattr(self._stream, verb)(*map(int, operands))


def _same(got: str, wanted: str) -> bool:
    if wanted.endswith("*"):
        return got.startswith(wanted[:-1])
    return got == wanted


def _normal(wanted: str) -> str:
    kind, _, rest = wanted.partition(" ")
    return f"value {literal(rest)!r}" if kind == "value" else wanted


def _code_name(code: int) -> str:
    levels = ("VIR_ERR_NONE", "VIR_ERR_WARNING", "VIR_ERR_ERROR")
    for name, number in vars(constants).items():
        if name.startswith("VIR_ERR_") and name not in levels and number == code:
            return name.removeprefix("VIR_ERR_")
    return str(code)


def check(lines: list[Line]) -> None:
    """Raises ScriptError for a line that neither part understands."""
    for line in lines:
        if line.verb not in VERBS and line.verb not in CLIENT_VERBS:
            raise ScriptError(f"line {line.number}: '{line.verb}'")
