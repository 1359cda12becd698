# SPDX-License-Identifier: LGPL-2.1-or-later
"""child.py: a program whose standard input and output are the connection.

Called by: ssh.py, transport.py (ext).
Ownership: one thread collects what the program writes to its standard error; `close` ends both.
Never: leaves a zombie, or touches the program from a forked copy of this process.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Sequence

from libvirtcore.drivers.remote.failure import system_error
from libvirtcore.drivers.remote.link import Link

_WORDS_MAX = 1024  # bytes of standard error quoted in a message
_LAST_WORDS_SECONDS = 2.0
_GRACE_SECONDS = 0.5
# Ctrl-C at the terminal is meant for the caller, not for the connection.
_DEAF_TO_INTERRUPT = 'trap "" INT; exec "$@"'


class Child:
    """A running program."""

    def __init__(self, argv: Sequence[str], channel: socket.socket) -> None:
        self._owner = os.getpid()
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _DEAF_TO_INTERRUPT, "sh", *argv],
            stdin=channel.fileno(),
            stdout=channel.fileno(),
            stderr=subprocess.PIPE,
        )
        self._said = b""
        self._listener = threading.Thread(
            target=self._listen, name=f"libvirtcore-{os.path.basename(argv[0])}", daemon=True
        )
        self._listener.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _listen(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None
        with stderr:
            while data := os.read(stderr.fileno(), 4096):
                if len(self._said) < _WORDS_MAX:
                    self._said = (self._said + data)[:_WORDS_MAX]

    def words(self) -> str:
        """The beginning of what it wrote to standard error, once it has ended or had time to."""
        if os.getpid() == self._owner:
            self._listener.join(_LAST_WORDS_SECONDS)
        return self._said.decode(errors="replace").strip()

    def close(self) -> None:
        """Wait for the program to end, helping it along step by step."""
        if os.getpid() != self._owner:
            return
        process = self._process
        for urge in (None, process.terminate, process.kill):
            if urge is not None:
                urge()
            try:
                process.wait(_GRACE_SECONDS)
                break
            except subprocess.TimeoutExpired:
                continue
        self._listener.join(_GRACE_SECONDS)


def dial(argv: Sequence[str], secure: bool, peer: str) -> Link:
    """Start a program and make its input and output the connection."""
    if shutil.which(argv[0]) is None:
        raise system_error(f"cannot execute binary {argv[0]}", errno.ENOENT)
    ours, theirs = socket.socketpair()
    try:
        child = Child(argv, theirs)
    except OSError as fault:
        ours.close()
        raise system_error(f"cannot run {argv[0]}", fault.errno or errno.EIO) from None
    finally:
        theirs.close()
    return Link(ours.detach(), secure=secure, peer=peer, helper=child)
