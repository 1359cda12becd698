"""tables.py: every wire type and procedure as data, the twin of libvirtcore/generated/tables.c."""

from __future__ import annotations

from libvirtcore.rpc.tables_model import Procedure, Program

TABLES_HASH = "c96befbd550662e7"
TYPE_NET_ERROR = 61
TYPE_STREAM_HOLE = 65

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
    16, 2, 1, 2,  # 9 connect_list_all_domains_args
    9, 4194304,  # 13 string<4194304>
    11, 16,  # 15 opaque_fixed 16
    16, 3, 13, 15, 1,  # 17 domain
    15, 16384, 17,  # 22 domain<16384>
    16, 2, 22, 2,  # 25 connect_list_all_domains_ret
    15, 3, 13,  # 29 string<4194304><3>
    10, 4,  # 32 opaque 4
    11, 5,  # 34 opaque_fixed 5
    12, 6,  # 36 chars 6
    13, 7,  # 38 chars_fixed 7
    15, 8, 4,  # 40 u64<8>
    16, 6, 29, 32, 34, 36, 38, 40,  # 43 domain_show_arrays_args
    15, 9, 17,  # 51 domain<9>
    14, 51,  # 54 domain<9>?
    16, 1, 54,  # 56 domain_show_arrays_ret
    14, 17,  # 59 domain?
    16, 2, 1, 59,  # 61 net_error
    16, 2, 3, 2,  # 65 stream_hole
)

_REMOTE: tuple[Procedure | None, ...] = (
    None,
    Procedure("connect_list_all_domains", 9, 25, 1, 1, 0, 0),  # 1
    Procedure("domain_show_arrays", 43, 56, 1, 0, 0, 0),  # 2
)

PROGRAMS: dict[int, Program] = {
    0x20008086: Program(0x20008086, 1, "remote", _REMOTE),
}
