/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_server_reply.c: what goes out to clients: answers, errors, events, stream messages.
 * Called by: Python (from any thread), rpc_server_wait (a worker's answer), rpc_server_work (errors).
 * Calls: xdr_codec, rpc_peer_send.
 * Never: encodes under a lock; leaves a call unanswered because its answer could not be encoded.
 */
#include "rpc/rpc_server.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/base_alloc.h"
#include "xdr/xdr_codec.h"
#include "xdr/xdr_writer.h"

#define KIND_CALL 1
#define KIND_EVENT 2
#define KIND_STREAM 3 /* a call that opens one */

#define LEVEL_ERROR 2

bool rpc_is_call(const struct lvc_procedure *procedure)
{
    return procedure->kind == KIND_CALL || procedure->kind == KIND_STREAM;
}

/* ---- errors of our own ---- */

static int put_optional(struct lvc_buf *out, const char *text, lvc_error *err)
{
    size_t len = text == NULL ? 0 : strlen(text);

    if (text == NULL) {
        return xdr_writer_u32(out, 0, err);
    }
    if (xdr_writer_u32(out, 1, err) < 0 || xdr_writer_u32(out, (uint32_t)len, err) < 0) {
        return -1;
    }
    return xdr_writer_bytes(out, (const uint8_t *)text, len, err);
}

int rpc_error_encode(struct lvc_buf *out, const struct rpc_header *call, uint32_t type,
                     const char *message, lvc_error *err)
{
    struct rpc_header header = *call;
    size_t start = out->len;

    if (lvc_buf_reserve(out, RPC_PREFIX_BYTES, err) < 0) {
        return -1;
    }
    out->len += RPC_PREFIX_BYTES;
    /* code, domain, message, level, no domain, three texts, two numbers, no network */
    if (xdr_writer_u32(out, LVC_ERR_RPC, err) < 0 || xdr_writer_u32(out, LVC_FROM_RPC, err) < 0 ||
        put_optional(out, message, err) < 0 || xdr_writer_u32(out, LEVEL_ERROR, err) < 0 ||
        put_optional(out, NULL, err) < 0 || put_optional(out, "%s", err) < 0 ||
        put_optional(out, message, err) < 0 || put_optional(out, NULL, err) < 0 ||
        xdr_writer_u32(out, UINT32_MAX, err) < 0 || xdr_writer_u32(out, UINT32_MAX, err) < 0 ||
        put_optional(out, NULL, err) < 0) {
        return -1;
    }
    header.type = type;
    header.status = RPC_ERROR;
    rpc_header_encode(&header, (uint32_t)(out->len - start), out->data + start);
    return 0;
}

/* ---- messages ---- */

/* header and what marshal.dumps made of the payload -> *out, which is emptied before. */
static int message_encode(struct lvc_buf *out, const struct rpc_header *header, uint32_t type,
                          const uint8_t *data, size_t len, uint32_t nfds, lvc_error *err)
{
    size_t prefix = RPC_PREFIX_BYTES + (nfds > 0 ? 4U : 0U);

    out->len = 0;
    if (lvc_buf_reserve(out, prefix, err) < 0) {
        return -1;
    }
    out->len = prefix;
    if (nfds > 0) {
        rpc_u32_encode(nfds, out->data + RPC_PREFIX_BYTES);
    }
    if ((data != NULL || type != 0) && lvc_xdr_encode(type, data, len, out, err) < 0) {
        return -1;
    }
    rpc_header_encode(header, (uint32_t)out->len, out->data);
    return 0;
}

int rpc_answer_encode(struct lvc_buf *out, const struct rpc_header *call,
                      const struct lvc_procedure *procedure, int answer, const uint8_t *data,
                      size_t len, uint32_t nfds, lvc_error *err)
{
    bool failed = answer == LVC_ANSWER_ERROR;
    struct rpc_header header = *call;
    lvc_error again;

    header.type = nfds > 0 && !failed ? RPC_REPLY_WITH_FDS : RPC_REPLY;
    header.status = failed ? RPC_ERROR : RPC_OK;
    if (answer == LVC_ANSWER_NONE) {
        (void)lvc_error_set(err, LVC_ERR_INTERNAL_ERROR, LVC_FROM_RPC,
                            "procedure %u was not answered", call->procedure);
    } else if (message_encode(out, &header, failed ? lvc_type_net_error : procedure->ret, data, len,
                              failed ? 0 : nfds, err) == 0) {
        return 0;
    }
    out->len = 0;
    if (rpc_error_encode(out, call, RPC_REPLY,
                         answer == LVC_ANSWER_NONE ? "Call was not answered"
                                                   : "Unable to encode message payload",
                         &again) < 0) {
        return -1;
    }
    return 1;
}

/* ---- from any thread ---- */

/* The client with a reference, NULL when it is gone. */
static struct rpc_peer *peer_borrow(struct lvc_server *server, uint64_t client)
{
    struct rpc_peer *peer;

    (void)pthread_mutex_lock(&server->lock);
    peer = rpc_server_find(server, client);
    if (peer != NULL) {
        peer->references++;
    }
    (void)pthread_mutex_unlock(&server->lock);
    return peer;
}

static void peer_give_back(struct rpc_peer *peer, int sent, const lvc_error *why)
{
    struct lvc_server *server = peer->server;

    (void)pthread_mutex_lock(&server->lock);
    if (sent < 0) {
        rpc_peer_send_failed(peer, why);
        rpc_server_wake(server);
    }
    rpc_peer_release(peer);
    (void)pthread_mutex_unlock(&server->lock);
}

void rpc_peer_send_failed(struct rpc_peer *peer, const lvc_error *why)
{
    if (peer->state != RPC_PEER_GONE && why->code == LVC_ERR_RPC) {
        peer->server->stats.slow++;
    }
    rpc_peer_fail(peer, why);
}

/* A whole message; 1, or 0 when the client is or goes away. */
static int send_message(struct lvc_server *server, uint64_t client, const uint8_t *data, size_t len)
{
    struct rpc_peer *peer = peer_borrow(server, client);
    lvc_error why;
    int sent;

    if (peer == NULL) {
        return 0;
    }
    sent = rpc_peer_send(peer, data, len, NULL, 0, &why);
    peer_give_back(peer, sent, &why);
    return sent == 0;
}

static const struct lvc_procedure *procedure_check(const struct lvc_server *server,
                                                   uint32_t number, uint32_t procedure,
                                                   bool event, struct rpc_header *header,
                                                   lvc_error *err)
{
    const struct lvc_program *program = rpc_server_program(server, number);

    memset(header, 0, sizeof(*header));
    if (program == NULL || procedure > program->count ||
        !(event ? program->procedures[procedure].kind == KIND_EVENT
                : rpc_is_call(&program->procedures[procedure]))) {
        (void)lvc_error_set(err, LVC_ERR_INTERNAL_ERROR, LVC_FROM_RPC,
                            "program 0x%08x has no %s %u", number, event ? "event" : "procedure",
                            procedure);
        return NULL;
    }
    header->program = number;
    header->version = program->version;
    header->procedure = procedure;
    return &program->procedures[procedure];
}

int lvc_server_event(lvc_server *server, uint64_t client, uint32_t program, uint32_t procedure,
                     const uint8_t *data, size_t len, lvc_error *err)
{
    const struct lvc_procedure *event;
    struct rpc_header header;
    struct lvc_buf out;
    int rc = -1;

    event = procedure_check(server, program, procedure, true, &header, err);
    if (event == NULL) {
        return -1;
    }
    header.type = RPC_MESSAGE;
    lvc_buf_init(&out, LVC_ENCODE_CEILING);
    if (message_encode(&out, &header, event->args, data, len, 0, err) == 0) {
        rc = send_message(server, client, out.data, out.len);
    }
    lvc_buf_clear(&out);
    return rc;
}

/* A stream message's release, or an answer that is on its way. */
static void request_settle(struct rpc_peer *peer)
{
    rpc_peer_request_done(peer);
    if (peer->queued) {
        rpc_server_wake(peer->server);
    }
}

int lvc_server_answer(lvc_server *server, uint64_t client, uint32_t program, uint32_t procedure,
                      uint32_t serial, uint32_t kind, int answer, const uint8_t *data, size_t len,
                      const int *fds, uint32_t nfds, lvc_error *err)
{
    const struct lvc_procedure *row = NULL;
    struct rpc_peer *peer = NULL;
    struct rpc_header header;
    struct lvc_buf out;
    lvc_error why;
    bool failed = answer == LVC_ANSWER_ERROR; /* then no descriptors follow */
    int encoded = 0;
    int sent = 0;

    lvc_buf_init(&out, LVC_ENCODE_CEILING);
    if (kind == LVC_WORK_CALL) {
        row = procedure_check(server, program, procedure, false, &header, err);
        if (row == NULL) {
            return -1;
        }
        header.serial = serial;
        encoded = rpc_answer_encode(&out, &header, row, answer, data, len, nfds, err);
        if (encoded < 0) {
            lvc_buf_clear(&out);
            (void)lvc_server_close(server, client, 0);
            return lvc_error_memory(err, LVC_FROM_RPC);
        }
        failed = failed || encoded > 0;
    }
    peer = peer_borrow(server, client);
    if (peer != NULL) {
        if (row != NULL) {
            sent = rpc_peer_send(peer, out.data, out.len, fds, failed ? 0 : nfds, &why);
        }
        (void)pthread_mutex_lock(&server->lock);
        request_settle(peer);
        (void)pthread_mutex_unlock(&server->lock);
        peer_give_back(peer, sent, &why);
    }
    lvc_buf_clear(&out);
    if (encoded > 0) {
        return -1;
    }
    return peer != NULL && sent == 0;
}

/* ---- streams ---- */

static int stream_header(const lvc_server *server, uint32_t number, uint32_t procedure,
                         uint32_t serial, uint32_t type, uint32_t status,
                         struct rpc_header *header)
{
    const struct lvc_program *program = rpc_server_program(server, number);

    if (program == NULL) {
        return -1;
    }
    header->program = number;
    header->version = program->version;
    header->procedure = procedure;
    header->type = type;
    header->serial = serial;
    header->status = status;
    return 0;
}

int lvc_server_stream_data(lvc_server *server, uint64_t client, uint32_t program,
                           uint32_t procedure, uint32_t serial, uint32_t status,
                           const uint8_t *data, size_t len)
{
    struct rpc_header header;
    struct lvc_buf out;
    lvc_error err;
    size_t part;
    int rc = 1;

    if (stream_header(server, program, procedure, serial, RPC_STREAM, status, &header) < 0) {
        return 0;
    }
    lvc_buf_init(&out, RPC_PREFIX_BYTES + (size_t)LVC_NET_MESSAGE_LEGACY_PAYLOAD_MAX);
    do {
        part = len < LVC_NET_MESSAGE_LEGACY_PAYLOAD_MAX ? len : LVC_NET_MESSAGE_LEGACY_PAYLOAD_MAX;
        out.len = 0;
        if (lvc_buf_reserve(&out, RPC_PREFIX_BYTES + part, &err) < 0) {
            (void)lvc_server_close(server, client, 0); /* what follows would not fit any more */
            rc = 0;
            break;
        }
        rpc_header_encode(&header, (uint32_t)(RPC_PREFIX_BYTES + part), out.data);
        out.len = RPC_PREFIX_BYTES;
        if (part > 0) {
            (void)lvc_buf_append(&out, data, part, &err);
            data += part;
            len -= part;
        }
        rc = send_message(server, client, out.data, out.len);
    } while (rc == 1 && len > 0);
    lvc_buf_clear(&out);
    return rc;
}

int lvc_server_stream_hole(lvc_server *server, uint64_t client, uint32_t program,
                           uint32_t procedure, uint32_t serial, int64_t length, uint32_t flags)
{
    uint8_t bytes[RPC_PREFIX_BYTES + 12];
    struct rpc_header header;

    if (stream_header(server, program, procedure, serial, RPC_STREAM_HOLE, RPC_CONTINUE,
                      &header) < 0) {
        return 0;
    }
    rpc_header_encode(&header, sizeof(bytes), bytes);
    rpc_u32_encode((uint32_t)((uint64_t)length >> 32), bytes + RPC_PREFIX_BYTES);
    rpc_u32_encode((uint32_t)(uint64_t)length, bytes + RPC_PREFIX_BYTES + 4);
    rpc_u32_encode(flags, bytes + RPC_PREFIX_BYTES + 8);
    return send_message(server, client, bytes, sizeof(bytes));
}

int lvc_server_stream_error(lvc_server *server, uint64_t client, uint32_t program,
                            uint32_t procedure, uint32_t serial, const uint8_t *data, size_t len,
                            lvc_error *err)
{
    struct rpc_header header;
    struct lvc_buf out;
    int rc = -1;

    if (stream_header(server, program, procedure, serial, RPC_STREAM, RPC_ERROR, &header) < 0) {
        return 0;
    }
    lvc_buf_init(&out, LVC_ENCODE_CEILING);
    if (message_encode(&out, &header, lvc_type_net_error, data, len, 0, err) == 0) {
        rc = send_message(server, client, out.data, out.len);
    }
    lvc_buf_clear(&out);
    return rc;
}
