/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_wait.c: who reads for whom.
 * Called by: rpc_call, rpc_stream. Calls: rpc_socket, rpc_dispatch, rpc_send.
 * Never: returns while holding the head's office, but for a reply that is still to be decoded.
 *
 * Of all threads that wait, one is the head: it reads, sends what is queued, and wakes those whose
 * answers it met. The others sleep. When the head has its own answer it leaves and wakes a sleeper,
 * who finds the office empty and takes it. Nobody else is needed: no thread of our own.
 *
 * The head polls and then reads; polling lets others wake it (rpc_wake_head). On TCP its first read
 * is a plain recv that may wait a moment, which is one system call less. Not so on a unix socket:
 * there Linux wakes whoever sleeps in a read also when the peer takes what was sent, and that second
 * sleep costs more than the system call (docs/performance.md). After quick answers the head looks for
 * the next one before it polls.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "rpc/rpc_client.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "base/base_clock.h"
#include "generated/tables.h"

/* An answer that comes within this time is looked out for rather than slept for (base_look). */
#define LOOK_US 40

/* Somebody who must not wait does not read for ever either. */
#define NONBLOCK_READS 64

/* Operations that came first go first, as far as their threads are here to go. */
static uint32_t op_rank(const struct lvc_slot *slot)
{
    const struct lvc_slot *other;
    uint32_t rank = 0;

    for (other = slot->client->first; other != slot; other = other->next) {
        rank += other->op == RPC_OP_ROOM && other->running;
    }
    return rank;
}

static bool op_ready(const struct lvc_slot *slot)
{
    const struct lvc_client *client = slot->client;
    uint32_t room;

    switch (slot->op) {
    case RPC_OP_ROOM:
        room = rpc_calls_room(&client->calls);
        return room > 0 && (client->first == slot || room > op_rank(slot));
    case RPC_OP_FLUSH:
        return client->unsent == NULL;
    case RPC_OP_REPLY:
        return slot->call->state == RPC_CALL_ANSWERED;
    case RPC_OP_RECV:
    case RPC_OP_HOLE:
    case RPC_OP_CONFIRM:
        return rpc_stream_ready(slot);
    case RPC_OP_PUMP:
        return slot->arrived && !slot->nonblock;
    case RPC_OP_NONE:
        break;
    }
    return true;
}

void rpc_wake_head(struct lvc_client *client)
{
    if (client->head_polls) {
        rpc_wake_set(&client->wake);
    }
}

void rpc_wake_ready(struct lvc_client *client)
{
    struct lvc_slot *slot;

    for (slot = client->first; slot != NULL; slot = slot->next) {
        if (slot->asleep && (client->closed != LVC_OPEN || slot->cancelled || op_ready(slot))) {
            (void)pthread_cond_signal(&slot->wakeup);
        }
    }
}

void rpc_head_leave(struct lvc_slot *slot)
{
    struct lvc_client *client = slot->client;

    if (client->head == slot) {
        client->head = NULL;
    }
    if (client->head != NULL) {
        return;
    }
    if (client->fd_unwanted) {
        rpc_client_close_fds(client); /* lvc_client_close left it to us */
    }
    for (slot = client->first; slot != NULL; slot = slot->next) {
        if (slot->asleep) {
            (void)pthread_cond_signal(&slot->wakeup);
            return;
        }
    }
}

void rpc_op_begin(struct lvc_slot *slot, enum rpc_op op, int64_t timeout_ms)
{
    struct lvc_client *client = slot->client;

    slot->op = op;
    slot->cancelled = false;
    slot->patient = false;
    slot->arrived = false;
    slot->thread = pthread_self();
    slot->timeout_ms = timeout_ms;
    /* The clock is cut to milliseconds: one more, so that nobody gives up too early. */
    slot->deadline_ms = timeout_ms < 0 ? 0 : lvc_clock_ms() + timeout_ms + (timeout_ms > 0);
    slot->next = NULL;
    slot->previous = client->last;
    if (client->last != NULL) {
        client->last->next = slot;
    } else {
        client->first = slot;
    }
    client->last = slot;
}

void rpc_op_end(struct lvc_slot *slot)
{
    struct lvc_client *client = slot->client;

    if (slot->op == RPC_OP_NONE) {
        return;
    }
    if (slot->previous != NULL) {
        slot->previous->next = slot->next;
    } else {
        client->first = slot->next;
    }
    if (slot->next != NULL) {
        slot->next->previous = slot->previous;
    } else {
        client->last = slot->previous;
    }
    slot->op = RPC_OP_NONE;
}

