# SPDX-License-Identifier: LGPL-2.1-or-later
"""background.py: leaving the terminal for -d, and telling it how the start went.

The process that the user started stays until the daemon serves clients or has failed; its exit
status is the daemon's. Nothing needs to be polled after `libvirtd -d`.
Called by: main.py. Never: called after a thread was started.
"""

from __future__ import annotations

import contextlib
import os

from libvirtd.fatal import INIT

_LONGEST = 1 << 16


class Launch:
    """The daemon's side of the pipe to the terminal. Without -d it does nothing."""

    def __init__(self, fd: int = -1) -> None:
        self._fd = fd

    def succeeded(self) -> None:
        self._say(b"0\n")

    def failed(self, status: int, text: str) -> None:
        self._say(f"{status}\n{text}".encode("utf-8", "surrogateescape"))

    def _say(self, message: bytes) -> None:
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.write(self._fd, message[:_LONGEST])
            os.close(self._fd)
            self._fd = -1


def fork() -> tuple[Launch | None, int, str]:
    """Go into the background. In the daemon: its Launch. At the terminal: None, status, reason."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return None, *_await(reader, child)
    os.close(reader)
    os.setsid()
    if os.fork():  # not a session leader: it can never get a terminal
        os._exit(0)
    os.chdir("/")
    _forget_terminal()
    return Launch(writer), 0, ""


def _await(reader: int, child: int) -> tuple[int, str]:
    os.waitpid(child, 0)
    message = b""
    with os.fdopen(reader, "rb") as pipe:
        message = pipe.read(_LONGEST)
    status, _, text = message.decode("utf-8", "surrogateescape").partition("\n")
    if not status.isdecimal():
        return INIT, "the daemon ended without a word"
    return int(status), text


def _forget_terminal() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    if null > 2:
        os.close(null)
