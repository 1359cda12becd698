# SPDX-License-Identifier: LGPL-2.1-or-later
"""process.py: a QEMU process: started, adopted, watched and ended.

A new process waits, as a shell that will become QEMU, until `commit`: by then its number is on
record, and if the starter dies before, the shell ends and nothing is left over. Numbers are used
again by the system, so a process is known by number and start time, and held by a pidfd.
Called by: drivers.qemu.start, stop, reconnect. Never: reads what the process says.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence

_WAIT_THEN_EXEC = 'read go && exec "$@" </dev/null'
_PR_SET_PDEATHSIG = 1


def boot_id() -> str:
    """What tells this boot of the host from others; start times count from the boot."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def start_time(pid: int) -> int | None:
    """When a process began, in clock ticks since the boot; None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    if fields[0] in (b"Z", b"X"):
        return None
    return int(fields[19])


class Process:
    """One running process."""

    def __init__(self, pid: int, child: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self.child = child
        self.fd = os.pidfd_open(pid)
        self.started = start_time(pid) or 0
        self._gone = False
        self._lock = threading.Lock()
        self._waiting = 0  # threads that poll the descriptor, which stays open for them
        self._closing = False

    @classmethod
    def adopt(cls, pid: int, started: int) -> Process | None:
        """A process that somebody else started; None when it is gone or its number is reused."""
        try:
            process = cls(pid)
        except (OSError, OverflowError, ValueError):
            return None
        if process.started == 0 or process.started != started:
            process.close()
            return None
        return process

    def wait(self, seconds: float) -> bool:
        """Wait for the end; True when the process is gone."""
        with self._lock:
            if self._gone or self._closing:
                return True
            self._waiting += 1
        try:
            poll = select.poll()
            poll.register(self.fd, select.POLLIN)
            end = time.monotonic() + seconds
            while not poll.poll(max(0.0, end - time.monotonic()) * 1000):
                if time.monotonic() >= end:
                    return False
        finally:
            with self._lock:
                self._waiting -= 1
                self._close_if_done()
        self._gone = True
        if self.child is not None:
            with contextlib.suppress(ChildProcessError):
                self.child.wait()
        return True

    def alive(self) -> bool:
        return not self.wait(0)

    def send(self, number: int) -> bool:
        """Send a signal; False when the process is gone."""
        with self._lock:
            if self._gone or self._closing:
                return False
            try:
                signal.pidfd_send_signal(self.fd, number)
            except ProcessLookupError:
                return False
            return True

    def kill(self) -> None:
        """End the process at once and wait for it."""
        self.send(signal.SIGKILL)
        self.wait(10.0)

    def close(self) -> None:
        """Let go of the process; whoever waits for it is not disturbed."""
        with self._lock:
            self._closing = True
            self._close_if_done()

    def _close_if_done(self) -> None:
        if self._closing and self._waiting == 0 and self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Starting:
    """A process that waits for `commit` before it becomes what it shall be."""

    def __init__(self, process: Process, gate: int) -> None:
        self.process = process
        self._gate = gate

    def commit(self) -> None:
        gate, self._gate = self._gate, -1
        try:
            os.write(gate, b"\n")
        except BrokenPipeError:
            pass  # it was killed; whoever waits for its monitor will see
        finally:
            os.close(gate)

    def cancel(self) -> None:
        if self._gate >= 0:
            os.close(self._gate)
            self._gate = -1
        self.process.kill()


def _dying_with_parent(parent: int) -> Callable[[], None]:
    """What a child runs to be killed when the process that started it dies.

    The kernel means the thread that started it: it has to live as long as the process does.
    """
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def run() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return run


def spawn(
    argv: Sequence[str],
    env: Mapping[str, str],
    log: int,
    fds: Sequence[int],
    *,
    mortal: bool = False,
    user: int | None = None,
    group: int | None = None,
    groups: Sequence[int] = (),
) -> Starting:
    """Start a process in its own session with nothing open but `fds` and the log.

    With `mortal` it is killed when this thread's process ends; call it from a lasting thread.
    Raises: OSError.
    """
    ready, gate = os.pipe()
    try:
        child = subprocess.Popen(
            ["/bin/sh", "-c", _WAIT_THEN_EXEC, "sh", *argv],
            stdin=ready,
            stdout=log,
            stderr=log,
            env=dict(env),
            cwd="/",
            pass_fds=tuple(fds),
            start_new_session=True,
            umask=0o002,
            user=user,
            group=group,
            extra_groups=list(groups) if user is not None else None,
            preexec_fn=_dying_with_parent(os.getpid()) if mortal else None,
        )
    except BaseException:
        os.close(gate)
        raise
    finally:
        os.close(ready)
    try:
        return Starting(Process(child.pid, child), gate)
    except BaseException:
        os.close(gate)
        child.kill()
        child.wait()
        raise
