/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qmp_command.c: the operations: a command from text to answer, pipelined ones, pump, events.
 * Called by: Python, one function per operation. Calls: qmp_wait, qmp_send.
 * Never: looks into a command; it is JSON that Python made.
 *
 * An operation that has to pause (signals, events) returns LVC_AGAIN and goes on in lvc_qmp_resume
 * where it stood; all it needs is in its slot.
 */
#include "qmp/qmp_client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/base_alloc.h"

/* A slot that a huge answer made large gives the memory back before the next operation. */
#define SLOT_KEEP ((size_t)4 << 20)

/* An event loop calls pump while another thread is about to read: coming back before it has would
 * make the loop spin. */
#define PUMP_YIELD_MS 2

const uint8_t *lvc_qmp_slot_data(const lvc_qmp_slot *slot)
{
    return slot->result.data;
}

size_t lvc_qmp_slot_room(const lvc_qmp_slot *slot)
{
    return slot->result.room;
}

const lvc_qmp_report *lvc_qmp_slot_report(const lvc_qmp_slot *slot)
{
    return &slot->report;
}

void qmp_slot_drop_fds(struct lvc_qmp_slot *slot)
{
    while (slot->nfds > 0) {
        (void)close(slot->fds[--slot->nfds]);
    }
}

/* ---- calls ---- */

void qmp_call_add(struct lvc_qmp *qmp, struct qmp_call *call)
{
    call->next = NULL;
    if (qmp->calls_last != NULL) {
        qmp->calls_last->next = call;
    } else {
        qmp->calls = call;
    }
    qmp->calls_last = call;
    qmp->ncalls++;
}

void qmp_call_remove(struct lvc_qmp *qmp, struct qmp_call *call)
{
    struct qmp_call *before = NULL;
    struct qmp_call *at;

    for (at = qmp->calls; at != NULL && at != call; before = at, at = at->next) {
    }
    if (at == NULL) {
        return;
    }
    if (before != NULL) {
        before->next = call->next;
    } else {
        qmp->calls = call->next;
    }
    if (qmp->calls_last == call) {
        qmp->calls_last = before;
    }
    qmp->ncalls--;
    if (call->submitted) {
        qmp->stored -= call->len;
        lvc_free(call->data);
        lvc_free(call);
    }
}

struct qmp_call *qmp_call_find(const struct lvc_qmp *qmp, uint64_t id)
{
    struct qmp_call *call;

    for (call = qmp->calls; call != NULL && call->id != id; call = call->next) {
    }
    return call;
}

/* ---- the operation as a whole ---- */

static void slot_reset(struct lvc_qmp_slot *slot)
{
    qmp_slot_drop_fds(slot);
    slot->report.error.code = LVC_ERR_OK;
    slot->report.id = 0;
    slot->out.len = 0;
    slot->result.len = 0;
    slot->call = NULL;
    slot->nonblock = false;
    if (slot->out.room > SLOT_KEEP) {
        lvc_buf_clear(&slot->out);
    }
    if (slot->result.room > SLOT_KEEP) {
        lvc_buf_clear(&slot->result);
    }
}

/* What Python gets: the mask, whether the result has moved, the length of a value. */
static int64_t slot_outcome(struct lvc_qmp_slot *slot, int outcome)
{
    int64_t length = 0;

    if (slot->result.data != slot->shown || slot->result.room != slot->shown_room) {
        slot->shown = slot->result.data;
        slot->shown_room = slot->result.room;
        outcome |= LVC_MOVED;
    }
    if ((outcome & LVC_VALUE) != 0) {
        length = (int64_t)slot->result.len;
    }
    return length << LVC_QMP_LENGTH_SHIFT | outcome;
}

/* What the operation had begun is undone as far as it can be. Lock held. */
static void op_give_up(struct lvc_qmp_slot *slot)
{
    struct lvc_qmp *qmp = slot->qmp;

    if (slot->call != NULL) {
        if (!slot->call->answered) {
            qmp_send_withdraw(qmp, slot->call->id);
        }
        qmp_call_remove(qmp, slot->call);
        slot->call = NULL;
    }
    qmp_op_end(slot);
}

