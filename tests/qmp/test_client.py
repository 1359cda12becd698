# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_client.py: the synchronous client on both cores, against a scripted monitor."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from libvirtcore import qmp
from libvirtcore.errors import VirError
from libvirtcore.generated.constants import (
    VIR_ERR_INTERNAL_ERROR,
    VIR_ERR_INVALID_ARG,
    VIR_ERR_OPERATION_ABORTED,
    VIR_ERR_OPERATION_FAILED,
    VIR_ERR_OPERATION_TIMEOUT,
    VIR_ERR_SYSTEM_ERROR,
    VIR_FROM_QEMU,
)
from libvirtcore.qmp import QMPError
from tests.qmp.peer import GREETING, Peer, answer, event, refusal

# --- beginning ------------------------------------------------------------------------------------


def test_greeting_is_read_and_capabilities_negotiated(peer: Peer) -> None:
    heard: list[Any] = []

    def script() -> None:
        peer.say(GREETING)
        heard.append(peer.hear())
        peer.say(answer(heard[0]))

    peer.run(script)
    with qmp.connect(fd=peer.fd(), timeout=10) as client:
        assert client.version == (9, 2, 3)
        assert client.package == "test"
        assert client.capabilities == ("oob",)
        assert client.oob is False
        assert heard == [{"execute": "qmp_capabilities"}]


def test_out_of_band_when_offered_and_asked(peer: Peer) -> None:
    with peer.client(oob=True) as client:
        assert client.oob
        peer.run(peer.echo)
        assert client.execute("migrate-pause", oob=True) == {"did": "migrate-pause"}


def test_commands_end_with_their_id_and_a_line_feed(peer: Peer, client: qmp.Client) -> None:
    client.submit("stop")
    client.submit("cont")
    assert peer.hear_raw() == b'{"execute":"stop"}'
    assert peer.hear_raw() == b'{"execute":"cont","id":3}'


@pytest.mark.parametrize("said", [b"", b"login: "])
def test_no_greeting_in_time(peer: Peer, said: bytes) -> None:
    peer.say(said)
    began = time.monotonic()
    with pytest.raises(VirError) as caught:
        qmp.connect(fd=peer.fd(), timeout=0.3)
    assert 0.29 < time.monotonic() - began < 2
    assert caught.value.code == VIR_ERR_OPERATION_TIMEOUT
    words = ", but: login: " if said else "; another client may hold the monitor"
    assert caught.value.message.endswith("no QMP greeting came within 300 ms" + words)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "something else before its greeting: HTTP/1.1 400 Bad"),
        (b'{"event": "STOP"}\r\n', 'something else before its greeting: {"event": "STOP"}'),
        (b'{"return": {}, "id": 1}\r\n', "something else before its greeting"),
        (b'{"QMP": {}}\r\n', "names no version"),
        (b'{"QMP": [1]}\r\n', "names no version"),
        (b'{"QMP": {"version": {"qemu": {"major": "1", "minor": 2, "micro": 3}}}}\n', "no version"),
        (b"\r\n\n  \nx\n", "something else before its greeting: x"),
    ],
)
def test_wrong_greeting(peer: Peer, said: bytes, words: str) -> None:
    peer.say(said)
    with pytest.raises(VirError, match=words.replace("{", r"\{")) as caught:
        qmp.connect(fd=peer.fd(), timeout=10)
    assert (caught.value.code, caught.value.domain) == (VIR_ERR_INTERNAL_ERROR, VIR_FROM_QEMU)


def test_failed_connection_closes_its_socket(peer: Peer) -> None:
    peer.say(b"x\n")
    with pytest.raises(VirError):
        qmp.connect(fd=peer.fd(), timeout=10)
    assert peer.theirs.recv(10) == b""


