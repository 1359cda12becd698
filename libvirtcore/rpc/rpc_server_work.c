/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_server_work.c: what clients sent becomes work, one piece at a time.
 * Called by: rpc_server_wait. Calls: rpc_frame, xdr_codec, rpc_peer_send (errors, PONG).
 * Never: reads on while as many calls of a client are under way as may be; decodes under a lock.
 *
 * A worker that finds a readable client makes it busy, reads, and keeps the first message that is
 * work; whole messages behind it stay in the framer, and the client goes to the end of the queue.
 * What no client may send is answered here, or ignored, as libvirt's own daemon does.
 */
#include "rpc/rpc_server.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/base_alloc.h"
#include "base/base_clock.h"
#include "xdr/xdr_codec.h"

/* What may be asked before authentication: auth_list, auth_sasl_init, _start, _step, auth_polkit. */
#define AUTH_FIRST 66
#define AUTH_LAST 70

/* Messages that are no work, before others get a turn. */
#define IDLE_MESSAGES 64

enum verdict {
    VERDICT_TAKEN,
    VERDICT_DONE,   /* seen to; the next message, please */
    VERDICT_LATER,  /* not now: it stays where it is */
    VERDICT_FAILED, /* the client is to be ended */
};

/* What a busy worker knows of its peer without the lock, and what it found. */
struct reading {
    bool may_read;
    bool drained; /* the kernel said that there is no more */
    bool hangup;
    bool authenticated;
    bool stream_turn;
    bool stream_waits;
    uint32_t room; /* calls that may be read */
    int64_t now_us;
    uint64_t bytes;
    struct rpc_waiting *waiting;
    struct rpc_waiting *waiting_last;
    uint32_t nwaiting;
    lvc_error why;
};

void rpc_worker_drop_fds(struct lvc_worker *worker)
{
    while (worker->job.nfds > 0) {
        (void)close(worker->fds[--worker->job.nfds]);
    }
}

static void job_fill(struct lvc_worker *worker, const struct rpc_peer *peer, uint32_t kind)
{
    memset(&worker->job, 0, offsetof(lvc_job, error));
    worker->job.error.code = LVC_ERR_OK;
    worker->job.client = peer->id;
    worker->job.service = peer->service;
    worker->job.kind = kind;
}

static void job_header(struct lvc_worker *worker, const struct rpc_header *header,
                       int64_t received_us)
{
    worker->job.program = header->program;
    worker->job.version = header->version;
    worker->job.procedure = header->procedure;
    worker->job.serial = header->serial;
    worker->job.type = header->type;
    worker->job.status = header->status;
    worker->job.received_us = received_us;
}

/* ---- a call ---- */

/* Answer a call that will not be taken. */
static enum verdict call_refuse(struct lvc_worker *worker, struct rpc_peer *peer,
                                const struct rpc_header *header, lvc_error *why,
                                const char *message)
{
    atomic_fetch_add_explicit(&worker->server->refused, 1, memory_order_relaxed);
    worker->out.len = 0;
    if (rpc_error_encode(&worker->out, header, RPC_REPLY, message, why) < 0 ||
        rpc_peer_send(peer, worker->out.data, worker->out.len, NULL, 0, why) < 0) {
        return VERDICT_FAILED;
    }
    return VERDICT_DONE;
}

/* The procedure that a call asks for; NULL with the text of the refusal. */
static const struct lvc_procedure *call_find(const struct lvc_server *server,
                                             const struct rpc_header *header, bool authenticated,
                                             lvc_error *text)
{
    const struct lvc_program *program = rpc_server_program(server, header->program);
    const struct lvc_procedure *procedure;
    bool is_auth = header->program == LVC_REMOTE_PROGRAM && header->procedure >= AUTH_FIRST &&
                   header->procedure <= AUTH_LAST;

    if (program == NULL || program->version != header->version) {
        (void)lvc_error_set(text, LVC_ERR_RPC, LVC_FROM_RPC, "Cannot find program %d version %d",
                            (int)header->program, (int)header->version);
        return NULL;
    }
    if (header->status != RPC_OK) {
        (void)lvc_error_set(text, LVC_ERR_RPC, LVC_FROM_RPC, "Unexpected message status %u",
                            header->status);
        return NULL;
    }
    procedure = header->procedure > program->count ? NULL
                                                   : &program->procedures[header->procedure];
    if (procedure == NULL || !rpc_is_call(procedure)) {
        (void)lvc_error_set(text, LVC_ERR_RPC, LVC_FROM_RPC, "unknown procedure: %d",
                            (int)header->procedure);
        return NULL;
    }
    if (!authenticated && !is_auth) {
        (void)lvc_error_set(text, LVC_ERR_RPC, LVC_FROM_RPC, "authentication required");
        return NULL;
    }
    return procedure;
}

