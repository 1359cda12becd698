/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirtcore.h: the public face of the C core.
 * Called by: Python, through cffi, which reads the span between the two cdef marks as it stands.
 * Never: includes a header of another room; holds anything cffi could not parse between the marks.
 *
 * Every fallible function returns -1 (or NULL) and fills the caller's lvc_error; the function that
 * finds a fault writes it, all above return it untouched. Python calls C; C never calls Python.
 */
#ifndef LIBVIRTCORE_H
#define LIBVIRTCORE_H

#include <stddef.h>
#include <stdint.h>

/* cdef: begin */

/* ---- errors ---- */

typedef struct lvc_error {
    int32_t code;   /* VIR_ERR_..., 0 when there is none */
    int32_t domain; /* VIR_FROM_... */
    int32_t number; /* errno of the system call that failed, else 0 */
    char message[1012];
} lvc_error;

/* ---- identity: compared with the Python half at import ---- */

const char *lvc_version(void);
const char *lvc_hash(void); /* of the wire tables */

/* ---- codec: XDR to and from a stream that marshal.loads reads and marshal.dumps(x, 2) writes ---- */

enum lvc_codec_flags {
    LVC_DECODE_DICT = 1,   /* typed parameters become one dict instead of a list of triples */
    LVC_DECODE_PICKLE = 2, /* emit pickle opcodes instead of marshal codes */
};

/* One reusable output buffer. Not shared by threads: each borrows one for the time of a call. */
typedef struct lvc_codec lvc_codec;

lvc_codec *lvc_codec_new(void);
void lvc_codec_free(lvc_codec *codec);

/* Added to the length that the next three return when the output stands in another place, or has
 * another room, than after the call before. */
#define LVC_CODEC_MOVED 0x10000000000

/* Length of the output, -1 with an error. */
int64_t lvc_codec_decode(lvc_codec *codec, uint32_t type, const uint8_t *data, size_t len,
                         uint32_t flags, lvc_error *err);
int64_t lvc_codec_encode(lvc_codec *codec, uint32_t type, const uint8_t *data, size_t len,
                         lvc_error *err);

/* A fixed value in which every code occurs, for the self-test of codec.py. */
int64_t lvc_codec_sample(lvc_codec *codec, uint32_t flags, lvc_error *err);

/* Where the output stands and how many bytes may be read there. */
const uint8_t *lvc_codec_data(const lvc_codec *codec);
size_t lvc_codec_room(const lvc_codec *codec);

/* ---- rpc: one connection, many threads ---- */

typedef struct lvc_client lvc_client; /* a connection; any thread */
typedef struct lvc_slot lvc_slot;     /* what one operation works with; one thread at a time */
typedef struct lvc_stream lvc_stream; /* a stream on a connection; any thread */

/* What an operation returns: a mask. LVC_VALUE alone is an answer with a value, 0 one without. */
enum lvc_outcome {
    LVC_VALUE = 1,    /* lvc_slot_data holds a value stream */
    LVC_MOVED = 2,    /* lvc_slot_data and lvc_slot_room have changed */
    LVC_ACTIVITY = 4, /* events or stream data were queued, or the connection closed */
    LVC_FAILED = 8,   /* report->error tells why */
    LVC_REMOTE = 16,  /* the value is the error that the peer sent */
    LVC_AGAIN = 32,   /* not done: look after signals, then lvc_slot_resume or lvc_slot_abandon */
    LVC_BLOCKED = 64, /* stream: nothing could be done without waiting */
    LVC_HOLE = 128,   /* stream: a hole is next */
};

enum lvc_closed {
    LVC_OPEN = 0,
    LVC_CLOSED_ERROR = 1,
    LVC_CLOSED_EOF = 2,
    LVC_CLOSED_KEEPALIVE = 3,
    LVC_CLOSED_CLIENT = 4,
};

/* About the slot's last operation. */
typedef struct lvc_report {
    uint32_t program;
    uint32_t procedure;
    uint32_t serial;
    uint32_t nfds; /* descriptors that came with the reply; lvc_slot_take_fds has them */
    uint64_t sent; /* bytes of the messages */
    uint64_t received;
    int64_t number; /* stream: bytes taken, bytes read, or length of the hole */
    int64_t encoded_ns; /* monotonic clock; these three of a client that keeps times, else 0 */
    int64_t sent_ns;
    int64_t answered_ns; /* the reply is here and about to be decoded */
    lvc_error error;
} lvc_report;

