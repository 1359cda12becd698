/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_calls.h: which calls are under way, by serial, and how many more may be. Sans I/O.
 * Called by: rpc_client's parts, under the client's lock.
 * Never: locks, waits, touches a descriptor (but for closing those of a reply nobody wants).
 *
 *   add -> SENT -> answer -> ANSWERED -> remove
 *            \ abandon -> ABANDONED -> answer removes it: the late reply is discarded
 *
 * A call counts as in flight until its reply came, abandoned or not: the daemon still works on it,
 * and a daemon that is given more calls than it allows stops reading, keepalive included.
 */
#ifndef LVC_RPC_CALLS_H
#define LVC_RPC_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base_error.h"
#include "rpc/rpc_frame.h"

enum rpc_call_state {
    RPC_CALL_SENT,
    RPC_CALL_ANSWERED,
    RPC_CALL_ABANDONED,
};

struct rpc_call {
    uint32_t program;
    uint32_t version;
    uint32_t procedure;
    uint32_t serial;
    enum rpc_call_state state;
    uint64_t sent; /* bytes of the message */
    void *owner; /* the operation that waits for it, if one does */

    /* The answer. The payload is borrowed from the framer, or the call's own (then `own` is set). */
    uint32_t status;
    const uint8_t *payload;
    size_t payload_len;
    uint8_t *own;
    int *fds;
    uint32_t nfds;

    struct rpc_call *next; /* in its bucket */
};

struct rpc_calls {
    struct rpc_call **buckets;
    size_t nbuckets; /* a power of two */
    size_t count;
    uint32_t next_serial;
    uint32_t in_flight;
    uint32_t max_in_flight;
    size_t stored; /* bytes of answers that wait to be fetched */
};

int rpc_calls_init(struct rpc_calls *calls, uint32_t max_in_flight, lvc_error *err);
void rpc_calls_clear(struct rpc_calls *calls);

/* How many more calls may be sent now. */
uint32_t rpc_calls_room(const struct rpc_calls *calls);

/* A call that is about to be sent gets its serial. */
struct rpc_call *rpc_calls_add(struct rpc_calls *calls, uint32_t program, uint32_t version,
                               uint32_t procedure, lvc_error *err);

struct rpc_call *rpc_calls_find(const struct rpc_calls *calls, uint32_t serial);

/* The call that a reply belongs to, now answered; NULL with err->code 0 when it had been abandoned,
 * NULL with an error when no such call was made or the reply is not one. The payload still stands
 * in the frame: rpc_call_keep makes it the call's own. */
struct rpc_call *rpc_calls_answer(struct rpc_calls *calls, const struct rpc_frame *frame,
                                  lvc_error *err);
int rpc_call_keep(struct rpc_calls *calls, struct rpc_call *call, lvc_error *err);

/* Whether a call with this serial was made, answered and fetched. */
bool rpc_calls_is_past(const struct rpc_calls *calls, uint32_t serial);

/* Nobody wants the answer any more; the call is gone, or will be when it comes. */
void rpc_calls_abandon(struct rpc_calls *calls, struct rpc_call *call);
void rpc_calls_remove(struct rpc_calls *calls, struct rpc_call *call);

#endif