def test_connect_by_path(core: Any, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120) / ("e" * 120)
    deep.mkdir(parents=True)
    for path in (tmp_path / "m", deep / "monitor.sock"):
        there = os.open(path.parent, os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as listening, Peer() as peer:
            listening.bind(f"/proc/self/fd/{there}/{path.name}")
            listening.listen()
            os.close(there)

            def script(listening: socket.socket = listening, peer: Peer = peer) -> None:
                peer.theirs, _ = listening.accept()
                peer.greet()
                peer.echo()

            peer.run(script)
            with qmp.connect(str(path), timeout=10) as client:
                assert client.execute("stop") == {"did": "stop"}


def test_connect_to_nothing(core: Any, tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path / ("x" * 200) / "none"):
        with pytest.raises(VirError, match="No such file or directory") as caught:
            qmp.connect(str(path))
        assert caught.value.code == VIR_ERR_SYSTEM_ERROR


def test_a_descriptor_that_is_no_socket(core: Any, tmp_path: Path) -> None:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    with pytest.raises(VirError, match=f"Unable to use FD {fd} as a socket"):
        qmp.connect(fd=fd)


# --- commands -------------------------------------------------------------------------------------


def test_values_and_arguments(peer: Peer, client: qmp.Client) -> None:
    values: list[Any] = [{}, [], 0, "text", None, [1, {"a": "ä€😀"}], 2**63, 1.5, True]
    for value in values:
        thread = peer.run(partial(_reply, peer, value))
        assert client.execute("echo", {"a": "ä\0\n", "b": [1, None]}) == value
        thread.join()


def _reply(peer: Peer, value: Any) -> None:
    command = peer.hear()
    assert command["arguments"] == {"a": "ä\0\n", "b": [1, None]}
    number = {"id": command["id"]} if "id" in command else {}
    peer.say(json.dumps({"return": value} | number).encode() + b"\n")


@pytest.mark.parametrize("arguments", [{"a": {1, 2}}, {"a": float("nan")}, [1], "x"])
def test_arguments_that_are_no_json(client: qmp.Client, arguments: Any) -> None:
    with pytest.raises(VirError) as caught:
        client.execute("x", arguments)
    assert caught.value.code == VIR_ERR_INVALID_ARG
    assert client.closed is None


def test_refusal_is_qmp_error(peer: Peer, client: qmp.Client) -> None:
    peer.run(lambda: peer.say(refusal(peer.hear(), "DeviceNotFound", "Device 'x' not found")))
    with pytest.raises(QMPError) as caught:
        client.execute("eject", {"id": "x"})
    refused = caught.value
    assert (refused.class_, refused.desc) == ("DeviceNotFound", "Device 'x' not found")
    assert refused.code == VIR_ERR_INTERNAL_ERROR
    assert refused.message == (
        "internal error: unable to execute QEMU command 'eject': Device 'x' not found"
    )


def test_answers_in_any_order(peer: Peer, client: qmp.Client) -> None:
    numbers = [client.submit(f"c{i}") for i in range(5)]
    heard = [peer.hear() for _ in numbers]
    for each in reversed(heard):
        peer.say(answer(each, each["execute"]))
    assert [client.wait(number, 10) for number in numbers] == [f"c{i}" for i in range(5)]
    with pytest.raises(VirError, match="no command with id"):
        client.wait(numbers[0], 1)


def test_many_at_once(peer: Peer, client: qmp.Client) -> None:
    def script() -> None:
        for _ in range(200):
            said = peer.hear()
            if said["execute"] == "c7":
                peer.say(refusal(said, "GenericError", "no"))
            else:
                peer.say(answer(said, said["execute"]))

    peer.run(script)
    results = client.execute_many(((f"c{i}", None) for i in range(200)), timeout=10)
    assert isinstance(results[7], QMPError)
    assert "command 'c7'" in results[7].message
    assert [r for r in results if r is not results[7]] == [f"c{i}" for i in range(200) if i != 7]
    assert client.stats()["in_flight"] == 0


def test_many_that_are_not_all_answered(peer: Peer, client: qmp.Client) -> None:
    peer.run(lambda: peer.say(answer(peer.hear())))
    with pytest.raises(VirError) as caught:
        client.execute_many([("a", None), ("b", None), ("c", None)], timeout=0.3)
    assert caught.value.code == VIR_ERR_OPERATION_TIMEOUT
    assert client.stats()["in_flight"] == 0


def test_deadline_and_late_answer(peer: Peer, client: qmp.Client) -> None:
    began = time.monotonic()
    with pytest.raises(VirError) as caught:
        client.execute("query-block", timeout=0.2)
    assert 0.19 < time.monotonic() - began < 2
    assert caught.value.code == VIR_ERR_OPERATION_TIMEOUT
    assert caught.value.message == (
        "Timed out during operation: query-block was not answered within 200 ms"
    )
    late = peer.hear()
    peer.say(answer(late, "late"))
    peer.run(peer.echo)
    assert client.execute("query-status", timeout=10) == {"did": "query-status"}
    stats = client.stats()
    assert (stats["late_replies"], stats["in_flight"]) == (1, 0)


def test_a_lone_command_goes_without_an_id(peer: Peer, client: qmp.Client) -> None:
    """QEMU reads byte by byte; only where two answers could be mixed up is there an id."""
    heard: list[Any] = []

    def script() -> None:
        for _ in range(2):
            heard.append(peer.hear())
            peer.say(answer(heard[-1], len(heard)))

    peer.run(script)
    assert [client.execute("a", timeout=10), client.execute("b", timeout=10)] == [1, 2]
    assert heard == [{"execute": "a"}, {"execute": "b"}]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.execute, "c", timeout=10)
        heard = [peer.hear()]
        second = pool.submit(client.execute, "d", timeout=10)
        heard.append(peer.hear())
        number = client.submit("e")
        heard.append(peer.hear())
        assert ["id" in each for each in heard] == [False, True, True]
        for each in reversed(heard):
            peer.say(answer(each, each["execute"]))
        assert (first.result(10), second.result(10)) == ("c", "d")
    assert client.wait(number, 10) == "e"


