# SPDX-License-Identifier: LGPL-2.1-or-later
"""core.py: calls, events and streams on one connection, through the C core.

One call is `dumps`, one cffi call that encodes, sends, waits and decodes, and `loads`. What an
operation works with stands in a slot: C's buffers and a view on the one with the result. A thread
takes a slot for the time of an operation, so threads share the connection and nothing else.
Called by: libvirtcore.rpc (as Client), tests. Calls: _libvirtmod, libvirtcore.codec.
Never: lets C call back; enters C on a connection that a parent process opened.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Any

from _libvirtmod import ffi, lib
from libvirtcore import log
from libvirtcore.buried import bury, free_buried
from libvirtcore.codec import DICT, FORMAT, decode, dumps, dumps2, encode, error_from, loads
from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import (
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_INVALID_ARG,
    VIR_ERR_OPERATION_ABORTED,
    VIR_ERR_OPERATION_TIMEOUT,
    VIR_FROM_RPC,
)

__all__ = ["Client", "Stream", "decode", "encode"]

_NULL = ffi.NULL
_VALUE: int = lib.LVC_VALUE
_MOVED: int = lib.LVC_MOVED
_ACTIVITY, _FAILED = int(lib.LVC_ACTIVITY), int(lib.LVC_FAILED)
_REMOTE, _AGAIN = int(lib.LVC_REMOTE), int(lib.LVC_AGAIN)
_BLOCKED, _HOLE = int(lib.LVC_BLOCKED), int(lib.LVC_HOLE)

_CLOSED: dict[int, str | None] = {
    lib.LVC_OPEN: None,
    lib.LVC_CLOSED_ERROR: "error",
    lib.LVC_CLOSED_EOF: "eof",
    lib.LVC_CLOSED_KEEPALIVE: "keepalive",
    lib.LVC_CLOSED_CLIENT: "client",
}

_STATS = (
    "calls", "replies", "late_replies", "events", "events_dropped", "stream_messages",
    "stream_dropped", "pings", "bytes_sent", "bytes_received", "in_flight", "queued_events",
    "queued_bytes", "unsent_bytes",
)  # fmt: skip

# Milliseconds in C before signals are looked after. They are handled in the main thread alone, and
# another thread may have received them.
_SLICE_MAIN = 200
_SLICE_OTHER = 5000

_main_thread = threading.main_thread().ident
_forks = 0


def _forked() -> None:
    global _forks, _main_thread
    _forks += 1
    _main_thread = threading.get_ident()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


_bury_client = bury(lib.lvc_client_close, lib.lvc_client_free)
_bury_slot = bury(lib.lvc_slot_abandon, lib.lvc_slot_free)
_bury_stream = bury(lib.lvc_stream_drop, lib.lvc_stream_free)


class _Slot:
    """What one operation works with; `view` is the core's result buffer."""

    __slots__ = ("handle", "report", "view")

    def __init__(self, client: Any) -> None:
        slot = lib.lvc_slot_new(client)
        if slot == _NULL:
            raise MemoryError
        self.handle = ffi.gc(slot, _bury_slot)
        self.report = lib.lvc_slot_report(slot)
        self.view = memoryview(b"")

    def look(self) -> None:
        """The result buffer has moved."""
        start = lib.lvc_slot_data(self.handle)
        if start == _NULL:
            self.view = memoryview(b"")
        else:
            self.view = memoryview(ffi.buffer(start, lib.lvc_slot_room(self.handle)))

    def take_fds(self) -> list[int]:
        count = self.report.nfds
        if not count:
            return []
        fds = ffi.new("int[]", count)
        lib.lvc_slot_take_fds(self.handle, fds)
        return list(fds)


def _millis(timeout: float | None) -> int:
    return -1 if timeout is None else max(0, min(int(timeout * 1000 + 0.999), 1 << 40))


def _status(error: BaseException, code: int) -> str:
    """How an operation ended that raised, in the words of log.trace_rpc; code is the core's."""
    if not isinstance(error, VirError):
        return "abandoned"
    if code == 0:
        return "error"
    given_up = code in (VIR_ERR_OPERATION_TIMEOUT, VIR_ERR_OPERATION_ABORTED)
    return "abandoned" if given_up else "closed"


