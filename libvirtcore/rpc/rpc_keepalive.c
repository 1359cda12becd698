/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_keepalive.c: when to ask whether the peer lives, and when to give it up. Sans I/O.
 * Called by: rpc_client. Calls: nothing.
 * Never: reads a clock, sends a byte.
 */
#include "rpc/rpc_keepalive.h"

void rpc_keepalive_start(struct rpc_keepalive *keepalive, int64_t interval_ms, uint32_t count,
                         int64_t now_ms)
{
    keepalive->interval_ms = interval_ms;
    keepalive->count = count;
    keepalive->left = count;
    keepalive->since_ms = now_ms;
}

void rpc_keepalive_received(struct rpc_keepalive *keepalive, int64_t now_ms)
{
    keepalive->left = keepalive->count;
    keepalive->since_ms = now_ms;
}

enum rpc_keepalive_action rpc_keepalive_tick(struct rpc_keepalive *keepalive, int64_t now_ms,
                                             int64_t *next_ms_out)
{
    enum rpc_keepalive_action action = RPC_KEEPALIVE_WAIT;

    if (keepalive->interval_ms <= 0) {
        *next_ms_out = -1;
        return RPC_KEEPALIVE_WAIT;
    }
    if (now_ms - keepalive->since_ms >= keepalive->interval_ms) {
        if (keepalive->left == 0) {
            *next_ms_out = -1;
            return RPC_KEEPALIVE_DEAD;
        }
        keepalive->left--;
        keepalive->since_ms = now_ms;
        action = RPC_KEEPALIVE_SEND_PING;
    }
    *next_ms_out = keepalive->since_ms + keepalive->interval_ms;
    return action;
}