def test_late_answer_without_an_id_is_nobody_elses(peer: Peer, client: qmp.Client) -> None:
    with pytest.raises(VirError, match="a was not answered within 100 ms"):
        client.execute("a", timeout=0.1)
    late = peer.hear()
    with pytest.raises(VirError, match="b was not answered within 100 ms"):
        client.execute("b", timeout=0.1)
    later = peer.hear()
    assert "id" not in late and "id" in later
    peer.run(lambda: peer.say(answer(late, "late"), answer(peer.hear(), "c")))
    assert client.execute("c", timeout=10) == "c"
    peer.run(lambda: peer.say(answer(later, "later"), answer(peer.hear(), "d")))
    assert client.execute("d", timeout=10) == "d"
    assert client.stats()["late_replies"] == 2


@pytest.mark.parametrize("twice", [False, True])
def test_answer_without_an_id_that_answers_nothing(
    peer: Peer, client: qmp.Client, twice: bool
) -> None:
    if twice:
        peer.run(lambda: peer.say(answer(peer.hear(), 1), answer({}, 2)))
        assert client.execute("a", timeout=10) == 1
    else:
        peer.say(answer({}, 2))
    while client.pump(1):
        pass
    assert 'sent an answer to no command: {"return": 2}' in str(client.error)


def test_command_that_could_not_be_sent_in_time_is_withdrawn(
    peer: Peer, client: qmp.Client
) -> None:
    """The socket is full; what was not begun when its time was over never reaches QEMU."""
    big = {"a": "x" * 100_000}
    for _ in range(20):
        client.submit("fill", big)
    waiting = client.stats()["unsent_bytes"]
    assert waiting > 0
    assert client.wants_write
    with pytest.raises(VirError, match="device_add was not answered within 100 ms"):
        client.execute("device_add", {"driver": "x"}, timeout=0.1)
    assert client.stats()["unsent_bytes"] == waiting
    names: list[str] = []

    def script() -> None:
        while len(names) < 21:
            said = peer.hear()
            names.append(said["execute"])
            peer.say(answer(said))

    peer.run(script)
    assert client.execute("last", timeout=10) == {}
    assert names == ["fill"] * 20 + ["last"]


def test_a_peer_that_takes_nothing_is_bounded(peer: Peer, client: qmp.Client) -> None:
    big = {"a": "x" * (8 << 20)}
    with pytest.raises(VirError, match="already wait to be sent to the monitor") as caught:
        for _ in range(20):
            client.submit("fill", big)
    assert caught.value.code == VIR_ERR_OPERATION_FAILED
    assert client.closed is None


def test_a_peer_that_answers_nothing_is_bounded(peer: Peer, client: qmp.Client) -> None:
    peer.run(lambda: [peer.hear_raw() for _ in range(5000)])
    with pytest.raises(VirError, match="4096 commands wait for their answers already"):
        for _ in range(5000):
            client.submit("x")


def test_descriptors_go_with_their_command(peer: Peer, client: qmp.Client, tmp_path: Path) -> None:
    peer.run(peer.echo)
    with open(tmp_path / "a", "w") as a, open(tmp_path / "b", "w") as b:
        assert client.execute("add-fd", fds=[a.fileno(), b.fileno()], timeout=10)
        wanted = [os.fstat(each.fileno()).st_ino for each in (a, b)]
    assert [os.fstat(fd).st_ino for fd in peer.fds] == wanted


