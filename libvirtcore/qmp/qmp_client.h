/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qmp_client.h: one monitor and the threads that share it.
 * Called by: qmp_client (birth, death), qmp_command (the operations), qmp_wait (who reads for whom),
 * qmp_dispatch (lines to their owners), qmp_send.
 * Never: included outside this room.
 *
 * Rules. 1: everything in lvc_qmp is touched under `lock`, but for the framer's memory, which is the
 * head's: the thread that reads for all, also while it has let go of the lock. 2: an operation is
 * one slot; its thread alone begins and ends it; the head puts the answer into its `result`, under
 * the lock. 3: a pump waits for the socket without being head, so that it never stands between a
 * command and its answer. 4: C never calls Python; a forked child neither locks nor writes.
 */
#ifndef LVC_QMP_CLIENT_H
#define LVC_QMP_CLIENT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/base_buf.h"
#include "libvirtcore.h"
#include "qmp/qmp_frame.h"
#include "qmp/qmp_socket.h"

/* Events that nobody fetches: beyond this, new ones are counted and dropped. */
#define QMP_EVENTS_MAX ((size_t)16 << 20)

/* Commands on their way; a peer that answers none does not make us keep more. */
#define QMP_CALLS_MAX 4096U

/* Bytes that the peer does not take. */
#define QMP_UNSENT_MAX ((size_t)64 << 20)

/* Answers that wait to be fetched. */
#define QMP_STORED_MAX ((size_t)256 << 20)

/* First wait of an operation before it lets Python look after signals. */
#define QMP_SLICE_MS 200

enum qmp_op {
    QMP_OP_NONE,
    QMP_OP_GREET, /* waits for the greeting */
    QMP_OP_REPLY, /* waits for the answer of `call` */
    QMP_OP_PUMP,  /* waits for an event, an answer nobody waits for, or the end */
};

/* A command that was sent, or will be. */
struct qmp_call {
    struct qmp_call *next;
    uint64_t id;
    struct lvc_qmp_slot *owner; /* who waits; NULL for a submitted one nobody asked about yet */
    bool submitted;             /* on the heap, else a part of its slot */
    bool answered;
    bool failed; /* the value is QEMU's error */
    bool lost;   /* there was no memory for the answer */
    bool sync;   /* only a return of exactly `expect` answers it */
    uint64_t expect;
    uint8_t *data; /* answer of a submitted one */
    size_t len;
};

struct lvc_qmp_slot {
    struct lvc_qmp *qmp;
    struct lvc_buf out;
    struct lvc_buf result;
    const uint8_t *shown; /* result as Python knows it */
    size_t shown_room;
    lvc_qmp_report report;
    int fds[QMP_FDS_MAX]; /* to be sent, ours */
    uint32_t nfds;

    enum qmp_op op;
    bool asleep;
    bool cancelled;
    bool patient; /* a brief read was not enough: poll */
    bool arrived; /* pump: there is something for it */
    bool nonblock;
    pthread_t thread;
    int64_t timeout_ms;
    int64_t deadline_ms; /* 0 = none */
    pthread_cond_t wakeup;
    struct qmp_call *call;
    struct qmp_call own;
    struct lvc_qmp_slot *previous; /* active operations, oldest first */
    struct lvc_qmp_slot *next;
};

struct qmp_unsent {
    struct qmp_unsent *next;
    uint64_t id;
    size_t len;
    size_t sent;
    bool begun;    /* some of it is out: it must not be withdrawn */
    uint32_t nfds; /* until then */
    int fds[QMP_FDS_MAX];
    uint8_t data[];
};

struct qmp_event {
    struct qmp_event *next;
    size_t len;
    uint8_t data[];
};

struct lvc_qmp {
    pthread_mutex_t lock;
    int fd;
    pid_t process;
    bool agent;
    uint32_t references; /* the owner and each slot */
    size_t max_line;
    struct qmp_wake wake;  /* of the head */
    struct qmp_wake watch; /* of those who pump */
    uint32_t watchers;

