# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_session.py: a client's life, and the conventions that its calls follow."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator

import pytest

from libvirtcore.errors import VirError
from libvirtcore.generated import constants as c
from libvirtcore.rpc import Client
from tests.libvirtd_dispatch.fake_driver import PARAMS, UUID, FakeDriver, registered
from tests.libvirtd_dispatch.served import QEMU, REMOTE, call, connect, opened

DOM = ("x", UUID, -1)
STRINGS = 4


@pytest.fixture
def fake() -> Iterator[type[FakeDriver]]:
    with registered() as driver:
        yield driver
    assert FakeDriver.opened == []


@pytest.fixture
def client(fake: type[FakeDriver], path: str) -> Iterator[Client]:
    one = opened(path, "fake:///x")
    driver = FakeDriver.opened[0]
    yield one
    one.close()
    gc.collect()
    assert driver.closed.wait(5)


def fails(client: Client, procedure: int, args: object = None, program: int = REMOTE) -> VirError:
    with pytest.raises(VirError) as caught:
        call(client, procedure, args, program)
    return caught.value


# --- opening and closing --------------------------------------------------------------------------


def test_nothing_works_before_opening(path: str) -> None:
    client = connect(path)
    error = fails(client, 16, (DOM,))
    assert (error.code, error.domain) == (c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_RPC)
    assert error.message == "internal error: hypervisor connection not open"
    assert fails(client, 38, (5,)).message == "internal error: connection not open"
    client.close()


def test_features_of_the_daemon_are_told_before_opening(path: str) -> None:
    client = connect(path)
    assert call(client, 60, (10,)) == (1,)
    assert "hypervisor connection not open" in fails(client, 60, (14,)).message
    call(client, 1, ("test:///default", 0))
    assert [call(client, 60, (n,))[0] for n in (1, 8, 9, 14, 15, 16, 99)] == [0, 1, 1, 1, 1, 1, 0]
    client.close()


def test_a_client_opens_one_connection(path: str) -> None:
    client = opened(path)
    error = fails(client, 1, ("test:///default", 0))
    assert error.message == "internal error: connection already open"
    assert call(client, 110) == ("test:///default",)
    client.close()


@pytest.mark.parametrize("uri", ["foo:///x", "qemu+tcp://127.0.0.1:1/system", "esx://host/"])
def test_the_daemon_calls_nobody_else(path: str, uri: str) -> None:
    client = connect(path)
    error = fails(client, 1, (uri, 0))
    assert (error.code, error.domain) == (c.VIR_ERR_NO_CONNECT, c.VIR_FROM_NONE)
    assert error.message == f"no connection driver available for {uri}"
    client.close()


def test_no_name_is_no_connection(path: str) -> None:
    client = connect(path)
    assert fails(client, 1, (None, 0)).message == "internal error: connection not open"
    client.close()


def test_close_answers_and_hangs_up(path: str) -> None:
    client = opened(path)
    assert call(client, 2) is None
    with pytest.raises(VirError):
        call(client, 110)
    client.close()


def test_a_client_that_vanishes_closes_its_driver(fake: type[FakeDriver], path: str) -> None:
    client = opened(path, "fake:///x")
    (driver,) = FakeDriver.opened
    client.close()
    assert driver.closed.wait(5)


# --- read-only ------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_flag", [True, False])
def test_read_only_clients_change_nothing(path: str, path_ro: str, by_flag: bool) -> None:
    client = opened(path, flags=1) if by_flag else opened(path_ro)
    (dom,) = call(client, 23, ("test",))
    error = fails(client, 34, (dom,))
    assert (error.code, error.domain) == (c.VIR_ERR_OPERATION_DENIED, c.VIR_FROM_DOMAIN)
    assert error.message == "operation forbidden: read only access prevents virDomainSuspend"
    assert error.str2 == "read only access prevents virDomainSuspend"
    assert call(client, 16, (dom,))[0] == c.VIR_DOMAIN_RUNNING
    assert "with secure flag" in fails(client, 14, (dom, 1)).message
    assert call(client, 14, (dom, 0))[0].startswith("<domain")
    error = fails(client, 1, (dom, "{}", 0), QEMU)
    assert "virDomainQemuMonitorCommand" in error.message
    client.close()


def test_the_driver_is_opened_read_only(fake: type[FakeDriver], path_ro: str) -> None:
    client = opened(path_ro, "fake:///x")
    assert FakeDriver.opened[0].readonly
    client.close()
    assert FakeDriver.opened == [] or FakeDriver.opened[0].closed.wait(5)


# --- room for an answer ---------------------------------------------------------------------------


def test_without_room_the_number_of_parameters_is_told(client: Client) -> None:
    assert call(client, 198, (DOM, 0, STRINGS)) == ({}, len(PARAMS))


def test_as_many_parameters_come_as_there_is_room_for(client: Client) -> None:
    assert call(client, 198, (DOM, 1, STRINGS)) == ({"weight": 7}, 0)


