"""tables.py: every wire type and procedure as data, the twin of libvirtcore/generated/tables.c."""

from __future__ import annotations

from libvirtcore.rpc.tables_model import Procedure, Program

TABLES_HASH = "73efe8ca97f41210"
TYPE_NET_ERROR = 30
TYPE_STREAM_HOLE = 34

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
    16, 1, 13,  # 18 domain_resume_args
    16, 2, 7, 4,  # 21 domain_get_info_ret
    16, 1, 1,  # 25 connect_supports_feature_args
    14, 13,  # 28 domain?
    16, 2, 1, 28,  # 30 net_error
    16, 2, 3, 2,  # 34 stream_hole
)

_REMOTE: tuple[Procedure | None, ...] = (
    None,
    Procedure("domain_resume", 18, 0, 1, 0, 0, 0),  # 1
    Procedure("domain_get_info", 18, 21, 1, 0, 0, 0),  # 2
    Procedure("connect_supports_feature", 25, 25, 1, 1, 0, 0),  # 3
)

PROGRAMS: dict[int, Program] = {
    0x20008086: Program(0x20008086, 1, "remote", _REMOTE),
}
