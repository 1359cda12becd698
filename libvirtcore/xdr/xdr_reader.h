/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xdr_reader.h: a bounds-checked cursor over big-endian words.
 * Called by: xdr_decode, rpc (headers).
 * Never: advances past the end; a read that does not fit changes nothing.
 */
#ifndef LVC_XDR_READER_H
#define LVC_XDR_READER_H

#include <stddef.h>
#include <stdint.h>

struct xdr_reader {
    const uint8_t *at;
    const uint8_t *end;
};

static inline void xdr_reader_init(struct xdr_reader *reader, const uint8_t *data, size_t len)
{
    reader->at = data;
    reader->end = data == NULL ? data : data + len;
}

static inline size_t xdr_reader_left(const struct xdr_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

static inline uint32_t xdr_load_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline uint64_t xdr_load_u64(const uint8_t *at)
{
    return (uint64_t)xdr_load_u32(at) << 32 | xdr_load_u32(at + 4);
}

/* 0, or -1 when too few bytes remain. */
static inline int xdr_reader_u32(struct xdr_reader *reader, uint32_t *value_out)
{
    if (xdr_reader_left(reader) < 4) {
        return -1;
    }
    *value_out = xdr_load_u32(reader->at);
    reader->at += 4;
    return 0;
}

static inline int xdr_reader_u64(struct xdr_reader *reader, uint64_t *value_out)
{
    if (xdr_reader_left(reader) < 8) {
        return -1;
    }
    *value_out = xdr_load_u64(reader->at);
    reader->at += 8;
    return 0;
}

/* Bytes padded to a multiple of four; the padding is skipped unread. Gives a pointer into the data. */
static inline int xdr_reader_bytes(struct xdr_reader *reader, size_t len, const uint8_t **bytes_out)
{
    size_t left = xdr_reader_left(reader);
    size_t padding = (4 - len % 4) % 4;

    if (len > left || padding > left - len) {
        return -1;
    }
    *bytes_out = reader->at;
    reader->at += len + padding;
    return 0;
}

#endif
