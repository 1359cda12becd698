/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_queue.h: things that came and wait to be fetched, in order, bounded by bytes.
 * Called by: rpc_dispatch (events, stream data), rpc_stream, rpc_events.
 * Never: locks; the client's lock is held around it.
 */
#ifndef LVC_RPC_QUEUE_H
#define LVC_RPC_QUEUE_H

#include <stddef.h>
#include <stdint.h>

struct rpc_item {
    struct rpc_item *next;
    uint32_t program; /* events */
    uint32_t procedure;
    int64_t hole; /* stream: length of a hole, -1 for data */
    size_t taken; /* bytes already fetched */
    size_t len;
    uint8_t data[];
};

struct rpc_queue {
    struct rpc_item *first;
    struct rpc_item *last;
    size_t bytes; /* memory in use, the items' own included */
    size_t count;
};

/* A copy of data at the end; NULL without memory. */
struct rpc_item *rpc_queue_put(struct rpc_queue *queue, const uint8_t *data, size_t len);

/* The first item, now the caller's to lvc_free; NULL when there is none. */
struct rpc_item *rpc_queue_take(struct rpc_queue *queue);

void rpc_queue_clear(struct rpc_queue *queue);

#endif
