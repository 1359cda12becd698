# SPDX-License-Identifier: LGPL-2.1-or-later
"""pure.py: one monitor or agent in pure Python; the twin of core.py.

The fallback where there is no compiled core, and the oracle of the C one. One thread of those that
wait reads for all (rpc.pure_turns).
Called by: libvirtcore.qmp.connection when there is no extension or LIBVIRTCORE_PURE=1, tests.
Calls: pure_lines, pure_wire, rpc.pure_turns.
Never: imports the extension; calls `on_activity` with a lock held.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from libvirtcore.errors import VirError
from libvirtcore.generated.constants import (
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_INVALID_ARG,
    VIR_ERR_OPERATION_ABORTED,
    VIR_ERR_OPERATION_FAILED,
    VIR_ERR_OPERATION_TIMEOUT,
)
from libvirtcore.qmp import pure_lines as lines
from libvirtcore.qmp.errors import QMPError, failure, system_failure
from libvirtcore.qmp.lines import EVENTS_LOST, LINE_MAX, Event, command_name, event_from
from libvirtcore.qmp.pure_lines import Line, LineReader, TooLong
from libvirtcore.qmp.pure_wire import FDS_MAX, UNSENT_MAX, CommandWire
from libvirtcore.rpc.pure_turns import CANCELLED, TIMEOUT, Deadline, Turns, slice_of

__all__ = ["Connection"]

EVENTS_MAX = 16 << 20  # bytes of events that nobody fetches
EVENT_COST = 16  # what one costs besides
CALLS_MAX = 4096  # commands without an answer

_HELD = "; another client may hold the monitor"
_STATS = ("commands", "replies", "late_replies", "events", "events_lost", "dropped")

_forks = 0


def _forked() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class _Call:
    """A command that was sent, or will be. `expect` is the number a handshake waits for."""

    __slots__ = ("answered", "awaited", "expect", "failed", "number", "value")

    def __init__(self, number: int, awaited: bool, expect: int | None) -> None:
        self.number = number
        self.awaited = awaited
        self.expect = expect
        self.answered = False
        self.failed = False
        self.value: Any = None


class Connection:
    """A connected socket with a monitor or, if `agent`, a guest agent behind it."""

    kind = "pure"

    def __init__(self, fd: int, *, agent: bool = False, max_line: int = LINE_MAX) -> None:
        self.on_activity: Callable[[], None] | None = None
        self.closed: str | None = None
        self.error: VirError | None = None
        self._lock = threading.Lock()
        self._forks = _forks
        self._process = os.getpid()
        try:
            self._wire = CommandWire(fd)
        except OSError as wrong:
            raise system_failure(f"Unable to use FD {fd} as a socket", wrong.errno or 0) from None
        self._agent = agent
        self._who = "agent" if agent else "monitor"
        self._peer = "QEMU agent" if agent else "QEMU"
        self._max_line = max(1, min(max_line, 1 << 28))
        self._turns = Turns(self._lock)
        self._lines = LineReader(self._max_line, agent)
        self._greeting: tuple[Any] | None = None
        self._calls: dict[int, _Call] = {}
        self._next = 1
        self._plain = 0  # the command whose answer comes without an id
        self._mute = False
        self._unwanted = False
        self._events: deque[tuple[bytes, int]] = deque()
        self._event_bytes = 0
        self._lost = 0
        self._news = False
        self._arrivals = self._pumped = 0
        self._counters = dict.fromkeys(_STATS, 0)

    def __del__(self) -> None:
        if not getattr(self, "_unwanted", True) and not sys.is_finalizing():
            self.close()

    # --- commands ---------------------------------------------------------------------------------

    def execute(
        self, text: bytes, command: str, fds: Sequence[int] = (), timeout: float | None = None
    ) -> Any:
        """Send a command (lines.command_text) and wait for its value."""
        call = self._send(text, fds, awaited=True)
        return self._wait(call, command_name(text), command, timeout)

    def submit(self, text: bytes, fds: Sequence[int] = (), lone: bool = False) -> int:
        """Send a command and return its number for `wait`; `lone`: its id may be left out."""
        return self._send(text, fds, awaited=False, lone=lone).number

    def wait(self, number: int, command: str = "", timeout: float | None = None) -> Any:
        """The value of a submitted command, once."""
        if timeout is not None:
            timeout = max(timeout, 0.001)
        return self._wait(self._claim(number), "a command", command, timeout)

    def take(self, number: int, command: str = "") -> tuple[bool, Any]:
        """Whether `pump` has met the answer of a submitted command, and the answer."""
        call = self._claim(number)
        if call.answered or self.closed:
            return True, self._wait(call, "a command", command, 0.001)
        call.awaited = False
        return False, None

    def _claim(self, number: int) -> _Call:
        self.check_process()
        with self._lock:
            call = self._calls.get(number)
            if call is None or call.awaited:
                text = f"no command with id {number} was submitted"
                raise failure(VIR_ERR_INVALID_ARG, text)
            call.awaited = True
            return call

    def forget(self, number: int) -> None:
        """Nobody will wait for a submitted command; it is withdrawn if nothing of it is sent."""
        self.check_process()
        with self._lock:
            call = self._calls.get(number)
            if call is not None and not call.awaited:
                self._drop(call)

    def greet(self, timeout: float | None = None) -> Any:
        """The greeting of a monitor, which comes by itself."""
        self.check_process()
        deadline = Deadline.after(timeout)
        outcome = self._turns.wait(self, lambda: bool(self._greeting or self.closed), deadline)
        self._tell()
        if outcome == TIMEOUT:
            text = f"no QMP greeting came within {deadline.millis} ms"
            said = self._lines.pending()
            text += f", but: {lines.excerpt(said)}" if said else _HELD
            raise failure(VIR_ERR_OPERATION_TIMEOUT, text)
        if outcome == CANCELLED:
            raise failure(VIR_ERR_OPERATION_ABORTED, "the greeting was cancelled")
        if self._greeting is None:
            raise self._over()
        return self._greeting[0]

    def sync(self, number: int, timeout: float | None = None) -> None:
        """An agent's handshake: what it says before it answers with this number is dropped."""
        name = "guest-sync-delimited"
        text = b'\xff{"execute":"%b","arguments":{"id":%d}' % (name.encode(), number)
        self._wait(self._send(text, (), awaited=True, expect=number), name, name, timeout)

    def cancel(self, thread_id: int | None = None) -> int:
        """Wake the callers of one thread, or all, with OPERATION_ABORTED; how many there were."""
        self.check_process()
        with self._lock:
            count = self._turns.cancel(thread_id)
            self._wire.ring()
            return count

    # --- the connection ---------------------------------------------------------------------------

    def fileno(self) -> int:
        """The socket, for an event loop that calls `pump`; -1 once closed."""
        return -1 if self.closed else self._wire.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether `pump` should also be called when the socket takes more."""
        return self._wire.pending > 0

    def pump(self, timeout: float | None = 0.0) -> bool:
        """Read what is there, or wait for events; False when the connection is closed."""
        self.check_process()
        end = None if timeout is None else time.monotonic() + timeout
        while self.closed is None:
            left = None if end is None else max(0.0, end - time.monotonic())
            if left != 0.0 and self._arrivals != self._pumped:
                break  # it came while whoever pumps looked at what came before
            read = self._wire.received
            self._turns.pump(self, 3600.0 if (part := slice_of(left)) is None else part)
            if self._arrivals != self._pumped or (left == 0.0 and self._wire.received == read):
                break
        self._pumped = self._arrivals
        self._tell()
        return self.closed is None

    def next_event(self) -> Event | None:
        """The oldest queued event; never waits."""
        self.check_process()
        with self._lock:
            if self._events:
                raw, cost = self._events.popleft()
                self._event_bytes -= cost
            else:
                lost, self._lost = self._lost, 0
                return Event(EVENTS_LOST, {"count": lost}, -1, -1) if lost else None
        return event_from(json.loads(raw))

    def stats(self) -> dict[str, int]:
        """Counters since the connection was made, and what waits now."""
        self.check_process()
        with self._lock:
            return self._counters | {
                "bytes_sent": self._wire.sent,
                "bytes_received": self._wire.received,
                "in_flight": len(self._calls),
                "queued_bytes": self._event_bytes,
                "unsent_bytes": self._wire.pending,
            }

    def close(self) -> None:
        """Wake whoever waits and close the socket. A forked child only closes its copy."""
        if self._forks != _forks:
            self.closed = "client"
            self._wire.close()
            return
        with self._lock:
            text = f"QEMU {self._who} was closed"
            self._end("client", failure(VIR_ERR_INTERNAL_ERROR, text))
            self._unwanted = True
            if not self._turns.reading:
                self._wire.close()  # else the reader does, when it has left the descriptor

    def check_process(self) -> None:
        """Raises: VirError in a child that was forked after the connection was made."""
        if self._forks != _forks:
            text = f"monitor was opened by process {self._process}, this is its forked child"
            raise failure(VIR_ERR_INTERNAL_ERROR, text)

    # --- sending and waiting ----------------------------------------------------------------------

    def _send(
        self, text: bytes, fds: Sequence[int], awaited: bool, expect: int | None = None,
        lone: bool = True,
    ) -> _Call:  # fmt: skip
        self.check_process()
        if len(fds) > FDS_MAX:
            text_ = f"{len(fds)} descriptors with one command, expected {FDS_MAX} maximum"
            raise failure(VIR_ERR_INVALID_ARG, text_)
        with self._lock:
            if self.closed:
                raise self._over()
            if len(self._calls) >= CALLS_MAX:
                raise failure(
                    VIR_ERR_OPERATION_FAILED,
                    f"{len(self._calls)} commands wait for their answers already",
                )
            number = self._next
            self._next += 1
            # QEMU reads byte by byte: no id where no other answer without one can come.
            plain = lone and not (self._agent or self._calls or self._plain)
            data = text + (b"}\n" if plain or self._agent else b',"id":%d}\n' % number)
            if self._wire.pending > UNSENT_MAX - len(data):
                raise failure(
                    VIR_ERR_OPERATION_FAILED,
                    f"{self._wire.pending} bytes of commands already wait to be sent to the"
                    f" {self._who}",
                )
            call = _Call(number, awaited, expect)
            if not self._mute:
                self._wire.push_command(number, data, fds)
                self._flush()
                if self._wire.pending and self._turns.reading:
                    self._wire.ring()
            self._calls[number] = call
            if plain:
                self._plain = number
            self._counters["commands"] += 1
            return call

    def _wait(self, call: _Call, name: str, command: str, timeout: float | None) -> Any:
        deadline = Deadline.after(timeout)
        try:
            outcome = self._turns.wait(self, lambda: call.answered or bool(self.closed), deadline)
        finally:
            with self._lock:
                self._drop(call)
            self._tell()
        if outcome == TIMEOUT:
            text = f"{name} was not answered within {deadline.millis} ms"
            raise failure(VIR_ERR_OPERATION_TIMEOUT, text)
        if outcome == CANCELLED:
            raise failure(VIR_ERR_OPERATION_ABORTED, f"{name} was cancelled")
        if not call.answered:
            raise self._over()
        if call.failed:
            raise QMPError.from_reply(call.value, command, self._peer)
        return call.value

    def _drop(self, call: _Call) -> None:
        if self._calls.pop(call.number, None) is None or call.answered:
            return
        if self._wire.withdraw(call.number) and self._plain == call.number:
            self._plain = 0

    def _over(self) -> VirError:
        """What closed the connection; a new one each time, since it gets a traceback."""
        why = self.error
        if why is None:
            return failure(VIR_ERR_INTERNAL_ERROR, f"QEMU {self._who} was closed")
        return VirError(*why.raw)

    def _tell(self) -> None:
        if self._news:
            self._news = False
            self.notify()

    def notify(self) -> None:
        if self.on_activity is None or sys.is_finalizing():
            return
        try:
            self.on_activity()
        except Exception:  # not the fault of the command that happened to read
            sys.excepthook(*sys.exc_info())

    # --- reading: one thread at a time ------------------------------------------------------------

    def serve(self, seconds: float | None) -> bool:
        """Wait for the socket once, take what came, act on it; whether there is news to tell."""
        with self._lock:
            if self.closed:
                self._close_if_asked()
                return False
            writing = self._wire.pending > 0
        readable, writable = self._wire.wait(seconds, writing)
        with self._lock:
            if not self.closed:
                self._move(readable, writable)
            self._close_if_asked()
            news, self._news = self._news, False
            return news

    def _move(self, readable: bool, writable: bool) -> None:
        try:
            if writable:
                self._flush()
            if readable and not self.closed:
                self._receive()
        except VirError as wrong:
            self._end("error", wrong)
        except BaseException:  # KeyboardInterrupt where a line may have been half taken
            text = f"interrupted while QEMU {self._who} was read"
            self._end("error", failure(VIR_ERR_INTERNAL_ERROR, text))
            raise

    def _receive(self) -> None:
        try:
            got = self._wire.receive()
        except OSError as wrong:
            if wrong.errno != errno.ECONNRESET:
                text = f"Unable to read from {self._who}"
                raise system_failure(text, wrong.errno or 0) from None
            got = memoryview(b""), []
        if got is None:
            return
        if not got[0]:
            what = "agent socket" if self._agent else "qemu monitor"
            self._end("eof", failure(VIR_ERR_INTERNAL_ERROR, f"End of file from {what}"))
            return
        self._lines.feed(got[0])
        try:
            while self.closed is None and (line := self._lines.next()) is not None:
                self._dispatch(line)
        except TooLong:
            text = f"QEMU {self._who} sent a line of more than {self._max_line} bytes"
            raise failure(VIR_ERR_INTERNAL_ERROR, text) from None

    def _dispatch(self, line: Line) -> None:
        """One line to its owner."""
        if self._greeting is None and not self._agent:
            if line.kind != lines.GREETING:
                self._wrong(line, "something else before its greeting")
            else:
                self._greeting = (line.value,)
                self._turns.ring()
        elif line.kind == lines.EVENT:
            self._event(line)
        elif line.kind in (lines.RETURN, lines.ERROR):
            self._answer(line)
        elif line.kind == lines.GARBAGE:
            self._wrong(line, "a line that is not JSON")
        else:
            self._wrong(line, "neither an answer nor an event")

    def _wrong(self, line: Line, what: str) -> None:
        if self._agent:
            self._counters["dropped"] += 1
            return
        text = f"QEMU monitor sent {what}: {lines.excerpt(line.raw)}"
        raise failure(VIR_ERR_INTERNAL_ERROR, text)

    def _event(self, line: Line) -> None:
        cost = len(line.raw) + EVENT_COST
        self._counters["events"] += 1
        self._news = True
        self._arrivals += 1
        if self._lost or self._event_bytes + cost > EVENTS_MAX:
            self._lost += 1
            self._counters["events_lost"] += 1
            return
        self._events.append((line.raw, cost))
        self._event_bytes += cost

    def _answer(self, line: Line) -> None:
        call: _Call | None
        if self._agent:
            call = self._oldest()
            if call is not None and call.expect is not None:
                same = type(line.value) is int and line.value == call.expect
                call = call if same and line.kind == lines.RETURN else None
        elif line.id is not None and 0 < line.id < self._next and line.id != self._plain:
            call = self._calls.get(line.id)
        elif line.id is None and self._plain:
            call = self._calls.get(self._plain)
            self._plain = 0
        elif line.id is None and line.kind == lines.ERROR:
            call = self._oldest()  # QEMU could not read the command, hence not its id
        else:
            self._wrong(line, "an answer to no command")
            return
        if call is None or call.answered:
            self._counters["late_replies"] += 1
            return
        call.answered = True
        call.failed = line.kind == lines.ERROR
        call.value = line.value
        self._counters["replies"] += 1
        if call.awaited:
            self._turns.ring()
        else:
            self._news = True
            self._arrivals += 1

    def _oldest(self) -> _Call | None:
        return next((call for call in self._calls.values() if not call.answered), None)

    # --- under the lock ---------------------------------------------------------------------------

    def _flush(self) -> None:
        try:
            self._wire.flush()
        except OSError as wrong:
            if wrong.errno in (errno.EPIPE, errno.ECONNRESET):
                self._mute = True  # what it said before can still be read, then the end
                self._wire.forget()
                return
            text = f"Unable to write to {self._who}"
            self._end("error", system_failure(text, wrong.errno or 0))
        except BaseException:
            text = f"interrupted while a command was sent to the {self._who}"
            self._end("error", failure(VIR_ERR_INTERNAL_ERROR, text))
            raise

    def _end(self, reason: str, why: VirError) -> None:
        """The connection is over: whoever waits gets `why`."""
        if self.closed:
            return
        self.closed = reason
        self.error = why
        self._news = True
        self._arrivals += 1
        self._lines.close()
        self._wire.forget()
        self._wire.shut()
        self._turns.ring()
        if self._turns.reading:
            self._wire.ring()

    def _close_if_asked(self) -> None:
        if self._unwanted:
            self._wire.close()
