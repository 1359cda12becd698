/* tables.c: every wire type and procedure as data. */
#include "tables.h"

const uint32_t lvc_types[] = {
    0, /* 0 VOID */
    1, /* 1 I32 */
    2, /* 2 U32 */
    3, /* 3 I64 */
    4, /* 4 U64 */
    5, /* 5 F64 */
    6, /* 6 I8 */
    7, /* 7 U8 */
    8, /* 8 U16 */
    9, 4194304, /* 9 string<4194304> */
    11, 16, /* 11 opaque_fixed 16 */
    16, 3, 9, 11, 1, /* 13 domain */
    16, 3, 13, 2, 2, /* 18 domain_screenshot_args */
    14, 9, /* 23 string<4194304>? */
    16, 1, 23, /* 25 domain_screenshot_ret */
    16, 1, 4, /* 28 domain_migrate_prepare_tunnel_args */
    14, 13, /* 31 domain? */
    16, 2, 1, 31, /* 33 net_error */
    16, 2, 3, 2, /* 37 stream_hole */
};
const size_t lvc_types_len = sizeof(lvc_types) / sizeof(lvc_types[0]);

const uint32_t lvc_type_net_error = 33;
const uint32_t lvc_type_stream_hole = 37;
const char lvc_tables_hash[] = "acf5bf63ed220e3b";

static const struct lvc_procedure remote_procedures[] = {
    {0},
    {"domain_screenshot", 18, 25, 3, 0, 0, 1}, /* 1 */
    {"domain_migrate_prepare_tunnel", 28, 0, 3, 0, 0, 2}, /* 2 */
};

const struct lvc_program lvc_programs[] = {
    {0x20008086, 1, "remote", remote_procedures, 2},
};
const size_t lvc_programs_len = sizeof(lvc_programs) / sizeof(lvc_programs[0]);