typedef struct lvc_client_stats {
    uint64_t calls;
    uint64_t replies;
    uint64_t late_replies;  /* to calls that nobody waited for any more */
    uint64_t events;
    uint64_t events_dropped; /* unknown or malformed */
    uint64_t stream_messages;
    uint64_t stream_dropped; /* for streams that are gone */
    uint64_t pings;          /* answered */
    uint64_t bytes_sent;
    uint64_t bytes_received;
    uint64_t in_flight;
    uint64_t queued_events;
    uint64_t queued_bytes; /* events, and answers that wait to be fetched */
    uint64_t unsent_bytes;
} lvc_client_stats;

/* Takes the descriptor: a connected stream socket. On failure it stays the caller's. */
lvc_client *lvc_client_new(int fd, uint32_t max_in_flight, uint32_t codec_flags, lvc_error *err);

/* Whether reports say when. */
void lvc_client_keep_times(lvc_client *client, int keep);

/* The memory stays until the last slot and stream are freed, too. */
void lvc_client_free(lvc_client *client);

/* Whoever waits gets an error; the descriptor is closed when the last has left. */
void lvc_client_close(lvc_client *client);

/* enum lvc_closed, and why. */
int lvc_client_closed(lvc_client *client, lvc_error *why);
int lvc_client_wants_write(lvc_client *client);
void lvc_client_get_stats(lvc_client *client, lvc_client_stats *out);

/* Operations of one thread (of all: 0) end with OPERATION_ABORTED; returns how many. */
int lvc_client_cancel(lvc_client *client, uint64_t thread);

/* interval_ms 0 = off. The tick returns the milliseconds until the next one, -1 for never. */
void lvc_client_keepalive_start(lvc_client *client, int64_t interval_ms, uint32_t count);
int64_t lvc_client_keepalive_tick(lvc_client *client);

lvc_slot *lvc_slot_new(lvc_client *client);
void lvc_slot_free(lvc_slot *slot);
const uint8_t *lvc_slot_data(const lvc_slot *slot);
size_t lvc_slot_room(const lvc_slot *slot);
const lvc_report *lvc_slot_report(const lvc_slot *slot);
void lvc_slot_take_fds(lvc_slot *slot, int *fds); /* report->nfds of them, now the caller's */
lvc_stream *lvc_slot_take_stream(lvc_slot *slot); /* of a successful lvc_stream_open */

/* args: what marshal.dumps(args, 2) gave, or NULL. timeout_ms -1: for ever. fds are copied. */
int lvc_client_call(lvc_slot *slot, uint32_t program, uint32_t procedure, const uint8_t *args,
                    size_t args_len, int64_t timeout_ms);
int lvc_client_call_fds(lvc_slot *slot, uint32_t program, uint32_t procedure, const uint8_t *args,
                        size_t args_len, const int *fds, uint32_t nfds, int64_t timeout_ms);
int lvc_client_submit(lvc_slot *slot, uint32_t program, uint32_t procedure, const uint8_t *args,
                      size_t args_len, int64_t timeout_ms); /* report->serial */

/* triples: not 0 to have typed parameters as LVC_DECODE_DICT would not. */
int lvc_client_wait(lvc_slot *slot, uint32_t serial, int triples, int64_t timeout_ms);
int lvc_slot_resume(lvc_slot *slot, int64_t slice_ms);
void lvc_slot_abandon(lvc_slot *slot); /* nothing to do when no operation is under way */

/* Read what is there; with a timeout wait for it. */
int lvc_client_pump(lvc_slot *slot, int64_t timeout_ms);

/* The oldest queued event: LVC_VALUE with report->program and ->procedure, or 0. */
int lvc_client_next_event(lvc_slot *slot);

int lvc_stream_open(lvc_slot *slot, uint32_t program, uint32_t procedure, const uint8_t *args,
                    size_t args_len, const int *fds, uint32_t nfds, int64_t timeout_ms);
