# SPDX-License-Identifier: LGPL-2.1-or-later
"""pure_keepalive.py: when to send a PING and when to give a silent peer up, without I/O or clock.

Anything received counts as a sign of life. Times are seconds of the caller's monotonic clock.
Called by: pure_client. Never: sends; asks for the time.
"""

from __future__ import annotations

from libvirtcore.generated.tables import PROGRAMS

PROGRAM = next(program.number for program in PROGRAMS.values() if program.name == "keepalive")
VERSION = PROGRAMS[PROGRAM].version
PING, PONG = 1, 2


class Keepalive:
    """`interval` seconds of silence are answered by a PING, at most `count` times in a row."""

    def __init__(self) -> None:
        self.interval = 0.0
        self.count = 0
        self._left = 0
        self._since = 0.0
        self.last_received = 0.0

    def start(self, interval: float, count: int, now: float) -> None:
        """Begin, change or (interval <= 0) end the watch."""
        self.interval = max(0.0, interval)
        self.count = count
        self._left = count
        self._since = self.last_received = now

    def received(self, now: float) -> None:
        self._left = self.count
        self._since = self.last_received = now

    def due(self, now: float) -> float | None:
        """Seconds until `tick` has something to do; None while off."""
        if not self.interval:
            return None
        return max(0.0, self._since + self.interval - now)

    def tick(self, now: float) -> str:
        """ "" nothing to do yet, "ping" send one, "dead" the peer has been silent for too long."""
        if not self.interval or now < self._since + self.interval:
            return ""
        if self._left <= 0:
            return "dead"
        self._left -= 1
        self._since = now
        return "ping"
