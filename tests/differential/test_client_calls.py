# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_client_calls.py: calls, errors, deadlines, descriptors: the same from both clients."""

from __future__ import annotations

import gc
import os
import socket
import time
from typing import Any

import pytest

from libvirtcore.errors import VirError
from libvirtcore.generated.constants import (
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_NO_DOMAIN,
    VIR_ERR_NO_SUPPORT,
    VIR_ERR_OPERATION_TIMEOUT,
    VIR_ERR_RPC,
    VIR_ERR_SYSTEM_ERROR,
    VIR_FROM_QEMU,
    VIR_FROM_REMOTE,
    VIR_FROM_RPC,
)
from libvirtcore.rpc.pure_frame import CALL, CALL_WITH_FDS, OK
from tests.differential.peer import DOMAIN, LOOKUP, REMOTE, VERSION, Acting, Peer, number

Pair = tuple[Any, Peer]
OPEN_GRAPHICS = number("domain_open_graphics")
OPEN_GRAPHICS_FD = number("domain_open_graphics_fd")
STATS = number("connect_get_all_domain_stats")
SCHEDULER = number("domain_get_scheduler_parameters_flags")


def failing(call: Any, *args: Any, **kwargs: Any) -> VirError:
    with pytest.raises(VirError) as caught:
        call(*args, **kwargs)
    return caught.value


def test_call_returns_the_fields(pair: Pair) -> None:
    client, peer = pair
    acting = Acting(lambda: peer.reply(peer.call("domain_lookup_by_name"), (DOMAIN,)))
    assert client.call(REMOTE, LOOKUP, ("test",)) == (DOMAIN,)
    acting.join()


def test_call_is_sent_as_one_plain_message(pair: Pair) -> None:
    client, peer = pair
    seen = []

    def play() -> None:
        for _ in range(2):
            seen.append(peer.call())
            peer.reply(seen[-1], (DOMAIN,))

    acting = Acting(play)
    client.call(REMOTE, LOOKUP, ("test",))
    client.call(REMOTE, LOOKUP, ["test"])
    acting.join()
    payload = b"\0\0\0\4test"
    assert seen == [(REMOTE, 1, LOOKUP, CALL, serial, OK, payload, ()) for serial in (0, 1)]


def test_call_gives_typed_parameters_as_dict(pair: Pair) -> None:
    client, peer = pair
    record = (DOMAIN, [("state.state", 1, 1), ("cpu.time", 4, 2**63), ("vcpu.0.halted", 6, True)])
    acting = Acting(lambda: peer.reply(peer.call(), ([record],)))
    value = client.call(REMOTE, STATS, ([], 0, 0))
    acting.join()
    named = {"state.state": 1, "cpu.time": 2**63, "vcpu.0.halted": True}
    assert value == ([(DOMAIN, named)],)


def test_call_without_result_gives_none(pair: Pair) -> None:
    client, peer = pair
    acting = Acting(lambda: peer.reply(peer.call("domain_resume")))
    assert client.call(REMOTE, number("domain_resume"), (DOMAIN,)) is None
    acting.join()


def test_call_raises_what_the_peer_reports(pair: Pair) -> None:
    client, peer = pair
    acting = Acting(lambda: peer.fail(peer.call(), VIR_ERR_NO_DOMAIN, VIR_FROM_QEMU, "no domain x"))
    error = failing(client.call, REMOTE, LOOKUP, ("x",))
    acting.join()
    wanted = (VIR_ERR_NO_DOMAIN, VIR_FROM_QEMU, "no domain x", 2, "%s", "no domain x", None, -1, -1)
    assert error.raw == wanted


def test_call_of_a_procedure_the_daemon_lacks_is_not_supported(pair: Pair) -> None:
    client, peer = pair
    text = "unknown procedure: 23"
    acting = Acting(lambda: peer.fail(peer.call(), VIR_ERR_RPC, VIR_FROM_REMOTE, text))
    assert failing(client.call, REMOTE, LOOKUP, ("x",)).code == VIR_ERR_NO_SUPPORT
    acting.join()


def test_call_with_wrong_arguments_sends_nothing(pair: Pair) -> None:
    client, peer = pair
    error = failing(client.call, REMOTE, LOOKUP, (5,))
    assert (error.code, error.domain) == (VIR_ERR_RPC, VIR_FROM_RPC)
    assert error.message == "Unable to encode message payload: args[0]: expected str, got int"
    acting = Acting(lambda: peer.reply(peer.call("connect_get_version"), (7,)))
    assert client.call(REMOTE, VERSION) == (7,)
    acting.join()


@pytest.mark.parametrize(("program", "proc"), [(REMOTE, 0), (REMOTE, 9999), (1, 1)])
def test_call_of_an_unknown_procedure_fails_at_once(pair: Pair, program: int, proc: int) -> None:
    client, _ = pair
    error = failing(client.call, program, proc)
    assert error.message == f"internal error: program 0x{program:08x} has no procedure {proc}"
    assert client.closed is None


