# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_lines.py: what the two cores make of a line, however it arrives: the same, to the letter.

Each case goes to a connection with one command under way; the outcome is its value or error, the
events, and how the connection ended.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from libvirtcore.errors import VirError
from libvirtcore.qmp.lines import command_text
from libvirtcore.qmp.pure import Connection as PureConnection
from tests.conftest import lacking
from tests.qmp.peer import GREETING, Peer

try:
    from libvirtcore.qmp.core import Connection as CConnection
except ImportError:
    CConnection = None  # type: ignore[assignment, misc]

DEEP = 256

LINES: dict[str, bytes] = {
    "plain": b'{"return": {"a": [1, 2.5, -3e2, true, false, null, "x"]}, "id": 1}',
    "order": b'{"id": 1, "return": 7}',
    "tight": b'{"return":{},"id":1}',
    "spaces": b' \t {\t"return" : [ ] , "id" : 1 } \t',
    "empty list": b'{"return": [], "id": 1}',
    "nested": b'{"return": {"a": {"b": {"c": [[[{}]]]}}}, "id": 1}',
    "utf8": '{"return": "ä€😀\u0080", "id": 1}'.encode(),
    "escapes": rb'{"return": "\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00\u0000", "id": 1}',
    "id of text": b'{"return": {}, "id": "1"}',
    "id with zeros": b'{"return": {}, "id": 01}',
    "id that is a float": b'{"return": {}, "id": 1.0}',
    "id that is an exponent": b'{"return": {}, "id": 1e0}',
    "id below zero": b'{"return": {}, "id": -1}',
    "id minus zero": b'{"return": {}, "id": -0}',
    "id zero": b'{"return": {}, "id": 0}',
    "id of later": b'{"return": {}, "id": 2}',
    "id of much later": b'{"return": {}, "id": 999999999999999999}',
    "huge id": b'{"return": {}, "id": 99999999999999999999999999}',
    "null id": b'{"return": {}, "id": null}',
    "no id": b'{"return": {}}',
    "two ids": b'{"id": 9, "return": {}, "id": 1}',
    "two returns": b'{"return": 1, "return": 2, "id": 1}',
    "return and error": b'{"return": 1, "error": {"class": "X", "desc": "y"}, "id": 1}',
    "return and event": b'{"return": 1, "event": "STOP", "id": 1}',
    "error": b'{"error": {"class": "DeviceNotFound", "desc": "no \\u00e4"}, "id": 1}',
    "error without id": b'{"error": {"class": "GenericError", "desc": "JSON parse error"}}',
    "error of text": b'{"error": "text", "id": 1}',
    "error without words": b'{"error": {}, "id": 1}',
    "error of numbers": b'{"error": {"class": 1, "desc": [2]}, "id": 1}',
    "event": b'{"timestamp": {"seconds": 5, "microseconds": 6}, "event": "RESUME"}',
    "event with data": b'{"event": "X", "data": {"a": 1}, "timestamp": {"seconds": -1}}',
    "event of odd parts": b'{"event": "X", "data": [1], "timestamp": 5}',
    "event of odd time": b'{"event":"X","timestamp":{"seconds":"1","microseconds":true}}',
    "event without name": b'{"event": 5}',
    "second greeting": GREETING.strip(),
    "nothing known": b'{"x": 1}',
    "empty object": b"{}",
    "list": b'[{"return": {}, "id": 1}]',
    "number": b"17",
    "text": b"SSH-2.0-OpenSSH_9.2p1 Debian",
    "binary": bytes(range(14, 255)),
    "nul": b'{"return": "\0", "id": 1}',
    "tab in text": b'{"return": "\t", "id": 1}',
    "bad utf8": b'{"return": "\xff", "id": 1}',
    "overlong utf8": b'{"return": "\xc0\xaf", "id": 1}',
    "utf8 surrogate": b'{"return": "\xed\xa0\x80", "id": 1}',
    "utf8 beyond": b'{"return": "\xf4\x90\x80\x80", "id": 1}',
    "utf8 cut": b'{"return": "\xe2\x82", "id": 1}',
    "lone high": rb'{"return": "\ud800", "id": 1}',
    "lone low": rb'{"return": "\udc00", "id": 1}',
    "high high low": rb'{"return": "\ud800\ud800\udc00", "id": 1}',
    "high and text": rb'{"return": "\ud800x", "id": 1}',
    "lone in a key": rb'{"return": {"\uDFFF": 1}, "id": 1}',
    "lone in a top key": rb'{"\uDFFF": 1, "return": 1, "id": 1}',
    "escaped top key": rb'{"\u0072eturn": 1, "id": 1}',
    "bad escape": rb'{"return": "\x41", "id": 1}',
    "short escape": rb'{"return": "\u12", "id": 1}',
    "nan": b'{"return": NaN, "id": 1}',
    "infinity": b'{"return": -Infinity, "id": 1}',
    "plus": b'{"return": +1, "id": 1}',
    "leading zero": b'{"return": 01, "id": 1}',
    "point": b'{"return": 1., "id": 1}',
    "no digits": b'{"return": -, "id": 1}',
    "exponent": b'{"return": 1e, "id": 1}',
    "hex": b'{"return": 0x1, "id": 1}',
    "huge float": b'{"return": 1e999, "id": 1}',
    "long number": b'{"return": ' + b"7" * 512 + b', "id": 1}',
    "too long number": b'{"return": ' + b"7" * 513 + b', "id": 1}',
    "too long float": b'{"return": 0.' + b"7" * 600 + b', "id": 1}',
    "digits in text": b'{"return": "' + b"7" * 9000 + b'", "id": 1}',
    "quotes": b"{'return': 1, 'id': 1}",
    "trailing comma": b'{"return": {}, "id": 1,}',
    "comma in list": b'{"return": [1,], "id": 1}',
    "comma in object": b'{"return": {"a":1,}, "id": 1}',
    "only a comma": b'{"return": [,], "id": 1}',
    "no colon": b'{"return" 1, "id": 1}',
    "no value": b'{"return":, "id": 1}',
    "wrong bracket": b'{"return": [1}, "id": 1}',
    "other wrong bracket": b'{"return": {"a": 1], "id": 1}',
    "key of number": b'{1: 2, "return": 1, "id": 1}',
    "two objects": b'{"return": {}, "id": 1}{"event": "X"}',
    "trailing text": b'{"return": {}, "id": 1} x',
    "word": b'{"return": nul, "id": 1}',
    "words": b'{"return": truefalse, "id": 1}',
    "open": b'{"return": {"a": 1',
    "open text": b'{"return": "abc',
    "deep": b'{"return": ' + b"[" * (DEEP - 1) + b"]" * (DEEP - 1) + b', "id": 1}',
    "too deep": b'{"return": ' + b"[" * DEEP + b"]" * DEEP + b', "id": 1}',
    "far too deep": b'{"return": ' + b'{"a":' * 100000,
    "brackets in text": b'{"return": "' + b"[{" * 5000 + b'", "id": 1}',
    "many brackets": b'{"return": [' + b"[]," * 5000 + b'[]], "id": 1}',
    "0xff": b'\xff{"return": {}, "id": 1}',
    "long text": b"x" * 200,
}


