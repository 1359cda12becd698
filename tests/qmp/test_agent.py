# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_agent.py: the guest agent's client, against agents that are slow, gone or hostile."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from libvirtcore.errors import VirError
from libvirtcore.generated.constants import (
    VIR_ERR_AGENT_UNRESPONSIVE,
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_OPERATION_ABORTED,
)
from libvirtcore.qmp import QMPError
from tests.qmp.peer import Peer


def sync(peer: Peer) -> int:
    """Hear a handshake; its number."""
    raw = peer.hear_raw()
    assert raw.startswith(b"\xff")
    said = json.loads(raw[1:])
    assert said["execute"] == "guest-sync-delimited"
    return int(said["arguments"]["id"])


def say(peer: Peer, value: Any, key: str = "return") -> None:
    peer.say(json.dumps({key: value}).encode() + b"\n")


def agree(peer: Peer) -> None:
    peer.say(b"\xff" + json.dumps({"return": sync(peer)}).encode() + b"\n")


def serve(peer: Peer, *answers: Any) -> Callable[[], None]:
    """A handshake, then one answer to each command."""

    def script() -> None:
        agree(peer)
        for value in answers:
            peer.hear()
            say(peer, value)

    return script


def test_handshake_once_then_commands(peer: Peer) -> None:
    peer.run(serve(peer, {"version": "7.2"}, 5))
    with peer.agent() as agent:
        assert agent.execute("guest-info") == {"version": "7.2"}
        assert agent.execute("guest-get-time", {"x": 1}) == 5


def test_commands_carry_no_id(peer: Peer) -> None:
    """Old agents refuse members that they do not know."""
    heard: list[Any] = []

    def script() -> None:
        agree(peer)
        heard.append(peer.hear())
        say(peer, {})

    peer.run(script)
    with peer.agent() as agent:
        agent.execute("guest-ping")
    assert heard == [{"execute": "guest-ping"}]


def test_what_comes_before_the_handshake_is_thrown_away(peer: Peer) -> None:
    old = [
        b'{"return": "of somebody else"}\n',
        b"\x00\x01 login: \xff\xfe\n",
        b'{"error": {"class": "GenericError", "desc": "JSON parse error"}}\n',
        b'{"return": 17}\n',
        b'{"event": "X"}\n' * 10,
        b'{"half": ',
    ]
    peer.say(*old)

    def script() -> None:
        number = sync(peer)
        say(peer, number + 1)
        say(peer, str(number))
        say(peer, {"id": number})
        peer.say(b"garbage without an end\xff" + json.dumps({"return": number}).encode() + b"\n")
        peer.hear()
        say(peer, "mine")

    peer.run(script)
    with peer.agent() as agent:
        assert agent.execute("guest-info") == "mine"
        assert agent.stats()["dropped"] >= 1


def test_refusal(peer: Peer) -> None:
    def script() -> None:
        agree(peer)
        peer.hear()
        say(peer, {"class": "CommandNotFound", "desc": "what?"}, "error")
        peer.hear()
        say(peer, 1)

    peer.run(script)
    with peer.agent() as agent:
        with pytest.raises(QMPError) as caught:
            agent.execute("guest-nothing")
        assert caught.value.class_ == "CommandNotFound"
        assert caught.value.message == (
            "internal error: unable to execute QEMU agent command 'guest-nothing': what?"
        )
        assert agent.execute("guest-ping") == 1  # no new handshake


def test_silence_is_unresponsive(peer: Peer) -> None:
    with peer.agent(timeout=0.2) as agent:
        began = time.monotonic()
        with pytest.raises(VirError) as caught:
            agent.execute("guest-ping")
        assert 0.19 < time.monotonic() - began < 2
        assert caught.value.code == VIR_ERR_AGENT_UNRESPONSIVE
        assert caught.value.message == (
            "Guest agent is not responding: Guest agent not available for now"
        )


def test_late_answer_is_not_taken_for_the_next(peer: Peer) -> None:
    def script() -> None:
        agree(peer)
        peer.hear()  # never answered in time
        number = sync(peer)
        say(peer, "late")
        peer.say(b"\xff" + json.dumps({"return": number}).encode() + b"\n")
        peer.hear()
        say(peer, "right")

    peer.run(script)
    with peer.agent() as agent:
        with pytest.raises(VirError):
            agent.execute("guest-slow", timeout=0.2)
        assert agent.execute("guest-quick") == "right"


def test_agent_that_goes(peer: Peer) -> None:
    peer.run(lambda: agree(peer), peer.hear, peer.hang_up)
    with peer.agent() as agent:
        with pytest.raises(VirError, match="disappeared while executing command") as caught:
            agent.execute("guest-ping")
        assert caught.value.code == VIR_ERR_AGENT_UNRESPONSIVE
        assert agent.closed == "eof"


def test_commands_without_an_answer(peer: Peer) -> None:
    def script() -> None:
        agree(peer)
        peer.hear()
        time.sleep(0.3)
        agree(peer)
        peer.hear()
        say(peer, {"class": "GenericError", "desc": "no"}, "error")
        peer.hear()
        peer.hang_up()

    peer.run(script)
    with peer.agent() as agent:
        assert agent.execute("guest-shutdown", reply=False, timeout=0.2) is None
        with pytest.raises(QMPError, match="no"):
            agent.execute("guest-shutdown", reply=False)
        assert agent.execute("guest-shutdown", reply=False) is None


def test_an_answer_beyond_the_limit(peer: Peer) -> None:
    def script() -> None:
        agree(peer)
        peer.hear()
        peer.say(b'{"return": "' + b"x" * (1 << 20))

    peer.run(script)
    with peer.agent(max_line=50_000) as agent:
        with pytest.raises(VirError, match="agent sent a line of more than 50000 bytes") as caught:
            agent.execute("guest-ping")
        assert caught.value.code == VIR_ERR_INTERNAL_ERROR


@pytest.mark.slow
def test_a_guest_that_never_stops_talking(peer: Peer) -> None:
    """Lines without end are no reason to wait longer, or to keep anything."""

    def script() -> None:
        while True:
            peer.say(b'{"return": 1}\nnonsense\n\xff\n' * 500)

    peer.run(script)
    with peer.agent(timeout=0.5) as agent:
        began = time.monotonic()
        with pytest.raises(VirError) as caught:
            agent.execute("guest-ping")
        assert caught.value.code == VIR_ERR_AGENT_UNRESPONSIVE
        assert time.monotonic() - began < 3
        assert agent.stats()["queued_bytes"] == 0


def test_random_bytes_never_answer(peer: Peer) -> None:
    dice = random.Random(3)
    peer.run(lambda: peer.say(*(dice.randbytes(300) for _ in range(300))))
    with peer.agent(timeout=0.4) as agent:
        with pytest.raises(VirError) as caught:
            agent.sync()
        assert caught.value.code == VIR_ERR_AGENT_UNRESPONSIVE


def test_cancel(peer: Peer) -> None:
    import threading

    with peer.agent() as agent:
        threading.Timer(0.1, agent.cancel).start()
        with pytest.raises(VirError) as caught:
            agent.execute("guest-ping")
        assert caught.value.code == VIR_ERR_OPERATION_ABORTED