/* The call is answered. */
static int call_finish(struct lvc_qmp_slot *slot)
{
    struct qmp_call *call = slot->call;
    lvc_error *err = &slot->report.error;

    if (call->data != NULL &&
        lvc_buf_append(&slot->result, call->data, call->len, NULL) < 0) {
        call->lost = true;
    }
    if (call->lost) {
        (void)lvc_error_memory(err, LVC_FROM_QEMU);
        return LVC_FAILED;
    }
    return call->failed ? LVC_VALUE | LVC_REMOTE : LVC_VALUE;
}

static int op_run(struct lvc_qmp_slot *slot, int64_t slice_ms)
{
    struct lvc_qmp *qmp = slot->qmp;
    int outcome = slot->op == QMP_OP_NONE ? LVC_BLOCKED : qmp_op_wait(slot, slice_ms);

    if (outcome == 0) {
        switch (slot->op) {
        case QMP_OP_GREET:
            outcome = lvc_buf_append(&slot->result, qmp->greeting.data, qmp->greeting.len,
                                     &slot->report.error) < 0
                          ? LVC_FAILED
                          : LVC_VALUE;
            break;
        case QMP_OP_REPLY:
            outcome = call_finish(slot);
            break;
        case QMP_OP_PUMP:
        case QMP_OP_NONE:
            break;
        }
    }
    if (slot->op == QMP_OP_PUMP && outcome != LVC_AGAIN) {
        qmp->pumped = qmp->arrivals;
    }
    if (outcome == LVC_BLOCKED && slot->call != NULL) {
        slot->call->owner = NULL; /* only asked for: it can be asked for again */
        slot->call = NULL;
    }
    if (outcome != LVC_AGAIN) {
        op_give_up(slot);
    }
    if (qmp->activity) {
        qmp->activity = false;
        outcome |= LVC_ACTIVITY;
    }
    return outcome;
}

/* ---- commands ---- */

/* The text with its end, and the descriptors, ready in the slot. */
static int command_take(struct lvc_qmp_slot *slot, const char *text, size_t len, const int *fds,
                        uint32_t nfds)
{
    lvc_error *err = &slot->report.error;
    uint32_t i;

    if (nfds > QMP_FDS_MAX) {
        return lvc_error_set(err, LVC_ERR_INVALID_ARG, LVC_FROM_QEMU,
                             "%u descriptors with one command, expected %u maximum", nfds,
                             (unsigned)QMP_FDS_MAX);
    }
    if (lvc_buf_append(&slot->out, text, len, err) < 0 || lvc_buf_reserve(&slot->out, 40, err) < 0) {
        err->domain = LVC_FROM_QEMU;
        return -1;
    }
    for (i = 0; i < nfds; i++) {
        slot->fds[i] = qmp_fd_copy(fds[i]);
        if (slot->fds[i] < 0) {
            return lvc_error_system(err, LVC_FROM_QEMU, errno, "Cannot duplicate FD %d", fds[i]);
        }
        slot->nfds++;
    }
    return 0;
}

/* Number it and send it. Lock held. QEMU reads its monitor byte by byte, some microseconds for each:
 * a command goes without its id when no other answer without one can come. */
static int command_send(struct lvc_qmp_slot *slot, struct qmp_call *call, bool lone)
{
    struct lvc_qmp *qmp = slot->qmp;
    lvc_error *err = &slot->report.error;
    char *tail = (char *)slot->out.data + slot->out.len;
    bool plain = lone && !qmp->agent && qmp->calls == NULL && qmp->plain == 0;
    int n;

    if (qmp_check_open(qmp, err) < 0) {
        return -1;
    }
    if (qmp->ncalls >= QMP_CALLS_MAX) {
        return lvc_error_set(err, LVC_ERR_OPERATION_FAILED, LVC_FROM_QEMU,
                             "%u commands wait for their answers already", qmp->ncalls);
    }
    call->id = qmp->next_id++;
    n = qmp->agent || plain ? snprintf(tail, 40, "}\n")
                            : snprintf(tail, 40, ",\"id\":%" PRIu64 "}\n", call->id);
    slot->out.len += (size_t)n;
    slot->report.id = call->id;
    if (qmp_send(qmp, slot, call->id, err) < 0) {
        return -1;
    }
    if (plain) {
        qmp->plain = call->id;
    }
    qmp_call_add(qmp, call);
    qmp->stats.commands++;
    return 0;
}

