# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_ssh.py: the command line of ssh, what the far end runs, and what becomes of the child.

`ssh` is a script that runs the remote command on this host; the shell that reads it is a real one.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
import time
from pathlib import Path

import pytest

from libvirtcore.drivers.remote import child, ssh
from libvirtcore.drivers.remote.options import Options, understand
from libvirtcore.errors import VirError
from libvirtcore.settings import Settings
from libvirtcore.uri import parse
from tests.remote.conftest import Connect
from tests.remote.fake_daemon import FakeDaemon

# What sshd does: the last argument goes to a shell.
SSH = """#!/bin/sh
for last in "$@"; do :; done
printf '%s\\n' "$@" > "$0.argv"
exec sh -c "$last"
"""
# Both helpers join input and output with a socket: the last argument's, or that of FAKE_SOCKET.
HELPER = f"""#!{sys.executable}
import os, socket, sys, threading
open(sys.argv[0] + ".argv", "w").write(repr(sys.argv[1:]))
if sys.argv[1:] == ["-q"]:
    sys.exit(os.environ.get("NC_QUIT", "unknown option"))
path = sys.argv[-1] if "-U" in sys.argv else os.environ["FAKE_SOCKET"]
peer = socket.socket(socket.AF_UNIX)
peer.connect(path)
def back():
    while data := peer.recv(65536):
        os.write(1, data)
    os._exit(0)
threading.Thread(target=back, daemon=True).start()
while data := os.read(0, 65536):
    peer.sendall(data)
peer.close()
"""


def options(text: str) -> Options:
    return understand(parse(text), False, Settings())


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def far_end(tmp_path: Path, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder at the front of PATH with `ssh`, and a daemon for the helpers to reach."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script(folder / "ssh", SSH)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SOCKET", str(daemon.path))
    return folder


