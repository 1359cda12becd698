/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_frame.h: a stream of bytes becomes messages, within limits. Sans I/O.
 * Called by: rpc_wait (the thread that reads), tests, the fuzzer.
 * Never: touches a descriptor; allocates more than twice what the peer has really sent.
 *
 * The loop of a user: space -> put bytes there -> fed -> next until it returns 0. Frames point into
 * the framer's memory and stay good until the next rpc_framer_space.
 */
#ifndef LVC_RPC_FRAME_H
#define LVC_RPC_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/base_buf.h"
#include "rpc/rpc_header.h"

struct rpc_framer {
    struct lvc_buf in;
    size_t start; /* first byte that no frame has taken */
};

struct rpc_frame {
    struct rpc_header header;
    const uint8_t *payload;
    size_t payload_len;
    uint32_t nfds;  /* descriptors that belong to it; the bytes they rode on are already taken */
    size_t length;  /* of the whole message */
};

void rpc_framer_init(struct rpc_framer *framer);
void rpc_framer_clear(struct rpc_framer *framer);

/* Where the next bytes go, at least one. */
int rpc_framer_space(struct rpc_framer *framer, uint8_t **where_out, size_t *room_out,
                     lvc_error *err);
void rpc_framer_fed(struct rpc_framer *framer, size_t len);

/* 1: *frame_out is a whole message; 0: more bytes are needed; -1: this is not libvirt's RPC. */
int rpc_framer_next(struct rpc_framer *framer, struct rpc_frame *frame_out, lvc_error *err);

/* Whether a whole message waits for the bytes that carry its descriptors. */
int rpc_framer_awaits_fds(const struct rpc_framer *framer);

#endif
