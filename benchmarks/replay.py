# SPDX-License-Identifier: LGPL-2.1-or-later
"""replay.py: a server that answers every call with bytes prepared beforehand.

Any libvirt client can open a connection to it and is then measured alone: the same bytes for
everyone and hardly any work behind them. `python -m benchmarks.replay SOCKET DOMAINS FIELDS`.
Called by: rivals.replay_server. Never: stands in for a daemon in a test.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from typing import Any

from libvirtcore.generated.tables import PROGRAMS
from libvirtcore.rpc import pure
from libvirtcore.rpc.tables_model import Procedure

REMOTE = 0x20008086
HEADER = struct.Struct(">IIIiIII")  # length, program, version, procedure, type, serial, status
REPLY, OK = 1, 0

_NUMBERS = {p.name: n for n, p in enumerate(PROGRAMS[REMOTE].procedures) if p is not None}


def number_of(name: str) -> int:
    return _NUMBERS[name]


def procedure(name: str) -> Procedure:
    found = PROGRAMS[REMOTE].procedures[_NUMBERS[name]]
    assert found is not None
    return found


def reply_bytes(name: str, value: Any) -> bytes:
    return pure.encode(procedure(name).ret, value)


def domains(count: int) -> list[tuple[str, bytes, int]]:
    return [(f"guest-{n:05d}", n.to_bytes(16, "big"), n + 1) for n in range(count)]


def stats_record(
    dom: tuple[str, bytes, int], fields: int
) -> tuple[Any, list[tuple[str, int, Any]]]:
    """One domain's statistics: mostly 64-bit counters, with names as long as real ones."""
    params: list[tuple[str, int, Any]] = [("block.0.name", 7, "vda"), ("state.state", 1, 1)]
    params += [(f"block.{n // 9}.rd.counter{n % 9}", 4, n * 1_000_003) for n in range(fields - 2)]
    return dom, params


def replies(count: int, fields: int) -> dict[int, bytes]:
    """Procedure number → reply payload, for a host of `count` guests."""
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
    # What every reply to a procedure has before and after the serial.
    prepared = {
        number: (
            HEADER.pack(HEADER.size + len(payload), REMOTE, 1, number, REPLY, 0, OK)[:20],
            HEADER.pack(0, 0, 0, 0, 0, 0, OK)[24:] + payload,
        )
        for number, payload in table.items()
    }
    number_at = struct.Struct(">i").unpack_from
    length_at = struct.Struct(">I").unpack_from
    data = b""
    while chunk := peer.recv(1 << 16):
        data = data + chunk if data else chunk
        answers: list[bytes] = []
        start, end = 0, len(data)
        while end - start >= HEADER.size:
            length = length_at(data, start)[0]
            if end - start < length:
                break
            head, tail = prepared[number_at(data, start + 12)[0]]
            answers += (head, data[start + 20 : start + 24], tail)
            start += length
        data = data[start:]
        if answers:
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