static int64_t command_run(struct lvc_qmp_slot *slot, const char *text, size_t len, const int *fds,
                           uint32_t nfds, int64_t timeout_ms)
{
    struct lvc_qmp *qmp = slot->qmp;
    int outcome = LVC_FAILED;

    if (command_take(slot, text, len, fds, nfds) == 0) {
        qmp_lock(qmp);
        slot->own.owner = slot;
        if (command_send(slot, &slot->own, true) == 0) {
            slot->call = &slot->own;
            qmp_op_begin(slot, QMP_OP_REPLY, timeout_ms);
            outcome = op_run(slot, QMP_SLICE_MS);
        }
        qmp_unlock(qmp);
    }
    return slot_outcome(slot, outcome);
}

int64_t lvc_qmp_execute(lvc_qmp_slot *slot, const char *text, size_t len, const int *fds,
                        uint32_t nfds, int64_t timeout_ms)
{
    slot_reset(slot);
    memset(&slot->own, 0, sizeof(slot->own));
    return command_run(slot, text, len, fds, nfds, timeout_ms);
}

int64_t lvc_qmp_sync(lvc_qmp_slot *slot, uint64_t number, int64_t timeout_ms)
{
    char text[96];
    int n = snprintf(text, sizeof(text),
                     "\xff{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":%" PRIu64 "}",
                     number);

    slot_reset(slot);
    memset(&slot->own, 0, sizeof(slot->own));
    slot->own.sync = true;
    slot->own.expect = number;
    return command_run(slot, text, (size_t)n, NULL, 0, timeout_ms);
}

int64_t lvc_qmp_submit(lvc_qmp_slot *slot, const char *text, size_t len, const int *fds,
                       uint32_t nfds, int lone)
{
    struct lvc_qmp *qmp = slot->qmp;
    struct qmp_call *call = lvc_calloc(1, sizeof(*call));
    int outcome = LVC_FAILED;

    slot_reset(slot);
    if (call == NULL) {
        (void)lvc_error_memory(&slot->report.error, LVC_FROM_QEMU);
    } else if (command_take(slot, text, len, fds, nfds) == 0) {
        call->submitted = true;
        qmp_lock(qmp);
        if (command_send(slot, call, lone != 0) == 0) {
            call = NULL;
            outcome = 0;
        }
        qmp_unlock(qmp);
    }
    lvc_free(call);
    return slot_outcome(slot, outcome);
}

int64_t lvc_qmp_wait(lvc_qmp_slot *slot, uint64_t id, int64_t timeout_ms)
{
    struct lvc_qmp *qmp = slot->qmp;
    struct qmp_call *call;
    int outcome = LVC_FAILED;

    slot_reset(slot);
    qmp_lock(qmp);
    call = qmp_call_find(qmp, id);
    if (call == NULL || call->owner != NULL) {
        (void)lvc_error_set(&slot->report.error, LVC_ERR_INVALID_ARG, LVC_FROM_QEMU,
                            "no command with id %" PRIu64 " was submitted", id);
    } else {
        slot->report.id = id;
        slot->call = call;
        call->owner = slot;
        slot->nonblock = timeout_ms == 0;
        qmp_op_begin(slot, QMP_OP_REPLY, timeout_ms);
        outcome = op_run(slot, QMP_SLICE_MS);
    }
    qmp_unlock(qmp);
    return slot_outcome(slot, outcome);
}

