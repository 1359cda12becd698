# SPDX-License-Identifier: LGPL-2.1-or-later
"""seeds_rpc.py: writes the seeds of fuzz_frame and fuzz_client: what a daemon might say.

Run as `PYTHONPATH=python:. python tests/fuzz/seeds_rpc.py`. A crasher is kept beside them under a
name that says what it was.
"""

from __future__ import annotations

import struct
from pathlib import Path

from tests.rpc.peer import (
    CONTINUE,
    DOMAIN,
    DOMAIN_EVENT,
    ERROR,
    GET_VERSION,
    HOLE,
    KEEPALIVE,
    LOOKUP_BY_NAME,
    MESSAGE,
    OK,
    PING,
    REPLY,
    REPLY_WITH_FDS,
    STREAM,
    VOL_DOWNLOAD,
    error_payload,
    event,
    pack,
    result,
)

CORPUS = Path(__file__).parent / "corpus"

VERSION = pack(GET_VERSION, REPLY, 0, OK, result(GET_VERSION, 7))
LOOKUP = pack(LOOKUP_BY_NAME, REPLY, 1, OK, result(LOOKUP_BY_NAME, DOMAIN))
OPENED = pack(VOL_DOWNLOAD, REPLY, 2)
DATA = pack(VOL_DOWNLOAD, STREAM, 2, CONTINUE, b"stream data")
SKIP = pack(VOL_DOWNLOAD, HOLE, 2, CONTINUE, struct.pack(">qI", 4096, 0))
END = pack(VOL_DOWNLOAD, STREAM, 2, CONTINUE)
CONFIRM = pack(VOL_DOWNLOAD, STREAM, 2, OK)
PINGED = pack(PING, MESSAGE, 0, OK, b"", program=KEEPALIVE)
EVENT = event(DOMAIN_EVENT, DOMAIN, 1, 2)

SESSIONS = {
    "whole_session": VERSION + LOOKUP + EVENT + OPENED + DATA + SKIP + DATA + END + PINGED,
    "answers_out_of_order": LOOKUP + PINGED + VERSION + OPENED + DATA + END + CONFIRM,
    "errors": (
        pack(GET_VERSION, REPLY, 0, ERROR, error_payload(42, 10, "Domain not found"))
        + pack(LOOKUP_BY_NAME, REPLY, 1, ERROR, error_payload(39, 7, "unknown procedure: 23"))
        + OPENED
        + pack(VOL_DOWNLOAD, STREAM, 2, ERROR, error_payload(38, 38, "No space left on device"))
    ),
    "descriptors": pack(GET_VERSION, REPLY_WITH_FDS, 0, OK, struct.pack(">I", 0) + bytes(8))
    + LOOKUP,
    "text": b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n",
    "tls_alert": bytes.fromhex("15030300020228"),
    "cut": VERSION + LOOKUP[:-3],
}


def main() -> None:
    for target, head in (("fuzz_frame", b"\x06\0"), ("fuzz_client", b"\0")):
        (CORPUS / target).mkdir(parents=True, exist_ok=True)
        for name, stream in SESSIONS.items():
            (CORPUS / target / name).write_bytes(head + stream)


if __name__ == "__main__":
    main()