int lvc_stream_send(lvc_slot *slot, lvc_stream *stream, const uint8_t *data, size_t len,
                    int nonblock, int64_t timeout_ms);
int lvc_stream_send_hole(lvc_slot *slot, lvc_stream *stream, int64_t length, uint32_t flags,
                         int64_t timeout_ms);
int lvc_stream_recv(lvc_slot *slot, lvc_stream *stream, size_t len, int nonblock,
                    int stop_at_hole, int64_t timeout_ms);
int lvc_stream_recv_hole(lvc_slot *slot, lvc_stream *stream, int64_t timeout_ms);
int lvc_stream_finish(lvc_slot *slot, lvc_stream *stream, int abort, int64_t timeout_ms);
int lvc_stream_poll(lvc_stream *stream); /* 1 readable, 2 writable, 4 error, 8 hangup */
void lvc_stream_drop(lvc_stream *stream); /* an unfinished one is aborted, without waiting */
void lvc_stream_free(lvc_stream *stream); /* the same, and its memory goes */

/* ---- qmp: one monitor of QEMU or one guest agent, many threads ---- */

typedef struct lvc_qmp lvc_qmp;           /* a connection; any thread */
typedef struct lvc_qmp_slot lvc_qmp_slot; /* what one operation works with; one thread at a time */

enum lvc_qmp_flags {
    LVC_QMP_AGENT = 1, /* no greeting, no ids, wrong lines are dropped instead of fatal */
};

/* The longest line that any limit allows. */
#define LVC_QMP_LINE_MAX 0x10000000

/* About the slot's last operation. */
typedef struct lvc_qmp_report {
    uint64_t id; /* of the command */
    lvc_error error;
} lvc_qmp_report;

typedef struct lvc_qmp_stats {
    uint64_t commands;
    uint64_t replies;
    uint64_t late_replies; /* to commands that nobody waited for any more */
    uint64_t events;
    uint64_t events_lost; /* more than were kept */
    uint64_t dropped;     /* wrong lines of an agent */
    uint64_t bytes_sent;
    uint64_t bytes_received;
    uint64_t in_flight;
    uint64_t queued_bytes; /* events, and answers that wait to be fetched */
    uint64_t unsent_bytes;
} lvc_qmp_stats;

/* Takes the descriptor: a connected stream socket. On failure it stays the caller's. */
lvc_qmp *lvc_qmp_new(int fd, uint32_t flags, uint64_t max_line, lvc_error *err);
void lvc_qmp_free(lvc_qmp *qmp); /* the memory stays until the last slot is freed, too */
void lvc_qmp_close(lvc_qmp *qmp);
int lvc_qmp_closed(lvc_qmp *qmp, lvc_error *why); /* enum lvc_closed, and why */
int lvc_qmp_wants_write(lvc_qmp *qmp);
void lvc_qmp_get_stats(lvc_qmp *qmp, lvc_qmp_stats *out);
int lvc_qmp_cancel(lvc_qmp *qmp, uint64_t thread); /* of all: 0; returns how many */
void lvc_qmp_forget(lvc_qmp *qmp, uint64_t id);    /* nobody will wait for it */

lvc_qmp_slot *lvc_qmp_slot_new(lvc_qmp *qmp);
void lvc_qmp_slot_free(lvc_qmp_slot *slot);
const uint8_t *lvc_qmp_slot_data(const lvc_qmp_slot *slot);
size_t lvc_qmp_slot_room(const lvc_qmp_slot *slot);
const lvc_qmp_report *lvc_qmp_slot_report(const lvc_qmp_slot *slot);
void lvc_qmp_slot_abandon(lvc_qmp_slot *slot);

/* Operations return a mask of enum lvc_outcome in the lowest 8 bits, the length of the value that
 * lvc_qmp_slot_data holds above them. LVC_VALUE: a value, JSON text. LVC_REMOTE: it is QEMU's error
 * object. timeout_ms -1: for ever. */
#define LVC_QMP_LENGTH_SHIFT 8

int64_t lvc_qmp_greet(lvc_qmp_slot *slot, int64_t timeout_ms);

/* text: a command up to where its id goes, `{"execute":"cont"`. fds are copied. One that is executed,
 * or submitted as a lone one, goes without an id when no other waits for an answer. */
