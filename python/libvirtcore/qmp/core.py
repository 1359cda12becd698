# SPDX-License-Identifier: LGPL-2.1-or-later
"""core.py: one monitor or agent, through the C core.

A command is one cffi call that sends it and waits for its answer; Python then parses the answer's
value and nothing else. Threads share a connection: each takes a slot for the time of an operation.
Called by: libvirtcore.qmp.client, agent, aio (as Connection), tests. Calls: _libvirtmod, qmp.lines.
Never: lets C call back; enters C on a connection that a parent process opened.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from _libvirtmod import ffi, lib
from libvirtcore.errors import VirError, report
from libvirtcore.generated.constants import VIR_ERR_INTERNAL_ERROR, VIR_FROM_QEMU
from libvirtcore.qmp.errors import QMPError
from libvirtcore.qmp.lines import LINE_MAX, Event, event_from, loads

__all__ = ["Connection"]

_NULL = ffi.NULL
_VALUE: int = lib.LVC_VALUE
_MOVED: int = lib.LVC_MOVED
_ACTIVITY: int = lib.LVC_ACTIVITY
_FAILED: int = lib.LVC_FAILED
_REMOTE: int = lib.LVC_REMOTE
_AGAIN: int = lib.LVC_AGAIN
_BLOCKED: int = lib.LVC_BLOCKED
_SHIFT: int = lib.LVC_QMP_LENGTH_SHIFT
_MASK = (1 << _SHIFT) - 1

_CLOSED: dict[int, str | None] = {
    lib.LVC_OPEN: None,
    lib.LVC_CLOSED_ERROR: "error",
    lib.LVC_CLOSED_EOF: "eof",
    lib.LVC_CLOSED_CLIENT: "client",
}

_STATS = (
    "commands", "replies", "late_replies", "events", "events_lost", "dropped", "bytes_sent",
    "bytes_received", "in_flight", "queued_bytes", "unsent_bytes",
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

# Finalizers of a garbage cycle run in any order: what is let go of ends at once, its memory is
# freed when the next one is made.
_buried: deque[tuple[Callable[[Any], None], Any]] = deque()


def _bury(end: Callable[[Any], None], free: Callable[[Any], None]) -> Callable[[Any], None]:
    def bury(pointer: Any) -> None:
        end(pointer)
        _buried.append((free, pointer))

    return bury


_bury_connection = _bury(lib.lvc_qmp_close, lib.lvc_qmp_free)
_bury_slot = _bury(lib.lvc_qmp_slot_abandon, lib.lvc_qmp_slot_free)


def _free_buried() -> None:
    while _buried:
        try:
            free, pointer = _buried.popleft()
        except IndexError:
            return  # another thread was quicker
        free(pointer)


def _error_from(error: Any) -> VirError:
    """An lvc_error as an exception; a failed system call also tells its errno."""
    text = ffi.string(error.message).decode("utf-8", "replace")
    made = report(int(error.code), int(error.domain), text)
    if error.number:
        made.int1 = int(error.number)
    return made


class _Slot:
    """What one operation works with; `view` is the core's result buffer."""

    __slots__ = ("handle", "report", "view")

    def __init__(self, connection: Any) -> None:
        slot = lib.lvc_qmp_slot_new(connection)
        if slot == _NULL:
            raise MemoryError
        self.handle = ffi.gc(slot, _bury_slot)
        self.report = lib.lvc_qmp_slot_report(slot)
        self.view = memoryview(b"")

    def look(self) -> None:
        """The result buffer has moved."""
        start = lib.lvc_qmp_slot_data(self.handle)
        if start == _NULL:
            self.view = memoryview(b"")
        else:
            self.view = memoryview(ffi.buffer(start, lib.lvc_qmp_slot_room(self.handle)))


def _millis(timeout: float | None) -> int:
    return -1 if timeout is None else max(0, min(int(timeout * 1000 + 0.999), 1 << 40))


