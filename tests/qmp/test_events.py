# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_events.py: events, readers and many threads on one monitor, on both cores."""

from __future__ import annotations

import select
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from libvirtcore import qmp
from libvirtcore.errors import VirError
from libvirtcore.qmp import Event
from tests.qmp.peer import Peer, answer, event


def test_events_wait_to_be_fetched(peer: Peer, client: qmp.Client) -> None:
    peer.say(event("STOP"), event("RESUME", a=1))
    assert client.next_event(10) == Event("STOP", {}, 1700000000, 42)
    assert client.next_event(0) == Event("RESUME", {"a": 1}, 1700000000, 42)
    began = time.monotonic()
    assert client.next_event(0.1) is None
    assert 0.09 < time.monotonic() - began < 2
    peer.run(lambda: time.sleep(0.05), lambda: peer.say(event("LATER")))
    happened = client.next_event(10)
    assert happened is not None and happened.name == "LATER"
    peer.hang_up()
    with pytest.raises(VirError, match="End of file"):
        client.next_event(10)


def test_events_between_command_and_answer(peer: Peer, client: qmp.Client) -> None:
    seen: list[str] = []
    client.on_event = lambda happened: seen.append(happened.name)

    def script() -> None:
        said = peer.hear()
        peer.say(event("A"), event("B"))
        time.sleep(0.05)
        peer.say(answer(said, 1), event("C"))

    peer.run(script)
    assert client.execute("x", timeout=10) == 1
    assert seen[:2] == ["A", "B"]
    while len(seen) < 3:
        assert client.pump(1)
    assert seen == ["A", "B", "C"]


@pytest.mark.parametrize("reader", [False, True])
def test_callback_that_fails_stops_no_events(
    peer: Peer, client: qmp.Client, monkeypatch: pytest.MonkeyPatch, reader: bool
) -> None:
    faults: list[Any] = []
    seen: list[str] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, *_rest: faults.append(kind))

    def callback(happened: Event) -> None:
        seen.append(happened.name)
        if happened.name == "bad":
            raise LookupError

    client.on_event = callback
    if reader:
        client.start_reader()
    for name in ("bad", "good"):
        peer.say(event(name))
        until = time.monotonic() + 10
        while name not in seen and time.monotonic() < until:
            time.sleep(0.01)
            if not reader:
                client.pump(0)
    assert seen == ["bad", "good"]
    assert faults == [LookupError]


def test_callback_may_use_the_monitor(peer: Peer, client: qmp.Client) -> None:
    got: list[Any] = []
    client.on_event = lambda happened: got.append(client.execute(happened.name, timeout=10))
    peer.run(peer.echo)
    peer.say(event("one"), event("two"))
    assert client.execute("x", timeout=10) == {"did": "x"}
    while len(got) < 2:
        client.pump(1)
    assert got == [{"did": "one"}, {"did": "two"}]


def test_reader_thread_delivers_while_others_call(peer: Peer, client: qmp.Client) -> None:
    seen: list[tuple[str, int]] = []
    threads = set()

    def on_event(happened: Event) -> None:
        threads.add(threading.get_ident())
        seen.append((happened.name, happened.data["n"]))

    client.on_event = on_event
    client.start_reader()

    def script() -> None:
        for number in range(300):
            said = peer.hear()
            peer.say(event("E", n=number), answer(said, said["execute"]))

    peer.run(script)
    with ThreadPoolExecutor(3) as pool:
        names = [f"c{i}" for i in range(300)]
        assert list(pool.map(lambda n: client.execute(n, timeout=10), names)) == names
    end = time.monotonic() + 10
    while len(seen) < 300 and time.monotonic() < end:
        time.sleep(0.01)
    assert seen == [("E", number) for number in range(300)]
    assert len(threads) == 1


def test_a_flood_of_events_is_bounded_and_tells_of_the_gap(peer: Peer, client: qmp.Client) -> None:
    sent = 40_000
    line = event("RTC_CHANGE", pad="x" * 900)

    def script() -> None:
        said = peer.hear()
        for _ in range(sent // 100):
            peer.say(line * 100)
        peer.say(answer(said, "through"))

    peer.run(script)
    assert client.execute("x", timeout=60) == "through"
    stats = client.stats()
    assert stats["events"] == sent
    assert stats["queued_bytes"] <= 16 << 20
    assert stats["events_lost"] > 0
    kept = 0
    while (happened := client.next_event()) is not None:
        if happened.name == "LIBVIRTCORE_EVENTS_LOST":
            assert happened.data == {"count": sent - kept}
        else:
            kept += 1
    assert kept == sent - stats["events_lost"]
    peer.say(event("AFTER"))
    last = client.next_event(10)
    assert last is not None and last.name == "AFTER"


def test_events_do_not_hold_a_deadline_up(peer: Peer, client: qmp.Client) -> None:
    stop = threading.Event()

    def script() -> None:
        while not stop.is_set():
            peer.say(event("X") * 20)

    peer.run(script)
    began = time.monotonic()
    with pytest.raises(VirError, match="was not answered within 300 ms"):
        client.execute("x", timeout=0.3)
    assert time.monotonic() - began < 3
    stop.set()
    client.close()


# --- threads --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_threads_share_a_monitor(peer: Peer, client: qmp.Client) -> None:
    peer.run(peer.echo)

    def hammer(thread: int) -> int:
        for i in range(200):
            name = f"c{thread}-{i}"
            assert client.execute(name, timeout=20) == {"did": name}
        return thread

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(hammer, range(8))) == list(range(8))
    assert client.stats()["commands"] == 1601


def test_a_slow_answer_holds_nobody_up(peer: Peer, client: qmp.Client) -> None:
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(client.execute, "slow", timeout=10)
        held = peer.hear()
        peer.run(peer.echo)
        for _ in range(20):
            assert client.execute("quick", timeout=1) == {"did": "quick"}
        peer.say(answer(held, "done"))
        assert slow.result(10) == "done"


def test_event_loop_pumps(peer: Peer, client: qmp.Client) -> None:
    number = client.submit("x")
    peer.say(answer(peer.hear(), "y"))
    assert select.select([client.fileno()], [], [], 10)[0]
    assert client.pump()
    assert client.wait(number, 1) == "y"
