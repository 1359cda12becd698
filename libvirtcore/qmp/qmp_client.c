/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qmp_client.c: birth, death and figures of a monitor's connection.
 * Called by: Python (the lvc_qmp functions), the other parts. Calls: qmp_send, qmp_wait.
 * Never: waits.
 *
 * Ownership: the client owns the descriptor. Its memory is counted: one reference for whoever made
 * it and one for each slot, so that they may be freed in any order.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "qmp/qmp_client.h"

#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/base_alloc.h"

void qmp_lock(struct lvc_qmp *qmp)
{
    (void)pthread_mutex_lock(&qmp->lock);
}

void qmp_unlock(struct lvc_qmp *qmp)
{
    (void)pthread_mutex_unlock(&qmp->lock);
}

bool qmp_is_forked(const struct lvc_qmp *qmp)
{
    return qmp->process != getpid();
}

const char *qmp_who(const struct lvc_qmp *qmp)
{
    return qmp->agent ? "agent" : "monitor";
}

lvc_qmp *lvc_qmp_new(int fd, uint32_t flags, uint64_t max_line, lvc_error *err)
{
    struct lvc_qmp *qmp = lvc_calloc(1, sizeof(*qmp));
    int rc;

    if (qmp == NULL) {
        (void)lvc_error_memory(err, LVC_FROM_QEMU);
        return NULL;
    }
    rc = qmp_socket_adopt(fd);
    if (rc < 0) {
        (void)lvc_error_system(err, LVC_FROM_QEMU, -rc, "Unable to use FD %d as a socket", fd);
        lvc_free(qmp);
        return NULL;
    }
    (void)pthread_mutex_init(&qmp->lock, NULL);
    qmp->fd = fd;
    qmp->process = getpid();
    qmp->agent = (flags & LVC_QMP_AGENT) != 0;
    qmp->greeted = qmp->agent;
    qmp->max_line = max_line < LVC_QMP_LINE_MAX ? (size_t)max_line : (size_t)LVC_QMP_LINE_MAX;
    qmp->references = 1;
    qmp->next_id = 1;
    qmp_wake_init(&qmp->wake);
    qmp_wake_init(&qmp->watch);
    qmp_framer_init(&qmp->framer, qmp->max_line, qmp->agent);
    lvc_buf_init(&qmp->greeting, qmp->max_line);
    return qmp;
}

void qmp_arrived(struct lvc_qmp *qmp)
{
    qmp->activity = true;
    qmp->arrivals++;
}

int qmp_check_open(const struct lvc_qmp *qmp, lvc_error *err)
{
    if (qmp->closed != LVC_OPEN) {
        if (err != NULL) {
            *err = qmp->why;
        }
        return -1;
    }
    return 0;
}

void qmp_fail(struct lvc_qmp *qmp, enum lvc_closed closed, const lvc_error *why)
{
    if (qmp->closed != LVC_OPEN) {
        return;
    }
    qmp->closed = closed;
    qmp->why = *why;
    qmp_arrived(qmp);
    (void)shutdown(qmp->fd, SHUT_RDWR); /* whoever polls sees it */
    qmp_send_forget(qmp);
    qmp_wake_head(qmp);
    qmp_wake_watchers(qmp);
    qmp_wake_ready(qmp);
}

void qmp_close_fds(struct lvc_qmp *qmp)
{
    if (qmp->fd >= 0) {
        (void)close(qmp->fd);
        qmp->fd = -1;
    }
    qmp_wake_close(&qmp->wake);
    qmp_wake_close(&qmp->watch);
}

void lvc_qmp_close(lvc_qmp *qmp)
{
    lvc_error why;

    if (qmp_is_forked(qmp)) { /* no lock: who held it may not exist here */
        qmp_close_fds(qmp);   /* our copies; the connection is the parent's */
        return;
    }
    (void)lvc_error_set(&why, LVC_ERR_INTERNAL_ERROR, LVC_FROM_QEMU, "QEMU %s was closed",
                        qmp_who(qmp));
    qmp_lock(qmp);
    qmp_fail(qmp, LVC_CLOSED_CLIENT, &why);
    qmp->fd_unwanted = true;
    if (qmp->head == NULL && qmp->watchers == 0) {
        qmp_close_fds(qmp); /* else the last who uses them does it */
    }
    qmp_unlock(qmp);
}

