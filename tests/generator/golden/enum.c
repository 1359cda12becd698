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
    15, 20, 1, /* 9 auth_type<20> */
    16, 1, 9, /* 12 auth_list_ret */
    9, 4194304, /* 15 string<4194304> */
    11, 16, /* 17 opaque_fixed 16 */
    16, 3, 15, 17, 1, /* 19 domain */
    14, 19, /* 24 domain? */
    16, 2, 1, 24, /* 26 net_error */
    16, 2, 3, 2, /* 30 stream_hole */
};
const size_t lvc_types_len = sizeof(lvc_types) / sizeof(lvc_types[0]);

const uint32_t lvc_type_net_error = 26;
const uint32_t lvc_type_stream_hole = 30;
const char lvc_tables_hash[] = "4b1f2e1eeba102c0";

static const struct lvc_procedure remote_procedures[] = {
    {0},
    {"auth_list", 0, 12, 1, 0, 0, 0}, /* 1 */
};

const struct lvc_program lvc_programs[] = {
    {0x20008086, 1, "remote", remote_procedures, 1},
};
const size_t lvc_programs_len = sizeof(lvc_programs) / sizeof(lvc_programs[0]);
