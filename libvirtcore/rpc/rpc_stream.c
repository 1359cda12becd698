/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_stream.c: bytes and holes that flow beside the calls.
 * Called by: Python (the lvc_stream functions), rpc_dispatch (what came). Calls: rpc_call, rpc_send.
 * Never: sends more than an old daemon takes in one message.
 *
 * Messages of a stream carry procedure and serial of the call that opened it. CONTINUE is data (empty:
 * the end of it), OK asks for the end or confirms it, ERROR aborts. Whoever asked waits for OK or
 * ERROR and ignores what still comes before.
 */
#include "rpc/rpc_client.h"

#include <string.h>

#include "base/base_alloc.h"
#include "generated/tables.h"
#include "xdr/xdr_codec.h"

#define STREAM_PAYLOAD_MAX LVC_NET_MESSAGE_LEGACY_PAYLOAD_MAX
#define STREAM_READ_MAX ((size_t)1 << 20) /* at once */
#define STREAM_HOLE_BYTES 12 /* int64 length, uint32 flags */

enum stream_poll {
    STREAM_READABLE = 1,
    STREAM_WRITABLE = 2,
    STREAM_ERROR = 4,
    STREAM_HANGUP = 8,
};

/* ---- life ---- */

static struct lvc_stream *stream_new(struct lvc_client *client)
{
    struct lvc_stream *stream = lvc_calloc(1, sizeof(*stream));

    if (stream != NULL) {
        stream->client = client;
        rpc_client_lock(client);
        client->references++;
        rpc_client_unlock(client);
    }
    return stream;
}

void rpc_stream_link(struct lvc_stream *stream, const struct rpc_call *call)
{
    struct lvc_client *client = stream->client;

    stream->program = call->program;
    stream->version = call->version;
    stream->procedure = call->procedure;
    stream->serial = call->serial;
    stream->linked = true;
    stream->next = client->streams;
    client->streams = stream;
}

static void stream_unlink(struct lvc_stream *stream)
{
    struct lvc_stream **link = &stream->client->streams;

    if (stream->linked) {
        while (*link != stream) {
            link = &(*link)->next;
        }
        *link = stream->next;
        stream->linked = false;
    }
}

static void stream_free_memory(struct lvc_stream *stream)
{
    rpc_queue_clear(&stream->in);
    lvc_free(stream->error_data);
    lvc_free(stream);
}

/* Lock held, so never the last reference: the slot has one, too. */
void rpc_stream_dispose(struct lvc_stream *stream)
{
    stream_unlink(stream);
    stream->client->references--;
    stream_free_memory(stream);
}

static int stream_send_control(struct lvc_stream *stream, enum rpc_status status)
{
    const struct rpc_header header = {
        .program = stream->program,
        .version = stream->version,
        .procedure = stream->procedure,
        .type = RPC_STREAM,
        .serial = stream->serial,
        .status = status,
    };

    return rpc_send_header(stream->client, &header);
}

void lvc_stream_drop(lvc_stream *stream)
{
    struct lvc_client *client = stream->client;

    if (rpc_client_is_forked(client)) {
        return;
    }
    rpc_client_lock(client);
    if (stream->linked && !stream->closed && !stream->failed && !stream->finishing) {
        (void)stream_send_control(stream, RPC_ERROR);
    }
    stream->closed = true;
    stream_unlink(stream);
    rpc_client_unlock(client);
}

void lvc_stream_free(lvc_stream *stream)
{
    struct lvc_client *client;

    if (stream != NULL) {
        client = stream->client;
        lvc_stream_drop(stream);
        stream_free_memory(stream);
        rpc_client_release(client);
    }
}

/* ---- what came ---- */

static void stream_fail(struct lvc_stream *stream, const lvc_error *why)
{
    if (!stream->failed) {
        stream->failed = true;
        stream->error = *why;
    }
    rpc_queue_clear(&stream->in);
}

static void stream_put(struct lvc_stream *stream, const struct rpc_frame *frame, int64_t hole)
{
    struct rpc_item *item;
    lvc_error why;

    if (stream->finishing || stream->failed || stream->ended) {
        return; /* nobody will read it */
    }
    if (stream->in.bytes + frame->payload_len > RPC_STREAM_MAX) {
        (void)lvc_error_set(&why, LVC_ERR_RPC, LVC_FROM_RPC,
                            "%zu bytes of the stream wait to be read, limit %zu",
                            stream->in.bytes, RPC_STREAM_MAX);
        (void)stream_send_control(stream, RPC_ERROR);
        stream_fail(stream, &why);
        return;
    }
    item = hole < 0 ? rpc_queue_put(&stream->in, frame->payload, frame->payload_len)
                    : rpc_queue_put(&stream->in, NULL, 0);
    if (item == NULL) {
        (void)lvc_error_memory(&why, LVC_FROM_RPC);
        (void)stream_send_control(stream, RPC_ERROR);
        stream_fail(stream, &why);
        return;
    }
    item->hole = hole;
}