static void qmp_release(struct lvc_qmp *qmp)
{
    bool forked = qmp_is_forked(qmp);
    bool last;

    if (!forked) {
        qmp_lock(qmp);
    }
    last = --qmp->references == 0;
    if (!forked) {
        qmp_unlock(qmp);
    }
    if (!last) {
        return;
    }
    if (!forked) {
        (void)pthread_mutex_destroy(&qmp->lock);
    }
    qmp_close_fds(qmp);
    qmp_send_forget(qmp);
    qmp_events_clear(qmp);
    while (qmp->calls != NULL) {
        qmp_call_remove(qmp, qmp->calls);
    }
    qmp_framer_clear(&qmp->framer);
    lvc_buf_clear(&qmp->greeting);
    lvc_free(qmp);
}

void lvc_qmp_free(lvc_qmp *qmp)
{
    if (qmp != NULL) {
        lvc_qmp_close(qmp);
        qmp_release(qmp);
    }
}

int lvc_qmp_closed(lvc_qmp *qmp, lvc_error *why)
{
    int closed;

    qmp_lock(qmp);
    closed = (int)qmp->closed;
    if (why != NULL) {
        *why = qmp->why;
    }
    qmp_unlock(qmp);
    return closed;
}

int lvc_qmp_wants_write(lvc_qmp *qmp)
{
    int wants;

    qmp_lock(qmp);
    wants = qmp->unsent != NULL;
    qmp_unlock(qmp);
    return wants;
}

void lvc_qmp_get_stats(lvc_qmp *qmp, lvc_qmp_stats *out)
{
    qmp_lock(qmp);
    *out = qmp->stats;
    out->in_flight = qmp->ncalls;
    out->queued_bytes = qmp->events_bytes + qmp->stored;
    out->unsent_bytes = qmp->unsent_bytes;
    qmp_unlock(qmp);
}

int lvc_qmp_cancel(lvc_qmp *qmp, uint64_t thread)
{
    struct lvc_qmp_slot *slot;
    int count = 0;

    qmp_lock(qmp);
    for (slot = qmp->first; slot != NULL; slot = slot->next) {
        if (slot->op != QMP_OP_PUMP && !slot->cancelled &&
            (thread == 0 || (uint64_t)slot->thread == thread)) {
            slot->cancelled = true;
            count++;
            if (slot->asleep) {
                (void)pthread_cond_signal(&slot->wakeup);
            }
        }
    }
    qmp_wake_head(qmp);
    qmp_unlock(qmp);
    return count;
}

lvc_qmp_slot *lvc_qmp_slot_new(lvc_qmp *qmp)
{
    struct lvc_qmp_slot *slot = lvc_calloc(1, sizeof(*slot));
    pthread_condattr_t attributes;

    if (slot == NULL) {
        return NULL;
    }
    slot->qmp = qmp;
    lvc_buf_init(&slot->out, LVC_QMP_LINE_MAX);
    lvc_buf_init(&slot->result, qmp->max_line);
    (void)pthread_condattr_init(&attributes);
#ifndef __APPLE__
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
    (void)pthread_cond_init(&slot->wakeup, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    qmp_lock(qmp);
    qmp->references++;
    qmp_unlock(qmp);
    return slot;
}

void lvc_qmp_slot_free(lvc_qmp_slot *slot)
{
    struct lvc_qmp *qmp;

    if (slot == NULL) {
        return;
    }
    qmp = slot->qmp;
    if (!qmp_is_forked(qmp)) {
        lvc_qmp_slot_abandon(slot);
        (void)pthread_cond_destroy(&slot->wakeup);
    } else if (slot->call == &slot->own) {
        qmp_call_remove(qmp, slot->call);
    }
    qmp_slot_drop_fds(slot);
    lvc_buf_clear(&slot->out);
    lvc_buf_clear(&slot->result);
    lvc_free(slot);
    qmp_release(qmp);
}
