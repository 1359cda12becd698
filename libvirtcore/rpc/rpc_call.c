/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_call.c: the operations: a call from arguments to result, pipelined calls, pump, events.
 * Called by: Python, one function per operation. Calls: xdr_codec, rpc_wait, rpc_send, rpc_calls.
 * Never: encodes or decodes under the lock.
 *
 * An operation that has to pause (signals, events) returns LVC_AGAIN and goes on in lvc_slot_resume
 * where it stood; all it needs is in its slot.
 */
#include "rpc/rpc_client.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/base_alloc.h"
#include "base/base_clock.h"
#include "generated/tables.h"
#include "xdr/xdr_codec.h"

/* A slot that a huge answer made large gives the memory back before the next operation. */
#define SLOT_KEEP ((size_t)4 << 20)

const uint8_t *lvc_slot_data(const lvc_slot *slot)
{
    return slot->result.data;
}

size_t lvc_slot_room(const lvc_slot *slot)
{
    return slot->result.room;
}

const lvc_report *lvc_slot_report(const lvc_slot *slot)
{
    return &slot->report;
}

static void slot_drop_fds(struct lvc_slot *slot)
{
    while (slot->report.nfds > 0) {
        (void)close(slot->fds[--slot->report.nfds]);
    }
}

static void slot_drop_out_fds(struct lvc_slot *slot)
{
    while (slot->out_nfds > 0) {
        (void)close(slot->out_fds[--slot->out_nfds]);
    }
}

void lvc_slot_take_fds(lvc_slot *slot, int *fds)
{
    memcpy(fds, slot->fds, slot->report.nfds * sizeof(int));
    slot->report.nfds = 0;
}

lvc_stream *lvc_slot_take_stream(lvc_slot *slot)
{
    struct lvc_stream *stream = slot->opening;

    slot->opening = NULL;
    return stream;
}

void rpc_slot_reset(struct lvc_slot *slot)
{
    slot_drop_fds(slot);
    slot_drop_out_fds(slot);
    if (slot->opening != NULL) {
        lvc_stream_free(slot->opening);
        slot->opening = NULL;
    }
    slot->report.error.code = LVC_ERR_OK;
    slot->report.sent = 0;
    slot->report.received = 0;
    slot->report.number = 0;
    slot->out.len = 0;
    slot->result.len = 0;
    slot->call = NULL;
    slot->stream = NULL;
    slot->procedure = NULL;
    slot->nonblock = false;
    slot->pipelined = false;
    slot->triples = false;
    if (slot->out.room > SLOT_KEEP) {
        lvc_buf_clear(&slot->out);
    }
    if (slot->result.room > SLOT_KEEP) {
        lvc_buf_clear(&slot->result);
    }
}

int rpc_slot_outcome(struct lvc_slot *slot, int outcome)
{
    if (slot->result.data != slot->shown || slot->result.room != slot->shown_room) {
        slot->shown = slot->result.data;
        slot->shown_room = slot->result.room;
        outcome |= LVC_MOVED;
    }
    return outcome;
}

/* Now, for clients that want to know. */
static int64_t op_clock(const struct lvc_slot *slot)
{
    return slot->client->keeps_times ? lvc_clock_ns() : 0;
}

/* What the operation had begun is undone as far as it can be. Lock held. */
static void op_give_up(struct lvc_slot *slot)
{
    if (slot->call != NULL) {
        rpc_calls_abandon(&slot->client->calls, slot->call);
        slot->call = NULL;
    }
    if (slot->opening != NULL) {
        rpc_stream_dispose(slot->opening);
        slot->opening = NULL;
    }
    rpc_op_end(slot);
    rpc_head_leave(slot);
}

/* A loop whose socket is readable calls pump while another thread is about to read: coming back
 * before it has would make the loop spin. */
#define PUMP_YIELD_MS 2

/* ---- the call as it goes out ---- */

