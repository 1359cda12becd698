# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_streams.py: data both ways between a client and a driver's stream, and how it ends."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from typing import Any

import pytest

from libvirtcore.errors import VirError, report
from libvirtcore.generated import constants as c
from libvirtcore.rpc import Client
from tests.libvirtd_dispatch.fake_driver import UUID, FakeDriver, FakeStream, registered
from tests.libvirtd_dispatch.served import REMOTE, opened

DOM = ("x", UUID, 5)
VOL = ("pool", "vol", "key")
CONSOLE, UPLOAD, DOWNLOAD = 201, 208, 209
SPARSE = 1


@pytest.fixture
def client(path: str) -> Iterator[Client]:
    with registered():
        one = opened(path, "fake:///x")
        driver = FakeDriver.opened[0]
        yield one
        one.close()
        gc.collect()
        assert driver.closed.wait(5)


def open_stream(client: Client, procedure: int, stream: FakeStream, flags: int = 0) -> Any:
    FakeDriver.stream = stream
    if procedure == CONSOLE:
        args: tuple[Any, ...] = (DOM, None, 0)
    else:
        args = (VOL, 0, 0, flags)
    return client.open_stream(REMOTE, procedure, args, timeout=10.0)


def read_all(stream: Any) -> bytes:
    data = b""
    while part := stream.recv(1 << 16):
        data += part
    return data


def test_data_of_the_driver_reaches_the_client(client: Client) -> None:
    content = os.urandom(1 << 20)
    fake = FakeStream(content)
    fake.ended = True
    stream = open_stream(client, DOWNLOAD, fake)
    assert read_all(stream) == content
    stream.finish()
    assert fake.over == "finished"


def test_data_of_the_client_reaches_the_driver(client: Client) -> None:
    fake = FakeStream()
    stream = open_stream(client, UPLOAD, fake)
    content = os.urandom(1 << 20)
    sent = 0
    while sent < len(content):
        sent += stream.send(content[sent : sent + 100_000])
    stream.finish()
    assert fake.taken == content
    assert fake.over == "finished"


def test_a_console_goes_both_ways(client: Client) -> None:
    fake = FakeStream(b"login: ")
    stream = open_stream(client, CONSOLE, fake)
    assert stream.recv(100) == b"login: "
    stream.send(b"root\n")
    fake.incoming.append(b"# ")
    assert stream.recv(100) == b"# "
    stream.abort()
    assert fake.taken == b"root\n"
    assert fake.over == "aborted"


def test_holes_travel_only_in_sparse_streams(client: Client) -> None:
    fake = FakeStream(b"data")
    fake.incoming += [1 << 20, b"more"]
    fake.ended = True
    stream = open_stream(client, DOWNLOAD, fake, SPARSE)
    assert stream.recv(100, False, True) == b"data"
    assert stream.recv(100, False, True) == -3
    assert stream.recv_hole() == 1 << 20
    assert stream.recv(100, False, True) == b"more"
    stream.finish()
    up = FakeStream()
    stream = open_stream(client, UPLOAD, up, SPARSE)
    stream.send(b"x")
    stream.send_hole(4096)
    stream.finish()
    assert (up.taken, up.holes) == (b"x", [4096])


def test_a_hole_in_a_plain_stream_ends_it(client: Client) -> None:
    fake = FakeStream()
    stream = open_stream(client, UPLOAD, fake)
    stream.send_hole(4096)
    with pytest.raises(VirError, match="unexpected hole"):
        stream.finish()
    assert fake.done.wait(5)
    assert fake.holes == []


def test_a_failing_driver_ends_the_stream_with_its_error(client: Client) -> None:
    fake = FakeStream()
    fake.fails = report(c.VIR_ERR_OPERATION_FAILED, c.VIR_FROM_STREAMS, "the disk is gone")
    stream = open_stream(client, DOWNLOAD, fake)
    with pytest.raises(VirError, match="the disk is gone") as caught:
        stream.recv(100)
    assert caught.value.domain == c.VIR_FROM_STREAMS
    assert fake.done.wait(5)
    assert fake.over == "freed"


@pytest.mark.parametrize("where", ["send", "finish", "abort"])
def test_a_fault_of_ours_ends_the_stream_and_is_told_briefly(
    client: Client, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def broken(*_args: Any) -> Any:
        raise OSError(5, "secret details")

    fake = FakeStream()
    monkeypatch.setattr(fake, where, broken)
    stream = open_stream(client, UPLOAD, fake)
    with pytest.raises(VirError, match="the daemon failed at this stream: OSError"):
        if where == "send":
            stream.send(b"x")
            stream.finish()
        else:
            getattr(stream, where)()
    assert fake.done.wait(5)
    assert fake.over == "freed"


def test_a_driver_that_is_not_ready_gets_the_data_later(client: Client) -> None:
    fake = FakeStream(room=10)
    stream = open_stream(client, UPLOAD, fake)
    stream.send(b"0123456789abcdef")
    stream.send(b"ghi")
    assert not fake.done.wait(0.1)
    assert fake.taken == b"0123456789"
    fake.room = 1000
    stream.finish()
    assert fake.taken == b"0123456789abcdefghi"


def test_a_client_that_vanishes_frees_the_stream(client: Client, path: str) -> None:
    other = opened(path, "fake:///x")
    fake = FakeStream()
    open_stream(other, CONSOLE, fake)
    driver = FakeDriver.opened[-1]
    other.close()
    assert fake.done.wait(5)
    assert fake.over in ("aborted", "freed")  # the client may have had time to say so
    assert driver.closed.wait(5)


def test_a_refused_call_opens_nothing(client: Client) -> None:
    with pytest.raises(VirError, match="opened no stream"):
        FakeDriver.stream = None
        client.open_stream(REMOTE, CONSOLE, (DOM, None, 0), timeout=10.0)
