# SPDX-License-Identifier: LGPL-2.1-or-later
"""sasl_gssapi.py: Kerberos (RFC 4752), through the optional package `gssapi`.

It is the one mechanism that may be used on plain TCP, because it encrypts what follows: after the
exchange a pump thread wraps and unwraps all data.
Called by: sasl.py.
Never: imports gssapi before GSSAPI is really wanted.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Any, ClassVar

from libvirtcore.drivers.remote.failure import RPC, auth_failed
from libvirtcore.drivers.remote.link import Link
from libvirtcore.drivers.remote.pump import CHUNK, Pump, WouldBlockRead, WouldBlockWrite
from libvirtcore.drivers.remote.sasl_mechanism import Mechanism, refuse

_NO_LAYER, _PRIVACY = 1, 4
_BUFFER_MAX = 0xFFFFFF
_RECEIVE = 65536  # the largest wrapped message we take


def load() -> Any:
    """The package, or an error that tells how to get it."""
    try:
        import gssapi
    except ImportError as fault:
        raise auth_failed(
            f"GSSAPI needs an extra package ({fault}): pip install 'libvirtcore[gssapi]'", RPC
        ) from None
    return gssapi


class Gssapi(Mechanism):
    name = "GSSAPI"
    needs: ClassVar[tuple[int, ...]] = ()
    wants: ClassVar[tuple[int, ...]] = ()
    layer = True

    def __init__(self, credentials: dict[int, str], host: str, *, encrypt: bool = False) -> None:
        super().__init__(credentials, host)
        self._gssapi = load()
        self._encrypt = encrypt
        self._send_max = _BUFFER_MAX
        canonical = socket.getfqdn(host)
        try:
            target = self._gssapi.Name(
                f"libvirt@{canonical}", self._gssapi.NameType.hostbased_service
            )
            self._context = self._gssapi.SecurityContext(
                name=target, usage="initiate", flags=self._flags()
            )
        except self._gssapi.exceptions.GSSError as fault:
            raise refuse(f"GSSAPI: {fault}") from None

    def _flags(self) -> list[Any]:
        flag = self._gssapi.RequirementFlag
        wanted = [flag.mutual_authentication, flag.out_of_sequence_detection, flag.integrity]
        return [*wanted, flag.confidentiality] if self._encrypt else wanted

    def start(self) -> bytes:
        return self._token(None)

    def step(self, challenge: bytes) -> bytes:
        if not self._context.complete:
            return self._token(challenge)
        return self._agree_on_layer(challenge)

    def _token(self, challenge: bytes | None) -> bytes:
        try:
            return self._context.step(challenge) or b""
        except self._gssapi.exceptions.GSSError as fault:
            raise refuse(f"GSSAPI: {fault}") from None

    def _agree_on_layer(self, challenge: bytes) -> bytes:
        wanted = _PRIVACY if self._encrypt else _NO_LAYER
        try:
            offer = self._context.unwrap(challenge).message
        except self._gssapi.exceptions.GSSError as fault:
            raise refuse(f"GSSAPI: {fault}") from None
        if len(offer) != 4 or not offer[0] & wanted:
            raise refuse("GSSAPI: the server does not offer encryption")
        self._send_max = int.from_bytes(offer[1:], "big")
        size = _RECEIVE if self._encrypt else 0
        choice = struct.pack(">I", wanted << 24 | size) + self.authorize_as.encode()
        self.done = True
        return bytes(self._context.wrap(choice, False).message)

    def encrypt_link(self, link: Link) -> None:
        """Put the pump between the client's descriptor and the network."""
        network = socket.socket(fileno=os.dup(link.fd))
        ours, near = socket.socketpair()
        with ours:
            os.dup2(ours.fileno(), link.fd, inheritable=False)
        limit = self._context.get_wrap_size_limit(self._send_max, True) if self._send_max else CHUNK
        link.helper = Pump(near, _GssChannel(network, self._context, min(limit, CHUNK)))
        link.encrypted = link.secure = True


class _GssChannel:
    """Messages of four bytes of length and a wrapped token."""

    def __init__(self, network: socket.socket, context: Any, chunk: int) -> None:
        network.setblocking(False)
        self._network = network
        self._context = context
        self._chunk = chunk
        self._received = b""
        self._unsent = b""

    def fileno(self) -> int:
        return self._network.fileno()

    def read(self) -> bytes:
        while True:
            size = int.from_bytes(self._received[:4], "big")
            if len(self._received) >= 4 and not 0 < size <= _RECEIVE:
                raise OSError(f"a wrapped message of {size} bytes")
            if len(self._received) >= 4 + max(size, 1):
                token, self._received = self._received[4 : 4 + size], self._received[4 + size :]
                plain = bytes(self._unwrap(token))
                if plain:
                    return plain
                continue
            try:
                data = self._network.recv(CHUNK)
            except BlockingIOError:
                raise WouldBlockRead from None
            if not data:
                return b""
            self._received += data

    def _unwrap(self, token: bytes) -> bytes:
        try:
            message = self._context.unwrap(token)
        except Exception as fault:
            raise OSError(str(fault)) from None
        if not message.encrypted:
            raise OSError("the server stopped encrypting")
        return bytes(message.message)

    def write(self, data: bytes) -> int:
        """Take one chunk at most, once what was wrapped before has left."""
        self._flush()
        part = data[: self._chunk]
        if not part:
            return 0
        token = self._context.wrap(part, True).message
        self._unsent = len(token).to_bytes(4, "big") + token
        try:
            self._flush()
        except WouldBlockWrite:
            pass  # taken all the same
        return len(part)

    @property
    def unsent(self) -> bool:
        return bool(self._unsent)

    def _flush(self) -> None:
        while self._unsent:
            try:
                sent = self._network.send(self._unsent)
            except BlockingIOError:
                raise WouldBlockWrite from None
            self._unsent = self._unsent[sent:]

    def close(self) -> None:
        self._network.close()
