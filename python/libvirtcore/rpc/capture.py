# SPDX-License-Identifier: LGPL-2.1-or-later
"""capture.py: record what client and daemon say to each other, as text one can read and diff.

    python -m libvirtcore.rpc.capture /tmp/proxy.sock /run/libvirt/libvirt-sock session.capture
    virsh -c 'test+unix:///default?socket=/tmp/proxy.sock' list

A capture is lines: `#` starts a comment; `>` (to the daemon) or `<` (from it), the seconds since
the start, then bytes in hex; a line that begins with a blank goes on with the one before. Blanks
between bytes mean nothing. Descriptors are passed on, not recorded.
Called by: users, libvirtcore.rpc.explain (reads), tests. Calls: select, socket.
Never: interprets a message.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TextIO

_WIDTH = 32  # bytes a line
_FDS = 64


class Piece(NamedTuple):
    """Bytes that came in one direction, `>` or `<`."""

    direction: str
    seconds: float
    data: bytes


def is_capture(data: bytes) -> bool:
    """Whether a file is a capture; a raw stream begins with a length, so with a small byte."""
    return data[:1] in (b"#", b"<", b">")


def read(lines: Iterable[str]) -> Iterator[Piece]:
    """The pieces of a capture. Raises ValueError with the number of a wrong line."""
    direction, seconds, data = "", 0.0, bytearray()
    for number, line in enumerate(lines, start=1):
        text = line.split("#")[0].rstrip()
        try:
            if text and text[0] in "<>":
                if direction:
                    yield Piece(direction, seconds, bytes(data))
                direction = text[0]
                moment, _, digits = text[1:].strip().partition(" ")
                seconds, data = float(moment), bytearray.fromhex(digits)
            elif text and text[0] == " " and direction:
                data += bytes.fromhex(text)
            elif text:
                raise ValueError("expected # < > or a blank")
        except ValueError as problem:
            raise ValueError(f"line {number}: {problem}") from None
    if direction:
        yield Piece(direction, seconds, bytes(data))


def write(piece: Piece, out: TextIO) -> None:
    """One piece, in lines of a handy width."""
    head = f"{piece.direction} {piece.seconds:.6f} "
    for at in range(0, len(piece.data), _WIDTH):
        out.write(head + piece.data[at : at + _WIDTH].hex(" ", 4) + "\n")
        head = "  "


def relay(client: socket.socket, daemon: socket.socket, out: TextIO) -> None:
    """Pass everything between the two and record it, until either is done."""
    start = time.monotonic()
    ways = {client.fileno(): (">", client, daemon), daemon.fileno(): ("<", daemon, client)}
    poll = select.poll()
    for fd in ways:
        poll.register(fd, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            direction, source, target = ways[fd]
            data, fds, _, _ = socket.recv_fds(source, 65536, _FDS)
            if not data:
                return
            write(Piece(direction, time.monotonic() - start, data), out)
            out.flush()
            target.sendall(data[:-1] if fds else data)
            if fds:  # they ride on a byte of their own, where the system ends what it gives at once
                socket.send_fds(target, [data[-1:]], fds)
                for each in fds:
                    os.close(each)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m libvirtcore.rpc.capture",
        description="Listen on a socket, pass the first client on to a daemon, record both ways.",
    )
    parser.add_argument("listen", help="path of the socket to make")
    parser.add_argument("daemon", help="path of the daemon's socket")
    parser.add_argument("file", help="where to record; '-' is standard output")
    options = parser.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(options.listen)
        stack.callback(os.unlink, options.listen)
        os.chmod(options.listen, 0o600)
        listener.listen(1)
        client = stack.enter_context(listener.accept()[0])
        daemon = stack.enter_context(socket.socket(socket.AF_UNIX))
        daemon.connect(options.daemon)
        out = sys.stdout if options.file == "-" else stack.enter_context(open(options.file, "w"))
        with contextlib.suppress(ConnectionError, KeyboardInterrupt):
            relay(client, daemon, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
