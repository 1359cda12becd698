/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_client.c: birth, death, keepalive and figures of a connection.
 * Called by: Python (the lvc_client functions), the other parts. Calls: rpc_send, rpc_wait.
 * Never: waits.
 *
 * Ownership: the client owns the descriptor. Its memory is counted: one reference for whoever made
 * it, one for each slot and each stream, so that they may be freed in any order.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "rpc/rpc_client.h"

#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/base_alloc.h"
#include "base/base_clock.h"

void rpc_client_lock(struct lvc_client *client)
{
    (void)pthread_mutex_lock(&client->lock);
}

void rpc_client_unlock(struct lvc_client *client)
{
    (void)pthread_mutex_unlock(&client->lock);
}

bool rpc_client_is_forked(const struct lvc_client *client)
{
    return client->process != getpid();
}

lvc_client *lvc_client_new(int fd, uint32_t max_in_flight, uint32_t codec_flags, lvc_error *err)
{
    struct lvc_client *client = lvc_calloc(1, sizeof(*client));
    int rc;

    if (client == NULL) {
        (void)lvc_error_memory(err, LVC_FROM_RPC);
        return NULL;
    }
    client->wake.read = -1;
    client->wake.write = -1;
    rpc_framer_init(&client->framer);
    rc = rpc_socket_adopt(fd);
    if (rc < 0) {
        (void)lvc_error_system(err, LVC_FROM_RPC, -rc, "Unable to use FD %d as a socket", fd);
        goto failed;
    }
    rc = rpc_wake_open(&client->wake);
    if (rc < 0) {
        (void)lvc_error_system(err, LVC_FROM_RPC, -rc, "unable to make pipe");
        goto failed;
    }
    if (rpc_calls_init(&client->calls, max_in_flight, err) < 0) {
        goto failed;
    }
    (void)pthread_mutex_init(&client->lock, NULL);
    client->fd = fd;
    client->passes_fds = rpc_socket_passes_fds(fd);
    client->process = getpid();
    client->codec_flags = codec_flags;
    client->references = 1;
    return client;

failed:
    rpc_wake_close(&client->wake);
    lvc_free(client);
    return NULL;
}

int rpc_client_check_open(const struct lvc_client *client, lvc_error *err)
{
    if (client->closed != LVC_OPEN) {
        return lvc_error_set(err, LVC_ERR_INTERNAL_ERROR, LVC_FROM_RPC, "client socket is closed");
    }
    return 0;
}

void rpc_client_fail(struct lvc_client *client, enum lvc_closed closed, const lvc_error *why)
{
    if (client->closed != LVC_OPEN) {
        return;
    }
    client->closed = closed;
    client->why = *why;
    client->activity = true;
    (void)shutdown(client->fd, SHUT_RDWR);
    rpc_send_forget(client);
    rpc_wake_head(client);
    rpc_wake_ready(client);
}

void rpc_client_close_fds(struct lvc_client *client)
{
    if (client->fd >= 0) {
        (void)close(client->fd);
        client->fd = -1;
    }
    while (client->in_nfds > 0) {
        (void)close(client->in_fds[--client->in_nfds]);
    }
    rpc_wake_close(&client->wake);
}

void lvc_client_keep_times(lvc_client *client, int keep)
{
    rpc_client_lock(client);
    client->keeps_times = keep != 0;
    rpc_client_unlock(client);
}

void lvc_client_close(lvc_client *client)
{
    lvc_error why;

    if (rpc_client_is_forked(client)) { /* no lock: who held it may not exist here */
        rpc_client_close_fds(client); /* our copies; the connection is the parent's */
        return;
    }
    (void)lvc_error_set(&why, LVC_ERR_INTERNAL_ERROR, LVC_FROM_RPC, "client socket is closed");
    rpc_client_lock(client);
    rpc_client_fail(client, LVC_CLOSED_CLIENT, &why);
    client->fd_unwanted = true;
    if (client->head == NULL) {
        rpc_client_close_fds(client); /* else the head does it when it leaves */
    }
    rpc_client_unlock(client);
}

/* In a forked child: what is ours alone. Locks may be held by threads that do not exist here. */
static void client_free_memory(struct lvc_client *client)
{
    rpc_client_close_fds(client);
    rpc_send_forget(client);
    rpc_queue_clear(&client->events);
    rpc_calls_clear(&client->calls);
    rpc_framer_clear(&client->framer);
    lvc_free(client);
}

void rpc_client_release(struct lvc_client *client)
{
    bool forked = rpc_client_is_forked(client);
    bool last;

    if (!forked) {
        rpc_client_lock(client);
    }
    last = --client->references == 0;
    if (!forked) {
        rpc_client_unlock(client);
    }
    if (last) {
        if (!forked) {
            (void)pthread_mutex_destroy(&client->lock);
        }
        client_free_memory(client);
    }
}

