# SPDX-License-Identifier: LGPL-2.1-or-later
"""agent.py: a client of the guest agent, whose answers come from a guest that may be hostile.

The agent's socket outlives whoever spoke before, so a conversation begins with a handshake
(guest-sync-delimited): what comes before its answer is thrown away. A command that was given up
ends the conversation.
Called by: users (`from libvirtcore.qmp import Agent`), drivers.qemu. Calls: the core, qmp.lines.
Never: sends a second command before the first is answered or given up; trusts an answer's shape.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from typing import Any

from libvirtcore.errors import VirError
from libvirtcore.generated.constants import (
    VIR_ERR_AGENT_UNRESPONSIVE,
    VIR_ERR_OPERATION_ABORTED,
    VIR_ERR_OPERATION_TIMEOUT,
)
from libvirtcore.qmp.client import open_socket
from libvirtcore.qmp.connection import Connection
from libvirtcore.qmp.errors import QMPError, failure
from libvirtcore.qmp.lines import command_text

__all__ = ["AGENT_LINE_MAX", "AGENT_SECONDS", "Agent"]

AGENT_LINE_MAX = 16 << 20  # bytes of one answer
AGENT_SECONDS = 5.0  # for the handshake, and for a command, unless said otherwise

_number = random.SystemRandom().getrandbits


class Agent:
    """The agent in one guest. Any thread may use it; commands take turns."""

    def __init__(
        self,
        path: str | tuple[str, int] | None = None,
        *,
        fd: int | None = None,
        timeout: float | None = AGENT_SECONDS,
        max_line: int = AGENT_LINE_MAX,
    ) -> None:
        """Connect to a unix socket, or take the connected socket `fd`; nothing is sent yet.

        `timeout` is how many seconds a command may take by default; None is for ever.
        """
        if fd is None:
            if path is None:
                raise TypeError("Agent needs a path or a descriptor")
            fd = open_socket(path, timeout)
        try:
            self._core = Connection(fd, agent=True, max_line=max_line)
        except BaseException:
            socket.close(fd)
            raise
        self.timeout = timeout
        self._turn = threading.Lock()
        self._synced = False

    def execute(
        self,
        command: str,
        arguments: dict[str, Any] | None = None,
        *,
        timeout: float | None = -1.0,
        reply: bool = True,
    ) -> Any:
        """Run a command and return its value; `timeout` None is for ever, negative the default.

        With `reply` False the command is one that is only answered when it fails, as
        guest-shutdown: silence within the time, or the end of the connection, is success (None).
        Raises: QMPError when the agent refuses; VirError (AGENT_UNRESPONSIVE) when it is silent.
        """
        text = command_text(command, arguments)
        if timeout is not None and timeout < 0:
            timeout = self.timeout
        end = None if timeout is None else time.monotonic() + timeout
        if not self._turn.acquire(timeout=-1 if timeout is None else timeout):
            raise _unresponsive()
        try:
            self._sync(_left(end))
            self._synced = False  # until the answer is there
            try:
                value = self._core.execute(text, command, (), _left(end))
            except QMPError:
                self._synced = True
                raise
            except VirError as wrong:
                if not reply and (wrong.code == VIR_ERR_OPERATION_TIMEOUT or self.closed == "eof"):
                    return None
                raise _translated(wrong, self._core) from None
            self._synced = True
            return value
        finally:
            self._turn.release()

    def sync(self, timeout: float | None = -1.0) -> None:
        """Make sure that an agent is there and answers."""
        if timeout is not None and timeout < 0:
            timeout = self.timeout
        end = None if timeout is None else time.monotonic() + timeout
        if not self._turn.acquire(timeout=-1 if timeout is None else timeout):
            raise _unresponsive()
        try:
            self._synced = False
            self._sync(_left(end))
        finally:
            self._turn.release()

    def _sync(self, timeout: float | None) -> None:
        if self._synced:
            return
        try:
            self._core.sync(_number(31), timeout)
        except VirError as wrong:
            raise _translated(wrong, self._core) from None
        self._synced = True

    # --- the connection ---------------------------------------------------------------------------

    def fileno(self) -> int:
        """The socket, for an event loop that calls `pump`; -1 once closed."""
        return self._core.fileno()

    def pump(self, timeout: float | None = 0.0) -> bool:
        """Read what is there (it is thrown away), or wait for it; False once closed."""
        return self._core.pump(timeout)

    def cancel(self, thread_id: int | None = None) -> int:
        """Wake whoever waits (in one thread, if given) with OPERATION_ABORTED; how many."""
        return self._core.cancel(thread_id)

    @property
    def closed(self) -> str | None:
        """None, or why: "error", "eof" or "client"."""
        return self._core.closed

    @property
    def error(self) -> VirError | None:
        """What closed the connection."""
        return self._core.error

    def stats(self) -> dict[str, int]:
        """Counters since the connection was made, and what waits now."""
        return self._core.stats()

    def close(self) -> None:
        """Close the socket; whoever waits is told."""
        self._core.close()

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _left(end: float | None) -> float | None:
    return None if end is None else max(end - time.monotonic(), 0.001)


def _unresponsive(text: str = "Guest agent not available for now") -> VirError:
    return failure(VIR_ERR_AGENT_UNRESPONSIVE, text)


def _translated(wrong: VirError, core: Connection) -> VirError:
    """A failed wait in the words for agents."""
    if wrong.code == VIR_ERR_OPERATION_ABORTED:
        return wrong
    if wrong.code == VIR_ERR_OPERATION_TIMEOUT:
        return _unresponsive()
    if core.closed == "eof":
        return _unresponsive("Guest agent disappeared while executing command")
    return wrong