class Client:
    """A connection to a libvirt daemon."""

    def __init__(self, fd: int, *, max_in_flight: int = 4) -> None:
        free_buried()
        err = ffi.new("lvc_error *")
        client = lib.lvc_client_new(fd, max_in_flight, FORMAT | DICT, err)
        if client == _NULL:
            raise error_from(err)
        self.on_activity: Callable[[], None] | None = None
        self._client = ffi.gc(client, _bury_client)
        self._fd = fd
        self._forks = _forks
        self._process = os.getpid()
        self._slots: list[_Slot] = []  # spare ones; pop and append are atomic
        self._trace = log.trace_rpc
        self._closed: str | None = None  # final once set

    # --- calls ------------------------------------------------------------------------------------

    def call(self, program: int, proc: int, args: Any = None, timeout: float | None = None) -> Any:
        """Call and wait. The tuple of result fields, None when there are none."""
        if self._forks != _forks:
            raise self._foreign()
        if self._trace is not None:
            return self.call_fds(program, proc, args, (), timeout)[0]
        # The path of nearly every call, hence written out.
        try:
            stream = dumps2(args, 2) if args else b""
        except ValueError:
            stream = dumps(args)
        try:
            slot = self._slots.pop()
        except IndexError:
            slot = _Slot(self._client)
        outcome = lib.lvc_client_call(
            slot.handle,
            program,
            proc,
            stream or _NULL,
            len(stream),
            -1 if timeout is None else _millis(timeout),
        )
        if outcome > _VALUE:
            outcome = self.settle(slot, outcome)
        value = loads(slot.view) if outcome else None
        self._slots.append(slot)
        return value

    def call_fds(
        self,
        program: int,
        proc: int,
        args: Any,
        fds: Sequence[int] = (),
        timeout: float | None = None,
    ) -> tuple[Any, list[int]]:
        """The same with descriptors to and fro; those that come are the caller's."""
        stream = dumps(args) if args else b""
        slot, began = self.begin()
        outcome = lib.lvc_client_call_fds(
            slot.handle,
            program,
            proc,
            stream or _NULL,
            len(stream),
            ffi.new("int[]", list(fds)),
            len(fds),
            _millis(timeout),
        )
        value = self._end(slot, outcome, began)
        got = slot.take_fds()
        self._slots.append(slot)
        return value, got

    def submit(
        self, program: int, proc: int, args: Any = None, timeout: float | None = None
    ) -> int:
        """Send a call and return its serial for `wait`; waits only for room in flight."""
        stream = dumps(args) if args else b""
        slot, _began = self.begin()
        size, limit = len(stream), _millis(timeout)
        outcome = lib.lvc_client_submit(slot.handle, program, proc, stream or _NULL, size, limit)
        if outcome:
            self.settle(slot, outcome)
        serial = int(slot.report.serial)
        self._slots.append(slot)
        return serial

    def wait(self, serial: int, timeout: float | None = None, typed: bool = False) -> Any:
        """The result of a submitted call, once; if `typed`, with parameters as triples."""
        slot, began = self.begin()
        outcome = lib.lvc_client_wait(slot.handle, serial, typed, _millis(timeout))
        value = self._end(slot, outcome, began)
        self._slots.append(slot)
        return value

    def open_stream(
        self,
        program: int,
        proc: int,
        args: Any,
        fds: Sequence[int] = (),
        timeout: float | None = None,
    ) -> Stream:
        """Make a call that carries a stream; what it returned is `reply`."""
        stream = dumps(args) if args else b""
        slot, began = self.begin()
        outcome = lib.lvc_stream_open(
            slot.handle,
            program,
            proc,
            stream or _NULL,
            len(stream),
            ffi.new("int[]", list(fds)),
            len(fds),
            _millis(timeout),
        )
        reply = self._end(slot, outcome, began)
        free_buried()
        opened = Stream(self, lib.lvc_slot_take_stream(slot.handle), reply)
        self._slots.append(slot)
        return opened

    def cancel(self, thread_id: int | None = None) -> int:
        """Wake the callers of one thread, or all, with OPERATION_ABORTED; how many there were."""
        self.check_process()
        return int(lib.lvc_client_cancel(self._client, thread_id or 0))

    # --- the connection ---------------------------------------------------------------------------

    def fileno(self) -> int:
        """The socket, for an event loop that calls `pump`; -1 once closed."""
        return -1 if self.closed else self._fd

    @property
    def wants_write(self) -> bool:
        """Whether `pump` should also be called when the socket takes more."""
        return self._forks == _forks and bool(lib.lvc_client_wants_write(self._client))

    def pump(self, timeout: float = 0.0) -> bool:
        """Read what is there, or wait for it; False when the connection is closed."""
        slot, _began = self.begin()
        outcome = lib.lvc_client_pump(slot.handle, _millis(timeout))
        try:
            if outcome:
                self.settle(slot, outcome)
            self._slots.append(slot)
        except VirError:
            pass  # time is over, or the connection, which `closed` tells
        return self.closed is None

    def next_event(self) -> tuple[int, int, Any] | None:
        """The oldest queued event (program, procedure, message); never waits."""
        slot, _began = self.begin()
        event = None
        outcome = lib.lvc_client_next_event(slot.handle)
        if outcome & _MOVED:
            slot.look()
        if outcome & _VALUE:
            event = (int(slot.report.program), int(slot.report.procedure), loads(slot.view))
        self._slots.append(slot)
        return event

    def keepalive_start(self, interval: float, count: int) -> None:
        """PING after `interval` silent seconds, give up after `count` without an answer."""
        self.check_process()
        lib.lvc_client_keepalive_start(self._client, int(interval * 1000), count)

    def keepalive_tick(self) -> float | None:
        """Send a due PING or close a dead connection; seconds until the next tick, None if off."""
        self.check_process()
        was_open = self.closed is None
        due = lib.lvc_client_keepalive_tick(self._client)
        if was_open and self.closed is not None:
            self._notify()
        return None if due < 0 else due / 1000

    @property
    def closed(self) -> str | None:
        """None, or why: "error", "eof", "keepalive" or "client"."""
        if self._closed is None and self._forks == _forks:
            self._closed = _CLOSED[lib.lvc_client_closed(self._client, _NULL)]
        return self._closed

    @property
    def error(self) -> VirError | None:
        """What closed the connection."""
        if self.closed is None or self._forks != _forks:
            return None
        err = ffi.new("lvc_error *")
        lib.lvc_client_closed(self._client, err)
        return error_from(err)

    def stats(self) -> dict[str, int]:
        """Counters since the connection was made, and what waits now."""
        self.check_process()
        out = ffi.new("lvc_client_stats *")
        lib.lvc_client_get_stats(self._client, out)
        return {name: int(getattr(out, name)) for name in _STATS}

    def close(self) -> None:
        """Wake whoever waits and close the socket. A forked child only closes its copy."""
        lib.lvc_client_close(self._client)
        if self._forks != _forks and self._closed is None:
            self._closed = "client"

    def keep_times(self, keep: bool) -> None:
        """Whether reports say when a call was encoded, sent and answered; for traces."""
        lib.lvc_client_keep_times(self._client, keep)

    # --- for Stream, too --------------------------------------------------------------------------

    def check_process(self) -> None:
        if self._forks != _forks:
            raise self._foreign()

    def give_back(self, slot: _Slot) -> None:
        self._slots.append(slot)

    def _foreign(self) -> VirError:
        text = f"connection was opened by process {self._process}, this is its forked child"
        return report(VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC, text)

    def _notify(self) -> None:
        if self.on_activity is None or sys.is_finalizing():
            return
        try:
            self.on_activity()
        except Exception:  # not the fault of the call that happened to read
            sys.excepthook(*sys.exc_info())

    def begin(self) -> tuple[_Slot, int]:
        """A slot, and when the operation began if somebody wants to know."""
        if self._forks != _forks:
            raise self._foreign()
        began = 0 if self._trace is None else perf_counter_ns()
        try:
            return self._slots.pop(), began
        except IndexError:
            return _Slot(self._client), began

    def settle(self, slot: _Slot, outcome: int) -> int:
        """An outcome that is more than a value: see to it until the operation has ended.

        Raises: what failed, here or there; KeyboardInterrupt. The slot is a spare one again then.
        """
        try:
            while True:
                if outcome & _MOVED:
                    slot.look()
                if outcome & _ACTIVITY:
                    self._notify()
                if not outcome & _AGAIN:
                    break
                main = threading.get_ident() == _main_thread
                outcome = lib.lvc_slot_resume(slot.handle, _SLICE_MAIN if main else _SLICE_OTHER)
            if outcome & _FAILED:
                raise error_from(slot.report.error)
            if outcome & _REMOTE:
                raise VirError.from_wire(loads(slot.view))
        except BaseException:
            lib.lvc_slot_abandon(slot.handle)
            self._slots.append(slot)
            raise
        return int(outcome & ~(_MOVED | _ACTIVITY))

    def _end(self, slot: _Slot, outcome: int, began: int) -> Any:
        """The value of an operation that has returned, traced; the caller gives the slot back."""
        status = "ok"
        try:
            if outcome > _VALUE:
                outcome = self.settle(slot, outcome)
        except BaseException as error:
            status = _status(error, slot.report.error.code)
            raise
        finally:
            if self._trace is not None:
                seen = slot.report
                us = (perf_counter_ns() - began) // 1000
                self._trace(
                    seen.program, seen.procedure, seen.serial, status, seen.sent, seen.received, us
                )
        return loads(slot.view) if outcome else None


