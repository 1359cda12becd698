# SPDX-License-Identifier: LGPL-2.1-or-later
"""monitor_worker.py: QMP clients, each on a QEMU of its own, in one process.

Run as a script with our package on its path, and that of `qemu.qmp` if there is one. Prints which
clients there are; for each line `COUNT` it reads, the seconds of one command through each of them.
Called by: monitor, as a process. Never: starts a guest; the machine of these QEMUs is `none`.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from libvirtcore import qmp

QEMU = (
    "qemu-system-x86_64", "-S", "-no-user-config", "-nodefaults", "-display", "none",
    "-machine", "none", "-mon", "chardev=m,mode=control",
)  # fmt: skip
COMMAND = "query-status"
MESSAGE = b'{"execute":"query-status"}\n'  # as short as ours


class Qemus:
    """The processes, and our ends of their monitors."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> socket.socket:
        mine, its = socket.socketpair()
        with its:
            fd = its.fileno()
            command = [*QEMU, "-chardev", f"socket,id=m,fd={fd}"]
            self._processes.append(subprocess.Popen(command, pass_fds=[fd]))
        return mine

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


def raw(peer: socket.socket) -> Callable[[], Any]:
    """The command's bytes out and those of the answer in."""
    peer.recv(65536)
    peer.sendall(b'{"execute":"qmp_capabilities"}\r\n')
    peer.recv(65536)

    def one() -> None:
        peer.send(MESSAGE)
        if not peer.recv(65536).endswith(b"\n"):
            raise RuntimeError("an answer came in pieces")

    return one


async def measure(qemus: Qemus) -> None:
    plain: dict[str, Callable[[], Any]] = {"raw socket": raw(qemus.start())}
    client = qmp.connect(fd=qemus.start().detach(), timeout=10)
    plain["ours"] = lambda: client.execute(COMMAND)
    waiting: dict[str, Callable[[], Awaitable[Any]]] = {}
    mine = await qmp.aio.connect(fd=qemus.start().detach())
    waiting["ours, asyncio"] = lambda: mine.execute(COMMAND)
    try:
        from qemu.qmp import QMPClient  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        pass
    else:
        theirs = QMPClient("bench")
        await theirs.connect(qemus.start())
        waiting["qemu.qmp"] = lambda: theirs.execute(COMMAND)
    print(*[name.replace(" ", "_") for name in (*plain, *waiting)], flush=True)
    for line in sys.stdin:
        count = int(line)
        times = []
        for call in plain.values():
            start = time.perf_counter()
            for _ in range(count):
                call()
            times.append((time.perf_counter() - start) / count)
        for wait in waiting.values():
            start = time.perf_counter()
            for _ in range(count):
                await wait()
            times.append((time.perf_counter() - start) / count)
        print(*times, flush=True)


if __name__ == "__main__":
    running = Qemus()
    try:
        asyncio.run(measure(running))
    finally:
        running.close()
