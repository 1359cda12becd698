# SPDX-License-Identifier: LGPL-2.1-or-later
"""pair.py: our libvirtd and the real one side by side on one private machine.

They share host name and network; each has its own files, sockets and ports. Run as a program it
plays virsh commands on both: `python -m tests.interop_daemon.pair "list --all" …`.
Called by: conftest.py. Calls: tests.interop.daemon (the real one), tests.ours_daemon (ours).
Never: lets one of them see a file of the other.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.interop.daemon import PATH, Daemon, Settings
from tests.interop.machine import Machine
from tests.ours_daemon import OurDaemon

VIRSH_SECONDS = 60
_ENVIRONMENT = {
    "PATH": PATH,
    "LC_ALL": "C",
    "HOME": "/nonexistent",
    "XDG_CACHE_HOME": "/nonexistent",
}


@dataclass(frozen=True)
class Side:
    """One daemon as clients reach it; has what oracle.play_on asks for."""

    name: str
    machine: Machine
    socket: Path
    socket_ro: Path
    port: int

    def uri(self, driver: str, transport: str = "unix") -> str:
        path = "/default" if driver == "test" else "/system"
        if transport == "tcp":
            return f"{driver}+tcp://127.0.0.1:{self.port}{path}"
        path_of_socket = self.socket_ro if transport == "ro" else self.socket
        return f"{driver}+unix://{path}?socket={path_of_socket}"

    def virsh(
        self, where: str, command: str, stdin: str | None = None, seconds: float = VIRSH_SECONDS
    ) -> tuple[int, str, str]:
        """Run Debian's virsh; its exit status, output and errors without what names the daemon."""
        driver, _, transport = where.partition("+")
        uri = self.uri(driver, transport or "unix")
        try:
            done = self.machine.run(
                ["virsh", "-c", uri, *([command] if command else [])],
                mounts=False, env=_ENVIRONMENT, timeout=seconds, check=False, input=stdin,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return -1, "", f"no answer within {seconds} s"
        return done.returncode, self._anonymous(done.stdout), self._anonymous(done.stderr)

    def _anonymous(self, text: str) -> str:
        for part in (str(self.socket_ro), str(self.socket)):
            text = text.replace(part, "SOCKET")
        return text.replace(f"127.0.0.1:{self.port}", "127.0.0.1:PORT")


class Pair:
    """Both daemons, `real` and `ours`, running."""

    def __init__(self, cache: Path | None = None) -> None:
        self._real = Daemon(Settings(), cache=cache)
        machine = self._real.machine
        try:
            self._ours = OurDaemon(
                tcp=True,
                wrapper=lambda command: machine.command(command, mounts=False),
                # What the real one's file says, so that both let in the same people.
                host_uuid=self._real.settings.host_uuid,
                unix_sock_rw_perms="0777",
            )
        except BaseException:
            self._real.close()
            raise
        daemon = self._real
        self.real = Side("real", machine, daemon.socket, daemon.socket_ro, daemon.settings.tcp_port)
        ours = self._ours
        self.ours = Side("ours", machine, ours.socket, ours.socket_ro, ours.tcp_port)

    def log(self) -> str:
        """What our daemon has logged."""
        return self._ours.log()

    def close(self) -> None:
        try:
            self._ours.close()
        finally:
            self._real.close()

    def __enter__(self) -> Pair:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def main(commands: list[str]) -> int:
    """Play commands on both and show where they differ."""
    with Pair() as pair:
        for line in commands:
            where, _, command = line.partition("$ ") if "$ " in line else ("test", "", line)
            answers = [side.virsh(where.strip(), command) for side in (pair.real, pair.ours)]
            same = "same" if answers[0] == answers[1] else "DIFFERENT"
            print(f"== {command}: {same}")
            for answer in answers if same != "same" else answers[:1]:
                print(f"-- status {answer[0]}\n{answer[1]}{answer[2]}")
        print(pair.log())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
