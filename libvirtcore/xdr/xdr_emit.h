/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xdr_emit.h: one value into the stream, in the format that was asked for.
 * Called by: xdr_decode.
 * Never: checks room; the caller has reserved XDR_EMIT_MAX bytes plus the length of what is copied.
 */
#ifndef LVC_XDR_EMIT_H
#define LVC_XDR_EMIT_H

#include "xdr/xdr_marshal.h"
#include "xdr/xdr_pickle.h"

/* No single token without its payload is longer: a u64 as a marshal long takes 15 bytes. */
#define XDR_EMIT_MAX 16

static inline uint8_t *emit_none(uint8_t *at, int pickle)
{
    return pickle ? pickle_none(at) : marshal_code(at, MARSHAL_NONE);
}

static inline uint8_t *emit_bool(uint8_t *at, int pickle, int value)
{
    return pickle ? pickle_bool(at, value)
                  : marshal_code(at, value ? MARSHAL_TRUE : MARSHAL_FALSE);
}

static inline uint8_t *emit_i64(uint8_t *at, int pickle, int64_t value)
{
    return pickle ? pickle_i64(at, value) : marshal_i64(at, value);
}

static inline uint8_t *emit_u64(uint8_t *at, int pickle, uint64_t value)
{
    return pickle ? pickle_u64(at, value) : marshal_u64(at, value);
}

static inline uint8_t *emit_f64(uint8_t *at, int pickle, uint64_t bits)
{
    return pickle ? pickle_f64(at, bits) : marshal_f64(at, bits);
}

static inline uint8_t *emit_bytes(uint8_t *at, int pickle, const uint8_t *bytes, uint32_t len)
{
    return pickle ? pickle_bytes(at, bytes, len)
                  : marshal_copy(marshal_sized(at, MARSHAL_BYTES, len), bytes, len);
}

static inline uint8_t *emit_text(uint8_t *at, int pickle, const uint8_t *text, uint32_t len,
                                 int ascii)
{
    return pickle ? pickle_text(at, text, len) : marshal_text(at, text, len, ascii, 0);
}

/* A string that emit_ref may name later; the first one is number 0, and so on. */
static inline uint8_t *emit_text_shared(uint8_t *at, int pickle, const uint8_t *text, uint32_t len,
                                        int ascii)
{
    return pickle ? pickle_remember(pickle_text(at, text, len))
                  : marshal_text(at, text, len, ascii, MARSHAL_FLAG_REF);
}

static inline uint8_t *emit_ref(uint8_t *at, int pickle, uint32_t index)
{
    return pickle ? pickle_ref(at, index) : marshal_sized(at, MARSHAL_REF, index);
}

static inline uint8_t *emit_tuple_begin(uint8_t *at, int pickle, uint32_t count)
{
    return pickle ? pickle_tuple_begin(at) : marshal_tuple(at, count);
}

static inline uint8_t *emit_tuple_end(uint8_t *at, int pickle)
{
    return pickle ? pickle_tuple_end(at) : at;
}

static inline uint8_t *emit_list_begin(uint8_t *at, int pickle, uint32_t count)
{
    return pickle ? pickle_list_begin(at) : marshal_sized(at, MARSHAL_LIST, count);
}

static inline uint8_t *emit_list_end(uint8_t *at, int pickle)
{
    return pickle ? pickle_list_end(at) : at;
}

static inline uint8_t *emit_dict_begin(uint8_t *at, int pickle)
{
    return pickle ? pickle_dict_begin(at) : marshal_code(at, MARSHAL_DICT);
}

static inline uint8_t *emit_dict_end(uint8_t *at, int pickle)
{
    return pickle ? pickle_dict_end(at) : marshal_code(at, MARSHAL_NULL);
}

#endif
