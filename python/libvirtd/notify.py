# SPDX-License-Identifier: LGPL-2.1-or-later
"""notify.py: what the service manager is told: READY, RELOADING, STOPPING (sd_notify's protocol).

Called by: main.py, daemon.py. Never: fails because nobody listens.
"""

from __future__ import annotations

import os
import time

from libvirtcore.log import DEBUG, log


class Notifier:
    """The manager's socket, if there is one. `take` removes it from our children's environment."""

    def __init__(self, address: str = "") -> None:
        self._address = address

    @classmethod
    def take(cls) -> Notifier:
        return cls(os.environ.pop("NOTIFY_SOCKET", ""))

    def ready(self) -> None:
        self._send("READY=1\nSTATUS=Serving clients")

    def reloading(self) -> None:
        micros = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=Reading the configuration")

    def stopping(self) -> None:
        self._send("STOPPING=1\nSTATUS=Closing connections")

    def main_pid(self) -> None:
        """After we left the process that the manager started."""
        self._send(f"MAINPID={os.getpid()}")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        import socket

        address = self._address
        if address.startswith("@"):
            address = "\0" + address[1:]
        elif not address.startswith("/"):
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.settimeout(1.0)
                sock.connect(address)
                sock.sendall(text.encode())
        except OSError as fault:
            log(DEBUG, "daemon.notify", f"cannot notify '{self._address}': {fault.strerror}")