int64_t lvc_qmp_execute(lvc_qmp_slot *slot, const char *text, size_t len, const int *fds,
                        uint32_t nfds, int64_t timeout_ms);
int64_t lvc_qmp_submit(lvc_qmp_slot *slot, const char *text, size_t len, const int *fds,
                       uint32_t nfds, int lone); /* report->id */
/* timeout_ms 0: LVC_BLOCKED when no pump has read the answer. */
int64_t lvc_qmp_wait(lvc_qmp_slot *slot, uint64_t id, int64_t timeout_ms);
int64_t lvc_qmp_sync(lvc_qmp_slot *slot, uint64_t number, int64_t timeout_ms); /* agent */
int64_t lvc_qmp_resume(lvc_qmp_slot *slot, int64_t slice_ms);
int64_t lvc_qmp_pump(lvc_qmp_slot *slot, int64_t timeout_ms);
int64_t lvc_qmp_next_event(lvc_qmp_slot *slot); /* the whole line, or 0 */

/* ---- rpc: the server, all its clients, many threads ---- */

typedef struct lvc_server lvc_server; /* any thread */
typedef struct lvc_worker lvc_worker; /* one thread at a time */

enum lvc_work {
    LVC_WORK_CALL = 0,
    LVC_WORK_ACCEPTED = 1,
    LVC_WORK_CLOSED = 2,
    LVC_WORK_STREAM = 3,
    LVC_WORK_IDLE = 4, /* the time is over */
    LVC_WORK_DRAINED = 5,
};

/* What lvc_server_next returns besides lvc_outcome. */
enum lvc_next {
    LVC_STOPPED = 256, /* no work will come any more */
};

enum lvc_answer {
    LVC_ANSWER_NONE = 0,
    LVC_ANSWER_VALUE = 1,
    LVC_ANSWER_ERROR = 2,
};

typedef struct lvc_server_limits {
    uint64_t max_unsent_bytes;
    int64_t keepalive_interval_ms;
    int64_t anonymous_ms;
    uint32_t keepalive_count;
    uint32_t max_clients;
    uint32_t max_anonymous_clients;
    uint32_t max_client_requests;
    uint32_t max_queued_clients;
} lvc_server_limits;

/* The worker's work. Python reads the numbers at once, in this order. */
typedef struct lvc_job {
    uint64_t client;
    int64_t received_us;
    int64_t length; /* of the stream's data in lvc_worker_data, or of its hole */
    uint32_t kind;
    uint32_t service;
    uint32_t program;
    uint32_t procedure;
    uint32_t serial;
    uint32_t type;
    uint32_t status;
    uint32_t flags; /* of a hole */
    uint32_t nfds;  /* lvc_worker_take_fds has them */
    uint32_t version;
    lvc_error error; /* why the client is gone; why an answer could not be sent */
} lvc_job;

typedef struct lvc_peer_info {
    uint64_t id;
    int64_t since_epoch_ms;
    int64_t uid; /* -1: unknown */
    int64_t gid;
    int64_t pid;
    uint64_t calls;
    uint64_t unsent;
    int32_t fd;
    uint32_t service;
    uint32_t authenticated;
    uint32_t requests;
    char address[112];
} lvc_peer_info;

typedef struct lvc_server_stats {
    uint64_t accepted;
    uint64_t closed;
    uint64_t accept_failures;
    uint64_t calls;
    uint64_t stream_messages;
    uint64_t refused; /* calls that were answered with an error without being taken */
    uint64_t ignored; /* messages of a type that no client may send */
    uint64_t pings;   /* answered */
    uint64_t slow;    /* clients dropped because they did not read */
    uint64_t silent;  /* because they did not answer a PING */
    uint64_t bytes_sent;
    uint64_t bytes_received;
    uint64_t polls;
    uint64_t deputies; /* times that a worker stood in for one that stayed away */
    uint64_t clients;
    uint64_t anonymous;
    uint64_t workers;
    uint64_t busy_workers;
    uint64_t accepting; /* listening sockets that are watched */
} lvc_server_stats;

lvc_server *lvc_server_new(const lvc_server_limits *limits, const uint32_t *programs,
                           uint32_t nprograms, uint32_t codec_flags, lvc_error *err);
