# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_driver.py: how a connection is opened, used and closed, as a daemon sees it."""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import Any

import pytest

from libvirtcore.deadline import set_default_timeout, timeout
from libvirtcore.drivers.remote import driver as module
from libvirtcore.drivers.remote.driver import RemoteDriver
from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.handles import DomainHandle, NetworkHandle, NetworkPortHandle
from libvirtcore.uri import parse
from tests.remote.conftest import Connect
from tests.remote.fake_daemon import FakeDaemon


def test_driver_opening_as_libvirt_does(daemon: FakeDaemon, connect: Connect) -> None:
    driver = connect(f"qemu+unix:///system?socket={daemon.path}&x=y", None, c.VIR_CONNECT_RO)
    assert daemon.calls == [
        ("auth_list", None),
        ("connect_open", ("qemu:///system?x=y", 1)),
        ("connect_supports_feature", (14,)),
        ("connect_supports_feature", (15,)),
    ]
    assert driver.get_uri() == f"qemu+unix:///system?socket={daemon.path}&x=y"


def test_driver_asks_for_keepalive_when_a_loop_runs(
    daemon: FakeDaemon, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "registered", lambda: object())
    monkeypatch.setattr(RemoteDriver, "_events_start", lambda self: None)
    connect(f"qemu+unix:///system?socket={daemon.path}")
    assert daemon.names[:3] == ["auth_list", "connect_supports_feature", "connect_open"]
    assert daemon.calls[1] == ("connect_supports_feature", (10,))


