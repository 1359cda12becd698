# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_pipeline.py: calls through a pipeline give what they always give, and overlap."""

from __future__ import annotations

import threading

import pytest

from libvirtcore.deadline import timeout
from libvirtcore.drivers.remote.driver import RemoteDriver
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle
from libvirtcore.pipeline import Pipeline
from tests.remote.fake_daemon import FakeDaemon


def test_pipeline_hundreds_of_calls_in_order(daemon: FakeDaemon, driver: RemoteDriver) -> None:
    daemon.replies["domain_lookup_by_name"] = lambda args: ((args[0], bytes(16), len(args[0])),)
    with Pipeline(driver) as p:
        results = [p(driver).domain_lookup_by_name("x" * n) for n in range(1, 301)]
        assert not results[-1].done
    assert all(result.done for result in results)
    assert [result.result().id for result in results] == list(range(1, 301))


def test_pipeline_requests_overlap(daemon: FakeDaemon, driver: RemoteDriver) -> None:
    """The daemon has read several requests before it answers the first."""
    gate = threading.Event()

    def wait_for_more(args: object) -> tuple[str]:
        gate.wait(5)
        return ("h",)

    daemon.replies["connect_get_hostname"] = wait_for_more
    with Pipeline(driver) as p:
        results = [p.call(driver.connect_get_hostname) for _ in range(3)]
        gate.set()
    assert [result.result() for result in results] == ["h"] * 3
    assert driver.client.stats()["in_flight"] == 0


def test_pipeline_keeps_errors_apart(daemon: FakeDaemon, driver: RemoteDriver) -> None:
    def look_up(args: tuple[str]) -> object:
        if args[0] == "bad":
            return report(c.VIR_ERR_NO_DOMAIN, c.VIR_FROM_DOM, "no domain with matching name 'bad'")
        return ((args[0], bytes(16), 1),)

    daemon.replies["domain_lookup_by_name"] = look_up
    with Pipeline(driver) as p:
        good, bad = (p(driver).domain_lookup_by_name(name) for name in ("good", "bad"))
    assert good.exception() is None
    assert good.result().name == "good"
    assert isinstance(bad.exception(), VirError)
    with pytest.raises(VirError, match="no domain with matching name 'bad'"):
        bad.result()


def test_pipeline_call_of_two_requests(daemon: FakeDaemon, driver: RemoteDriver) -> None:
    """The second request of a call is made when its result is fetched."""

    def both(name: str) -> tuple[str, str]:
        dom = driver.domain_lookup_by_name(name)
        return dom.name, driver.connect_get_hostname()

    daemon.replies["connect_get_hostname"] = ("host",)
    with Pipeline(driver) as p:
        results = [p.call(both, name) for name in ("a", "b")]
        assert "connect_get_hostname" not in daemon.names
    assert [result.result() for result in results] == [("a", "host"), ("b", "host")]


def test_pipeline_answers_without_a_request(driver: RemoteDriver) -> None:
    with Pipeline(driver) as p:
        result = p.call(driver.get_uri)
        assert result.done
        assert result.result() == driver.get_uri()
        broken = p.call(lambda: 1 // 0)
        assert isinstance(broken.exception(), ZeroDivisionError)


def test_pipeline_of_one_connection_leaves_others_alone(
    daemon: FakeDaemon, driver: RemoteDriver, connect: object
) -> None:
    other = connect(f"test+unix:///default?socket={daemon.path}")  # type: ignore[operator]
    with Pipeline(driver) as p:
        result = p.call(other.connect_get_type)
        assert result.done
        assert result.result() == "QEMU"


def test_pipeline_on_a_driver_of_this_process() -> None:
    class Local:
        def answer(self, value: int) -> int:
            return value + 1

    local = Local()
    with Pipeline(local) as p:
        assert p(local).answer(1).result() == 2


@pytest.mark.slow
def test_pipeline_results_have_deadlines(daemon: FakeDaemon, driver: RemoteDriver) -> None:
    daemon.replies["connect_get_hostname"] = FakeDaemon.SILENCE
    with Pipeline(driver) as p:
        result = p.call(driver.connect_get_hostname)
        with pytest.raises(VirError) as caught:
            result.result(timeout=0.1)
        assert caught.value.code == c.VIR_ERR_OPERATION_TIMEOUT
        second = p.call(driver.connect_get_hostname)
        with timeout(0.1):
            p.gather()
        assert isinstance(second.exception(), VirError)


def test_pipeline_block_that_fails_still_fetches(daemon: FakeDaemon, driver: RemoteDriver) -> None:
    results = []
    with pytest.raises(KeyError), Pipeline(driver) as p:
        results.append(p(driver).domain_lookup_by_name("x"))
        raise KeyError
    assert isinstance(results[0].result(), DomainHandle)
