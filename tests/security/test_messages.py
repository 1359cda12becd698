# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_messages.py: messages that no client sends, for every number there is and fifty beyond.

What one of them is answered is tests/rpc_server/test_server_hostile.py; here the whole daemon, with
a connection open, meets all of them, and a recorded session is cut after each of its bytes.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from libvirtcore.generated.constants import VIR_ERR_NO_SUPPORT, VIR_ERR_RPC
from libvirtcore.generated.tables import PROGRAMS
from tests.libvirtd_dispatch.plausible import arguments
from tests.ours_daemon import OurDaemon
from tests.rpc.peer import CONTINUE, ERROR, HOLE, MESSAGE, OK, REPLY, REPLY_WITH_FDS, STREAM, pack
from tests.security.conftest import descriptors
from tests.security.wire import LXC, QEMU, REMOTE, Raw, encoded

BEYOND = 50
PROGRAM_NUMBERS = (REMOTE, QEMU, LXC)


def test_events_and_numbers_beyond_the_last_are_no_calls(daemon: OurDaemon) -> None:
    """An event's number as a call once ended libvirtd (CVE-2012-4423)."""
    events = 0
    with Raw(daemon.socket) as raw:
        raw.open()
        for program in PROGRAM_NUMBERS:
            rows = PROGRAMS[program].procedures
            for number in (*range(len(rows) + BEYOND), 2**31 - 1, 2**31, 2**32 - 1):
                row = rows[number] if number < len(rows) else None
                if row is not None and row.kind != 2:
                    continue
                events += row is not None
                answer = raw.ask(program, number, bytes(64))
                assert (answer.code, answer.text[:18]) == (VIR_ERR_RPC, "unknown procedure:")
        assert events > 30
        assert raw.alive()


def test_unknown_programs_and_versions_are_refused(daemon: OurDaemon) -> None:
    with Raw(daemon.socket) as raw:
        raw.open()
        for program in (0, 1, REMOTE - 1, REMOTE + 2, 0x20008FFF, 0x6B656570, 2**32 - 1):
            for version in (0, 1, 2, 2**32 - 1):
                answer = raw.ask(program, 4, version=version)
                assert "Cannot find program" in answer.text, (program, version)
        for version in (0, 2, 2**31, 2**32 - 1):
            assert "Cannot find program" in raw.ask(REMOTE, 4, version=version).text
        assert raw.alive()


@pytest.mark.parametrize("status", [OK, ERROR, CONTINUE, 3, 2**32 - 1])
def test_replies_events_and_unknown_types_do_nothing(daemon: OurDaemon, status: int) -> None:
    """Whatever the number, they are passed over or end the connection; nobody acts on them."""
    pid = daemon.pid
    for kind in (REPLY, MESSAGE, STREAM, REPLY_WITH_FDS, HOLE, 7, 255, 2**32 - 1):
        raw = Raw(daemon.socket).open()
        payload = bytes(12) if kind == HOLE else b""
        try:
            for number in range(0, 500, 1 if status == OK else 11):
                raw.sock.sendall(pack(number, kind, number, status, payload))
            assert raw.alive()
        except (EOFError, ConnectionError):
            assert kind > REPLY
        raw.close()
    assert daemon.pid == pid


def session() -> list[bytes]:
    """What a client says that asks, registers for events, starts a stream and says good-bye."""
    said: tuple[tuple[int, Any], ...] = (
        (66, None),
        (60, (10,)),
        (1, ("test:///default", 0)),
        (23, ("test",)),
        (316, (0, None)),
        (14, (_domain(), 0)),
        (201, (_domain(), None, 0)),
        (2, None),
    )
    return [
        pack(number, 0, serial, OK, encoded(REMOTE, number, args))
        for serial, (number, args) in enumerate(said)
    ]


def _domain() -> Any:
    args = arguments(REMOTE, 28)
    assert args is not None
    return args[0]


def test_recorded_session_is_honest(daemon: OurDaemon) -> None:
    codes = []
    with Raw(daemon.socket) as raw:
        for serial, message in enumerate(session()):
            raw.sock.sendall(message)
            codes.append(raw.wait(serial).code)
    assert codes == [0, 0, 0, 0, 0, 0, VIR_ERR_NO_SUPPORT, 0]


@pytest.mark.slow
@pytest.mark.parametrize("waits", [True, False])
def test_close_after_every_byte_leaves_nothing(daemon: OurDaemon, waits: bool) -> None:
    """Early closes were use-after-free and leaks (CVE-2013-0170, CVE-2014-1447)."""
    messages = session()
    before = descriptors(daemon.pid)
    for count, last in enumerate(messages):
        for length in range(len(last)):
            with Raw(daemon.socket) as raw:
                for serial, message in enumerate(messages[:count]):
                    raw.sock.sendall(message)
                    if waits:
                        raw.wait(serial)
                raw.sock.sendall(last[:length])
    limit = time.monotonic() + 10
    while descriptors(daemon.pid) > before and time.monotonic() < limit:
        time.sleep(0.02)
    assert descriptors(daemon.pid) <= before