/* The arguments into worker->result; -1 when they are none. */
static int call_decode(struct lvc_worker *worker, const struct rpc_header *header,
                       const uint8_t *payload, size_t len)
{
    const struct lvc_server *server = worker->server;
    uint32_t flags = server->codec_flags;
    lvc_error ignored;

    worker->result.len = 0;
    if (worker->procedure->args == 0) {
        return len == 0 ? 0 : -1;
    }
    if (server->ntriples > 0 &&
        rpc_server_wants_triples(server, header->program, header->procedure)) {
        flags &= ~(uint32_t)LVC_DECODE_DICT;
    }
    return lvc_xdr_decode(worker->procedure->args, payload, len, flags, &worker->result, &ignored);
}

/* Into the worker's hands. */
static enum verdict call_take(struct lvc_worker *worker, struct rpc_peer *peer,
                              const struct rpc_header *header, const uint8_t *payload, size_t len,
                              int64_t received_us, lvc_error *why)
{
    uint32_t nfds = worker->job.nfds; /* already in worker->fds */

    if (call_decode(worker, header, payload, len) < 0) {
        rpc_worker_drop_fds(worker);
        return call_refuse(worker, peer, header, why, "Unable to decode message payload");
    }
    if ((worker->procedure->fds & 1) == 0) {
        rpc_worker_drop_fds(worker);
        nfds = 0;
    }
    job_fill(worker, peer, LVC_WORK_CALL);
    job_header(worker, header, received_us);
    worker->job.nfds = nfds;
    return VERDICT_TAKEN;
}

/* A prio worker leaves it for the others. */
static enum verdict call_leave(struct lvc_worker *worker, struct reading *reading,
                               const struct rpc_frame *frame)
{
    struct rpc_waiting *waiting;

    if (reading->room == 0) {
        return VERDICT_LATER;
    }
    waiting = lvc_malloc(sizeof(*waiting) + frame->payload_len);
    if (waiting == NULL) {
        (void)lvc_error_memory(&reading->why, LVC_FROM_RPC);
        return VERDICT_FAILED;
    }
    waiting->next = NULL;
    waiting->header = frame->header;
    waiting->received_us = reading->now_us;
    waiting->nfds = worker->job.nfds;
    memcpy(waiting->fds, worker->fds, worker->job.nfds * sizeof(int));
    worker->job.nfds = 0;
    waiting->len = frame->payload_len;
    if (frame->payload_len > 0) {
        memcpy(waiting->data, frame->payload, frame->payload_len);
    }
    if (reading->waiting_last != NULL) {
        reading->waiting_last->next = waiting;
    } else {
        reading->waiting = waiting;
    }
    reading->waiting_last = waiting;
    reading->nwaiting++;
    reading->room--;
    return VERDICT_DONE;
}

static enum verdict judge_call(struct lvc_worker *worker, struct rpc_peer *peer,
                               struct reading *reading, const struct rpc_frame *frame)
{
    enum verdict verdict;
    lvc_error text;

    if (frame->nfds > peer->in_nfds) {
        (void)lvc_error_set(&reading->why, LVC_ERR_RPC, LVC_FROM_RPC,
                            "%u descriptors were announced, %u came", frame->nfds, peer->in_nfds);
        return VERDICT_FAILED;
    }
    worker->procedure =
        call_find(worker->server, &frame->header, reading->authenticated, &text);
    if (worker->prio && worker->procedure != NULL && !worker->procedure->high_priority &&
        reading->room == 0) {
        return VERDICT_LATER;
    }
    if (frame->nfds > 0) {
        memcpy(worker->fds, peer->in_fds, frame->nfds * sizeof(int));
        worker->job.nfds = frame->nfds;
        peer->in_nfds -= frame->nfds;
        memmove(peer->in_fds, peer->in_fds + frame->nfds, peer->in_nfds * sizeof(int));
    }
    if (worker->procedure == NULL) {
        verdict = call_refuse(worker, peer, &frame->header, &reading->why, text.message);
    } else if (worker->prio && !worker->procedure->high_priority) {
        verdict = call_leave(worker, reading, frame);
    } else {
        return call_take(worker, peer, &frame->header, frame->payload, frame->payload_len,
                         reading->now_us, &reading->why);
    }
    rpc_worker_drop_fds(worker);
    return verdict;
}

