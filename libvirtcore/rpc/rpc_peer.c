/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_peer.c: one client of the server: birth, death, and whether there is work with it.
 * Called by: rpc_server's parts, with the server's lock held. Calls: rpc_ready, rpc_peer_send.
 * Never: reads; decides what a message means.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "rpc/rpc_server.h"

#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/base_alloc.h"
#include "base/base_clock.h"

/* ---- the table ---- */

/* A free slot, -1 without memory. */
static int64_t peers_slot(struct lvc_server *server)
{
    struct rpc_peer **more;
    uint32_t count;
    uint32_t i;

    for (i = 0; i < server->nslots; i++) {
        if (server->peers[i] == NULL) {
            return i;
        }
    }
    count = server->nslots == 0 ? 16 : server->nslots * 2;
    if (count > RPC_SLOTS_MAX) {
        return -1;
    }
    more = lvc_realloc(server->peers, count * sizeof(struct rpc_peer *));
    if (more == NULL) {
        return -1;
    }
    memset(more + server->nslots, 0, (count - server->nslots) * sizeof(struct rpc_peer *));
    server->peers = more;
    server->nslots = count;
    return i;
}

struct rpc_peer *rpc_peer_new(struct lvc_server *server, int fd, uint32_t service, lvc_error *err)
{
    struct rpc_peer *peer = lvc_calloc(1, sizeof(*peer));
    struct timespec now;
    int64_t slot;

    if (peer == NULL) {
        (void)lvc_error_memory(err, LVC_FROM_RPC);
        return NULL;
    }
    slot = peers_slot(server);
    if (slot < 0) {
        lvc_free(peer);
        (void)lvc_error_memory(err, LVC_FROM_RPC);
        return NULL;
    }
    (void)clock_gettime(CLOCK_REALTIME, &now);
    peer->server = server;
    peer->id = (uint64_t)++server->generation << RPC_SLOT_BITS | (uint64_t)slot;
    peer->references = 1;
    peer->state = RPC_PEER_NEW;
    peer->service = service;
    peer->tell_accepted = true;
    peer->drain_below = -1;
    peer->since_ms = lvc_clock_ms();
    peer->since_epoch_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    rpc_framer_init(&peer->framer);
    peer->fd = fd;
    peer->passes_fds = rpc_socket_passes_fds(fd);
    (void)pthread_mutex_init(&peer->out, NULL);
    server->peers[slot] = peer;
    server->nclients++;
    server->nanonymous++;
    server->stats.accepted++;
    rpc_peer_enqueue(peer);
    return peer;
}

static void peer_drop_waiting(struct rpc_peer *peer)
{
    struct rpc_waiting *waiting;
    uint32_t i;

    while ((waiting = peer->waiting) != NULL) {
        peer->waiting = waiting->next;
        for (i = 0; i < waiting->nfds; i++) {
            (void)close(waiting->fds[i]);
        }
        lvc_free(waiting);
    }
    peer->waiting_last = NULL;
}

void rpc_peer_release(struct rpc_peer *peer)
{
    if (--peer->references > 0) {
        return;
    }
    peer_drop_waiting(peer);
    rpc_framer_clear(&peer->framer);
    (void)pthread_mutex_destroy(&peer->out);
    lvc_free(peer);
}

/* Nobody will hear of it any more. */
static void peer_leave_table(struct rpc_peer *peer)
{
    rpc_peer_dequeue(peer);
    peer->server->peers[peer->id & (RPC_SLOTS_MAX - 1)] = NULL;
    rpc_peer_release(peer);
}

/* ---- the end ---- */

void rpc_peer_close_fd(struct rpc_peer *peer)
{
    (void)pthread_mutex_lock(&peer->out);
    peer->shut = true;
    rpc_peer_forget_output(peer);
    if (peer->fd >= 0) {
        (void)rpc_ready_remove(&peer->server->ready, peer->fd);
        (void)close(peer->fd);
        peer->fd = -1;
    }
    (void)pthread_mutex_unlock(&peer->out);
    while (peer->in_nfds > 0) {
        (void)close(peer->in_fds[--peer->in_nfds]);
    }
    rpc_framer_clear(&peer->framer);
}

