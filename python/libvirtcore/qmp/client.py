# SPDX-License-Identifier: LGPL-2.1-or-later
"""client.py: a QMP client: commands with deadlines, events, many threads on one monitor.

Called by: users (`from libvirtcore import qmp`), drivers.qemu. Calls: the core, qmp.lines.
Never: touches the socket; runs an event callback in two threads at once.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from libvirtcore.errors import VirError
from libvirtcore.generated.constants import (
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_OPERATION_TIMEOUT,
    VIR_ERR_SYSTEM_ERROR,
)
from libvirtcore.qmp.connection import Connection
from libvirtcore.qmp.errors import QMPError, failure, system_failure
from libvirtcore.qmp.lines import LINE_MAX, Event, command_text

__all__ = ["Client", "Greeting", "connect", "open_socket", "socket_address"]

_ADDRESS_ROOM = 104  # bytes of a path in a socket address, on the stingiest system


@contextmanager
def socket_address(path: str | tuple[str, int]) -> Iterator[tuple[int, Any]]:
    """Family and address of a unix socket whose path may have any length, or of (host, port)."""
    if not isinstance(path, str):
        yield socket.AF_INET6 if ":" in path[0] else socket.AF_INET, path
        return
    if len(os.fsencode(path)) < _ADDRESS_ROOM:
        yield socket.AF_UNIX, path
        return
    directory, name = os.path.split(path)
    try:
        place = os.open(directory or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as wrong:
        raise _unreachable(path, wrong) from None
    try:
        yield socket.AF_UNIX, f"/proc/self/fd/{place}/{name}"
    finally:
        os.close(place)


def open_socket(path: str | tuple[str, int], timeout: float | None) -> int:
    """Connect to a unix socket, or with (host, port) by TCP; the descriptor."""
    with socket_address(path) as (family, address), socket.socket(family) as made:
        try:
            made.settimeout(timeout)
            made.connect(address)
        except TimeoutError:
            raise failure(VIR_ERR_OPERATION_TIMEOUT, f"connecting to {path}") from None
        except (OSError, ValueError) as wrong:
            raise _unreachable(path, wrong) from None
        made.settimeout(None)
        return made.detach()


def _unreachable(path: object, wrong: Exception) -> VirError:
    text = f"failed to connect to monitor socket {path}"
    if isinstance(wrong, OSError) and wrong.errno:
        return system_failure(text, wrong.errno)
    return failure(VIR_ERR_SYSTEM_ERROR, f"{text}: {wrong}")


class Greeting:
    """What QEMU said first. Whatever has a wrong shape counts as missing."""

    def __init__(self, value: Any) -> None:
        self.value: dict[str, Any] = value if isinstance(value, dict) else {}
        offered = self.value.get("capabilities")
        self.capabilities: tuple[str, ...] = (
            tuple(str(name) for name in offered) if isinstance(offered, list) else ()
        )
        version = self.value.get("version")
        version = version if isinstance(version, dict) else {}
        numbers = version.get("qemu")
        numbers = numbers if isinstance(numbers, dict) else {}
        parts = [numbers.get(part) for part in ("major", "minor", "micro")]
        known = [part for part in parts if type(part) is int and 0 <= part < 1 << 31]
        self._known = len(known) == 3
        self.version: tuple[int, int, int] = (
            (known[0], known[1], known[2]) if self._known else (0, 0, 0)
        )
        package = version.get("package")
        self.package: str = package if isinstance(package, str) else ""

    def check(self) -> None:
        """Raises: VirError when it was no greeting of a QEMU."""
        if not self._known:
            raise failure(VIR_ERR_INTERNAL_ERROR, "the QMP greeting names no version")


class Client:
    """One monitor of one QEMU. Any thread may use it; calls wait for their own answers alone."""

    def __init__(
        self, fd: int, *, timeout: float | None = None, oob: bool = False, max_line: int = LINE_MAX
    ) -> None:
        """Take a connected socket, read the greeting and negotiate; closes the socket on failure.

        Raises: VirError (OPERATION_TIMEOUT) when QEMU does not greet in time.
        """
        self._on_event: Callable[[Event], None] | None = None
        self._reader: threading.Thread | None = None
        self._delivering = threading.Lock()
        self._again = False
        try:
            self._core = Connection(fd, max_line=max_line)
        except BaseException:
            socket.close(fd)
            raise
        self._core.on_activity = self._activity
        self._execute = self._core.execute
        try:
            self._negotiate(timeout, oob)
        except BaseException:
            self._core.close()
            raise

    def _negotiate(self, timeout: float | None, oob: bool) -> None:
        end = None if timeout is None else time.monotonic() + timeout
        said = Greeting(self._core.greet(timeout))
        said.check()
        self.greeting = said.value
        self.capabilities, self.version, self.package = (
            said.capabilities,
            said.version,
            said.package,
        )
        self.oob: bool = oob and "oob" in self.capabilities
        arguments = {"enable": ["oob"]} if self.oob else None
        left = None if end is None else max(end - time.monotonic(), 0.001)
        self.execute("qmp_capabilities", arguments, timeout=left)

    # --- commands ---------------------------------------------------------------------------------

    def execute(
        self,
        command: str,
        arguments: dict[str, Any] | None = None,
        *,
        fds: Sequence[int] = (),
        timeout: float | None = None,
        oob: bool = False,
    ) -> Any:
        """Run a command and return its value. The descriptors `fds` go with it and stay yours.

        Raises: QMPError when QEMU refuses; VirError (OPERATION_TIMEOUT) when it does not answer
        within `timeout` seconds, and what closed the monitor when it is closed.
        """
        return self._execute(
            command_text(command, arguments, oob and self.oob), command, fds, timeout
        )

    def execute_many(
        self,
        commands: Iterable[tuple[str, dict[str, Any] | None]],
        timeout: float | None = None,
    ) -> list[Any]:
        """Send all commands at once; for each in order its value, or its QMPError.

        Raises: VirError when not all are answered within `timeout` seconds, or the monitor closes.
        """
        end = None if timeout is None else time.monotonic() + timeout
        core, pending, results = self._core, [], []
        try:
            for command, arguments in commands:
                number = core.submit(command_text(command, arguments), lone=True)
                pending.append((number, command))
            pending.reverse()
            while pending:
                number, command = pending.pop()
                left = None if end is None else end - time.monotonic()
                try:
                    results.append(core.wait(number, command, left))
                except QMPError as refused:
                    results.append(refused)
        finally:
            for number, _command in pending:  # only when something went wrong
                with suppress(VirError):
                    core.forget(number)
        return results

    def submit(
        self,
        command: str,
        arguments: dict[str, Any] | None = None,
        *,
        fds: Sequence[int] = (),
        oob: bool = False,
    ) -> int:
        """Send a command; its number for `wait`."""
        text = command_text(command, arguments, oob and self.oob)
        return self._core.submit(text, fds, lone=True)

    def wait(self, number: int, timeout: float | None = None) -> Any:
        """The value of a submitted command, once. Raises: as execute; then nobody can ask again."""
        return self._core.wait(number, f"number {number}", timeout)

    def forget(self, number: int) -> None:
        """Nobody will wait for a submitted command."""
        self._core.forget(number)

    def cancel(self, thread_id: int | None = None) -> int:
        """Wake whoever waits (in one thread, if given) with OPERATION_ABORTED; how many."""
        return self._core.cancel(thread_id)

    # --- events -----------------------------------------------------------------------------------

    @property
    def on_event(self) -> Callable[[Event], None] | None:
        """Called with every event, in order, by the thread that happens to read, or the reader.

        What it raises goes to sys.excepthook: it is not the fault of whoever happens to read, and
        the next event comes all the same.
        """
        return self._on_event

    @on_event.setter
    def on_event(self, callback: Callable[[Event], None] | None) -> None:
        self._on_event = callback
        if callback is not None and self._reader is None:
            self._deliver()

    def next_event(self, timeout: float | None = 0.0) -> Event | None:
        """The oldest event that was not handed out, waiting for one if need be; None without.

        Raises: what closed the monitor, once no event is left.
        """
        end = None if timeout is None else time.monotonic() + timeout
        core = self._core
        while True:
            event = core.next_event()
            if event is not None:
                return event
            left = None if end is None else max(end - time.monotonic(), 0.0)
            if not core.pump(left):
                event = core.next_event()
                if event is None and core.error is not None:
                    raise core.error
                return event
            if left == 0.0:
                return core.next_event()

    def start_reader(self) -> None:
        """Have a thread read, so that events come (to on_event) without anybody asking."""
        if self._reader is None:
            self._core.check_process()
            self._reader = threading.Thread(target=self._read, name="qmp-reader", daemon=True)
            self._reader.start()

    def pump(self, timeout: float | None = 0.0) -> bool:
        """Read what is there, or wait for events, and hand them out; False once closed."""
        open_still = self._core.pump(timeout)
        self._deliver()
        return open_still

    def _read(self) -> None:
        while self._core.pump(None):
            self._deliver()
        self._deliver()

    def _activity(self) -> None:
        """Events came while a command waited. With a reader they are its to hand out."""
        if self._reader is None:
            self._deliver()

    def _deliver(self) -> None:
        """Hand out what is queued; one thread at a time, so that the order is kept."""
        self._again = True
        while self._again and self._on_event is not None:
            if not self._delivering.acquire(blocking=False):
                return  # whoever has it looks once more
            try:
                self._again = False
                while True:
                    callback = self._on_event
                    event = None if callback is None else self._core.next_event()
                    if callback is None or event is None:
                        break
                    _call(callback, event)
            finally:
                self._delivering.release()

    # --- the connection ---------------------------------------------------------------------------

    def fileno(self) -> int:
        """The socket, for an event loop that calls `pump` when it is readable; -1 once closed."""
        return self._core.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether `pump` should also be called when the socket is writable."""
        return self._core.wants_write

    @property
    def closed(self) -> str | None:
        """None, or why: "error", "eof" or "client"."""
        return self._core.closed

    @property
    def error(self) -> VirError | None:
        """What closed the monitor."""
        return self._core.error

    def stats(self) -> dict[str, int]:
        """Counters since the connection was made, and what waits now."""
        return self._core.stats()

    def close(self) -> None:
        """Close the monitor; whoever waits is told. QEMU itself goes on."""
        self._core.close()
        reader = self._reader
        if reader is not None and reader is not threading.current_thread():
            reader.join(timeout=5)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _call(callback: Callable[[Event], None], event: Event) -> None:
    try:
        callback(event)
    except Exception:
        sys.excepthook(*sys.exc_info())


def connect(
    path: str | tuple[str, int] | None = None,
    *,
    fd: int | None = None,
    timeout: float | None = None,
    oob: bool = False,
    max_line: int = LINE_MAX,
) -> Client:
    """A client on a unix socket, on (host, port), or on a connected socket `fd`, now its own."""
    if fd is None:
        if path is None:
            raise TypeError("connect needs a path or a descriptor")
        end = None if timeout is None else time.monotonic() + timeout
        fd = open_socket(path, timeout)
        timeout = None if end is None else max(end - time.monotonic(), 0.001)
    return Client(fd, timeout=timeout, oob=oob, max_line=max_line)