/* ---- a stream message ---- */

static enum verdict judge_stream(struct lvc_worker *worker, struct rpc_peer *peer,
                                 struct reading *reading, const struct rpc_frame *frame)
{
    const struct rpc_header *header = &frame->header;
    const struct lvc_program *program = rpc_server_program(worker->server, header->program);

    if (program == NULL || program->version != header->version ||
        header->procedure > program->count ||
        program->procedures[header->procedure].stream == 0 || !reading->authenticated) {
        atomic_fetch_add_explicit(&worker->server->ignored, 1, memory_order_relaxed);
        return VERDICT_DONE;
    }
    if (reading->stream_turn) {
        reading->stream_waits = true;
        return VERDICT_LATER;
    }
    worker->result.len = 0;
    worker->procedure = &program->procedures[header->procedure];
    job_fill(worker, peer, LVC_WORK_STREAM);
    job_header(worker, header, reading->now_us);
    if (header->type == RPC_STREAM_HOLE) {
        if (frame->payload_len != 12) {
            return lvc_error_set(&reading->why, LVC_ERR_RPC, LVC_FROM_RPC,
                                 "hole of a stream in %zu bytes", frame->payload_len),
                   VERDICT_FAILED;
        }
        worker->job.length = (int64_t)((uint64_t)rpc_u32_decode(frame->payload) << 32 |
                                       rpc_u32_decode(frame->payload + 4));
        worker->job.flags = rpc_u32_decode(frame->payload + 8);
    } else {
        if (lvc_buf_append(&worker->result, frame->payload, frame->payload_len, &reading->why) < 0) {
            return VERDICT_FAILED;
        }
        worker->job.length = (int64_t)frame->payload_len;
    }
    return VERDICT_TAKEN;
}

/* ---- any message ---- */

static enum verdict judge(struct lvc_worker *worker, struct rpc_peer *peer,
                          struct reading *reading, const struct rpc_frame *frame)
{
    const struct rpc_header *header = &frame->header;

    switch (header->type) {
    case RPC_CALL:
    case RPC_CALL_WITH_FDS:
        return judge_call(worker, peer, reading, frame);
    case RPC_STREAM:
    case RPC_STREAM_HOLE:
        return judge_stream(worker, peer, reading, frame);
    case RPC_MESSAGE:
        if (header->program == LVC_KEEPALIVE_PROGRAM &&
            header->version == LVC_KEEPALIVE_PROTOCOL_VERSION) {
            if (header->procedure == RPC_KEEPALIVE_PING) {
                atomic_fetch_add_explicit(&worker->server->pings, 1, memory_order_relaxed);
                return rpc_peer_pong(peer, &reading->why) < 0 ? VERDICT_FAILED : VERDICT_DONE;
            }
            return VERDICT_DONE;
        }
        break;
    default:
        break;
    }
    /* Not even the descriptors of a reply: whose would they be? They end the connection below. */
    atomic_fetch_add_explicit(&worker->server->ignored, 1, memory_order_relaxed);
    return VERDICT_DONE;
}

/* ---- reading ---- */

/* More bytes into the framer; -1 when the client is to be ended. */
static int peer_fill(struct rpc_peer *peer, struct reading *reading)
{
    uint32_t before = peer->in_nfds;
    uint8_t *where;
    size_t room;
    ssize_t n;

    if (rpc_framer_space(&peer->framer, &where, &room, &reading->why) < 0) {
        return -1;
    }
    n = rpc_socket_recv(peer->fd, where, room, false, peer->in_fds, &peer->in_nfds,
                        LVC_NET_MESSAGE_NUM_FDS_MAX);
    if (n == -EINTR) {
        return 0;
    }
    if (n == -EAGAIN || n == -EWOULDBLOCK) {
        reading->may_read = false;
        reading->drained = true;
        rpc_ready_again(&peer->server->ready, peer->fd);
        return 0;
    }
    if (n < 0) {
        return lvc_error_system(&reading->why, LVC_FROM_RPC, (int)-n, "Cannot recv data");
    }
    if (n == 0) {
        return lvc_error_set(&reading->why, LVC_ERR_INTERNAL_ERROR, LVC_FROM_RPC,
                             "End of file while reading data");
    }
    rpc_framer_fed(&peer->framer, (size_t)n);
    reading->bytes += (uint64_t)n;
    reading->now_us = lvc_clock_us();
    /* Less than there was room for: that was all, unless descriptors made it stop. */
    if ((size_t)n < room && peer->in_nfds == before && !reading->hangup) {
        reading->may_read = false;
        rpc_ready_again(&peer->server->ready, peer->fd);
    }
    return 0;
}

