# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_peers.py: whoever answers instead of a daemon is named in the error.

Called by: pytest.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import libvirt
import libvirtcore

HTTP = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n"
SSH = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"


class Server:
    """Says its words to whoever comes: at once, or to the first bytes that it gets."""

    def __init__(self, words: bytes, at_once: bool) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._words, self._at_once = words, at_once
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer:
                if not self._at_once:
                    peer.recv(4096)
                if self._words:
                    peer.sendall(self._words)
                    peer.recv(4096)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    server = Server(*request.param)
    yield server
    server.close()


def error_of(uri: str) -> libvirt.libvirtError:
    with pytest.raises(libvirt.libvirtError) as caught, libvirtcore.timeout(5):
        libvirt.open(uri)
    return caught.value


@pytest.mark.parametrize(
    ("server", "name", "quoted"),
    [((SSH, True), "SSH", "SSH-2.0-OpenSSH_9.2p1"), ((HTTP, False), "HTTP", "HTTP/1.1 400 Bad")],
    indirect=["server"],
)
def test_who_answers_in_words(core: str, server: Server, name: str, quoted: str) -> None:
    error = error_of(f"qemu+tcp://127.0.0.1:{server.port}/system")
    assert error.get_error_code() == libvirt.VIR_ERR_RPC
    assert name in str(error) and quoted in str(error)
    assert "\r" not in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("server", [(b"", False), (b"", True)], indirect=True)
def test_who_hangs_up(core: str, server: Server) -> None:
    error = error_of(f"qemu+tcp://127.0.0.1:{server.port}/system")
    assert error.get_error_code() == libvirt.VIR_ERR_SYSTEM_ERROR
    assert "End of file while reading data" in str(error) or "Connection reset" in str(error)


@pytest.mark.parametrize("server", [(bytes(8), True), (b"\xff" * 64, True)], indirect=True)
def test_who_talks_nonsense(core: str, server: Server) -> None:
    assert error_of(f"qemu+tcp://127.0.0.1:{server.port}/system").get_error_code() in (
        libvirt.VIR_ERR_RPC,
        libvirt.VIR_ERR_INTERNAL_ERROR,
    )


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = error_of(f"qemu+tcp://127.0.0.1:{port}/system")
    assert str(error) == f"unable to connect to server at '127.0.0.1:{port}': Connection refused"
    missing = tmp_path / "none"
    error = error_of(f"qemu+unix:///system?socket={missing}")
    assert str(error) == f"Failed to connect socket to '{missing}': No such file or directory"
