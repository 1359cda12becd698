# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_deadlines.py: `libvirtcore.timeout` and `conn.defaultTimeout` against a daemon that stands
still, and servers that say nothing.

Called by: pytest.
"""

from __future__ import annotations

import gc
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import libvirt
import libvirtcore
from libvirtcore.exceptions import OperationTimeoutError
from tests.behaviour.conftest import Connect, settled
from tests.conftest import lacking
from tests.interop import certificates
from tests.interop.daemon import Daemon

SLACK = 0.35  # seconds that a loaded machine may be late


@contextmanager
def frozen(daemon: Daemon) -> Iterator[None]:
    daemon.freeze()
    try:
        yield
    finally:
        daemon.thaw()


@contextmanager
def ends_after(seconds: float) -> Iterator[None]:
    """The block ends with OPERATION_TIMEOUT, not before its time and hardly after."""
    began = time.monotonic()
    with pytest.raises(libvirt.libvirtError) as caught:
        yield
    took = time.monotonic() - began
    assert caught.value.get_error_code() == libvirt.VIR_ERR_OPERATION_TIMEOUT, str(caught.value)
    assert isinstance(caught.value, OperationTimeoutError)
    assert seconds - 0.02 <= took <= seconds + SLACK


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate authority, without which TLS is not even tried."""
    if shutil.which("openssl") is None:
        lacking("openssl")
    folder = tmp_path_factory.mktemp("pki")
    certificates.make(folder)
    (folder / "ca.pem").rename(folder / "cacert.pem")
    return folder


def test_a_late_reply_is_thrown_away(core: str, daemon: Daemon, uri: str, connect: Connect) -> None:
    conn = connect(uri)
    with frozen(daemon), ends_after(0.2), libvirtcore.timeout(0.2):
        conn.getHostname()
    assert conn.getLibVersion() >= 9_000_000
    assert settled(conn)["late_replies"] == 1
    assert conn.getHostname() == "alpha"
    assert conn.isAlive() == 1


def test_the_nearer_end_counts(core: str, daemon: Daemon, uri: str, connect: Connect) -> None:
    conn = connect(uri)
    with frozen(daemon), libvirtcore.timeout(0.4):
        with ends_after(0.1), libvirtcore.timeout(0.1):
            conn.getHostname()
        with ends_after(0.3), libvirtcore.timeout(60):
            conn.getHostname()
        with ends_after(0.0):
            conn.getHostname()  # nothing is sent any more
    assert conn.getHostname() == "alpha"


def test_default_of_a_connection(core: str, daemon: Daemon, uri: str, connect: Connect) -> None:
    conn = connect(uri)
    assert conn.defaultTimeout is None
    conn.defaultTimeout = 0.2
    with frozen(daemon):
        with ends_after(0.2):
            conn.getHostname()
        with ends_after(0.2), libvirtcore.timeout(60):
            conn.getHostname()
        with ends_after(0.1), libvirtcore.timeout(0.1):
            conn.getHostname()
    conn.defaultTimeout = None
    assert conn.getHostname() == "alpha"


def test_every_place_in_flight_is_taken(
    core: str, daemon: Daemon, uri: str, connect: Connect
) -> None:
    conn = connect(uri)
    with frozen(daemon):
        for _ in range(4):
            with ends_after(0.05), libvirtcore.timeout(0.05):
                conn.getHostname()
        with ends_after(0.1), libvirtcore.timeout(0.1):
            conn.getHostname()
        began = time.monotonic()
        with libvirtcore.timeout(0.1), conn.pipeline() as pipe:
            results = [pipe.call(conn.getHostname) for _ in range(6)]
        assert time.monotonic() - began < 0.1 + SLACK
        for result in results:
            assert isinstance(result.exception(), OperationTimeoutError)
    assert conn.getHostname() == "alpha"
    settled(conn)


