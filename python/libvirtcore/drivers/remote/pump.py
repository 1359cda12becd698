# SPDX-License-Identifier: LGPL-2.1-or-later
"""pump.py: carries bytes between a descriptor of plain data and a channel that encrypts.

    RPC client ── fd ═ socketpair ═ near ── pump thread ── far: TLS or SASL layer ── network

Called by: tls.py, sasl_gssapi.py.
Ownership: one daemon thread per connection; it alone touches `near` and `far` and closes both.
Never: holds more than a fixed amount of data for either side.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from typing import Protocol

CHUNK = 65536
_HOLD = 4 * CHUNK  # bytes kept for a side that is slow to take them
_IN = select.POLLIN | select.POLLHUP | select.POLLERR
_CLOSE_SECONDS = 1.0


class WouldBlockRead(Exception):
    """The channel must hear from its peer first."""


class WouldBlockWrite(Exception):
    """The channel's descriptor must take data first."""


class Channel(Protocol):
    """A non-blocking encrypted connection. OSError means that it broke."""

    def fileno(self) -> int: ...
    def read(self) -> bytes:
        """Plain data, b"" at the end."""

    def write(self, data: bytes) -> int:
        """How much of `data` was taken; some of it may still be `unsent`."""

    @property
    def unsent(self) -> bool: ...
    def close(self) -> None: ...


class Pump:
    """A running pump; the other end of `near` belongs to the RPC client."""

    def __init__(self, near: socket.socket, far: Channel) -> None:
        near.setblocking(False)
        self._owner = os.getpid()
        self._near = near
        self._far = far
        self._thread = threading.Thread(target=self._run, name="libvirtcore-pump", daemon=True)
        self._thread.start()

    def words(self) -> None:
        return None

    def close(self) -> None:
        """Wait until what was written has gone out and both sides are closed."""
        if os.getpid() != self._owner:
            return
        self._thread.join(_CLOSE_SECONDS)
        if self._thread.is_alive():
            try:
                self._near.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _run(self) -> None:
        try:
            _Carrier(self._near, self._far).run()
        except OSError:
            pass  # either side broke: the client meets the end of the stream
        finally:
            self._near.close()
            self._far.close()


class Boundaries:
    """Where RPC messages end in a stream of bytes: each begins with its length in four bytes.

    libvirtd waits for the network even when its TLS library holds a second message that came in the
    same record, so no record may hold more than one.
    """

    def __init__(self) -> None:
        self._head = b""  # of the length of the message under way
        self._left = 0  # bytes of it still to come, once its length is known

    def limit(self, data: bytes) -> int:
        """How many bytes of `data`, which comes next, belong to the message under way."""
        left = self._left
        if left == 0:
            head = self._head + data[: 4 - len(self._head)]
            if len(head) < 4:
                return len(data)
            left = int.from_bytes(head, "big") - len(self._head)
        return max(1, min(left, len(data), CHUNK))

    def advance(self, data: bytes) -> None:
        """`data`, at most to the limit, has gone."""
        if self._left:
            self._left -= len(data)
            return
        head = self._head + data[: 4 - len(self._head)]
        if len(head) < 4:
            self._head = head
            return
        self._left = max(0, int.from_bytes(head, "big") - len(self._head) - len(data))
        self._head = b""


class _Carrier:
    """The loop: what is wanted from either descriptor follows from what is held."""

    def __init__(self, near: socket.socket, far: Channel) -> None:
        self.near = near
        self.far = far
        self.inward = b""  # decrypted, for the client
        self.outward = b""  # from the client, to be encrypted
        self.boundaries = Boundaries()
        self.near_ended = False
        self.read_needs_write = False
        self.write_needs_read = False

    def run(self) -> None:
        poller = select.poll()
        poller.register(self.near, 0)
        poller.register(self.far.fileno(), 0)
        near_fd, far_fd = self.near.fileno(), self.far.fileno()
        more = True
        while more:
            near_wants, far_wants = self._interest()
            poller.modify(near_fd, near_wants)
            poller.modify(far_fd, far_wants)
            ready = dict(poller.poll())
            if ready.get(near_fd, 0) & _IN and len(self.outward) < _HOLD:
                self._take_near()
            if ready.get(far_fd):
                more = self._take_far()
            self._give_far()
            self._give_near()
            if self.near_ended and not self.outward and not self.far.unsent:
                return
        while self.inward:  # the far side has ended: hand over what is left
            poller.modify(near_fd, select.POLLOUT)
            poller.poll()
            self._give_near()

    def _interest(self) -> tuple[int, int]:
        near = far = 0
        if len(self.outward) < _HOLD and not self.near_ended:
            near |= select.POLLIN
        if self.inward:
            near |= select.POLLOUT
        if len(self.inward) < _HOLD or self.write_needs_read:
            far |= select.POLLIN
        waiting = self.far.unsent or (self.outward and not self.write_needs_read)
        if self.read_needs_write or waiting:
            far |= select.POLLOUT
        return near, far

    def _take_near(self) -> None:
        try:
            data = self.near.recv(CHUNK)
        except BlockingIOError:
            return
        self.near_ended = not data
        self.outward += data

    def _take_far(self) -> bool:
        """Read until the channel has no more or enough is held; False at its end."""
        self.read_needs_write = False
        while len(self.inward) < _HOLD:
            try:
                data = self.far.read()
            except WouldBlockRead:
                break
            except WouldBlockWrite:
                self.read_needs_write = True
                break
            if not data:
                return False
            self.inward += data
        return True

    def _give_far(self) -> None:
        self.write_needs_read = False
        while self.outward or self.far.unsent:
            part = self.outward[: self.boundaries.limit(self.outward)]
            try:
                taken = self.far.write(part)
            except WouldBlockRead:
                self.write_needs_read = True
                return
            except WouldBlockWrite:
                return
            self.boundaries.advance(part[:taken])
            self.outward = self.outward[taken:]

    def _give_near(self) -> None:
        while self.inward:
            try:
                taken = self.near.send(self.inward)
            except BlockingIOError:
                return
            self.inward = self.inward[taken:]
