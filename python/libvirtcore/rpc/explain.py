# SPDX-License-Identifier: LGPL-2.1-or-later
"""explain.py: recorded bytes of libvirt's RPC as readable lines.

    python -m libvirtcore.rpc.explain session.capture

FILE is a capture (see capture.py) or the raw bytes of one direction, as strace or tcpdump can give
them. Each message becomes one line: time, direction, kind, procedure, serial, status and size; then
its fields, one a line.
Called by: users, tests. Calls: pure_frame, pure_decode, capture, the generated tables and names.
Never: stops at a message that it cannot take apart; only at a length that makes no sense.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from libvirtcore.errors import VirError
from libvirtcore.generated.field_names import NAMES
from libvirtcore.generated.tables import PROGRAMS, TYPE_NET_ERROR, TYPE_STREAM_HOLE
from libvirtcore.rpc import capture
from libvirtcore.rpc import pure_frame as wire
from libvirtcore.rpc.pure_decode import decode
from libvirtcore.rpc.pure_frame import Frame, FrameReader
from libvirtcore.rpc.tables_model import Procedure

_KINDS = ("call", "reply", "event", "stream", "call+fds", "reply+fds", "hole")
_STATUS = ("ok", "error", "continue")
_SENT_BY = {wire.CALL: ">", wire.CALL_WITH_FDS: ">", wire.REPLY: "<", wire.REPLY_WITH_FDS: "<"}
_ERROR_FIELDS = (
    "code", "domain", "message", "level", "dom", "str1", "str2", "str3", "int1", "int2", "net",
)  # fmt: skip
_HOLE_FIELDS = ("length", "flags")
_SHOWN = 400  # characters of a value, unless all of it is asked for


def explain(pieces: Iterable[capture.Piece], shown: int = _SHOWN) -> Iterator[str]:
    """The lines for a recorded session."""
    readers: dict[str, FrameReader] = {}
    broken: set[str] = set()
    for piece in pieces:
        if piece.direction in broken:
            continue
        reader = readers.setdefault(piece.direction, FrameReader(recorded=True))
        reader.feed(piece.data)
        try:
            while (frame := reader.next()) is not None:
                yield from _message(frame, piece, shown)
        except VirError as fault:
            broken.add(piece.direction)
            yield f"{_moment(piece)} {piece.direction} {fault}; nothing more is read this way"
    for direction, reader in readers.items():
        if reader.left and direction not in broken:
            yield f"{direction} {reader.left} bytes of a message that does not end"


def _moment(piece: capture.Piece) -> str:
    return f"{piece.seconds:12.6f}" if piece.seconds >= 0 else " " * 12


def _message(frame: Frame, piece: capture.Piece, shown: int) -> Iterator[str]:
    direction = piece.direction if piece.seconds >= 0 else _SENT_BY.get(frame.type, " ")
    kind = _KINDS[frame.type] if frame.type < len(_KINDS) else f"type {frame.type}"
    status = _STATUS[frame.status] if frame.status < len(_STATUS) else f"status {frame.status}"
    yield (
        f"{_moment(piece)} {direction} {kind} {procedure_name(frame.program, frame.proc)}"
        f" serial={frame.serial} {status} {frame.size} bytes"
    )
    for name, text in _fields(frame):
        if len(text) > shown:
            text = f"{text[:shown]}… ({len(text)} characters)"
        yield f"{'':16}{name} = {text}"


def _procedure(program: int, proc: int) -> Procedure | None:
    known = PROGRAMS.get(program)
    return known.procedures[proc] if known and 0 < proc < len(known.procedures) else None


def procedure_name(program: int, proc: int) -> str:
    """`remote.domain_resume`, with numbers for what is not known."""
    known, procedure = PROGRAMS.get(program), _procedure(program, proc)
    return f"{known.name if known else hex(program)}.{procedure.name if procedure else proc}"


def _fields(frame: Frame) -> Iterator[tuple[str, str]]:
    """Names and values of a payload."""
    if frame.type == wire.STREAM and frame.status != wire.ERROR:
        if frame.payload:
            yield "data", f"{len(frame.payload)} bytes {frame.payload[:16].hex(' ', 4)}"
        return
    offset, names = _type(frame)
    try:
        if offset is None:
            raise ValueError("this procedure is not known")
        value = decode(offset, frame.payload)
    except (VirError, ValueError) as fault:
        yield "payload", f"{frame.payload.hex(' ', 4) or 'empty'} ({fault})"
        return
    if value is None:
        return
    for index, part in enumerate(value):
        yield names[index] if index < len(names) else f"[{index}]", _text(part)


def _type(frame: Frame) -> tuple[int | None, tuple[str, ...]]:
    """The type of a payload and the names of its fields."""
    if frame.type == wire.STREAM_HOLE:
        return TYPE_STREAM_HOLE, _HOLE_FIELDS
    if frame.status == wire.ERROR and frame.type != wire.CALL:
        empty = frame.type == wire.STREAM and not frame.payload
        return (0 if empty else TYPE_NET_ERROR), _ERROR_FIELDS
    procedure = _procedure(frame.program, frame.proc)
    if procedure is None:
        return None, ()
    sent, returned = NAMES.get((frame.program, frame.proc), ((), ()))
    if frame.type in (wire.REPLY, wire.REPLY_WITH_FDS):
        return procedure.ret, returned
    return procedure.args, sent


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex() or "empty"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_text, value)) + ")"
    if isinstance(value, list):
        return "[" + ", ".join(map(_text, value)) + "]"
    return repr(value)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m libvirtcore.rpc.explain",
        description="Show recorded libvirt RPC messages in words.",
    )
    parser.add_argument("file", help="a capture, or the raw bytes of one direction; '-' is stdin")
    parser.add_argument("--all", action="store_true", help="show long values in full")
    options = parser.parse_args(arguments)
    try:
        if options.file == "-":
            data = sys.stdin.buffer.read()
        else:
            with open(options.file, "rb") as file:
                data = file.read()
        if capture.is_capture(data):
            pieces = list(capture.read(data.decode().splitlines()))
        else:
            pieces = [capture.Piece(" ", -1.0, data)]
    except (OSError, ValueError) as problem:
        print(f"{options.file}: {problem}", file=sys.stderr)
        return 1
    try:
        for line in explain(pieces, sys.maxsize if options.all else _SHOWN):
            print(line)
    except BrokenPipeError:
        sys.stderr.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
