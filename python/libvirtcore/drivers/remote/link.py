# SPDX-License-Identifier: LGPL-2.1-or-later
"""link.py: a connected transport, as the RPC client gets it.

Whatever the way to the daemon, the client is handed one stream descriptor. `Link` keeps what
belongs to that descriptor besides: a child process, a pump thread, and what they have to say when
it breaks.
Called by: transport.py and the transports (make them), driver.py (uses and closes them).
Never: reads or writes the descriptor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Helper(Protocol):
    """Something that works behind a descriptor."""

    def words(self) -> str | None:
        """What it said about a failure; None when it has no say in errors."""

    def close(self) -> None:
        """Stop it; the descriptor has been closed before."""


@dataclass
class Link:
    """`fd` belongs to the RPC client as soon as there is one."""

    fd: int
    secure: bool = False  # nobody else on the way can read or change the data
    encrypted: bool = False
    peer: str = "localhost"
    helper: Helper | None = None

    def words(self) -> str | None:
        return None if self.helper is None else self.helper.words()

    def close(self) -> None:
        """Stop the helper, if any."""
        helper, self.helper = self.helper, None
        if helper is not None:
            helper.close()
