/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qmp_send.c: commands to the socket, at once if it takes them, else from a queue, in order.
 * Called by: qmp_command; qmp_wait (the head and those who pump send the rest).
 * Calls: qmp_socket.
 * Never: waits.
 */
#include "qmp/qmp_client.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/base_alloc.h"

static void unsent_drop_fds(struct qmp_unsent *unsent)
{
    while (unsent->nfds > 0) {
        (void)close(unsent->fds[--unsent->nfds]);
    }
}

static void unsent_free(struct qmp_unsent *unsent)
{
    unsent_drop_fds(unsent);
    lvc_free(unsent);
}

void qmp_send_forget(struct lvc_qmp *qmp)
{
    struct qmp_unsent *unsent;

    while ((unsent = qmp->unsent) != NULL) {
        qmp->unsent = unsent->next;
        unsent_free(unsent);
    }
    qmp->unsent_last = NULL;
    qmp->unsent_bytes = 0;
}

void qmp_send_withdraw(struct lvc_qmp *qmp, uint64_t id)
{
    struct qmp_unsent *before = NULL;
    struct qmp_unsent *unsent;

    for (unsent = qmp->unsent; unsent != NULL; before = unsent, unsent = unsent->next) {
        if (unsent->id == id && !unsent->begun) {
            if (before != NULL) {
                before->next = unsent->next;
            } else {
                qmp->unsent = unsent->next;
            }
            if (qmp->unsent_last == unsent) {
                qmp->unsent_last = before;
            }
            qmp->unsent_bytes -= unsent->len;
            unsent_free(unsent);
            if (qmp->plain == id) {
                qmp->plain = 0;
            }
            return;
        }
    }
}

/* A peer that is gone may have said something before: reading comes to that, then to the end. */
static void send_broke(struct lvc_qmp *qmp, int number)
{
    lvc_error why;

    if (number == EPIPE || number == ECONNRESET) {
        qmp->mute = true;
        qmp_send_forget(qmp);
        return;
    }
    (void)lvc_error_system(&why, LVC_FROM_QEMU, number, "Unable to write to %s", qmp_who(qmp));
    qmp_fail(qmp, LVC_CLOSED_ERROR, &why);
}

static bool is_full(ssize_t n)
{
    return n == -EAGAIN || n == -EWOULDBLOCK || n == -EINTR;
}

/* What stands in slot->out from `from` on waits for its turn. */
static int send_queue(struct lvc_qmp *qmp, struct lvc_qmp_slot *slot, uint64_t id, size_t from,
                      lvc_error *err)
{
    size_t len = slot->out.len - from;
    struct qmp_unsent *unsent;

    if (from == 0 && (len > QMP_UNSENT_MAX || qmp->unsent_bytes > QMP_UNSENT_MAX - len)) {
        return lvc_error_set(err, LVC_ERR_OPERATION_FAILED, LVC_FROM_QEMU,
                             "%zu bytes of commands already wait to be sent to the %s",
                             qmp->unsent_bytes, qmp_who(qmp));
    }
    unsent = lvc_malloc(sizeof(*unsent) + len);
    if (unsent == NULL) {
        (void)lvc_error_memory(err, LVC_FROM_QEMU);
        if (from > 0) {
            qmp_fail(qmp, LVC_CLOSED_ERROR, err); /* half a command can never be completed */
        }
        return -1;
    }
    memset(unsent, 0, sizeof(*unsent));
    unsent->id = id;
    unsent->len = len;
    unsent->begun = from > 0;
    memcpy(unsent->data, slot->out.data + from, len);
    if (from == 0) {
        memcpy(unsent->fds, slot->fds, slot->nfds * sizeof(int));
        unsent->nfds = slot->nfds;
        slot->nfds = 0;
    }
    if (qmp->unsent_last != NULL) {
        qmp->unsent_last->next = unsent;
    } else {
        qmp->unsent = unsent;
    }
    qmp->unsent_last = unsent;
    qmp->unsent_bytes += len;
    qmp_wake_head(qmp); /* so that somebody looks for room to write, too */
    qmp_wake_watchers(qmp);
    return 0;
}

int qmp_send(struct lvc_qmp *qmp, struct lvc_qmp_slot *slot, uint64_t id, lvc_error *err)
{
    size_t sent = 0;
    ssize_t n;

    if (qmp->unsent != NULL) {
        qmp_send_rest(qmp);
    }
    if (qmp->closed == LVC_OPEN && !qmp->mute && qmp->unsent == NULL) {
        n = qmp_socket_send(qmp->fd, slot->out.data, slot->out.len, slot->fds, slot->nfds);
        if (n < 0 && !is_full(n)) {
            send_broke(qmp, (int)-n);
        } else if (n > 0) {
            sent = (size_t)n;
            qmp->stats.bytes_sent += sent;
            qmp_slot_drop_fds(slot);
        }
    }
    if (qmp->closed != LVC_OPEN || qmp->mute) {
        return 0; /* the wait that follows tells, or finds an answer that came before the end */
    }
    return sent == slot->out.len ? 0 : send_queue(qmp, slot, id, sent, err);
}

void qmp_send_rest(struct lvc_qmp *qmp)
{
    struct qmp_unsent *unsent;
    ssize_t n;

    while ((unsent = qmp->unsent) != NULL && qmp->closed == LVC_OPEN) {
        n = qmp_socket_send(qmp->fd, unsent->data + unsent->sent, unsent->len - unsent->sent,
                            unsent->fds, unsent->nfds);
        if (is_full(n) || n == 0) {
            return;
        }
        if (n < 0) {
            send_broke(qmp, (int)-n);
            return;
        }
        unsent_drop_fds(unsent);
        qmp->stats.bytes_sent += (uint64_t)n;
        qmp->unsent_bytes -= (size_t)n;
        unsent->sent += (size_t)n;
        unsent->begun = true;
        if (unsent->sent == unsent->len) {
            qmp->unsent = unsent->next;
            if (qmp->unsent == NULL) {
                qmp->unsent_last = NULL;
            }
            unsent_free(unsent);
        }
    }
}
