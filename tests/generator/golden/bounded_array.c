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
    16, 2, 1, 2, /* 9 connect_list_all_domains_args */
    9, 4194304, /* 13 string<4194304> */
    11, 16, /* 15 opaque_fixed 16 */
    16, 3, 13, 15, 1, /* 17 domain */
    15, 16384, 17, /* 22 domain<16384> */
    16, 2, 22, 2, /* 25 connect_list_all_domains_ret */
    15, 3, 13, /* 29 string<4194304><3> */
    10, 4, /* 32 opaque 4 */
    11, 5, /* 34 opaque_fixed 5 */
    12, 6, /* 36 chars 6 */
    13, 7, /* 38 chars_fixed 7 */
    15, 8, 4, /* 40 u64<8> */
    16, 6, 29, 32, 34, 36, 38, 40, /* 43 domain_show_arrays_args */
    15, 9, 17, /* 51 domain<9> */
    14, 51, /* 54 domain<9>? */
    16, 1, 54, /* 56 domain_show_arrays_ret */
    14, 17, /* 59 domain? */
    16, 2, 1, 59, /* 61 net_error */
    16, 2, 3, 2, /* 65 stream_hole */
};
const size_t lvc_types_len = sizeof(lvc_types) / sizeof(lvc_types[0]);

const uint32_t lvc_type_net_error = 61;
const uint32_t lvc_type_stream_hole = 65;
const char lvc_tables_hash[] = "c96befbd550662e7";

static const struct lvc_procedure remote_procedures[] = {
    {0},
    {"connect_list_all_domains", 9, 25, 1, 1, 0, 0}, /* 1 */
    {"domain_show_arrays", 43, 56, 1, 0, 0, 0}, /* 2 */
};

const struct lvc_program lvc_programs[] = {
    {0x20008086, 1, "remote", remote_procedures, 2},
};
const size_t lvc_programs_len = sizeof(lvc_programs) / sizeof(lvc_programs[0]);
