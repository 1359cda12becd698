# SPDX-License-Identifier: LGPL-2.1-or-later
"""plausible.py: arguments for every procedure, made from the tables and the names of the fields.

Objects are those of test:///default; numbers are small, texts are what their names suggest.
Called by: the tests of this folder.
Never: holds a procedure's number, apart from those whose plausible arguments need thought.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from libvirtcore.generated.field_names import NAMES
from libvirtcore.generated.tables import PROGRAMS, TYPES

REMOTE, QEMU, LXC = 0x20008086, 0x20008087, 0x00068000

DOMAIN = ("test", bytes.fromhex("6695eb01f6a4830479aa97f2502e193f"), 1)
NETWORK = ("default", bytes.fromhex("dd8fe884d5a6c4caa0a2b6b4b4b4b4b4"))
POOL = ("default-pool", bytes.fromhex("dfe224cb28fb8dd0c4b264eb3f0f4566"))

TEXTS = {
    "xml": "<domain type='test'><name>x</name><memory>1024</memory><os><type>hvm</type></os>"
    "</domain>",
    "name": "test",
    "path": "/nonexistent/x",
    "to": "/nonexistent/dir/x",
    "frm": "/nonexistent/x",
    "file": "/nonexistent/x",
    "arch": "x86_64",
    "mac": "aa:bb:cc:dd:ee:ff",
    "disk": "vda",
    "device": "vnet0",
    "uuid": "x",
    "type": "test",
}
NUMBERS = {
    "nvcpus": 1,
    "memory": 1024,
    "maxinfo": 2,
    "maplen": 1,
    "ncpumaps": 2,
    "maxCells": 1,
    "nparams": 4,
    "maxnames": 8,
    "maxids": 8,
    "maxuuids": 8,
    "maxerrors": 4,
    "maxStats": 8,
    "need_results": 1,
    "cpuNum": -1,
    "start_cpu": -1,
    "ncpus": 1,
    "id": 1,
    "size": 8,
    "pid_value": 1,
    "cellCount": 1,
    "need_map": 1,
    "need_online": 1,
    "holdtime": 1,
    "period": 1,
    "iothread_id": 1,
    "callbackID": 77,
    "eventID": 0,
    "duration": 60,
}


def calls() -> Iterator[tuple[int, int, str]]:
    """Program, number and name of everything that can be called."""
    for program in (REMOTE, QEMU, LXC):
        for number, procedure in enumerate(PROGRAMS[program].procedures):
            if procedure is not None and procedure.kind != 2:
                yield program, number, procedure.name


def arguments(program: int, number: int) -> tuple[Any, ...] | None:
    """What a client might send."""
    procedure = PROGRAMS[program].procedures[number]
    assert procedure is not None
    if not procedure.args:
        return None
    names = NAMES[program, number][0]
    count = TYPES[procedure.args + 1]
    offsets = TYPES[procedure.args + 2 : procedure.args + 2 + count]
    if (program, number) == (REMOTE, 1):
        return ("test:///default", 0)
    return tuple(_value(offset, name) for offset, name in zip(offsets, names, strict=True))


def _value(offset: int, name: str) -> Any:
    word = TYPES[offset]
    match word:
        case 1 | 2 | 3 | 4 | 6 | 7 | 8:
            return NUMBERS.get(name, 0)
        case 5:
            return 0.0
        case 9:
            return TEXTS.get(name, "x")
        case 10 | 12:
            return b"\x01"
        case 11:
            return DOMAIN[1]
        case 14:
            return _value(TYPES[offset + 1], name) if name in ("arch", "disk") else None
        case 15:
            return [_value(TYPES[offset + 2], name)]
        case 16:
            return _struct(offset, name)
        case 17:
            return [("hard_limit", 4, 1024)]
    raise AssertionError(f"no such word: {word}")


def _struct(offset: int, name: str) -> Any:
    count = TYPES[offset + 1]
    fields = TYPES[offset + 2 : offset + 2 + count]
    kinds = [TYPES[field] for field in fields]
    if kinds == [9, 11, 1]:
        return DOMAIN
    if kinds == [9, 11]:
        return POOL if name == "pool" else NETWORK
    if kinds == [9, 16]:
        return ("snap", DOMAIN)
    return tuple(_value(field, "name" if TYPES[field] == 9 else name) for field in fields)
