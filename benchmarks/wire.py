# SPDX-License-Identifier: LGPL-2.1-or-later
"""wire.py: a call against what the machine can do: raw bytes, calls in a row, system calls.

Called by: `python -m benchmarks`. Calls: rivals, measure.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from typing import Any

from benchmarks.measure import Result, compare, interleave, timed
from benchmarks.placement import Placement, placed, placements, server_pid
from benchmarks.replay import HEADER, REMOTE, number_of, procedure, reply_bytes
from benchmarks.rivals import Worker, daemon, ours, replay_server
from benchmarks.worker import IN_PIPELINE
from libvirtcore.rpc import pure

AT_ONCE = 4  # calls that a client may have unanswered under libvirtd's default settings


class Talk:
    """A client that is nothing but a socket."""

    def __init__(self, path: str) -> None:
        self._peer = socket.socket(socket.AF_UNIX)
        self._peer.settimeout(10)
        try:
            self._peer.connect(path)
        except OSError:
            self._peer.close()
            raise

    def guests(self, uri: str) -> list[Any]:
        """Open a connection to a driver; the guests it has."""
        self._ask("auth_list", None)
        self._ask("connect_open", (uri, 0))
        answer = self._ask("connect_list_all_domains", (1, 0))
        found: list[Any] = pure.decode(procedure("connect_list_all_domains").ret, answer)[0]
        return found

    def _ask(self, name: str, value: tuple[Any, ...] | None) -> bytes:
        self._peer.sendall(_message(name, value))
        answer = self._peer.recv(1 << 16)
        while len(answer) < int.from_bytes(answer[:4], "big"):
            answer += self._peer.recv(1 << 16)
        return answer[HEADER.size :]

    def close(self) -> None:
        self._peer.close()


class RawBytes(Talk):
    """The bytes of a tiny call out, those of its reply in, and nothing around them."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri.partition("socket=")[2])
        self._call = _message("domain_is_active", (self.guests("test:///default")[0],))
        self._answer = HEADER.size + len(reply_bytes("domain_is_active", (1,)))

    @property
    def sizes(self) -> tuple[int, int]:
        """Bytes of the call and of its reply."""
        return len(self._call), self._answer

    def one(self) -> None:
        """A call and its reply."""
        self._peer.send(self._call)
        if len(self._peer.recv(65536)) != self._answer:
            raise RuntimeError("a reply came in pieces")

    def several(self) -> None:
        """AT_ONCE calls in one write, and all their replies."""
        self._peer.send(self._call * AT_ONCE)
        left = self._answer * AT_ONCE
        while left:
            left -= len(self._peer.recv(left))


def _message(name: str, value: tuple[Any, ...] | None) -> bytes:
    payload = b"" if value is None else pure.encode(procedure(name).args, value)
    length = HEADER.size + len(payload)
    return HEADER.pack(length, REMOTE, 1, number_of(name), 0, 1, 0) + payload


_CALLS = "import libvirt, sys; call = libvirt.open(sys.argv[1]).listAllDomains()[0].isActive\n"


def system_calls(uri: str) -> float | None:
    """System calls per tiny call once all is warm; None without strace."""
    if shutil.which("strace") is None:
        print("wire: strace is missing, system calls are not counted")
        return None
    totals = []
    for repeats in (500, 2500):
        command, environment = ours("-c", f"{_CALLS}for _ in range({repeats}): call()", uri)
        traced = subprocess.run(
            ["strace", "-f", "-c", "-U", "calls,name", *command],
            capture_output=True, text=True, check=True, env=environment,
        )  # fmt: skip
        total = re.search(r"^\s*(\d+)\s+total$", traced.stderr, re.MULTILINE)
        if total is None:
            print("wire: strace does not count here, system calls are left out")
            return None
        totals.append(int(total.group(1)))
    return (totals[1] - totals[0]) / 2000


def pipelining(uri: str, server: str, place: Placement) -> list[Result]:
    """Tiny calls in pipelines against the same one after another; and what raw bytes gain by it."""
    with placed(server_pid(uri), place.server), placed(os.getpid(), place.client):
        raw = RawBytes(uri)
        with Worker(uri, where=place.client) as worker, Worker(uri, where=place.client) as other:
            many, single, raw_many, raw_single = interleave(
                [
                    lambda: worker.run("pipelined", 3) / IN_PIPELINE,
                    lambda: other.run("tiny", 3 * IN_PIPELINE),
                    lambda: timed(raw.several, 75)() / AT_ONCE,
                    timed(raw.one, 300),
                ]
            )
        raw.close()
    return [
        compare(f"pipelined tiny call, {server} {place.name}", many, single, "one by one", 0.5),
        compare(f"pipelined raw bytes, {server} {place.name}", raw_many, raw_single, "one by one"),
    ]


def results() -> list[Result]:
    out: list[Result] = []
    with replay_server(1, 2) as uri:
        raw = RawBytes(uri)
        with Worker(uri) as c_core, Worker(uri, pure=True) as pure_core:
            tiny, floor, slow = interleave(
                [
                    lambda: c_core.run("tiny", 400),
                    timed(raw.one, 400),
                    lambda: pure_core.run("tiny", 400),
                ]
            )
        raw.close()
        out.append(compare("tiny call, replayed", tiny, floor, "raw ping-pong"))
        out.append(compare("tiny call, replayed", tiny, slow, "pure core"))
        for place in placements():
            out += pipelining(uri, "replayed", place)
        count = system_calls(uri)
        if count is not None:
            name = "system calls of a tiny call"
            out.append(Result(name, count, 2.0, count / 2.0, "send + receive", 1.0, ""))
    with daemon() as uri:
        for place in placements() if uri else ():
            out += pipelining(uri, "libvirtd", place)
    return out