static void stream_hole(struct lvc_stream *stream, const struct rpc_frame *frame)
{
    lvc_error why;
    uint64_t length;

    if (frame->payload_len != STREAM_HOLE_BYTES || frame->header.status != RPC_CONTINUE) {
        (void)lvc_error_set(&why, LVC_ERR_RPC, LVC_FROM_RPC, "malformed stream hole");
        stream_fail(stream, &why);
        return;
    }
    length = (uint64_t)rpc_u32_decode(frame->payload) << 32 | rpc_u32_decode(frame->payload + 4);
    if (length > INT64_MAX) {
        (void)lvc_error_set(&why, LVC_ERR_RPC, LVC_FROM_RPC,
                            "stream hole of negative length");
        stream_fail(stream, &why);
    } else if (length > 0) {
        stream_put(stream, frame, (int64_t)length);
    }
}

static void stream_remote_error(struct lvc_stream *stream, const struct rpc_frame *frame)
{
    lvc_error why;

    if (stream->failed) {
        return;
    }
    if (stream->finishing && frame->payload_len == 0) {
        stream->confirmed = true;
        return;
    }
    stream->error_data = lvc_malloc(frame->payload_len + 1);
    if (stream->error_data == NULL) {
        (void)lvc_error_memory(&why, LVC_FROM_RPC);
        stream_fail(stream, &why);
        return;
    }
    if (frame->payload_len > 0) {
        memcpy(stream->error_data, frame->payload, frame->payload_len);
    }
    stream->error_len = frame->payload_len;
    stream->failed = true;
}

/* Whether a blocked operation tells its thread about the stream; else Python is told. */
static bool stream_has_waiter(const struct lvc_stream *stream)
{
    const struct lvc_slot *slot;

    for (slot = stream->client->first; slot != NULL; slot = slot->next) {
        if (slot->stream == stream && !slot->nonblock) {
            return true;
        }
    }
    return false;
}

void rpc_stream_message(struct lvc_client *client, const struct rpc_frame *frame)
{
    const struct rpc_header *header = &frame->header;
    struct lvc_stream *stream = client->streams;
    lvc_error why;

    while (stream != NULL &&
           (stream->serial != header->serial || stream->procedure != header->procedure ||
            stream->program != header->program || stream->version != header->version)) {
        stream = stream->next;
    }
    if (stream == NULL) {
        client->stats.stream_dropped++; /* it was abandoned while this was under way */
        return;
    }
    client->stats.stream_messages++;
    if (header->type == RPC_STREAM_HOLE) {
        stream_hole(stream, frame);
    } else if (header->status == RPC_CONTINUE) {
        if (frame->payload_len == 0) {
            stream->ended = true;
        } else {
            stream_put(stream, frame, -1);
        }
    } else if (header->status == RPC_OK) {
        stream->confirmed = stream->finishing;
        stream->ended = true;
        stream->closed = true;
    } else if (header->status == RPC_ERROR) {
        stream_remote_error(stream, frame);
    } else {
        (void)lvc_error_set(&why, LVC_ERR_RPC, LVC_FROM_RPC, "Unexpected message status %u",
                            header->status);
        stream_fail(stream, &why);
    }
    if (!stream_has_waiter(stream)) {
        client->activity = true;
    }
}

/* ---- operations ---- */

bool rpc_stream_ready(const struct lvc_slot *slot)
{
    const struct lvc_stream *stream = slot->stream;

    if (slot->op == RPC_OP_CONFIRM) {
        return stream->confirmed || stream->failed;
    }
    return stream->in.first != NULL || stream->ended || stream->failed;
}

/* The stream's fault becomes the operation's. Lock held. */
static int stream_failure(struct lvc_slot *slot, const struct lvc_stream *stream)
{
    if (stream->error_data == NULL) {
        slot->report.error = stream->error;
        return LVC_FAILED;
    }
    if (lvc_xdr_decode(lvc_type_net_error, stream->error_data, stream->error_len,
                       slot->client->codec_flags, &slot->result, &slot->report.error) < 0) {
        return LVC_FAILED;
    }
    return LVC_VALUE | LVC_REMOTE;
}

