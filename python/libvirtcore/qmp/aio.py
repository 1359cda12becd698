# SPDX-License-Identifier: LGPL-2.1-or-later
"""aio.py: the QMP client for asyncio; the core's sockets are read when the loop says so.

Called by: users (`from libvirtcore.qmp import aio`). Calls: the core, qmp.lines.
Never: blocks the loop; is used by more than the loop's thread.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from libvirtcore.errors import VirError
from libvirtcore.generated.constants import VIR_ERR_OPERATION_TIMEOUT, VIR_ERR_SYSTEM_ERROR
from libvirtcore.qmp.client import Greeting, socket_address
from libvirtcore.qmp.connection import Connection
from libvirtcore.qmp.errors import QMPError, failure
from libvirtcore.qmp.lines import EVENTS_LOST, LINE_MAX, Event, command_text

__all__ = ["Client", "connect"]

SUBSCRIBED_MAX = 10000  # events that one iterator may be behind


class _Subscription:
    """Events for one iterator."""

    def __init__(self) -> None:
        self.waiting: deque[Event] = deque()
        self.lost = 0
        self.bell = asyncio.Event()

    def put(self, event: Event) -> None:
        if self.lost or len(self.waiting) >= SUBSCRIBED_MAX:
            self.lost += 1
        else:
            self.waiting.append(event)
        self.bell.set()

    def take(self) -> Event | None:
        if self.waiting:
            return self.waiting.popleft()
        lost, self.lost = self.lost, 0
        return Event(EVENTS_LOST, {"count": lost}, -1, -1) if lost else None


class Client:
    """One monitor of one QEMU, in one event loop. Made by `connect`."""

    def __init__(self, fd: int, max_line: int = LINE_MAX) -> None:
        """Take a connected socket; `negotiate` comes next."""
        self._loop = asyncio.get_running_loop()
        self._core = Connection(fd, max_line=max_line)
        self._fd = fd
        self._greeted: asyncio.Future[Any] | None = self._loop.create_future()
        self._pending: dict[int, tuple[asyncio.Future[Any], str]] = {}
        self._subscriptions: set[_Subscription] = set()
        self._writing = False
        self.greeting = Greeting({})
        self.oob = False
        self._loop.add_reader(fd, self._ready)

    async def negotiate(self, timeout: float | None = None, oob: bool = False) -> None:
        """Wait for the greeting and leave negotiation mode, all within `timeout` seconds."""
        assert self._greeted is not None
        end = None if timeout is None else self._loop.time() + timeout
        try:
            self.greeting = Greeting(await asyncio.wait_for(self._greeted, timeout))
        except asyncio.TimeoutError:
            self._core.greet(0.0)  # raises, with the words for it
            raise
        self.greeting.check()
        self.oob = oob and "oob" in self.greeting.capabilities
        arguments = {"enable": ["oob"]} if self.oob else None
        left = None if end is None else max(end - self._loop.time(), 0.001)
        await self.execute("qmp_capabilities", arguments, timeout=left)

    async def execute(
        self,
        command: str,
        arguments: dict[str, Any] | None = None,
        *,
        fds: Sequence[int] = (),
        timeout: float | None = None,
        oob: bool = False,
    ) -> Any:
        """Run a command and return its value. Cancelling gives it up.

        Raises: QMPError when QEMU refuses; VirError (OPERATION_TIMEOUT) when it does not answer
        within `timeout` seconds, and what closed the monitor when it is closed.
        """
        line = command_text(command, arguments, oob and self.oob)
        number = self._core.submit(line, fds, lone=True)
        answer = self._loop.create_future()
        self._pending[number] = (answer, command)
        self._watch_writing()
        try:
            return await asyncio.wait_for(answer, timeout)
        except asyncio.TimeoutError:
            text = f"{command} was not answered within {int((timeout or 0) * 1000 + 0.999)} ms"
            raise failure(VIR_ERR_OPERATION_TIMEOUT, text) from None
        finally:
            if self._pending.pop(number, None) is not None:
                self._core.forget(number)

    async def execute_many(
        self,
        commands: Iterable[tuple[str, dict[str, Any] | None]],
        timeout: float | None = None,
    ) -> list[Any]:
        """Send all commands at once; for each in order its value, or its QMPError."""
        answers = await asyncio.gather(
            *(self.execute(name, arguments, timeout=timeout) for name, arguments in commands),
            return_exceptions=True,
        )
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, QMPError):
                raise answer
        return list(answers)

    async def events(self) -> AsyncIterator[Event]:
        """Every event from now on; ends when the monitor is closed."""
        mine = _Subscription()
        self._subscriptions.add(mine)
        try:
            self._hand_out()
            while True:
                event = mine.take()
                if event is not None:
                    yield event
                elif self.closed:
                    return
                else:
                    mine.bell.clear()
                    await mine.bell.wait()
        finally:
            self._subscriptions.discard(mine)

    @property
    def version(self) -> tuple[int, int, int]:
        """QEMU's version."""
        return self.greeting.version

    @property
    def closed(self) -> str | None:
        """None, or why: "error", "eof" or "client"."""
        return self._core.closed

    @property
    def error(self) -> VirError | None:
        """What closed the monitor."""
        return self._core.error

    def stats(self) -> dict[str, int]:
        """Counters since the connection was made, and what waits now."""
        return self._core.stats()

    def close(self) -> None:
        """Close the monitor; whoever waits is told. QEMU itself goes on."""
        self._unwatch()
        self._core.close()
        self._finish()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()

    # --- the loop's side --------------------------------------------------------------------------

    def _ready(self) -> None:
        """The socket has something, or takes something."""
        if not self._core.pump(0.0):
            self._unwatch()
        self._finish()
        self._watch_writing()

    def _finish(self) -> None:
        """Answers and events to whom they belong."""
        if self._greeted is not None:
            self._try_greeting(self._greeted)
        for number, (answer, command) in list(self._pending.items()):
            self._try_answer(number, answer, command)
        self._hand_out()
        if self.closed:
            for each in self._subscriptions:
                each.bell.set()

    def _try_greeting(self, greeted: asyncio.Future[Any]) -> None:
        try:
            greeting = self._core.greet(0.0)
        except VirError as wrong:
            if wrong.code == VIR_ERR_OPERATION_TIMEOUT:
                return
            if not greeted.done():
                greeted.set_exception(wrong)
                greeted.exception()  # nobody has to ask
        else:
            if not greeted.done():
                greeted.set_result(greeting)
        self._greeted = None

    def _try_answer(self, number: int, answer: asyncio.Future[Any], command: str) -> None:
        try:
            done, value = self._core.take(number, command)
        except VirError as wrong:
            del self._pending[number]
            if not answer.done():
                answer.set_exception(wrong)
            return
        if done:
            del self._pending[number]
            if not answer.done():
                answer.set_result(value)

    def _hand_out(self) -> None:
        while self._subscriptions and (event := self._core.next_event()) is not None:
            for each in self._subscriptions:
                each.put(event)

    def _watch_writing(self) -> None:
        wanted = not self.closed and self._core.wants_write
        if wanted != self._writing:
            self._writing = wanted
            if wanted:
                self._loop.add_writer(self._fd, self._ready)
            else:
                self._loop.remove_writer(self._fd)

    def _unwatch(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            self._fd = -1
            self._writing = False


async def connect(
    path: str | tuple[str, int] | None = None,
    *,
    fd: int | None = None,
    timeout: float | None = None,
    oob: bool = False,
    max_line: int = LINE_MAX,
) -> Client:
    """A client on a unix socket, on (host, port), or on a connected socket `fd`, now its own."""
    if fd is None:
        if path is None:
            raise TypeError("connect needs a path or a descriptor")
        began = asyncio.get_running_loop().time()
        fd = await _open(path, timeout)
        if timeout is not None:
            timeout = max(began + timeout - asyncio.get_running_loop().time(), 0.001)
    try:
        client = Client(fd, max_line)
    except BaseException:
        os.close(fd)
        raise
    try:
        await client.negotiate(timeout, oob)
    except BaseException:
        client.close()
        raise
    return client


async def _open(path: str | tuple[str, int], timeout: float | None) -> int:
    with socket_address(path) as (family, address):
        made = socket.socket(family)
        try:
            made.setblocking(False)
            loop = asyncio.get_running_loop()
            await asyncio.wait_for(loop.sock_connect(made, address), timeout)
            return made.detach()
        except asyncio.TimeoutError:
            raise failure(VIR_ERR_OPERATION_TIMEOUT, f"connecting to {path}") from None
        except OSError as wrong:
            text = f"failed to connect to monitor socket {path}: {wrong.strerror or wrong}"
            raise failure(VIR_ERR_SYSTEM_ERROR, text) from None
        finally:
            made.close()
