# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_gssapi.py: the GSSAPI exchange and its encryption, with a stand-in for the package `gssapi`.

The stand-in has the few names of python-gssapi that are used; its tokens are text, its encryption
is a flipped bit and a running number. The server is a thread on the other end of a TCP connection.
"""

from __future__ import annotations

import enum
import os
import socket
import struct
import sys
import threading
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from libvirtcore.drivers.remote import sasl
from libvirtcore.drivers.remote.credentials import Credentials
from libvirtcore.drivers.remote.link import Link
from libvirtcore.drivers.remote.options import Options
from libvirtcore.errors import VirError


class GSSError(Exception):
    pass


class Flag(enum.IntEnum):
    mutual_authentication = 2
    out_of_sequence_detection = 8
    confidentiality = 16
    integrity = 32


class Context:
    """Both sides of a security context: complete after two tokens."""

    made: ClassVar[list[Context]] = []

    def __init__(self, name: str = "", usage: str = "accept", flags: Any = ()) -> None:
        self.name, self.flags = name, list(flags)
        self.complete = False
        self.sent = self.received = 0
        Context.made.append(self)

    def step(self, token: bytes | None = None) -> bytes | None:
        if token is None:
            return b"hello"
        if token != b"welcome":
            raise GSSError("ticket expired")
        self.complete = True
        return None

    def wrap(self, message: bytes, encrypt: bool) -> Any:
        self.sent += 1
        head = struct.pack(">II", self.sent, encrypt)
        body = bytes(byte ^ 1 for byte in message) if encrypt else message
        return SimpleNamespace(message=head + body, encrypted=encrypt)

    def unwrap(self, token: bytes) -> Any:
        self.received += 1
        number, encrypted = struct.unpack(">II", token[:8])
        if number != self.received:
            raise GSSError("out of sequence")
        body = bytes(byte ^ 1 for byte in token[8:]) if encrypted else token[8:]
        return SimpleNamespace(message=body, encrypted=bool(encrypted))

    def get_wrap_size_limit(self, size: int, encrypted: bool = True) -> int:
        return size - 8


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    Context.made = []
    module = SimpleNamespace(
        Name=lambda name, kind: f"{name} {kind}",
        NameType=SimpleNamespace(hostbased_service="service"),
        RequirementFlag=Flag,
        SecurityContext=Context,
        exceptions=SimpleNamespace(GSSError=GSSError),
    )
    monkeypatch.setitem(sys.modules, "gssapi", module)
    monkeypatch.setattr(socket, "getfqdn", lambda host: f"{host}.example.org")


class Server:
    """RFC 4752 from the other side: tokens, then the offer of layers, then the client's choice."""

    def __init__(self, layers: int = 7, welcome: bytes = b"welcome") -> None:
        self.context = Context()
        self.layers = layers
        self.welcome = welcome
        self.choice = b""

    def call(self, procedure: int, args: Any) -> Any:
        if procedure == 67:
            return ("GSSAPI",)
        if procedure == 68:
            assert args == ("GSSAPI", 0, b"hello")
            return (0, 0, self.welcome)
        data = args[1]
        if not data:
            offer = bytes((self.layers,)) + (3000).to_bytes(3, "big")
            return (0, 0, self.context.wrap(offer, False).message)
        self.choice = self.context.unwrap(data).message
        return (1, 1, b"")


def negotiate(server: Server, link: Link) -> None:
    credentials = Credentials(None, Options("tcp", "", ""))
    sasl.authenticate(server.call, link, None, credentials)


def test_gssapi_without_a_layer_on_a_secure_connection() -> None:
    server, link = Server(), Link(-1, secure=True, peer="host")
    negotiate(server, link)
    assert server.choice == bytes((1, 0, 0, 0))
    client = Context.made[-1]
    assert client.name == "libvirt@host.example.org service"
    assert Flag.confidentiality not in client.flags
    assert not link.encrypted


@pytest.mark.parametrize(
    ("server", "complaint"),
    [(Server(layers=3), "does not offer encryption"), (Server(welcome=b"no"), "ticket expired")],
)
def test_gssapi_refused(server: Server, complaint: str) -> None:
    with pytest.raises(VirError, match=complaint):
        negotiate(server, Link(-1, secure=False, peer="host"))


def test_gssapi_encrypts_a_plain_connection() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    ours = socket.create_connection(listener.getsockname())
    theirs, _address = listener.accept()
    listener.close()
    link = Link(ours.detach(), secure=False, peer="host")
    server = Server()
    negotiate(server, link)
    assert server.choice[0] == 4
    assert Flag.confidentiality in Context.made[-1].flags
    assert (link.secure, link.encrypted) == (True, True)

    def take(size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = theirs.recv(size - len(data))
            assert part
            data += part
        return data

    sizes: list[int] = []

    def echo() -> None:
        """Unwrap, and send everything back in pieces of its own."""
        got = b""
        while len(got) < len(text):
            size = int.from_bytes(take(4), "big")
            sizes.append(size)
            opened = server.context.unwrap(take(size))
            assert opened.encrypted
            got += opened.message
        for start in range(0, len(got), 1000):
            token = server.context.wrap(got[start : start + 1000], True).message
            theirs.sendall(len(token).to_bytes(4, "big") + token)

    text = (100_004).to_bytes(4, "big") + os.urandom(100_000)
    thread = threading.Thread(target=echo)
    thread.start()
    with socket.socket(fileno=link.fd) as client:
        client.settimeout(10)
        client.sendall(text)
        back = b""
        while len(back) < len(text):
            back += client.recv(65536)
        assert back == text
        thread.join(10)
        assert max(sizes) <= 3000  # what the server said it takes
        token = server.context.wrap(b"plain", False).message
        theirs.sendall(len(token).to_bytes(4, "big") + token)
        assert client.recv(10) == b""  # a server that stops encrypting is cut off
    link.close()
    theirs.close()
