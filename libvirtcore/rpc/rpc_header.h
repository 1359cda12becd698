/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_header.h: the 28 bytes in front of every message.
 * Called by: rpc_frame (decodes), rpc_client and its parts (encode).
 * Never: judges what it reads; that is the business of whoever knows the context.
 */
#ifndef LVC_RPC_HEADER_H
#define LVC_RPC_HEADER_H

#include <stdint.h>

#include "generated/limits.h"

/* Length word (counts itself), then six words of header. */
#define RPC_LENGTH_BYTES LVC_NET_MESSAGE_LEN_MAX
#define RPC_HEADER_BYTES LVC_NET_MESSAGE_HEADER_MAX
#define RPC_PREFIX_BYTES (RPC_LENGTH_BYTES + RPC_HEADER_BYTES)

/* Largest value of the length word. */
#define RPC_LENGTH_MAX (LVC_NET_MESSAGE_MAX + LVC_NET_MESSAGE_LEN_MAX)

enum rpc_type {
    RPC_CALL = 0,
    RPC_REPLY = 1,
    RPC_MESSAGE = 2, /* events and keepalive */
    RPC_STREAM = 3,
    RPC_CALL_WITH_FDS = 4,
    RPC_REPLY_WITH_FDS = 5,
    RPC_STREAM_HOLE = 6,
};

enum rpc_status {
    RPC_OK = 0,
    RPC_ERROR = 1,
    RPC_CONTINUE = 2,
};

struct rpc_header {
    uint32_t program;
    uint32_t version;
    uint32_t procedure;
    uint32_t type;
    uint32_t serial;
    uint32_t status;
};

static inline uint32_t rpc_u32_decode(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

static inline void rpc_u32_encode(uint32_t value, uint8_t *out)
{
    out[0] = (uint8_t)(value >> 24);
    out[1] = (uint8_t)(value >> 16);
    out[2] = (uint8_t)(value >> 8);
    out[3] = (uint8_t)value;
}

/* `in` starts behind the length word. */
void rpc_header_decode(const uint8_t in[RPC_HEADER_BYTES], struct rpc_header *header);

/* Writes the length word, too; `length` is that of the whole message. */
void rpc_header_encode(const struct rpc_header *header, uint32_t length,
                       uint8_t out[RPC_PREFIX_BYTES]);

#endif
