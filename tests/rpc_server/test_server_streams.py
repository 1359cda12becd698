# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_server_streams.py: data beside calls, in order, with back-pressure both ways."""

from __future__ import annotations

import struct
import threading
import time

import pytest

from libvirtcore.core_server import (
    STATUS_CONTINUE,
    STATUS_ERROR,
    STATUS_OK,
    TYPE_STREAM,
    TYPE_STREAM_HOLE,
    Ticket,
    Worker,
)
from libvirtcore.errors import VirError, report
from tests.rpc.peer import (
    CALL,
    CONTINUE,
    GET_VERSION,
    OK,
    REMOTE,
    STREAM,
    VOL_DOWNLOAD,
    VOL_UPLOAD,
    VOLUME,
    in_thread,
    pack,
)
from tests.rpc_server.toy import Toy

ARGS = (VOLUME, 0, 0, 0)


def test_upload_comes_in_order(toy: Toy) -> None:
    got: list[bytes] = []
    kinds: list[tuple[int, int, int, int]] = []
    over = threading.Event()

    def stream(worker: Worker) -> None:
        kinds.append((worker.type, worker.status, worker.length, worker.flags))
        if worker.type == TYPE_STREAM_HOLE:
            got.append(bytes(worker.length))
        elif worker.status == STATUS_CONTINUE:
            time.sleep(0.0005 * (len(got) % 3))  # the next must not overtake
            got.append(worker.data)
        else:
            address = (worker.client, worker.program, worker.procedure, worker.serial)
            toy.server.stream_end(*address)
            over.set()

    toy.calls[VOL_UPLOAD] = lambda worker: worker.reply()
    toy.streams = stream
    client = toy.connect()
    upload = client.open_stream(REMOTE, VOL_UPLOAD, ARGS)
    parts = [bytes([number]) * (1000 + number) for number in range(50)]
    for part in parts:
        upload.send(part)
    upload.send_hole(4096, 0)
    upload.finish()
    assert over.wait(10)
    assert got == [*parts, bytes(4096)]
    assert kinds[-2:] == [
        (TYPE_STREAM_HOLE, STATUS_CONTINUE, 4096, 0),
        (TYPE_STREAM, STATUS_OK, 0, 0),
    ]
    client.close()


def test_download_arrives(toy: Toy) -> None:
    data = bytes(range(256)) * 5000

    def answer(worker: Worker) -> None:
        address = (worker.client, worker.program, worker.procedure, worker.serial)
        worker.reply()
        worker.flush()
        assert toy.server.stream_data(*address, data)
        assert toy.server.stream_hole(*address, 1 << 33)
        assert toy.server.stream_data(*address, b"end")
        assert toy.server.stream_data(*address, b"")

    def stream(worker: Worker) -> None:
        assert worker.status == STATUS_OK
        toy.server.stream_end(worker.client, worker.program, worker.procedure, worker.serial)

    toy.calls[VOL_DOWNLOAD] = answer
    toy.streams = stream
    client = toy.connect()
    download = client.open_stream(REMOTE, VOL_DOWNLOAD, ARGS)
    got = b""
    while len(got) < len(data):
        part = download.recv(1 << 20, stop_at_hole=True)
        assert isinstance(part, bytes)
        got += part
    assert got == data
    assert download.recv(10, stop_at_hole=True) == -3
    assert download.recv_hole() == 1 << 33
    assert download.recv(10) == b"end"
    assert download.recv(10) == b""
    download.finish()
    client.close()


def test_error_ends_a_stream(toy: Toy) -> None:
    def answer(worker: Worker) -> None:
        worker.reply()
        worker.flush()
        error = report(38, 38, "No space left on device").to_wire()
        address = (worker.client, worker.program, worker.procedure, worker.serial)
        assert toy.server.stream_error(*address, error)

    toy.calls[VOL_DOWNLOAD] = answer
    client = toy.connect()
    download = client.open_stream(REMOTE, VOL_DOWNLOAD, ARGS)
    with pytest.raises(VirError, match="No space left on device"):
        download.recv(10)
    client.close()


def test_abort_is_told(toy: Toy) -> None:
    seen: list[int] = []

    def stream(worker: Worker) -> None:
        seen.append(worker.status)
        toy.server.stream_end(worker.client, worker.program, worker.procedure, worker.serial)

    toy.calls[VOL_UPLOAD] = lambda worker: worker.reply()
    toy.streams = stream
    client = toy.connect()
    client.open_stream(REMOTE, VOL_UPLOAD, ARGS).abort()
    assert seen == [STATUS_ERROR]
    client.close()


def test_kept_messages_hold_the_client_back(toy: Toy) -> None:
    """Five are kept: a sixth is not read until one is released. Others do not notice."""
    kept: list[tuple[Ticket, bytes]] = []
    toy.streams = lambda worker: kept.append((worker.detach(), worker.data))
    peer, other = toy.peer(), toy.peer()
    for number in range(8):
        peer.send(pack(VOL_UPLOAD, STREAM, 1, CONTINUE, struct.pack(">I", number)))
    deadline = time.monotonic() + 5
    while len(kept) < 5 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.05)
    assert len(kept) == 5
    other.send(pack(GET_VERSION, CALL, 1))
    assert other.take().status == OK
    for count in range(6, 9):
        assert toy.server.answer(kept[count - 6][0])
        while len(kept) < count and time.monotonic() < deadline:
            time.sleep(0.001)
    assert [data for _ticket, data in kept] == [struct.pack(">I", number) for number in range(8)]
    peer.close()
    other.close()


def test_call_behind_a_slow_stream_message_waits_only_for_its_turn(toy: Toy) -> None:
    go = threading.Event()

    def wait(worker: Worker) -> None:
        go.wait(10)

    toy.streams = wait
    peer = toy.peer()
    peer.send(pack(VOL_UPLOAD, STREAM, 1, CONTINUE, b"x") + pack(GET_VERSION, CALL, 2))
    assert peer.take().serial == 2
    go.set()
    peer.close()


def test_drained_tells_when_to_go_on(toy: Toy) -> None:
    """Whoever sends looks at `unsent`; the reader decides the pace."""
    state: dict[str, int] = {"sent": 0, "most": 0}
    address: list[tuple[int, int, int, int]] = []
    total = 64 << 20
    part = bytes(256 << 10)

    def push(client: int) -> None:
        while state["sent"] < total and toy.server.unsent(client) < 1 << 20:
            assert toy.server.stream_data(*address[0], part)
            state["sent"] += len(part)
            state["most"] = max(state["most"], toy.server.unsent(client))
        if state["sent"] < total:
            assert toy.server.want_drained(client, 1 << 18)
        else:
            toy.server.stream_data(*address[0], b"")

    def answer(worker: Worker) -> None:
        address.append((worker.client, worker.program, worker.procedure, worker.serial))
        worker.reply()
        worker.flush()
        push(worker.client)

    toy.calls[VOL_DOWNLOAD] = answer
    toy.drained = lambda worker: push(worker.client)
    client = toy.connect()
    download = client.open_stream(REMOTE, VOL_DOWNLOAD, ARGS)

    def read() -> int:
        got = 0
        while data := download.recv(1 << 20):
            assert isinstance(data, bytes)
            got += len(data)
        return got

    time.sleep(0.05)
    assert state["sent"] < 8 << 20
    assert in_thread(read).result(60) == total
    assert state["most"] < 2 << 20
    client.close()
