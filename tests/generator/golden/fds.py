"""tables.py: every wire type and procedure as data, the twin of libvirtcore/generated/tables.c."""

from __future__ import annotations

from libvirtcore.rpc.tables_model import Procedure, Program

TABLES_HASH = "7d6b27a23858f36a"
TYPE_NET_ERROR = 28
TYPE_STREAM_HOLE = 32

# fmt: off
TYPES: tuple[int, ...] = (
    0,  # 0 VOID
    1,  # 1 I32
    2,  # 2 U32
    3,  # 3 I64
    4,  # 4 U64
    5,  # 5 F64
    6,  # 6 I8
    7,  # 7 U8
    8,  # 8 U16
    9, 4194304,  # 9 string<4194304>
    11, 16,  # 11 opaque_fixed 16
    16, 3, 9, 11, 1,  # 13 domain
    16, 3, 13, 2, 2,  # 18 domain_open_graphics_args
    16, 1, 13,  # 23 domain_exchange_args
    14, 13,  # 26 domain?
    16, 2, 1, 26,  # 28 net_error
    16, 2, 3, 2,  # 32 stream_hole
)

_REMOTE: tuple[Procedure | None, ...] = (
    None,
    Procedure("domain_open_graphics", 18, 0, 1, 0, 1, 0),  # 1
    Procedure("domain_open_graphics_fd", 18, 0, 1, 0, 2, 0),  # 2
    Procedure("domain_exchange", 23, 0, 1, 0, 3, 0),  # 3
)

PROGRAMS: dict[int, Program] = {
    0x20008086: Program(0x20008086, 1, "remote", _REMOTE),
}
