"""tables.py: every wire type and procedure as data, the twin of libvirtcore/generated/tables.c."""

from __future__ import annotations

from libvirtcore.rpc.tables_model import Procedure, Program

TABLES_HASH = "340ec13175811fba"
TYPE_NET_ERROR = 27
TYPE_STREAM_HOLE = 31

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
    16, 1, 13,  # 18 domain_event_reboot_msg
    16, 2, 1, 18,  # 21 domain_event_callback_reboot_msg
    14, 13,  # 25 domain?
    16, 2, 1, 25,  # 27 net_error
    16, 2, 3, 2,  # 31 stream_hole
)

_REMOTE: tuple[Procedure | None, ...] = (
    None,
    Procedure("domain_event_reboot", 18, 0, 2, 0, 0, 0),  # 1
    Procedure("domain_event_callback_reboot", 21, 0, 2, 0, 0, 0),  # 2
)

PROGRAMS: dict[int, Program] = {
    0x20008086: Program(0x20008086, 1, "remote", _REMOTE),
}
