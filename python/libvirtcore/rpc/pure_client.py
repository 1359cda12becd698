# SPDX-License-Identifier: LGPL-2.1-or-later
"""pure_client.py: calls, pipelines and streams on one connection; the interface of the C client.

A call is sent under the lock, then its thread waits for its answer and may read for all meanwhile.
A call counts as in flight until its answer is there, wanted or not, so that the server's limit is
kept and keepalive gets through. With LIBVIRT_DEBUG each call is reported to `log.trace_rpc`.
Called by: libvirtcore.rpc (as Client), tests. Calls: pure_connection (its lower half), the codec.
Never: touches the socket; decodes an answer under the lock.
"""

from __future__ import annotations

import contextlib
import copy
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from libvirtcore import log
from libvirtcore.errors import VirError
from libvirtcore.generated.constants import (
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_INVALID_ARG,
    VIR_ERR_OPERATION_TIMEOUT,
)
from libvirtcore.generated.limits import VIR_NET_MESSAGE_NUM_FDS_MAX
from libvirtcore.generated.tables import PROGRAMS, TYPE_NET_ERROR
from libvirtcore.rpc import pure_frame as wire
from libvirtcore.rpc.pure_calls import Call
from libvirtcore.rpc.pure_connection import Connection, close_all, failure, system_failure
from libvirtcore.rpc.pure_decode import decode
from libvirtcore.rpc.pure_encode import encode
from libvirtcore.rpc.pure_frame import Frame, rpc_error
from libvirtcore.rpc.pure_stream import Stream
from libvirtcore.rpc.pure_turns import Deadline
from libvirtcore.rpc.tables_model import Procedure, Program

STORED_MAX = 256 << 20  # bytes of answers that nobody fetches: beyond, nothing more is submitted


def find_procedure(program: int, proc: int) -> tuple[Program, Procedure]:
    known = PROGRAMS.get(program)
    procedure = known.procedures[proc] if known and 0 < proc < len(known.procedures) else None
    if known is None or procedure is None:
        text = f"program 0x{program:08x} has no procedure {proc}"
        raise failure(VIR_ERR_INTERNAL_ERROR, text)
    return known, procedure


