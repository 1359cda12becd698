# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_qemu.py: real QEMU processes, healthy, stopped and killed, on both cores."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from libvirtcore import qmp
from libvirtcore.errors import VirError
from libvirtcore.generated.constants import VIR_ERR_OPERATION_TIMEOUT
from libvirtcore.qmp import Agent, QMPError, aio

pytestmark = pytest.mark.slow
Start = Callable[..., Any]


def test_a_paused_qemu(core: Any, start_qemu: Start) -> None:
    process, fd = start_qemu()
    with qmp.connect(fd=fd, timeout=30, oob=True) as client:
        assert client.version >= (2, 10, 0)
        assert client.oob
        assert client.execute("query-status")["running"] is False
        with pytest.raises(QMPError) as caught:
            client.execute("nothing-like-this")
        assert caught.value.class_ == "CommandNotFound"
        schema = client.execute("query-qmp-schema", timeout=30)
        assert len(schema) > 500
        raw = {"query-version": None, "query-kvm": None, "qom-list": {"path": "/"}}
        assert len(client.execute_many(raw.items(), timeout=30)) == 3
        seen: list[qmp.Event] = []
        client.on_event = seen.append
        client.execute("quit")
        while client.pump(10):
            pass
        assert client.closed == "eof"
        assert [each.name for each in seen] == ["SHUTDOWN"]
        assert abs(seen[0].seconds - time.time()) < 60
    assert process.wait(10) == 0


def test_descriptors_reach_qemu(core: Any, start_qemu: Start, tmp_path: Path) -> None:
    _process, fd = start_qemu()
    with qmp.connect(fd=fd, timeout=30) as client, open(tmp_path / "x", "w") as file:
        added = client.execute("add-fd", {"opaque": "mine"}, fds=[file.fileno()])
        sets = client.execute("query-fdsets")
        assert sets[0]["fds"][0]["fd"] == added["fd"]
        client.execute("getfd", {"fdname": "named"}, fds=[file.fileno()])
        client.execute("closefd", {"fdname": "named"})
        with pytest.raises(QMPError):
            client.execute("getfd", {"fdname": "none came"})


def test_a_stopped_qemu_ends_in_a_timeout_and_comes_back(core: Any, start_qemu: Start) -> None:
    process, fd = start_qemu()
    with qmp.connect(fd=fd, timeout=30) as client:
        process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(VirError) as caught:
            client.execute("query-status", timeout=1.0)
        assert 0.99 < time.monotonic() - began < 2
        assert caught.value.code == VIR_ERR_OPERATION_TIMEOUT
        process.send_signal(signal.SIGCONT)
        assert client.execute("query-name", timeout=30) == {}
        assert client.stats()["late_replies"] == 1


def test_a_killed_qemu_is_noticed_at_once(core: Any, start_qemu: Start) -> None:
    process, fd = start_qemu()
    with qmp.connect(fd=fd, timeout=30) as client:
        process.send_signal(signal.SIGSTOP)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(client.execute, "query-status", timeout=30)
            time.sleep(0.05)
            began = time.monotonic()
            process.kill()
            with pytest.raises(VirError, match="End of file from qemu monitor"):
                waiting.result(10)
            assert time.monotonic() - began < 5


def test_threads_and_a_reader(core: Any, start_qemu: Start) -> None:
    _process, fd = start_qemu()
    with qmp.connect(fd=fd, timeout=30) as client:
        client.on_event = lambda happened: None
        client.start_reader()

        def hammer(_thread: int) -> int:
            for _ in range(50):
                assert client.execute("query-status", timeout=30)["running"] is False
            return int(client.execute("query-version", timeout=30)["qemu"]["major"])

        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(hammer, range(4))) == {client.version[0]}


def test_asyncio(core: Any, start_qemu: Start) -> None:
    _process, fd = start_qemu()

    async def main() -> None:
        async with await aio.connect(fd=fd, timeout=30) as client:
            results = await asyncio.gather(*(client.execute("query-status") for _ in range(20)))
            assert {each["status"] for each in results} == {"prelaunch"}
            names = []
            async for happened in _quit_and_listen(client):
                names.append(happened.name)
            assert names == ["SHUTDOWN"]

    asyncio.run(asyncio.wait_for(main(), 60))


async def _quit_and_listen(client: aio.Client) -> Any:
    events = client.events()
    asked = asyncio.ensure_future(client.execute("quit"))
    async for happened in events:
        yield happened
    await asked


def test_a_monitor_that_somebody_else_holds(core: Any, start_qemu: Start, tmp_path: Path) -> None:
    path = str(tmp_path / "second")
    _process, fd = start_qemu("-qmp", f"unix:{path},server=on,wait=off")
    with qmp.connect(fd=fd, timeout=30) as other:
        other.execute("query-status", timeout=30)  # now it listens
    with qmp.connect(path, timeout=30) as first:
        with pytest.raises(VirError, match="another client may hold the monitor"):
            qmp.connect(path, timeout=0.3)
        assert first.execute("query-status", timeout=30)


def test_an_agent_that_is_not_there(core: Any, start_qemu: Start, tmp_path: Path) -> None:
    """QEMU's end of the channel takes bytes though no guest listens."""
    path = str(tmp_path / "agent")
    _process, fd = start_qemu("-chardev", f"socket,id=a,path={path},server=on,wait=off")
    silent = pytest.raises(VirError, match="Guest agent not available for now")
    with qmp.connect(fd=fd, timeout=30), Agent(path, timeout=0.5) as agent, silent:
        agent.execute("guest-ping")


def test_against_plain_sockets(core: Any, start_qemu: Start) -> None:
    """The same questions by hand give the same answers."""
    _process, fd = start_qemu()
    _process, plain_fd = start_qemu()
    questions: list[tuple[str, dict[str, Any] | None]] = [
        ("query-version", None), ("query-machines", None), ("query-command-line-options", None),
        ("device-list-properties", {"typename": "virtio-blk-pci"}), ("query-cpu-definitions", None),
    ]  # fmt: skip
    with qmp.connect(fd=fd, timeout=30) as client, socket.socket(fileno=plain_fd) as plain:
        file = plain.makefile("rwb")
        file.readline()
        for command, arguments in [("qmp_capabilities", None), *questions]:
            file.write(json.dumps({"execute": command, "arguments": arguments or {}}).encode())
            file.flush()
            expected = json.loads(file.readline())["return"]
            if command != "qmp_capabilities":
                assert client.execute(command, arguments, timeout=30) == expected
        file.close()
