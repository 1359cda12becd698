/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_keepalive.h: when to ask whether the peer lives, and when to give it up. Sans I/O.
 * Called by: rpc_client, with the time as an argument.
 * Never: reads a clock, sends a byte.
 *
 * After `interval` without a byte from the peer a PING is due; after `count` unanswered ones and one
 * more interval it is dead. Whatever arrives starts the count again.
 */
#ifndef LVC_RPC_KEEPALIVE_H
#define LVC_RPC_KEEPALIVE_H

#include <stdint.h>

enum rpc_keepalive_procedure {
    RPC_KEEPALIVE_PING = 1,
    RPC_KEEPALIVE_PONG = 2,
};

struct rpc_keepalive {
    int64_t interval_ms; /* 0 = off */
    uint32_t count;
    uint32_t left; /* PINGs that may still go unanswered */
    int64_t since_ms; /* last sign of life or last PING */
};

enum rpc_keepalive_action {
    RPC_KEEPALIVE_WAIT,
    RPC_KEEPALIVE_SEND_PING,
    RPC_KEEPALIVE_DEAD,
};

/* interval_ms 0 switches it off. */
void rpc_keepalive_start(struct rpc_keepalive *keepalive, int64_t interval_ms, uint32_t count,
                         int64_t now_ms);
void rpc_keepalive_received(struct rpc_keepalive *keepalive, int64_t now_ms);

/* What to do now; the next look is due at *next_ms_out (-1: never). */
enum rpc_keepalive_action rpc_keepalive_tick(struct rpc_keepalive *keepalive, int64_t now_ms,
                                             int64_t *next_ms_out);

#endif