class Client(Connection):
    """A connection to a libvirt daemon."""

    def __init__(self, fd: int, *, max_in_flight: int = 4) -> None:
        super().__init__(fd, max_in_flight)
        self._submitted: dict[int, Call] = {}
        self._trace = log.trace_rpc

    def __del__(self) -> None:
        if getattr(self, "closed", "client") != "client":
            with contextlib.suppress(Exception):
                self.close()

    def call(self, program: int, proc: int, args: Any = None, timeout: float | None = None) -> Any:
        """Call and wait. The tuple of result fields, None when there are none."""
        deadline = Deadline.after(timeout)
        value, fds = self._result(self._begin(program, proc, args, (), deadline), deadline)
        close_all(fds)
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
        deadline = Deadline.after(timeout)
        return self._result(self._begin(program, proc, args, fds, deadline), deadline)

    def submit(
        self, program: int, proc: int, args: Any = None, timeout: float | None = None
    ) -> int:
        """Send a call and return its serial for `wait`; waits only for room in flight."""
        with self.lock:
            if self._calls.stored > STORED_MAX:
                raise rpc_error(
                    f"{self._calls.stored} bytes of answers wait to be fetched, limit {STORED_MAX}"
                )
        deadline = Deadline.after(timeout)
        return self._begin(program, proc, args, (), deadline, pipelined=True).serial

    def wait(self, serial: int, timeout: float | None = None, typed: bool = False) -> Any:
        """The result of a submitted call, once; if `typed`, with parameters as triples."""
        self.check_process()
        with self.lock:
            call = self._submitted.pop(serial, None)
        if call is None:
            raise failure(VIR_ERR_INVALID_ARG, f"no call with serial {serial} was submitted")
        try:
            value, fds = self._result(call, Deadline.after(timeout), not typed)
        finally:
            with self.lock:
                self._calls.stored -= len(call.frame.payload) if call.frame else 0
        close_all(fds)
        return value

    def cancel(self, thread_id: int | None = None) -> int:
        """Wake the callers of one thread, or all, with OPERATION_ABORTED; how many there were."""
        self.check_process()
        with self.lock:
            count = self._turns.cancel(thread_id)
            if count and self._turns.reading:
                self._wire.ring()
            return count

    def open_stream(
        self,
        program: int,
        proc: int,
        args: Any,
        fds: Sequence[int] = (),
        timeout: float | None = None,
    ) -> Stream:
        """Make a call that carries a stream; what it returned is `reply`."""
        deadline = Deadline.after(timeout)
        known, procedure = find_procedure(program, proc)
        head = Frame(program, known.version, proc, wire.STREAM, 0, wire.CONTINUE)
        stream = Stream(self, head, procedure.name)
        value, got = self._result(self._begin(program, proc, args, fds, deadline, stream), deadline)
        close_all(got)
        stream.opened(value)
        return stream

    def stats(self) -> dict[str, int]:
        """Counters since the connection was made, and what waits now."""
        with self.lock:
            return {
                **self._counters,
                "bytes_sent": self._wire.sent,
                "bytes_received": self._wire.received,
                "in_flight": self._calls.in_flight,
                "queued_events": len(self._events),
                "queued_bytes": self._event_bytes + self._calls.stored,
                "unsent_bytes": self._wire.pending,
            }

    # --- one call ---------------------------------------------------------------------------------

    def _begin(
        self,
        program: int,
        proc: int,
        args: Any,
        fds: Sequence[int],
        deadline: Deadline,
        stream: Stream | None = None,
        pipelined: bool = False,
    ) -> Call:
        """Send as soon as one more call may be in flight."""
        self.check_process()
        known, procedure = find_procedure(program, proc)
        payload = encode(procedure.args, args)
        kind = wire.CALL_WITH_FDS if fds else wire.CALL
        frame = Frame(program, known.version, proc, kind, 0, wire.OK, payload, tuple(fds))
        wire.check_size(frame)
        call = Call(program, known.version, proc, procedure)
        call.pipelined = pipelined
        copies = self._duplicate(fds)

        def start() -> bool:
            if self.closed or not self._calls.add(call):
                return self.closed is not None
            self._counters["calls"] += 1
            if pipelined:
                self._submitted[call.serial] = call
            if stream is not None:
                self._streams[call.serial] = stream
                stream.named(call.serial)
            if self._trace:
                call.sent, call.started = frame.size, time.perf_counter_ns()
            self.post(frame._replace(serial=call.serial), copies)
            copies.clear()
            return True

        try:
            with self.lock:
                self.check_open()
                started = start()
            if not started:
                self._wait_for_room(start, deadline, procedure.name)
        finally:
            close_all(copies)
        if call.serial < 0:
            assert self.error is not None
            raise copy.copy(self.error)
        return call

    def _wait_for_room(self, start: Callable[[], bool], deadline: Deadline, name: str) -> None:
        try:
            self.wait_until(start, deadline, name)
        except VirError as error:
            if error.code != VIR_ERR_OPERATION_TIMEOUT:
                raise
            text = f"{name} could not be sent within {deadline.millis} ms: too many calls wait"
            raise failure(VIR_ERR_OPERATION_TIMEOUT, text) from None

    def _duplicate(self, fds: Sequence[int]) -> list[int]:
        if len(fds) > VIR_NET_MESSAGE_NUM_FDS_MAX:
            limit = VIR_NET_MESSAGE_NUM_FDS_MAX
            raise rpc_error(f"Too many FDs to send {len(fds)}, expected {limit} maximum")
        if fds and not self._wire.passes_fds:
            text = "Sending file descriptors is not supported on this socket"
            raise failure(VIR_ERR_INTERNAL_ERROR, text)
        copies: list[int] = []
        for fd in fds:
            try:
                copies.append(os.dup(fd))
            except OSError as error:
                close_all(copies)
                raise system_failure(f"Cannot duplicate FD {fd}", error.errno or 0) from None
        return copies

    def _result(
        self, call: Call, deadline: Deadline, dict_mode: bool = True
    ) -> tuple[Any, list[int]]:
        """Wait for the answer and take it apart."""
        try:
            if not call.done:
                self.wait_until(lambda: call.done, deadline, call.procedure.name)
        except BaseException:
            with self.lock:
                self._calls.abandon(call)
            self._report(call, "abandoned")
            raise
        finally:
            self.tell()
        if call.error is not None:
            self._report(call, "closed")
            raise copy.copy(call.error)
        frame = call.frame
        assert frame is not None
        self._report(call, "ok" if frame.status == wire.OK else "error")
        try:
            if frame.status == wire.ERROR:
                raise VirError.from_wire(decode(TYPE_NET_ERROR, frame.payload))
            return decode(call.procedure.ret, frame.payload, dict_mode), list(frame.fds)
        except VirError:
            close_all(frame.fds)
            raise

    def _report(self, call: Call, status: str) -> None:
        if self._trace:
            micros = (time.perf_counter_ns() - call.started) // 1000
            received = call.frame.size if call.frame else 0
            self._trace(call.program, call.proc, call.serial, status, call.sent, received, micros)