/* Whether rpc_framer_next would give something, and be it a fault. */
static bool framer_has_whole(struct rpc_framer *framer)
{
    size_t mark = framer->start;
    struct rpc_frame frame;
    lvc_error ignored;
    int rc;

    if (framer->in.len == mark) {
        return false;
    }
    rc = rpc_framer_next(framer, &frame, &ignored);
    framer->start = mark;
    return rc != 0;
}

/* What stands in the framer is no whole message: may it become one? */
static int framer_check_rest(const struct rpc_peer *peer, struct reading *reading)
{
    const struct rpc_framer *framer = &peer->framer;
    uint32_t length;

    if (peer->in_nfds > 0 && !rpc_framer_awaits_fds(framer)) {
        return lvc_error_set(&reading->why, LVC_ERR_RPC, LVC_FROM_RPC,
                             "%u descriptors came that belong to no message", peer->in_nfds);
    }
    if (!reading->authenticated && framer->in.len - framer->start >= RPC_LENGTH_BYTES) {
        length = rpc_u32_decode(framer->in.data + framer->start);
        if (length > RPC_ANONYMOUS_LENGTH_MAX) {
            return lvc_error_set(&reading->why, LVC_ERR_RPC, LVC_FROM_RPC,
                                 "message of %u bytes before authentication, limit %u", length,
                                 RPC_ANONYMOUS_LENGTH_MAX);
        }
    }
    return 0;
}

static enum verdict peer_read(struct lvc_worker *worker, struct rpc_peer *peer,
                              struct reading *reading)
{
    enum verdict verdict;
    struct rpc_frame frame;
    uint32_t seen = 0;
    size_t mark;
    int rc;

    while (seen < IDLE_MESSAGES) {
        mark = peer->framer.start;
        rc = peer->framer.in.len == mark ? 0
                                         : rpc_framer_next(&peer->framer, &frame, &reading->why);
        if (rc == 0) {
            rc = framer_check_rest(peer, reading);
            /* A read may have stopped in front of a descriptor: nobody would tell of it again. */
            if (rc == 0 && !reading->may_read &&
                (reading->drained || !rpc_framer_awaits_fds(&peer->framer))) {
                return VERDICT_DONE;
            }
            if (rc == 0) {
                rc = peer_fill(peer, reading);
            }
            if (rc == 0) {
                continue;
            }
        }
        if (rc < 0) {
            return VERDICT_FAILED;
        }
        verdict = judge(worker, peer, reading, &frame);
        if (verdict == VERDICT_LATER) {
            peer->framer.start = mark;
        }
        if (verdict != VERDICT_DONE) {
            return verdict;
        }
        seen++;
    }
    return VERDICT_DONE;
}

/* ---- with the lock ---- */

/* The busy time is over: what was found out becomes known. */
static void reading_settle(struct lvc_worker *worker, struct rpc_peer *peer,
                           struct reading *reading, enum verdict verdict)
{
    struct lvc_server *server = worker->server;

    peer->busy = false;
    server->stats.bytes_received += reading->bytes;
    if (reading->waiting != NULL) {
        if (peer->waiting_last != NULL) {
            peer->waiting_last->next = reading->waiting;
        } else {
            peer->waiting = reading->waiting;
        }
        peer->waiting_last = reading->waiting_last;
        peer->requests += reading->nwaiting;
    }
    if (peer->state == RPC_PEER_GONE) {
        rpc_peer_close_fd(peer);
        rpc_peer_enqueue(peer);
        return;
    }
    if (reading->bytes > 0 && peer->keepalive.interval_ms > 0) {
        rpc_keepalive_received(&peer->keepalive, reading->now_us / 1000);
    }
    peer->readable = peer->readable || reading->may_read;
    peer->more = framer_has_whole(&peer->framer);
    peer->stream_waits = reading->stream_waits && peer->stream_turn;
    if (verdict == VERDICT_FAILED) {
        rpc_peer_fail(peer, &reading->why);
        return;
    }
    if (verdict == VERDICT_TAKEN) {
        peer->requests++;
        if (worker->job.kind == LVC_WORK_STREAM) {
            peer->stream_turn = true;
            server->stats.stream_messages++;
        } else {
            peer->calls++;
            server->stats.calls++;
        }
    }
    peer->parked = worker->prio && verdict != VERDICT_TAKEN;
    rpc_peer_enqueue(peer);
}