void rpc_peer_fail(struct rpc_peer *peer, const lvc_error *why)
{
    struct lvc_server *server = peer->server;

    if (peer->state == RPC_PEER_GONE) {
        return;
    }
    if (peer->why.code == LVC_ERR_OK) {
        peer->why = *why;
    }
    if (peer->announced && !peer->settled && !server->stopping) {
        peer->doomed = true; /* Python is just being told that it came */
        return;
    }
    peer->state = RPC_PEER_GONE;
    server->nclients--;
    server->nanonymous -= !peer->authenticated;
    server->nasked -= peer->keepalive.interval_ms > 0;
    server->stats.closed++;
    peer->tell_accepted = false;
    peer->tell_drained = false;
    peer->readable = false;
    peer->more = false;
    peer_drop_waiting(peer);
    if (peer->busy) {
        (void)pthread_mutex_lock(&peer->out);
        peer->shut = true;
        rpc_peer_forget_output(peer);
        (void)shutdown(peer->fd, SHUT_RDWR);
        (void)pthread_mutex_unlock(&peer->out);
    } else {
        rpc_peer_close_fd(peer);
    }
    rpc_server_watch(server);
    if (peer->announced && !server->stopping) {
        peer->tell_closed = true;
        rpc_peer_enqueue(peer);
    } else {
        peer_leave_table(peer);
    }
}

void rpc_peer_end(struct rpc_peer *peer, const char *why)
{
    lvc_error err;

    (void)lvc_error_set(&err, LVC_ERR_INTERNAL_ERROR, LVC_FROM_RPC, "%s", why);
    rpc_peer_fail(peer, &err);
}

/* ---- the queue of those with work ---- */

bool rpc_peer_has_room(const struct rpc_peer *peer)
{
    return peer->state == RPC_PEER_OPEN && !peer->close_when_sent &&
           peer->requests < peer->server->limits.max_client_requests &&
           atomic_load_explicit(&peer->unsent_bytes, memory_order_relaxed) < RPC_OUTPUT_PAUSE;
}

static bool peer_has_work(const struct rpc_peer *peer)
{
    if (peer->busy) {
        return false; /* whoever has it looks again */
    }
    if (peer->state == RPC_PEER_GONE) {
        return peer->tell_closed;
    }
    if (peer->tell_accepted || peer->tell_drained || peer->waiting != NULL) {
        return true;
    }
    return (peer->readable || peer->more) && !peer->stream_waits && rpc_peer_has_room(peer);
}

void rpc_peer_enqueue(struct rpc_peer *peer)
{
    struct lvc_server *server = peer->server;

    if (peer->queued || !peer_has_work(peer)) {
        return;
    }
    peer->queued = true;
    peer->queue_previous = server->last;
    peer->queue_next = NULL;
    if (server->last != NULL) {
        server->last->queue_next = peer;
    } else {
        server->first = peer;
    }
    server->last = peer;
}

void rpc_peer_dequeue(struct rpc_peer *peer)
{
    struct lvc_server *server = peer->server;

    if (!peer->queued) {
        return;
    }
    peer->queued = false;
    if (peer->queue_previous != NULL) {
        peer->queue_previous->queue_next = peer->queue_next;
    } else {
        server->first = peer->queue_next;
    }
    if (peer->queue_next != NULL) {
        peer->queue_next->queue_previous = peer->queue_previous;
    } else {
        server->last = peer->queue_previous;
    }
    peer->queue_previous = NULL;
    peer->queue_next = NULL;
}

void rpc_peer_request_done(struct rpc_peer *peer)
{
    if (peer->requests > 0) {
        peer->requests--;
    }
    peer->parked = false;
    rpc_peer_enqueue(peer);
}

void rpc_peer_output_moved(struct rpc_peer *peer)
{
    size_t unsent = atomic_load_explicit(&peer->unsent_bytes, memory_order_relaxed);

    if (peer->state != RPC_PEER_OPEN) {
        return;
    }
    if (peer->drain_below >= 0 && unsent <= (uint64_t)peer->drain_below) {
        peer->drain_below = -1;
        peer->tell_drained = true;
    }
    if (peer->close_when_sent && unsent == 0) {
        rpc_peer_end(peer, "closed by the server");
        return;
    }
    rpc_peer_enqueue(peer);
}
