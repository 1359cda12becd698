# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_cut.py: a real daemon's side of a session, cut off after every single byte.

What was answered before the cut is right to the last value; the call that is hit ends in one clear
error; all after it say that the socket is closed.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from libvirtcore.errors import VirError
from libvirtcore.generated.constants import VIR_ERR_OPERATION_TIMEOUT
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


def play(
    client_class: Any,
    answers: list[bytes],
    stop: Callable[[socket.socket], None] | None = None,
    deadline: float = 5.0,
) -> tuple[list[str], str | None, int]:
    """What each call of the session gives with these answers.

    The daemon says its part to each call in turn, and is stopped after the first answer that is
    shorter than it was. The client gives up at its first deadline.
    """
    ours, theirs = socket.socketpair()
    client = client_class(ours.detach())
    outcomes = []
    events = 0
    stopped = False
    for step, answer in zip(STEPS, answers, strict=True):
        if not stopped and not client.closed:
            theirs.sendall(answer)
            if stop is not None and len(answer) < len(step.answer):
                stop(theirs)
                stopped = True
        try:
            outcomes.append(repr(client.call(step.program, step.proc, step.args, deadline)))
        except VirError as error:
            outcomes.append(error.message)
            if error.code == VIR_ERR_OPERATION_TIMEOUT:
                break
        while client.next_event() is not None:
            events += 1
    reason = client.closed
    client.close()
    theirs.close()
    return outcomes, reason, events


def cut_off(cut: int) -> list[bytes]:
    """The answers of the session as far as they go in `cut` bytes."""
    answers = []
    for step in STEPS:
        answers.append(step.answer[:cut])
        cut -= len(answers[-1])
    return answers


@pytest.fixture(scope="module")
def whole() -> list[str]:
    from libvirtcore.rpc import pure

    outcomes, reason, events = play(pure.Client, cut_off(LENGTH))
    assert reason is None
    assert events == 2
    assert "Domain not found" in outcomes
    assert len(outcomes) == len(STEPS) == 12
    return outcomes


# Half a close lets the client say what it has to say, and then shows it the end.
STOPS: dict[str, Callable[[socket.socket], None]] = {
    "shutdown": lambda theirs: theirs.shutdown(socket.SHUT_WR),
    "close": lambda theirs: theirs.close(),
}


@pytest.mark.slow
@pytest.mark.parametrize("stop", STOPS)
def test_session_cut_at_every_byte(client_class: Any, whole: list[str], stop: str) -> None:
    ends = list(itertools.accumulate(len(step.answer) for step in STEPS))
    for cut in range(LENGTH):
        outcomes, reason, _ = play(client_class, cut_off(cut), STOPS[stop])
        hit = next(index for index, end in enumerate(ends) if cut < end)
        if outcomes[hit] == whole[hit]:  # the reply was whole, an event behind it was not
            hit += 1
        assert outcomes[:hit] == whole[:hit], cut
        if stop == "shutdown":
            assert outcomes[hit:][:1] == [EOF][: len(STEPS) - hit], cut
            assert reason == "eof"
        else:
            assert set(outcomes[hit:][:1]) <= {EOF, RESET, PIPE}, cut
            assert reason in ("eof", "error")
        assert set(outcomes[hit + 1 :]) <= {CLOSED}, cut


@pytest.mark.slow
def test_session_spoiled_at_every_byte(client_class: Any, whole: list[str]) -> None:
    """One byte is another: another value, an error, or (a larger length) silence and a deadline."""
    late = 0
    harmless = 0
    for at in range(LENGTH):
        answers = []
        for step in STEPS:
            answer = bytearray(step.answer)
            if 0 <= at < len(answer):
                answer[at] ^= 0x81
            at -= len(answer)
            answers.append(bytes(answer))
        outcomes, reason, _ = play(client_class, answers, None, 0.05)
        late += "Timed out" in outcomes[-1]
        harmless += outcomes == whole
        assert reason in (None, "error")
        assert (CLOSED in outcomes) <= (reason == "error")
    assert late <= 4 * len(STEPS)
    assert 0 < harmless < LENGTH // 4
