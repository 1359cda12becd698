/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_header.c: the 28 bytes in front of every message.
 * Called by: rpc_frame, rpc_send. Calls: nothing.
 * Never: judges what it reads.
 */
#include "rpc/rpc_header.h"

void rpc_header_decode(const uint8_t in[RPC_HEADER_BYTES], struct rpc_header *header)
{
    header->program = rpc_u32_decode(in);
    header->version = rpc_u32_decode(in + 4);
    header->procedure = rpc_u32_decode(in + 8);
    header->type = rpc_u32_decode(in + 12);
    header->serial = rpc_u32_decode(in + 16);
    header->status = rpc_u32_decode(in + 20);
}

void rpc_header_encode(const struct rpc_header *header, uint32_t length,
                       uint8_t out[RPC_PREFIX_BYTES])
{
    rpc_u32_encode(length, out);
    rpc_u32_encode(header->program, out + 4);
    rpc_u32_encode(header->version, out + 8);
    rpc_u32_encode(header->procedure, out + 12);
    rpc_u32_encode(header->type, out + 16);
    rpc_u32_encode(header->serial, out + 20);
    rpc_u32_encode(header->status, out + 24);
}
