# SPDX-License-Identifier: LGPL-2.1-or-later
"""session.py: one client: its connection, its registrations, its streams, and who it is.

Several workers may serve calls of one client at once; opening and closing are guarded, the rest is
the drivers' matter. `call`, `stream`, `drained` and `close` answer the kinds of a worker's work.
Called by: the daemon's worker threads. Calls: dispatch.py (functions), events.py, streams.py.
Never: waits for another client.
"""

from __future__ import annotations

import os
from _thread import RLock

from libvirtcore.errors import VirError
from libvirtcore.generated.constants import VIR_STREAM_NONBLOCK
from libvirtcore.handles import StreamHandle
from libvirtcore.log import ERROR, log
from libvirtd.answers import REPLIED, Replied
from libvirtd.dispatch import NOT_OPEN, OPEN, READ_ONLY, internal
from libvirtd.events import Registrations
from libvirtd.streams import Streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from libvirtcore.core_server import Server, Worker
    from libvirtcore.handles import ConnectHandle
    from libvirtd.identity import Identity
    from libvirtd.services import Service


class Session:
    """A client from its acceptance until it is gone.

    `service` says whether it came in by the read-only door and what it must prove; `identity`
    is what the kernel tells of it.
    """

    __slots__ = (
        "__weakref__", "auth", "calls", "claimed", "client", "closed", "conn", "events",
        "identity", "lock", "opened", "readonly", "server", "streams",
    )  # fmt: skip

    conn: ConnectHandle  # set while `opened`

    def __init__(self, server: Server, client: int, service: Service, identity: Identity) -> None:
        self.server = server
        self.client = client
        self.readonly = service.readonly
        self.auth = service.auth
        self.identity = identity
        self.claimed: dict[str, Any] = {}  # by connect_set_identity
        self.lock = RLock()
        self.opened = False
        self.closed = False
        self.calls = NOT_OPEN
        self.events = Registrations(self)
        self.streams = Streams(self)

    # --- work -------------------------------------------------------------------------------------

    def call(self, worker: Worker) -> None:
        """Answer a call (kind CALL)."""
        try:
            value = self.calls[worker.program][worker.procedure](self, worker.value, worker)
        except VirError as error:
            worker.fail(error.to_wire())
        except Exception as problem:
            worker.fail(self._fault(worker, problem))
        else:
            if value is not REPLIED:
                worker.reply(value)

    def stream(self, worker: Worker) -> None:
        """Take a message of a stream (kind STREAM)."""
        self.streams.take(worker)

    def drained(self, _worker: Worker) -> None:
        """The client has read what was queued for it (kind DRAINED)."""
        self.streams.drained()

    def close(self) -> None:
        """The client is gone (kind CLOSED): give everything back. Never raises."""
        with self.lock:
            if self.closed:
                return
            self.closed = True
            opened, self.opened = self.opened, False
            self.calls = NOT_OPEN
        for step in (self.streams.close, self.events.close, self.conn.release if opened else None):
            if step is not None:
                try:
                    step()
                except Exception as problem:
                    log(ERROR, __name__, f"client {self.client}: closing: {problem!r}")

    def _fault(self, worker: Worker, problem: Exception) -> tuple[Any, ...]:
        """A fault of ours, not of the client: it is logged with its place, and told briefly."""
        import traceback

        text = "".join(traceback.format_exception(problem))
        where = f"client {self.client}, program {worker.program:#x} call {worker.procedure}"
        log(ERROR, __name__, f"{where}: {text}")
        return internal(f"the daemon failed at this call: {type(problem).__name__}").to_wire()

    # --- the connection ---------------------------------------------------------------------------

    def open(self, conn: ConnectHandle) -> None:
        """Serve calls on a connection from now on; under `lock`."""
        self.conn = conn
        self.opened = True
        self.calls = READ_ONLY if conn.readonly else OPEN

    # --- what the rows need -----------------------------------------------------------------------

    def new_stream(self) -> StreamHandle:
        """A stream for a driver to open."""
        handle = StreamHandle(self.conn, VIR_STREAM_NONBLOCK)
        self.conn.driver.stream_new(handle)
        return handle

    def stream_opened(
        self, worker: Worker, stream: StreamHandle, sends: bool, value: tuple[Any, ...] | None
    ) -> Replied:
        """Answer the call and let the data flow; `sends`: from the driver to the client."""
        self.streams.opened(worker, stream, sends, value)
        return REPLIED

    def send_descriptors(
        self, worker: Worker, value: tuple[Any, ...] | None, fds: Sequence[int]
    ) -> Replied:
        """Answer the call and hand over descriptors, which are closed here."""
        try:
            worker.reply(value, fds)
        finally:
            for fd in fds:
                os.close(fd)
        return REPLIED