class Connection:
    """A connected socket with a monitor or, if `agent`, a guest agent behind it."""

    kind = "c"

    def __init__(self, fd: int, *, agent: bool = False, max_line: int = LINE_MAX) -> None:
        _free_buried()
        err = ffi.new("lvc_error *")
        made = lib.lvc_qmp_new(fd, lib.LVC_QMP_AGENT if agent else 0, max(max_line, 1), err)
        if made == _NULL:
            raise _error_from(err)
        self.on_activity: Callable[[], None] | None = None
        self._qmp = ffi.gc(made, _bury_connection)
        self._fd = fd
        self._forks = _forks
        self._process = os.getpid()
        self._slots: list[_Slot] = []  # spare ones; pop and append are atomic
        self._closed: str | None = None  # final once set
        self._peer = "QEMU agent" if agent else "QEMU"

    # --- commands ---------------------------------------------------------------------------------

    def execute(
        self, text: bytes, command: str, fds: Sequence[int] = (), timeout: float | None = None
    ) -> Any:
        """Send a command (lines.command_text) and wait for its value."""
        if self._forks != _forks:
            raise self._foreign()
        # The path of nearly every command, hence written out.
        try:
            slot = self._slots.pop()
        except IndexError:
            slot = _Slot(self._qmp)
        outcome = lib.lvc_qmp_execute(
            slot.handle,
            text,
            len(text),
            ffi.new("int[]", list(fds)) if fds else _NULL,
            len(fds),
            -1 if timeout is None else _millis(timeout),
        )
        if outcome & _MASK != _VALUE:
            outcome = self._settle(slot, outcome, command)
        value = loads(str(slot.view[: outcome >> _SHIFT], "utf-8"))
        self._slots.append(slot)
        return value

    def submit(self, text: bytes, fds: Sequence[int] = (), lone: bool = False) -> int:
        """Send a command and return its number for `wait`; `lone`: its id may be left out."""
        slot = self._begin()
        outcome = lib.lvc_qmp_submit(
            slot.handle, text, len(text), ffi.new("int[]", list(fds)), len(fds), lone
        )
        self._settle(slot, outcome)
        number = int(slot.report.id)
        self._slots.append(slot)
        return number

    def wait(self, number: int, command: str = "", timeout: float | None = None) -> Any:
        """The value of a submitted command, once."""
        slot = self._begin()
        if timeout is not None:
            timeout = max(timeout, 0.001)
        outcome = lib.lvc_qmp_wait(slot.handle, number, _millis(timeout))
        return self._value(slot, outcome, command)

    def take(self, number: int, command: str = "") -> tuple[bool, Any]:
        """Whether `pump` has met the answer of a submitted command, and the answer."""
        slot = self._begin()
        outcome = self._settle(slot, lib.lvc_qmp_wait(slot.handle, number, 0), command)
        if outcome & _BLOCKED:
            self._slots.append(slot)
            return False, None
        return True, self._value(slot, outcome, command)

    def forget(self, number: int) -> None:
        """Nobody will wait for a submitted command; it is withdrawn if nothing of it is sent."""
        self.check_process()
        lib.lvc_qmp_forget(self._qmp, number)

    def greet(self, timeout: float | None = None) -> Any:
        """The greeting of a monitor, which comes by itself."""
        slot = self._begin()
        return self._value(slot, lib.lvc_qmp_greet(slot.handle, _millis(timeout)), "the greeting")

    def sync(self, number: int, timeout: float | None = None) -> None:
        """An agent's handshake: what it says before it answers with this number is dropped."""
        slot = self._begin()
        outcome = lib.lvc_qmp_sync(slot.handle, number, _millis(timeout))
        self._value(slot, outcome, "guest-sync-delimited")

    def cancel(self, thread_id: int | None = None) -> int:
        """Wake the callers of one thread, or all, with OPERATION_ABORTED; how many there were."""
        self.check_process()
        return int(lib.lvc_qmp_cancel(self._qmp, thread_id or 0))

    # --- the connection ---------------------------------------------------------------------------

    def fileno(self) -> int:
        """The socket, for an event loop that calls `pump`; -1 once closed."""
        return -1 if self.closed else self._fd

    @property
    def wants_write(self) -> bool:
        """Whether `pump` should also be called when the socket takes more."""
        return self._forks == _forks and bool(lib.lvc_qmp_wants_write(self._qmp))

    def pump(self, timeout: float | None = 0.0) -> bool:
        """Read what is there, or wait for events; False when the connection is closed."""
        slot = self._begin()
        outcome = lib.lvc_qmp_pump(slot.handle, _millis(timeout))
        try:
            self._settle(slot, outcome)
            self._slots.append(slot)
        except VirError:
            pass  # the connection is over, which `closed` tells
        return self.closed is None

    def next_event(self) -> Event | None:
        """The oldest queued event; never waits."""
        slot = self._begin()
        outcome = self._settle(slot, lib.lvc_qmp_next_event(slot.handle))
        event = None
        if outcome & _VALUE:
            event = event_from(loads(str(slot.view[: outcome >> _SHIFT], "utf-8")))
        self._slots.append(slot)
        return event

    @property
    def closed(self) -> str | None:
        """None, or why: "error", "eof" or "client"."""
        if self._closed is None and self._forks == _forks:
            self._closed = _CLOSED[lib.lvc_qmp_closed(self._qmp, _NULL)]
        return self._closed

    @property
    def error(self) -> VirError | None:
        """What closed the connection."""
        if self.closed is None or self._forks != _forks:
            return None
        err = ffi.new("lvc_error *")
        lib.lvc_qmp_closed(self._qmp, err)
        return _error_from(err)

    def stats(self) -> dict[str, int]:
        """Counters since the connection was made, and what waits now."""
        self.check_process()
        out = ffi.new("lvc_qmp_stats *")
        lib.lvc_qmp_get_stats(self._qmp, out)
        return {name: int(getattr(out, name)) for name in _STATS}

    def close(self) -> None:
        """Wake whoever waits and close the socket. A forked child only closes its copy."""
        lib.lvc_qmp_close(self._qmp)
        if self._forks != _forks and self._closed is None:
            self._closed = "client"

    def check_process(self) -> None:
        """Raises: VirError in a child that was forked after the connection was made."""
        if self._forks != _forks:
            raise self._foreign()

    # --- inside -----------------------------------------------------------------------------------

    def _foreign(self) -> VirError:
        text = f"monitor was opened by process {self._process}, this is its forked child"
        return report(VIR_ERR_INTERNAL_ERROR, VIR_FROM_QEMU, text)

    def _notify(self) -> None:
        if self.on_activity is None or sys.is_finalizing():
            return
        try:
            self.on_activity()
        except Exception:  # not the fault of the command that happened to read
            sys.excepthook(*sys.exc_info())

    def _begin(self) -> _Slot:
        if self._forks != _forks:
            raise self._foreign()
        try:
            return self._slots.pop()
        except IndexError:
            return _Slot(self._qmp)

    def _value(self, slot: _Slot, outcome: int, command: str) -> Any:
        if outcome & _MASK != _VALUE:
            outcome = self._settle(slot, outcome, command)
        value = loads(str(slot.view[: outcome >> _SHIFT], "utf-8"))
        self._slots.append(slot)
        return value

    def _settle(self, slot: _Slot, outcome: int, command: str = "") -> int:
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
                outcome = lib.lvc_qmp_resume(slot.handle, _SLICE_MAIN if main else _SLICE_OTHER)
            if outcome & _FAILED:
                raise _error_from(slot.report.error)
            if outcome & _REMOTE:
                error = loads(str(slot.view[: outcome >> _SHIFT], "utf-8"))
                raise QMPError.from_reply(error, command, self._peer)
        except BaseException:
            lib.lvc_qmp_slot_abandon(slot.handle)
            self._slots.append(slot)
            raise
        return int(outcome & ~(_MOVED | _ACTIVITY))
