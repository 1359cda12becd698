# SPDX-License-Identifier: LGPL-2.1-or-later
"""pure_calls.py: which serial waits for which answer, without I/O or locks.

A call is in flight from the moment it is sent until its answer has come, also when nobody wants the
answer any more: the server still works on it, and its limit counts it.
Called by: pure_client, under its lock. Never: sends, waits, decodes.
"""

from __future__ import annotations

from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC
from libvirtcore.rpc.pure_frame import ERROR, OK, Frame, rpc_error
from libvirtcore.rpc.tables_model import Procedure


class Call:
    """One call and, once it has come, its answer or what became of it."""

    __slots__ = (
        "error",
        "frame",
        "pipelined",
        "proc",
        "procedure",
        "program",
        "sent",
        "serial",
        "started",
        "version",
    )

    def __init__(self, program: int, version: int, proc: int, procedure: Procedure) -> None:
        self.program = program
        self.version = version
        self.proc = proc
        self.procedure = procedure
        self.serial = -1
        self.pipelined = False  # its answer may wait long to be fetched
        self.started = 0  # of perf_counter_ns, when traced
        self.sent = 0
        self.frame: Frame | None = None
        self.error: VirError | None = None

    @property
    def done(self) -> bool:
        return self.frame is not None or self.error is not None


class Calls:
    """The calls of one connection."""

    def __init__(self, max_in_flight: int) -> None:
        self.max_in_flight = max(1, max_in_flight)
        self._next_serial = 0
        self._waiting: dict[int, Call] = {}
        self._abandoned: dict[int, Call] = {}
        self.stored = 0  # bytes of answers that wait to be fetched

    @property
    def in_flight(self) -> int:
        return len(self._waiting) + len(self._abandoned)

    @property
    def abandoned(self) -> int:
        return len(self._abandoned)

    def add(self, call: Call) -> bool:
        """Give the call its serial; False when as many are in flight as the server may allow."""
        if self.in_flight >= self.max_in_flight:
            return False
        while self._next_serial in self._waiting or self._next_serial in self._abandoned:
            self._next_serial = (self._next_serial + 1) & 0xFFFFFFFF
        call.serial = self._next_serial
        self._next_serial = (self._next_serial + 1) & 0xFFFFFFFF
        self._waiting[call.serial] = call
        return True

    def is_past(self, serial: int) -> bool:
        """Whether a call with this serial was made and answered."""
        if serial in self._waiting or serial in self._abandoned:
            return False
        return (self._next_serial - serial - 1) & 0xFFFFFFFF <= 0x7FFFFFFF  # serials wrap around

    def abandon(self, call: Call) -> None:
        """Nobody waits any more; the late answer will be thrown away."""
        if self._waiting.pop(call.serial, None) is not None:
            self._abandoned[call.serial] = call

    def answer(self, frame: Frame) -> Call | None:
        """Hand a reply to its call; None when it was abandoned. Raises VirError for a wrong one."""
        call = self._waiting.get(frame.serial) or self._abandoned.get(frame.serial)
        if call is None or (call.program, call.version) != (frame.program, frame.version):
            raise rpc_error(
                f"no call waiting for reply with prog {frame.program} vers {frame.version}"
                f" serial {frame.serial}"
            )
        if frame.proc != call.proc:
            text = f"Unexpected message proc {frame.proc} != {call.proc}"
            raise report(VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC, text)
        if frame.status not in (OK, ERROR):
            raise rpc_error(f"Unexpected message status {frame.status}")
        if self._abandoned.pop(frame.serial, None) is not None:
            return None
        del self._waiting[frame.serial]
        call.frame = frame
        if call.pipelined:
            self.stored += len(frame.payload)
        return call

    def fail(self, error: VirError) -> list[Call]:
        """The connection is gone: every waiting call ends with `error`."""
        calls = list(self._waiting.values())
        for call in calls:
            call.error = error
        self._waiting.clear()
        self._abandoned.clear()
        return calls
