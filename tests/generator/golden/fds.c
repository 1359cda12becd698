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
    16, 3, 13, 2, 2, /* 18 domain_open_graphics_args and 1 more */
    16, 1, 13, /* 23 domain_exchange_args */
    14, 13, /* 26 domain? */
    16, 2, 1, 26, /* 28 net_error */
    16, 2, 3, 2, /* 32 stream_hole */
};
const size_t lvc_types_len = sizeof(lvc_types) / sizeof(lvc_types[0]);

const uint32_t lvc_type_net_error = 28;
const uint32_t lvc_type_stream_hole = 32;
const char lvc_tables_hash[] = "7d6b27a23858f36a";

static const struct lvc_procedure remote_procedures[] = {
    {0},
    {"domain_open_graphics", 18, 0, 1, 0, 1, 0}, /* 1 */
    {"domain_open_graphics_fd", 18, 0, 1, 0, 2, 0}, /* 2 */
    {"domain_exchange", 23, 0, 1, 0, 3, 0}, /* 3 */
};

const struct lvc_program lvc_programs[] = {
    {0x20008086, 1, "remote", remote_procedures, 3},
};
const size_t lvc_programs_len = sizeof(lvc_programs) / sizeof(lvc_programs[0]);
