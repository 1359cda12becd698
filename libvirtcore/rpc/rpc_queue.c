/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_queue.c: things that came and wait to be fetched, in order, bounded by bytes.
 * Called by: rpc_dispatch, rpc_stream, rpc_events. Calls: base_alloc.
 * Never: locks.
 */
#include "rpc/rpc_queue.h"

#include <string.h>

#include "base/base_alloc.h"

struct rpc_item *rpc_queue_put(struct rpc_queue *queue, const uint8_t *data, size_t len)
{
    struct rpc_item *item = lvc_malloc(sizeof(*item) + len);

    if (item == NULL) {
        return NULL;
    }
    memset(item, 0, sizeof(*item));
    item->hole = -1;
    item->len = len;
    if (len > 0) {
        memcpy(item->data, data, len);
    }
    if (queue->last != NULL) {
        queue->last->next = item;
    } else {
        queue->first = item;
    }
    queue->last = item;
    queue->bytes += sizeof(*item) + len;
    queue->count++;
    return item;
}

struct rpc_item *rpc_queue_take(struct rpc_queue *queue)
{
    struct rpc_item *item = queue->first;

    if (item != NULL) {
        queue->first = item->next;
        if (queue->first == NULL) {
            queue->last = NULL;
        }
        queue->bytes -= sizeof(*item) + item->len;
        queue->count--;
    }
    return item;
}

void rpc_queue_clear(struct rpc_queue *queue)
{
    struct rpc_item *item;

    while ((item = rpc_queue_take(queue)) != NULL) {
        lvc_free(item);
    }
}