static void op_sleep(struct lvc_slot *slot, int64_t ms)
{
    struct lvc_client *client = slot->client;
    struct timespec when;

    slot->asleep = true;
#ifdef __APPLE__
    when.tv_sec = (time_t)(ms / 1000);
    when.tv_nsec = (long)(ms % 1000) * 1000000;
    (void)pthread_cond_timedwait_relative_np(&slot->wakeup, &client->lock, &when);
#else
    (void)clock_gettime(CLOCK_MONOTONIC, &when);
    when.tv_sec += (time_t)(ms / 1000);
    when.tv_nsec += (long)(ms % 1000) * 1000000;
    if (when.tv_nsec >= 1000000000) {
        when.tv_nsec -= 1000000000;
        when.tv_sec++;
    }
    (void)pthread_cond_timedwait(&slot->wakeup, &client->lock, &when);
#endif
    slot->asleep = false;
}

static void head_read_failed(struct lvc_client *client, int number)
{
    lvc_error why;

    if (number == 0) {
        (void)lvc_error_system(&why, LVC_FROM_RPC, EIO, "End of file while reading data");
        rpc_client_fail(client, LVC_CLOSED_EOF, &why);
    } else if (number == EMFILE) {
        (void)lvc_error_set(&why, LVC_ERR_RPC, LVC_FROM_RPC,
                            "more descriptors came than can be taken");
        rpc_client_fail(client, LVC_CLOSED_ERROR, &why);
    } else {
        (void)lvc_error_system(&why, LVC_FROM_RPC, number, "Cannot recv data");
        rpc_client_fail(client, LVC_CLOSED_ERROR, &why);
    }
}

/* Something came: a pump that left the reading to us has what it waited for. */
static void head_tell_pumps(const struct lvc_client *client)
{
    struct lvc_slot *slot;

    for (slot = client->first; slot != NULL; slot = slot->next) {
        slot->arrived = slot->arrived || slot->op == RPC_OP_PUMP;
    }
}

/* What the system calls of one reading brought. */
static int head_take(struct lvc_slot *slot, bool brief, ssize_t n)
{
    struct lvc_client *client = slot->client;

    if (n > 0) {
        client->stats.bytes_received += (uint64_t)n;
        if (client->keepalive.interval_ms > 0) {
            rpc_keepalive_received(&client->keepalive, lvc_clock_ms());
        }
        rpc_framer_fed(&client->framer, (size_t)n);
        slot->arrived = true;
        rpc_dispatch(client, slot);
        if (client->first != client->last) {
            head_tell_pumps(client);
            rpc_wake_ready(client);
        }
        return 0;
    }
    if (n == -EAGAIN || n == -EWOULDBLOCK) {
        slot->patient = slot->patient || brief;
        return 0;
    }
    if (n == -EINTR) {
        return -EINTR;
    }
    head_read_failed(client, (int)-n);
    return 0;
}

/* Lock not held. */
static ssize_t head_look(struct lvc_client *client, uint8_t *where, size_t room,
                         struct lvc_looking *looking)
{
    bool again;
    ssize_t n;

    do {
        again = lvc_look_yield(looking);
        n = rpc_socket_recv(client->fd, where, room, false, client->in_fds, &client->in_nfds,
                            LVC_NET_MESSAGE_NUM_FDS_MAX);
    } while (again && n == -EAGAIN);
    return n;
}