def test_pipeline_past_its_deadline_keeps_nothing(
    core: str, daemon: Daemon, uri: str, connect: Connect
) -> None:
    conn = connect(uri)
    began = time.monotonic()
    with frozen(daemon):
        with libvirtcore.timeout(0.2), conn.pipeline() as pipe:
            results = [pipe.call(conn.getHostname) for _ in range(10)]
        assert time.monotonic() - began < 0.2 + SLACK
    assert all(isinstance(result.exception(), OperationTimeoutError) for result in results)
    assert conn.getHostname() == "alpha"
    assert settled(conn)["queued_bytes"] == 0


def test_pipeline_honours_the_default(
    core: str, daemon: Daemon, uri: str, connect: Connect
) -> None:
    conn = connect(uri)
    conn.defaultTimeout = 0.1
    with frozen(daemon), libvirtcore.timeout(60), conn.pipeline() as pipe:
        result = pipe.call(conn.getHostname)
        with ends_after(0.1):
            result.result()
    assert conn.getHostname() == "alpha"


def test_close_does_not_wait_longer(core: str, daemon: Daemon, uri: str, connect: Connect) -> None:
    conn = connect(uri)
    other = connect(uri)
    with frozen(daemon):
        began = time.monotonic()
        with libvirtcore.timeout(0.2):
            assert conn.close() == 0
        other.defaultTimeout = 0.2
        assert other.close() == 0
        assert time.monotonic() - began < 0.4 + SLACK
    for late in (0.0, 0.1):
        third = connect(uri)
        with libvirtcore.timeout(late):
            time.sleep(late)
            third.close()
        assert third._o is None


def test_open_of_a_frozen_daemon(core: str, daemon: Daemon, uri: str) -> None:
    with frozen(daemon), ends_after(0.2), libvirtcore.timeout(0.2):
        libvirt.open(uri)
    with libvirt.open(uri) as conn:
        assert conn.getHostname() == "alpha"


def test_open_of_a_daemon_whose_queue_is_full(tmp_path: Path) -> None:
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))
        with ends_after(0.2), libvirtcore.timeout(0.2):
            libvirt.open(f"test+unix:///default?socket={path}")


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_open_of_a_silent_server(core: str, transport: str, authority: Path) -> None:
    """TLS: during the handshake; TCP: when asked how to authenticate."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(4)
        port = listener.getsockname()[1]
        with ends_after(0.2), libvirtcore.timeout(0.2):
            libvirt.open(f"test+{transport}://127.0.0.1:{port}/default?pkipath={authority}")


def test_open_when_a_server_falls_silent_step_by_step(core: str, tmp_path: Path) -> None:
    """It answers how to authenticate, then no more; each step has what is left of the time."""
    path = tmp_path / "sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            call = peer.recv(65536)
            time.sleep(0.15)
            reply = bytearray(call[:28]) + (1).to_bytes(4, "big") + (0).to_bytes(4, "big")
            reply[0:4] = len(reply).to_bytes(4, "big")
            reply[16:20] = (1).to_bytes(4, "big")
            peer.sendall(reply)
            while peer.recv(65536):
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    with ends_after(0.3), libvirtcore.timeout(0.3):
        libvirt.open(f"test+unix:///default?socket={path}")
    thread.join(5)
    listener.close()
    assert not thread.is_alive()  # the connection was given back


def test_stream_operations_have_the_deadline(
    core: str, daemon: Daemon, uri: str, connect: Connect
) -> None:
    conn = connect(uri)
    stream = conn.newStream()
    with frozen(daemon), ends_after(0.2), libvirtcore.timeout(0.2):
        conn.lookupByName("test").screenshot(stream, 0)
    assert conn.getHostname() == "alpha"


def test_stream_that_is_let_go_waits_for_nobody(
    core: str, daemon: Daemon, uri: str, connect: Connect
) -> None:
    conn = connect(uri)
    stream = conn.newStream()
    conn.lookupByName("test").screenshot(stream, 0)
    with frozen(daemon):
        began = time.monotonic()
        del stream
        gc.collect()
        assert time.monotonic() - began < SLACK
    assert conn.getHostname() == "alpha"
