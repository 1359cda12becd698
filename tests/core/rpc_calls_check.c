/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_calls_check.c: serials and their calls, keepalive, the queue: the parts without I/O.
 * Called by: test_checks.py.
 */
#include <unistd.h>

#include "base/base_alloc.h"
#include "check.h"
#include "rpc/rpc_calls.h"
#include "rpc/rpc_keepalive.h"
#include "rpc/rpc_queue.h"

static struct rpc_frame reply(const struct rpc_call *call, uint32_t status)
{
    static const uint8_t payload[4] = {1, 2, 3, 4};
    struct rpc_frame frame = {
        .header = {.program = call->program,
                   .version = call->version,
                   .procedure = call->procedure,
                   .type = RPC_REPLY,
                   .serial = call->serial,
                   .status = status},
        .payload = payload,
        .payload_len = sizeof(payload),
    };

    return frame;
}

static void calls_are_found_by_serial_in_any_order(void)
{
    enum { COUNT = 1000 };
    static struct rpc_call *made[COUNT];
    struct rpc_calls calls;
    struct rpc_frame frame;
    lvc_error err;
    int i;

    CHECK(rpc_calls_init(&calls, COUNT, &err) == 0);
    calls.next_serial = UINT32_MAX - 10; /* over the edge on the way */
    for (i = 0; i < COUNT; i++) {
        CHECK(rpc_calls_room(&calls) == (uint32_t)(COUNT - i));
        made[i] = rpc_calls_add(&calls, 1, 1, 5, &err);
        CHECK(made[i] != NULL && made[i]->serial == UINT32_MAX - 10 + (uint32_t)i);
    }
    CHECK(rpc_calls_room(&calls) == 0);
    for (i = 0; i < COUNT; i++) {
        CHECK(rpc_calls_find(&calls, made[i]->serial) == made[i]);
    }
    for (i = 0; i < COUNT; i++) {
        struct rpc_call *call = made[(i * 7) % COUNT]; /* 7 and 1000 share no divisor */

        frame = reply(call, RPC_OK);
        CHECK(rpc_calls_answer(&calls, &frame, &err) == call);
        CHECK(call->state == RPC_CALL_ANSWERED && call->payload == frame.payload);
        CHECK(rpc_call_keep(&calls, call, &err) == 0);
        CHECK(call->payload != frame.payload && memcmp(call->payload, frame.payload, 4) == 0);
        CHECK(calls.stored == 4);
        CHECK(rpc_calls_answer(&calls, &frame, &err) == NULL && err.code == LVC_ERR_RPC);
        rpc_calls_remove(&calls, call);
        CHECK(calls.stored == 0);
    }
    CHECK(calls.count == 0 && calls.in_flight == 0);
    rpc_calls_clear(&calls);
    CHECK(lvc_alloc_live() == 0);
}

static void abandoned_call_counts_until_its_reply(void)
{
    struct rpc_calls calls;
    struct rpc_call *call;
    struct rpc_frame frame;
    lvc_error err;

    CHECK(rpc_calls_init(&calls, 1, &err) == 0);
    call = rpc_calls_add(&calls, 1, 1, 5, &err);
    frame = reply(call, RPC_OK);
    rpc_calls_abandon(&calls, call);
    CHECK(rpc_calls_room(&calls) == 0 && calls.count == 1);
    err.code = 99;
    CHECK(!rpc_calls_is_past(&calls, 0) && !rpc_calls_is_past(&calls, 1));
    CHECK(rpc_calls_answer(&calls, &frame, &err) == NULL && err.code == 0);
    CHECK(rpc_calls_is_past(&calls, 0) && !rpc_calls_is_past(&calls, 1));
    CHECK(rpc_calls_room(&calls) == 1 && calls.count == 0);
    CHECK(rpc_calls_answer(&calls, &frame, &err) == NULL && err.code == LVC_ERR_RPC);
    CHECK_TEXT("no call waiting for reply with prog 1 vers 1 serial 0", err.message);
    call = rpc_calls_add(&calls, 1, 1, 5, &err);
    frame = reply(call, RPC_OK);
    CHECK(rpc_calls_answer(&calls, &frame, &err) == call);
    rpc_calls_abandon(&calls, call); /* answered meanwhile: gone at once */
    CHECK(calls.count == 0 && calls.in_flight == 0);
    CHECK(rpc_calls_add(&calls, 1, 1, 5, &err) != NULL);
    rpc_calls_clear(&calls);
    CHECK(lvc_alloc_live() == 0);
}

