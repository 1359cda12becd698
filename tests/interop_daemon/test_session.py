# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_session.py: qemu:///session is served by our daemon, started on demand, where no other is.

The client is a process of its own, with an unprivileged account and folders of its own; all it is
told is that no daemon of libvirt's is installed. A guest runs; the daemon ends by itself when
nobody is connected and no guest runs any more, and not before.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import lacking
from tests.ours_daemon import REPOSITORY
from tests.qemu.conftest import QEMU, domain_xml

IDLE_SECONDS = 2
CLIENT = f"""
import json, sys
from libvirtcore.drivers.remote import unix
unix.find_daemon = lambda name: None
unix._IDLE_SECONDS = {IDLE_SECONDS}
import libvirt
libvirt.registerErrorHandler(lambda *_: None, None)
said = {{}}
try:
    conn = libvirt.open("qemu:///session")
    exec(sys.stdin.read())
except libvirt.libvirtError as fault:
    said["error"] = str(fault)
print(json.dumps(said))
"""


class User:
    """An account with folders of its own."""

    def __init__(self, home: Path, uid: int) -> None:
        self.home = home
        self.uid = uid

    def run(self, code: str) -> dict[str, Any]:
        """Run code with `conn` open in a process of the user; what it put into `said`."""
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.home),
            "PYTHONPATH": str(REPOSITORY / "python"),
            "PYTHONDONTWRITEBYTECODE": "1",
            **{
                f"XDG_{name}": str(self.home / name.lower())
                for name in ("RUNTIME_DIR", "CONFIG_HOME", "CACHE_HOME")
            },
        }
        done = subprocess.run(
            [self.python(), "-c", CLIENT], input=code, env=environment, cwd="/",
            capture_output=True, text=True, timeout=60, check=False,
            user=self.uid, group=self.uid, extra_groups=[],
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def python(self) -> str:
        """A Python that this account may run, with the C core; ours may be somebody's own."""
        for program in (sys.executable, "/usr/bin/python3"):
            try:
                done = subprocess.run(
                    [program, "-c", "import _libvirtmod"],
                    env={"PYTHONPATH": str(REPOSITORY / "python"), "PYTHONDONTWRITEBYTECODE": "1"},
                    user=self.uid, group=self.uid, extra_groups=[], cwd="/",
                    capture_output=True, check=False,
                )  # fmt: skip
            except OSError:
                continue
            if done.returncode == 0:
                return program
        lacking("a Python with cffi that other accounts can run")

    def processes(self, word: str) -> list[int]:
        """Processes of the account with a word in their command line."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes()
                if entry.stat().st_uid == self.uid and word.encode() in words:
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def ended(self, word: str, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while self.processes(word):
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True


@pytest.fixture
def user() -> Iterator[User]:
    """An unprivileged account with no processes, or ourselves."""
    uid = os.geteuid()
    if uid == 0:
        taken = {entry.pw_uid for entry in pwd.getpwall()}
        uid = next(number for number in range(47000, 48000) if number not in taken)
    home = Path(tempfile.mkdtemp(prefix="lvc-"))
    for folder in (home, home / "runtime_dir"):
        folder.mkdir(mode=0o700, exist_ok=True)
        os.chown(folder, uid, uid)
    account = User(home, uid)
    yield account
    for word in ("libvirtd", "qemu-system", str(home)):
        for pid in account.processes(word):
            os.kill(pid, 9)
    shutil.rmtree(home, ignore_errors=True)


def test_a_guest_runs_on_a_daemon_that_came_on_demand(user: User) -> None:
    if shutil.which(QEMU) is None:
        lacking(QEMU)
    assert user.processes("libvirtd") == []
    xml = domain_xml()
    said = user.run(
        f"dom = conn.createXML({xml!r})\n"
        "said.update(uri=conn.getURI(), state=dom.state()[0], name=dom.name(),"
        " path=json.loads(json.dumps(dom.XMLDesc()))[:20])\n"
    )
    assert said.get("error") is None
    assert (said["uri"], said["state"], said["name"]) == ("qemu:///session", 1, "guest")
    assert len(user.processes("-m\0libvirtd")) == 1, "one daemon, of the user"
    guests = user.processes("qemu-system-x86_64\0-name")
    assert len(guests) == 1
    assert (user.home / "runtime_dir" / "libvirt" / "libvirt-sock").is_socket()
    assert (user.home / "config_home" / "libvirt" / "qemu").is_dir()

    time.sleep(IDLE_SECONDS + 1.5)
    assert len(user.processes("-m\0libvirtd")) == 1, "a guest runs: the daemon stays"
    said = user.run("said.update(names=[dom.name() for dom in conn.listAllDomains()])\n")
    assert said == {"names": ["guest"]}

    assert user.run("conn.lookupByName('guest').destroy()\n") == {}
    assert user.ended("qemu-system-x86_64\0-name", 5)
    assert user.ended("-m\0libvirtd", IDLE_SECONDS + 10), "nobody needs it: the daemon ends"
    said = user.run("said.update(names=[dom.name() for dom in conn.listAllDomains()])\n")
    assert said == {"names": []}, "and comes again"


def test_clients_at_once_start_one_daemon(user: User) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        codes = ["said.update(uri=conn.getURI())\n"] * 4
        assert list(pool.map(user.run, codes)) == [{"uri": "qemu:///session"}] * 4
    assert len(user.processes("-m\0libvirtd")) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_has_no_session_daemon(user: User) -> None:
    """As with libvirt, a session of root's is the system's daemon, which is not started."""
    root = User(user.home, 0)
    socket = "/var/run/libvirt/libvirt-sock"
    if os.path.exists(socket):
        pytest.skip("a daemon of the system runs here")
    before = set(root.processes("-m\0libvirtd"))
    said = root.run("")
    assert "Failed to connect socket" in said["error"]
    assert set(root.processes("-m\0libvirtd")) == before