    enum lvc_closed closed;
    lvc_error why;
    bool mute;        /* the peer takes nothing any more, but may have said something */
    bool fd_unwanted; /* whoever is the last to use the descriptor closes it */
    bool activity;    /* to be reported by the next operation that returns */
    uint64_t arrivals; /* of what pumps wait for */
    uint64_t pumped;   /* arrivals when a pump last returned */

    struct lvc_qmp_slot *head; /* reads for all */
    bool head_polls;
    struct lvc_qmp_slot *first;
    struct lvc_qmp_slot *last;

    struct qmp_framer framer;
    bool greeted;
    struct lvc_buf greeting;

    uint64_t next_id;
    uint64_t plain; /* the command whose answer comes without an id; 0: none */
    struct qmp_call *calls; /* oldest first */
    struct qmp_call *calls_last;
    uint32_t ncalls;
    size_t stored;

    struct qmp_event *events;
    struct qmp_event *events_last;
    size_t events_bytes;
    uint64_t events_lost; /* since the last gap was told */

    struct qmp_unsent *unsent;
    struct qmp_unsent *unsent_last;
    size_t unsent_bytes;

    lvc_qmp_stats stats;
};

/* All below: with the lock held, unless said otherwise. */

/* ---- qmp_client ---- */

void qmp_lock(struct lvc_qmp *qmp); /* takes it */
void qmp_unlock(struct lvc_qmp *qmp);
bool qmp_is_forked(const struct lvc_qmp *qmp);
const char *qmp_who(const struct lvc_qmp *qmp); /* for messages */

/* Something came that pumps wait for. */
void qmp_arrived(struct lvc_qmp *qmp);

/* The connection is over: whoever waits gets *why. */
void qmp_fail(struct lvc_qmp *qmp, enum lvc_closed closed, const lvc_error *why);
int qmp_check_open(const struct lvc_qmp *qmp, lvc_error *err);
void qmp_close_fds(struct lvc_qmp *qmp);

/* ---- qmp_send ---- */

/* Send or queue a command; the descriptors are the queue's when queued. -1 with an error. */
int qmp_send(struct lvc_qmp *qmp, struct lvc_qmp_slot *slot, uint64_t id, lvc_error *err);
void qmp_send_rest(struct lvc_qmp *qmp);
void qmp_send_forget(struct lvc_qmp *qmp);
void qmp_send_withdraw(struct lvc_qmp *qmp, uint64_t id); /* if nothing of it is out */

/* ---- qmp_dispatch ---- */

void qmp_dispatch(struct lvc_qmp *qmp); /* every whole line to its owner; faults close */
void qmp_events_clear(struct lvc_qmp *qmp);

/* ---- qmp_wait ---- */

void qmp_op_begin(struct lvc_qmp_slot *slot, enum qmp_op op, int64_t timeout_ms);
void qmp_op_end(struct lvc_qmp_slot *slot);

/* 0: what the operation waits for is there, or a pump's time is over; else LVC_FAILED, LVC_AGAIN. */
int qmp_op_wait(struct lvc_qmp_slot *slot, int64_t slice_ms);
void qmp_wake_ready(struct lvc_qmp *qmp); /* those who have what they wait for */
void qmp_wake_head(struct lvc_qmp *qmp);  /* out of its poll */
void qmp_wake_watchers(struct lvc_qmp *qmp);

/* ---- qmp_command ---- */

void qmp_call_add(struct lvc_qmp *qmp, struct qmp_call *call);
void qmp_call_remove(struct lvc_qmp *qmp, struct qmp_call *call); /* frees a submitted one */
struct qmp_call *qmp_call_find(const struct lvc_qmp *qmp, uint64_t id);
void qmp_slot_drop_fds(struct lvc_qmp_slot *slot);

#endif
