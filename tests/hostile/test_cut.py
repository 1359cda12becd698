# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_cut.py: a real daemon's side of a session, cut off after every single byte.

What was answered before the cut is right to the last value; the call that is hit ends in one clear
error; all after it say that the socket is closed.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from libvirtcore.errors import VirError
from libvirtcore.generated.tables import PROGRAMS
from libvirtcore.rpc import capture
from libvirtcore.rpc.pure_decode import decode
from libvirtcore.rpc.pure_frame import FrameReader

EOF = "End of file while reading data: Input/output error"
RESET = "Cannot recv data: Connection reset by peer"
PIPE = "Cannot write data: Broken pipe"
CLOSED = "internal error: client socket is closed"


class Step(NamedTuple):
    """One call of the session, and what the daemon then said."""

    program: int
    proc: int
    args: Any
    answer: bytes


def session() -> list[Step]:
    steps: list[Step] = []
    reader = FrameReader()
    text = Path(__file__).with_name("session.capture").read_text()
    for piece in capture.read(text.splitlines()):
        if piece.direction == "<":
            steps[-1] = steps[-1]._replace(answer=steps[-1].answer + piece.data)
            continue
        reader.feed(piece.data)
        while (frame := reader.next()) is not None:
            procedure = PROGRAMS[frame.program].procedures[frame.proc]
            assert procedure is not None
            args = decode(procedure.args, frame.payload)
            steps.append(Step(frame.program, frame.proc, args, b""))
    return steps


STEPS = session()
LENGTH = sum(len(step.answer) for step in STEPS)


def play(client_class: Any, cut: int, half: bool) -> tuple[list[str], str | None, int]:
    """What each call of the session gives when the daemon stops after `cut` bytes."""
    ours, theirs = socket.socketpair()
    client = client_class(ours.detach())
    outcomes = []
    events = 0
    for step in STEPS:
        said = step.answer[:cut]
        cut -= len(said)
        if theirs.fileno() >= 0:
            theirs.sendall(said)
            if len(said) < len(step.answer):
                # Half a close keeps what the client says from failing first.
                theirs.shutdown(socket.SHUT_WR) if half else theirs.close()
                cut = 0
        try:
            outcomes.append(repr(client.call(step.program, step.proc, step.args, 5)))
        except VirError as error:
            outcomes.append(error.message)
        while client.next_event() is not None:
            events += 1
        if half and len(said) < len(step.answer) and theirs.fileno() >= 0:
            theirs.recv(4096)
    reason = client.closed
    client.close()
    theirs.close()
    return outcomes, reason, events


@pytest.fixture(scope="module")
def whole() -> list[str]:
    from libvirtcore.rpc import pure

    outcomes, reason, events = play(pure.Client, LENGTH, True)
    assert reason is None
    assert events == 2
    assert "Domain not found" in outcomes
    assert len(outcomes) == len(STEPS) == 12
    return outcomes


@pytest.mark.slow
@pytest.mark.parametrize("half", [True, False], ids=["shutdown", "close"])
def test_session_cut_at_every_byte(client_class: Any, whole: list[str], half: bool) -> None:
    ends = [0]
    for step in STEPS:
        ends.append(ends[-1] + len(step.answer))
    for cut in range(LENGTH):
        outcomes, reason, _ = play(client_class, cut, half)
        hit = next(index for index, end in enumerate(ends[1:]) if cut < end)
        # The reply may be there although an event behind it was cut, or the other way round.
        if outcomes[hit] == whole[hit]:
            hit += 1
        assert outcomes[:hit] == whole[:hit], cut
        if hit == len(STEPS):
            continue
        if half:
            assert outcomes[hit] == EOF, cut
            assert reason == "eof"
        else:
            assert outcomes[hit] in (EOF, RESET, PIPE), cut
            assert reason in ("eof", "error")
        assert set(outcomes[hit + 1 :]) <= {CLOSED}, cut


@pytest.mark.slow
def test_session_spoiled_at_every_byte(client_class: Any, whole: list[str]) -> None:
    """One byte of the daemon's side is another: an error or another value, at once, never a hang."""
    everything = b"".join(step.answer for step in STEPS)
    for at in range(len(everything)):
        ours, theirs = socket.socketpair()
        client = client_class(ours.detach())
        position = 0
        failures = 0
        for step in STEPS:
            answer = bytearray(step.answer)
            if position <= at < position + len(answer):
                answer[at - position] ^= 0x81
            position += len(answer)
            theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        for step in STEPS:
            try:
                client.call(step.program, step.proc, step.args, 5)
            except VirError as error:
                failures += 1
                assert "Timed out" not in error.message, at
        assert client.closed in (None, "eof", "error")
        client.close()
        theirs.close()