@pytest.mark.parametrize(
    ("uri", "argv"),
    [
        ("qemu+ssh://host/system", ["ssh", "-T", "-e", "none", "--", "host"]),
        (
            "qemu+ssh://user@host:2222/system?command=/my/ssh&keyfile=/k&no_tty=1&no_verify=1",
            [
                *("/my/ssh", "-p", "2222", "-l", "user", "-i", "/k", "-T", "-e", "none"),
                *("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "--", "host"),
            ],
        ),
        ("qemu+ssh://[::1]/system", ["ssh", "-T", "-e", "none", "--", "::1"]),
        (
            "qemu+ssh://-oProxyCommand=x/system",
            ["ssh", "-T", "-e", "none", "--", "-oProxyCommand=x"],
        ),
        (
            "qemu+libssh://h/?known_hosts=/kh&known_hosts_verify=auto&sshauth=privkey,password",
            [
                *("ssh", "-T", "-e", "none", "-o", "StrictHostKeyChecking=accept-new"),
                *("-o", "UserKnownHostsFile=/kh"),
                *("-o", "PreferredAuthentications=publickey,password"),
                *("-o", "IdentityAgent=none", "--", "h"),
            ],
        ),
    ],
)
def test_ssh_arguments(uri: str, argv: list[str]) -> None:
    found = ssh.arguments(options(uri))
    assert found[:-1] == argv
    assert found[-1].startswith("sh -c ")


@pytest.mark.parametrize("wrong", ["sshauth=magic", "known_hosts_verify=maybe"])
def test_ssh_refuses_unknown_values(wrong: str) -> None:
    with pytest.raises(VirError, match=r"unknown (method|value)"):
        ssh.arguments(options(f"qemu+ssh://h/system?{wrong}"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parameters", "helper", "arguments"),
    [
        ("", "virt-ssh-helper", ["qemu:///system"]),
        ("&name=it's%20$(false)%22$HOME", "virt-ssh-helper", ["it's $(false)\"$HOME"]),
        ("&proxy=native", "virt-ssh-helper", ["qemu:///system"]),
        ("&proxy=netcat&socket=%s", "nc", ["-U", "%s"]),
        ("&socket=%s", "nc", ["-U", "%s"]),
        ("&netcat=my%%20nc&socket=%s", "my nc", ["-U", "%s"]),
    ],
)
def test_ssh_reaches_the_daemon(
    far_end: Path, connect: Connect, daemon: FakeDaemon, parameters: str, helper: str,
    arguments: list[str],
) -> None:  # fmt: skip
    path = str(daemon.path)
    script(far_end / helper, HELPER)
    told = parameters.replace("%s", path).replace("%%", "%")
    driver = connect(f"qemu+ssh://h/system?no_tty=1{told}")
    assert driver.connect_get_type() == "QEMU"
    assert driver.is_secure()
    expected = [argument.replace("%s", path) for argument in arguments]
    assert eval((far_end / f"{helper}.argv").read_text()) == expected


@pytest.mark.slow
def test_ssh_read_only_and_quitting_netcat(
    far_end: Path, connect: Connect, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(far_end / "virt-ssh-helper", HELPER)
    connect("qemu+ssh://h/system", None, 1)
    assert eval((far_end / "virt-ssh-helper.argv").read_text()) == ["-r", "qemu:///system"]
    script(far_end / "nc", HELPER)
    monkeypatch.setenv("NC_QUIT", "nc: option requires an argument -- 'q'")
    connect(f"qemu+ssh://h/system?socket={daemon.path}")
    assert eval((far_end / "nc.argv").read_text()) == ["-q0", "-U", str(daemon.path)]


@pytest.mark.slow
def test_ssh_falls_back_to_netcat(
    far_end: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without virt-ssh-helper at the far end, nc is asked for the usual socket."""
    monkeypatch.setenv("PATH", f"{far_end}:{tmp_path}")
    for tool in ("sh",):
        (tmp_path / tool).symlink_to(f"/bin/{tool}")
    script(far_end / "nc", '#!/bin/sh\necho "nc $*" >&2\n')
    with pytest.raises(VirError, match=r"(recv|write|reading) data: nc -U .*/libvirt-sock"):
        _open("qemu+ssh://h/system")


def _open(uri: str) -> None:
    from libvirtcore.drivers.remote.driver import RemoteDriver

    RemoteDriver.connect_open(parse(uri), None, 0)


@pytest.mark.slow
@pytest.mark.usefixtures("leaves_no_child")
def test_ssh_failure_tells_what_ssh_said(far_end: Path) -> None:
    script(far_end / "ssh", '#!/bin/sh\necho "h: Permission denied" >&2\nexit 255\n')
    with pytest.raises(VirError) as caught:
        _open("qemu+ssh://h/system")
    assert caught.value.code == 38
    # Which of the three depends on how soon the child leaves.
    beginnings = ("Cannot recv data: ", "Cannot write data: ", "End of file while reading data: ")
    message = caught.value.message
    assert message.startswith(tuple(f"{b}h: Permission denied: " for b in beginnings))
    assert caught.value.str2 == message == str(caught.value)


def test_child_that_does_not_exist() -> None:
    with pytest.raises(VirError, match="cannot execute binary /nonexistent: No such file"):
        child.dial(["/nonexistent"], secure=True, peer="h")


@pytest.mark.slow
def test_child_is_ended_and_reaped(tmp_path: Path) -> None:
    deaf = script(tmp_path / "deaf", "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.1; done\n")
    link = child.dial([str(deaf)], secure=True, peer="h")
    helper = link.helper
    assert isinstance(helper, child.Child)
    os.close(link.fd)
    link.close()
    with pytest.raises(ProcessLookupError):
        os.kill(helper.pid, 0)


@pytest.mark.slow
def test_child_outlives_an_interrupt_at_the_terminal(tmp_path: Path) -> None:
    echo = script(tmp_path / "echo", "#!/bin/sh\nexec cat\n")
    link = child.dial([str(echo)], secure=True, peer="h")
    helper = link.helper
    assert isinstance(helper, child.Child)
    time.sleep(0.2)
    os.kill(helper.pid, signal.SIGINT)
    os.write(link.fd, b"alive")
    assert os.read(link.fd, 5) == b"alive"
    os.close(link.fd)
    link.close()


@pytest.mark.slow
def test_child_that_talks_a_lot_does_not_block(tmp_path: Path) -> None:
    noisy = script(
        tmp_path / "noisy",
        "#!/bin/sh\nhead -c 300000 /dev/zero | tr '\\0' x >&2\nexec cat\n",
    )
    link = child.dial([str(noisy)], secure=True, peer="h")
    os.write(link.fd, b"alive")
    assert os.read(link.fd, 5) == b"alive"
    os.close(link.fd)
    assert link.words() == "x" * 1024
    link.close()
