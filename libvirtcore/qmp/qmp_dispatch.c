/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qmp_dispatch.c: lines to their owners: answers to calls, events into a bounded queue.
 * Called by: qmp_wait, after each read. Calls: qmp_frame, qmp_command's list of calls.
 * Never: waits, builds values.
 *
 * A monitor is QEMU's, and one wrong line means that nothing it says can be trusted: the connection
 * is closed with the reason. An agent is the guest's, which may put anything before the answer of a
 * handshake: wrong lines are dropped and counted.
 */
#include "qmp/qmp_client.h"

#include <errno.h>
#include <string.h>

#include "base/base_alloc.h"

void qmp_events_clear(struct lvc_qmp *qmp)
{
    struct qmp_event *event;

    while ((event = qmp->events) != NULL) {
        qmp->events = event->next;
        lvc_free(event);
    }
    qmp->events_last = NULL;
    qmp->events_bytes = 0;
}

static void dispatch_event(struct lvc_qmp *qmp, const struct qmp_line *line)
{
    size_t size = sizeof(struct qmp_event) + line->len;
    struct qmp_event *event = NULL;

    qmp->stats.events++;
    qmp_arrived(qmp);
    /* After a gap everything is lost until the gap is told, so that order is kept. */
    if (qmp->events_lost == 0 && size <= QMP_EVENTS_MAX &&
        qmp->events_bytes <= QMP_EVENTS_MAX - size) {
        event = lvc_malloc(size);
    }
    if (event == NULL) {
        qmp->events_lost++;
        qmp->stats.events_lost++;
        return;
    }
    event->next = NULL;
    event->len = line->len;
    memcpy(event->data, line->text, line->len);
    if (qmp->events_last != NULL) {
        qmp->events_last->next = event;
    } else {
        qmp->events = event;
    }
    qmp->events_last = event;
    qmp->events_bytes += size;
}

/* Where the answer goes: into the slot of whoever waits, else into memory of its own. */
static void call_answer(struct lvc_qmp *qmp, struct qmp_call *call, const struct qmp_line *line)
{
    call->answered = true;
    call->failed = line->kind == QMP_ERROR;
    qmp->stats.replies++;
    if (call->owner != NULL) {
        call->owner->result.len = 0;
        call->lost = lvc_buf_append(&call->owner->result, line->value, line->value_len, NULL) < 0;
        if (call->owner->asleep) {
            (void)pthread_cond_signal(&call->owner->wakeup);
        }
        return;
    }
    qmp_arrived(qmp);
    call->data = qmp->stored <= QMP_STORED_MAX - line->value_len ? lvc_malloc(line->value_len)
                                                                 : NULL;
    if (call->data == NULL) {
        call->lost = true;
        return;
    }
    memcpy(call->data, line->value, line->value_len);
    call->len = line->value_len;
    qmp->stored += call->len;
}

static struct qmp_call *call_oldest(const struct lvc_qmp *qmp)
{
    struct qmp_call *call;

    for (call = qmp->calls; call != NULL && call->answered; call = call->next) {
    }
    return call;
}

static bool answers_sync(const struct qmp_call *call, const struct qmp_line *line)
{
    uint64_t number = 0;
    size_t i;

    if (line->kind != QMP_RETURN || line->value_len > 18) {
        return false;
    }
    for (i = 0; i < line->value_len; i++) {
        if (line->value[i] < '0' || line->value[i] > '9') {
            return false;
        }
        number = number * 10 + (uint64_t)(line->value[i] - '0');
    }
    return number == call->expect;
}

/* True when the line is no answer that could be. */
static bool dispatch_answer(struct lvc_qmp *qmp, const struct qmp_line *line)
{
    struct qmp_call *call = NULL;

    if (qmp->agent) {
        call = call_oldest(qmp);
        if (call == NULL || (call->sync && !answers_sync(call, line))) {
            qmp->stats.late_replies++;
            return false;
        }
    } else if (line->has_id == QMP_ID_NUMBER) {
        if (line->id == 0 || line->id >= qmp->next_id || line->id == qmp->plain) {
            return true;
        }
        call = qmp_call_find(qmp, line->id);
        if (call == NULL || call->answered) {
            qmp->stats.late_replies++;
            return false;
        }
    } else if (line->has_id == QMP_ID_NONE && qmp->plain != 0) {
        call = qmp_call_find(qmp, qmp->plain);
        qmp->plain = 0;
        if (call == NULL) {
            qmp->stats.late_replies++;
            return false;
        }
    } else if (line->has_id == QMP_ID_NONE && line->kind == QMP_ERROR) {
        call = call_oldest(qmp); /* QEMU could not read the command, hence not its id */
        if (call == NULL) {
            qmp->stats.late_replies++;
            return false;
        }
    } else {
        return true;
    }
    call_answer(qmp, call, line);
    return false;
}

static void dispatch_wrong(struct lvc_qmp *qmp, const struct qmp_line *line, const char *what)
{
    char excerpt[QMP_EXCERPT_MAX + 4];
    lvc_error why;

    if (qmp->agent) {
        qmp->stats.dropped++;
        return;
    }
    qmp_excerpt(excerpt, line->text, line->len);
    (void)lvc_error_set(&why, LVC_ERR_INTERNAL_ERROR, LVC_FROM_QEMU, "QEMU monitor sent %s: %s",
                        what, excerpt);
    qmp_fail(qmp, LVC_CLOSED_ERROR, &why);
}

static void dispatch_line(struct lvc_qmp *qmp, const struct qmp_line *line)
{
    if (!qmp->greeted) {
        if (line->kind != QMP_GREETING) {
            dispatch_wrong(qmp, line, "something else before its greeting");
        } else if (lvc_buf_append(&qmp->greeting, line->value, line->value_len, NULL) == 0) {
            qmp->greeted = true;
        }
        return;
    }
    switch (line->kind) {
    case QMP_EVENT:
        dispatch_event(qmp, line);
        return;
    case QMP_RETURN:
    case QMP_ERROR:
        if (dispatch_answer(qmp, line)) {
            dispatch_wrong(qmp, line, "an answer to no command");
        }
        return;
    case QMP_GARBAGE:
        dispatch_wrong(qmp, line, "a line that is not JSON");
        return;
    case QMP_GREETING:
    case QMP_OTHER:
        break;
    }
    dispatch_wrong(qmp, line, "neither an answer nor an event");
}

void qmp_dispatch(struct lvc_qmp *qmp)
{
    struct qmp_line line;
    lvc_error why;
    int rc = 0;

    while (qmp->closed == LVC_OPEN && (rc = qmp_framer_next(&qmp->framer, &line)) > 0) {
        dispatch_line(qmp, &line);
    }
    if (rc < 0 && qmp->closed == LVC_OPEN) {
        (void)lvc_error_set(&why, LVC_ERR_INTERNAL_ERROR, LVC_FROM_QEMU,
                            "QEMU %s sent a line of more than %zu bytes", qmp_who(qmp),
                            qmp->max_line);
        qmp_fail(qmp, LVC_CLOSED_ERROR, &why);
    }
}
