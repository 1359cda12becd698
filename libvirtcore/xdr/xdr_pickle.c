/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xdr_pickle.c: the opcodes of Python's pickle format, for a Python whose marshal differs.
 * Called by: xdr_emit. Calls: nothing.
 * Never: emits an opcode that could make pickle.loads call or import anything.
 */
#include "xdr/xdr_pickle.h"

#include "xdr/xdr_marshal.h" /* little-endian stores, which both formats share */
#include "xdr/xdr_writer.h"

enum pickle_opcode {
    PICKLE_MARK = '(',
    PICKLE_STOP = '.',
    PICKLE_NONE = 'N',
    PICKLE_TRUE = 0x88,
    PICKLE_FALSE = 0x89,
    PICKLE_INT = 'J',     /* i32, little-endian */
    PICKLE_LONG = 0x8a,   /* u8 length, two's complement, little-endian */
    PICKLE_DOUBLE = 'G',  /* f64, big-endian */
    PICKLE_TEXT = 'X',    /* u32 length, UTF-8 */
    PICKLE_SHORT_TEXT = 0x8c, /* u8 length */
    PICKLE_BYTES = 'B',   /* u32 length */
    PICKLE_TUPLE = 't',   /* of all since the mark */
    PICKLE_LIST = ']',
    PICKLE_APPENDS = 'e',
    PICKLE_DICT = '}',
    PICKLE_SET_ITEMS = 'u',
    PICKLE_MEMOIZE = 0x94,
    PICKLE_GET = 'j', /* u32 index */
    PICKLE_PROTOCOL = 0x80,
};

uint8_t *pickle_begin(uint8_t *at)
{
    return marshal_code(marshal_code(at, PICKLE_PROTOCOL), 4);
}

uint8_t *pickle_end(uint8_t *at)
{
    return marshal_code(at, PICKLE_STOP);
}

uint8_t *pickle_none(uint8_t *at)
{
    return marshal_code(at, PICKLE_NONE);
}

uint8_t *pickle_bool(uint8_t *at, int value)
{
    return marshal_code(at, value ? PICKLE_TRUE : PICKLE_FALSE);
}

uint8_t *pickle_i64(uint8_t *at, int64_t value)
{
    if (value >= INT32_MIN && value <= INT32_MAX) {
        return marshal_sized(at, PICKLE_INT, (uint32_t)value);
    }
    return marshal_put_u64(marshal_code(marshal_code(at, PICKLE_LONG), 8), (uint64_t)value);
}

uint8_t *pickle_u64(uint8_t *at, uint64_t value)
{
    if (value <= INT64_MAX) {
        return pickle_i64(at, (int64_t)value);
    }
    at = marshal_put_u64(marshal_code(marshal_code(at, PICKLE_LONG), 9), value);
    return marshal_code(at, 0); /* the sign */
}

uint8_t *pickle_f64(uint8_t *at, uint64_t bits)
{
    xdr_store_u64(marshal_code(at, PICKLE_DOUBLE), bits);
    return at + 9;
}

uint8_t *pickle_bytes(uint8_t *at, const uint8_t *bytes, uint32_t len)
{
    return marshal_copy(marshal_sized(at, PICKLE_BYTES, len), bytes, len);
}

uint8_t *pickle_text(uint8_t *at, const uint8_t *text, uint32_t len)
{
    if (len < 256) {
        at = marshal_code(marshal_code(at, PICKLE_SHORT_TEXT), (int)len);
    } else {
        at = marshal_sized(at, PICKLE_TEXT, len);
    }
    return marshal_copy(at, text, len);
}

uint8_t *pickle_remember(uint8_t *at)
{
    return marshal_code(at, PICKLE_MEMOIZE);
}

uint8_t *pickle_ref(uint8_t *at, uint32_t index)
{
    return marshal_sized(at, PICKLE_GET, index);
}

uint8_t *pickle_tuple_begin(uint8_t *at)
{
    return marshal_code(at, PICKLE_MARK);
}

uint8_t *pickle_tuple_end(uint8_t *at)
{
    return marshal_code(at, PICKLE_TUPLE);
}

uint8_t *pickle_list_begin(uint8_t *at)
{
    return marshal_code(marshal_code(at, PICKLE_LIST), PICKLE_MARK);
}

uint8_t *pickle_list_end(uint8_t *at)
{
    return marshal_code(at, PICKLE_APPENDS);
}

uint8_t *pickle_dict_begin(uint8_t *at)
{
    return marshal_code(marshal_code(at, PICKLE_DICT), PICKLE_MARK);
}

uint8_t *pickle_dict_end(uint8_t *at)
{
    return marshal_code(at, PICKLE_SET_ITEMS);
}
