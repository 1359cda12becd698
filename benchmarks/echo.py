# SPDX-License-Identifier: LGPL-2.1-or-later
"""echo.py: two trivial processes that exchange the bytes of a call and its reply, and do no more.

What the machine takes for that is the limit of any client and any daemon.
`python echo.py SOCKET BYTES`: takes one client and sends BYTES for whatever it sends.
Called by: daemon (class Echo), which runs it as a script. Never: knows what the bytes mean.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile


class Echo:
    """This process and another one with a socket between them."""

    def __init__(self, sent: int, answered: int) -> None:
        self._message = bytes(sent)
        self._folder = tempfile.TemporaryDirectory(prefix="lvc-bench-")
        path = f"{self._folder.name}/sock"
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", __file__, path, str(answered)], stdout=subprocess.PIPE
        )
        self.pid = self._process.pid
        assert self._process.stdout is not None
        self._process.stdout.readline()
        self._peer = socket.socket(socket.AF_UNIX)
        self._peer.connect(path)

    def one(self) -> None:
        """A message out and its answer in."""
        self._peer.send(self._message)
        self._peer.recv(65536)

    def close(self) -> None:
        self._peer.close()
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()


def serve(path: str, answered: int) -> None:
    answer = bytes(answered)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)
        print("ready", flush=True)
        peer, _ = listener.accept()
        receive, send = peer.recv, peer.send
        while receive(65536):
            send(answer)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
