# SPDX-License-Identifier: LGPL-2.1-or-later
"""signals.py: signals become entries of a list and a byte in a pipe, so that poll sees them.

They are caught before anybody can find the daemon: a SIGHUP that comes early is a reload as soon as
clients are served, not death. Ordinary handlers are used, no mask and no SIG_IGN: guests and
helpers would inherit those.
Called by: main.py (install), daemon.py (wait). Never: does anything in a handler.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal

END = frozenset((signal.SIGTERM, signal.SIGINT, signal.SIGQUIT))
RELOAD = signal.SIGHUP


class Signals:
    """The signals that have come, oldest first. Made by the main thread."""

    def __init__(self) -> None:
        self._came: list[int] = []
        self._read, self._write = os.pipe()
        for fd in (self._read, self._write):
            os.set_blocking(fd, False)
        self._poll = select.poll()
        self._poll.register(self._read, select.POLLIN)
        self._before = {number: signal.signal(number, self._on) for number in (*END, RELOAD)}
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def _on(self, number: int, _frame: object) -> None:
        if number in END and self._came.count(number) > 1:
            os._exit(128 + number)  # whoever asks three times wants no more manners
        self._came.append(number)

    def wait(self, seconds: float | None) -> list[int]:
        """Sleep until a signal comes or the time is over; those that came."""
        if not self._came:
            self._poll.poll(None if seconds is None else seconds * 1000 + 1)
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 4096)
        came, self._came = self._came, []
        return came

    def end_at_once(self) -> None:
        """From now on a signal to end is obeyed without manners."""
        for number in END:
            signal.signal(number, lambda number, _frame: os._exit(128 + number))

    def close(self) -> None:
        """As it was before."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)