/* Read once, waiting for at most wait_ms. Lets go of the lock meanwhile. 0 or -EINTR. */
static int head_read(struct lvc_slot *slot, int64_t now_ms, int64_t wait_ms)
{
    struct lvc_client *client = slot->client;
    int64_t due_ms = rpc_client_keepalive(client, now_ms);
    bool for_writing = client->unsent != NULL;
    bool brief;
    struct lvc_looking looking;
    bool looks = false;
    int64_t began_us = 0;
    int ready = RPC_SOCKET_READABLE;
    ssize_t n = -EAGAIN;
    uint8_t *where;
    size_t room;
    lvc_error why;
    int fd = client->fd;
    int rc;

    if (client->closed != LVC_OPEN) {
        return 0;
    }
    if (due_ms >= 0 && due_ms - now_ms < wait_ms) {
        wait_ms = due_ms > now_ms ? due_ms - now_ms : 0;
    }
    if (rpc_framer_space(&client->framer, &where, &room, &why) < 0) {
        rpc_client_fail(client, LVC_CLOSED_ERROR, &why);
        return 0;
    }
    brief = !client->passes_fds && !slot->patient && !for_writing && wait_ms >= RPC_SOCKET_BRIEF_MS;
    client->head_polls = !brief && wait_ms > 0;
    if (client->head_polls && !for_writing && slot->op == RPC_OP_REPLY) {
        began_us = lvc_clock_us();
        looks = lvc_look_pays(&client->look);
    }
    rpc_client_unlock(client);
    if (looks) {
        lvc_look_begin(&looking, began_us, LOOK_US);
        n = head_look(client, where, room, &looking);
    }
    if (n == -EAGAIN) {
        if (!brief && (wait_ms > 0 || for_writing)) {
            ready = rpc_socket_poll(fd, for_writing, &client->wake, (int)wait_ms);
        }
        if (ready > 0 && (ready & RPC_SOCKET_READABLE) != 0) {
            n = rpc_socket_recv(fd, where, room, brief, client->in_fds, &client->in_nfds,
                                LVC_NET_MESSAGE_NUM_FDS_MAX);
        }
    }
    rpc_client_lock(client);
    if (began_us != 0) {
        lvc_look_learn(&client->look, looks ? &looking : NULL,
                       n > 0 && lvc_clock_us() - began_us <= LOOK_US);
    }
    client->head_polls = false;
    if (ready < 0) {
        n = ready;
    } else {
        if ((ready & RPC_SOCKET_WOKEN) != 0) {
            rpc_wake_clear(&client->wake);
        }
        if ((ready & RPC_SOCKET_WRITABLE) != 0) {
            rpc_send_rest(client);
            rpc_wake_ready(client);
        }
    }
    rc = client->closed == LVC_OPEN ? head_take(slot, brief, n) : 0;
    while (client->closed != LVC_OPEN && client->in_nfds > 0) {
        (void)close(client->in_fds[--client->in_nfds]);
    }
    return rc;
}

static int op_timed_out(struct lvc_slot *slot)
{
    const char *what = slot->procedure != NULL ? slot->procedure->name : "the stream";

    (void)lvc_error_set(&slot->report.error, LVC_ERR_OPERATION_TIMEOUT, LVC_FROM_RPC,
                        slot->op == RPC_OP_ROOM
                            ? "%s could not be sent within %" PRId64 " ms: too many calls wait"
                            : "%s was not answered within %" PRId64 " ms",
                        what, slot->timeout_ms);
    return LVC_FAILED;
}

static int op_wait(struct lvc_slot *slot, int64_t slice_ms)
{
    struct lvc_client *client = slot->client;
    int tries = 0;
    int64_t pause_ms = 0;
    int64_t until_ms;
    int64_t now_ms;

    for (;;) {
        if (client->closed == LVC_OPEN || (slot->op != RPC_OP_ROOM && slot->op != RPC_OP_FLUSH)) {
            if (op_ready(slot)) {
                return 0;
            }
        }
        if (client->closed != LVC_OPEN) {
            slot->report.error = client->why;
            return LVC_FAILED;
        }
        if (slot->cancelled) {
            (void)lvc_error_set(&slot->report.error, LVC_ERR_OPERATION_ABORTED, LVC_FROM_RPC,
                                "%s was cancelled",
                                slot->procedure != NULL ? slot->procedure->name : "the stream");
            return LVC_FAILED;
        }
        if (slot->nonblock) {
            if ((client->head != NULL && client->head != slot) || (tries > 0 && !slot->arrived) ||
                tries == NONBLOCK_READS) {
                return LVC_BLOCKED;
            }
            tries++;
            slot->arrived = false;
            client->head = slot;
            if (head_read(slot, lvc_clock_ms(), 0) == -EINTR) {
                return LVC_AGAIN;
            }
            continue;
        }
        if (client->activity && slot->op != RPC_OP_PUMP) {
            return LVC_AGAIN; /* events are for now, this operation may take an hour */
        }
        now_ms = lvc_clock_ms();
        if (pause_ms == 0) {
            pause_ms = now_ms + slice_ms;
        }
        if (slot->deadline_ms != 0 && now_ms >= slot->deadline_ms) {
            return op_timed_out(slot);
        }
        if (now_ms >= pause_ms) {
            return LVC_AGAIN;
        }
        until_ms = slot->deadline_ms != 0 && slot->deadline_ms < pause_ms ? slot->deadline_ms
                                                                          : pause_ms;
        if (client->head == NULL || client->head == slot) {
            client->head = slot;
            if (head_read(slot, now_ms, until_ms - now_ms) == -EINTR) {
                return LVC_AGAIN;
            }
        } else {
            op_sleep(slot, until_ms - now_ms);
        }
    }
}

int rpc_op_wait(struct lvc_slot *slot, int64_t slice_ms)
{
    int rc;

    slot->running = true;
    rc = op_wait(slot, slice_ms);
    slot->running = false;
    if (rc != 0 || slot->op != RPC_OP_REPLY) {
        rpc_head_leave(slot);
    }
    return rc;
}
