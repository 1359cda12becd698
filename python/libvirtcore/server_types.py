# SPDX-License-Identifier: LGPL-2.1-or-later
"""server_types.py: what the server and its users talk about: kinds of work, limits, clients.

Called by: libvirtcore.core_server, libvirtd. Never: needs the C core.
"""

from __future__ import annotations

from typing import NamedTuple

# Kinds of work, `Worker.kind`.
CALL, ACCEPTED, CLOSED, STREAM, IDLE, DRAINED = range(6)

# Message types and states, for STREAM work (`Worker.type`, `Worker.status`).
TYPE_STREAM, TYPE_STREAM_HOLE = 3, 6
STATUS_OK, STATUS_ERROR, STATUS_CONTINUE = 0, 1, 2


class Limits(NamedTuple):
    """What one server allows. The names that libvirtd.conf has mean what they mean there."""

    max_clients: int = 5000
    max_queued_clients: int = 1000  # the listen backlog: excess clients wait in it
    max_anonymous_clients: int = 20  # that have not authenticated yet
    max_client_requests: int = 5  # calls of one client under way; more are not read
    keepalive_interval: int = 5  # seconds; <= 0: never ask
    keepalive_count: int = 5
    max_unsent_bytes: int = 32 << 20  # a client that reads slower than this is dropped
    anonymous_seconds: int = 120  # an unauthenticated client is dropped after them; 0: never


class ClientInfo(NamedTuple):
    """One client as `Server.clients` tells of it. uid, gid, pid are -1 where nobody knows."""

    id: int
    service: int
    fd: int
    since: float  # seconds since the epoch
    uid: int
    gid: int
    pid: int
    address: str  # "127.0.0.1;16509" as libvirt writes it, "" for a unix socket
    authenticated: bool
    calls: int  # taken so far
    requests: int  # under way now
    unsent: int  # bytes


class Ticket:
    """The right to answer one call, or to release one stream message, later; used once."""

    __slots__ = ("call", "used")

    def __init__(self, call: tuple[int, int, int, int, int]) -> None:
        self.call = call  # client, program, procedure, serial, kind
        self.used = False
