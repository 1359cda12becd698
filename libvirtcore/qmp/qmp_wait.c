/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qmp_wait.c: who reads for whom.
 * Called by: qmp_command. Calls: qmp_socket, qmp_dispatch, qmp_send.
 * Never: returns while holding the head's office.
 *
 * Of all threads that wait for an answer, one is the head: it reads, sends what is queued, and wakes
 * those whose answers it met. The others sleep. When the head has its own answer it leaves and wakes
 * a sleeper, who takes the office. Its first read is a plain recv that may wait a moment, which
 * costs one system call; when that was not enough it polls, so that others can wake it.
 *
 * Those who pump wait in poll without being head; the socket wakes them together with the head, and
 * they read only where nobody else does. So a reader thread never stands between a command and its
 * answer.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "qmp/qmp_client.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/base_clock.h"

/* Somebody who must not wait does not read for ever either. */
#define NONBLOCK_READS 64

/* Without a descriptor to be woken by, look again this often. */
#define BLIND_POLL_MS 20

static bool op_ready(const struct lvc_qmp_slot *slot)
{
    switch (slot->op) {
    case QMP_OP_GREET:
        return slot->qmp->greeted;
    case QMP_OP_REPLY:
        return slot->call->answered;
    case QMP_OP_PUMP:
        /* Also what came while whoever pumps looked at what came before. */
        return (slot->arrived || slot->qmp->arrivals != slot->qmp->pumped) && !slot->nonblock;
    case QMP_OP_NONE:
        break;
    }
    return true;
}

void qmp_wake_head(struct lvc_qmp *qmp)
{
    if (qmp->head_polls) {
        qmp_wake_set(&qmp->wake);
    }
}

void qmp_wake_watchers(struct lvc_qmp *qmp)
{
    if (qmp->watchers > 0) {
        qmp_wake_set(&qmp->watch);
    }
}

void qmp_wake_ready(struct lvc_qmp *qmp)
{
    struct lvc_qmp_slot *slot;

    for (slot = qmp->first; slot != NULL; slot = slot->next) {
        if (slot->asleep && (qmp->closed != LVC_OPEN || slot->cancelled || op_ready(slot))) {
            (void)pthread_cond_signal(&slot->wakeup);
        }
    }
}

static void head_leave(struct lvc_qmp_slot *slot)
{
    struct lvc_qmp *qmp = slot->qmp;

    if (qmp->head == slot) {
        qmp->head = NULL;
    }
    if (qmp->head != NULL) {
        return;
    }
    if (qmp->fd_unwanted && qmp->watchers == 0) {
        qmp_close_fds(qmp); /* lvc_qmp_close left it to us */
    }
    for (slot = qmp->first; slot != NULL; slot = slot->next) {
        if (slot->asleep) {
            (void)pthread_cond_signal(&slot->wakeup);
            return;
        }
    }
}

void qmp_op_begin(struct lvc_qmp_slot *slot, enum qmp_op op, int64_t timeout_ms)
{
    struct lvc_qmp *qmp = slot->qmp;

    slot->op = op;
    slot->cancelled = false;
    slot->patient = false;
    slot->arrived = false;
    slot->thread = pthread_self();
    slot->timeout_ms = timeout_ms;
    /* The clock is cut to milliseconds: one more, so that nobody gives up too early. */
    slot->deadline_ms = timeout_ms < 0 ? 0 : lvc_clock_ms() + timeout_ms + (timeout_ms > 0);
    slot->next = NULL;
    slot->previous = qmp->last;
    if (qmp->last != NULL) {
        qmp->last->next = slot;
    } else {
        qmp->first = slot;
    }
    qmp->last = slot;
}

void qmp_op_end(struct lvc_qmp_slot *slot)
{
    struct lvc_qmp *qmp = slot->qmp;

    if (slot->op == QMP_OP_NONE) {
        return;
    }
    if (slot->previous != NULL) {
        slot->previous->next = slot->next;
    } else {
        qmp->first = slot->next;
    }
    if (slot->next != NULL) {
        slot->next->previous = slot->previous;
    } else {
        qmp->last = slot->previous;
    }
    slot->op = QMP_OP_NONE;
}