void lvc_client_free(lvc_client *client)
{
    if (client != NULL) {
        lvc_client_close(client);
        rpc_client_release(client);
    }
}

int lvc_client_closed(lvc_client *client, lvc_error *why)
{
    int closed;

    rpc_client_lock(client);
    closed = (int)client->closed;
    if (why != NULL) {
        *why = client->why;
    }
    rpc_client_unlock(client);
    return closed;
}

int lvc_client_wants_write(lvc_client *client)
{
    int wants;

    rpc_client_lock(client);
    wants = client->unsent != NULL;
    rpc_client_unlock(client);
    return wants;
}

void lvc_client_get_stats(lvc_client *client, lvc_client_stats *out)
{
    rpc_client_lock(client);
    *out = client->stats;
    out->in_flight = client->calls.in_flight;
    out->queued_events = client->events.count;
    out->queued_bytes = client->events.bytes + client->calls.stored;
    out->unsent_bytes = client->unsent_bytes;
    rpc_client_unlock(client);
}

int lvc_client_cancel(lvc_client *client, uint64_t thread)
{
    struct lvc_slot *slot;
    int count = 0;

    rpc_client_lock(client);
    for (slot = client->first; slot != NULL; slot = slot->next) {
        if (slot->op != RPC_OP_PUMP && !slot->cancelled &&
            (thread == 0 || (uint64_t)slot->thread == thread)) {
            slot->cancelled = true;
            count++;
            if (slot->asleep) {
                (void)pthread_cond_signal(&slot->wakeup);
            }
        }
    }
    rpc_wake_head(client);
    rpc_client_unlock(client);
    return count;
}

void lvc_client_keepalive_start(lvc_client *client, int64_t interval_ms, uint32_t count)
{
    rpc_client_lock(client);
    rpc_keepalive_start(&client->keepalive, interval_ms, count, lvc_clock_ms());
    rpc_wake_head(client); /* its wait is shorter now */
    rpc_client_unlock(client);
}

int64_t rpc_client_keepalive(struct lvc_client *client, int64_t now_ms)
{
    const struct rpc_header ping = {
        .program = LVC_KEEPALIVE_PROGRAM,
        .version = LVC_KEEPALIVE_PROTOCOL_VERSION,
        .procedure = RPC_KEEPALIVE_PING,
        .type = RPC_MESSAGE,
    };
    lvc_error why;
    int64_t next_ms;

    if (client->closed != LVC_OPEN) {
        return -1;
    }
    switch (rpc_keepalive_tick(&client->keepalive, now_ms, &next_ms)) {
    case RPC_KEEPALIVE_SEND_PING:
        (void)rpc_send_header(client, &ping);
        break;
    case RPC_KEEPALIVE_DEAD:
        (void)lvc_error_set(&why, LVC_ERR_INTERNAL_ERROR, LVC_FROM_RPC,
                            "connection closed due to keepalive timeout");
        rpc_client_fail(client, LVC_CLOSED_KEEPALIVE, &why);
        break;
    case RPC_KEEPALIVE_WAIT:
        break;
    }
    return client->closed == LVC_OPEN ? next_ms : -1;
}

int64_t lvc_client_keepalive_tick(lvc_client *client)
{
    int64_t now_ms = lvc_clock_ms();
    int64_t next_ms;

    rpc_client_lock(client);
    next_ms = rpc_client_keepalive(client, now_ms);
    rpc_client_unlock(client);
    return next_ms < 0 ? -1 : next_ms - now_ms;
}

lvc_slot *lvc_slot_new(lvc_client *client)
{
    struct lvc_slot *slot = lvc_calloc(1, sizeof(*slot));
    pthread_condattr_t attributes;

    if (slot == NULL) {
        return NULL;
    }
    slot->client = client;
    lvc_buf_init(&slot->out, RPC_LENGTH_MAX);
    lvc_buf_init(&slot->result, (size_t)4 * LVC_NET_MESSAGE_MAX);
    (void)pthread_condattr_init(&attributes);
#ifndef __APPLE__
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
    (void)pthread_cond_init(&slot->wakeup, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    rpc_client_lock(client);
    client->references++;
    rpc_client_unlock(client);
    return slot;
}

void lvc_slot_free(lvc_slot *slot)
{
    struct lvc_client *client;

    if (slot == NULL) {
        return;
    }
    client = slot->client;
    if (!rpc_client_is_forked(client)) {
        lvc_slot_abandon(slot);
        (void)pthread_cond_destroy(&slot->wakeup);
    }
    rpc_slot_reset(slot);
    lvc_buf_clear(&slot->out);
    lvc_buf_clear(&slot->result);
    lvc_free(slot);
    rpc_client_release(client);
}
