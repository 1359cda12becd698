# SPDX-License-Identifier: LGPL-2.1-or-later
"""unix.py: the UNIX socket of a daemon on this host; the user's own daemon is started on demand:
the installed one, or the one of this package where there is no other.

Called by: transport.py. Calls: sockets.py.
Never: starts a daemon for the system.
"""

from __future__ import annotations

import errno
import fcntl
import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from libvirtcore import deadline
from libvirtcore.drivers.remote.failure import system_error, timed_out
from libvirtcore.drivers.remote.link import Link
from libvirtcore.drivers.remote.options import Options
from libvirtcore.drivers.remote.sockets import Endpoint, choose, find_daemon, shared_endpoint
from libvirtcore.settings import runtime_directory

PATH_MAX = 107  # bytes of sun_path, less its NUL
_START_SECONDS = 5.0
_IDLE_SECONDS = 120
_NOT_THERE = (errno.ENOENT, errno.ECONNREFUSED)
# What a daemon that outlives this process needs of its environment.
_ENVIRONMENT = (
    "PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "LC_ALL", "LD_PRELOAD", "LD_LIBRARY_PATH",
    "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "XAUTHORITY", "DISPLAY",
)  # fmt: skip


def dial(options: Options) -> Link:
    """Connect to the socket that the URI names or implies."""
    endpoint = choose(options) if options.socket is None else Endpoint(options.socket, ())
    connection = _attempt(endpoint.path, tolerate=options.autostart)
    if connection is None:
        connection = _start_and_connect(endpoint, options)
    return Link(connection.detach(), secure=True)


def _attempt(path: str, tolerate: bool) -> socket.socket | None:
    """Connect; with `tolerate`, None when nobody listens there."""
    raw = os.fsencode(path)
    if len(raw) > PATH_MAX:
        raise system_error(f"Path {path} too long for unix socket", errno.ENOMEM)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _wait_connected(connection, raw or b"\0" * (PATH_MAX + 1))  # no name would mean "any"
    except OSError as fault:
        connection.close()
        if isinstance(fault, TimeoutError) and fault.errno is None:
            raise timed_out(f"Failed to connect socket to '{path}'") from None
        number = fault.errno or errno.EIO
        if tolerate and number in _NOT_THERE:
            return None
        raise system_error(f"Failed to connect socket to '{path}'", number) from None
    return connection


def _wait_connected(connection: socket.socket, path: bytes) -> None:
    """Connect within the deadline. The system waits for a place in the queue of a busy daemon, but
    not for as long as one likes: with a limit it says at once that there is none."""
    while True:
        connection.settimeout(deadline.remaining())
        try:
            connection.connect(path)
        except BlockingIOError:
            time.sleep(0.01)
        else:
            connection.settimeout(None)
            return


def _start_and_connect(endpoint: Endpoint, options: Options) -> socket.socket:
    """Start the session daemon and connect as soon as it listens."""
    daemons = endpoint.daemons or choose(options).daemons
    with _start_lock(daemons[0]):
        connection = _attempt(endpoint.path, tolerate=True)  # another process may have started it
        if connection is not None:
            return connection
        program = next(filter(None, map(find_daemon, daemons)), None)
        command = [program] if program is not None else own_daemon(options)
        if not command:
            raise system_error(
                f"Failed to connect socket to '{endpoint.path}', and no {' or '.join(daemons)} "
                "is installed to be started",
                errno.ENOENT,
            )
        if program is None:
            endpoint = shared_endpoint(options)
        _start(command)
        limit = deadline.remaining()
        seconds = _START_SECONDS if limit is None else min(_START_SECONDS, limit)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            connection = _attempt(endpoint.path, tolerate=True)
            if connection is not None:
                return connection
            time.sleep(0.01)
    raise system_error(f"Failed to connect socket to '{endpoint.path}'", errno.ENOENT)


@contextmanager
def _start_lock(daemon: str) -> Iterator[None]:
    """Only one client at a time starts a daemon; libvirt's own clients honour the same file."""
    folder = runtime_directory()
    path = os.path.join(folder, f"{daemon}.lock")
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as fault:
        raise system_error(f"Unable to lock '{path}'", fault.errno or errno.EIO) from None
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX, 1)
        yield
    finally:
        os.close(lock)


def own_daemon(options: Options) -> list[str]:
    """How to run the daemon that comes with this package; empty when it cannot serve the URI."""
    if os.environ.get("VIRTD_PATH") or os.environ.get("LIBVIRTD_PATH"):
        return []  # the user has said which one
    if options.mode == "direct" or options.driver not in ("", "qemu", "test"):
        return []
    wanted = ("libvirtd", "_libvirtmod")  # the daemon has no pure-Python core
    if any(importlib.util.find_spec(name) is None for name in wanted):
        return []
    return [sys.executable, "-m", "libvirtd"]


def _start(command: list[str]) -> None:
    """Run the daemon in a session of its own; it ends by itself when nobody uses it for a while.

    A shell in between makes the daemon a child of init, so that no zombie is left to this process.
    """
    names = (*_ENVIRONMENT, "PYTHONPATH") if len(command) > 1 else _ENVIRONMENT
    environment = {name: os.environ[name] for name in names if name in os.environ}
    script = 'umask 077; "$0" "$@" </dev/null >/dev/null 2>&1 &'
    subprocess.run(
        ["/bin/sh", "-c", script, *command, f"--timeout={_IDLE_SECONDS}"],
        env=environment,
        cwd="/",
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
