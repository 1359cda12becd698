"""tables.py: every wire type and procedure as data, the twin of libvirtcore/generated/tables.c."""

from __future__ import annotations

from libvirtcore.rpc.tables_model import Procedure, Program

TABLES_HASH = "4f8d45e964dbde71"
TYPE_NET_ERROR = 36
TYPE_STREAM_HOLE = 40

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
    14, 9,  # 18 string<4194304>?
    16, 2, 13, 18,  # 20 domain_get_lease_args
    14, 13,  # 24 domain?
    16, 3, 18, 24, 8,  # 26 lease
    14, 26,  # 31 lease?
    16, 1, 31,  # 33 domain_get_lease_ret
    16, 2, 1, 24,  # 36 net_error
    16, 2, 3, 2,  # 40 stream_hole
)

_REMOTE: tuple[Procedure | None, ...] = (
    None,
    Procedure("domain_get_lease", 20, 33, 1, 0, 0, 0),  # 1
)

PROGRAMS: dict[int, Program] = {
    0x20008086: Program(0x20008086, 1, "remote", _REMOTE),
}
