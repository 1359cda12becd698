# SPDX-License-Identifier: LGPL-2.1-or-later
"""monitor.py: the QMP connection of one running guest, for a caller and for the reactor.

One thread at a time talks over it; it reads its own answer and the events that come before. While
nobody talks, the reactor reads. Events are handled in their order, before the call that met them
returns, so that what a call changed is known when it ends.
Called by: the mixins of drivers.qemu (under a job), reactor. Calls: qmp.
Never: holds a guest's lock while it waits for QEMU.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from libvirtcore import deadline
from libvirtcore.drivers.qemu.reactor import reactor
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.qmp import Client, Event, QMPError

Command = tuple[str, dict[str, Any] | None]

SECONDS = 30.0  # how long QEMU may take to answer, unless the caller knows better


class Monitor:
    """Commands to QEMU, and what QEMU says by itself."""

    def __init__(self, client: Client, handle: Callable[[Event], None]) -> None:
        self._client = client
        self._handle = handle
        self._turn = threading.Lock()
        self._handling = threading.RLock()
        self._events: deque[Event] = deque()
        self._fd = client.fileno()
        self._watched = False
        self._serial = 0
        self.busy_since: float | None = None
        self.closed = False
        self.on_end: Callable[[], None] = lambda: None  # told, by whoever met it, of the end
        client.on_event = self._events.append

    def watch(self) -> None:
        """From now on the reactor hears what QEMU says while nobody asks."""
        self._watched = True
        reactor().watch(self._fd, self._readable)

    def next_id(self) -> str:
        """A name for a user's own command, as libvirt names them."""
        self._serial += 1
        return f"libvirt-{self._serial}"

    # --- commands ---------------------------------------------------------------------------------

    def command(
        self,
        name: str,
        arguments: dict[str, Any] | None = None,
        *,
        fds: Sequence[int] = (),
        seconds: float | None = None,
    ) -> Any:
        """Run a command. Raises: VirError, also for what QEMU refuses."""
        try:
            return self.execute(name, arguments, fds=fds, seconds=seconds)
        except QMPError as refused:
            raise report(
                c.VIR_ERR_INTERNAL_ERROR,
                c.VIR_FROM_QEMU,
                f"unable to execute QEMU command '{name}': {refused.desc}",
            ) from None

    def execute(
        self,
        name: str,
        arguments: dict[str, Any] | None = None,
        *,
        fds: Sequence[int] = (),
        seconds: float | None = None,
    ) -> Any:
        """Run a command. Raises: QMPError for what QEMU refuses, VirError else."""
        return self._talk(
            name,
            seconds,
            lambda left: self._client.execute(name, arguments, fds=fds, timeout=left),
        )

    def execute_many(
        self,
        commands: Sequence[tuple[str, dict[str, Any] | None]],
        seconds: float | None = None,
    ) -> list[Any]:
        """Send commands at once; for each its value or its QMPError. Raises: VirError."""
        answers: list[Any] = self._talk(
            commands[0][0], seconds, lambda left: self._client.execute_many(commands, left)
        )
        return answers

    def _talk(self, name: str, seconds: float | None, talk: Callable[[float], Any]) -> Any:
        """Have the monitor for as long as `talk` takes; it is given the seconds left."""
        limit = deadline.remaining(SECONDS if seconds is None else seconds)
        assert limit is not None
        began = time.monotonic()
        if not self._turn.acquire(timeout=limit):
            raise _timeout(name)
        try:
            if self.closed:
                raise _gone()
            self.busy_since = began
            if self._watched:
                reactor().pause(self._fd)
            try:
                left = max(0.001, limit - (time.monotonic() - began))
                return talk(left)
            except QMPError:
                raise
            except VirError as fault:
                if fault.code == c.VIR_ERR_OPERATION_TIMEOUT:
                    raise _timeout(name) from None
                if self._client.closed is None:
                    raise  # the command was never sent: QEMU has nothing to do with it
                self._ended()
                raise _gone() from None
            except (OSError, EOFError):
                self._ended()
                raise _gone() from None
        finally:
            self._yield()

    # --- many commands at once --------------------------------------------------------------------

    def submit(self, commands: Sequence[Command], patience: float = 0.0) -> list[int] | None:
        """Send commands without waiting for answers; None when somebody else talks.

        What came back must be given to `collect`, by whichever thread; until then it is our turn.
        Raises: VirError when QEMU is gone.
        """
        if not self._turn.acquire(timeout=patience):
            return None
        numbers: list[int] = []
        try:
            if self.closed:
                raise _gone()
            self.busy_since = time.monotonic()
            if self._watched:
                reactor().pause(self._fd)
            for name, arguments in commands:
                numbers.append(self._client.submit(name, arguments))
        except (VirError, OSError, EOFError):
            refused = self._client.closed is None
            if refused:
                self._forget(numbers)
            else:
                self._ended()
            self._yield()
            if refused:
                raise
            raise _gone() from None
        return numbers

    def collect(self, numbers: Sequence[int], seconds: float) -> list[Any]:
        """The answers to what was submitted; for a command that was refused its QMPError.

        Raises: VirError when not all have come in time or QEMU is gone.
        """
        end = time.monotonic() + seconds
        answers: list[Any] = []
        try:
            for number in numbers:
                try:
                    answers.append(self._client.wait(number, max(0.001, end - time.monotonic())))
                except QMPError as refused:
                    answers.append(refused)
        except VirError as fault:
            self._forget(numbers[len(answers) + 1 :])
            if fault.code == c.VIR_ERR_OPERATION_TIMEOUT:
                raise _timeout("several") from None
            self._ended()
            raise _gone() from None
        except (OSError, EOFError):
            self._ended()
            raise _gone() from None
        finally:
            self._yield()
        return answers

    def fileno(self) -> int:
        """Readable when QEMU says something."""
        return self._fd

    def _forget(self, numbers: Sequence[int]) -> None:
        """Nobody asks for these answers any more."""
        for number in numbers:
            with contextlib.suppress(VirError):
                self._client.forget(number)

    def _yield(self) -> None:
        """The end of a turn. The reactor listens again only then: it does not wait for a turn, so
        what it was told of during one would be told to nobody."""
        self.busy_since = None
        self._turn.release()
        if self._watched:
            reactor().resume(self._fd)
        self._drain()
        if self.closed:
            self.on_end()

    # --- events -----------------------------------------------------------------------------------

    def _readable(self) -> None:
        """In the reactor: read what has come. Whoever talks reads for itself and resumes."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            alive = self._pump()
            if alive and self._watched:
                reactor().resume(self._fd)
        finally:
            self._turn.release()
        self._drain()
        if not alive:
            self.on_end()

    def _pump(self) -> bool:
        """Read everything that is there; False at the end of the connection."""
        if self.closed:
            return False
        try:
            alive = self._client.pump(0)
        except (VirError, OSError, EOFError):
            self._ended()
            return False
        if not alive:
            self._ended()
        return alive

    def _drain(self) -> None:
        """Handle what has come, and wait for whoever is at it."""
        with self._handling:
            while self._events:
                self._handle(self._events.popleft())

    def finish(self) -> None:
        """Read and handle what a QEMU that ended has left unread."""
        if self._turn.acquire(timeout=1.0):
            try:
                self._pump()
            finally:
                self._turn.release()
        self._drain()

    def _ended(self) -> None:
        self.closed = True
        if self._watched:
            self._watched = False
            reactor().forget(self._fd)

    def close(self) -> None:
        """Leave QEMU alone; a command under way fails."""
        self.on_end = lambda: None
        waiting = not self._turn.acquire(timeout=0.1)
        try:
            self._ended()
            self._client.close()
        finally:
            if not waiting:
                self._turn.release()


def _timeout(name: str) -> VirError:
    return report(
        c.VIR_ERR_OPERATION_TIMEOUT, c.VIR_FROM_QEMU, f"QEMU did not answer '{name}' in time"
    )


def _gone() -> VirError:
    return report(c.VIR_ERR_OPERATION_FAILED, c.VIR_FROM_QEMU, "domain is no longer running")
