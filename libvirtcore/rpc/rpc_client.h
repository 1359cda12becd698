/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_client.h: what the parts of the client share.
 * Called by: rpc_client (birth, death, keepalive), rpc_call (the operations), rpc_wait (who reads
 * for whom), rpc_dispatch (messages to their owners), rpc_send, rpc_stream, rpc_events.
 * Never: included outside this room.
 *
 * Rules. 1: everything in lvc_client is touched under `lock`, but for what belongs to the head: the
 * thread that reads for all owns the framer's memory and in_fds, also while it has let go of the
 * lock. 2: an operation is one slot; its thread alone sets op, call, stream; others may only mark it
 * cancelled and signal it. 3: a reply that its own thread read stays in the framer's memory until
 * it is decoded, so that thread stays head that long. 4: C never calls Python; a forked child
 * neither locks nor writes.
 */
#ifndef LVC_RPC_CLIENT_H
#define LVC_RPC_CLIENT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/base_buf.h"
#include "base/base_look.h"
#include "libvirtcore.h"
#include "rpc/rpc_calls.h"
#include "rpc/rpc_frame.h"
#include "rpc/rpc_keepalive.h"
#include "rpc/rpc_queue.h"
#include "rpc/rpc_socket.h"

/* Events that nobody fetches: beyond this the connection is closed. */
#define RPC_EVENTS_MAX ((size_t)64 << 20)

/* Stream data that nobody reads: beyond this the stream is aborted. */
#define RPC_STREAM_MAX ((size_t)256 << 20)

/* Answers of a pipeline that nobody fetches: beyond this nothing more is submitted. */
#define RPC_STORED_MAX ((size_t)256 << 20)

/* First wait of an operation before it lets Python look after signals. */
#define RPC_SLICE_MS 200

enum rpc_op {
    RPC_OP_NONE,
    RPC_OP_ROOM,    /* waits until one more call may be in flight, then sends it */
    RPC_OP_FLUSH,   /* waits until all is sent */
    RPC_OP_REPLY,   /* waits for the answer of `call` */
    RPC_OP_RECV,    /* waits for data on `stream` */
    RPC_OP_HOLE,    /* waits for a hole on `stream` */
    RPC_OP_CONFIRM, /* waits for the end of `stream` to be confirmed */
    RPC_OP_PUMP,    /* waits for anything */
};

struct lvc_slot {
    struct lvc_client *client;
    struct lvc_buf out;    /* the message to be sent */
    struct lvc_buf result; /* the value stream, or stream data */
    const uint8_t *shown;  /* result.data and result.room as Python knows them */
    size_t shown_room;
    lvc_report report;
    int fds[LVC_NET_MESSAGE_NUM_FDS_MAX];     /* that came, report.nfds */
    int out_fds[LVC_NET_MESSAGE_NUM_FDS_MAX]; /* to be sent */
    uint32_t out_nfds;

    enum rpc_op op;
    bool pipelined; /* do not wait for the reply */
    bool triples;   /* decode without LVC_DECODE_DICT */
    bool running;   /* its thread is inside the core (not back in Python for signals) */
    bool asleep;    /* its thread waits for `wakeup` */
    bool cancelled;
    bool patient;   /* a brief read was not enough: poll */
    bool arrived;   /* pump: something was read */
    bool stop_at_hole;
    bool nonblock;
    pthread_t thread;
    int64_t timeout_ms;
    int64_t deadline_ms; /* 0 = none */
    pthread_cond_t wakeup;
    struct rpc_call *call;
    struct lvc_stream *stream;  /* that the operation is on */
    struct lvc_stream *opening; /* that the call opens; the slot's until it is taken */
    const struct lvc_procedure *procedure;
    size_t want; /* stream: bytes asked for */
    struct lvc_slot *previous; /* active operations, oldest first */
    struct lvc_slot *next;
};

struct rpc_unsent {
    struct rpc_unsent *next;
    size_t len;
    size_t sent;
    uint32_t nfds;
    uint32_t sent_fds;
    int fds[LVC_NET_MESSAGE_NUM_FDS_MAX];
    uint8_t data[];
};

struct lvc_client {
    pthread_mutex_t lock;
    int fd;
    pid_t process;
    bool passes_fds;
    uint32_t codec_flags;
    uint32_t references; /* the owner, each slot, each stream */
    struct rpc_wake wake;

    enum lvc_closed closed;
    lvc_error why;
    bool fd_unwanted; /* whoever is the last to use the descriptor closes it */
    bool activity; /* to be reported by the next operation that returns */
    bool keeps_times;

    struct lvc_slot *head; /* reads for all */
    struct lvc_look look;
    bool head_polls;
    struct lvc_slot *first;
    struct lvc_slot *last;

