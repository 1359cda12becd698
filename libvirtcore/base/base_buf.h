/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base_buf.h: a growing byte buffer with a ceiling.
 * Called by: xdr (output of both directions), rpc (frames).
 * Never: grows beyond the ceiling given at birth; shrinks its memory before lvc_buf_clear.
 *
 * Ownership: the struct is the caller's, the bytes are the buffer's. The bytes move only when room
 * grows, so a pointer stays good as long as `data` does.
 */
#ifndef LVC_BASE_BUF_H
#define LVC_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/base_error.h"

struct lvc_buf {
    uint8_t *data;
    size_t len;
    size_t room;    /* bytes allocated */
    size_t ceiling; /* room never exceeds this */
};

/* Allocates nothing. */
void lvc_buf_init(struct lvc_buf *buf, size_t ceiling);

/* Free the bytes; the buffer can be used again. */
void lvc_buf_clear(struct lvc_buf *buf);

/* Slow half of lvc_buf_reserve. */
int lvc_buf_grow(struct lvc_buf *buf, size_t more, lvc_error *err);

/* Make sure that `more` bytes can be written behind len. */
static inline int lvc_buf_reserve(struct lvc_buf *buf, size_t more, lvc_error *err)
{
    if (more <= buf->room - buf->len) {
        return 0;
    }
    return lvc_buf_grow(buf, more, err);
}

static inline int lvc_buf_append(struct lvc_buf *buf, const void *bytes, size_t len, lvc_error *err)
{
    if (lvc_buf_reserve(buf, len, err) < 0) {
        return -1;
    }
    if (len > 0) {
        memcpy(buf->data + buf->len, bytes, len);
        buf->len += len;
    }
    return 0;
}

/* Drop the first n bytes (n <= len), moving the rest to the front. */
void lvc_buf_consume(struct lvc_buf *buf, size_t n);

#endif