void lvc_qmp_forget(lvc_qmp *qmp, uint64_t id)
{
    struct qmp_call *call;

    qmp_lock(qmp);
    call = qmp_call_find(qmp, id);
    if (call != NULL && call->submitted && call->owner == NULL) {
        if (!call->answered) {
            qmp_send_withdraw(qmp, id);
        }
        qmp_call_remove(qmp, call);
    }
    qmp_unlock(qmp);
}

/* ---- the rest ---- */

int64_t lvc_qmp_greet(lvc_qmp_slot *slot, int64_t timeout_ms)
{
    struct lvc_qmp *qmp = slot->qmp;
    int outcome;

    slot_reset(slot);
    qmp_lock(qmp);
    qmp_op_begin(slot, QMP_OP_GREET, timeout_ms);
    outcome = op_run(slot, QMP_SLICE_MS);
    qmp_unlock(qmp);
    return slot_outcome(slot, outcome);
}

int64_t lvc_qmp_resume(lvc_qmp_slot *slot, int64_t slice_ms)
{
    struct lvc_qmp *qmp = slot->qmp;
    int outcome;

    qmp_lock(qmp);
    outcome = op_run(slot, slice_ms);
    qmp_unlock(qmp);
    return slot_outcome(slot, outcome);
}

void lvc_qmp_slot_abandon(lvc_qmp_slot *slot)
{
    if (!qmp_is_forked(slot->qmp)) {
        qmp_lock(slot->qmp);
        op_give_up(slot);
        qmp_unlock(slot->qmp);
    }
}

int64_t lvc_qmp_pump(lvc_qmp_slot *slot, int64_t timeout_ms)
{
    struct lvc_qmp *qmp = slot->qmp;
    int outcome = LVC_FAILED;

    slot_reset(slot);
    qmp_lock(qmp);
    if (timeout_ms == 0 && qmp->head != NULL) {
        timeout_ms = PUMP_YIELD_MS;
    }
    slot->nonblock = timeout_ms == 0;
    if (qmp->closed == LVC_OPEN && qmp->unsent != NULL) {
        qmp_send_rest(qmp);
    }
    if (qmp->closed == LVC_OPEN) {
        qmp_op_begin(slot, QMP_OP_PUMP, timeout_ms);
        outcome = op_run(slot, QMP_SLICE_MS);
    } else {
        slot->report.error = qmp->why;
        if (qmp->activity) {
            qmp->activity = false;
            outcome |= LVC_ACTIVITY;
        }
    }
    qmp_unlock(qmp);
    return slot_outcome(slot, outcome);
}

int64_t lvc_qmp_next_event(lvc_qmp_slot *slot)
{
    struct lvc_qmp *qmp = slot->qmp;
    struct qmp_event *event;
    uint64_t lost = 0;
    char gap[96];
    int outcome = 0;
    int n;

    slot_reset(slot);
    qmp_lock(qmp);
    event = qmp->events;
    if (event != NULL) {
        qmp->events = event->next;
        if (qmp->events == NULL) {
            qmp->events_last = NULL;
        }
        qmp->events_bytes -= sizeof(*event) + event->len;
    } else {
        lost = qmp->events_lost;
        qmp->events_lost = 0;
    }
    qmp_unlock(qmp);
    if (event != NULL) {
        outcome = lvc_buf_append(&slot->result, event->data, event->len, &slot->report.error) < 0
                      ? LVC_FAILED
                      : LVC_VALUE;
        lvc_free(event);
    } else if (lost > 0) {
        n = snprintf(gap, sizeof(gap),
                     "{\"event\":\"LIBVIRTCORE_EVENTS_LOST\",\"data\":{\"count\":%" PRIu64 "}}",
                     lost);
        outcome = lvc_buf_append(&slot->result, gap, (size_t)n, &slot->report.error) < 0
                      ? LVC_FAILED
                      : LVC_VALUE;
    }
    return slot_outcome(slot, outcome);
}
