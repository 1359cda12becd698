/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base_buf.c: a growing byte buffer with a ceiling.
 * Called by: xdr, rpc. Calls: base_alloc, base_error.
 * Never: grows beyond the ceiling.
 */
#include "base/base_buf.h"

#include "base/base_alloc.h"

/* First allocation; holds nearly every call and reply. */
#define BUF_FIRST 4096

void lvc_buf_init(struct lvc_buf *buf, size_t ceiling)
{
    buf->data = NULL;
    buf->len = 0;
    buf->room = 0;
    buf->ceiling = ceiling;
}

void lvc_buf_clear(struct lvc_buf *buf)
{
    lvc_free(buf->data);
    lvc_buf_init(buf, buf->ceiling);
}

int lvc_buf_grow(struct lvc_buf *buf, size_t more, lvc_error *err)
{
    size_t room = buf->room;
    uint8_t *data;

    if (more > buf->ceiling - buf->len) {
        return lvc_error_set(err, LVC_ERR_RPC, LVC_FROM_RPC,
                             "%zu bytes more after %zu exceeded the limit of %zu", more, buf->len,
                             buf->ceiling);
    }
    if (room < BUF_FIRST) {
        room = BUF_FIRST;
    }
    while (room - buf->len < more) {
        room *= 2; /* below 2 * ceiling, so it cannot overflow */
    }
    if (room > buf->ceiling) {
        room = buf->ceiling;
    }
    data = lvc_realloc(buf->data, room);
    if (data == NULL) {
        return lvc_error_memory(err, LVC_FROM_RPC);
    }
    buf->data = data;
    buf->room = room;
    return 0;
}

void lvc_buf_consume(struct lvc_buf *buf, size_t n)
{
    buf->len -= n;
    if (n > 0 && buf->len > 0) {
        memmove(buf->data, buf->data + n, buf->len);
    }
}
