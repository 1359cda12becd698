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
    14, 9, /* 18 string<4194304>? */
    16, 2, 13, 18, /* 20 domain_get_lease_args */
    14, 13, /* 24 domain? */
    16, 3, 18, 24, 8, /* 26 lease */
    14, 26, /* 31 lease? */
    16, 1, 31, /* 33 domain_get_lease_ret */
    16, 2, 1, 24, /* 36 net_error */
    16, 2, 3, 2, /* 40 stream_hole */
};
const size_t lvc_types_len = sizeof(lvc_types) / sizeof(lvc_types[0]);

const uint32_t lvc_type_net_error = 36;
const uint32_t lvc_type_stream_hole = 40;
const char lvc_tables_hash[] = "4f8d45e964dbde71";

static const struct lvc_procedure remote_procedures[] = {
    {0},
    {"domain_get_lease", 20, 33, 1, 0, 0, 0}, /* 1 */
};

const struct lvc_program lvc_programs[] = {
    {0x20008086, 1, "remote", remote_procedures, 1},
};
const size_t lvc_programs_len = sizeof(lvc_programs) / sizeof(lvc_programs[0]);
