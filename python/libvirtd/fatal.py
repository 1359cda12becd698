# SPDX-License-Identifier: LGPL-2.1-or-later
"""fatal.py: why the daemon cannot start, and the exit status that says so.

The numbers are those of libvirt's daemons, so that units and scripts can go on telling them apart.
Called by: every part that runs at start; main.py turns it into a message and a status.
Never: raised once clients are served.
"""

from __future__ import annotations

USAGE = PIDFILE = CONFIG = 1
RUNDIR = 2
INIT = 3
SIGNAL = 4
NETWORK = 6
DRIVER = 10

_HEADLINES = {
    PIDFILE: "Unable to start",
    RUNDIR: "Unable to create the run directory",
    INIT: "Unable to initialize the server",
    SIGNAL: "Unable to set up signal handlers",
    NETWORK: "Unable to initialize network sockets",
    DRIVER: "Unable to initialize a driver",
}


class Fatal(Exception):
    """The start ends here; `status` is the exit status of the program."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def headline(status: int) -> str:
    """What failed, in few words, for the terminal that a daemon has left behind."""
    return _HEADLINES.get(status, "Unable to start")
