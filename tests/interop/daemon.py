# SPDX-License-Identifier: LGPL-2.1-or-later
"""daemon.py: Debian's real virtlogd and libvirtd on a private machine, configured by us.

A `Daemon` is one machine with both programs running. `uri(driver, transport)` gives the URI that
reaches it from inside its network (all clients of the suite run there, see `Daemon.client`), and
`socket` the path of its UNIX socket, which also works from outside.
Called by: the fixtures of conftest.py, play.py, tests.interop_daemon, benchmarks.
Calls: machine.py, certificates.py.
Never: reads or writes the system's own libvirt.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from tests.interop.machine import Machine

PROGRAMS = (
    "unshare",
    "nsenter",
    "libvirtd",
    "virtlogd",
    "virsh",
    "qemu-system-x86_64",
    "qemu-img",
    "dnsmasq",
    "openssl",
    "saslpasswd2",
)
SYSTEM_PYTHON = "/usr/bin/python3"
START_DEADLINE = 30.0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
REPOSITORY = Path(__file__).resolve().parents[2]

QEMU_CONF = """
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
cgroup_controllers = []
vnc_listen = "127.0.0.1"
stdio_handler = "logd"
"""


def missing() -> list[str]:
    """What this host lacks for the interop suite; empty when it can run."""
    lacks = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if os.geteuid() != 0:
        lacks.append("root (for namespaces)")
    else:
        spaces = ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "true"]
        if subprocess.run(spaces, capture_output=True, check=False).returncode != 0:
            lacks.append("permission to make namespaces")
    probe = [SYSTEM_PYTHON, "-c", "import libvirt"]
    if not os.path.exists(SYSTEM_PYTHON):
        lacks.append(SYSTEM_PYTHON)
    elif subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        lacks.append("python3-libvirt")
    return lacks


@dataclass(frozen=True)
class Settings:
    """What differs between the daemons of the suite."""

    hostname: str = "alpha"
    host_uuid: str = "11111111-2222-4333-8444-555555555555"
    tcp_port: int = 16509
    tls_port: int = 16514
    auth_tcp: str = "none"
    auth_unix_rw: str = "none"
    auth_tls: str = "none"
    extra: Mapping[str, str | int] = field(default_factory=dict)
    qemu: str = ""
    certificates: Path | None = None
    sasl: str = ""

    def libvirtd_conf(self) -> str:
        values: dict[str, str | int] = {
            "listen_addr": "127.0.0.1",
            "listen_tcp": 1,
            "tcp_port": str(self.tcp_port),
            "auth_tcp": self.auth_tcp,
            "listen_tls": int(self.certificates is not None),
            "tls_port": str(self.tls_port),
            "auth_tls": self.auth_tls,
            "unix_sock_group": "root",
            "unix_sock_ro_perms": "0777",
            "unix_sock_rw_perms": "0777",
            "auth_unix_ro": "none",
            "auth_unix_rw": self.auth_unix_rw,
            "host_uuid": self.host_uuid,
            "log_level": 3,
            "log_outputs": "3:file:/var/log/libvirt/libvirtd.log",
        }
        values |= self.extra
        if self.certificates is not None:
            pki = "/etc/pki/interop"
            values |= {
                "ca_file": f"{pki}/ca.pem",
                "cert_file": f"{pki}/server.pem",
                "key_file": f"{pki}/server-key.pem",
            }
        return "".join(
            f'{name} = "{value}"\n' if isinstance(value, str) else f"{name} = {value}\n"
            for name, value in values.items()
        )


class Daemon:
    """A machine with virtlogd and libvirtd running on it."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        network_of: Daemon | None = None,
        cache: Path | None = None,
    ) -> None:
        self.settings = settings = settings or Settings()
        self.machine: Machine = Machine(
            settings.hostname, network_of=network_of.machine if network_of else None
        )
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        try:
            self._configure(cache)
            self._start_program("virtlogd", "libvirt/virtlogd-sock", "virtlogd")
            self.start()
        except BaseException:
            self.close()
            raise

    # -- where things are ---------------------------------------------------------------------

    @property
    def root(self) -> Path:
        return self.machine.root

    @property
    def images(self) -> Path:
        """The folder that the daemon sees as /var/lib/libvirt/images."""
        return self.root / "lib" / "images"

    @property
    def socket(self) -> Path:
        return self.root / "run" / "libvirt" / "libvirt-sock"

    @property
    def socket_ro(self) -> Path:
        return self.root / "run" / "libvirt" / "libvirt-sock-ro"

    def uri(self, driver: str = "qemu", transport: str = "unix") -> str:
        """A URI for this daemon: driver qemu, lxc or test, transport unix, tcp or tls."""
        path = "/default" if driver == "test" else "/system"
        if transport == "unix":
            return f"{driver}+unix://{path}?socket={self.socket}"
        port = {"tcp": self.settings.tcp_port, "tls": self.settings.tls_port}[transport]
        host = "localhost" if transport == "tls" else "127.0.0.1"
        return f"{driver}+{transport}://{host}:{port}{path}"

    def log(self) -> str:
        path = self.root / "log" / "libvirtd.log"
        return path.read_text(errors="replace") if path.exists() else ""

    # -- life ---------------------------------------------------------------------------------

    def _configure(self, cache: Path | None) -> None:
        etc = self.root / "etc" / "libvirt"
        settings = self.settings
        (etc / "libvirtd.conf").write_text(settings.libvirtd_conf())
        (etc / "qemu.conf").write_text(QEMU_CONF + settings.qemu)
        (etc / "virtlogd.conf").write_text('log_outputs = "3:file:/var/log/libvirt/virtlogd.log"\n')
        self.images.mkdir(parents=True, exist_ok=True)
        if cache is not None:
            shutil.copytree(cache, self.root / "cache", dirs_exist_ok=True)
        if settings.certificates is not None:
            shutil.copytree(settings.certificates, self.root / "etc" / "pki" / "interop")
        if settings.sasl:
            (self.root / "etc" / "sasl2" / "libvirt.conf").write_text(settings.sasl)

    def spawn(self) -> None:
        """Start libvirtd without waiting for it."""
        self._spawn("libvirtd", "libvirtd", "--listen")

    def start(self) -> None:
        """Start libvirtd and wait until its sockets answer."""
        self._start_program("libvirtd", "libvirt/libvirt-sock", "libvirtd", "--listen")
        deadline = time.monotonic() + START_DEADLINE
        while not self._listens(self.settings.tcp_port):
            if time.monotonic() > deadline:
                raise RuntimeError(f"libvirtd does not listen on TCP: {self.log()}")
            time.sleep(0.01)

    def _listens(self, port: int) -> bool:
        """Whether somebody listens on a TCP port of the machine's network."""
        table = Path(f"/proc/{self.machine.pid}/net/tcp").read_text()
        return f":{port:04X} 00000000:0000 0A" in table

    def _spawn(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        with open(self.root / "log" / f"{name}.out", "ab") as out:
            process = self.machine.popen(
                command, env={"PATH": PATH, "LC_ALL": "C", "HOME": "/root"}, stdout=out, stderr=out
            )
        self._processes[name] = process
        return process

    def _start_program(self, name: str, ready: str, *command: str) -> None:
        process = self._spawn(name, *command)
        path = self.root / "run" / ready
        deadline = time.monotonic() + START_DEADLINE
        while not _answers(path):
            if process.poll() is not None or time.monotonic() > deadline:
                said = (self.root / "log" / f"{name}.out").read_text(errors="replace")
                raise RuntimeError(f"{name} did not start: {said} {self.log()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End libvirtd as an administrator would; guests and virtlogd stay."""
        self._end("libvirtd", "-TERM")

    def kill(self) -> None:
        """End libvirtd without a chance to say goodbye."""
        self._end("libvirtd", "-KILL")

    def freeze(self) -> None:
        """Stop libvirtd's process without ending it: it neither answers nor closes anything."""
        self.machine.run(["/bin/kill", "-STOP", self._pid("libvirtd")])

    def thaw(self) -> None:
        """Undo `freeze`; nsenter, which stopped together with its child, wakes both."""
        self._processes["libvirtd"].send_signal(signal.SIGCONT)

    def _pid(self, name: str) -> str:
        """The process number inside the machine."""
        return (self.root / "run" / f"{name}.pid").read_text().strip()

    def _end(self, name: str, signal_name: str) -> None:
        self.machine.run(["/bin/kill", signal_name, self._pid(name)])
        self._processes.pop(name).wait(START_DEADLINE)

    def close(self) -> None:
        for process in self._processes.values():
            process.send_signal(signal.SIGCONT)
        self.machine.close()
        for process in self._processes.values():
            process.wait(START_DEADLINE)

    def __enter__(self) -> Daemon:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- clients ------------------------------------------------------------------------------

    def virsh(self, *arguments: str, uri: str | None = None, check: bool = True) -> str:
        """Debian's own virsh inside the machine; what it printed."""
        command = ["virsh", "-q", "-c", uri or "qemu:///system", *arguments]
        return self.machine.run(command, env={"PATH": PATH, "LC_ALL": "C"}, check=check).stdout


@dataclass(frozen=True)
class Client:
    """One implementation of the `libvirt` module and how to run a Python with it."""

    name: str
    python: str
    env: Mapping[str, str]

    def command(self, *arguments: str) -> list[str]:
        return [self.python, *arguments]


def clients() -> dict[str, Client]:
    """The real python3-libvirt, and ours on both cores."""
    base = {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", "PYTHONHASHSEED": "0"}
    base["PYTHONDONTWRITEBYTECODE"] = "1"
    base["PYTHONPATH"] = str(REPOSITORY)  # for the stories; holds no module named libvirt
    ours = base | {"PYTHONPATH": f"{REPOSITORY / 'python'}:{REPOSITORY}"}
    return {
        "real": Client("real", SYSTEM_PYTHON, base),
        "ours": Client("ours", sys.executable, ours | {"LIBVIRTCORE_PURE": "0"}),
        "pure": Client("pure", sys.executable, ours | {"LIBVIRTCORE_PURE": "1"}),
    }


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