def test_call_with_a_bad_reply_leaves_the_connection_usable(pair: Pair) -> None:
    client, peer = pair

    def play() -> None:
        call = peer.call()
        peer.send(call._replace(type=1, payload=b"\0\0\0"))
        peer.reply(peer.call(), (7,))

    acting = Acting(play)
    error = failing(client.call, REMOTE, VERSION)
    assert error.message == (
        "Unable to decode message payload: message[0] at byte 0: 8 bytes are needed, 3 remain"
    )
    assert client.call(REMOTE, VERSION) == (7,)
    acting.join()


def test_call_ends_at_its_deadline(pair: Pair) -> None:
    client, peer = pair
    began = time.monotonic()
    error = failing(client.call, REMOTE, VERSION, None, 0.1)
    assert 0.09 < time.monotonic() - began < 1
    assert (error.code, error.domain) == (VIR_ERR_OPERATION_TIMEOUT, VIR_FROM_RPC)
    assert error.message == (
        "Timed out during operation: connect_get_version was not answered within 100 ms"
    )
    assert client.stats()["in_flight"] == 1
    late = peer.call()
    peer.reply(late, (1,))
    acting = Acting(lambda: peer.reply(peer.call(), (7,)))
    assert client.call(REMOTE, VERSION) == (7,)
    acting.join()
    assert client.stats()["late_replies"] == 1
    assert client.stats()["in_flight"] == 0


def test_call_waits_for_room_no_longer_than_its_deadline(client_class: Any) -> None:
    ours, theirs = socket.socketpair()
    client, peer = client_class(ours.detach(), max_in_flight=1), Peer(theirs)
    failing(client.call, REMOTE, VERSION, None, 0.05)
    error = failing(client.call, REMOTE, VERSION, None, 0.05)
    assert error.message == (
        "Timed out during operation: connect_get_version could not be sent within 50 ms:"
        " too many calls wait"
    )
    first = peer.call()
    peer.reply(first, (1,))
    acting = Acting(lambda: peer.reply(peer.call(), (7,)))
    assert client.call(REMOTE, VERSION, None, 5) == (7,)
    acting.join()
    client.close()
    peer.close()


def test_call_after_the_end_of_file(pair: Pair) -> None:
    client, peer = pair

    def play() -> None:
        peer.call()
        peer.close()

    acting = Acting(play)
    error = failing(client.call, REMOTE, VERSION)
    acting.join()
    text = "End of file while reading data: Input/output error"
    assert error.raw == (VIR_ERR_SYSTEM_ERROR, VIR_FROM_RPC, text, 2, "%s", text, None, 5, -1)
    assert client.closed == "eof"
    error = failing(client.call, REMOTE, VERSION)
    text = "internal error: client socket is closed"
    wanted = (VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC, text, 2)
    assert error.raw[:4] == wanted
    assert client.pump(0) is False
    assert client.closed == "eof"


def test_call_after_close(pair: Pair) -> None:
    client, _ = pair
    client.close()
    assert client.closed == "client"
    assert client.fileno() == -1
    assert failing(client.call, REMOTE, VERSION).message == (
        "internal error: client socket is closed"
    )
    client.close()


def test_call_takes_a_message_of_the_largest_size(pair: Pair) -> None:
    client, peer = pair
    records: list[Any] = [(("x" * 4_000_000, bytes(16), n), []) for n in range(8)]
    acting = Acting(lambda: peer.reply(peer.call(), (records,)))
    value = client.call(REMOTE, STATS, ([], 0, 0), 30)
    acting.join()
    assert [len(record[0][0]) for record in value[0]] == [4_000_000] * 8


def test_call_larger_than_a_message_is_refused(pair: Pair) -> None:
    client, _ = pair
    domains = [("x" * 4_000_000, bytes(16), n) for n in range(9)]
    error = failing(client.call, REMOTE, STATS, (domains, 0, 0))
    assert (error.code, error.domain) == (VIR_ERR_RPC, VIR_FROM_RPC)
    assert client.closed is None


def test_call_to_a_peer_that_does_not_read(pair: Pair) -> None:
    """The deadline holds in the middle of sending, and no message is cut."""
    client, peer = pair
    error = failing(client.call, REMOTE, LOOKUP, ("x" * 4_000_000,), 0.1)
    assert error.code == VIR_ERR_OPERATION_TIMEOUT

    def play() -> None:
        first = peer.call("domain_lookup_by_name")
        assert len(first.payload) == 4_000_004
        peer.reply(first, (DOMAIN,))
        peer.reply(peer.call("connect_get_version"), (7,))

    acting = Acting(play)
    assert client.call(REMOTE, VERSION, None, 10) == (7,)
    acting.join()


def test_descriptors_travel_with_a_call(pair: Pair) -> None:
    client, peer = pair
    read, write = os.pipe()
    got: list[int] = []

    def play() -> None:
        call = peer.call("domain_open_graphics")
        assert call.type == CALL_WITH_FDS
        got.extend(call.fds)
        os.write(got[0], b"through")
        peer.reply(call)

    acting = Acting(play)
    assert client.call_fds(REMOTE, OPEN_GRAPHICS, (DOMAIN, 0, 0), [write]) == (None, [])
    acting.join()
    assert os.read(read, 100) == b"through"
    for fd in (read, write, *got):
        os.close(fd)


