# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_daemon.py: the whole program: start, second start, signals, idle time, activation."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import libvirt
from libvirtcore.errors import VirError
from tests.conftest import lacking
from tests.ours_daemon import OurDaemon, answers

pytestmark = pytest.mark.slow


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[OurDaemon]:
    with OurDaemon(root=tmp_path, log_level=2) as running:
        yield running


def connect(daemon: OurDaemon) -> libvirt.virConnect:
    return libvirt.open(daemon.uri("test"))


def until(what: str, happens: object, seconds: float = 10.0) -> None:
    assert callable(happens)
    limit = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < limit, f"{what} did not happen"
        time.sleep(0.01)


def refused(daemon: OurDaemon, *arguments: str) -> tuple[int, str]:
    """Start a second daemon that must fail; its status and what it says."""
    done = subprocess.run(
        daemon.command(*arguments),
        env=daemon.env(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stderr


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- start and end --------------------------------------------------------------------------------


def test_a_client_is_served(daemon: OurDaemon) -> None:
    conn = connect(daemon)
    assert [dom.name() for dom in conn.listAllDomains()] == ["test"]
    conn.lookupByName("test").suspend()
    assert conn.lookupByName("test").state()[0] == libvirt.VIR_DOMAIN_PAUSED
    conn.close()


def test_the_read_only_socket_changes_nothing(daemon: OurDaemon) -> None:
    conn = libvirt.open(daemon.uri("test", readonly=True))
    with pytest.raises(libvirt.libvirtError) as caught:
        conn.lookupByName("test").destroy()
    assert caught.value.get_error_code() == libvirt.VIR_ERR_OPERATION_DENIED
    assert conn.lookupByName("test").isActive()
    conn.close()


@pytest.mark.parametrize("readonly", [False, True])
def test_clients_choose_no_place_for_the_daemon_to_work_in(
    daemon: OurDaemon, tmp_path: Path, readonly: bool
) -> None:
    """What qemu:///embed does in one's own process it would do with the daemon's rights."""
    from libvirtcore.core import Client

    place = tmp_path / "of-a-client"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(f"{daemon.socket}{'-ro' if readonly else ''}")
        client = Client(sock.detach())
    with pytest.raises(VirError) as refused_it:
        client.call(0x20008086, 1, (f"qemu:///embed?root={place}", 0))
    client.close()
    assert refused_it.value.raw[:3] == (
        1,
        0,
        "internal error: unexpected qemu URI path '/embed', try qemu:///system",
    )
    assert not place.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_signals_end_it_and_nothing_is_left(tmp_path: Path, number: int) -> None:
    with OurDaemon(root=tmp_path) as daemon:
        conn = connect(daemon)
        daemon.signal(number)
        assert daemon.wait() == 0
        left = [path.name for path in (tmp_path / "run").rglob("*") if not path.is_dir()]
        assert [name for name in left if name != "driver.pid"] == []
        with pytest.raises(libvirt.libvirtError):
            conn.getHostname()


def test_a_second_daemon_is_told_who_was_first(daemon: OurDaemon) -> None:
    status, said = refused(daemon)
    assert status == 1
    assert f"Failed to acquire pid file '{daemon.pid_file}'" in said
    assert f"process {daemon.pid} (" in said
    assert connect(daemon).isAlive()


def test_another_pid_file_does_not_fool_the_lock(daemon: OurDaemon, tmp_path: Path) -> None:
    other = tmp_path / "other.pid"
    status, said = refused(daemon, "-p", str(other))
    assert status == 1
    assert f"process {daemon.pid} (" in said
    assert not other.exists(), "the refused one must take its pid file away"
    assert connect(daemon).isAlive()


def test_after_sigkill_the_next_one_starts(daemon: OurDaemon) -> None:
    first = daemon.pid
    daemon.kill()
    assert daemon.socket.exists()
    daemon.start()
    assert daemon.pid != first
    assert connect(daemon).isAlive()


@pytest.mark.parametrize("mask", ["000", "022", "077", "777"])
def test_modes_under_any_umask(tmp_path: Path, mask: str) -> None:
    with OurDaemon(root=tmp_path, start=False) as daemon:
        (tmp_path / "run" / "libvirt").mkdir(parents=True)
        before = os.umask(int(mask, 8))
        try:
            daemon.start(wait=False)
        finally:
            os.umask(before)
        daemon.wait_ready()
        assert mode(daemon.socket) == 0o700
        assert mode(daemon.socket_ro) == 0o777
        assert connect(daemon).isAlive()


def test_a_root_path_of_300_characters(tmp_path: Path) -> None:
    root = tmp_path / ("a" * 150) / ("b" * 150)
    with OurDaemon(root=root, tcp=True) as daemon:
        assert answers(daemon.socket)
        assert libvirt.open(daemon.uri("test", "tcp")).numOfDomains() == 1


def test_tcp_serves_too(tmp_path: Path) -> None:
    with OurDaemon(root=tmp_path, tcp=True) as daemon:
        conn = libvirt.open(daemon.uri("test", "tcp"))
        assert conn.lookupByName("test").ID() == 1
        assert not conn.isEncrypted()


def test_errors_at_start_have_libvirts_status(tmp_path: Path) -> None:
    with OurDaemon(root=tmp_path, start=False, unix_sock_group="no-such-group") as daemon:
        assert refused(daemon)[0] == 6
        daemon.write_conf(unix_sock_group="", max_clients=3)
        assert refused(daemon)[0] == 3
        assert not daemon.pid_file.exists()


# --- a user's session -----------------------------------------------------------------------------


def test_a_users_session_keeps_to_the_xdg_folders(tmp_path: Path) -> None:
    """As another user: of a user namespace, where the test itself is root."""
    command = [sys.executable, "-m", "libvirtd", "-t", "30"]
    if os.geteuid() == 0:
        command[:0] = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--kill-child"]
        if subprocess.run([*command[:5], "true"], capture_output=True, check=False).returncode:
            pytest.skip("missing: permission to make a user namespace")
    folders = {f"XDG_{name}": str(tmp_path / name) for name in ("RUNTIME_DIR", "CONFIG_HOME")}
    folders["XDG_CACHE_HOME"] = str(tmp_path / "CACHE")
    (tmp_path / "RUNTIME_DIR").mkdir()
    path = tmp_path / "RUNTIME_DIR" / "libvirt" / "libvirt-sock"
    env = OurDaemon(root=tmp_path / "unused", start=False).env() | folders
    process = subprocess.Popen(command, env=env, preexec_fn=lambda: os.umask(0))
    try:
        until("the start", lambda: answers(path))
        assert sorted(os.listdir(path.parent)) == [
            "libvirt-sock", "libvirtd-state.pid", "libvirtd.pid",
        ]  # fmt: skip
        assert mode(path) == 0o700
        assert mode(path.parent) == 0o700
        conn = libvirt.open(f"test+unix:///default?socket={path}")
        assert conn.numOfDomains() == 1
        conn.close()
        os.kill(int((path.parent / "libvirtd.pid").read_text()), signal.SIGTERM)
        assert process.wait(20) == 0
        assert os.listdir(path.parent) == []
    finally:
        process.kill()
        process.wait()


# --- in the background ----------------------------------------------------------------------------


def test_minus_d_returns_when_it_serves(tmp_path: Path) -> None:
    with OurDaemon(root=tmp_path, start=False) as daemon:
        assert refused(daemon, "-d") == (0, "")
        pid = daemon.pid
        try:
            assert connect(daemon).isAlive(), "nothing needs to be waited for"
            status, said = refused(daemon, "-d")
            assert status == 1
            assert said.startswith("libvirtd: error: Unable to start: Failed to acquire pid file")
            assert os.getsid(pid) != os.getsid(0)
            assert os.readlink(f"/proc/{pid}/cwd") == "/"
            assert os.readlink(f"/proc/{pid}/fd/1") == os.devnull
        finally:
            os.kill(pid, signal.SIGTERM)
        until("the end", lambda: not daemon.pid_file.exists())


# --- idle time ------------------------------------------------------------------------------------


def test_it_ends_when_nobody_comes(tmp_path: Path) -> None:
    with OurDaemon(root=tmp_path, arguments=["-t", "1"], start=False) as daemon:
        began = time.monotonic()
        daemon.start()
        assert daemon.wait() == 0
        assert time.monotonic() - began >= 0.9


def test_a_client_keeps_it(tmp_path: Path) -> None:
    with OurDaemon(root=tmp_path, arguments=["--timeout=1"]) as daemon:
        conn = connect(daemon)
        time.sleep(2.2)
        assert conn.isAlive() and conn.numOfDomains() == 1
        conn.close()
        assert daemon.wait() == 0


GUEST = """<domain type='qemu'><name>idle</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type></os></domain>"""


def test_a_guest_keeps_it_too(tmp_path: Path) -> None:
    if shutil.which("qemu-system-x86_64") is None:
        lacking("qemu-system-x86_64")
    with OurDaemon(root=tmp_path, arguments=["-t", "1"]) as daemon:
        conn = libvirt.open(daemon.uri("qemu"))
        conn.createXML(GUEST, libvirt.VIR_DOMAIN_START_PAUSED)
        conn.close()
        time.sleep(2.5)
        conn = libvirt.open(daemon.uri("qemu"))
        conn.lookupByName("idle").destroy()
        conn.close()
        assert daemon.wait() == 0


# --- SIGHUP ---------------------------------------------------------------------------------------


def test_sighup_takes_new_limits_and_keeps_clients(daemon: OurDaemon) -> None:
    conn = connect(daemon)
    daemon.write_conf(min_workers=8, tcp_port="99", foo=1)
    daemon.reload()
    until("the reading", lambda: "was read again" in daemon.log())
    assert "'tcp_port' has changed: it counts from the next start on" in daemon.log()
    assert "libvirtd.conf: unknown setting 'foo'" in daemon.log()
    assert conn.numOfDomains() == 1
    until("more workers", lambda: workers(daemon.pid) >= 8)


def test_sighup_with_a_broken_file_changes_nothing(daemon: OurDaemon) -> None:
    conn = connect(daemon)
    daemon.config_file.write_text("max_clients = oops\n")
    daemon.reload()
    until("the complaint", lambda: "the configuration stays as it was" in daemon.log())
    assert conn.numOfDomains() == 1
    assert connect(daemon).isAlive()


def test_many_reloads_leave_no_descriptor_open(tmp_path: Path) -> None:
    outputs = f"1:file:{tmp_path}/log 1:stderr"
    with OurDaemon(root=tmp_path / "root", log_outputs=outputs, log_level=2) as daemon:
        said = "was read again"
        daemon.reload()
        until("the reading", lambda: said in daemon.log())
        before = len(os.listdir(f"/proc/{daemon.pid}/fd"))
        for count in range(2, 12):
            daemon.reload()
            until("the reading", lambda count=count: daemon.log().count(said) == count)
        assert len(os.listdir(f"/proc/{daemon.pid}/fd")) == before
        assert (tmp_path / "log").read_text().count(said) == 11


def workers(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task")) - 1


# --- the service manager --------------------------------------------------------------------------

ACTIVATE = """
import os, sys
count = int(sys.argv[1])
for place, fd in enumerate(map(int, sys.argv[2:2 + count])):
    os.dup2(fd, 3 + place)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, *sys.argv[2 + count:]])
"""


def test_sockets_of_the_service_manager_are_served(tmp_path: Path) -> None:
    daemon = OurDaemon(root=tmp_path / "root", start=False)
    with contextlib.ExitStack() as done:
        done.callback(daemon.close)
        listeners = [done.enter_context(socket.socket(socket.AF_UNIX)) for _ in "ab"]
        for listener, name in zip(listeners, ("libvirt-sock", "libvirt-sock-ro"), strict=True):
            listener.bind(str(tmp_path / name))
            listener.listen()
        early = f"test+unix:///default?socket={tmp_path}/libvirt-sock"
        answer: list[int] = []
        client = threading.Thread(target=lambda: answer.append(libvirt.open(early).numOfDomains()))
        client.start()  # before there is a daemon at all
        manager = done.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        numbers = [os.dup(listener.fileno()) for listener in listeners]
        # Away from 3 and 4, where they must arrive.
        high = [os.dup2(number, 50 + place) for place, number in enumerate(numbers)]
        process = subprocess.Popen(
            [sys.executable, "-c", ACTIVATE, "2", *map(str, high), *daemon.command()[1:]],
            env=daemon.env()
            | {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b", "NOTIFY_SOCKET": f"{tmp_path}/notify"},
            pass_fds=high,
        )
        try:
            assert manager.recv(999).startswith(b"READY=1")
            client.join(20)
            assert answer == [1]
            read_only = libvirt.open(f"test+unix:///default?socket={tmp_path}/libvirt-sock-ro")
            with pytest.raises(libvirt.libvirtError, match="read only access"):
                read_only.lookupByName("test").destroy()
            assert not daemon.socket.exists(), "it makes none of its own"
            process.send_signal(signal.SIGHUP)
            assert manager.recv(999).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert manager.recv(999).startswith(b"READY=1")
            process.terminate()
            assert manager.recv(999).startswith(b"STOPPING=1")
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
            for number in (*numbers, *high):
                os.close(number)
        assert (tmp_path / "libvirt-sock").exists(), "the manager's sockets are not ours to remove"


# --- workers --------------------------------------------------------------------------------------


def test_many_clients_at_once(daemon: OurDaemon) -> None:
    problems: list[BaseException] = []

    def talk() -> None:
        try:
            for _ in range(5):
                conn = connect(daemon)
                for _ in range(20):
                    assert conn.lookupByName("test").ID() == 1
                conn.close()
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=talk) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []


def test_clients_beyond_the_limit_wait_for_their_turn(tmp_path: Path) -> None:
    with OurDaemon(root=tmp_path, max_clients=3, max_anonymous_clients=2) as daemon:
        inside = [connect(daemon) for _ in range(3)]
        answer: list[int] = []
        late = threading.Thread(target=lambda: answer.append(connect(daemon).numOfDomains()))
        late.start()
        late.join(0.5)
        assert answer == [] and inside[1].numOfDomains() == 1
        inside[0].close()
        late.join(10)
        assert answer == [1]


def test_descriptors_stay_flat(daemon: OurDaemon) -> None:
    connect(daemon).close()
    before = len(os.listdir(f"/proc/{daemon.pid}/fd"))
    for _ in range(50):
        connect(daemon).close()
    until("closing", lambda: len(os.listdir(f"/proc/{daemon.pid}/fd")) <= before, seconds=5)


def test_garbage_does_not_end_it(daemon: OurDaemon) -> None:
    for junk in (
        b"GET / HTTP/1.0\r\n\r\n",
        b"\0\0\0\0" * 10,
        b"\xff" * 100,
        b"\0\0\0\x1c" + b"x" * 24,
    ):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(daemon.socket))
            peer.sendall(junk)
            peer.settimeout(5)
            with contextlib.suppress(OSError):
                while peer.recv(4096):
                    pass
    assert connect(daemon).numOfDomains() == 1


# --- the end --------------------------------------------------------------------------------------

STUCK = """if True:
    import sys, time
    import libvirtd.daemon
    from libvirtcore.drivers.test.driver import TestDriver
    from libvirtd.main import main
    libvirtd.daemon._PATIENCE = 0.2
    TestDriver.connect_get_hostname = lambda self: time.sleep(60)
    sys.exit(main(sys.argv[1:]))
"""


def test_a_call_that_does_not_end_leaves_no_files_behind(tmp_path: Path) -> None:
    def stuck(command: list[str]) -> list[str]:
        return [sys.executable, "-c", STUCK, *command[command.index("libvirtd") + 1 :]]

    with OurDaemon(root=tmp_path, wrapper=stuck) as daemon:
        conn = connect(daemon)
        caller = threading.Thread(target=_ask_hostname, args=(conn,), daemon=True)
        caller.start()
        time.sleep(0.3)
        assert daemon.stop() == 0
        assert "is still in a call" in daemon.log()
        left = sorted(path.name for path in (tmp_path / "run").rglob("*") if not path.is_dir())
        assert [name for name in left if name.endswith((".pid", "sock", "-ro"))] == []


def _ask_hostname(conn: libvirt.virConnect) -> None:
    with contextlib.suppress(libvirt.libvirtError):
        conn.getHostname()
