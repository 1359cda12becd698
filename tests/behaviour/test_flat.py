# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_flat.py: thousands of connections and calls leave neither descriptors nor memory behind.

Called by: pytest.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable

import libvirt
from tests.behaviour.conftest import Connect

OPENS = 2000
CALLS = 20_000
GROWTH = 2 << 20  # bytes


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def stays_flat(work: Callable[[], None], rounds: int) -> None:
    """A tenth to warm up, then all: the process must be as it was."""
    for _ in range(rounds // 10):
        work()
    gc.collect()
    descriptors, threads, memory = os.listdir("/proc/self/fd"), threading.active_count(), resident()
    for _ in range(rounds):
        work()
    gc.collect()
    assert os.listdir("/proc/self/fd") == descriptors
    assert threading.active_count() == threads
    assert resident() - memory < GROWTH


def test_open_and_close(core: str, uri: str) -> None:
    def work() -> None:
        conn = libvirt.open(uri)
        conn.lookupByName("test")
        conn.close()

    stays_flat(work, OPENS if core == "c" else OPENS // 2)


def test_calls(core: str, uri: str, connect: Connect) -> None:
    conn = connect(uri)
    dom = conn.lookupByName("test")
    turn = 0

    def work() -> None:
        nonlocal turn
        turn += 1
        if turn % 10:
            dom.info()
        else:
            try:
                conn.networkLookupByName("none")
            except libvirt.libvirtError:
                pass

    stays_flat(work, CALLS if core == "c" else CALLS // 2)


def test_failed_opens(core: str, uri: str) -> None:
    def work() -> None:
        try:
            libvirt.open(uri.replace("///default", "///nowhere"))
        except libvirt.libvirtError:
            pass

    stays_flat(work, OPENS // 10)
