# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_fork.py: a forked child leaves the parent's connection alone and opens its own.

Called by: pytest.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import libvirt
from tests.behaviour.conftest import Connect, Script
from tests.behaviour.test_deadlines import frozen
from tests.interop.daemon import Daemon


def in_child(work: Callable[[], object]) -> Any:
    """What `work` returns in a forked child that then ends without any cleaning up."""
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(there, pickle.dumps(work()))
            status = 0
        finally:
            os._exit(status)
    os.close(there)
    with os.fdopen(here, "rb") as pipe:
        said = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    return pickle.loads(said)


def attempt(work: Callable[..., object], *args: object) -> tuple[int, str]:
    try:
        work(*args)
    except libvirt.libvirtError as error:
        return error.get_error_code() or 0, str(error)
    return 0, ""


def test_inherited_connection_raises(core: str, uri: str, connect: Connect) -> None:
    conn = connect(uri)
    dom = conn.lookupByName("test")
    wanted = f"connection was opened by process {os.getpid()}, this is its forked child"

    def work() -> list[tuple[int, str]]:
        return [attempt(conn.getHostname), attempt(dom.info), attempt(conn.newStream().recv, 1)]

    outcomes = in_child(work)
    assert outcomes[0][0] == libvirt.VIR_ERR_INTERNAL_ERROR and wanted in outcomes[0][1]
    assert outcomes[1] == outcomes[0]
    assert conn.getHostname() == "alpha" and dom.isActive() == 1


def test_child_that_closes_and_collects(core: str, uri: str, connect: Connect) -> None:
    """Nothing that a child lets go of reaches the parent's daemon."""
    conn = connect(uri)
    stream = conn.newStream()
    conn.lookupByName("test").screenshot(stream, 0)

    def work() -> tuple[int, str]:
        nonlocal stream
        del stream
        gc.collect()
        return attempt(conn.close)

    in_child(work)
    assert conn.isAlive() == 1
    assert conn.getHostname() == "alpha"
    assert stream.recv(16) != b""
    stream.abort()


def test_child_opens_its_own(core: str, uri: str, connect: Connect) -> None:
    conn = connect(uri)

    def work() -> str:
        with libvirt.open(uri) as own:
            return str(own.lookupByName("test").UUIDString())

    assert in_child(work) == conn.lookupByName("test").UUIDString()
    assert conn.getHostname() == "alpha"


def test_fork_while_another_thread_calls(
    core: str, daemon: Daemon, uri: str, connect: Connect
) -> None:
    """The child inherits locks that nobody there will ever give back."""
    import threading

    conn = connect(uri)
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(conn.getHostname()))
    with frozen(daemon):
        thread.start()
        while conn._o.driver.client.stats()["in_flight"] == 0:
            pass
        code, text = in_child(lambda: attempt(conn.getHostname))
    thread.join(5)
    assert code == libvirt.VIR_ERR_INTERNAL_ERROR and "forked child" in text
    assert answers == ["alpha"]


def test_child_of_a_child(core: str, uri: str, connect: Connect) -> None:
    conn = connect(uri)

    def work() -> tuple[str, tuple[int, str]]:
        with libvirt.open(uri) as own:
            inner = in_child(lambda: attempt(own.getHostname))
            return own.getHostname(), inner

    name, inner = in_child(work)
    assert name == "alpha" and inner[0] == libvirt.VIR_ERR_INTERNAL_ERROR
    assert conn.getHostname() == "alpha"


EVENTS = """
import os, sys, time, libvirt
seen = []
conn = libvirt.open(sys.argv[1])
conn.domainEventRegister(lambda *args: seen.append(args[2]), None)
child = os.fork()
if child == 0:
    own = libvirt.open(sys.argv[1])
    dom = own.lookupByName("test")
    dom.suspend()
    dom.resume()
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
end = time.monotonic() + 5
while len(seen) < 2 and time.monotonic() < end:
    time.sleep(0.01)
print(sorted(seen))
"""


@pytest.mark.parametrize("pure", [False, True])
def test_events_go_on_in_the_parent(script: Script, uri: str, pure: bool) -> None:
    """The child leaves through an ordinary exit, inherited connection, callbacks and all."""
    done = script(EVENTS, uri, pure=pure)
    assert (done.returncode, done.stderr) == (0, "")
    wanted = sorted([libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_RESUMED])
    assert done.stdout.strip() == str(wanted)


def own_answer(uri: str) -> str:
    with libvirt.open(uri) as conn:
        return str(conn.getHostname())


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(method: str, uri: str, connect: Connect) -> None:
    conn = connect(uri)
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        assert pool.map(own_answer, [uri] * 4) == ["alpha"] * 4
    assert conn.getHostname() == "alpha"
