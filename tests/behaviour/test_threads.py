# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_threads.py: sixteen threads on one connection, each with its own answers and errors.

Called by: pytest.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

import libvirt
from tests.behaviour.conftest import Connect, StartProxy

THREADS = 16
ROUNDS = 60


def in_threads(work: Callable[[int], None]) -> None:
    """Run it in every thread at once; the first failure is raised."""
    failures: list[BaseException] = []
    barrier = threading.Barrier(THREADS)

    def run(number: int) -> None:
        try:
            barrier.wait(10)
            work(number)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    if failures:
        raise failures[0]


def mixed_calls(conn: libvirt.virConnect, number: int) -> None:
    """Calls whose answers and errors bear the number of the thread."""
    for turn in range(ROUNDS):
        name = f"nobody-{number}-{turn}"
        with pytest.raises(libvirt.libvirtError) as caught:
            conn.networkLookupByName(name)
        assert caught.value.get_error_code() == libvirt.VIR_ERR_NO_NETWORK
        assert name in str(caught.value)
        last = libvirt.virGetLastError()
        assert last is not None and name in last[2]
        dom = conn.lookupByName("test")
        assert libvirt.virGetLastError() is None  # a call that goes well forgets the last one
        assert dom.name() == "test" and dom.info()[3] == 2
        with pytest.raises(libvirt.libvirtError) as caught:
            conn.storagePoolLookupByName(name)
        assert caught.value.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_POOL
        assert name in str(caught.value)


def calls_in_process(conn: libvirt.virConnect, number: int) -> None:
    """The same for a driver whose errors name nothing: each thread has a kind of its own."""
    for _ in range(ROUNDS):
        with pytest.raises(libvirt.libvirtError):
            if number % 2:
                conn.lookupByName("nobody")
            else:
                conn.defineXML("<domain")
        code = libvirt.VIR_ERR_NO_DOMAIN if number % 2 else libvirt.VIR_ERR_XML_DETAIL
        last = libvirt.virGetLastError()
        assert last is not None and last[0] == code
        assert conn.lookupByName("test").name() == "test"
        assert libvirt.virGetLastError() is None


def test_threads_share_one_connection(core: str, connect: Connect, start_proxy: StartProxy) -> None:
    proxy = start_proxy()
    conn = connect(proxy.uri)
    in_threads(lambda number: mixed_calls(conn, number))
    assert proxy.max_in_flight <= 4  # a fifth is left for keepalive


def test_threads_share_the_driver_in_process(connect: Connect) -> None:
    conn = connect("test:///default")
    in_threads(lambda number: calls_in_process(conn, number))


def test_threads_open_and_close_at_once(core: str, uri: str) -> None:
    def work(number: int) -> None:
        for _ in range(5):
            with libvirt.open(uri) as conn:
                assert conn.getType() == "TEST"

    in_threads(work)