def test_descriptors_come_with_a_reply(pair: Pair) -> None:
    client, peer = pair
    read, write = os.pipe()
    acting = Acting(lambda: peer.reply(peer.call(), None, [write, write]))
    value, fds = client.call_fds(REMOTE, OPEN_GRAPHICS_FD, (DOMAIN, 0, 0))
    acting.join()
    assert value is None
    assert len(fds) == 2
    assert not os.get_inheritable(fds[0])
    os.write(fds[1], b"back")
    assert os.read(read, 100) == b"back"
    for fd in (read, write, *fds):
        os.close(fd)


def test_descriptors_that_nobody_takes_are_closed(pair: Pair) -> None:
    client, peer = pair
    before = len(os.listdir("/dev/fd"))
    acting = Acting(lambda: peer.reply(peer.call(), None, [0, 0, 0]))
    client.call(REMOTE, OPEN_GRAPHICS_FD, (DOMAIN, 0, 0))
    acting.join()
    # The client may keep them until its next operation, not longer.
    acting = Acting(lambda: peer.reply(peer.call(), (7,)))
    client.call(REMOTE, VERSION)
    acting.join()
    assert len(os.listdir("/dev/fd")) == before


def test_descriptors_beyond_the_limit_are_refused(pair: Pair) -> None:
    client, _ = pair
    error = failing(client.call_fds, REMOTE, OPEN_GRAPHICS, (DOMAIN, 0, 0), [0] * 33)
    assert error.message == "Too many FDs to send 33, expected 32 maximum"
    error = failing(client.call_fds, REMOTE, OPEN_GRAPHICS, (DOMAIN, 0, 0), [987])
    assert error.message == "Cannot duplicate FD 987: Bad file descriptor"


def test_descriptors_need_a_unix_socket(client_class: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = client_class(socket.create_connection(server.getsockname()).detach())
        error = failing(client.call_fds, REMOTE, OPEN_GRAPHICS, (DOMAIN, 0, 0), [0])
        assert error.message == (
            "internal error: Sending file descriptors is not supported on this socket"
        )
        client.close()


def test_submit_and_wait_in_any_order(pair: Pair) -> None:
    client, peer = pair

    def play() -> None:
        for call in [peer.call() for _ in range(3)]:
            peer.reply(call, (call.serial * 10,))

    acting = Acting(play)
    serials = [client.submit(REMOTE, VERSION) for _ in range(3)]
    assert [client.wait(serial) for serial in reversed(serials)] == [(20,), (10,), (0,)]
    acting.join()
    error = failing(client.wait, serials[0])
    assert error.message == f"invalid argument: no call with serial {serials[0]} was submitted"


def test_wait_tells_the_types_of_parameters_when_asked(pair: Pair) -> None:
    client, peer = pair
    params = [("cpu_shares", 4, 1024), ("vcpu_quota", 3, -1)]

    def play() -> None:
        for call in [peer.call() for _ in range(3)]:
            peer.reply(call, (params,))

    acting = Acting(play)
    args = (DOMAIN, 2, 0)
    first, second, third = (client.submit(REMOTE, SCHEDULER, args) for _ in range(3))
    as_dict = {"cpu_shares": 1024, "vcpu_quota": -1}
    assert client.wait(second) == (as_dict,)
    assert client.wait(first, typed=True) == (params,)
    assert client.wait(third) == (as_dict,)
    acting.join()


def test_submit_keeps_the_limit(client_class: Any) -> None:
    """A daemon that counts never sees more calls than it allows, however many are submitted."""
    ours, theirs = socket.socketpair()
    client, peer = client_class(ours.detach(), max_in_flight=3), Peer(theirs)
    most = 0

    def play() -> None:
        nonlocal most
        theirs.settimeout(0.05)
        held, answered = [], 0
        while answered < 40:
            try:
                held.append(peer.call())
                most = max(most, len(held))
            except TimeoutError:
                for call in held:
                    peer.reply(call, (call.serial,))
                answered += len(held)
                held = []

    acting = Acting(play)
    serials = [client.submit(REMOTE, VERSION) for _ in range(40)]
    assert [client.wait(serial, 10)[0] for serial in serials] == serials
    acting.join()
    assert most == 3
    client.close()
    peer.close()


def test_client_that_is_forgotten_closes_its_socket(client_class: Any) -> None:
    gc.collect()
    before = len(os.listdir("/dev/fd"))
    ours, theirs = socket.socketpair()
    client = client_class(ours.detach())
    del client
    gc.collect()
    assert theirs.recv(1) == b""
    theirs.close()
    assert len(os.listdir("/dev/fd")) == before


def test_stats_name_the_same_things(compiled: Any) -> None:
    from libvirtcore.rpc import pure

    names = []
    for kind in (pure.Client, compiled.Client):
        ours, theirs = socket.socketpair()
        client = kind(ours.detach())
        names.append(set(client.stats()))
        client.close()
        theirs.close()
    assert names[0] == names[1]