static void op_sleep(struct lvc_qmp_slot *slot, int64_t ms)
{
    struct timespec when;

    slot->asleep = true;
#ifdef __APPLE__
    when.tv_sec = (time_t)(ms / 1000);
    when.tv_nsec = (long)(ms % 1000) * 1000000;
    (void)pthread_cond_timedwait_relative_np(&slot->wakeup, &slot->qmp->lock, &when);
#else
    (void)clock_gettime(CLOCK_MONOTONIC, &when);
    when.tv_sec += (time_t)(ms / 1000);
    when.tv_nsec += (long)(ms % 1000) * 1000000;
    if (when.tv_nsec >= 1000000000) {
        when.tv_nsec -= 1000000000;
        when.tv_sec++;
    }
    (void)pthread_cond_timedwait(&slot->wakeup, &slot->qmp->lock, &when);
#endif
    slot->asleep = false;
}

static void read_failed(struct lvc_qmp *qmp, int number)
{
    lvc_error why;

    if (number == 0 || number == ECONNRESET) {
        (void)lvc_error_set(&why, LVC_ERR_INTERNAL_ERROR, LVC_FROM_QEMU, "End of file from %s",
                            qmp->agent ? "agent socket" : "qemu monitor");
        qmp_fail(qmp, LVC_CLOSED_EOF, &why);
    } else {
        (void)lvc_error_system(&why, LVC_FROM_QEMU, number, "Unable to read from %s",
                               qmp_who(qmp));
        qmp_fail(qmp, LVC_CLOSED_ERROR, &why);
    }
}

/* What one reading brought. 0 or -EINTR. */
static int head_take(struct lvc_qmp_slot *slot, bool brief, ssize_t n)
{
    struct lvc_qmp *qmp = slot->qmp;
    struct lvc_qmp_slot *other;
    uint64_t arrivals = qmp->arrivals;

    if (n > 0) {
        qmp->stats.bytes_received += (uint64_t)n;
        qmp_framer_fed(&qmp->framer, (size_t)n);
        qmp_dispatch(qmp);
        for (other = qmp->first; other != NULL; other = other->next) {
            other->arrived = other->arrived || (other == slot && slot->nonblock) ||
                             (other->op == QMP_OP_PUMP && arrivals != qmp->arrivals);
        }
        if (arrivals != qmp->arrivals) {
            qmp_wake_watchers(qmp); /* who may have come to their poll too late for the socket */
        }
        qmp_wake_ready(qmp);
        return 0;
    }
    if (n == -EAGAIN || n == -EWOULDBLOCK) {
        slot->patient = slot->patient || brief;
        return 0;
    }
    if (n == -EINTR) {
        return -EINTR;
    }
    read_failed(qmp, (int)-n);
    return 0;
}

