/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_frame.c: a stream of bytes becomes messages, within limits. Sans I/O.
 * Called by: rpc_wait, tests, the fuzzer. Calls: base_buf, rpc_header.
 * Never: touches a descriptor; believes a length before it is checked.
 */
#include "rpc/rpc_frame.h"

#include <stdio.h>

#include "base/base_error.h"

/* One message of the largest size, the bytes of its descriptors, and a first part of the next. */
#define FRAMER_CEILING ((size_t)RPC_LENGTH_MAX + LVC_NET_MESSAGE_NUM_FDS_MAX + LVC_NET_MESSAGE_INITIAL)

/* A buffer that a huge message made large is given back when it is empty. */
#define FRAMER_KEEP ((size_t)4 << 20)

/* How much of a text peer's greeting is shown. */
#define TEXT_SHOWN 120

void rpc_framer_init(struct rpc_framer *framer)
{
    lvc_buf_init(&framer->in, FRAMER_CEILING);
    framer->start = 0;
}

void rpc_framer_clear(struct rpc_framer *framer)
{
    lvc_buf_clear(&framer->in);
    framer->start = 0;
}

int rpc_framer_space(struct rpc_framer *framer, uint8_t **where_out, size_t *room_out,
                     lvc_error *err)
{
    struct lvc_buf *in = &framer->in;

    if (framer->start == in->len) {
        framer->start = 0;
        in->len = 0;
        if (in->room > FRAMER_KEEP) {
            lvc_buf_clear(in);
        }
    } else if (framer->start > 0 && in->room - in->len < in->room / 2) {
        lvc_buf_consume(in, framer->start);
        framer->start = 0;
    }
    /* The first time a fixed size; then twice the room whenever all of it was filled. */
    if (lvc_buf_reserve(in, in->room == 0 ? LVC_NET_MESSAGE_INITIAL : 1, err) < 0) {
        return -1;
    }
    *where_out = in->data + in->len;
    *room_out = in->room - in->len;
    return 0;
}

void rpc_framer_fed(struct rpc_framer *framer, size_t len)
{
    framer->in.len += len;
}

static int byte_is_text(uint8_t byte)
{
    return (byte >= 0x20 && byte < 0x7f) || byte == '\t' || byte == '\r' || byte == '\n';
}

/* The length word is impossible. Most often somebody else answers on this port; say who. */
static int frame_wrong_length(const uint8_t *bytes, size_t len, uint32_t length, lvc_error *err)
{
    char text[TEXT_SHOWN + 1];
    size_t shown = 0;
    size_t i;

    if (length < RPC_PREFIX_BYTES) {
        return lvc_error_set(err, LVC_ERR_RPC, LVC_FROM_RPC,
                             "packet %u bytes received from server too small, want %u", length,
                             (unsigned)RPC_PREFIX_BYTES);
    }
    if ((bytes[0] == 0x15 || bytes[0] == 0x16) && bytes[1] == 0x03) {
        return lvc_error_set(err, LVC_ERR_RPC, LVC_FROM_RPC,
                             "the peer speaks TLS instead of plain libvirt RPC");
    }
    if (byte_is_text(bytes[0]) && byte_is_text(bytes[1]) && byte_is_text(bytes[2]) &&
        byte_is_text(bytes[3])) {
        for (i = 0; i < len && shown < TEXT_SHOWN && byte_is_text(bytes[i]); i++) {
            if (bytes[i] == '\r' || bytes[i] == '\n') {
                if (shown > 0) {
                    break;
                }
            } else {
                text[shown++] = (char)bytes[i];
            }
        }
        text[shown] = '\0';
        return lvc_error_set(err, LVC_ERR_RPC, LVC_FROM_RPC,
                             "the peer sent text instead of libvirt RPC: '%s'", text);
    }
    return lvc_error_set(err, LVC_ERR_RPC, LVC_FROM_RPC,
                         "packet %u bytes received from server too large, want %u",
                         length - RPC_LENGTH_BYTES, (unsigned)LVC_NET_MESSAGE_MAX);
}

static int type_carries_fds(uint32_t type)
{
    return type == RPC_CALL_WITH_FDS || type == RPC_REPLY_WITH_FDS;
}

int rpc_framer_next(struct rpc_framer *framer, struct rpc_frame *frame_out, lvc_error *err)
{
    const uint8_t *bytes = framer->in.data + framer->start;
    size_t len = framer->in.len - framer->start;
    uint32_t length;

    if (len < RPC_LENGTH_BYTES) {
        return 0;
    }
    length = rpc_u32_decode(bytes);
    if (length < RPC_PREFIX_BYTES || length > RPC_LENGTH_MAX) {
        return frame_wrong_length(bytes, len, length, err);
    }
    if (len < length) {
        return 0;
    }
    rpc_header_decode(bytes + RPC_LENGTH_BYTES, &frame_out->header);
    frame_out->payload = bytes + RPC_PREFIX_BYTES;
    frame_out->payload_len = length - RPC_PREFIX_BYTES;
    frame_out->nfds = 0;
    frame_out->length = length;
    if (type_carries_fds(frame_out->header.type)) {
        if (frame_out->payload_len < 4) {
            return lvc_error_set(err, LVC_ERR_RPC, LVC_FROM_RPC,
                                 "message of type %u has no count of descriptors",
                                 frame_out->header.type);
        }
        frame_out->nfds = rpc_u32_decode(frame_out->payload);
        frame_out->payload += 4;
        frame_out->payload_len -= 4;
        if (frame_out->nfds > LVC_NET_MESSAGE_NUM_FDS_MAX) {
            return lvc_error_set(err, LVC_ERR_RPC, LVC_FROM_RPC,
                                 "Received too many FDs %u, expected %u maximum", frame_out->nfds,
                                 (unsigned)LVC_NET_MESSAGE_NUM_FDS_MAX);
        }
        if (len - length < frame_out->nfds) {
            return 0;
        }
    }
    framer->start += length + frame_out->nfds;
    return 1;
}

int rpc_framer_awaits_fds(const struct rpc_framer *framer)
{
    const uint8_t *bytes = framer->in.data + framer->start;
    size_t len = framer->in.len - framer->start;
    struct rpc_header header;

    if (len < RPC_PREFIX_BYTES || rpc_u32_decode(bytes) > len) {
        return 0;
    }
    rpc_header_decode(bytes + RPC_LENGTH_BYTES, &header);
    return type_carries_fds(header.type);
}