/* Marshal bytes -> a whole message in slot->out, but for the serial. */
static int call_encode(struct lvc_slot *slot, const uint8_t *args, size_t args_len,
                       lvc_error *err)
{
    size_t prefix = RPC_PREFIX_BYTES + (slot->out_nfds > 0 ? 4U : 0U);

    if (lvc_buf_reserve(&slot->out, prefix, err) < 0) {
        return -1;
    }
    slot->out.len = prefix;
    if (slot->out_nfds > 0) {
        rpc_u32_encode(slot->out_nfds, slot->out.data + RPC_PREFIX_BYTES);
    }
    if (args == NULL && slot->procedure->args == 0) {
        return 0;
    }
    return lvc_xdr_encode(slot->procedure->args, args, args_len, &slot->out, err);
}

/* There is room for one more call: give it a serial and send it. Lock held. */
static int call_send(struct lvc_slot *slot)
{
    struct lvc_client *client = slot->client;
    struct rpc_header header;
    struct rpc_call *call;

    if (slot->pipelined && client->calls.stored > RPC_STORED_MAX) {
        (void)lvc_error_set(&slot->report.error, LVC_ERR_RPC, LVC_FROM_RPC,
                            "%zu bytes of answers wait to be fetched, limit %zu",
                            client->calls.stored, RPC_STORED_MAX);
        return -1;
    }
    call = rpc_calls_add(&client->calls, slot->report.program,
                         rpc_program_find(slot->report.program)->version,
                         slot->report.procedure, &slot->report.error);
    if (call == NULL) {
        return -1;
    }
    header.program = call->program;
    header.version = call->version;
    header.procedure = call->procedure;
    header.type = slot->out_nfds > 0 ? RPC_CALL_WITH_FDS : RPC_CALL;
    header.serial = call->serial;
    header.status = RPC_OK;
    rpc_header_encode(&header, (uint32_t)slot->out.len, slot->out.data);
    if (slot->opening != NULL) {
        rpc_stream_link(slot->opening, call);
    }
    /* A broken connection shows in the wait that follows. */
    (void)rpc_send(client, slot->out.data, slot->out.len, NULL, 0, slot->out_fds, slot->out_nfds,
                   false);
    slot_drop_out_fds(slot);
    client->stats.calls++;
    slot->report.serial = call->serial;
    slot->report.sent = slot->out.len;
    call->sent = slot->out.len;
    slot->report.sent_ns = op_clock(slot);
    slot->call = call;
    if (slot->pipelined) {
        slot->op = RPC_OP_FLUSH;
    } else {
        call->owner = slot;
        slot->op = RPC_OP_REPLY;
    }
    return 0;
}

/* ---- the answer as it comes in ---- */

/* The call is answered: decode, outside the lock. Ends the operation. */
static int call_finish(struct lvc_slot *slot)
{
    struct lvc_client *client = slot->client;
    struct rpc_call *call = slot->call;
    bool failed = call->status == RPC_ERROR;
    uint32_t type = failed ? lvc_type_net_error : slot->procedure->ret;
    uint32_t flags = client->codec_flags & ~(slot->triples ? (uint32_t)LVC_DECODE_DICT : 0U);
    int outcome = 0;

    slot->report.answered_ns = op_clock(slot);
    rpc_client_unlock(client);
    slot->report.received = RPC_PREFIX_BYTES + call->payload_len;
    if (lvc_xdr_decode(type, call->payload, call->payload_len, flags, &slot->result,
                       &slot->report.error) < 0) {
        outcome = LVC_FAILED;
    } else if (type != 0) {
        outcome = failed ? LVC_VALUE | LVC_REMOTE : LVC_VALUE;
    }
    rpc_client_lock(client);
    if (outcome != LVC_FAILED && call->nfds > 0) {
        memcpy(slot->fds, call->fds, call->nfds * sizeof(int));
        slot->report.nfds = call->nfds;
        call->nfds = 0;
    }
    rpc_calls_remove(&client->calls, call);
    slot->call = NULL;
    if (slot->opening != NULL && (outcome & (LVC_FAILED | LVC_REMOTE)) != 0) {
        rpc_stream_dispose(slot->opening);
        slot->opening = NULL;
    }
    rpc_op_end(slot);
    rpc_head_leave(slot);
    return outcome;
}

/* ---- the operation as a whole ---- */

