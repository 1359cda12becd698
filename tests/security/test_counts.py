# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_counts.py: counts that lie, in every procedure the daemon serves (CVE-2026-18917 and kin).

A count on the wire is -1, 0, max, max + 1, 2^31 - 1 with no more bytes behind it; a count that the
client asks for as a number ("room for so many") is one of these too. Each call ends in one answer.
The client's side of the same is tests/core/test_counts.py.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest

from libvirtcore.generated import limits
from libvirtcore.generated.tables import PROGRAMS
from tests.core.test_counts import smallest
from tests.libvirtd_dispatch.plausible import arguments
from tests.ours_daemon import OurDaemon
from tests.security.conftest import resident
from tests.security.wire import FAULT_OF_OURS, REMOTE, Raw, calls, encoded, field_names

pytestmark = pytest.mark.slow

ROOM = ("max", "n", "count", "maplen", "size", "cellCount", "num")
LIMITS = sorted({v for k, v in vars(limits).items() if k.endswith("_MAX") and isinstance(v, int)})
LIES = (-1, 0, 1, 2**31 - 1, -(2**31), *LIMITS, *(limit + 1 for limit in LIMITS))
OPEN, CLOSE = (REMOTE, 1), (REMOTE, 2)
SPARED = {"node_suspend_for_duration", "node_alloc_pages"}  # they would reach this machine


def is_room(name: str, value: Any) -> bool:
    """Whether a number says for how many the client has room."""
    return isinstance(value, int) and name.startswith(ROOM) and name not in ("name", "new_name")


def lies(program: int, number: int) -> Iterator[bytes]:
    """The arguments of a procedure with each count on the wire replaced."""
    procedure = PROGRAMS[program].procedures[number]
    assert procedure is not None
    counts: list[tuple[int, int]] = []
    honest = smallest(procedure.args, counts)
    for place, limit in counts:
        for count in (0, limit, limit + 1, 2**31 - 1, 2**31, 2**32 - 1):
            message = bytearray(honest)
            struct.pack_into(">I", message, place, count)
            yield bytes(message)


def test_counts_on_the_wire_end_in_one_answer(daemon: OurDaemon) -> None:
    before, asked = resident(daemon.pid), 0
    for program, number, name in calls():
        procedure = PROGRAMS[program].procedures[number]
        assert procedure is not None
        if (program, number) in (OPEN, CLOSE) or name in SPARED or procedure.args == 0:
            continue
        with Raw(daemon.socket) as raw:
            raw.open()
            for payload in lies(program, number):
                asked += 1
                answer = raw.ask(program, number, payload, with_fd=bool(procedure.fds & 1))
                assert FAULT_OF_OURS not in answer.text, (name, payload, answer)
            assert raw.alive(), name
    assert asked > 3000
    assert resident(daemon.pid) - before < 64 << 20


@pytest.mark.parametrize("driver", ["test:///default", "qemu:///system"])
def test_room_for_any_number_of_things_is_one_answer(daemon: OurDaemon, driver: str) -> None:
    """Room that a client has costs the daemon nothing: no list is made as long as asked for."""
    before, asked = resident(daemon.pid), 0
    for program, number, name in calls():
        args = arguments(program, number)
        if args is None or (program, number) == OPEN or name in SPARED:
            continue
        names = field_names(program, number)
        rooms = [i for i, field in enumerate(names) if is_room(field, args[i])]
        if not rooms:
            continue
        with Raw(daemon.socket) as raw:
            raw.open(driver)
            for place in rooms:
                for lie in LIES:
                    try:
                        changed = (*args[:place], lie, *args[place + 1 :])
                        payload = encoded(program, number, changed)
                    except Exception:
                        payload = encoded(program, number, (*args[:place], 0, *args[place + 1 :]))
                    asked += 1
                    answer = raw.ask(program, number, payload)
                    assert FAULT_OF_OURS not in answer.text, (name, lie, answer)
                    assert len(answer.payload) < 1 << 24, (name, lie)  # bitmaps of CPUs
    assert asked > 2000
    assert resident(daemon.pid) - before < 64 << 20


def test_products_of_counts_do_not_wrap(daemon: OurDaemon) -> None:
    """65,536 × 65,536 is no 0 (CVE-2024-2494, CVE-2026-18917)."""
    numbers = {name: number for program, number, name in calls() if program == REMOTE}
    dom = arguments(REMOTE, numbers["domain_get_vcpus"])
    assert dom is not None
    with Raw(daemon.socket) as raw:
        raw.open()
        for count, length in ((65536, 65536), (16384, 262144), (2, 2**31 - 1), (-1, -1), (3, -1)):
            for name in ("domain_get_vcpus", "domain_get_vcpu_pin_info"):
                extra = () if name == "domain_get_vcpus" else (0,)
                answer = raw.call(REMOTE, numbers[name], (dom[0], count, length, *extra))
                assert answer.refused, (name, count, length)
        answer = raw.call(REMOTE, numbers["node_get_free_pages"], ([4] * 1024, 0, 2**32 - 1, 0))
        assert answer.refused
        assert raw.alive()