/* Be head for one reading that waits at most wait_ms. Lets go of the lock meanwhile. 0 or -EINTR. */
static int head_read(struct lvc_qmp_slot *slot, int64_t wait_ms)
{
    struct lvc_qmp *qmp = slot->qmp;
    bool for_writing = qmp->unsent != NULL;
    bool brief = !slot->patient && !for_writing && wait_ms >= QMP_SOCKET_BRIEF_MS;
    int ready = QMP_SOCKET_READABLE;
    ssize_t n = -EAGAIN;
    uint8_t *where;
    size_t room;
    lvc_error why;
    int fd = qmp->fd;

    if (qmp->closed != LVC_OPEN) {
        return 0;
    }
    if (qmp_framer_space(&qmp->framer, &where, &room, &why) < 0) {
        why.domain = LVC_FROM_QEMU;
        qmp_fail(qmp, LVC_CLOSED_ERROR, &why);
        return 0;
    }
    qmp->head_polls = !brief && wait_ms > 0;
    if (qmp->head_polls && !qmp_wake_open(&qmp->wake) && wait_ms > BLIND_POLL_MS) {
        wait_ms = BLIND_POLL_MS;
    }
    qmp_unlock(qmp);
    if (!brief && (wait_ms > 0 || for_writing)) {
        ready = qmp_socket_poll(fd, for_writing, &qmp->wake, (int)wait_ms);
    }
    if (ready > 0 && (ready & QMP_SOCKET_READABLE) != 0) {
        n = qmp_socket_recv(fd, where, room, brief);
    }
    qmp_lock(qmp);
    qmp->head_polls = false;
    if (ready < 0) {
        n = ready;
    } else {
        if ((ready & QMP_SOCKET_WOKEN) != 0) {
            qmp_wake_clear(&qmp->wake);
        }
        if ((ready & QMP_SOCKET_WRITABLE) != 0) {
            qmp_send_rest(qmp);
        }
    }
    return qmp->closed == LVC_OPEN ? head_take(slot, brief, n) : 0;
}

/* Wait for the socket without being head. Lets go of the lock meanwhile. 0 or -EINTR. */
static int watch(struct lvc_qmp_slot *slot, int64_t wait_ms)
{
    struct lvc_qmp *qmp = slot->qmp;
    bool for_writing = qmp->unsent != NULL;
    int fd = qmp->fd;
    int ready;
    int rc = 0;

    if (!qmp_wake_open(&qmp->watch) && wait_ms > BLIND_POLL_MS) {
        wait_ms = BLIND_POLL_MS;
    }
    qmp->watchers++;
    qmp_unlock(qmp);
    ready = qmp_socket_poll(fd, for_writing, &qmp->watch, (int)wait_ms);
    qmp_lock(qmp);
    qmp->watchers--;
    if (ready < 0) {
        rc = ready;
    } else if (qmp->closed == LVC_OPEN) {
        if ((ready & QMP_SOCKET_WOKEN) != 0) {
            qmp_wake_clear(&qmp->watch);
        }
        if ((ready & QMP_SOCKET_WRITABLE) != 0) {
            qmp_send_rest(qmp);
        }
        if ((ready & QMP_SOCKET_READABLE) != 0 && qmp->head == NULL) {
            qmp->head = slot;
            slot->patient = true;
            rc = head_read(slot, 0);
            head_leave(slot);
        }
    } else if (qmp->fd_unwanted && qmp->head == NULL && qmp->watchers == 0) {
        qmp_close_fds(qmp);
    }
    return rc == -EINTR ? rc : 0;
}

/* The name of the command in the slot's text, for a message. */
static void op_name(const struct lvc_qmp_slot *slot, char name[64])
{
    static const char plain[] = "a command";
    const uint8_t *at = slot->out.len > 0 ? memchr(slot->out.data, ':', slot->out.len) : NULL;
    const uint8_t *end = NULL;
    size_t len;

    if (at != NULL) {
        at += 2; /* behind the quotation mark */
        end = memchr(at, '"', slot->out.len - (size_t)(at - slot->out.data));
    }
    if (end == NULL) {
        memcpy(name, plain, sizeof(plain));
        return;
    }
    len = (size_t)(end - at) < 63 ? (size_t)(end - at) : 63;
    memcpy(name, at, len);
    name[len] = '\0';
}