def test_texts_come_only_to_clients_that_can_read_them(client: Client) -> None:
    assert call(client, 198, (DOM, 16, 0)) == ({"weight": 7, "limit": 1 << 40}, 0)
    everything, _ = call(client, 198, (DOM, 16, STRINGS))
    assert everything["name"] == "text"


def test_the_driver_never_sees_the_flag_of_texts(client: Client) -> None:
    call(client, 198, (DOM, 16, STRINGS | 2))
    assert FakeDriver.opened[0].asked == [("x", 16, 2)]


@pytest.mark.parametrize(("room", "fault"), [(17, "too large"), (-1, "must be non-negative")])
def test_senseless_room_is_refused(client: Client, room: int, fault: str) -> None:
    error = fails(client, 198, (DOM, room, 0))
    assert error.message == f"internal error: nparams {fault}"
    assert FakeDriver.opened[0].asked == []


def test_parameters_keep_their_types_and_doubles(client: Client) -> None:
    params = [("weight", 2, 7), ("weight", 2, 8), ("limit", 4, 9)]
    call(client, 197, (DOM, params, 0))
    assert FakeDriver.opened[0].asked == [("x", params, 0)]


def test_lists_are_cut_to_the_room(client: Client) -> None:
    assert call(client, 21, (2,)) == (["a", "b"],)
    error = fails(client, 21, (16385,))
    assert (error.code, error.message) == (c.VIR_ERR_RPC, "maxnames > REMOTE_DOMAIN_LIST_MAX")
    assert fails(client, 21, (-1,)).message == "maxnames must be non-negative"


def test_a_list_beyond_the_protocol_is_an_error(client: Client) -> None:
    assert call(client, 273, (1, 16384))[1] == 16384
    error = fails(client, 273, (1, 16385))
    assert error.message == "internal error: Too many domains '16385' for limit '16384'"


def test_statistics_bear_their_domain(client: Client) -> None:
    ((record,),) = call(client, 344, ([], 0, 0))
    assert record == (("x", UUID, 3), {"weight": 7, "name": "text", "limit": 1 << 40})


# --- faults and descriptors -----------------------------------------------------------------------


def test_a_fault_of_ours_is_told_briefly(client: Client) -> None:
    error = fails(client, 9, (DOM,))
    assert (error.code, error.domain) == (c.VIR_ERR_INTERNAL_ERROR, c.VIR_FROM_RPC)
    assert "ZeroDivisionError" in error.message
    assert "a fault of the driver" not in error.message
    assert call(client, 21, (1,)) == (["a"],)  # and the client goes on


def test_what_no_driver_does_is_not_supported(client: Client) -> None:
    error = fails(client, 28, (DOM,))
    assert (error.code, error.domain) == (c.VIR_ERR_NO_SUPPORT, c.VIR_FROM_DOMAIN)
    assert error.str2 == "virDomainResume"


def test_descriptors_come_with_the_answer(client: Client) -> None:
    before = len(os.listdir("/proc/self/fd"))
    ret, fds = client.call_fds(REMOTE, 343, (DOM, 0, 0), (), 10.0)
    assert ret is None
    (fd,) = fds
    assert os.read(fd, 100) == b"through the pipe"
    os.close(fd)
    assert len(os.listdir("/proc/self/fd")) == before


def test_descriptors_go_with_the_call_and_are_closed(client: Client) -> None:
    before = len(os.listdir("/proc/self/fd"))
    read, write = os.pipe()
    os.write(write, b"hello")
    client.call_fds(REMOTE, 249, (DOM, 0, 0), (read,), 10.0)
    os.close(read)
    os.close(write)
    assert FakeDriver.opened[0].asked == [(b"hello",)]
    assert len(os.listdir("/proc/self/fd")) == before


# --- identity, authentication ---------------------------------------------------------------------


def test_an_identity_may_be_told(client: Client) -> None:
    call(client, 419, ([("user-name", 7, "joe"), ("unix-user-id", 4, 1000)], 0))
    error = fails(client, 419, ([("bad", 7, "x")], 0))
    assert error.code == c.VIR_ERR_ARGUMENT_UNSUPPORTED
    assert error.message == "argument unsupported: parameter 'bad' not supported"
    assert fails(client, 419, ([("user-name", 1, 5)], 0)).code == c.VIR_ERR_INVALID_ARG


def test_who_needs_no_authentication_is_told_so(path: str) -> None:
    client = connect(path)
    assert call(client, 66) == ([0],)
    assert fails(client, 67).code == c.VIR_ERR_AUTH_FAILED
    client.close()


# --- many at once ---------------------------------------------------------------------------------


def test_many_clients_come_and_go(fake: type[FakeDriver], path: str) -> None:
    problems: list[BaseException] = []

    def run() -> None:
        try:
            for _ in range(10):
                client = opened(path, "fake:///x")
                assert call(client, 21, (1,)) == (["a"],)
                client.close()
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    for driver in list(FakeDriver.opened):
        assert driver.closed.wait(5)
