# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_client_hostile.py: peers that lie or are somebody else: one clear error, then the end."""

from __future__ import annotations

import gc
import socket
import struct
from typing import Any

import pytest

from libvirtcore.errors import VirError
from tests.rpc.conftest import Connect, open_descriptors
from tests.rpc.peer import (
    CALL,
    CONTINUE,
    ERROR,
    GET_VERSION,
    HOLE,
    KEEPALIVE,
    MESSAGE,
    REMOTE,
    REPLY,
    REPLY_WITH_FDS,
    STREAM,
    VOL_UPLOAD,
    Peer,
    in_thread,
    pack,
    result,
)

Pair = tuple[Any, Peer]
RPC, INTERNAL = 39, 1
SEVEN = result(GET_VERSION, 7)
LIMIT = 33554432

# What the peer answers to serial 0 -> code and detail of the error.
LIES = {
    "length 0": (bytes(4), RPC, "packet 0 bytes received from server too small, want 28"),
    "length 27": (
        struct.pack(">I", 27), RPC, "packet 27 bytes received from server too small, want 28",
    ),
    "length above the limit": (
        struct.pack(">I", LIMIT + 5), RPC,
        f"packet {LIMIT + 1} bytes received from server too large, want {LIMIT}",
    ),
    "length 2^32-1": (
        b"\xff" * 4, RPC, f"packet 4294967291 bytes received from server too large, want {LIMIT}",
    ),
    "unknown program": (
        pack(GET_VERSION, REPLY, 0, 0, SEVEN, program=0x1234), RPC,
        "no call waiting for reply with prog 4660 vers 1 serial 0",
    ),
    "wrong version": (
        pack(GET_VERSION, REPLY, 0, 0, SEVEN, version=2), RPC,
        "no call waiting for reply with prog 536903814 vers 2 serial 0",
    ),
    "unknown serial": (
        pack(GET_VERSION, REPLY, 100, 0, SEVEN), RPC,
        "no call waiting for reply with prog 536903814 vers 1 serial 100",
    ),
    "other procedure": (
        pack(GET_VERSION + 1, REPLY, 0, 0, SEVEN), INTERNAL, "Unexpected message proc 5 != 4",
    ),
    "type call": (
        pack(GET_VERSION, CALL, 0, 0, SEVEN), RPC,
        "got unexpected RPC call prog 536903814 vers 1 proc 4 type 0",
    ),
    "type 9": (
        pack(GET_VERSION, 9, 0, 0, SEVEN), RPC,
        "got unexpected RPC call prog 536903814 vers 1 proc 4 type 9",
    ),
    "status continue": (
        pack(GET_VERSION, REPLY, 0, CONTINUE, SEVEN), RPC, "Unexpected message status 2",
    ),
    "status 7": (pack(GET_VERSION, REPLY, 0, 7, SEVEN), RPC, "Unexpected message status 7"),
    "event of an unknown program": (
        pack(5, MESSAGE, 0, 0, SEVEN, program=0x12345), RPC,
        "no program found for event with prog 74565 vers 1",
    ),
    "event of another version": (
        pack(107, MESSAGE, 0, 0, SEVEN, version=3), RPC,
        "no program found for event with prog 536903814 vers 3",
    ),
    "keepalive procedure 9": (
        pack(9, MESSAGE, 0, 0, b"", program=KEEPALIVE), RPC,
        "unexpected keepalive message vers 1 proc 9",
    ),
    "keepalive call": (
        pack(1, CALL, 0, 0, b"", program=KEEPALIVE), RPC,
        "got unexpected RPC call prog 1801807216 vers 1 proc 1 type 0",
    ),
    "too many descriptors": (
        pack(GET_VERSION, REPLY_WITH_FDS, 0, 0, struct.pack(">I", 33) + SEVEN), RPC,
        "Received too many FDs 33, expected 32 maximum",
    ),
    "no count of descriptors": (
        pack(GET_VERSION, REPLY_WITH_FDS, 0, 0, b"\0\0"), RPC,
        "message of type 5 has no count of descriptors",
    ),
    "descriptors that do not come": (
        pack(GET_VERSION, REPLY_WITH_FDS, 0, 0, struct.pack(">I", 2) + SEVEN) + b"\0\0", RPC,
        "2 descriptors were announced, 0 came",
    ),
    "ssh": (
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", RPC,
        "the peer sent text instead of libvirt RPC: 'SSH-2.0-OpenSSH_9.2p1 Debian-2'",
    ),
    "http": (
        b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n", RPC,
        "the peer sent text instead of libvirt RPC: 'HTTP/1.1 400 Bad Request'",
    ),
    "shell": (
        b"This account is currently not available.\n", RPC,
        "the peer sent text instead of libvirt RPC: 'This account is currently not available.'",
    ),
    "text with control bytes": (
        b"abcd\x1b[31mred", RPC, "the peer sent text instead of libvirt RPC: 'abcd'",
    ),
    "endless text": (
        b"y" * 5000, RPC, f"the peer sent text instead of libvirt RPC: '{'y' * 120}'",
    ),
    "tls": (
        bytes.fromhex("15030300020228"), RPC, "the peer speaks TLS instead of plain libvirt RPC",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_lie_ends_the_connection_with_one_clear_error(pair: Pair, name: str) -> None:
    client, peer = pair
    data, code, text = LIES[name]
    waiting = in_thread(client.call, REMOTE, GET_VERSION, None, 5)
    peer.take()
    peer.send(data)
    with pytest.raises(VirError) as caught:
        waiting.result()
    prefix = "internal error: " if code == INTERNAL else ""
    assert (caught.value.code, caught.value.domain) == (code, 7)
    assert caught.value.message == prefix + text
    assert client.closed == "error"
    with pytest.raises(VirError, match="client socket is closed"):
        client.call(REMOTE, GET_VERSION)
    assert client.pump(0) is False


def test_reply_twice_ends_the_connection(pair: Pair) -> None:
    client, peer = pair
    waiting = in_thread(client.call, REMOTE, GET_VERSION, None, 5)
    message = peer.take()
    peer.reply(message, 1)
    assert waiting.result() == (1,)
    peer.reply(message, 1)
    with pytest.raises(VirError, match="no call waiting for reply"):
        client.call(REMOTE, GET_VERSION, timeout=5)


def test_everybody_who_waits_learns_why(pair: Pair) -> None:
    client, peer = pair
    waiting = [in_thread(client.call, REMOTE, GET_VERSION, None, 10) for _ in range(8)]
    for _ in range(4):
        peer.take()
    peer.send(b"nonsense")
    for one in waiting:
        with pytest.raises(VirError, match=r"nonsense|client socket is closed"):
            one.result()


HARMLESS = {
    "event nobody knows": pack(9999, MESSAGE, 0, 0, SEVEN),
    "call number as event": pack(GET_VERSION, MESSAGE, 0, 0, SEVEN),
    "event without its message": pack(107, MESSAGE, 0, 0, b""),
    "event with a status": pack(107, MESSAGE, 0, ERROR, b""),
    "data of a stream that is gone": pack(VOL_UPLOAD, STREAM, 50, CONTINUE, b"data"),
    "hole of a stream that is gone": pack(VOL_UPLOAD, HOLE, 50, CONTINUE, bytes(12)),
    "pong that nobody asked for": pack(2, MESSAGE, 0, 0, b"", program=KEEPALIVE),
    "reply with zero descriptors": b"",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_surprise_is_ignored(pair: Pair, name: str) -> None:
    """A newer daemon may send what we do not know; libvirt's own client shrugs, too."""
    client, peer = pair
    waiting = in_thread(client.call, REMOTE, GET_VERSION, None, 5)
    peer.take()
    peer.send(HARMLESS[name])
    if HARMLESS[name]:
        peer.send(pack(GET_VERSION, REPLY, 0, 0, SEVEN))
    else:
        peer.send(pack(GET_VERSION, REPLY_WITH_FDS, 0, 0, struct.pack(">I", 0) + SEVEN))
    assert waiting.result() == (7,)
    assert client.next_event() is None
    assert client.closed is None


@pytest.mark.slow
def test_length_alone_reserves_no_memory(connect: Connect) -> None:
    """A peer that announces 32 MiB and sends 100 bytes costs 100 bytes, not 32 MiB."""
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(20):
        client, peer = connect()
        waiting = in_thread(client.call, REMOTE, GET_VERSION, None, 0.1)
        peer.take()
        peer.send(struct.pack(">I", LIMIT) + bytes(100))
        with pytest.raises(VirError) as caught:
            waiting.result()
        assert caught.value.code == 68
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024


def test_peer_that_only_pings_gets_bounded_answers(pair: Pair) -> None:
    """It never reads our PONGs: they must not pile up in our memory."""
    client, peer = pair
    peer.sock.settimeout(0.5)
    ping = pack(1, MESSAGE, 0, 0, b"", program=KEEPALIVE)

    def flood() -> None:
        for _ in range(400):
            peer.send(ping * 200)

    flooding = in_thread(flood)
    while flooding.thread.is_alive():
        assert client.pump(0.05) or True
    flooding.result()
    client.pump(0)
    assert client.stats()["pings"] > 50_000
    assert client.stats()["unsent_bytes"] <= 1 << 20


@pytest.mark.slow
def test_unread_events_are_bounded(pair: Pair) -> None:
    client, peer = pair
    from tests.rpc.peer import DOMAIN_EVENT, event

    flood = event(DOMAIN_EVENT, ("n" * 1_000_000, bytes(16), 1), 1, 2)

    def run() -> None:
        with pytest.raises(OSError):
            for _ in range(100):
                peer.send(flood)

    flooding = in_thread(run)
    with pytest.raises(VirError, match="wait to be fetched"):
        client.call(REMOTE, GET_VERSION, timeout=30)
    flooding.result()
    assert client.closed == "error"
    assert client.stats()["queued_bytes"] <= 64 << 20


def resident() -> int:
    """KiB in memory now."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4


@pytest.mark.slow
def test_ten_thousand_liars_leave_nothing(core: Any) -> None:
    lies = [data for data, _code, _text in LIES.values()] + [b"", bytes(2)]
    lies += [HARMLESS["event nobody knows"], pack(GET_VERSION, REPLY, 0, 0, SEVEN)[:-1]]
    sizes = []
    for turn in range(10_000):
        ours, theirs = socket.socketpair()
        client = core.Client(ours.detach())
        theirs.sendall(lies[turn % len(lies)])
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(VirError):
            client.call(REMOTE, GET_VERSION, timeout=5)
        assert client.closed in ("error", "eof")
        client.close()
        theirs.close()
        if turn % 2000 == 1999:
            gc.collect()
            sizes.append((resident(), len(open_descriptors())))
    assert sizes[-1][0] - sizes[1][0] < 1024, sizes
    assert sizes[-1][1] == sizes[0][1], sizes


@pytest.mark.slow
def test_recorded_session_cut_at_every_byte(connect: Connect) -> None:
    """Close after each byte of open, lookup, stream and event: always the same two errors."""
    from tests.rpc.peer import DOMAIN, DOMAIN_EVENT, LOOKUP_BY_NAME, VOLUME, event

    session = [
        pack(66, REPLY, 0, 0, result(66, [0])),
        pack(1, REPLY, 1, 0, b""),
        event(DOMAIN_EVENT, DOMAIN, 1, 2) + pack(LOOKUP_BY_NAME, REPLY, 2, 0, result(23, DOMAIN)),
        pack(209, REPLY, 3, 0, b"") + pack(209, STREAM, 3, CONTINUE, b"stream data"),
        pack(209, STREAM, 3, 0, b""),
    ]

    def play(client: Any) -> None:
        client.call(REMOTE, 66, timeout=5)
        client.call(REMOTE, 1, ("test:///default", 0), timeout=5)
        client.call(REMOTE, LOOKUP_BY_NAME, ("vm",), timeout=5)
        stream = client.open_stream(REMOTE, 209, (VOLUME, 0, 0, 0), timeout=5)
        assert stream.recv(100) == b"stream data"
        stream.finish()

    total = b"".join(session)
    for cut in range(0, len(total), 3):
        client, peer = connect()
        playing = in_thread(play, client)
        left = cut
        for part in session:
            peer.take()
            peer.send(part[:left])
            left -= len(part)
            if left <= 0:
                break
        peer.close()
        with pytest.raises(VirError) as caught:
            playing.result()
        assert caught.value.code in (38, 1), cut
        assert client.closed in ("eof", "error")
        client.close()
