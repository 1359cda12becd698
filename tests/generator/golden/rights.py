"""tables.py: every wire type and procedure as data, the twin of libvirtcore/generated/tables.c."""

from __future__ import annotations

from libvirtcore.rpc.tables_model import Procedure, Program

TABLES_HASH = "a40400c399ff6a5a"
TYPE_NET_ERROR = 44
TYPE_STREAM_HOLE = 48

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
    16, 2, 13, 2,  # 18 domain_get_xml_desc_args
    16, 1, 9,  # 22 domain_get_xml_desc_ret
    16, 3, 13, 9, 2,  # 25 domain_update_device_args
    16, 3, 13, 2, 2,  # 30 domain_interface_addresses_args
    16, 2, 9, 2,  # 35 domain_create_xml_args
    16, 1, 13,  # 39 domain_create_xml_ret
    14, 13,  # 42 domain?
    16, 2, 1, 42,  # 44 net_error
    16, 2, 3, 2,  # 48 stream_hole
)

_REMOTE: tuple[Procedure | None, ...] = (
    None,
    Procedure("domain_get_xml_desc", 18, 22, 1, 0, 0, 0),  # 1
    Procedure("domain_update_device", 25, 0, 1, 0, 0, 0),  # 2
    Procedure("domain_interface_addresses", 30, 22, 1, 0, 0, 0),  # 3
    Procedure("domain_create_xml", 35, 39, 1, 0, 0, 0),  # 4
)

PROGRAMS: dict[int, Program] = {
    0x20008086: Program(0x20008086, 1, "remote", _REMOTE),
}
