# SPDX-License-Identifier: LGPL-2.1-or-later
"""served.py: sessions behind a real socket, in this process, so that tests can bring their drivers.

`Served` is the smallest daemon: the C server where it is built, else paper_server's. `connect`
gives a raw RPC client, `opened` one with a connection open.
Called by: the tests of this folder.
"""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

from libvirtcore import core_server
from libvirtcore.core_server import ACCEPTED, CALL, CLOSED, DRAINED, STREAM, Limits, Server, Worker
from libvirtcore.rpc import Client
from libvirtd.dispatch import TRIPLES
from libvirtd.identity import Identity
from libvirtd.services import SERVICES
from libvirtd.session import Session
from tests.libvirtd_dispatch.paper_server import PaperServer

REMOTE, QEMU, LXC = 0x20008086, 0x20008087, 0x00068000
CONNECT_OPEN = 1


class CoreServed:
    """The C server with two workers."""

    def __init__(self, path: str, readonly: bool = False) -> None:
        self.path = path
        self.service = SERVICES[1 if readonly else 0]
        self.sessions: dict[int, Session] = {}
        self.server = Server(Limits(), triples=TRIPLES)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        self.server.listen(listener.detach(), self.service.number)
        self.threads = [
            threading.Thread(target=self._work, args=(self.server.worker(),)) for _ in range(2)
        ]
        for thread in self.threads:
            thread.start()

    def _work(self, worker: Worker) -> None:
        while worker.next():
            if worker.kind == ACCEPTED:
                identity = Identity(0, 0, 1)
                session = Session(self.server, worker.client, self.service, identity)
                self.sessions[worker.client] = session
                self.server.accept_client(worker.client, self.service.open_at_once)
                continue
            session = self.sessions[worker.client]
            if worker.kind == CALL:
                session.call(worker)
            elif worker.kind == STREAM:
                session.stream(worker)
            elif worker.kind == DRAINED:
                session.drained(worker)
            elif worker.kind == CLOSED:
                del self.sessions[worker.client]
                session.close()

    def close(self) -> None:
        self.server.stop()
        for thread in self.threads:
            thread.join(10)
        for session in list(self.sessions.values()):
            session.close()
        Path(self.path).unlink()


def serve(path: str, readonly: bool = False) -> CoreServed | PaperServer:
    """A server at a socket's path, to be closed."""
    if core_server._missing:
        return PaperServer(path, readonly)
    return CoreServed(path, readonly)


def connect(path: str | Path) -> Client:
    """A client that has said nothing yet."""
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(path))
    return Client(sock.detach())


def opened(path: str | Path, uri: str = "test:///default", flags: int = 0) -> Client:
    """A client whose connection is open."""
    client = connect(path)
    call(client, CONNECT_OPEN, (uri, flags))
    return client


def call(client: Client, procedure: int, args: Any = None, program: int = REMOTE) -> Any:
    """Make a call. Raises: VirError."""
    return client.call(program, procedure, args, timeout=10.0)
