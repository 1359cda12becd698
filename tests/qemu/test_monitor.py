# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_monitor.py: who talks to a QEMU and who hears it, with a QEMU that is a script."""

from __future__ import annotations

import math
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from libvirtcore.drivers.qemu.monitor import Monitor
from libvirtcore.drivers.qemu.monitor_calls import MonitorCalls
from libvirtcore.drivers.qemu.reactor import reactor
from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c
from libvirtcore.qmp import Client, Event
from tests.qmp.peer import Peer, answer, event

Make = Callable[[Callable[[], None]], Monitor]


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as made:
        yield made


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
def make(peer: Peer, heard: list[str]) -> Iterator[Make]:
    """A function that makes a watched monitor of a QEMU with this script."""
    made: list[Monitor] = []

    def handle(happened: Event) -> None:
        heard.append(happened.name)

    def monitor(script: Callable[[], None]) -> Monitor:
        def run() -> None:
            peer.greet()
            script()

        peer.run(run)
        made.append(Monitor(Client(peer.fd(), timeout=10), handle))
        made[0].watch()
        return made[0]

    yield monitor
    for each in made:
        each.close()


def test_event_just_behind_an_answer_is_heard(peer: Peer, make: Make, heard: list[str]) -> None:
    """It comes while the turn ends, when neither the caller nor the reactor may be looking."""
    rounds = 1500

    def script() -> None:
        for _ in range(rounds):
            peer.say(answer(peer.hear()))
            until = time.perf_counter() + random.random() * 0.0002
            while time.perf_counter() < until:
                pass
            peer.say(event("RESET"))

    monitor = make(script)
    for count in range(1, rounds + 1):
        monitor.execute("system_reset")
        until = time.monotonic() + 2
        while len(heard) < count and time.monotonic() < until:
            time.sleep(0.00002)
        assert len(heard) == count


@pytest.mark.parametrize("way", ["execute", "execute_many", "submit"])
def test_command_that_cannot_be_sent_costs_nobody_the_guest(
    peer: Peer, make: Make, heard: list[str], way: str
) -> None:
    monitor = make(peer.echo)
    wrong: tuple[str, Any] = ("x", {"number": math.nan})
    with pytest.raises(VirError) as caught:
        if way == "execute":
            monitor.execute(*wrong)
        elif way == "execute_many":
            monitor.execute_many([("y", None), wrong])
        else:
            monitor.submit([("y", None), wrong])
    assert caught.value.code == c.VIR_ERR_INVALID_ARG
    assert not monitor.closed
    assert monitor.execute("y") == {"did": "y"}
    peer.say(event("STOP"))
    until = time.monotonic() + 10
    while not heard and time.monotonic() < until:
        time.sleep(0.01)
    assert heard == ["STOP"]


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_only_python_takes_are_no_json(word: str) -> None:
    calls = MonitorCalls.__new__(MonitorCalls)
    with pytest.raises(VirError, match="cannot parse json"):
        calls._machine(None, f'{{"execute": "x", "arguments": {{"a": {word}}}}}', [])  # type: ignore[arg-type]


def test_closing_ends_a_talk_that_waits(peer: Peer, make: Make) -> None:
    monitor = make(lambda: peer.hear() and None)
    faults: list[BaseException] = []

    def talk() -> None:
        try:
            monitor.execute("slow", seconds=30)
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=talk)
    thread.start()
    time.sleep(0.1)
    monitor.close()
    thread.join(10)
    (fault,) = faults
    assert isinstance(fault, VirError) and fault.code == c.VIR_ERR_OPERATION_FAILED


def test_descriptor_that_was_forgotten_meanwhile_is_no_fault() -> None:
    read, write = os.pipe()
    reactor().watch(read, lambda: None)
    reactor().forget(read)
    reactor().pause(read)
    reactor().resume(read)
    os.close(read)
    reactor().resume(read)
    os.close(write)