    struct rpc_framer framer;
    int in_fds[LVC_NET_MESSAGE_NUM_FDS_MAX];
    uint32_t in_nfds;

    struct rpc_calls calls;
    struct rpc_queue events;
    struct lvc_stream *streams;
    struct rpc_keepalive keepalive;

    struct rpc_unsent *unsent;
    struct rpc_unsent *unsent_last;
    size_t unsent_bytes;
    bool pong_waits;

    lvc_client_stats stats;
};

struct lvc_stream {
    struct lvc_client *client;
    struct lvc_stream *next;
    uint32_t program;
    uint32_t version;
    uint32_t procedure;
    uint32_t serial;
    bool linked;    /* receives messages */
    bool ended;     /* the peer sent all */
    bool finishing; /* our finish or abort waits for its confirmation */
    bool confirmed;
    bool closed;    /* by either side */
    bool failed;    /* error_data, or error when that is NULL */
    uint8_t *error_data;
    size_t error_len;
    lvc_error error;
    struct rpc_queue in;
};

/* ---- rpc_client ---- */

/* All below: with the lock held, unless said otherwise. */

void rpc_client_lock(struct lvc_client *client); /* takes it */
void rpc_client_unlock(struct lvc_client *client);

/* The connection is over: whoever waits gets *why. */
void rpc_client_fail(struct lvc_client *client, enum lvc_closed closed, const lvc_error *why);
void rpc_client_release(struct lvc_client *client); /* lock not held: one reference less */

/* 0, or -1 with the error of an operation that begins when the connection is over. */
int rpc_client_check_open(const struct lvc_client *client, lvc_error *err);
void rpc_client_close_fds(struct lvc_client *client);
bool rpc_client_is_forked(const struct lvc_client *client);

/* One look at the keepalive; due again at the returned time, -1 for never. */
int64_t rpc_client_keepalive(struct lvc_client *client, int64_t now_ms);

/* ---- rpc_send ---- */

/* Send or queue a message. -1 when the connection broke (and is closed now). With `whole`, nothing
 * is queued when nothing could be sent at once, and 1 returned. */
int rpc_send(struct lvc_client *client, const uint8_t *head, size_t head_len, const uint8_t *body,
             size_t body_len, const int *fds, uint32_t nfds, bool whole);
int rpc_send_header(struct lvc_client *client, const struct rpc_header *header);
void rpc_send_rest(struct lvc_client *client); /* what was queued, as far as it goes */
void rpc_send_forget(struct lvc_client *client);

/* ---- rpc_dispatch ---- */

/* Every whole message in the framer to its owner; faults close the connection. */
void rpc_dispatch(struct lvc_client *client, struct lvc_slot *reader);
const struct lvc_program *rpc_program_find(uint32_t number);
const struct lvc_procedure *rpc_procedure_find(const struct lvc_program *program, uint32_t number);

/* ---- rpc_wait ---- */

void rpc_op_begin(struct lvc_slot *slot, enum rpc_op op, int64_t timeout_ms);
void rpc_op_end(struct lvc_slot *slot);

/* 0: what the operation waits for is there; else LVC_FAILED or LVC_AGAIN. A thread that comes back
 * with a borrowed reply is still head and calls rpc_head_leave when it has decoded it. */
int rpc_op_wait(struct lvc_slot *slot, int64_t slice_ms);
void rpc_head_leave(struct lvc_slot *slot);
void rpc_wake_ready(struct lvc_client *client); /* those who have what they wait for */
void rpc_wake_head(struct lvc_client *client);  /* out of its poll */

/* ---- rpc_call ---- */

/* Lock not held. Forget the last operation. */
void rpc_slot_reset(struct lvc_slot *slot);
int rpc_slot_outcome(struct lvc_slot *slot, int outcome);

/* The operation on, until it ends or has to pause. Lock held. */
int rpc_op_run(struct lvc_slot *slot, int64_t slice_ms);
int rpc_call_start(struct lvc_slot *slot, uint32_t program, uint32_t procedure,
                   const uint8_t *args, size_t args_len, const int *fds, uint32_t nfds,
                   bool pipelined, int64_t timeout_ms);

/* ---- rpc_stream ---- */

void rpc_stream_message(struct lvc_client *client, const struct rpc_frame *frame);
bool rpc_stream_ready(const struct lvc_slot *slot);
int rpc_stream_run(struct lvc_slot *slot); /* the ready operation's outcome */
void rpc_stream_link(struct lvc_stream *stream, const struct rpc_call *call);
void rpc_stream_dispose(struct lvc_stream *stream);

#endif