void lvc_server_free(lvc_server *server); /* its memory stays until the last worker is freed */
void lvc_server_stop(lvc_server *server);
void lvc_server_set_limits(lvc_server *server, const lvc_server_limits *limits);
void lvc_server_get_stats(lvc_server *server, lvc_server_stats *out);

/* Of this procedure's arguments, typed parameters as triples; before the first client. */
int lvc_server_add_triples(lvc_server *server, uint32_t program, uint32_t procedure,
                           lvc_error *err);

/* Both take the descriptor; on failure it stays the caller's. */
int lvc_server_listen(lvc_server *server, int fd, uint32_t service, lvc_error *err);
int64_t lvc_server_adopt(lvc_server *server, int fd, uint32_t service, lvc_error *err);
void lvc_server_pause(lvc_server *server, int pause);
void lvc_server_stop_listening(lvc_server *server);

/* 1, or 0 when the client is gone. */
int lvc_server_accept(lvc_server *server, uint64_t client, int authenticated);
int lvc_server_authenticated(lvc_server *server, uint64_t client);
int lvc_server_keepalive(lvc_server *server, uint64_t client);
int lvc_server_close(lvc_server *server, uint64_t client, int flush);
int64_t lvc_server_unsent(lvc_server *server, uint64_t client); /* -1: gone */
int lvc_server_want_drained(lvc_server *server, uint64_t client, uint64_t below);

/* At most `room` clients; how many. The low LVC_SLOT_BITS of an id are its place: the list goes on
 * from the place behind the last one's. */
#define LVC_SLOT_BITS 20
uint32_t lvc_server_list(lvc_server *server, uint32_t from, lvc_peer_info *out, uint32_t room);
int lvc_server_info(lvc_server *server, uint64_t client, lvc_peer_info *out); /* 0: gone */

/* Until all normal workers have been busy for a while: 1; 0 after the time or when it stops. */
int lvc_server_starved(lvc_server *server, int64_t timeout_ms);

lvc_worker *lvc_worker_new(lvc_server *server, int prio);
void lvc_worker_free(lvc_worker *worker);
const lvc_job *lvc_worker_job(const lvc_worker *worker);
const uint8_t *lvc_worker_data(const lvc_worker *worker);
size_t lvc_worker_room(const lvc_worker *worker);
void lvc_worker_take_fds(lvc_worker *worker, int *fds);

/* Copies for the answer that comes next. */
int lvc_worker_put_fds(lvc_worker *worker, const int *fds, uint32_t nfds, lvc_error *err);

/* Send the answer (enum lvc_answer), wait, take the next work. A mask: LVC_VALUE, LVC_MOVED,
 * LVC_FAILED (job->error: the answer did not fit; the client was told), LVC_STOPPED. */
int lvc_server_next(lvc_worker *worker, int answer, const uint8_t *data, size_t len,
                    int64_t timeout_ms);
int lvc_worker_flush(lvc_worker *worker, int answer, const uint8_t *data, size_t len,
                     lvc_error *err);
void lvc_worker_detach(lvc_worker *worker);

/* 1 sent or queued, 0 the client is gone, -1 the value does not fit. kind: as the job had it. */
int lvc_server_answer(lvc_server *server, uint64_t client, uint32_t program, uint32_t procedure,
                      uint32_t serial, uint32_t kind, int answer, const uint8_t *data, size_t len,
                      const int *fds, uint32_t nfds, lvc_error *err);
int lvc_server_event(lvc_server *server, uint64_t client, uint32_t program, uint32_t procedure,
                     const uint8_t *data, size_t len, lvc_error *err);
int lvc_server_stream_data(lvc_server *server, uint64_t client, uint32_t program,
                           uint32_t procedure, uint32_t serial, uint32_t status,
                           const uint8_t *data, size_t len);
int lvc_server_stream_hole(lvc_server *server, uint64_t client, uint32_t program,
                           uint32_t procedure, uint32_t serial, int64_t length, uint32_t flags);
int lvc_server_stream_error(lvc_server *server, uint64_t client, uint32_t program,
                            uint32_t procedure, uint32_t serial, const uint8_t *data, size_t len,
                            lvc_error *err);

/* cdef: end */

#endif