static int op_timed_out(struct lvc_qmp_slot *slot)
{
    struct lvc_qmp *qmp = slot->qmp;
    lvc_error *err = &slot->report.error;
    char excerpt[QMP_EXCERPT_MAX + 4];
    const uint8_t *text;
    char name[64];
    size_t len;

    if (slot->op == QMP_OP_GREET) {
        len = qmp_framer_pending(&qmp->framer, &text);
        if (len > 0 && (qmp->head == NULL || qmp->head == slot)) {
            qmp_excerpt(excerpt, text, len);
            (void)lvc_error_set(err, LVC_ERR_OPERATION_TIMEOUT, LVC_FROM_QEMU,
                                "no QMP greeting came within %" PRId64 " ms, but: %s",
                                slot->timeout_ms, excerpt);
        } else {
            (void)lvc_error_set(err, LVC_ERR_OPERATION_TIMEOUT, LVC_FROM_QEMU,
                                "no QMP greeting came within %" PRId64
                                " ms; another client may hold the monitor",
                                slot->timeout_ms);
        }
        return LVC_FAILED;
    }
    op_name(slot, name);
    (void)lvc_error_set(err, LVC_ERR_OPERATION_TIMEOUT, LVC_FROM_QEMU,
                        "%s was not answered within %" PRId64 " ms", name, slot->timeout_ms);
    return LVC_FAILED;
}

static int op_cancelled(struct lvc_qmp_slot *slot)
{
    char name[64];

    op_name(slot, name);
    (void)lvc_error_set(&slot->report.error, LVC_ERR_OPERATION_ABORTED, LVC_FROM_QEMU,
                        "%s was cancelled", slot->op == QMP_OP_GREET ? "the greeting" : name);
    return LVC_FAILED;
}

/* One reading more for somebody who must not wait. 0: look again; else the end of the operation. */
static int op_peek(struct lvc_qmp_slot *slot, int *tries)
{
    struct lvc_qmp *qmp = slot->qmp;

    if ((qmp->head != NULL && qmp->head != slot) || (*tries > 0 && !slot->arrived) ||
        *tries == NONBLOCK_READS) {
        return LVC_BLOCKED;
    }
    ++*tries;
    slot->arrived = false;
    qmp->head = slot;
    return head_read(slot, 0) == -EINTR ? LVC_AGAIN : 0;
}

static int op_wait(struct lvc_qmp_slot *slot, int64_t slice_ms)
{
    struct lvc_qmp *qmp = slot->qmp;
    int64_t pause_ms = 0;
    int64_t until_ms;
    int64_t now_ms;
    int tries = 0;
    int rc;

    for (;;) {
        if (op_ready(slot)) {
            return 0;
        }
        if (qmp_check_open(qmp, &slot->report.error) < 0) {
            return LVC_FAILED;
        }
        if (slot->cancelled) {
            return op_cancelled(slot);
        }
        if (slot->nonblock) {
            if (slot->op != QMP_OP_PUMP) {
                return LVC_BLOCKED; /* only asked for; reading is for who pumps */
            }
            rc = op_peek(slot, &tries);
            if (rc != 0) {
                return rc;
            }
            continue;
        }
        if (qmp->activity && slot->op != QMP_OP_PUMP) {
            return LVC_AGAIN; /* events are for now, this operation may take an hour */
        }
        now_ms = lvc_clock_ms();
        if (pause_ms == 0) {
            pause_ms = now_ms + slice_ms;
        }
        if (slot->deadline_ms != 0 && now_ms >= slot->deadline_ms) {
            return slot->op == QMP_OP_PUMP ? 0 : op_timed_out(slot);
        }
        if (now_ms >= pause_ms) {
            return LVC_AGAIN;
        }
        until_ms = slot->deadline_ms != 0 && slot->deadline_ms < pause_ms ? slot->deadline_ms
                                                                          : pause_ms;
        rc = 0;
        if (qmp->head != NULL && qmp->head != slot) {
            op_sleep(slot, until_ms - now_ms);
        } else if (slot->op == QMP_OP_PUMP) {
            rc = watch(slot, until_ms - now_ms);
        } else {
            qmp->head = slot;
            rc = head_read(slot, until_ms - now_ms);
        }
        if (rc == -EINTR) {
            return LVC_AGAIN;
        }
    }
}

int qmp_op_wait(struct lvc_qmp_slot *slot, int64_t slice_ms)
{
    int rc = op_wait(slot, slice_ms);

    head_leave(slot);
    return rc;
}