class Stream:
    """Data beside a call. Any thread may use it; two that receive share what comes."""

    def __init__(self, client: Client, handle: Any, reply: Any) -> None:
        self.reply = reply
        self.timeout: float | None = None  # seconds that one operation may take
        self._client = client
        self._handle = ffi.gc(handle, _bury_stream)

    def send(self, data: bytes, nonblock: bool = False) -> int:
        """Send data; the bytes taken, or -2 when none could be without waiting."""
        # No from_buffer of a memoryview: garbage that holds both crashes CPython before 3.13.
        raw = data if isinstance(data, (bytes, bytearray)) else bytes(data)
        start = ffi.from_buffer("uint8_t[]", raw)
        taken = 0
        while taken < len(raw) or not raw:
            rest = len(raw) - taken
            slot, outcome = self._run(lib.lvc_stream_send, start + taken, rest, nonblock)
            taken += int(slot.report.number)
            self._client.give_back(slot)
            if outcome & _BLOCKED:
                return taken or -2
            if not raw:
                break
        return taken

    def recv(self, n: int, nonblock: bool = False, stop_at_hole: bool = False) -> bytes | int:
        """At most n bytes; b"" at the end, -2 when nothing is there, -3 before a hole."""
        slot, outcome = self._run(lib.lvc_stream_recv, n, nonblock, stop_at_hole)
        result: bytes | int = bytes(slot.view[: slot.report.number])
        self._client.give_back(slot)
        if outcome & (_BLOCKED | _HOLE):
            result = -2 if outcome & _BLOCKED else -3
        return result

    def send_hole(self, length: int, flags: int = 0) -> None:
        """Tell the peer that `length` bytes of zeros come next."""
        if length < 0:
            raise report(VIR_ERR_INVALID_ARG, VIR_FROM_RPC, f"hole of {length} bytes")
        slot, _outcome = self._run(lib.lvc_stream_send_hole, length, flags)
        self._client.give_back(slot)

    def recv_hole(self) -> int:
        """The length of the hole that is next, which is skipped; 0 when data is next."""
        slot, _outcome = self._run(lib.lvc_stream_recv_hole)
        length = int(slot.report.number)
        self._client.give_back(slot)
        return length

    def finish(self) -> None:
        """All is sent and received. Raises what went wrong on the other side."""
        slot, _outcome = self._run(lib.lvc_stream_finish, 0)
        self._client.give_back(slot)

    def abort(self) -> None:
        """Give the stream up; the peer drops what it has not used yet."""
        slot, _outcome = self._run(lib.lvc_stream_finish, 1)
        self._client.give_back(slot)

    def drop(self) -> None:
        """Abort it without waiting for an answer, unless it is over."""
        lib.lvc_stream_drop(self._handle)

    def poll(self) -> int:
        """What could be done now: 1 readable, 2 writable; 4 error, 8 hangup."""
        self._client.check_process()
        return int(lib.lvc_stream_poll(self._handle))

    def _run(self, operation: Callable[..., int], *args: Any) -> tuple[_Slot, int]:
        slot, _began = self._client.begin()
        outcome = operation(slot.handle, self._handle, *args, _millis(self.timeout))
        return slot, self._client.settle(slot, outcome)
