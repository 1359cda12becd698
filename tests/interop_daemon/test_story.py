# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_story.py: one guest on our daemon, and every kind of client acting on it.

The clients are Debian's virsh, its python3-libvirt and our own module, over the unix socket and
over TCP; at the end one resume is followed through every layer of both processes.
Calls: tests.ours_daemon, libvirtcore.trace. Needs: libvirt-clients, python3-libvirt, QEMU.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import libvirt
from tests.conftest import lacking
from tests.interop import guest
from tests.interop.daemon import missing
from tests.ours_daemon import OurDaemon

UUID = "aaba00b2-e2cf-4354-b81f-82e7e3eb775e"
SYSTEM_PYTHON = "/usr/bin/python3"
REPOSITORY = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.interop]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OurDaemon]:
    """Our daemon with a trace, and the guest on it, paused."""
    if lacks := missing():
        lacking(*lacks)
    folder = tmp_path_factory.mktemp("story")
    guest.install_images(folder)
    with OurDaemon(tcp=True, environment={"LIBVIRTCORE_TRACE": str(folder / "d.jsonl")}) as ours:
        xml = folder / "guest.xml"
        xml.write_text(guest.domain_xml(disk=str(folder / "boot.img")))
        virsh(ours.uri(), "create", str(xml), "--paused")
        yield ours


def virsh(uri: str, *arguments: str) -> str:
    """What the real virsh prints."""
    done = subprocess.run(
        ["virsh", "-c", uri, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def real_python(uri: str, script: str) -> str:
    """What a script prints that runs with the real libvirt-python."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [SYSTEM_PYTHON, "-c", f"import libvirt\nconn = libvirt.open({uri!r})\n{script}"],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_real_virsh_and_monitor(daemon: OurDaemon, transport: str) -> None:
    uri = daemon.uri("qemu", transport)
    assert virsh(uri, "domstate", UUID, "--reason") in ("paused (user)", "paused (starting up)")
    assert virsh(uri, "resume", UUID) == f"Domain '{UUID}' resumed"
    assert virsh(uri, "domstate", "guest") == "running"
    query = virsh(uri, "qemu-monitor-command", "guest", '{"execute": "query-status"}')
    assert json.loads(query)["return"]["status"] == "running"
    assert "running" in virsh(uri, "qemu-monitor-command", "guest", "--hmp", "info status")
    assert virsh(uri, "suspend", "guest") == "Domain 'guest' suspended"
    assert virsh(uri, "domstate", "guest", "--reason") == "paused (user)"


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_real_libvirt_python(daemon: OurDaemon, transport: str) -> None:
    printed = real_python(
        daemon.uri("qemu", transport),
        f"dom = conn.lookupByUUIDString({UUID!r})\n"
        "dom.resume()\n"
        "print(dom.name(), dom.state(), sorted(dom.memoryStats()))\n"
        "dom.suspend()\n"
        "print(dom.state())",
    )
    first, second = printed.splitlines()
    assert first.startswith("guest [1, 5] [") and "'actual'" in first and "'rss'" in first
    assert second == "[3, 1]"


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_our_module_and_the_example(daemon: OurDaemon, transport: str) -> None:
    uri = daemon.uri("qemu", transport)
    with libvirt.open(uri) as conn:
        dom = conn.lookupByUUIDString(UUID)
        assert dom.state() == [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER]
        dom.resume()
        stats = dom.memoryStats()
        assert stats["actual"] == dom.maxMemory() and stats["rss"] > 0
        dom.suspend()
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "examples" / "resume.py"), uri],
        capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "python")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "found guest, paused" in done.stdout and "resumed guest, now running" in done.stdout
    virsh(uri, "suspend", UUID)


def test_resume_is_seen_in_every_layer(daemon: OurDaemon, tmp_path: Path) -> None:
    ours = tmp_path / "c.jsonl"
    script = (
        "import libvirt, sys\n"
        "libvirt.virEventRegisterDefaultImpl()\n"
        "conn = libvirt.open(sys.argv[1])\n"
        "seen = []\n"
        "note = lambda conn, dom, event, detail, data: seen.append(event)\n"
        "conn.domainEventRegisterAny(None, 0, note, None)\n"
        "conn.lookupByUUIDString(sys.argv[2]).resume()\n"
        "while not seen: libvirt.virEventRunDefaultImpl()\n"
    )
    environment = os.environ | {
        "LIBVIRTCORE_TRACE": str(ours), "PYTHONPATH": str(REPOSITORY / "python")
    }  # fmt: skip
    subprocess.run(
        [sys.executable, "-c", script, daemon.uri(), UUID], check=True, env=environment, timeout=30
    )
    theirs = daemon.environment["LIBVIRTCORE_TRACE"]
    shown = subprocess.run(
        [sys.executable, "-m", "libvirtcore.trace", str(ours), theirs],
        capture_output=True, text=True, check=True, env=environment,
    ).stdout  # fmt: skip
    tree = shown[shown.index("face: virDomain.resume") :].splitlines()
    tree = [tree[0], *_below(tree[1:])]
    depths = {line.strip().partition("  ")[0]: _depth(line) for line in tree}
    expected = [
        "face: virDomain.resume",
        "api: virDomainResume",
        "driver: remote.domain_resume",
        "rpc: domain_resume",
        "encode: arguments",
        "socket: to the server",
        "queue: server queue",
        "dispatch: domain_resume",
        "driver: QEMU.domain_resume",
        "job: DomainResume",
        "qmp: cont",
        "qmp event: RESUME",
        "event sent: domain_event_callback_lifecycle",
        "event received: domain_event_callback_lifecycle",
        "decode: reply",
    ]
    assert [name for name in expected if name not in depths] == []
    assert depths["qmp: cont"] > depths["driver: QEMU.domain_resume"] > depths["rpc: domain_resume"]


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def _below(lines: list[str]) -> list[str]:
    below: list[str] = []
    for line in lines:
        if not line.startswith("  "):
            break
        below.append(line)
    return below
