/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xdr_marshal.h: the codes of Python's marshal format that the core writes and reads.
 * Called by: xdr_emit (writes), xdr_encode (reads).
 * Never: uses a code that depends on the version of the format.
 *
 * Writers take the place to write and return the place behind; the caller has reserved
 * XDR_EMIT_MAX bytes, plus the length of what is copied.
 */
#ifndef LVC_XDR_MARSHAL_H
#define LVC_XDR_MARSHAL_H

#include <stdint.h>
#include <string.h>

enum marshal_code {
    MARSHAL_NULL = '0', /* ends a dict */
    MARSHAL_NONE = 'N',
    MARSHAL_TRUE = 'T',
    MARSHAL_FALSE = 'F',
    MARSHAL_INT = 'i',    /* i32 */
    MARSHAL_LONG = 'l',   /* i32 count of digits, negative for a negative number; u16 digits */
    MARSHAL_DOUBLE = 'g', /* f64 */
    MARSHAL_BYTES = 's',  /* u32 length, bytes */
    MARSHAL_TEXT = 'u',   /* u32 length, UTF-8 */
    MARSHAL_INTERNED = 't',
    MARSHAL_SHORT_ASCII = 'z', /* u8 length, bytes */
    MARSHAL_TUPLE = '(',       /* u32 count */
    MARSHAL_SMALL_TUPLE = ')', /* u8 count */
    MARSHAL_LIST = '[',        /* u32 count */
    MARSHAL_DICT = '{',
    MARSHAL_UNKNOWN = '?', /* codec.py puts the name of a type behind it: u8 length, ASCII */
    MARSHAL_REF = 'r',      /* u32 index among the objects that were flagged */
    MARSHAL_FLAG_REF = 0x80 /* or-ed to the code of an object that will be referred to */
};

/* Digits of a long hold 15 bits each, least first; the last must not be zero. */
#define MARSHAL_DIGIT_BITS 15
#define MARSHAL_DIGIT_MASK 0x7fff

static inline uint8_t *marshal_put_u32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
    at[2] = (uint8_t)(value >> 16);
    at[3] = (uint8_t)(value >> 24);
    return at + 4;
}

static inline uint8_t *marshal_put_u64(uint8_t *at, uint64_t value)
{
    return marshal_put_u32(marshal_put_u32(at, (uint32_t)value), (uint32_t)(value >> 32));
}

static inline uint32_t marshal_load_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint8_t *marshal_code(uint8_t *at, int code)
{
    *at = (uint8_t)code;
    return at + 1;
}

static inline uint8_t *marshal_sized(uint8_t *at, int code, uint32_t size)
{
    return marshal_put_u32(marshal_code(at, code), size);
}

/* A number beyond 32 bits. */
static inline uint8_t *marshal_long(uint8_t *at, uint64_t magnitude, int negative)
{
    uint8_t *count = marshal_code(at, MARSHAL_LONG);
    int32_t digits = 0;

    at = count + 4;
    for (; magnitude != 0; magnitude >>= MARSHAL_DIGIT_BITS) {
        at[0] = (uint8_t)magnitude;
        at[1] = (uint8_t)(magnitude >> 8 & 0x7f);
        at += 2;
        digits++;
    }
    (void)marshal_put_u32(count, (uint32_t)(negative ? -digits : digits));
    return at;
}

static inline uint8_t *marshal_u64(uint8_t *at, uint64_t value)
{
    if (value <= INT32_MAX) {
        return marshal_sized(at, MARSHAL_INT, (uint32_t)value);
    }
    return marshal_long(at, value, 0);
}

static inline uint8_t *marshal_i64(uint8_t *at, int64_t value)
{
    if (value >= INT32_MIN && value <= INT32_MAX) {
        return marshal_sized(at, MARSHAL_INT, (uint32_t)value);
    }
    return marshal_long(at, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

/* The bits of a double. */
static inline uint8_t *marshal_f64(uint8_t *at, uint64_t bits)
{
    return marshal_put_u64(marshal_code(at, MARSHAL_DOUBLE), bits);
}

static inline uint8_t *marshal_copy(uint8_t *at, const uint8_t *bytes, uint32_t len)
{
    if (len > 0) {
        memcpy(at, bytes, len);
    }
    return at + len;
}

static inline uint8_t *marshal_text(uint8_t *at, const uint8_t *text, uint32_t len, int ascii,
                                    int flags)
{
    if (ascii && len < 256) {
        at = marshal_code(marshal_code(at, MARSHAL_SHORT_ASCII | flags), (int)len);
    } else {
        at = marshal_sized(at, MARSHAL_TEXT | flags, len);
    }
    return marshal_copy(at, text, len);
}

static inline uint8_t *marshal_tuple(uint8_t *at, uint32_t count)
{
    if (count < 256) {
        return marshal_code(marshal_code(at, MARSHAL_SMALL_TUPLE), (int)count);
    }
    return marshal_sized(at, MARSHAL_TUPLE, count);
}

#endif
