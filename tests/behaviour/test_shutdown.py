# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_shutdown.py: a script may end at any moment: at once, silently, with status 0.

Called by: pytest.
"""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.behaviour.conftest import Script
from tests.behaviour.test_deadlines import frozen
from tests.conftest import PYTHON
from tests.interop.daemon import Daemon

OPEN = "import sys, threading, time, libvirt\nconn = libvirt.open(sys.argv[1])\n"
ENDINGS = {
    "open connection": "dom = conn.lookupByName('test')",
    "in a cycle": "cycle = [conn, conn.lookupByName('test')]\ncycle.append(cycle)",
    "events": "conn.domainEventRegisterAny(None, 0, print, None)\ntime.sleep(0.05)",
    "close callback": "conn.registerCloseCallback(print, None)",
    "keepalive": "conn.setKeepAlive(1, 3)\ntime.sleep(0.05)",
    "registered loop": """
libvirt.virEventRegisterDefaultImpl()
conn.domainEventRegister(print, None)
""",
    "running loop": """
libvirt.virEventRegisterDefaultImpl()
def run():
    while True:
        libvirt.virEventRunDefaultImpl()
threading.Thread(target=run, daemon=True).start()
conn.domainEventRegisterAny(None, 0, print, None)
time.sleep(0.05)
""",
    "timer": "libvirt.virEventRegisterDefaultImpl()\nlibvirt.virEventAddTimeout(10, print, None)",
    "stream": """
stream = conn.newStream()
conn.lookupByName('test').screenshot(stream, 0)
stream.recv(10)
""",
    "stream callback": """
stream = conn.newStream(libvirt.VIR_STREAM_NONBLOCK)
conn.lookupByName('test').screenshot(stream, 0)
stream.eventAddCallback(libvirt.VIR_STREAM_EVENT_READABLE, lambda *a: None, None)
time.sleep(0.05)
""",
    "thread that waits": """
def work():
    while True:
        conn.getHostname()
threading.Thread(target=work, daemon=True).start()
time.sleep(0.05)
""",
    "pipeline": "pipe = conn.pipeline()\nresults = [pipe.call(conn.getHostname) for _ in range(4)]",
    "sys.exit in a block": "with conn:\n    conn.domainEventRegister(print, None)\n    sys.exit(0)",
    "atexit": "import atexit\natexit.register(lambda: conn.getHostname() and conn.close())",
    "asyncio": """
import asyncio, libvirtaio
async def main():
    libvirtaio.virEventRegisterAsyncIOImpl()
    other = libvirt.open(sys.argv[1])
    other.domainEventRegisterAny(None, 0, lambda *a: None, None)
    await asyncio.sleep(0.05)
asyncio.run(main())
""",
}
# A global of another module, gone in an order of its own.
ENDINGS["kept by a module"] = "sys.kept = [conn, conn.lookupByName('test'), conn.newStream()]"
ENDINGS["kept by a callback"] = (
    "conn.domainEventRegisterAny(conn.lookupByName('test'), 0, lambda c, d, *a: c, conn)"
)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("pure", [False, True], ids=["c", "pure"])
def test_over_the_wire(script: Script, uri: str, ending: str, pure: bool) -> None:
    began = time.monotonic()
    done = script(OPEN + ENDINGS[ending], uri, pure=pure)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize("ending", ["open connection", "events", "registered loop", "running loop"])
def test_in_process(script: Script, ending: str) -> None:
    began = time.monotonic()
    done = script(OPEN + ENDINGS[ending], "test:///default")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize("pure", [False, True], ids=["c", "pure"])
def test_while_the_daemon_stands_still(
    script: Script, daemon: Daemon, uri: str, pure: bool
) -> None:
    """A goodbye that nobody answers is not waited for at the end."""
    text = OPEN + ENDINGS["stream"] + "print('open', flush=True)\nsys.stdin.read(1)\n"
    process = subprocess.Popen(
        [sys.executable, "-c", text, uri],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": str(PYTHON), "LIBVIRTCORE_PURE": str(int(pure))},
    )
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.readline() == b"open\n"
    with frozen(daemon):
        began = time.monotonic()
        _, words = process.communicate(b"x", timeout=10)
        assert time.monotonic() - began < 1.0
    assert (process.returncode, words) == (0, b"")
