# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_examples.py: the examples, as a newcomer runs them, on a real daemon with a real guest."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.interop import guest
from tests.interop.conftest import StartDaemon
from tests.interop.daemon import REPOSITORY, Daemon, clients

EXAMPLES = REPOSITORY / "examples"
CORES = ["ours", "pure"]


@pytest.fixture
def paused(start_daemon: StartDaemon) -> Daemon:
    """A daemon with the paused guest that the examples look for."""
    daemon = start_daemon()
    (daemon.root / "lib" / "guest.xml").write_text(guest.domain_xml())
    daemon.virsh("create", "/var/lib/libvirt/guest.xml", "--paused")
    return daemon


@pytest.mark.parametrize("core", CORES)
def test_resume_runs_on_the_usual_tcp_port(paused: Daemon, core: str) -> None:
    """The main job, with the very URI that the example has built in."""
    assert "paused" in paused.virsh("domstate", "guest")
    client = clients()[core]
    command = client.command(str(EXAMPLES / "resume.py"))
    done = paused.machine.run(command, mounts=False, env=client.env)
    assert "connected to qemu+tcp://127.0.0.1/system on alpha" in done.stdout
    assert "resumed guest, now running" in done.stdout
    assert "actual           16384" in done.stdout
    assert done.stderr == ""
    assert "running" in paused.virsh("domstate", "guest")


@pytest.mark.parametrize("core", CORES)
def test_resume_says_that_it_falls_back(core: str) -> None:
    client = clients()[core]
    environment = dict(client.env) | {"LIBVIRT_EXAMPLE_URI": "qemu+tcp://127.0.0.1:1/system"}
    command = client.command(str(EXAMPLES / "resume.py"))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "No daemon at qemu+tcp://127.0.0.1:1/system" in done.stdout
    assert "resumed test, now running" in done.stdout


def test_console_shows_what_the_guest_writes(paused: Daemon) -> None:
    client = clients()["ours"]
    command = client.command("-u", str(EXAMPLES / "console.py"), paused.uri(), "guest")
    pipe = subprocess.PIPE
    process = paused.machine.popen(command, mounts=False, env=client.env, stdin=pipe, stdout=pipe)
    assert process.stdin and process.stdout
    time.sleep(1.0)  # the console must be open before the guest speaks
    paused.virsh("resume", "guest")
    seen = b""
    while guest.GREETING not in seen:
        seen += process.stdout.read1(4096) or pytest.fail(f"the console ended: {seen!r}")  # type: ignore[attr-defined]
    process.stdin.write(b"q\n")
    process.stdin.close()
    assert process.wait(20) == 0
    process.stdout.close()
    deadline = time.monotonic() + 10
    while "guest" in paused.virsh("list", "--name"):
        assert time.monotonic() < deadline


def test_events_prints_the_life_of_a_guest(paused: Daemon) -> None:
    client = clients()["ours"]
    command = client.command("-u", str(EXAMPLES / "events.py"), paused.uri())
    process = paused.machine.popen(command, mounts=False, env=client.env, stdout=subprocess.PIPE)
    assert process.stdout
    assert b"listening" in process.stdout.readline()
    paused.virsh("resume", "guest")
    paused.virsh("destroy", "guest")
    lines = [process.stdout.readline()]
    while lines[-1] and b"stopped" not in lines[-1]:
        lines.append(process.stdout.readline())
    process.terminate()
    process.wait(10)
    process.stdout.close()
    assert lines[0] == b"guest: resumed (0)\n"
    assert lines[-1] == b"guest: stopped (1)\n"
