# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_objects.py: construction, identity, release and copying of the public classes."""

from __future__ import annotations

import copy
import gc
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import libvirt
import libvirtcore

PYTHON = str(Path(libvirtcore.__file__).parents[1])


@pytest.fixture
def conn() -> Iterator[libvirt.virConnect]:
    connection = libvirt.open("test:///default")
    yield connection
    if connection._o is not None:
        connection.close()


WITH_CONNECTION = (
    "virDomain", "virNetwork", "virInterface", "virStoragePool", "virStorageVol", "virNodeDevice",
    "virSecret", "virNWFilter", "virNWFilterBinding", "virStream",
)  # fmt: skip


@pytest.mark.parametrize("name", WITH_CONNECTION)
@pytest.mark.parametrize("handle", [None, 5, "x"])
def test_only_handles_can_be_wrapped(conn: Any, name: str, handle: Any) -> None:
    with pytest.raises(Exception) as failure:
        getattr(libvirt, name)(conn, handle)
    assert type(failure.value) is Exception
    assert str(failure.value) == f"Expected a wrapped C Object but got {type(handle)}"


def test_a_connection_wraps_only_handles() -> None:
    with pytest.raises(Exception, match="Expected a wrapped C Object but got <class 'NoneType'>"):
        libvirt.virConnect()


@pytest.mark.parametrize("name", ["virNetworkPort", "virDomainSnapshot", "virDomainCheckpoint"])
def test_objects_of_objects_ask_their_owner_for_the_connection(name: str) -> None:
    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'connect'"):
        getattr(libvirt, name)(None)


def test_an_object_knows_its_connection(conn: libvirt.virConnect) -> None:
    domain = conn.lookupByName("test")
    assert domain.connect() is conn
    assert domain != conn.lookupByName("test")
    assert isinstance(domain.c_pointer(), int)
    assert repr(domain).startswith("<libvirt.virDomain object at 0x")
    assert repr(conn).startswith("<libvirt.virConnect object at 0x")


def test_close_tells_whether_something_keeps_the_connection_open() -> None:
    conn = libvirt.open("test:///default")
    domains = [conn.lookupByName("test") for _ in range(3)]
    handle = conn._o
    assert conn.close() == 1
    assert conn._o is None
    assert domains[0].name() == "test"
    del domains
    gc.collect()
    assert handle.closed
    conn = libvirt.open("test:///default")
    assert conn.close() == 0
    with pytest.raises(libvirt.libvirtError, match="invalid connection pointer in virConnectClose"):
        conn.close()


def test_closed_by_the_with_statement_and_by_the_collector() -> None:
    with libvirt.open("test:///default") as conn:
        handle = conn._o
    assert handle.closed
    conn = libvirt.open("test:///default")
    handle = conn._o
    del conn
    gc.collect()
    assert handle.closed


def test_connections_and_objects_cannot_be_pickled(conn: libvirt.virConnect) -> None:
    for thing in (conn, conn.lookupByName("test")):
        with pytest.raises(TypeError, match="cannot pickle"):
            pickle.dumps(thing)
        with pytest.raises(TypeError, match="cannot pickle"):
            copy.deepcopy(thing)


def test_a_copy_is_safe_to_drop(conn: libvirt.virConnect) -> None:
    domain = conn.lookupByName("test")
    for thing in (conn, domain):
        again = copy.copy(thing)
        del again
        gc.collect()
    assert domain.name() == "test"
    assert conn.getType() == "TEST" or conn.getType() == "Test"


def test_only_domains_can_be_asked_for_statistics(conn: libvirt.virConnect) -> None:
    with pytest.raises(libvirt.libvirtError, match="domain list contains non-domain elements"):
        conn.domainListGetStats([5])  # type: ignore[list-item]


def run(script: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own, with nothing but the tree on its path."""
    text = f"import sys\nsys.path.insert(0, {PYTHON!r})\n" + textwrap.dedent(script)
    return subprocess.run(
        [sys.executable, *options, "-c", text],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_import_loads_no_heavy_module() -> None:
    heavy = {
        "asyncio", "contextlib", "dataclasses", "enum", "inspect", "ipaddress", "json", "logging",
        "pathlib", "re", "select", "signal", "socket", "ssl", "subprocess", "tempfile", "threading",
        "traceback", "typing", "urllib", "uuid", "weakref", "xml",
    }  # fmt: skip
    done = run(
        """
        before = set(sys.modules)
        import libvirt
        print(*sorted({name.split(".")[0] for name in set(sys.modules) - before}))
        """,
        "-S",
        "-E",
    )
    assert done.stderr == ""
    assert set(done.stdout.split()) & heavy == set()


SHUTDOWNS = {
    "connection, domain and callbacks": """
        import libvirt
        conn = libvirt.open("test:///default")
        dom = conn.lookupByName("test")
        conn.domainEventRegisterAny(None, 0, lambda *args: print("heard"), None)
        conn.domainEventRegister(lambda *args: None, None)
        conn.registerCloseCallback(lambda *args: None, None)
        dom.suspend()
    """,
    "default loop in a daemon thread": """
        import threading
        import libvirt
        libvirt.virEventRegisterDefaultImpl()
        def run():
            while True:
                libvirt.virEventRunDefaultImpl()
        threading.Thread(target=run, daemon=True).start()
        conn = libvirt.open("test:///default")
        conn.domainEventRegisterAny(None, 0, lambda *args: None, None)
        conn.lookupByName("test").suspend()
    """,
    "events under way": """
        import libvirt
        conn = libvirt.open("test:///default")
        dom = conn.lookupByName("test")
        conn.domainEventRegisterAny(None, 0, lambda *args: None, None)
        for _ in range(200):
            dom.suspend()
            dom.resume()
    """,
    "a cycle": """
        import libvirt
        conn = libvirt.open("test:///default")
        conn.me = conn
        stream = conn.newStream()
        stream.me = stream
    """,
    "an exception": """
        import libvirt
        conn = libvirt.open("test:///default")
        conn.domainEventRegisterAny(None, 0, lambda *args: None, None)
        raise SystemExit(0)
    """,
}


@pytest.mark.parametrize("script", SHUTDOWNS.values(), ids=SHUTDOWNS)
def test_the_end_of_the_process_is_silent(script: str) -> None:
    done = run(script)
    assert (done.returncode, done.stderr) == (0, "")
