# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_stories.py: longer stories, told by the real libvirt and by ours, must be the same story.

Each test also checks facts that hold for both, so that two equal failures do not pass.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.interop import differences, guest
from tests.interop.conftest import StartDaemon
from tests.interop.daemon import Client, Daemon, Settings, clients

STORIES = Path(__file__).with_name("stories")
DEADLINE = 120.0
CORES = os.environ.get("INTEROP_CORES", "ours,pure").split(",")
VNC = """<graphics type='vnc' autoport='yes' listen='127.0.0.1' passwd='secret'/>
<video><model type='vga' vram='16384'/></video>"""
SASL_CONF = "mech_list: scram-sha-256\nsasldb_path: /etc/libvirt/passwd.db\n"
USER, PASSWORD = "fred", "s3cret-ü"

RELAY = """#!/usr/bin/python3 -I
import os, socket, threading
peer = socket.socket(socket.AF_UNIX)
peer.connect("{socket}")
def up():
    while data := os.read(0, 65536):
        peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := peer.recv(65536):
    while data:
        data = data[os.write(1, data):]
"""

Told = list[tuple[str, Any]]
_real: dict[str, Told] = {}


def play(
    story: str,
    client: Client,
    daemon: Daemon,
    *arguments: str,
    mounts: bool = False,
    answer: Callable[[str], None] | None = None,
) -> Told:
    """Run one story inside the daemon's machine and collect what it tells."""
    command = client.command("-u", str(STORIES / f"{story}.py"), *arguments)
    process = daemon.machine.popen(
        command,
        mounts=mounts,
        env=client.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin and process.stdout and process.stderr
    told: Told = []
    errors = b""
    deadline = time.monotonic() + DEADLINE
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        pending = b""
        while selector.get_map():
            for key, _ in selector.select(1.0):
                chunk = key.fileobj.read1(1 << 16)  # type: ignore[union-attr]
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stderr:
                    errors += chunk
                else:
                    *lines, pending = (pending + chunk).split(b"\n")
                    for line in lines:
                        name, value = json.loads(line.replace(str(daemon.root).encode(), b"ROOT"))
                        if name == "please":
                            assert answer is not None
                            answer(value)
                            process.stdin.write(b"done\n")
                            process.stdin.flush()
                        else:
                            told.append((name, value))
            if time.monotonic() > deadline:
                process.kill()
                told.append(("deadline", None))
                break
    code = process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()
    assert code == 0, f"{client.name}: status {code}\ntold {told[-3:]}\n{errors.decode()}"
    return told


def compare_stories(story: str, client: Client, real: Told, ours: Told) -> None:
    """All facts must be alike, but for those that differences.py lets differ."""
    different = []
    for at, (expected, actual) in enumerate(zip(real, ours, strict=False)):
        if expected != actual:
            different.append((expected[0], f"fact {at}: expected {expected}\n  actual {actual}"))
    names = [[name for name, _ in told] for told in (real, ours)]
    if names[0] != names[1]:
        different.append(("the course", f"expected {names[0]}\n  actual {names[1]}"))
    allowed = {} if client.name == "real" else differences.FACTS.get(story, {})
    unexpected = [text for name, text in different if name not in allowed]
    assert not unexpected, "\n".join(unexpected)
    unused = set(allowed) - {name for name, _ in different}
    assert not unused, f"differences that do not occur: {unused}"


def facts(told: Told, name: str) -> list[Any]:
    return [value for key, value in told if key == name]


def both(
    story: str,
    core: str,
    start_daemon: StartDaemon,
    arguments: Callable[[Daemon], list[str]],
    *,
    make: Callable[[], Daemon] | None = None,
    mounts: bool = False,
    key: str = "",
) -> Told:
    """Play a story on two equal daemons at once, compare, and return the real one's."""
    make = make or start_daemon

    def one(name: str, daemon: Daemon) -> Told:
        return play(story, clients()[name], daemon, *arguments(daemon), mounts=mounts)

    key = key or story
    with ThreadPoolExecutor(2) as pool:
        told = pool.submit(one, core, make())
        if key not in _real:
            _real[key] = one("real", make())
        compare_stories(key, clients()[core], _real[key], told.result())
    return _real[key]


def guest_file(daemon: Daemon, **options: Any) -> str:
    path = daemon.root / "guest.xml"
    path.write_text(guest.domain_xml(**options))
    return str(path)


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_events_of_test_driver(start_daemon: StartDaemon, transport: str, core: str) -> None:
    told = both(
        "events_test_driver", core, start_daemon, lambda daemon: [daemon.uri("test", transport)]
    )
    assert len(facts(told, "event")) >= 20


@pytest.mark.parametrize("core", CORES)
def test_events_of_qemu_driver(start_daemon: StartDaemon, core: str) -> None:
    told = both(
        "events_qemu", core, start_daemon, lambda daemon: [daemon.uri(), guest_file(daemon)]
    )
    kinds = {event[1][0][1] for event in facts(told, "event")}
    assert {"LIFECYCLE", "DEVICE_ADDED", "METADATA_CHANGE", "TUNABLE", "BLOCK_JOB"} <= kinds


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_console(start_daemon: StartDaemon, transport: str, core: str) -> None:
    told = both(
        "console",
        core,
        start_daemon,
        lambda daemon: [daemon.uri("qemu", transport), guest_file(daemon)],
    )
    assert ("events gave", ["bytes", b"EVENT".hex()]) in told


@pytest.mark.parametrize("core", CORES)
def test_volumes(start_daemon: StartDaemon, core: str) -> None:
    told = both(
        "volumes", core, start_daemon, lambda daemon: [daemon.uri(), str(daemon.images / "pool")]
    )
    for name in ("uploaded", "downloaded", "stays sparse"):
        assert facts(told, name) == [["bool", True]] * 2


@pytest.mark.parametrize("core", CORES)
def test_descriptors(start_daemon: StartDaemon, core: str) -> None:
    told = both(
        "descriptors",
        core,
        start_daemon,
        lambda daemon: [daemon.uri(), guest_file(daemon, devices=VNC)],
    )
    greeting = ["bytes", b"RFB 003.008\n".hex()]
    assert facts(told, "returned descriptor") == facts(told, "sent descriptor") == [greeting]
    assert facts(told, "no leak") == [["int", 0]]


@pytest.mark.parametrize("core", CORES)
def test_monitor(start_daemon: StartDaemon, core: str) -> None:
    told = both("monitor", core, start_daemon, lambda daemon: [daemon.uri(), guest_file(daemon)])
    assert len(facts(told, "event")) == 4


@pytest.mark.parametrize("core", CORES)
def test_local_uris(start_daemon: StartDaemon, core: str) -> None:
    def make() -> Daemon:
        daemon = start_daemon()
        conf = daemon.root / "etc" / "libvirt" / "libvirt.conf"
        conf.write_text('uri_aliases = [\n  "far=qemu+tcp://127.0.0.1/system",\n]\n')
        return daemon

    told = both("local", core, start_daemon, lambda daemon: [], make=make, mounts=True)
    assert facts(told, "alias")[0][0] == "list"


@pytest.mark.parametrize("core", CORES)
def test_asyncio(start_daemon: StartDaemon, core: str) -> None:
    told = both("aio", core, start_daemon, lambda daemon: [daemon.uri(), guest_file(daemon)])
    assert ("answer", ["bytes", b"ASYNC".hex()]) in told


def relay(daemon: Daemon) -> str:
    """A program that stands in for ssh: it ignores its arguments and talks to the daemon."""
    path = daemon.root / "relay"
    path.write_text(RELAY.format(socket=daemon.socket))
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("core", CORES)
def test_child_processes(start_daemon: StartDaemon, core: str) -> None:
    told = both("children", core, start_daemon, lambda daemon: [relay(daemon)])
    assert facts(told, "ext")[0][0] == facts(told, "ssh")[0][0] == "list"


@pytest.mark.parametrize("core", CORES)
def test_migration(start_daemon: StartDaemon, core: str) -> None:
    """Two daemons with host names and UUIDs of their own share one network and one image."""

    def pair() -> tuple[Daemon, Daemon]:
        source = start_daemon(Settings(hostname="alpha"))
        other = Settings(
            hostname="beta",
            host_uuid="99999999-2222-4333-8444-555555555555",
            tcp_port=16510,
        )
        return source, start_daemon(other, network_of=source)

    def one(name: str) -> Told:
        source, destination = pair()
        xml = guest_file(source)
        uris = [source.uri("qemu", "tcp"), destination.uri("qemu", "tcp")]
        return play("migrate", clients()[name], source, *uris, xml)

    with ThreadPoolExecutor(2) as pool:
        ours = pool.submit(one, core)
        if "migrate" not in _real:
            _real["migrate"] = one("real")
        compare_stories("migrate", clients()[core], _real["migrate"], ours.result())
    migrated = ["list", [["list", [["int", 1], ["int", 2]]]]]  # running, since it migrated
    moved = [name for name, value in _real["migrate"] if value == migrated]
    assert len(moved) == 7


def sasl_daemon(start_daemon: StartDaemon, pki: Path) -> Daemon:
    """A daemon that lets `fred` in with a password, over its UNIX socket or TLS."""
    daemon = start_daemon(
        Settings(auth_tls="sasl", auth_unix_rw="sasl", certificates=pki, sasl=SASL_CONF)
    )
    command = ["saslpasswd2", "-p", "-a", "libvirt", "-f", "/etc/libvirt/passwd.db", USER]
    daemon.machine.run(command, input=PASSWORD)
    auth = daemon.root / "auth.conf"
    auth.write_text(
        f"[credentials-here]\nauthname={USER}\npassword={PASSWORD}\n"
        "[auth-libvirt-default]\ncredentials=here\n"
    )
    return daemon


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("transport", ["unix", "tls"])
def test_sasl_scram(
    start_daemon: StartDaemon, pki: Path, tmp_path: Path, transport: str, core: str
) -> None:
    folder = pkipath(tmp_path / "pki", pki, "ca", "client")

    def arguments(daemon: Daemon) -> list[str]:
        uri = daemon.uri("qemu", transport)
        uri = uri if transport == "unix" else f"{uri}?pkipath={folder}"
        return [uri, str(daemon.root / "auth.conf")]

    told = both(
        "sasl",
        core,
        start_daemon,
        arguments,
        make=lambda: sasl_daemon(start_daemon, pki),
        key=f"sasl {transport}",
    )
    for name in ("right password", "auth file in URI", "auth file by environment"):
        assert facts(told, name)[0][0] == "list"
    for name in ("wrong password", "unknown user", "no callback"):
        assert facts(told, name)[0][0] == "raised"


def pkipath(folder: Path, pki: Path, authority: str, client: str | None) -> Path:
    """A folder as the URI parameter `pkipath` wants it."""
    folder.mkdir()
    shutil.copy(pki / f"{authority}.pem", folder / "cacert.pem")
    if client is not None:
        shutil.copy(pki / f"{client}.pem", folder / "clientcert.pem")
        shutil.copy(pki / f"{client}-key.pem", folder / "clientkey.pem")
    return folder


@pytest.mark.parametrize("core", CORES)
def test_tls(start_daemon: StartDaemon, pki: Path, tmp_path: Path, core: str) -> None:
    folders = [
        str(pkipath(tmp_path / "right", pki, "ca", "client")),
        str(pkipath(tmp_path / "other", pki, "other-ca", "other-client")),
        str(pkipath(tmp_path / "none", pki, "ca", None)),
    ]
    told = both(
        "tls",
        core,
        start_daemon,
        lambda daemon: [daemon.uri("qemu", "tls"), *folders, str(daemon.settings.tls_port)],
        make=lambda: start_daemon(Settings(certificates=pki)),
    )
    for name in ("right", "name not verified"):
        assert facts(told, name)[0][1][0] == ["str", "alpha"]
    for name in ("name does not fit", "authority unknown", "no client certificate"):
        assert facts(told, name)[0][1][0] == ["str", "refused"]


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_restart(start_daemon: StartDaemon, transport: str, core: str) -> None:
    def one(name: str) -> Told:
        daemon = start_daemon()
        deeds = {
            "stop": daemon.stop,
            "kill": daemon.kill,
            "start": daemon.start,
            "freeze": daemon.freeze,
            "thaw": daemon.thaw,
        }
        arguments = [daemon.uri("qemu", transport), guest_file(daemon)]
        answer = lambda what: deeds[what]()  # noqa: E731
        return play("restart", clients()[name], daemon, *arguments, answer=answer)

    with ThreadPoolExecutor(2) as pool:
        ours = pool.submit(one, core)
        key = f"restart {transport}"
        if key not in _real:
            _real[key] = one("real")
        compare_stories(key, clients()[core], _real[key], ours.result())
    assert len(facts(_real[key], "event")) == 3
