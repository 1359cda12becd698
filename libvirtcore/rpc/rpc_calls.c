/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_calls.c: which calls are under way, by serial, and how many more may be. Sans I/O.
 * Called by: rpc_client's parts. Calls: base_alloc.
 * Never: locks, waits.
 */
#include "rpc/rpc_calls.h"

#include <string.h>
#include <unistd.h>

#include "base/base_alloc.h"

#define CALLS_FIRST_BUCKETS 16

int rpc_calls_init(struct rpc_calls *calls, uint32_t max_in_flight, lvc_error *err)
{
    memset(calls, 0, sizeof(*calls));
    calls->max_in_flight = max_in_flight > 0 ? max_in_flight : 1;
    calls->buckets = lvc_calloc(CALLS_FIRST_BUCKETS, sizeof(struct rpc_call *));
    if (calls->buckets == NULL) {
        return lvc_error_memory(err, LVC_FROM_RPC);
    }
    calls->nbuckets = CALLS_FIRST_BUCKETS;
    return 0;
}

static void call_free(struct rpc_call *call)
{
    uint32_t i;

    for (i = 0; i < call->nfds; i++) {
        (void)close(call->fds[i]);
    }
    lvc_free(call->fds);
    lvc_free(call->own);
    lvc_free(call);
}

void rpc_calls_clear(struct rpc_calls *calls)
{
    struct rpc_call *call;
    size_t i;

    for (i = 0; i < calls->nbuckets; i++) {
        while ((call = calls->buckets[i]) != NULL) {
            calls->buckets[i] = call->next;
            call_free(call);
        }
    }
    lvc_free(calls->buckets);
    memset(calls, 0, sizeof(*calls));
}

uint32_t rpc_calls_room(const struct rpc_calls *calls)
{
    return calls->in_flight < calls->max_in_flight ? calls->max_in_flight - calls->in_flight : 0;
}

static struct rpc_call **calls_bucket(const struct rpc_calls *calls, uint32_t serial)
{
    return &calls->buckets[serial & (calls->nbuckets - 1)];
}

/* Long pipelines get short chains. Without memory the chains are long, nothing else. */
static void calls_spread(struct rpc_calls *calls)
{
    struct rpc_calls wider = *calls;
    struct rpc_call **bucket;
    struct rpc_call *call;
    size_t i;

    wider.nbuckets = calls->nbuckets * 4;
    wider.buckets = lvc_calloc(wider.nbuckets, sizeof(struct rpc_call *));
    if (wider.buckets == NULL) {
        return;
    }
    for (i = 0; i < calls->nbuckets; i++) {
        while ((call = calls->buckets[i]) != NULL) {
            calls->buckets[i] = call->next;
            bucket = calls_bucket(&wider, call->serial);
            call->next = *bucket;
            *bucket = call;
        }
    }
    lvc_free(calls->buckets);
    *calls = wider;
}

struct rpc_call *rpc_calls_find(const struct rpc_calls *calls, uint32_t serial)
{
    struct rpc_call *call = *calls_bucket(calls, serial);

    while (call != NULL && call->serial != serial) {
        call = call->next;
    }
    return call;
}

struct rpc_call *rpc_calls_add(struct rpc_calls *calls, uint32_t program, uint32_t version,
                               uint32_t procedure, lvc_error *err)
{
    struct rpc_call *call = lvc_calloc(1, sizeof(*call));
    struct rpc_call **bucket;

    if (call == NULL) {
        (void)lvc_error_memory(err, LVC_FROM_RPC);
        return NULL;
    }
    if (calls->count >= calls->nbuckets * 2) {
        calls_spread(calls);
    }
    while (rpc_calls_find(calls, calls->next_serial) != NULL) {
        calls->next_serial++; /* after 2^32 calls, one of the first is still unanswered */
    }
    call->program = program;
    call->version = version;
    call->procedure = procedure;
    call->serial = calls->next_serial++;
    call->state = RPC_CALL_SENT;
    bucket = calls_bucket(calls, call->serial);
    call->next = *bucket;
    *bucket = call;
    calls->count++;
    calls->in_flight++;
    return call;
}

struct rpc_call *rpc_calls_answer(struct rpc_calls *calls, const struct rpc_frame *frame,
                                  lvc_error *err)
{
    const struct rpc_header *header = &frame->header;
    struct rpc_call *call = rpc_calls_find(calls, header->serial);

    if (call == NULL || call->state == RPC_CALL_ANSWERED || call->program != header->program ||
        call->version != header->version) {
        (void)lvc_error_set(err, LVC_ERR_RPC, LVC_FROM_RPC,
                            "no call waiting for reply with prog %u vers %u serial %u",
                            header->program, header->version, header->serial);
        return NULL;
    }
    if (call->procedure != header->procedure) {
        (void)lvc_error_set(err, LVC_ERR_INTERNAL_ERROR, LVC_FROM_RPC,
                            "Unexpected message proc %u != %u", header->procedure,
                            call->procedure);
        return NULL;
    }
    if (header->status != RPC_OK && header->status != RPC_ERROR) {
        (void)lvc_error_set(err, LVC_ERR_RPC, LVC_FROM_RPC, "Unexpected message status %u",
                            header->status);
        return NULL;
    }
    calls->in_flight--;
    if (call->state == RPC_CALL_ABANDONED) {
        call->state = RPC_CALL_ANSWERED;
        rpc_calls_remove(calls, call);
        lvc_error_clear(err);
        return NULL;
    }
    call->state = RPC_CALL_ANSWERED;
    call->status = header->status;
    call->payload = frame->payload;
    call->payload_len = frame->payload_len;
    return call;
}

bool rpc_calls_is_past(const struct rpc_calls *calls, uint32_t serial)
{
    /* Serials wrap around: the half before the next one is the past. */
    return calls->next_serial - serial - 1 <= INT32_MAX && rpc_calls_find(calls, serial) == NULL;
}

int rpc_call_keep(struct rpc_calls *calls, struct rpc_call *call, lvc_error *err)
{
    if (call->own == NULL && call->payload_len > 0) {
        call->own = lvc_malloc(call->payload_len);
        if (call->own == NULL) {
            return lvc_error_memory(err, LVC_FROM_RPC);
        }
        memcpy(call->own, call->payload, call->payload_len);
        call->payload = call->own;
        calls->stored += call->payload_len;
    }
    return 0;
}

void rpc_calls_abandon(struct rpc_calls *calls, struct rpc_call *call)
{
    call->owner = NULL;
    if (call->state == RPC_CALL_ANSWERED) {
        rpc_calls_remove(calls, call);
    } else {
        call->state = RPC_CALL_ABANDONED;
    }
}

void rpc_calls_remove(struct rpc_calls *calls, struct rpc_call *call)
{
    struct rpc_call **link = calls_bucket(calls, call->serial);

    while (*link != call) {
        link = &(*link)->next;
    }
    *link = call->next;
    calls->count--;
    if (call->state != RPC_CALL_ANSWERED) {
        calls->in_flight--;
    }
    if (call->own != NULL) {
        calls->stored -= call->payload_len;
    }
    call_free(call);
}
