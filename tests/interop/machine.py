# SPDX-License-Identifier: LGPL-2.1-or-later
"""machine.py: a private machine made of namespaces, so that a real libvirtd touches nothing here.

A `Machine` has its own mounts over /etc, /run and libvirt's folders under /var, its own process
table, host name and network. Its `root` folder is visible from outside: `root/run/libvirt/…` are
the daemon's sockets. Commands run inside it with `run` and `popen`.
Called by: daemon.py, the fixtures of conftest.py.
Never: knows about libvirt's configuration (daemon.py does).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

INIT = Path(__file__).with_name("namespace_init.py")
START_DEADLINE = 20.0


class Machine:
    """Namespaces that live until `close`; everything started inside dies with them."""

    def __init__(self, hostname: str = "alpha", network_of: Machine | None = None) -> None:
        self.hostname = hostname
        self.pid = 0  # of process 1 inside, as seen from outside
        self.root: Path = Path(tempfile.mkdtemp(prefix="lvi-", dir="/tmp"))
        self.root.chmod(0o755)
        for name in ("etc", "run", "lib", "cache", "log"):
            (self.root / name).mkdir()
        path = self.root / "control"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(1)
            listener.settimeout(START_DEADLINE)
            command = ["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
            if network_of is None:
                command.append("--net")
            else:
                command[:0] = ["nsenter", f"--net=/proc/{network_of.pid}/ns/net"]
            command += [sys.executable, "-I", str(INIT), str(self.root), hostname, str(path)]
            self._unshare = subprocess.Popen(command, stdin=subprocess.DEVNULL)
            self._control, _ = listener.accept()
        self.pid = _peer_pid(self._control)
        self._control.settimeout(START_DEADLINE)
        said = self._control.recv(4096).decode()
        if said != "ready\n":
            self.close()
            raise RuntimeError(f"the private machine did not start: {said!r}")

    def command(self, arguments: Sequence[str], *, mounts: bool = True) -> list[str]:
        """The command line that runs `arguments` inside; with `mounts` false, on our own files."""
        enter = ["nsenter", "-t", str(self.pid), "--uts", "--ipc", "--net", "--pid"]
        if mounts:
            enter += ["--mount", "--wd=/"]
        return [*enter, "--", *arguments]

    def popen(
        self,
        arguments: Sequence[str],
        *,
        mounts: bool = True,
        env: Mapping[str, str] | None = None,
        stdin: int | IO[bytes] | None = subprocess.DEVNULL,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command(arguments, mounts=mounts),
            env=None if env is None else dict(env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )

    def run(
        self,
        arguments: Sequence[str],
        *,
        mounts: bool = True,
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        input: str | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(arguments, mounts=mounts),
            env=None if env is None else dict(env),
            timeout=timeout,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            check=check,
            text=True,
            capture_output=True,
        )

    def close(self) -> None:
        """End process 1; the kernel kills the rest. Then remove the folders."""
        self._control.close()
        try:
            self._unshare.wait(5)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, signal.SIGKILL)
            self._unshare.wait(5)
        shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _peer_pid(peer: socket.socket) -> int:
    """The process at the other end, numbered as we see it."""
    size = struct.calcsize("3i")
    packed = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int(struct.unpack("3i", packed)[0])