static void wrong_replies_are_faults(void)
{
    struct rpc_calls calls;
    struct rpc_call *call;
    struct rpc_frame frame;
    lvc_error err;

    CHECK(rpc_calls_init(&calls, 0, &err) == 0 && calls.max_in_flight == 1);
    call = rpc_calls_add(&calls, 1, 1, 5, &err);
    frame = reply(call, RPC_CONTINUE);
    CHECK(rpc_calls_answer(&calls, &frame, &err) == NULL);
    CHECK_TEXT("Unexpected message status 2", err.message);
    frame = reply(call, RPC_ERROR);
    frame.header.procedure = 6;
    CHECK(rpc_calls_answer(&calls, &frame, &err) == NULL && err.code == LVC_ERR_INTERNAL_ERROR);
    frame = reply(call, RPC_ERROR);
    frame.header.version = 2;
    CHECK(rpc_calls_answer(&calls, &frame, &err) == NULL && err.code == LVC_ERR_RPC);
    frame = reply(call, RPC_ERROR);
    frame.header.program = 2;
    CHECK(rpc_calls_answer(&calls, &frame, &err) == NULL && err.code == LVC_ERR_RPC);
    CHECK(calls.in_flight == 1);
    frame = reply(call, RPC_ERROR);
    CHECK(rpc_calls_answer(&calls, &frame, &err) == call && call->status == RPC_ERROR);
    rpc_calls_clear(&calls);
    CHECK(lvc_alloc_live() == 0);
}

static void descriptors_of_a_call_are_closed_with_it(void)
{
    struct rpc_calls calls;
    struct rpc_call *call;
    lvc_error err;
    int ends[2];

    CHECK(pipe(ends) == 0);
    CHECK(rpc_calls_init(&calls, 4, &err) == 0);
    call = rpc_calls_add(&calls, 1, 1, 5, &err);
    call->fds = lvc_malloc(sizeof(int));
    call->fds[0] = ends[1];
    call->nfds = 1;
    rpc_calls_clear(&calls);
    CHECK(close(ends[1]) == -1);
    CHECK(close(ends[0]) == 0);
    CHECK(lvc_alloc_live() == 0);
}

/* Time in ms -> what the keepalive does, with an interval of 10 and 2 PINGs. */
static void keepalive_follows_its_table(void)
{
    static const struct {
        int64_t now_ms;
        int received;
        enum rpc_keepalive_action action;
        int64_t next_ms;
    } rows[] = {
        {0, 0, RPC_KEEPALIVE_WAIT, 10},       {9, 0, RPC_KEEPALIVE_WAIT, 10},
        {10, 0, RPC_KEEPALIVE_SEND_PING, 20}, {12, 0, RPC_KEEPALIVE_WAIT, 20},
        {15, 1, RPC_KEEPALIVE_WAIT, 25},      {25, 0, RPC_KEEPALIVE_SEND_PING, 35},
        {40, 0, RPC_KEEPALIVE_SEND_PING, 50}, {49, 0, RPC_KEEPALIVE_WAIT, 50},
        {50, 0, RPC_KEEPALIVE_DEAD, -1},
    };
    struct rpc_keepalive keepalive = {0};
    int64_t next_ms;
    size_t i;

    CHECK(rpc_keepalive_tick(&keepalive, 5, &next_ms) == RPC_KEEPALIVE_WAIT && next_ms == -1);
    rpc_keepalive_start(&keepalive, 10, 2, 0);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].received) {
            rpc_keepalive_received(&keepalive, rows[i].now_ms);
        }
        CHECK(rpc_keepalive_tick(&keepalive, rows[i].now_ms, &next_ms) == rows[i].action);
        CHECK(next_ms == rows[i].next_ms);
    }
    rpc_keepalive_start(&keepalive, 10, 0, 0); /* without PINGs: closed after one silent interval */
    CHECK(rpc_keepalive_tick(&keepalive, 10, &next_ms) == RPC_KEEPALIVE_DEAD);
}

static void queue_keeps_order_and_count(void)
{
    struct rpc_queue queue = {0};
    struct rpc_item *item;
    int i;

    for (i = 0; i < 10; i++) {
        item = rpc_queue_put(&queue, (const uint8_t *)&i, i % 2 ? sizeof(i) : 0);
        CHECK(item != NULL && item->hole == -1);
        item->procedure = (uint32_t)i;
    }
    CHECK(queue.count == 10 && queue.bytes == 10 * sizeof(*item) + 5 * sizeof(i));
    for (i = 0; i < 5; i++) {
        item = rpc_queue_take(&queue);
        CHECK(item->procedure == (uint32_t)i && item->len == (i % 2 ? sizeof(i) : 0));
        lvc_free(item);
    }
    rpc_queue_clear(&queue);
    CHECK(queue.bytes == 0 && queue.count == 0 && rpc_queue_take(&queue) == NULL);
    CHECK(lvc_alloc_live() == 0);
}

int main(void)
{
    calls_are_found_by_serial_in_any_order();
    abandoned_call_counts_until_its_reply();
    wrong_replies_are_faults();
    descriptors_of_a_call_are_closed_with_it();
    keepalive_follows_its_table();
    queue_keeps_order_and_count();
    return 0;
}
