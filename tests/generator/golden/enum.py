"""tables.py: every wire type and procedure as data, the twin of libvirtcore/generated/tables.c."""

from __future__ import annotations

from libvirtcore.rpc.tables_model import Procedure, Program

TABLES_HASH = "4b1f2e1eeba102c0"
TYPE_NET_ERROR = 26
TYPE_STREAM_HOLE = 30

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
    15, 20, 1,  # 9 auth_type<20>
    16, 1, 9,  # 12 auth_list_ret
    9, 4194304,  # 15 string<4194304>
    11, 16,  # 17 opaque_fixed 16
    16, 3, 15, 17, 1,  # 19 domain
    14, 19,  # 24 domain?
    16, 2, 1, 24,  # 26 net_error
    16, 2, 3, 2,  # 30 stream_hole
)

_REMOTE: tuple[Procedure | None, ...] = (
    None,
    Procedure("auth_list", 0, 12, 1, 0, 0, 0),  # 1
)

PROGRAMS: dict[int, Program] = {
    0x20008086: Program(0x20008086, 1, "remote", _REMOTE),
}
