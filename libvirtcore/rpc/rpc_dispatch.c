/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_dispatch.c: every message that came goes to its owner.
 * Called by: rpc_wait, in the thread that reads for all. Calls: rpc_frame, rpc_calls, rpc_stream.
 * Never: decodes a payload; whoever fetches it does, outside the lock.
 *
 * What a newer daemon may do (unknown events) is ignored; what none does closes the connection.
 */
#include "rpc/rpc_client.h"

#include <string.h>
#include <unistd.h>

#include "base/base_alloc.h"
#include "generated/tables.h"

#define KIND_EVENT 2

const struct lvc_program *rpc_program_find(uint32_t number)
{
    size_t i;

    for (i = 0; i < lvc_programs_len; i++) {
        if (lvc_programs[i].number == number) {
            return &lvc_programs[i];
        }
    }
    return NULL;
}

const struct lvc_procedure *rpc_procedure_find(const struct lvc_program *program, uint32_t number)
{
    if (program == NULL || number > program->count || program->procedures[number].kind == 0) {
        return NULL;
    }
    return &program->procedures[number];
}

/* The descriptors that came with a message; a null pointer with nfds 0 when there were none. */
static int frame_take_fds(struct lvc_client *client, const struct rpc_frame *frame, int **fds_out,
                          lvc_error *err)
{
    int *fds;

    *fds_out = NULL;
    if (frame->nfds == 0) {
        return 0;
    }
    if (client->in_nfds < frame->nfds) {
        return lvc_error_set(err, LVC_ERR_RPC, LVC_FROM_RPC,
                             "%u descriptors were announced, %u came", frame->nfds,
                             client->in_nfds);
    }
    fds = lvc_malloc(frame->nfds * sizeof(int));
    if (fds == NULL) {
        return lvc_error_memory(err, LVC_FROM_RPC);
    }
    memcpy(fds, client->in_fds, frame->nfds * sizeof(int));
    client->in_nfds -= frame->nfds;
    memmove(client->in_fds, client->in_fds + frame->nfds, client->in_nfds * sizeof(int));
    *fds_out = fds;
    return 0;
}

static void fds_drop(int *fds, uint32_t nfds)
{
    uint32_t i;

    for (i = 0; fds != NULL && i < nfds; i++) {
        (void)close(fds[i]);
    }
    lvc_free(fds);
}

/* A stream was opened for somebody who has given up: the daemon need not send it. */
static void stream_refuse(struct lvc_client *client, const struct rpc_header *reply)
{
    const struct lvc_procedure *procedure =
        rpc_procedure_find(rpc_program_find(reply->program), reply->procedure);
    struct rpc_header header = *reply;

    if (procedure != NULL && procedure->stream != 0 && reply->status == RPC_OK) {
        header.type = RPC_STREAM;
        header.status = RPC_ERROR;
        (void)rpc_send_header(client, &header);
    }
}

/* A daemon that cannot make a hole says so as if the call that opened the stream were answered again.
 */
static bool reply_is_for_stream(const struct lvc_client *client, const struct rpc_header *header)
{
    const struct lvc_procedure *procedure;

    if (header->type != RPC_REPLY || header->status != RPC_ERROR ||
        !rpc_calls_is_past(&client->calls, header->serial)) {
        return false;
    }
    procedure = rpc_procedure_find(rpc_program_find(header->program), header->procedure);
    return procedure != NULL && procedure->stream != 0;
}

static int dispatch_reply(struct lvc_client *client, const struct lvc_slot *reader,
                          const struct rpc_frame *frame, lvc_error *err)
{
    struct rpc_call *call;
    int *fds;

    if (reply_is_for_stream(client, &frame->header)) {
        rpc_stream_message(client, frame);
        return 0;
    }
    if (frame_take_fds(client, frame, &fds, err) < 0) {
        return -1;
    }
    call = rpc_calls_answer(&client->calls, frame, err);
    if (call == NULL) {
        fds_drop(fds, frame->nfds);
        if (err->code != LVC_ERR_OK) {
            return -1;
        }
        client->stats.late_replies++;
        stream_refuse(client, &frame->header);
        return 0;
    }
    client->stats.replies++;
    call->fds = fds;
    call->nfds = frame->nfds;
    if (call->owner == reader) {
        return 0; /* it is decoded where it stands */
    }
    return rpc_call_keep(&client->calls, call, err);
}

