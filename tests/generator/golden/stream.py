"""tables.py: every wire type and procedure as data, the twin of libvirtcore/generated/tables.c."""

from __future__ import annotations

from libvirtcore.rpc.tables_model import Procedure, Program

TABLES_HASH = "acf5bf63ed220e3b"
TYPE_NET_ERROR = 33
TYPE_STREAM_HOLE = 37

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
    16, 3, 13, 2, 2,  # 18 domain_screenshot_args
    14, 9,  # 23 string<4194304>?
    16, 1, 23,  # 25 domain_screenshot_ret
    16, 1, 4,  # 28 domain_migrate_prepare_tunnel_args
    14, 13,  # 31 domain?
    16, 2, 1, 31,  # 33 net_error
    16, 2, 3, 2,  # 37 stream_hole
)

_REMOTE: tuple[Procedure | None, ...] = (
    None,
    Procedure("domain_screenshot", 18, 25, 3, 0, 0, 1),  # 1
    Procedure("domain_migrate_prepare_tunnel", 28, 0, 3, 0, 0, 2),  # 2
)

PROGRAMS: dict[int, Program] = {
    0x20008086: Program(0x20008086, 1, "remote", _REMOTE),
}
