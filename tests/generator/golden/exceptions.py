"""tables.py: every wire type and procedure as data, the twin of libvirtcore/generated/tables.c."""

from __future__ import annotations

from libvirtcore.rpc.tables_model import Procedure, Program

TABLES_HASH = "73103acef6e99c79"
TYPE_NET_ERROR = 34
TYPE_STREAM_HOLE = 28

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
    16, 2, 13, 2,  # 18 domain_add_iothread_args
    16, 1, 13,  # 22 domain_get_max_memory_args
    16, 1, 4,  # 25 domain_get_max_memory_ret
    16, 2, 3, 2,  # 28 domain_time_ret
    14, 13,  # 32 domain?
    16, 2, 1, 32,  # 34 net_error
)

_REMOTE: tuple[Procedure | None, ...] = (
    None,
    Procedure("domain_add_iothread", 18, 0, 1, 0, 0, 0),  # 1
    Procedure("domain_get_max_memory", 22, 25, 1, 0, 0, 0),  # 2
    Procedure("domain_time", 22, 28, 1, 0, 0, 0),  # 3
)

PROGRAMS: dict[int, Program] = {
    0x20008086: Program(0x20008086, 1, "remote", _REMOTE),
}
