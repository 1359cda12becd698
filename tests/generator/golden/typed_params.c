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
    17, 16, /* 18 params<16> */
    16, 3, 13, 18, 2, /* 20 domain_set_things_args */
    16, 3, 13, 1, 2, /* 25 domain_get_things_args */
    17, 16384, /* 30 params<16384> */
    16, 2, 30, 1, /* 32 domain_get_things_ret */
    14, 13, /* 36 domain? */
    16, 2, 1, 36, /* 38 net_error */
    16, 2, 3, 2, /* 42 stream_hole */
};
const size_t lvc_types_len = sizeof(lvc_types) / sizeof(lvc_types[0]);

const uint32_t lvc_type_net_error = 38;
const uint32_t lvc_type_stream_hole = 42;
const char lvc_tables_hash[] = "08983f44bc9ae3c7";

static const struct lvc_procedure remote_procedures[] = {
    {0},
    {"domain_set_things", 20, 0, 1, 0, 0, 0}, /* 1 */
    {"domain_get_things", 25, 32, 1, 0, 0, 0}, /* 2 */
};

const struct lvc_program lvc_programs[] = {
    {0x20008086, 1, "remote", remote_procedures, 2},
};
const size_t lvc_programs_len = sizeof(lvc_programs) / sizeof(lvc_programs[0]);
