# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_pipelines.py: five hundred calls under way at a daemon that takes five.

Called by: pytest.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest

import libvirt
from libvirtcore.exceptions import NoNetworkError
from libvirtcore.pipeline import Result
from tests.behaviour.conftest import Connect, StartProxy

CALLS = 500


def test_order_errors_and_limit(core: str, connect: Connect, start_proxy: StartProxy) -> None:
    proxy = start_proxy(ping_every=25)
    conn = connect(proxy.uri)
    dom = conn.lookupByName("test")
    before = proxy.calls
    with conn.pipeline() as pipe:
        results: list[Result[Any]] = []
        for number in range(CALLS):
            if number % 3 == 0:
                results.append(pipe.call(conn.networkLookupByName, f"net-{number}"))
            elif number % 3 == 1:
                results.append(pipe(dom).info())
            else:
                results.append(pipe(conn).lookupByID(1))
    for number, result in enumerate(results):
        if number % 3 == 0:
            error = result.exception()
            assert isinstance(error, NoNetworkError)
            assert f"'net-{number}'" in str(error)
            with pytest.raises(NoNetworkError):
                result.result()
        elif number % 3 == 1:
            assert result.result()[0] == libvirt.VIR_DOMAIN_RUNNING
        else:
            assert result.result().name() == "test"
    assert proxy.calls - before == CALLS
    assert 2 <= proxy.max_in_flight <= 4
    stats = conn._o.driver.client.stats()
    assert stats["pings"] == proxy.pings >= CALLS // 25
    assert conn.getHostname() == "alpha"
    assert proxy.pongs >= CALLS // 25  # each PING is answered amid the calls
    assert stats["in_flight"] == stats["queued_bytes"] == 0


def test_results_in_any_order(core: str, uri: str, connect: Connect) -> None:
    conn = connect(uri)
    pipe = conn.pipeline()
    results = [pipe.call(conn.networkLookupByName, f"net-{n}") for n in range(40)]
    for number in reversed(range(40)):
        assert f"'net-{number}'" in str(results[number].exception())


def test_several_pipelines_and_plain_calls_at_once(
    core: str, connect: Connect, start_proxy: StartProxy
) -> None:
    proxy = start_proxy()
    conn = connect(proxy.uri)
    failures: list[BaseException] = []

    def piped(name: str) -> None:
        try:
            for turn in range(5):
                with conn.pipeline() as pipe:
                    results = [
                        pipe.call(conn.networkLookupByName, f"{name}-{turn}-{n}") for n in range(20)
                    ]
                for number, result in enumerate(results):
                    assert f"'{name}-{turn}-{number}'" in str(result.exception())
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=piped, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        assert conn.getHostname() == "alpha"
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert failures == []
    assert proxy.max_in_flight <= 4


def test_lost_connection_in_a_pipeline(core: str, start_proxy: StartProxy) -> None:
    proxy = start_proxy()
    conn = libvirt.open(proxy.uri)
    pipe = conn.pipeline()
    results = [pipe.call(conn.getHostname) for _ in range(4)]
    proxy.close()
    outcomes = [result.exception() for result in results]
    assert any(isinstance(outcome, libvirt.libvirtError) for outcome in outcomes)
    with pytest.raises(libvirt.libvirtError):
        pipe.call(conn.getHostname).result()
    conn.close()


def test_in_process_calls_are_made_at_once(connect: Connect) -> None:
    conn = connect("test:///default")
    with conn.pipeline() as pipe:
        result = pipe.call(conn.getHostname)
        assert result.done
        wrong = pipe.call(conn.lookupByName, "nobody")
    assert result.result() == conn.getHostname()
    with pytest.raises(libvirt.libvirtError):
        wrong.result()
