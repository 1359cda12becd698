# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_aio.py: the asyncio client on both cores."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from libvirtcore.errors import VirError
from libvirtcore.generated.constants import VIR_ERR_OPERATION_TIMEOUT, VIR_ERR_SYSTEM_ERROR
from libvirtcore.qmp import QMPError, aio
from tests.qmp.peer import GREETING, Peer, answer, event, refusal


def play(peer: Peer, story: Callable[[aio.Client], Awaitable[Any]], echo: bool = True) -> Any:
    """Connect and run a story."""

    def script() -> None:
        peer.greet()
        if echo:
            peer.echo()

    peer.run(script)

    async def main() -> Any:
        async with await aio.connect(fd=peer.fd(), timeout=10) as client:
            return await story(client)

    return asyncio.run(asyncio.wait_for(main(), 30))


def test_commands(peer: Peer) -> None:
    async def story(client: aio.Client) -> None:
        assert client.version == (9, 2, 3)
        assert await client.execute("stop", timeout=10) == {"did": "stop"}
        names = [f"c{i}" for i in range(100)]
        results = await asyncio.gather(*(client.execute(name) for name in names))
        assert [each["did"] for each in results] == names
        many = await client.execute_many([("a", None), ("b", {"x": 1})], timeout=10)
        assert many == [{"did": "a"}, {"did": "b"}]

    play(peer, story)


def test_refusal_and_end(peer: Peer) -> None:
    async def story(client: aio.Client) -> None:
        def script() -> None:
            peer.say(refusal(peer.hear(), "C", "d"))
            peer.hear()
            peer.hang_up()

        peer.run(script)
        with pytest.raises(QMPError, match="'x': d"):
            await client.execute("x")
        with pytest.raises(VirError, match="End of file from qemu monitor"):
            await client.execute("quit")
        assert client.closed == "eof"
        with pytest.raises(VirError, match="End of file from qemu monitor"):
            await client.execute("more")

    play(peer, story, echo=False)


def test_deadline_cancellation_and_late_answers(peer: Peer) -> None:
    async def story(client: aio.Client) -> None:
        with pytest.raises(VirError, match="x was not answered within 100 ms") as caught:
            await client.execute("x", timeout=0.1)
        assert caught.value.code == VIR_ERR_OPERATION_TIMEOUT
        task = asyncio.ensure_future(client.execute("y"))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        def script() -> None:
            for _late in range(2):
                peer.say(answer(peer.hear(), "late"))
            peer.echo()

        peer.run(script)
        assert await client.execute("z", timeout=10) == {"did": "z"}
        assert client.stats()["late_replies"] == 2

    play(peer, story, echo=False)


def test_no_greeting(peer: Peer) -> None:
    async def main() -> None:
        with pytest.raises(VirError, match="no QMP greeting came") as caught:
            await aio.connect(fd=peer.fd(), timeout=0.1)
        assert caught.value.code == VIR_ERR_OPERATION_TIMEOUT

    asyncio.run(main())


def test_the_deadline_counts_for_all_of_connecting(peer: Peer) -> None:
    def script() -> None:
        time.sleep(0.6)
        peer.say(GREETING)  # and no answer to qmp_capabilities

    peer.run(script)

    async def main() -> None:
        with pytest.raises(VirError, match="qmp_capabilities was not answered"):
            await aio.connect(fd=peer.fd(), timeout=0.8)

    began = time.monotonic()
    asyncio.run(main())
    assert 0.7 < time.monotonic() - began < 1.3


def test_wrong_greeting(peer: Peer) -> None:
    peer.say(b"hello\n")

    async def main() -> None:
        with pytest.raises(VirError, match="before its greeting: hello"):
            await aio.connect(fd=peer.fd(), timeout=10)

    asyncio.run(main())


def test_events_reach_every_iterator(peer: Peer) -> None:
    async def story(client: aio.Client) -> None:
        async def take(count: int) -> list[str]:
            names: list[str] = []
            async for happened in client.events():
                names.append(happened.name)
                if len(names) == count:
                    break
            return names

        first, second = asyncio.ensure_future(take(3)), asyncio.ensure_future(take(2))
        await asyncio.sleep(0.05)
        peer.say(event("A"), event("B"), event("C"))
        assert await first == ["A", "B", "C"]
        assert await second == ["A", "B"]
        rest = asyncio.ensure_future(take(99))
        await asyncio.sleep(0.05)
        peer.say(event("D"))
        peer.hang_up()
        assert await rest == ["D"]

    play(peer, story, echo=False)


def test_a_large_command_while_the_peer_reads_slowly(peer: Peer) -> None:
    async def story(client: aio.Client) -> None:
        big = {"a": "x" * (4 << 20)}
        assert await client.execute("big", big, timeout=20) == {"did": "big"}

    play(peer, story)


def test_connect_by_path(core: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "m")
    with socket.socket(socket.AF_UNIX) as listening, Peer() as peer:
        listening.bind(path)
        listening.listen()

        def script() -> None:
            peer.theirs, _ = listening.accept()
            peer.greet()
            peer.echo()

        peer.run(script)

        async def main() -> None:
            async with await aio.connect(path, timeout=10) as client:
                assert await client.execute("stop") == {"did": "stop"}
            with pytest.raises(VirError, match="No such file") as caught:
                await aio.connect(path + "x")
            assert caught.value.code == VIR_ERR_SYSTEM_ERROR

        asyncio.run(main())
