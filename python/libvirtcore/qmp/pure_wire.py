# SPDX-License-Identifier: LGPL-2.1-or-later
"""pure_wire.py: the socket of the pure client: commands out as the peer takes them, bytes in.

Called by: pure. Calls: rpc.pure_socket, of which it is a variant: descriptors go with the first
byte of their command, commands can be withdrawn while nothing of them is sent.
Never: blocks except in `wait`.
"""

from __future__ import annotations

import array
import os
import socket
from collections import deque
from collections.abc import Sequence

from libvirtcore.qmp.errors import system_failure
from libvirtcore.rpc.pure_socket import Wire

FDS_MAX = 16  # with one command
UNSENT_MAX = 64 << 20  # bytes that the peer does not take


class _Command:
    __slots__ = ("data", "fds", "number")

    def __init__(self, number: int, data: bytes, fds: list[int]) -> None:
        self.number: int | None = number  # None when some of it is sent
        self.data = memoryview(data)
        self.fds = fds


class CommandWire(Wire):
    """A connected socket with a queue of commands."""

    def __init__(self, fd: int) -> None:
        self._commands: deque[_Command] = deque()
        super().__init__(fd)
        self.passes_fds = False  # what a peer sends beside bytes is refused by the kernel

    def push_command(self, number: int, data: bytes, fds: Sequence[int]) -> None:
        """Queue a command with copies of the descriptors."""
        copies: list[int] = []
        try:
            for fd in fds:
                copies.append(os.dup(fd))
        except OSError as wrong:
            _close_all(copies)
            raise system_failure(f"Cannot duplicate FD {fd}", wrong.errno or 0) from None
        self._commands.append(_Command(number, data, copies))
        self.pending += len(data)

    def flush(self) -> None:
        while self._commands:
            command = self._commands[0]
            try:
                count = self._send_some(command)
            except (BlockingIOError, InterruptedError):
                return
            _close_all(command.fds)
            command.number = None
            self.pending -= count
            self.sent += count
            command.data = command.data[count:]
            if not command.data:
                self._commands.popleft()

    def _send_some(self, command: _Command) -> int:
        if not command.fds:
            return self._socket.send(command.data)
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", command.fds))
        return self._socket.sendmsg([command.data], [rights])

    def withdraw(self, number: int) -> bool:
        """Do not send a command of which nothing is sent yet; whether that was so."""
        for command in self._commands:
            if command.number == number:
                self._commands.remove(command)
                self.pending -= len(command.data)
                _close_all(command.fds)
                return True
        return False

    def forget(self) -> None:
        """Send nothing more."""
        while self._commands:
            _close_all(self._commands.popleft().fds)
        self.pending = 0

    def close(self) -> None:
        self.forget()
        super().close()


def _close_all(fds: list[int]) -> None:
    while fds:
        os.close(fds.pop())
