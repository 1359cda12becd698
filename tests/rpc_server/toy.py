# SPDX-License-Identifier: LGPL-2.1-or-later
"""toy.py: a daemon that knows next to nothing, on the real server, for the tests of this folder.

`Toy.calls[procedure]` answers a call; what it does not have is answered with NO_SUPPORT.
Called by: the tests of this folder, sanitize.py. Never: holds state of its own about clients.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from libvirtcore.core import Client
from libvirtcore.core_server import (
    ACCEPTED,
    CALL,
    CLOSED,
    DRAINED,
    STREAM,
    Limits,
    Server,
    Worker,
)
from libvirtcore.errors import report
from tests.rpc.peer import DOMAIN, GET_HOSTNAME, GET_VERSION, LOOKUP_BY_NAME, Peer

Handler = Callable[[Worker], None]

GET_INFO = 16  # (domain,) -> (state, max_mem, memory, cpus, time); not of high priority
GET_XML_DESC = 14  # (domain, flags) -> (xml,)
NO_SUPPORT = report(3, 7, "toy").to_wire()


class Toy:
    """A server, its threads, and what came to pass."""

    def __init__(
        self, limits: Limits | None = None, workers: int = 2, prio: int = 1, trusted: bool = True,
        **options: Any,
    ) -> None:  # fmt: skip
        self.server = Server(limits or Limits(), **options)
        self.trusted = trusted  # clients need not authenticate
        self.calls: dict[int, Handler] = {
            GET_VERSION: lambda worker: worker.reply((7,)),
            GET_HOSTNAME: lambda worker: worker.reply(("toy",)),
            LOOKUP_BY_NAME: lambda worker: worker.reply(((worker.value[0], *DOMAIN[1:]),)),
            GET_INFO: lambda worker: worker.reply((1, 2**40, 2**20, 2, 2**35)),
            GET_XML_DESC: lambda worker: worker.reply(("x" * worker.value[1],)),
        }
        self.streams: Handler = lambda worker: None
        self.drained: Handler = lambda worker: None
        self.accepted: list[int] = []
        self.closed: dict[int, str] = {}
        self.faults: list[BaseException] = []
        self.changed = threading.Condition()
        self.threads = [
            threading.Thread(target=self._run, args=(index >= workers,), daemon=True)
            for index in range(workers + prio)
        ]
        for thread in self.threads:
            thread.start()

    def _run(self, prio: bool) -> None:
        try:
            worker = self.server.worker(prio)
            while worker.next():
                self._work(worker)
        except BaseException as fault:  # the test shall see it
            self.faults.append(fault)

    def _work(self, worker: Worker) -> None:
        if worker.kind == CALL:
            answer = self.calls.get(worker.procedure)
            if answer is None:
                worker.fail(NO_SUPPORT)
            else:
                answer(worker)
        elif worker.kind == STREAM:
            self.streams(worker)
        elif worker.kind == DRAINED:
            self.drained(worker)
        else:
            with self.changed:
                if worker.kind == ACCEPTED:
                    self.accepted.append(worker.client)
                    self.server.accept_client(worker.client, self.trusted)
                elif worker.kind == CLOSED:
                    assert worker.client not in self.closed
                    self.closed[worker.client] = worker.reason
                self.changed.notify_all()

    # --- clients ----------------------------------------------------------------------------------

    def connect(self, **options: Any) -> Client:
        """Our own client, on a socketpair."""
        ours, theirs = socket.socketpair()
        self.server.adopt(theirs.detach(), 0)
        return Client(ours.detach(), **options)

    def peer(self) -> Peer:
        """A client in the hands of the test."""
        ours, theirs = socket.socketpair()
        self.server.adopt(theirs.detach(), 0)
        return Peer(ours)

    def listen(self, path: Path, service: int = 1) -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(path))
            self.server.listen(os.dup(sock.fileno()), service)

    def until(self, ready: Callable[[], Any], timeout: float = 10) -> None:
        """Wait for something that a client's coming or going changes."""
        with self.changed:
            assert self.changed.wait_for(ready, timeout), "it did not come to pass"

    def close(self) -> None:
        self.server.stop()
        for thread in self.threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in self.threads)
        assert self.faults == []
