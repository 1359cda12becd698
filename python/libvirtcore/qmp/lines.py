# SPDX-License-Identifier: LGPL-2.1-or-later
"""lines.py: JSON in the shapes QMP uses: commands out, events and errors in. Both cores share it.

Called by: core, pure, client, agent. Calls: json.
Never: trusts the type of anything that a peer sent.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple

from libvirtcore.generated.constants import VIR_ERR_INVALID_ARG
from libvirtcore.qmp.errors import failure

__all__ = [
    "EVENTS_LOST",
    "LINE_MAX",
    "Event",
    "command_name",
    "command_text",
    "event_from",
    "loads",
]

LINE_MAX = 64 << 20  # bytes of one line of a monitor, by default

# Names of what C keeps for us, in both cores.
EVENTS_LOST = "LIBVIRTCORE_EVENTS_LOST"

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_raw_decode = json.JSONDecoder().raw_decode
_heads: dict[str, bytes] = {}  # commands met before, without arguments
_HEADS_MAX = 1024


class Event(NamedTuple):
    """Something that happened. Time is QEMU's, -1 where it gave none."""

    name: str
    data: dict[str, Any]
    seconds: int
    microseconds: int


def command_text(command: str, arguments: Any = None, oob: bool = False) -> bytes:
    """A command as JSON, up to where its id and the closing brace go."""
    if not arguments and not oob:
        head = _heads.get(command)
        if head is None:
            head = _head(command, oob)
            if len(_heads) < _HEADS_MAX:
                _heads[command] = head
        return head
    head = _head(command, oob)
    if not arguments:
        return head
    if not isinstance(arguments, dict):
        raise failure(VIR_ERR_INVALID_ARG, "the arguments of a QMP command are not a dict")
    try:
        return b'%b,"arguments":%b' % (head, _encode(arguments).encode("ascii"))
    except (TypeError, ValueError, RecursionError) as wrong:
        raise failure(
            VIR_ERR_INVALID_ARG, f"the arguments of {command} are no JSON: {wrong}"
        ) from None


def _head(command: str, oob: bool) -> bytes:
    if not isinstance(command, str) or not command:
        raise failure(VIR_ERR_INVALID_ARG, "the name of a QMP command is missing")
    key = "exec-oob" if oob else "execute"
    return f'{{"{key}":{encode_basestring_ascii(command)}'.encode("ascii")


def command_name(text: bytes) -> str:
    """The name of the command in a text, for a message."""
    return text.partition(b':"')[2].partition(b'"')[0][:63].decode("ascii", "replace")


def loads(text: str) -> Any:
    """The value of a text that a core has checked already."""
    return _raw_decode(text)[0]


def event_from(line: Any) -> Event:
    """The event in a whole line, parsed. Members of a wrong type count as missing."""
    name, data, stamp = line.get("event"), line.get("data"), line.get("timestamp")
    if not isinstance(stamp, dict):
        stamp = {}
    return Event(
        name if isinstance(name, str) else "",
        data if isinstance(data, dict) else {},
        _time(stamp.get("seconds")),
        _time(stamp.get("microseconds")),
    )


def _time(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 1 << 63 else -1
