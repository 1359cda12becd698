# SPDX-License-Identifier: LGPL-2.1-or-later
"""daemons.py: Debian's real libvirtd with private folders, to test transports and authentication.

The daemon runs in a mount namespace of its own, so that it meets neither the system's libvirt nor
another one of these; its UNIX sockets are in `Libvirtd.run`, its TCP ports in the common network.
Called by: fixtures of tests/remote.
Never: reads or writes the system's own libvirt.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

_PRIVATE = (
    "/run/libvirt",
    "/var/lib/libvirt",
    "/var/cache/libvirt",
    "/var/log/libvirt",
    "/etc/sasl2",
)
_START_DEADLINE = 20.0


def missing() -> str:
    """Why no daemon can be started here, "" when one can."""
    if os.geteuid() != 0:
        return "root is needed for a mount namespace"
    for program in ("unshare", "mount", "libvirtd", "virtlogd"):
        if shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
            return f"{program} is not installed"
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        return "mount namespaces are not allowed"
    return ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Libvirtd:
    """One running libvirtd: `conf` is its libvirtd.conf, `sasl` the text of sasl2/libvirt.conf."""

    def __init__(self, conf: Mapping[str, str | int], sasl: str = "") -> None:
        self.root = Path(tempfile.mkdtemp(prefix="lvd-", dir="/tmp"))
        self.root.chmod(0o755)
        self.log = self.root / "libvirtd.log"
        settings: dict[str, str | int] = {
            "listen_tls": 0,
            "auth_unix_rw": "none",
            "auth_unix_ro": "none",
            "unix_sock_rw_perms": "0777",
            "log_outputs": f"3:file:{self.log}",
            **conf,
        }
        (self.root / "libvirtd.conf").write_text(
            "".join(
                f'{name} = "{value}"\n' if isinstance(value, str) else f"{name} = {value}\n"
                for name, value in settings.items()
            )
        )
        mounts = []
        for path in _PRIVATE:
            private = self.root / path.strip("/").replace("/", "-")
            private.mkdir()
            mounts.append(f"mkdir -p {path} && mount --bind {private} {path}")
        if sasl:
            (self.root / "etc-sasl2" / "libvirt.conf").write_text(sasl)
        listen = " --listen" if conf.get("listen_tcp") or conf.get("listen_tls") else ""
        daemon = f"exec libvirtd -p /run/libvirt/pid -f {self.root}/libvirtd.conf{listen}"
        script = " && ".join((*mounts, daemon))
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script],
            stdout=(self.root / "out").open("wb"),
            stderr=subprocess.STDOUT,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"},
        )
        self._wait_ready()

    @property
    def run(self) -> Path:
        """Where libvirt-sock and libvirt-sock-ro are."""
        return self.root / "run-libvirt"

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + _START_DEADLINE
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(str(self.run / "libvirt-sock")) == 0:
                    return
            time.sleep(0.05)
        said = (self.root / "out").read_text() + (self.log.read_text() if self.log.exists() else "")
        self.close()
        raise RuntimeError(f"libvirtd did not start: {said}")

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.root, ignore_errors=True)
