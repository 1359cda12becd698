# SPDX-License-Identifier: LGPL-2.1-or-later
"""core_server.py: the server's end of libvirt's RPC: clients come, their calls are taken as work.

Threads of the daemon run `Worker.next()` in a loop: one cffi call sends the answer to the last one,
waits without the GIL, and brings the next piece of work, whole, bounded, decoded and allowed by the
authentication gate. What a peer may do wrong is answered or punished in C and never seen here.

    server = Server(Limits())
    server.listen(sock.detach(), service=0)
    worker = server.worker()
    while worker.next():
        if worker.kind == ACCEPTED: server.accept_client(worker.client, authenticated=True)
        elif worker.kind == CALL: worker.reply(result)     # or worker.fail(error.to_wire())

Called by: libvirtd, tests. Calls: _libvirtmod, libvirtcore.codec, libvirtcore.server_types.
Never: lets C call back; works without the C core (Server() then raises a VirError that says so).
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Collection, Sequence
from typing import Any

from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import (
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_INVALID_ARG,
    VIR_ERR_NO_SUPPORT,
    VIR_FROM_RPC,
)
from libvirtcore.log import ERROR, log
from libvirtcore.server_types import (
    ACCEPTED,
    CALL,
    CLOSED,
    DRAINED,
    IDLE,
    STATUS_CONTINUE,
    STATUS_ERROR,
    STATUS_OK,
    STREAM,
    TYPE_STREAM,
    TYPE_STREAM_HOLE,
    ClientInfo,
    Limits,
    Ticket,
)

_missing = ""
try:
    from _libvirtmod import ffi, lib
    from libvirtcore.codec import DICT, FORMAT, dumps, error_from, loads
except ImportError as _problem:  # Server() tells
    _missing = str(_problem) or "not importable"
else:
    if not hasattr(lib, "lvc_server_new"):
        _missing = "it was built without the server"

__all__ = [
    "ACCEPTED", "CALL", "CLOSED", "DRAINED", "IDLE", "STATUS_CONTINUE", "STATUS_ERROR", "STATUS_OK",
    "STREAM", "TYPE_STREAM", "TYPE_STREAM_HOLE", "ClientInfo", "Limits", "Server", "Ticket",
    "Worker",
]  # fmt: skip

_NONE, _VALUE, _ERROR = range(3)  # enum lvc_answer
_HAS_VALUE, _MOVED, _FAILED, _STOPPED = 1, 2, 8, 256  # of enum lvc_outcome and lvc_next
_JOB = struct.Struct("=QqqIIIIIIIIII")  # the numbers of lvc_job
_SLICE = 200  # milliseconds in C before the main thread looks after signals

_STATS = (
    "accepted", "closed", "accept_failures", "calls", "stream_messages", "refused", "ignored",
    "pings", "slow", "silent", "bytes_sent", "bytes_received", "polls", "deputies", "clients",
    "anonymous", "workers", "busy_workers", "accepting",
)  # fmt: skip


def _millis(timeout: float | None) -> int:
    return -1 if timeout is None else max(0, min(int(timeout * 1000 + 0.999), 1 << 40))


def _ints(fds: Sequence[int]) -> Any:
    return ffi.new("int[]", list(fds)) if fds else ffi.NULL


class Worker:
    """What one thread takes work with. All fields tell of the last `next()`.

    kind CALL: `program`, `procedure`, `serial`, `value` (the decoded arguments as a tuple, None
    without), `fds` (now the handler's to close). Answer with `reply` or `fail`, or `detach` it.
    kind ACCEPTED: a new client of `service`; call `Server.accept_client`, else it is closed by the
    next `next()`. Nothing of it is read before.
    kind STREAM: a message of the stream `serial`: `type` TYPE_STREAM with `status` CONTINUE and
    `data` (b"" is the end of what the client sends), OK (finish), ERROR (abort); or
    TYPE_STREAM_HOLE with `length` and `flags`. Messages of one client come one at a time, in
    order: the next is given out after `next()`. A detached one counts against
    max_client_requests until `Server.answer(ticket)`: that is the back-pressure on uploads.
    kind CLOSED: the client is gone, `reason` says why. The last that is heard of it; calls of it
    may still be running in other threads, their answers go nowhere.
    kind DRAINED: what `Server.want_drained` asked for.
    kind IDLE: the timeout of `next` is over.
    """

    __slots__ = (
        "_answer", "_fds", "_handle", "_job", "_nfds", "_numbers", "_open", "_received", "_server",
        "_slice", "_stream", "_view", "client", "data", "failure", "flags", "kind", "length",
        "procedure", "program", "reason", "serial", "service", "status", "type", "value",
    )  # fmt: skip

    kind: int
    client: int
    service: int
    program: int
    procedure: int
    serial: int
    type: int
    status: int
    length: int
    flags: int
    value: Any
    data: bytes
    reason: str
    failure: VirError | None  # why the last answer that could not be sent could not

    def __init__(self, server: Server, handle: Any) -> None:
        self._server = server
        self._handle = handle
        self._job = lib.lvc_worker_job(handle)
        self._numbers = memoryview(ffi.buffer(self._job, _JOB.size))
        self._view = memoryview(b"")
        self._answer = _NONE
        self._stream: bytes | None = None
        self._slice = 0
        self._open = False
        self._fds: list[int] | None = None
        self._nfds = self._received = 0
        self.kind, self.client, self.failure = IDLE, 0, None
        self.value, self.data, self.reason = None, b"", ""

    def next(self, timeout: float | None = None) -> bool:
        """Send the answer that was left, then wait for work; False when the server has stopped.

        An unanswered CALL is answered with an internal error. One thread at a time.
        """
        if timeout is not None:
            return self._next(_millis(timeout))
        if self._slice == 0:
            main = threading.current_thread() is threading.main_thread()
            self._slice = _SLICE if main else -1
        if self._slice < 0:
            return self._next(-1)
        while self._next(self._slice):
            if self.kind != IDLE:
                return True
        return False

    def _next(self, limit: int) -> bool:
        stream = self._stream
        outcome = lib.lvc_server_next(
            self._handle,
            self._answer,
            ffi.NULL if stream is None else stream,
            0 if stream is None else len(stream),
            limit,
        )
        self._answer = _NONE
        self._stream = self._fds = self.value = None
        if outcome & ~_HAS_VALUE:
            if outcome & _MOVED:
                start, room = lib.lvc_worker_data(self._handle), lib.lvc_worker_room(self._handle)
                gone = start == ffi.NULL
                self._view = memoryview(b"" if gone else ffi.buffer(start, room))
            if outcome & _FAILED:
                self.failure = error_from(self._job.error)
                log(ERROR, "rpc.server", f"an answer was not sent: {self.failure}")
            if outcome & _STOPPED:
                self._open = False
                self.kind = IDLE
                return False
        (
            self.client, self._received, self.length, kind, self.service, self.program,
            self.procedure, self.serial, self.type, self.status, self.flags, self._nfds, _version,
        ) = _JOB.unpack(self._numbers)  # fmt: skip
        self.kind = kind
        self._open = kind == CALL
        if outcome & _HAS_VALUE:
            self.value = loads(self._view)
        elif kind == STREAM:
            self.data = bytes(self._view[: self.length]) if self.type == TYPE_STREAM else b""
        elif kind == CLOSED:
            self.reason = ffi.string(self._job.error.message).decode("utf-8", "replace")
        return True

    @property
    def received(self) -> float:
        """When the message was read, on the clock of time.monotonic()."""
        return self._received / 1e6

    @property
    def fds(self) -> list[int]:
        """The descriptors that came with the call; whoever asks first owns them."""
        if self._fds is None:
            self._fds = []
            if self._nfds:
                fds = ffi.new("int[]", self._nfds)
                lib.lvc_worker_take_fds(self._handle, fds)
                self._fds = list(fds)
        return self._fds

    def reply(self, value: Any = None, fds: Sequence[int] = ()) -> None:
        """Answer the current call; sent by the next `next()`, or at once by `flush()`.

        `value` is the tuple of result fields, None where there are none. `fds` are copied.
        """
        if not self._open:
            raise _no_call()
        if fds:
            err = ffi.new("lvc_error *")
            if lib.lvc_worker_put_fds(self._handle, _ints(fds), len(fds), err) < 0:
                raise error_from(err)
        self._stream = dumps(value) if value else None
        self._answer = _VALUE

    def fail(self, error_wire: tuple[Any, ...]) -> None:
        """Answer the current call with an error: the fields of `VirError.to_wire()`."""
        if not self._open:
            raise _no_call()
        self._stream = dumps(error_wire)
        self._answer = _ERROR

    def detach(self) -> Ticket:
        """Take the current call or stream message along: `Server.answer` settles it, any thread."""
        if not self._open and self.kind != STREAM:
            raise _no_call()
        self._open = False
        lib.lvc_worker_detach(self._handle)
        return Ticket((self.client, self.program, self.procedure, self.serial, self.kind))

    def flush(self) -> None:
        """Send what `reply` or `fail` left now, so that stream data or events may follow it.

        Raises VirError when the value does not fit the procedure; the client has been told then.
        """
        if not self._answer:
            return
        stream, answer = self._stream, self._answer
        self._stream, self._answer, self._open = None, _NONE, False
        err = ffi.new("lvc_error *")
        if lib.lvc_worker_flush(self._handle, answer, stream or ffi.NULL, len(stream or b""), err):
            self.failure = error_from(err)
            raise self.failure


def _no_call() -> VirError:
    return report(VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC, "the worker has no call to answer")


class Server:
    """All clients of one daemon. Any thread may use it.

    `programs` are those that are served; others are answered as unknown. Typed parameters in
    arguments come as one dict, but for the (program, procedure) pairs in `triples`: there as a list
    of (name, type, value), which keeps names that occur twice and the types.
    """

    def __init__(
        self,
        limits: Limits = Limits(),  # noqa: B008 (immutable)
        programs: Sequence[int] = (0x20008086, 0x20008087, 425984),
        triples: Collection[tuple[int, int]] = (),
    ) -> None:
        if _missing:
            raise report(
                VIR_ERR_NO_SUPPORT, VIR_FROM_RPC,
                f"a server needs the C core of libvirtcore, which cannot be used: {_missing}",
            )  # fmt: skip
        err = ffi.new("lvc_error *")
        handle = lib.lvc_server_new(
            _limits(limits), list(programs), len(programs), FORMAT | DICT, err
        )
        if handle == ffi.NULL:
            raise error_from(err)
        self._handle = ffi.gc(handle, lib.lvc_server_free)
        for program, procedure in triples:
            if lib.lvc_server_add_triples(handle, program, procedure, err) < 0:
                raise error_from(err)

    # --- listening --------------------------------------------------------------------------------

    def listen(self, fd: int, service: int) -> None:
        """Take clients from a bound socket, which is the server's now; it calls listen(2)."""
        err = ffi.new("lvc_error *")
        if lib.lvc_server_listen(self._handle, fd, service, err) < 0:
            raise error_from(err)

    def pause_accepting(self, pause: bool) -> None:
        """Take no new clients, or take them again; those that wait stay in the backlog."""
        lib.lvc_server_pause(self._handle, pause)

    def stop_listening(self) -> None:
        """Close the listening sockets; clients stay."""
        lib.lvc_server_stop_listening(self._handle)

    def set_limits(self, limits: Limits) -> None:
        """From now on; nobody is dropped for a lower limit."""
        lib.lvc_server_set_limits(self._handle, _limits(limits))

    def adopt(self, fd: int, service: int) -> int:
        """Make a client of a connected descriptor, which is the server's now; returns its id.

        It comes as ACCEPTED work like any other.
        """
        err = ffi.new("lvc_error *")
        client = int(lib.lvc_server_adopt(self._handle, fd, service, err))
        if client < 0:
            raise error_from(err)
        return client

    # --- work -------------------------------------------------------------------------------------

    def worker(self, prio: bool = False) -> Worker:
        """A new one, for one thread. A prio one only works while all others are busy: on
        high-priority calls, stream messages and new clients."""
        handle = lib.lvc_worker_new(self._handle, prio)
        if handle == ffi.NULL:
            raise MemoryError
        return Worker(self, ffi.gc(handle, lib.lvc_worker_free))

    def answer(
        self,
        ticket: Ticket,
        value: Any = None,
        error: tuple[Any, ...] | None = None,
        fds: Sequence[int] = (),
    ) -> bool:
        """Answer a detached call, or release a detached stream message (value and error unused).

        False when the client is gone. Raises VirError when the value does not fit the procedure;
        the client has been told then.
        """
        if ticket.used:
            raise report(VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC, "the call was answered already")
        ticket.used = True
        if error is not None:
            answer, stream = _ERROR, dumps(error)
        else:
            answer, stream = _VALUE, dumps(value) if value else b""
        err = ffi.new("lvc_error *")
        done = lib.lvc_server_answer(
            self._handle, *ticket.call, answer, stream or ffi.NULL, len(stream),
            _ints(fds), len(fds), err,
        )  # fmt: skip
        return _sent(done, err)

    def starved(self, timeout: float | None = None) -> bool:
        """Wait until every normal worker has been busy for a while: time for one thread more.

        False after the timeout, or when the server stops.
        """
        return bool(lib.lvc_server_starved(self._handle, _millis(timeout)))

    def stop(self) -> None:
        """Wake all workers, whose next() returns False; close all clients and sockets."""
        lib.lvc_server_stop(self._handle)

    # --- clients ----------------------------------------------------------------------------------

    def accept_client(self, client: int, authenticated: bool) -> bool:
        """Begin to read what the client sends. False when it is gone."""
        return bool(lib.lvc_server_accept(self._handle, client, authenticated))

    def authenticated(self, client: int) -> bool:
        """Let all procedures pass from now on. Before, all but auth_list(66), auth_sasl_*(67, 68,
        69) and auth_polkit(70) are answered with libvirt's "authentication required"."""
        return bool(lib.lvc_server_authenticated(self._handle, client))

    def keepalive_start(self, client: int) -> bool:
        """The client understands PING: ask it as the limits say, drop it when it is silent."""
        return bool(lib.lvc_server_keepalive(self._handle, client))

    def close_client(self, client: int, flush: bool = False) -> None:
        """Drop a client; with `flush` after what is queued for it has been sent."""
        lib.lvc_server_close(self._handle, client, flush)

    def clients(self) -> list[ClientInfo]:
        """All there are, oldest first."""
        room = 256
        infos = ffi.new("lvc_peer_info[]", room)
        found: list[ClientInfo] = []
        place = 0
        while count := lib.lvc_server_list(self._handle, place, infos, room):
            found += [_info(infos[i]) for i in range(count)]
            place = (infos[count - 1].id & ((1 << lib.LVC_SLOT_BITS) - 1)) + 1
        return sorted(found)

    def client(self, client: int) -> ClientInfo | None:
        """One of them, None when it is gone."""
        info = ffi.new("lvc_peer_info *")
        return _info(info) if lib.lvc_server_info(self._handle, client, info) else None

    def stats(self) -> dict[str, int]:
        """Counters since the start, and how things are now."""
        out = ffi.new("lvc_server_stats *")
        lib.lvc_server_get_stats(self._handle, out)
        return {name: int(getattr(out, name)) for name in _STATS}

    # --- output beside answers: False when the client is gone, also when this message made it go:
    # one whose unsent output passes max_unsent_bytes is dropped. VirError: the value does not fit.

    def event(self, client: int, program: int, procedure: int, value: Any) -> bool:
        """Send an event."""
        stream = dumps(value) if value else b""
        err = ffi.new("lvc_error *")
        done = lib.lvc_server_event(
            self._handle, client, program, procedure, stream or ffi.NULL, len(stream), err
        )
        return _sent(done, err)

    def stream_data(
        self, client: int, program: int, procedure: int, serial: int, data: bytes
    ) -> bool:
        """Send data of a stream, in as many messages as it takes; b"" says that no more comes.

        Never waits: see `unsent` and `want_drained` for when to pause.
        """
        return bool(
            lib.lvc_server_stream_data(
                self._handle, client, program, procedure, serial, STATUS_CONTINUE, data, len(data)
            )
        )

    def stream_hole(
        self, client: int, program: int, procedure: int, serial: int, length: int, flags: int = 0
    ) -> bool:
        """Tell the client that `length` bytes of zeros come next."""
        send = lib.lvc_server_stream_hole
        return bool(send(self._handle, client, program, procedure, serial, length, flags))

    def stream_end(self, client: int, program: int, procedure: int, serial: int) -> bool:
        """Confirm the client's finish (or abort): an empty message with status OK."""
        return bool(
            lib.lvc_server_stream_data(
                self._handle, client, program, procedure, serial, STATUS_OK, b"", 0
            )
        )

    def stream_error(
        self, client: int, program: int, procedure: int, serial: int, error: tuple[Any, ...]
    ) -> bool:
        """End a stream with an error: the fields of `VirError.to_wire()`."""
        stream = dumps(error)
        err = ffi.new("lvc_error *")
        done = lib.lvc_server_stream_error(
            self._handle, client, program, procedure, serial, stream, len(stream), err
        )
        return _sent(done, err)

    def unsent(self, client: int) -> int:
        """Bytes that the client has not read yet and the kernel does not hold; -1: gone."""
        return int(lib.lvc_server_unsent(self._handle, client))

    def want_drained(self, client: int, below: int = 0) -> bool:
        """Have one piece of DRAINED work as soon as `unsent` is at most `below`."""
        return bool(lib.lvc_server_want_drained(self._handle, client, below))


def _limits(limits: Limits) -> Any:
    """The same for C."""
    small = (
        "max_clients", "max_anonymous_clients", "max_client_requests", "keepalive_count",
        "max_queued_clients",
    )  # fmt: skip
    out = ffi.new("lvc_server_limits *")
    for name in small:
        value = getattr(limits, name)
        if not 0 <= value <= 0x7FFFFFFF:
            raise report(VIR_ERR_INVALID_ARG, VIR_FROM_RPC, f"{name} of {value}")
        setattr(out, name, value)
    out.max_unsent_bytes = max(0, limits.max_unsent_bytes)
    out.keepalive_interval_ms = max(0, limits.keepalive_interval) * 1000
    out.anonymous_ms = max(0, limits.anonymous_seconds) * 1000
    return out


def _info(info: Any) -> ClientInfo:
    return ClientInfo(
        id=info.id, service=info.service, fd=info.fd, since=info.since_epoch_ms / 1000,
        uid=info.uid, gid=info.gid, pid=info.pid, address=ffi.string(info.address).decode(),
        authenticated=bool(info.authenticated), calls=info.calls, requests=info.requests,
        unsent=info.unsent,
    )  # fmt: skip


def _sent(done: int, err: Any) -> bool:
    if done < 0:
        raise error_from(err)
    return bool(done)
