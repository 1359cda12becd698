"""tables.py: every wire type and procedure as data, the twin of libvirtcore/generated/tables.c."""

from __future__ import annotations

from libvirtcore.rpc.tables_model import Procedure, Program

TABLES_HASH = "678ff9fd70ca6dc9"
TYPE_NET_ERROR = 40
TYPE_STREAM_HOLE = 44

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
    16, 1, 1,  # 9 connect_list_defined_domains_args
    9, 4194304,  # 12 string<4194304>
    15, 16384, 12,  # 14 string<4194304><16384>
    16, 1, 14,  # 17 connect_list_defined_domains_ret
    11, 16,  # 20 opaque_fixed 16
    16, 3, 12, 20, 1,  # 22 domain
    16, 3, 22, 1, 2,  # 27 domain_get_memory_parameters_args
    17, 16384,  # 32 params<16384>
    16, 2, 32, 1,  # 34 domain_get_memory_parameters_ret
    14, 22,  # 38 domain?
    16, 2, 1, 38,  # 40 connect_event_register_args
    16, 2, 3, 2,  # 44 stream_hole
)

_REMOTE: tuple[Procedure | None, ...] = (
    None,
    Procedure("connect_list_defined_domains", 9, 17, 1, 0, 0, 0),  # 1
    Procedure("domain_get_memory_parameters", 27, 34, 1, 0, 0, 0),  # 2
    Procedure("connect_event_register", 40, 9, 1, 0, 0, 0),  # 3
)

PROGRAMS: dict[int, Program] = {
    0x20008086: Program(0x20008086, 1, "remote", _REMOTE),
}
