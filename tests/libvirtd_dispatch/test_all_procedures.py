# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_all_procedures.py: every procedure, with plausible arguments, here and at the real libvirtd.

Each is made by a client of its own on a fresh test:///default, so that nothing of one call is left
for the next. Without the real daemon, our answers are at least never a fault of ours.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c
from libvirtcore.generated.tables import PROGRAMS
from libvirtcore.rpc import Client
from tests.conftest import lacking
from tests.interop.daemon import Daemon, missing
from tests.libvirtd_dispatch import differences
from tests.libvirtd_dispatch.plausible import REMOTE, arguments, calls
from tests.libvirtd_dispatch.served import connect, opened

CONNECT_OPEN, CONNECT_CLOSE = 1, 2
FDS_SENT, FDS_BOTH = 1, 3


@pytest.fixture(scope="module")
def real() -> Iterator[Daemon]:
    lacks = missing()
    if lacks:
        lacking(*lacks)
    with Daemon() as daemon:
        yield daemon


def ask(path: str | Path, program: int, number: int) -> tuple[Any, ...]:
    """What a client is answered: ("value", …) or ("error", its fields)."""
    fresh = (program, number) == (REMOTE, CONNECT_OPEN)
    client = connect(path) if fresh else opened(path)
    try:
        return _ask(client, program, number)
    except VirError as error:
        return ("error", error.to_wire())
    finally:
        try:
            client.call(REMOTE, CONNECT_CLOSE, None, timeout=5.0)
        except VirError:
            pass
        client.close()


def _ask(client: Client, program: int, number: int) -> tuple[Any, ...]:
    procedure = PROGRAMS[program].procedures[number]
    assert procedure is not None
    args = arguments(program, number)
    if procedure.stream:
        return ("stream", client.open_stream(program, number, args, timeout=5.0).reply)
    if not procedure.fds:
        return ("value", client.call(program, number, args, timeout=5.0))
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        sent = [null] if procedure.fds in (FDS_SENT, FDS_BOTH) else []
        value, received = client.call_fds(program, number, args, sent, 5.0)
    finally:
        os.close(null)
    for fd in received:
        os.close(fd)
    return ("value", value, len(received))


def kinds(value: Any) -> Any:
    """A value with types in the place of numbers and texts."""
    if isinstance(value, (list, tuple)):
        return [kinds(item) for item in value]
    if isinstance(value, dict):
        return {name: kinds(item) for name, item in value.items()}
    return type(value).__name__


def lacks_feature(answer: tuple[Any, ...]) -> bool:
    return bool(answer[0] == "error" and answer[1][0] == c.VIR_ERR_NO_SUPPORT)


def differing(
    theirs: str | Path, ours: str | Path, listed: dict[Any, str]
) -> tuple[list[str], Any]:
    """What differs without a reason, and the reasons that were needed."""
    faults, used = [], set()
    for program, number, name in calls():
        expected, actual = ask(theirs, program, number), ask(ours, program, number)
        if actual == expected or lacks_feature(actual):
            continue
        reason = listed.get((program, number))
        if reason is None or (reason in differences.SAME_KIND and kinds(actual) != kinds(expected)):
            faults.append(f"{number} {name}: real {expected}, ours {actual}")
        used.add((program, number))
    return faults, used


@pytest.mark.slow
@pytest.mark.interop
@pytest.mark.timeout(300)
@pytest.mark.parametrize("readonly", [False, True])
def test_each_call_is_answered_as_by_libvirtd(
    real: Daemon, path: str, path_ro: str, readonly: bool
) -> None:
    listed = differences.READ_ONLY if readonly else differences.WRITABLE
    theirs = real.socket_ro if readonly else real.socket
    faults, used = differing(theirs, path_ro if readonly else path, listed)
    assert faults == []
    # Numbers of the clock and the like may happen to agree.
    assert {key for key in listed if listed[key] not in differences.SAME_KIND} <= used


@pytest.mark.slow
@pytest.mark.parametrize("readonly", [False, True])
def test_no_call_shows_a_fault_of_ours(path: str, path_ro: str, readonly: bool) -> None:
    for program, number, name in calls():
        answer = ask(path_ro if readonly else path, program, number)
        if answer[0] == "error":
            assert "the daemon failed at this call" not in answer[1][2], (name, answer)
            assert answer[1][0] != c.VIR_ERR_OK
