# SPDX-License-Identifier: LGPL-2.1-or-later
"""ours_daemon.py: our own libvirtd in a folder of its own, for tests and benchmarks.

    with OurDaemon(max_clients=100) as d:
        conn = libvirt.open(d.uri("test"))

Keyword arguments are settings of libvirtd.conf. By default it listens on its two UNIX sockets; with
`tcp=True` also on a free port of 127.0.0.1 without authentication. Guests that it started end with
it, unless `keep_guests` is set.
Called by: tests of several rooms, benchmarks.
Never: touches the system's daemon or its state.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

REPOSITORY = Path(__file__).resolve().parents[1]
START_DEADLINE = 20.0
END_DEADLINE = 20.0


class OurDaemon:
    """A running libvirtd of ours. `root` holds all its files."""

    def __init__(
        self,
        *,
        root: Path | str | None = None,
        tcp: bool = False,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        start: bool = True,
        keep_guests: bool = False,
        wrapper: Callable[[list[str]], list[str]] | None = None,
        **conf: int | str | list[str],
    ) -> None:
        self._own_root = root is None
        self.root = Path(tempfile.mkdtemp(prefix="lvd-") if root is None else root)
        self.arguments = list(arguments)
        self.environment = dict(environment or {})
        self.keep_guests = keep_guests
        self._wrapper = wrapper  # makes a command line that runs ours somewhere else
        self.tcp_port = _free_port() if tcp else 0
        self.process: subprocess.Popen[bytes] | None = None
        self.conf: dict[str, int | str | list[str]] = {"log_level": 3}
        if tcp:
            self.conf |= {
                "listen_tcp": 1,
                "listen_tls": 0,
                "auth_tcp": "none",
                "listen_addr": "127.0.0.1",
                "tcp_port": str(self.tcp_port),
            }
            self.arguments.append("--listen")
        self.conf |= conf
        self.write_conf()
        if start:
            try:
                self.start()
            except BaseException:
                self.close()
                raise

    # -- where things are ---------------------------------------------------------------------

    @property
    def config_file(self) -> Path:
        return self.root / "etc" / "libvirt" / "libvirtd.conf"

    @property
    def socket(self) -> Path:
        return self.root / "run" / "libvirt" / "libvirt-sock"

    @property
    def socket_ro(self) -> Path:
        return self.root / "run" / "libvirt" / "libvirt-sock-ro"

    @property
    def pid_file(self) -> Path:
        return self.root / "run" / "libvirtd.pid"

    @property
    def pid(self) -> int:
        """The number of the daemon's process."""
        return int(self.pid_file.read_text())

    @property
    def output(self) -> Path:
        """What the daemon wrote to stdout and stderr, its log included."""
        return self.root / "output"

    def log(self) -> str:
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def uri(self, driver: str = "qemu", transport: str = "unix", *, readonly: bool = False) -> str:
        """A URI for this daemon: driver qemu or test, transport unix or tcp."""
        path = "/default" if driver == "test" else "/system"
        if driver == "qemu" and os.geteuid() != 0:
            path = "/session"
        if transport == "tcp":
            return f"{driver}+tcp://127.0.0.1:{self.tcp_port}{path}"
        return f"{driver}+unix://{path}?socket={self.socket_ro if readonly else self.socket}"

    # -- life ---------------------------------------------------------------------------------

    def write_conf(self, **changes: int | str | list[str]) -> None:
        """Write libvirtd.conf from `conf` and these changes."""
        self.conf |= changes
        self.config_file.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{name} = {_literal(value)}\n" for name, value in self.conf.items()]
        self.config_file.write_text("".join(lines))

    def command(self, *arguments: str) -> list[str]:
        """The command line of the daemon."""
        command = [sys.executable, "-m", "libvirtd", "--root", str(self.root), *arguments]
        return command if self._wrapper is None else self._wrapper(command)

    def env(self) -> dict[str, str]:
        """The daemon's environment: ours, without what tests of the client set."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LIBVIRT_", "LISTEN_"))}
        kept.pop("NOTIFY_SOCKET", None)
        path = [str(REPOSITORY / "python")] if (REPOSITORY / "python").is_dir() else []
        if kept.get("PYTHONPATH"):
            path.append(kept["PYTHONPATH"])
        return kept | {"PYTHONPATH": os.pathsep.join(path)} | self.environment

    def start(self, *, wait: bool = True) -> None:
        """Start it and, with `wait`, wait until it answers."""
        with open(self.output, "ab") as out:
            self.process = subprocess.Popen(
                self.command(*self.arguments),
                env=self.env(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until the daemon accepts connections and has its process number written."""
        assert self.process is not None
        until = time.monotonic() + START_DEADLINE
        while not answers(self.socket):
            status = self.process.poll()
            if status is not None or time.monotonic() > until:
                raise RuntimeError(f"our libvirtd did not start (status {status}):\n{self.log()}")
            time.sleep(0.002)

    def signal(self, number: int) -> None:
        """Send a signal to the daemon, also where a wrapper is its parent."""
        assert self.process is not None
        target = self.process.pid
        if self._wrapper is not None:
            children = Path(f"/proc/{target}/task/{target}/children").read_text().split()
            target = int(children[0]) if children else target
        os.kill(target, number)

    def reload(self) -> None:
        self.signal(signal.SIGHUP)

    def stop(self, seconds: float = END_DEADLINE) -> int:
        """End it as a service manager would; its exit status. Guests stay."""
        return self._end(signal.SIGTERM, seconds)

    def kill(self) -> None:
        """End it without a chance to say goodbye."""
        self._end(signal.SIGKILL, END_DEADLINE)

    def wait(self, seconds: float = END_DEADLINE) -> int:
        """Wait for it to end by itself; its exit status."""
        assert self.process is not None
        status = self.process.wait(seconds)
        self.process = None
        return status

    def _end(self, number: int, seconds: float) -> int:
        self.signal(number)
        return self.wait(seconds)

    def close(self) -> None:
        """End everything and remove the folder."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.signal(signal.SIGCONT)
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()
        if not self.keep_guests:
            self._end_guests()
        if self._own_root:
            shutil.rmtree(self.root, ignore_errors=True)

    def _end_guests(self) -> None:
        """Kill what the daemon left running: processes that name our folder in their arguments."""
        for pid in guests_below(self.root):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def __enter__(self) -> OurDaemon:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and self.log():
            sys.stderr.write(f"--- our libvirtd said:\n{self.log()[-20000:]}\n")
        self.close()


def answers(path: Path | str) -> bool:
    """Whether somebody listens on a UNIX socket, whatever the length of its path."""
    folder, name = os.path.split(path)
    try:
        at = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(f"/proc/self/fd/{at}/{name}")
    except OSError:
        return False
    finally:
        os.close(at)
    return True


def guests_below(root: Path | str) -> list[int]:
    """The QEMU processes that have a folder in their command line."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            try:
                words = Path(entry.path, "cmdline").read_bytes()
            except OSError:
                continue
            if b"qemu" in words.partition(b"\0")[0] and os.fsencode(str(root)) in words:
                found.append(int(entry.name))
    return found


def _literal(value: int | str | list[str]) -> str:
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, str):
        return f'"{value}"'
    return "[" + ", ".join(f'"{item}"' for item in value) + "]"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