static int dispatch_event(struct lvc_client *client, const struct rpc_frame *frame, lvc_error *err)
{
    const struct rpc_header *header = &frame->header;
    const struct lvc_program *program = rpc_program_find(header->program);
    const struct lvc_procedure *procedure = rpc_procedure_find(program, header->procedure);
    struct rpc_item *item;

    if (program == NULL || program->version != header->version) {
        return lvc_error_set(err, LVC_ERR_RPC, LVC_FROM_RPC,
                             "no program found for event with prog %u vers %u", header->program,
                             header->version);
    }
    if (procedure == NULL || procedure->kind != KIND_EVENT || header->status != RPC_OK) {
        client->stats.events_dropped++;
        return 0;
    }
    if (client->events.bytes + sizeof(*item) + frame->payload_len > RPC_EVENTS_MAX) {
        return lvc_error_set(err, LVC_ERR_RPC, LVC_FROM_RPC,
                             "%zu events of %zu bytes wait to be fetched, limit %zu bytes",
                             client->events.count, client->events.bytes, RPC_EVENTS_MAX);
    }
    item = rpc_queue_put(&client->events, frame->payload, frame->payload_len);
    if (item == NULL) {
        return lvc_error_memory(err, LVC_FROM_RPC);
    }
    item->program = header->program;
    item->procedure = header->procedure;
    client->stats.events++;
    client->activity = true;
    return 0;
}

static int dispatch_keepalive(struct lvc_client *client, const struct rpc_header *header,
                              lvc_error *err)
{
    const struct rpc_header pong = {
        .program = LVC_KEEPALIVE_PROGRAM,
        .version = LVC_KEEPALIVE_PROTOCOL_VERSION,
        .procedure = RPC_KEEPALIVE_PONG,
        .type = RPC_MESSAGE,
    };

    if (header->version != LVC_KEEPALIVE_PROTOCOL_VERSION ||
        (header->procedure != RPC_KEEPALIVE_PING && header->procedure != RPC_KEEPALIVE_PONG)) {
        return lvc_error_set(err, LVC_ERR_RPC, LVC_FROM_RPC,
                             "unexpected keepalive message vers %u proc %u", header->version,
                             header->procedure);
    }
    if (header->procedure == RPC_KEEPALIVE_PING) {
        client->stats.pings++;
        /* A peer that asks without reading does not fill our memory: one answer waits for all. */
        if (!client->pong_waits) {
            if (rpc_send_header(client, &pong) == 0) {
                client->pong_waits = client->unsent != NULL;
            }
        }
    }
    return 0;
}

static int dispatch_frame(struct lvc_client *client, const struct lvc_slot *reader,
                          const struct rpc_frame *frame, lvc_error *err)
{
    const struct rpc_header *header = &frame->header;

    switch (header->type) {
    case RPC_REPLY:
    case RPC_REPLY_WITH_FDS:
        return dispatch_reply(client, reader, frame, err);
    case RPC_MESSAGE:
        if (header->program == LVC_KEEPALIVE_PROGRAM) {
            return dispatch_keepalive(client, header, err);
        }
        return dispatch_event(client, frame, err);
    case RPC_STREAM:
    case RPC_STREAM_HOLE:
        rpc_stream_message(client, frame);
        return 0;
    default:
        return lvc_error_set(err, LVC_ERR_RPC, LVC_FROM_RPC,
                             "got unexpected RPC call prog %u vers %u proc %u type %u",
                             header->program, header->version, header->procedure, header->type);
    }
}

void rpc_dispatch(struct lvc_client *client, struct lvc_slot *reader)
{
    struct rpc_frame frame;
    lvc_error why;
    int rc = 0;

    while (client->closed == LVC_OPEN && (rc = rpc_framer_next(&client->framer, &frame, &why)) > 0) {
        rc = dispatch_frame(client, reader, &frame, &why);
        if (rc < 0) {
            break;
        }
    }
    if (rc == 0 && client->in_nfds > 0 && client->closed == LVC_OPEN &&
        !rpc_framer_awaits_fds(&client->framer)) {
        rc = lvc_error_set(&why, LVC_ERR_RPC, LVC_FROM_RPC,
                           "%u descriptors came that belong to no message", client->in_nfds);
    }
    if (rc < 0) {
        rpc_client_fail(client, LVC_CLOSED_ERROR, &why);
    }
}
