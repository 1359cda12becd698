/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xdr_writer.h: big-endian words and padded bytes into a buffer.
 * Called by: xdr_encode, rpc (headers).
 * Never: writes where lvc_buf_reserve gave no room.
 */
#ifndef LVC_XDR_WRITER_H
#define LVC_XDR_WRITER_H

#include <string.h>

#include "base/base_buf.h"

static inline void xdr_store_u32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

static inline void xdr_store_u64(uint8_t *at, uint64_t value)
{
    xdr_store_u32(at, (uint32_t)(value >> 32));
    xdr_store_u32(at + 4, (uint32_t)value);
}

static inline int xdr_writer_u32(struct lvc_buf *out, uint32_t value, lvc_error *err)
{
    if (lvc_buf_reserve(out, 4, err) < 0) {
        return -1;
    }
    xdr_store_u32(out->data + out->len, value);
    out->len += 4;
    return 0;
}

static inline int xdr_writer_u64(struct lvc_buf *out, uint64_t value, lvc_error *err)
{
    if (lvc_buf_reserve(out, 8, err) < 0) {
        return -1;
    }
    xdr_store_u64(out->data + out->len, value);
    out->len += 8;
    return 0;
}

/* The bytes and their padding of zeros, without a count before them. */
static inline int xdr_writer_bytes(struct lvc_buf *out, const uint8_t *bytes, size_t len,
                                   lvc_error *err)
{
    size_t padding = (4 - len % 4) % 4;

    if (len > out->ceiling) {
        return lvc_buf_grow(out, len, err); /* refuses, and keeps len + padding from wrapping */
    }
    if (lvc_buf_reserve(out, len + padding, err) < 0) {
        return -1;
    }
    if (len > 0) {
        memcpy(out->data + out->len, bytes, len);
    }
    memset(out->data + out->len + len, 0, padding);
    out->len += len + padding;
    return 0;
}

#endif