/* Copy data, and holes as zeros unless it has to stop there. */
static int stream_copy(struct lvc_slot *slot, struct lvc_stream *stream)
{
    struct rpc_item *item = stream->in.first;
    size_t got = 0;
    size_t part;

    if (lvc_buf_reserve(&slot->result, slot->want, &slot->report.error) < 0) {
        return LVC_FAILED;
    }
    while (got < slot->want && (item = stream->in.first) != NULL) {
        part = slot->want - got;
        if (item->hole >= 0) {
            if (slot->stop_at_hole) {
                break;
            }
            if ((uint64_t)item->hole < part) {
                part = (size_t)item->hole;
            }
            memset(slot->result.data + got, 0, part);
            item->hole -= (int64_t)part;
            if (item->hole == 0) {
                lvc_free(rpc_queue_take(&stream->in));
            }
        } else {
            if (item->len - item->taken < part) {
                part = item->len - item->taken;
            }
            memcpy(slot->result.data + got, item->data + item->taken, part);
            item->taken += part;
            if (item->taken == item->len) {
                lvc_free(rpc_queue_take(&stream->in));
            }
        }
        got += part;
    }
    slot->result.len = got;
    slot->report.number = (int64_t)got;
    return got == 0 && item != NULL && slot->want > 0 ? LVC_HOLE : LVC_VALUE;
}

int rpc_stream_run(struct lvc_slot *slot)
{
    struct lvc_stream *stream = slot->stream;
    struct rpc_item *item = stream->in.first;

    if (slot->op == RPC_OP_CONFIRM) {
        stream->closed = true;
        stream_unlink(stream);
        return stream->failed ? stream_failure(slot, stream) : 0;
    }
    if (item == NULL && stream->failed) {
        return stream_failure(slot, stream);
    }
    if (slot->op == RPC_OP_RECV) {
        return stream_copy(slot, stream);
    }
    if (item != NULL && item->hole >= 0) {
        slot->report.number = item->hole;
        lvc_free(rpc_queue_take(&stream->in));
    }
    return LVC_VALUE;
}

int lvc_stream_open(lvc_slot *slot, uint32_t program, uint32_t procedure, const uint8_t *args,
                    size_t args_len, const int *fds, uint32_t nfds, int64_t timeout_ms)
{
    int outcome;

    rpc_slot_reset(slot);
    slot->opening = stream_new(slot->client);
    if (slot->opening == NULL) {
        (void)lvc_error_memory(&slot->report.error, LVC_FROM_RPC);
        return LVC_FAILED;
    }
    outcome = rpc_call_start(slot, program, procedure, args, args_len, fds, nfds, false,
                             timeout_ms);
    return rpc_slot_outcome(slot, outcome);
}

/* Start an operation on a stream, lock taken. 0 when the stream is fit for it. */
static int stream_begin(struct lvc_slot *slot, struct lvc_stream *stream, int nonblock)
{
    struct lvc_client *client = slot->client;

    rpc_slot_reset(slot);
    rpc_client_lock(client);
    slot->stream = stream;
    slot->nonblock = nonblock != 0;
    slot->procedure = rpc_procedure_find(rpc_program_find(stream->program), stream->procedure);
    slot->report.program = stream->program;
    slot->report.procedure = stream->procedure;
    slot->report.serial = stream->serial;
    if (stream->closed || stream->finishing) {
        if (stream->failed) {
            return stream_failure(slot, stream);
        }
        (void)lvc_error_set(&slot->report.error, LVC_ERR_OPERATION_FAILED, LVC_FROM_RPC,
                            "stream is closed");
        return LVC_FAILED;
    }
    return 0;
}

static int stream_end(struct lvc_slot *slot, int outcome)
{
    rpc_client_unlock(slot->client);
    return rpc_slot_outcome(slot, outcome);
}

/* A message out. Waits until all of it is sent, unless nonblock. Lock held. */
static int stream_send_message(struct lvc_slot *slot, uint32_t type, const uint8_t *data,
                               size_t len, int64_t timeout_ms)
{
    struct lvc_client *client = slot->client;
    const struct lvc_stream *stream = slot->stream;
    const struct rpc_header header = {
        .program = stream->program,
        .version = stream->version,
        .procedure = stream->procedure,
        .type = type,
        .serial = stream->serial,
        .status = RPC_CONTINUE,
    };
    uint8_t head[RPC_PREFIX_BYTES];
    bool nonblock = slot->nonblock;
    int outcome;

    if (stream->failed) {
        return stream_failure(slot, stream);
    }
    if (rpc_client_check_open(client, &slot->report.error) < 0) {
        return LVC_FAILED;
    }
    if (nonblock && client->unsent != NULL) {
        rpc_send_rest(client);
        if (client->unsent != NULL) {
            return LVC_BLOCKED;
        }
    }
    rpc_header_encode(&header, (uint32_t)(sizeof(head) + len), head);
    outcome = rpc_send(client, head, sizeof(head), data, len, NULL, 0, nonblock);
    if (outcome > 0) {
        return LVC_BLOCKED;
    }
    slot->report.number = (int64_t)len;
    slot->report.sent = sizeof(head) + len;
    if (nonblock || (client->unsent == NULL && client->closed == LVC_OPEN)) {
        return LVC_VALUE;
    }
    rpc_op_begin(slot, RPC_OP_FLUSH, timeout_ms);
    return rpc_op_run(slot, RPC_SLICE_MS);
}