static int op_step(struct lvc_slot *slot, int64_t slice_ms)
{
    int outcome = rpc_op_wait(slot, slice_ms);

    if (outcome == LVC_AGAIN) {
        return LVC_AGAIN;
    }
    if (outcome != 0) {
        op_give_up(slot);
        return outcome;
    }
    switch (slot->op) {
    case RPC_OP_ROOM:
        if (call_send(slot) < 0) {
            op_give_up(slot);
            return LVC_FAILED;
        }
        return -1;
    case RPC_OP_REPLY:
        return call_finish(slot);
    case RPC_OP_RECV:
    case RPC_OP_HOLE:
    case RPC_OP_CONFIRM:
        outcome = rpc_stream_run(slot);
        break;
    case RPC_OP_PUMP:
        slot->nonblock = true; /* something came; now the rest of it */
        return -1;
    case RPC_OP_FLUSH:
        slot->call = NULL; /* all of it is out; lvc_client_wait will ask for it */
        break;
    case RPC_OP_NONE:
        break;
    }
    op_give_up(slot);
    return outcome;
}

int rpc_op_run(struct lvc_slot *slot, int64_t slice_ms)
{
    struct lvc_client *client = slot->client;
    int outcome;

    do {
        outcome = op_step(slot, slice_ms);
    } while (outcome < 0);
    if (client->activity) {
        client->activity = false;
        outcome |= LVC_ACTIVITY;
    }
    return outcome;
}

int rpc_call_start(struct lvc_slot *slot, uint32_t program, uint32_t procedure,
                   const uint8_t *args, size_t args_len, const int *fds, uint32_t nfds,
                   bool pipelined, int64_t timeout_ms)
{
    struct lvc_client *client = slot->client;
    lvc_error *err = &slot->report.error;
    int outcome;
    uint32_t i;

    slot->report.program = program;
    slot->report.procedure = procedure;
    slot->pipelined = pipelined;
    slot->procedure = rpc_procedure_find(rpc_program_find(program), procedure);
    if (slot->procedure == NULL) {
        (void)lvc_error_set(err, LVC_ERR_INTERNAL_ERROR, LVC_FROM_RPC,
                            "program 0x%08x has no procedure %u", program, procedure);
        return LVC_FAILED;
    }
    if (nfds > LVC_NET_MESSAGE_NUM_FDS_MAX) {
        (void)lvc_error_set(err, LVC_ERR_RPC, LVC_FROM_RPC,
                            "Too many FDs to send %u, expected %u maximum", nfds,
                            (unsigned)LVC_NET_MESSAGE_NUM_FDS_MAX);
        return LVC_FAILED;
    }
    if (nfds > 0 && !client->passes_fds) {
        (void)lvc_error_set(err, LVC_ERR_INTERNAL_ERROR, LVC_FROM_RPC,
                            "Sending file descriptors is not supported on this socket");
        return LVC_FAILED;
    }
    for (i = 0; i < nfds; i++) {
        slot->out_fds[i] = rpc_fd_copy(fds[i]);
        if (slot->out_fds[i] < 0) {
            (void)lvc_error_system(err, LVC_FROM_RPC, errno, "Cannot duplicate FD %d", fds[i]);
            return LVC_FAILED;
        }
        slot->out_nfds++;
    }
    if (call_encode(slot, args, args_len, err) < 0) {
        return LVC_FAILED;
    }
    rpc_client_lock(client);
    slot->report.encoded_ns = op_clock(slot);
    if (rpc_client_check_open(client, err) < 0) {
        outcome = LVC_FAILED;
    } else {
        rpc_op_begin(slot, RPC_OP_ROOM, timeout_ms);
        outcome = rpc_op_run(slot, RPC_SLICE_MS);
    }
    rpc_client_unlock(client);
    return outcome;
}

int lvc_client_call(lvc_slot *slot, uint32_t program, uint32_t procedure, const uint8_t *args,
                    size_t args_len, int64_t timeout_ms)
{
    rpc_slot_reset(slot);
    return rpc_slot_outcome(slot, rpc_call_start(slot, program, procedure, args, args_len, NULL, 0,
                                                 false, timeout_ms));
}

int lvc_client_call_fds(lvc_slot *slot, uint32_t program, uint32_t procedure, const uint8_t *args,
                        size_t args_len, const int *fds, uint32_t nfds, int64_t timeout_ms)
{
    rpc_slot_reset(slot);
    return rpc_slot_outcome(slot, rpc_call_start(slot, program, procedure, args, args_len, fds,
                                                 nfds, false, timeout_ms));
}