def outcome(kind: Any, chunks: list[bytes], agent: bool = False) -> tuple[Any, ...]:
    """What a connection with one command under way makes of these bytes and then the end."""
    with Peer() as peer:
        connection = kind(peer.fd(), agent=agent, max_line=1 << 20)
        said = bytearray()

        def talk() -> None:
            for chunk in chunks:
                said.extend(chunk)
                peer.say(chunk)
            peer.hang_up()

        if not agent:
            peer.say(GREETING)
            connection.greet(10)
        number = connection.submit(command_text("query-status"))
        peer.run(talk)
        result: tuple[Any, ...]
        try:
            result = ("value", connection.wait(number, "query-status", 10))
        except VirError as wrong:
            result = (type(wrong).__name__, wrong.code, wrong.message)
        while connection.pump(10):
            pass
        events = []
        while (happened := connection.next_event()) is not None:
            events.append(happened)
        why = connection.error
        stats = connection.stats()
        connection.close()
        return (
            result, events, connection.closed, str(why),
            {name: stats[name] for name in ("replies", "late_replies", "events", "dropped")},
        )  # fmt: skip


@pytest.mark.parametrize("agent", [False, True], ids=["monitor", "agent"])
@pytest.mark.parametrize("name", LINES)
def test_cores_agree(name: str, agent: bool) -> None:
    if CConnection is None:
        lacking("the C core")
    line = LINES[name] + b"\r\n"
    after = b'{"event": "AFTER"}\n'
    whole = outcome(CConnection, [line], agent)
    assert whole == outcome(PureConnection, [line], agent)
    glued = outcome(CConnection, [line + after], agent)
    assert glued == outcome(PureConnection, [line + after], agent)
    if len(line) < 300:
        single = [bytes([byte]) for byte in line]
        assert outcome(CConnection, single, agent) == whole
        assert outcome(PureConnection, single, agent) == whole


def test_cores_agree_on_any_cut() -> None:
    """A line that ends too early is never taken for a whole one."""
    if CConnection is None:
        lacking("the C core")
    line = LINES["escapes"]
    for length in range(len(line)):
        cut = [line[:length] + b"\n"]
        made = outcome(CConnection, cut)
        assert made == outcome(PureConnection, cut)
        assert made[0][0] != "value"


def test_cores_agree_on_noise() -> None:
    """Good lines with a few bytes changed."""
    if CConnection is None:
        lacking("the C core")
    dice = random.Random(20260607)
    pool = [LINES[name] for name in ("plain", "utf8", "escapes", "nested", "error", "event")]
    alphabet = b'{}[]",:\\u0d8e-+.1 \xc3\xa4\xff\x00'
    for _round in range(400):
        line = bytearray(dice.choice(pool))
        for _change in range(dice.randrange(1, 4)):
            at = dice.randrange(len(line))
            line[at : at + dice.randrange(2)] = bytes([dice.choice(alphabet)])
        chunks = [bytes(line).replace(b"\n", b"") + b"\n"]
        agent = dice.random() < 0.3
        assert outcome(CConnection, chunks, agent) == outcome(PureConnection, chunks, agent), line


def test_values_are_those_of_json(core: Any) -> None:
    for name in ("plain", "utf8", "escapes", "nested", "deep", "long number", "many brackets"):
        made = outcome(core, [LINES[name] + b"\n"])
        assert made[0] == ("value", json.loads(LINES[name])["return"]), name


WORDS = {
    "text": "QEMU monitor sent a line that is not JSON: SSH-2.0-OpenSSH_9.2p1 Debian",
    "nothing known": 'QEMU monitor sent neither an answer nor an event: {"x": 1}',
    "id of later": 'QEMU monitor sent an answer to no command: {"return": {}, "id": 2}',
    "long text": "QEMU monitor sent a line that is not JSON: " + "x" * 64 + "...",
}


@pytest.mark.parametrize("name", WORDS)
def test_wrong_line_is_one_clear_error(core: Any, name: str) -> None:
    result, _events, closed, why, _stats = outcome(core, [LINES[name] + b"\n"])
    assert result[2] == why == "internal error: " + WORDS[name]
    assert closed == "error"
