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


/* cdef: end */

#endif
