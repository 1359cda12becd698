# SPDX-License-Identifier: LGPL-2.1-or-later
"""seeds_server.py: writes the seeds of fuzz_server: what a client might say.

Run as `PYTHONPATH=python:. python tests/fuzz/seeds_server.py`. A crasher is kept beside them under
a name that says what it was.
"""

from __future__ import annotations

import struct
from pathlib import Path

from tests.rpc.peer import (
    CALL,
    CALL_WITH_FDS,
    CONTINUE,
    GET_HOSTNAME,
    GET_VERSION,
    HOLE,
    KEEPALIVE,
    LOOKUP_BY_NAME,
    MESSAGE,
    OK,
    OPEN_GRAPHICS,
    PING,
    STREAM,
    VOL_UPLOAD,
    pack,
)

CORPUS = Path(__file__).parent / "corpus" / "fuzz_server"
NAME = b"\0\0\0\2vm\0\0"
DOMAIN = NAME + bytes(range(16)) + b"\0\0\0\7"

AUTH = pack(66, CALL, 0)
OPEN = pack(1, CALL, 1, OK, b"\0\0\0\1\0\0\0\4test" + bytes(4))
VERSION = pack(GET_VERSION, CALL, 4)
LOOKUP = pack(LOOKUP_BY_NAME, CALL, 7, OK, NAME)
INFO = pack(16, CALL, 10, OK, DOMAIN)
UPLOAD = pack(VOL_UPLOAD, CALL, 13, OK, NAME * 3 + bytes(20))
DATA = pack(VOL_UPLOAD, STREAM, 13, CONTINUE, b"stream data")
SKIP = pack(VOL_UPLOAD, HOLE, 13, CONTINUE, struct.pack(">qI", 4096, 0))
FINISH = pack(VOL_UPLOAD, STREAM, 13, OK)
FDS = pack(OPEN_GRAPHICS, CALL_WITH_FDS, 16, OK, struct.pack(">I", 0) + DOMAIN + bytes(8))
PINGED = pack(PING, MESSAGE, 0, OK, b"", program=KEEPALIVE)

SESSIONS = {
    "whole_session": b"\1" + AUTH + OPEN + VERSION + LOOKUP + INFO + PINGED,
    "gate": b"\0" + OPEN + VERSION + AUTH + OPEN + VERSION,
    "upload": b"\1" + UPLOAD + DATA + SKIP + DATA + FINISH + PINGED,
    "upload_kept": b"\5" + UPLOAD + DATA * 9 + FINISH,
    "prio_first": b"\3" + INFO * 4 + LOOKUP + INFO + PINGED + DATA,
    "chatty": b"\x09" + VERSION + LOOKUP + UPLOAD,
    "unanswered": b"\x11" + VERSION + LOOKUP + INFO,
    "descriptors": b"\1" + FDS + VERSION,
    "wrong": b"\1"
    + pack(4, CALL, 1, program=5)
    + pack(9999, CALL, 2)
    + pack(4, MESSAGE, 3)
    + pack(4, 7, 4),
    "http": b"\1GET / HTTP/1.0\r\n\r\n",
    "cut": b"\1" + LOOKUP[:-3],
    "many": b"\7" + pack(GET_HOSTNAME, CALL, 3) * 40,
}


def main() -> None:
    CORPUS.mkdir(parents=True, exist_ok=True)
    for name, stream in SESSIONS.items():
        (CORPUS / name).write_bytes(b"\0" + stream)


if __name__ == "__main__":
    main()