int lvc_stream_send(lvc_slot *slot, lvc_stream *stream, const uint8_t *data, size_t len,
                    int nonblock, int64_t timeout_ms)
{
    int outcome = stream_begin(slot, stream, nonblock);

    if (outcome == 0) {
        if (len > STREAM_PAYLOAD_MAX) {
            len = STREAM_PAYLOAD_MAX;
        }
        outcome = stream_send_message(slot, RPC_STREAM, data, len, timeout_ms);
    }
    return stream_end(slot, outcome);
}

int lvc_stream_send_hole(lvc_slot *slot, lvc_stream *stream, int64_t length, uint32_t flags,
                         int64_t timeout_ms)
{
    uint8_t payload[STREAM_HOLE_BYTES];
    int outcome = stream_begin(slot, stream, 0);

    if (outcome == 0) {
        rpc_u32_encode((uint32_t)((uint64_t)length >> 32), payload);
        rpc_u32_encode((uint32_t)length, payload + 4);
        rpc_u32_encode(flags, payload + 8);
        outcome = stream_send_message(slot, RPC_STREAM_HOLE, payload, sizeof(payload), timeout_ms);
    }
    return stream_end(slot, outcome);
}

int lvc_stream_recv(lvc_slot *slot, lvc_stream *stream, size_t len, int nonblock,
                    int stop_at_hole, int64_t timeout_ms)
{
    int outcome = stream_begin(slot, stream, nonblock);
    bool over = outcome != 0 && !stream->finishing && !stream->failed;

    if (outcome == 0 || over) { /* what the peer closed can still be read */
        slot->want = len < STREAM_READ_MAX ? len : STREAM_READ_MAX;
        slot->stop_at_hole = stop_at_hole != 0;
        rpc_op_begin(slot, RPC_OP_RECV, timeout_ms);
        outcome = rpc_op_run(slot, RPC_SLICE_MS);
    }
    return stream_end(slot, outcome);
}

int lvc_stream_recv_hole(lvc_slot *slot, lvc_stream *stream, int64_t timeout_ms)
{
    int outcome = stream_begin(slot, stream, 0);

    if (outcome == 0) {
        rpc_op_begin(slot, RPC_OP_HOLE, timeout_ms);
        outcome = rpc_op_run(slot, RPC_SLICE_MS);
    }
    return stream_end(slot, outcome);
}

int lvc_stream_finish(lvc_slot *slot, lvc_stream *stream, int abort, int64_t timeout_ms)
{
    struct lvc_client *client = slot->client;
    int outcome = stream_begin(slot, stream, 0);

    if (outcome == 0 && stream->failed) {
        outcome = stream_failure(slot, stream);
        stream->closed = true;
        stream_unlink(stream);
    } else if (outcome == 0 && rpc_client_check_open(client, &slot->report.error) < 0) {
        outcome = LVC_FAILED;
    } else if (outcome == 0) {
        stream->finishing = true;
        rpc_queue_clear(&stream->in);
        (void)stream_send_control(stream, abort != 0 ? RPC_ERROR : RPC_OK);
        rpc_op_begin(slot, RPC_OP_CONFIRM, timeout_ms);
        outcome = rpc_op_run(slot, RPC_SLICE_MS);
    }
    return stream_end(slot, outcome);
}

int lvc_stream_poll(lvc_stream *stream)
{
    struct lvc_client *client = stream->client;
    int mask = 0;

    rpc_client_lock(client);
    if (stream->in.first != NULL || stream->ended) {
        mask |= STREAM_READABLE;
    }
    if (stream->failed) {
        mask |= STREAM_ERROR;
    } else if (stream->closed || client->closed != LVC_OPEN) {
        mask |= STREAM_HANGUP;
    } else if (client->unsent == NULL) {
        mask |= STREAM_WRITABLE;
    }
    rpc_client_unlock(client);
    return mask;
}
