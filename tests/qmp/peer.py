# SPDX-License-Identifier: LGPL-2.1-or-later
"""peer.py: the other end of a monitor's or an agent's socket, told what to say.

Called by: tests of this folder.
"""

from __future__ import annotations

import array
import json
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

from libvirtcore import qmp
from libvirtcore.qmp import Agent

GREETING = (
    b'{"QMP": {"version": {"qemu": {"micro": 3, "minor": 2, "major": 9}, "package": "test"},'
    b' "capabilities": ["oob"]}}\r\n'
)
PATIENCE = 10.0


def answer(said: Any, value: Any = None) -> bytes:
    """The reply to a command as QEMU spells it: with its id if it has one."""
    reply = {"return": {} if value is None else value}
    if "id" in said:
        reply["id"] = said["id"]
    return json.dumps(reply).encode() + b"\r\n"


def refusal(said: Any, class_: str, desc: str) -> bytes:
    """The error that answers a command."""
    number = {"id": said["id"]} if "id" in said else {}
    return json.dumps({"error": {"class": class_, "desc": desc}} | number).encode() + b"\r\n"


def event(name: str, **data: Any) -> bytes:
    stamp = {"seconds": 1700000000, "microseconds": 42}
    return json.dumps({"timestamp": stamp, "event": name, "data": data}).encode() + b"\r\n"


class Peer:
    """One socket. `ours` is the end under test, for whoever takes it."""

    def __init__(self) -> None:
        self.theirs, self._ours = socket.socketpair()
        self.theirs.settimeout(PATIENCE)
        self.fds: list[int] = []
        self._rest = b""
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
        for thread in self._threads:
            thread.join(PATIENCE)
        for fd in self.fds:
            os.close(fd)
        self._ours.close()

    def close(self) -> None:
        self.theirs.close()

    def hang_up(self) -> None:
        self.theirs.shutdown(socket.SHUT_RDWR)

    def fd(self) -> int:
        """The end under test, once."""
        return self._ours.detach()

    def say(self, *parts: bytes) -> None:
        for part in parts:
            self.theirs.sendall(part)

    def hear_raw(self) -> bytes:
        """The next line, descriptors put aside."""
        while b"\n" not in self._rest:
            size = array.array("i").itemsize
            data, ancillary, _, _ = self.theirs.recvmsg(65536, socket.CMSG_SPACE(64 * size))
            for _level, _kind, raw in ancillary:
                got = array.array("i")
                got.frombytes(raw)
                self.fds.extend(got)
            if not data:
                raise EOFError
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def hear(self) -> Any:
        """The next command, parsed."""
        return json.loads(self.hear_raw().lstrip(b"\xff"))

    def run(self, *steps: Callable[[], object]) -> threading.Thread:
        """Do something in a thread, step by step; a closed socket ends it."""

        def quietly() -> None:
            try:
                for step in steps:
                    step()
            except (OSError, EOFError):
                pass

        thread = threading.Thread(target=quietly, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def greet(self) -> None:
        self.say(GREETING)
        self.say(answer(self.hear()))

    def client(self, **options: Any) -> qmp.Client:
        """A client that has negotiated."""
        self.run(self.greet)
        made = qmp.connect(fd=self.fd(), timeout=PATIENCE, **options)
        for thread in self._threads:
            thread.join(PATIENCE)
        return made

    def agent(self, **options: Any) -> Agent:
        return Agent(fd=self.fd(), **{"timeout": PATIENCE, **options})

    def echo(self) -> None:
        """Answer every command with itself, until the end."""
        while True:
            said = self.hear()
            self.say(answer(said, {"did": said.get("execute") or said.get("exec-oob")}))