def test_too_many_or_wrong_descriptors(client: qmp.Client) -> None:
    with pytest.raises(VirError, match="17 descriptors with one command, expected 16 maximum"):
        client.execute("x", fds=[0] * 17)
    with pytest.raises(VirError, match="Cannot duplicate FD 9999: Bad file descriptor"):
        client.execute("x", fds=[9999])
    assert client.stats()["in_flight"] == 0


# --- the end --------------------------------------------------------------------------------------


def test_end_of_file_while_waiting(peer: Peer, client: qmp.Client) -> None:
    peer.run(peer.hear, peer.hang_up)
    with pytest.raises(VirError, match="End of file from qemu monitor"):
        client.execute("quit", timeout=10)
    assert client.closed == "eof"
    assert client.fileno() == -1
    with pytest.raises(VirError, match="End of file from qemu monitor"):
        client.execute("quit")


def test_last_words_of_a_peer_that_is_gone(peer: Peer, client: qmp.Client) -> None:
    """QEMU said why it ends, and ended, before the command was written."""
    peer.say(event("SHUTDOWN", guest=True))
    peer.close()
    with pytest.raises(VirError, match="End of file from qemu monitor"):
        client.execute("query-status", timeout=10)
    last = client.next_event()
    assert last is not None and last.name == "SHUTDOWN"


def test_answer_before_the_end_counts(peer: Peer, client: qmp.Client) -> None:
    peer.run(lambda: peer.say(answer(peer.hear(), "bye")), peer.hang_up)
    assert client.execute("quit", timeout=10) == "bye"


def test_close_wakes_who_waits(peer: Peer, client: qmp.Client) -> None:
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(client.execute, "x") for _ in range(3)]
        for _ in waiting:
            peer.hear()
        client.close()
        for each in waiting:
            with pytest.raises(VirError, match="QEMU monitor was closed"):
                each.result(10)
    assert client.closed == "client"


def test_cancel_one_thread(peer: Peer, client: qmp.Client) -> None:
    ids: list[int] = []

    def call() -> Any:
        ids.append(threading.get_ident())
        return client.execute("x", timeout=10)

    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two:
        first = one.submit(call)
        heard = [peer.hear()]
        second = two.submit(call)
        heard.append(peer.hear())
        assert client.cancel(ids[0]) == 1
        with pytest.raises(VirError) as caught:
            first.result(10)
        assert caught.value.code == VIR_ERR_OPERATION_ABORTED
        peer.say(answer(heard[1], "yes"))
        assert second.result(10) == "yes"


def test_a_line_beyond_the_limit(peer: Peer) -> None:
    with peer.client(max_line=100_000) as client:
        peer.run(lambda: peer.say(answer(peer.hear(), "x" * 99_000)))
        assert len(client.execute("ok", timeout=10)) == 99_000
        peer.run(peer.hear, lambda: peer.say(b'{"return": "' + b"x" * 200_000))
        with pytest.raises(VirError, match="QEMU monitor sent a line of more than 100000 bytes"):
            client.execute("huge", timeout=10)
        assert client.closed == "error"


@pytest.mark.slow
def test_a_line_of_64_mib(peer: Peer, client: qmp.Client) -> None:
    """The default limit; what came so far is given back."""

    def script() -> None:
        peer.hear()
        piece = b"x" * (1 << 20)
        for _ in range(80):
            peer.say(piece)

    peer.run(script)
    with pytest.raises(VirError, match="sent a line of more than 67108864 bytes"):
        client.execute("huge", timeout=30)


def test_no_descriptor_is_left(core: Any) -> None:
    def once() -> None:
        with Peer() as peer:
            client = peer.client()
            peer.run(peer.echo)
            client.execute("x", timeout=10)
            with pytest.raises(VirError):
                client.pump(0.001) and client.execute("y", fds=[9999])
            client.start_reader()
            client.close()

    once()
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        once()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_forked_child_may_not_use_it(peer: Peer, client: qmp.Client) -> None:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            client.execute("x", timeout=1)
        except VirError as wrong:
            status = 0 if "this is its forked child" in wrong.message else 2
            client.close()
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    peer.run(peer.echo)
    assert client.execute("x", timeout=10) == {"did": "x"}


def test_signals_are_handled_while_waiting(peer: Peer, client: qmp.Client) -> None:
    def stop(*_unused: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            client.execute("x", timeout=20)
        assert time.monotonic() - began < 5
    finally:
        signal.signal(signal.SIGALRM, before)
    peer.run(peer.echo)
    assert client.execute("y", timeout=10) == {"did": "y"}