def test_driver_without_a_uri_learns_it(
    daemon: FakeDaemon, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    from libvirtcore.drivers.remote import sockets

    os.symlink(daemon.path, daemon.path.parent / "libvirt-sock")
    monkeypatch.setattr(sockets, "SYSTEM_SOCKETS", str(daemon.path.parent))
    driver = connect(None)
    assert daemon.calls[1] == ("connect_open", ("", 0))
    assert "connect_get_uri" in daemon.names
    assert driver.get_uri() == "qemu:///system"


def test_driver_with_a_daemon_from_before_all_that(daemon: FakeDaemon, connect: Connect) -> None:
    """Unknown procedures while opening are no errors."""
    for name in ("auth_list", "connect_supports_feature"):
        del daemon.replies[name]
    driver = connect(f"qemu+unix:///system?socket={daemon.path}")
    assert not driver.supports_feature(14)
    assert driver.set_keepalive(5, 5) == 1
    with pytest.raises(VirError) as caught:
        driver.connect_get_hostname()
    assert (caught.value.code, caught.value.message) == (
        c.VIR_ERR_NO_SUPPORT,
        "unknown procedure: 59",
    )


def test_driver_closes_everything_when_opening_fails(daemon: FakeDaemon) -> None:
    refusal = report(c.VIR_ERR_NO_CONNECT, c.VIR_FROM_NONE, "foo:///x")
    daemon.replies["connect_open"] = refusal
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(VirError) as caught:
            RemoteDriver.connect_open(parse(f"foo+unix:///x?socket={daemon.path}"), None, 0)
        assert caught.value.message == "no connection driver available for foo:///x"
    deadline = time.monotonic() + 5
    while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < deadline:
        time.sleep(0.01)  # the daemon's own ends, in this process too
    assert len(os.listdir("/proc/self/fd")) <= before + 0


@pytest.mark.parametrize(
    ("types", "auth", "complaint"),
    [
        ([0], "sasl", "authentication failed: requested authentication type sasl rejected"),
        ([0], "none", "authentication failed: unknown authentication type none"),
        ([1], "polkit", "authentication failed: requested authentication type polkit rejected"),
        ([0], "sasl.x", "authentication failed: requested authentication type sasl.x rejected"),
    ],
)
def test_driver_authentication_type_of_the_uri(
    daemon: FakeDaemon, types: list[int], auth: str, complaint: str
) -> None:
    daemon.replies["auth_list"] = (types,)
    uri = parse(f"qemu+unix:///system?socket={daemon.path}&auth={auth}")
    with pytest.raises(VirError) as caught:
        RemoteDriver.connect_open(uri, None, 0)
    assert (caught.value.code, caught.value.message) == (c.VIR_ERR_AUTH_FAILED, complaint)


def test_driver_polkit(daemon: FakeDaemon, connect: Connect) -> None:
    daemon.replies |= {"auth_list": ([2],), "auth_polkit": (1,)}
    connect(f"qemu+unix:///system?socket={daemon.path}")
    assert daemon.names[:3] == ["auth_list", "auth_polkit", "connect_open"]


def test_driver_facts(daemon: FakeDaemon, driver: RemoteDriver) -> None:
    assert driver.is_secure()
    assert not driver.is_encrypted()
    assert driver.is_alive()
    assert [driver.connect_get_type(), driver.connect_get_type()] == ["QEMU", "QEMU"]
    assert daemon.names.count("connect_get_type") == 1
    assert driver.supports_feature(2)
    assert driver.supports_feature(9)
    assert daemon.calls.count(("connect_supports_feature", (9,))) == 1
    daemon.replies["connect_is_secure"] = (0,)
    assert not driver.is_secure()


def test_driver_notices_that_the_daemon_left(daemon: FakeDaemon, driver: RemoteDriver) -> None:
    daemon.close()
    for _ in range(500):
        if not driver.is_alive():
            break
        time.sleep(0.01)
    assert not driver.is_alive()
    with pytest.raises(VirError, match="client socket is closed"):
        driver.connect_get_hostname()


def test_driver_with_types(daemon: FakeDaemon, driver: RemoteDriver) -> None:
    params = [("shm_pages_to_scan", 2, 100), ("shm_full_scans", 4, 7)]
    daemon.replies["node_get_memory_parameters"] = (params, 2)
    as_dict = ({"shm_pages_to_scan": 100, "shm_full_scans": 7}, 2)
    assert driver.node_get_memory_parameters(16, 0) == as_dict
    assert driver.with_types().node_get_memory_parameters(16, 0) == (params, 2)
    assert driver.node_get_memory_parameters(16, 0) == as_dict
    assert daemon.calls[-3:] == [("node_get_memory_parameters", (16, 4))] * 3


def test_driver_asks_no_port_for_text(daemon: FakeDaemon, driver: RemoteDriver) -> None:
    daemon.replies["network_port_get_parameters"] = ([("inbound.peak", 2, 5)], 1)
    port = NetworkPortHandle(NetworkHandle(driver.conn, "default", bytes(16)), bytes(16))
    assert driver.network_port_get_parameters(port, 16, 1) == ({"inbound.peak": 5}, 1)
    assert daemon.calls[-1][1][1:] == (16, 1)


def test_driver_peeks_at_no_more_than_a_message_carries(
    daemon: FakeDaemon, driver: RemoteDriver
) -> None:
    dom = DomainHandle(driver.conn, "vm", bytes(16), 1)
    before = len(daemon.calls)
    for what, args in (("block", ("vda", 0)), ("memory", (0,))):
        with pytest.raises(VirError) as caught:
            getattr(driver, f"domain_{what}_peek")(dom, *args, 4194305, 0)
        error = caught.value
        assert (error.code, error.domain) == (c.VIR_ERR_RPC, c.VIR_FROM_REMOTE)
        limit = "too large for remote protocol, 4194305 > 4194304"
        assert error.message == f"{what} peek request {limit}"
    assert len(daemon.calls) == before


def test_driver_renames_its_handle(daemon: FakeDaemon, driver: RemoteDriver) -> None:
    dom = driver.domain_lookup_by_name("old")
    driver.domain_rename(dom, "new", 0)
    assert (dom.name, dom.wire[0], dom.id) == ("new", "new", 1)


def test_driver_closes_politely_once(daemon: FakeDaemon, driver: RemoteDriver) -> None:
    driver.connect_close()
    driver.connect_close()
    assert daemon.names.count("connect_close") == 1
    assert driver.client.closed == "client"


@pytest.mark.slow
def test_driver_does_not_wait_forever_for_goodbye(
    daemon: FakeDaemon, driver: RemoteDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CLOSE_SECONDS", 0.2)
    daemon.replies["connect_close"] = FakeDaemon.SILENCE
    begun = time.monotonic()
    driver.connect_close()
    assert time.monotonic() - begun < 2


def test_driver_forked_copy_only_drops_its_descriptor(
    daemon: FakeDaemon, driver: RemoteDriver
) -> None:
    child = os.fork()
    if child == 0:
        try:
            driver.connect_close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert driver.connect_get_type() == "QEMU"
    assert "connect_close" not in daemon.names


# --- time -----------------------------------------------------------------------------------------


def silent(daemon: FakeDaemon, name: str = "domain_get_info") -> None:
    daemon.replies[name] = FakeDaemon.SILENCE


@pytest.mark.slow
def test_deadline_of_a_block(daemon: FakeDaemon, driver: RemoteDriver) -> None:
    dom = driver.domain_lookup_by_name("vm")
    silent(daemon)
    begun = time.monotonic()
    with timeout(10), timeout(0.2), timeout(5), pytest.raises(VirError) as caught:
        driver.domain_get_info(dom)
    assert 0.15 < time.monotonic() - begun < 2
    assert caught.value.code == c.VIR_ERR_OPERATION_TIMEOUT
    assert driver.connect_get_type() == "QEMU"  # the connection is as good as before


def test_deadline_that_has_passed_sends_nothing(daemon: FakeDaemon, driver: RemoteDriver) -> None:
    with timeout(0), pytest.raises(VirError) as caught:
        driver.connect_get_type()
    assert caught.value.code == c.VIR_ERR_OPERATION_TIMEOUT
    assert "connect_get_type" not in daemon.names


def test_deadline_ends_with_its_block(driver: RemoteDriver) -> None:
    with timeout(0):
        pass
    with timeout(None):
        assert driver.connect_get_type() == "QEMU"


@pytest.mark.slow
def test_deadline_of_a_connection(daemon: FakeDaemon, driver: RemoteDriver) -> None:
    dom = driver.domain_lookup_by_name("vm")
    silent(daemon)
    set_default_timeout(driver.conn, 0.2)
    for limit in (None, 5.0):
        begun = time.monotonic()
        with timeout(limit), pytest.raises(VirError) as caught:
            driver.domain_get_info(dom)
        assert caught.value.code == c.VIR_ERR_OPERATION_TIMEOUT
        assert time.monotonic() - begun < 2
    set_default_timeout(driver.conn, None)
    assert driver.connect_get_type() == "QEMU"


@pytest.mark.slow
def test_deadline_holds_while_connecting(daemon: FakeDaemon) -> None:
    silent(daemon, "auth_list")
    with timeout(0.2), pytest.raises(VirError) as caught:
        RemoteDriver.connect_open(parse(f"qemu+unix:///system?socket={daemon.path}"), None, 0)
    assert caught.value.code == c.VIR_ERR_OPERATION_TIMEOUT


@pytest.mark.slow
def test_cancel_from_another_thread(daemon: FakeDaemon, driver: RemoteDriver) -> None:
    dom = driver.domain_lookup_by_name("vm")
    silent(daemon)
    errors: list[Any] = []

    def ask() -> None:
        try:
            driver.domain_get_info(dom)
        except VirError as error:
            errors.append(error.code)

    thread = threading.Thread(target=ask)
    thread.start()
    while "domain_get_info" not in daemon.names:
        time.sleep(0.01)
    assert driver.cancel() == 1
    thread.join(5)
    assert errors == [c.VIR_ERR_OPERATION_ABORTED]
    assert driver.connect_get_type() == "QEMU"


# --- tcp ------------------------------------------------------------------------------------------


def test_tcp_refused_and_unresolved() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for uri, message, number in (
        (
            f"qemu+tcp://127.0.0.1:{port}/system",
            f"unable to connect to server at '127.0.0.1:{port}': Connection refused",
            111,
        ),
        (
            "qemu+tcp://no-such-host.invalid/system",
            "Unable to resolve address 'no-such-host.invalid' service '16509': ",
            -1,
        ),
    ):
        with pytest.raises(VirError) as caught:
            RemoteDriver.connect_open(parse(uri), None, 0)
        assert caught.value.message.startswith(message)
        assert (caught.value.code, caught.value.domain, caught.value.int1) == (38, 7, number)
