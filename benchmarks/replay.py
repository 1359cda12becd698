# SPDX-License-Identifier: LGPL-2.1-or-later
"""replay.py: a server that answers every call with bytes prepared beforehand.

It lets any libvirt client open a connection and then measures the client alone: the same bytes for
everyone, no work behind them. Run as `python -m benchmarks.replay SOCKET DOMAINS FIELDS`.
Never: stands in for a daemon in a test.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from typing import Any

from libvirtcore.generated.tables import PROGRAMS
from libvirtcore.rpc import pure

REMOTE = 0x20008086
HEADER = struct.Struct(">IIIiIII")  # length, program, version, procedure, type, serial, status
REPLY = 1
OK = 0

_NUMBERS = {p.name: n for n, p in enumerate(PROGRAMS[REMOTE].procedures) if p is not None}


def reply_bytes(name: str, value: Any) -> bytes:
    procedure = PROGRAMS[REMOTE].procedures[_NUMBERS[name]]
    assert procedure is not None
    return pure.encode(procedure.ret, value)


def domains(count: int) -> list[tuple[str, bytes, int]]:
    return [(f"guest-{n:05d}", n.to_bytes(16, "big"), n + 1) for n in range(count)]


def stats_record(dom: tuple[str, bytes, int], fields: int) -> tuple[Any, list[tuple[str, int, Any]]]:
    """One domain's statistics: mostly 64-bit counters with names as long as real ones."""
    params: list[tuple[str, int, Any]] = [("block.0.name", 7, "vda"), ("state.state", 1, 1)]
    params += [(f"block.{n // 9}.rd.counter{n % 9}", 4, n * 1_000_003) for n in range(fields - 2)]
    return dom, params


def replies(count: int, fields: int) -> dict[int, bytes]:
    """Return procedure number → reply payload for a host of `count` guests."""
    doms = domains(count)
    prepared: dict[str, Any] = {
        "auth_list": ([0],),
        "connect_supports_feature": (0,),
        "connect_get_uri": ("qemu:///system",),
        "connect_get_type": ("QEMU",),
        "connect_list_all_domains": (doms, len(doms)),
        "domain_is_active": (1,),
        "domain_get_info": (1, 1048576, 1048576, 2, 123456789),
        "domain_lookup_by_name": (doms[0],),
        "domain_lookup_by_uuid": (doms[0],),
        "domain_get_xml_desc": ("<domain>" + "<x/>" * 1000 + "</domain>",),
        "connect_get_all_domain_stats": ([stats_record(dom, fields) for dom in doms],),
    }
    table = {_NUMBERS[name]: reply_bytes(name, value) for name, value in prepared.items()}
    for name in ("connect_open", "connect_close", "connect_register_close_callback"):
        table[_NUMBERS[name]] = b""
    return table


def serve_one(peer: socket.socket, table: dict[int, bytes]) -> None:
    """Answer the calls of one client until it leaves."""
    pending = bytearray()
    while True:
        data = peer.recv(1 << 20)
        if not data:
            return
        pending += data
        answers = []
        while len(pending) >= 4:
            length = int.from_bytes(pending[:4], "big")
            if len(pending) < length:
                break
            _, program, version, number, _, serial, _ = HEADER.unpack_from(pending)
            payload = table.get(number, b"")
            answers.append(
                HEADER.pack(HEADER.size + len(payload), program, version, number, REPLY, serial, OK)
                + payload
            )
            del pending[:length]
        peer.sendall(b"".join(answers))


def serve(path: str, count: int, fields: int) -> None:
    table = replies(count, fields)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(8)
        print("ready", flush=True)
        while True:
            peer, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                serve_one(peer, table)
                os._exit(0)
            peer.close()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