int lvc_client_submit(lvc_slot *slot, uint32_t program, uint32_t procedure, const uint8_t *args,
                      size_t args_len, int64_t timeout_ms)
{
    rpc_slot_reset(slot);
    return rpc_slot_outcome(slot, rpc_call_start(slot, program, procedure, args, args_len, NULL, 0,
                                                 true, timeout_ms));
}

int lvc_client_wait(lvc_slot *slot, uint32_t serial, int triples, int64_t timeout_ms)
{
    struct lvc_client *client = slot->client;
    struct rpc_call *call;
    int outcome = LVC_FAILED;

    rpc_slot_reset(slot);
    slot->triples = triples != 0;
    rpc_client_lock(client);
    call = rpc_calls_find(&client->calls, serial);
    if (call == NULL || call->owner != NULL || call->state == RPC_CALL_ABANDONED) {
        (void)lvc_error_set(&slot->report.error, LVC_ERR_INVALID_ARG, LVC_FROM_RPC,
                            "no call with serial %u was submitted", serial);
    } else {
        slot->report.program = call->program;
        slot->report.procedure = call->procedure;
        slot->report.serial = serial;
        slot->report.sent = call->sent;
        slot->procedure = rpc_procedure_find(rpc_program_find(call->program), call->procedure);
        slot->call = call;
        call->owner = slot;
        rpc_op_begin(slot, RPC_OP_REPLY, timeout_ms);
        outcome = rpc_op_run(slot, RPC_SLICE_MS);
    }
    rpc_client_unlock(client);
    return rpc_slot_outcome(slot, outcome);
}

int lvc_slot_resume(lvc_slot *slot, int64_t slice_ms)
{
    struct lvc_client *client = slot->client;
    int outcome;

    rpc_client_lock(client);
    outcome = rpc_op_run(slot, slice_ms);
    rpc_client_unlock(client);
    return rpc_slot_outcome(slot, outcome);
}

void lvc_slot_abandon(lvc_slot *slot)
{
    if (!rpc_client_is_forked(slot->client)) {
        rpc_client_lock(slot->client);
        op_give_up(slot);
        rpc_client_unlock(slot->client);
    }
}

int lvc_client_pump(lvc_slot *slot, int64_t timeout_ms)
{
    struct lvc_client *client = slot->client;
    int outcome = LVC_FAILED;

    rpc_slot_reset(slot);
    rpc_client_lock(client);
    if (timeout_ms == 0 && client->head != NULL) {
        timeout_ms = PUMP_YIELD_MS;
    }
    slot->nonblock = timeout_ms == 0;
    if (client->closed == LVC_OPEN && client->unsent != NULL) {
        rpc_send_rest(client);
        rpc_wake_ready(client);
    }
    if (client->closed == LVC_OPEN) {
        rpc_op_begin(slot, RPC_OP_PUMP, timeout_ms);
        outcome = rpc_op_run(slot, RPC_SLICE_MS);
    } else if (client->activity) {
        client->activity = false;
        outcome |= LVC_ACTIVITY;
    }
    rpc_client_unlock(client);
    return rpc_slot_outcome(slot, outcome);
}

int lvc_client_next_event(lvc_slot *slot)
{
    struct lvc_client *client = slot->client;
    struct rpc_item *item;
    int outcome = 0;

    rpc_slot_reset(slot);
    while (outcome == 0) {
        rpc_client_lock(client);
        item = rpc_queue_take(&client->events);
        rpc_client_unlock(client);
        if (item == NULL) {
            break;
        }
        slot->report.program = item->program;
        slot->report.procedure = item->procedure;
        slot->procedure = rpc_procedure_find(rpc_program_find(item->program), item->procedure);
        if (lvc_xdr_decode(slot->procedure->args, item->data, item->len, client->codec_flags,
                           &slot->result, &slot->report.error) == 0) {
            outcome = LVC_VALUE;
        } else {
            rpc_client_lock(client);
            client->stats.events_dropped++;
            rpc_client_unlock(client);
        }
        lvc_free(item);
    }
    return rpc_slot_outcome(slot, outcome);
}
