"""tables.py: every wire type and procedure as data, the twin of libvirtcore/generated/tables.c."""

from __future__ import annotations

from libvirtcore.rpc.tables_model import Procedure, Program

TABLES_HASH = "08983f44bc9ae3c7"
TYPE_NET_ERROR = 38
TYPE_STREAM_HOLE = 42

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
    17, 16,  # 18 params<16>
    16, 3, 13, 18, 2,  # 20 domain_set_things_args
    16, 3, 13, 1, 2,  # 25 domain_get_things_args
    17, 16384,  # 30 params<16384>
    16, 2, 30, 1,  # 32 domain_get_things_ret
    14, 13,  # 36 domain?
    16, 2, 1, 36,  # 38 net_error
    16, 2, 3, 2,  # 42 stream_hole
)

_REMOTE: tuple[Procedure | None, ...] = (
    None,
    Procedure("domain_set_things", 20, 0, 1, 0, 0, 0),  # 1
    Procedure("domain_get_things", 25, 32, 1, 0, 0, 0),  # 2
)

PROGRAMS: dict[int, Program] = {
    0x20008086: Program(0x20008086, 1, "remote", _REMOTE),
}