static bool take_read(struct lvc_worker *worker, struct rpc_peer *peer)
{
    struct lvc_server *server = worker->server;
    struct reading reading;
    enum verdict verdict;

    memset(&reading, 0, offsetof(struct reading, why));
    reading.may_read = peer->readable;
    reading.hangup = peer->hangup;
    reading.authenticated = peer->authenticated;
    reading.stream_turn = peer->stream_turn;
    reading.room = server->limits.max_client_requests - peer->requests;
    reading.now_us = lvc_clock_us();
    rpc_peer_dequeue(peer);
    peer->readable = false;
    peer->busy = true;
    peer->references++;
    worker->job.nfds = 0;
    (void)pthread_mutex_unlock(&server->lock);
    verdict = peer_read(worker, peer, &reading);
    (void)pthread_mutex_lock(&server->lock);
    reading_settle(worker, peer, &reading, verdict);
    if (verdict == VERDICT_TAKEN && peer->state != RPC_PEER_GONE) {
        worker->peer = peer; /* with the reference */
        return true;
    }
    rpc_worker_drop_fds(worker);
    rpc_peer_release(peer);
    return false;
}

/* A call that a prio worker left. */
static bool take_waiting(struct lvc_worker *worker, struct rpc_peer *peer)
{
    struct lvc_server *server = worker->server;
    struct rpc_waiting *waiting = peer->waiting;
    const struct lvc_program *program = rpc_server_program(server, waiting->header.program);
    enum verdict verdict;
    lvc_error why;

    peer->waiting = waiting->next;
    if (peer->waiting == NULL) {
        peer->waiting_last = NULL;
    }
    rpc_peer_dequeue(peer);
    rpc_peer_enqueue(peer);
    peer->references++;
    (void)pthread_mutex_unlock(&server->lock);
    worker->procedure = &program->procedures[waiting->header.procedure];
    memcpy(worker->fds, waiting->fds, waiting->nfds * sizeof(int));
    worker->job.nfds = waiting->nfds;
    verdict = call_take(worker, peer, &waiting->header, waiting->data, waiting->len,
                        waiting->received_us, &why);
    lvc_free(waiting);
    (void)pthread_mutex_lock(&server->lock);
    if (verdict == VERDICT_FAILED) {
        rpc_peer_fail(peer, &why);
    }
    if (verdict == VERDICT_TAKEN && peer->state != RPC_PEER_GONE) {
        worker->peer = peer;
        peer->calls++;
        server->stats.calls++;
        return true;
    }
    rpc_worker_drop_fds(worker);
    rpc_peer_request_done(peer);
    rpc_peer_release(peer);
    return false;
}

static bool take_notice(struct lvc_worker *worker, struct rpc_peer *peer)
{
    rpc_peer_dequeue(peer);
    if (peer->tell_accepted) {
        peer->tell_accepted = false;
        peer->announced = true;
        job_fill(worker, peer, LVC_WORK_ACCEPTED);
        worker->peer = peer;
        peer->references++;
    } else if (peer->tell_drained) {
        peer->tell_drained = false;
        job_fill(worker, peer, LVC_WORK_DRAINED);
        rpc_peer_enqueue(peer);
    } else {
        job_fill(worker, peer, LVC_WORK_CLOSED);
        worker->job.error = peer->why;
        peer->tell_closed = false; /* others may still have a call of it */
        worker->server->peers[peer->id & (RPC_SLOTS_MAX - 1)] = NULL;
        rpc_peer_release(peer);
    }
    return true;
}

bool rpc_work_take(struct lvc_worker *worker)
{
    struct rpc_peer *peer = worker->server->first;

    while (peer != NULL) {
        if (worker->prio && peer->parked) {
            peer = peer->queue_next;
        } else if (peer->tell_accepted || peer->tell_drained ||
                   (peer->tell_closed && !worker->prio)) {
            return take_notice(worker, peer);
        } else if (peer->waiting != NULL && !worker->prio) {
            if (take_waiting(worker, peer)) {
                return true;
            }
            peer = worker->server->first; /* the lock was let go */
        } else if ((peer->readable || peer->more) && !peer->stream_waits &&
                   rpc_peer_has_room(peer)) {
            if (take_read(worker, peer)) {
                return true;
            }
            peer = worker->server->first;
        } else if (worker->prio && (peer->waiting != NULL || peer->tell_closed)) {
            peer->parked = true;
        } else {
            struct rpc_peer *next = peer->queue_next; /* what it had is done, or may not be now */

            rpc_peer_dequeue(peer);
            peer = next;
        }
    }
    return false;
}
