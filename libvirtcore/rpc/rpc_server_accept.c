/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_server_accept.c: clients come, within limits; and what is due by the clock.
 * Called by: rpc_server, rpc_server_wait (the worker that polls). Calls: rpc_peer, rpc_ready.
 * Never: takes more clients than may be: the rest waits in the backlog of the socket.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* accept4 */
#endif

#include "rpc/rpc_server.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base_clock.h"

/* Clients taken before others get a turn. */
#define ACCEPT_BATCH 64

static bool server_may_accept(const struct lvc_server *server)
{
    return !server->stopping && !server->accept_paused && server->accept_retry_ms == 0 &&
           server->nclients < server->limits.max_clients &&
           (server->limits.max_anonymous_clients == 0 ||
            server->nanonymous < server->limits.max_anonymous_clients);
}

void rpc_server_watch(struct lvc_server *server)
{
    bool may = server_may_accept(server);
    uint32_t i;

    for (i = 0; i < server->nlisteners; i++) {
        struct rpc_listener *listener = &server->listeners[i];

        if (listener->fd < 0 || listener->watched == may) {
            continue;
        }
        if (!may) {
            (void)rpc_ready_remove(&server->ready, listener->fd);
            listener->watched = false;
            listener->ready = false;
        } else if (rpc_ready_add(&server->ready, listener->fd, RPC_KEY_LISTENER | i, true) == 0) {
            listener->watched = true;
        }
    }
}

/* A descriptor that no child inherits and no thread waits on, or -errno. */
static int listener_accept(int listening)
{
#ifdef __linux__
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    return fd < 0 ? -errno : fd;
#else
    int fd = accept(listening, NULL, NULL);

    if (fd < 0) {
        return -errno;
    }
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
#endif
}

static bool is_nobody(int result)
{
    return result == -EAGAIN || result == -EWOULDBLOCK;
}

/* Whoever called has gone again, or the network says so: not our trouble. */
static bool is_gone(int result)
{
    return result == -ECONNABORTED || result == -EINTR || result == -EPROTO ||
           result == -ENETDOWN || result == -EHOSTUNREACH || result == -ENETUNREACH;
}

static void listener_take(struct lvc_server *server, struct rpc_listener *listener)
{
    lvc_error err;
    int count;
    int fd;

    for (count = 0; count < ACCEPT_BATCH && server_may_accept(server); count++) {
        fd = listener_accept(listener->fd);
        if (is_nobody(fd)) {
            return;
        }
        if (is_gone(fd)) {
            continue;
        }
        if (fd >= 0 && rpc_socket_adopt(fd) == 0 &&
            rpc_peer_new(server, fd, listener->service, &err) != NULL) {
            continue;
        }
        if (fd >= 0) {
            (void)close(fd);
        }
        server->stats.accept_failures++; /* no descriptor left, or no memory */
        server->accept_retry_ms = lvc_clock_ms() + RPC_ACCEPT_RETRY_MS;
        return;
    }
}

void rpc_server_accept(struct lvc_server *server)
{
    uint32_t i;

    for (i = 0; i < server->nlisteners; i++) {
        struct rpc_listener *listener = &server->listeners[i];

        if (listener->ready) {
            listener->ready = false;
            if (listener->fd >= 0) {
                listener_take(server, listener);
            }
        }
    }
    rpc_server_watch(server);
}

/* ---- the clock ---- */

static int64_t earlier(int64_t one, int64_t other)
{
    return one < 0 || (other >= 0 && other < one) ? other : one;
}

/* When the peer has to be looked at again, -1 for never. Ends it if it is time to. */
static int64_t peer_tick(struct rpc_peer *peer, int64_t now_ms)
{
    const struct rpc_header ping = {
        .program = LVC_KEEPALIVE_PROGRAM,
        .version = LVC_KEEPALIVE_PROTOCOL_VERSION,
        .procedure = RPC_KEEPALIVE_PING,
        .type = RPC_MESSAGE,
    };
    struct lvc_server *server = peer->server;
    uint8_t bytes[RPC_PREFIX_BYTES];
    int64_t next_ms = -1;
    int64_t ping_ms;
    lvc_error why;

    if (peer->state == RPC_PEER_OPEN && !peer->authenticated && server->limits.anonymous_ms > 0) {
        next_ms = peer->since_ms + server->limits.anonymous_ms;
        if (next_ms <= now_ms) {
            rpc_peer_end(peer, "not authenticated in time");
            return -1;
        }
    }
    if (peer->state != RPC_PEER_OPEN || peer->keepalive.interval_ms <= 0) {
        return next_ms;
    }
    /* Whoever may not be read now (too many calls, too much output) cannot be heard either. */
    if ((peer->readable || peer->more) && !rpc_peer_has_room(peer)) {
        rpc_keepalive_received(&peer->keepalive, now_ms);
    }
    switch (rpc_keepalive_tick(&peer->keepalive, now_ms, &ping_ms)) {
    case RPC_KEEPALIVE_SEND_PING:
        rpc_header_encode(&ping, sizeof(bytes), bytes);
        if (rpc_peer_send(peer, bytes, sizeof(bytes), NULL, 0, &why) < 0) {
            rpc_peer_fail(peer, &why);
            return -1;
        }
        break;
    case RPC_KEEPALIVE_DEAD:
        server->stats.silent++;
        rpc_peer_end(peer, "connection closed due to keepalive timeout");
        return -1;
    case RPC_KEEPALIVE_WAIT:
        break;
    }
    return earlier(next_ms, ping_ms);
}

int64_t rpc_server_tick(struct lvc_server *server, int64_t now_ms)
{
    int64_t next_ms = -1;
    uint32_t i;

    if (server->accept_retry_ms > 0) {
        if (server->accept_retry_ms <= now_ms) {
            server->accept_retry_ms = 0;
            rpc_server_watch(server);
        } else {
            next_ms = server->accept_retry_ms;
        }
    }
    if (server->nasked > 0 || (server->nanonymous > 0 && server->limits.anonymous_ms > 0)) {
        if (server->tick_ms > now_ms) {
            next_ms = earlier(next_ms, server->tick_ms);
        } else {
            server->tick_ms = -1;
            for (i = 0; i < server->nslots; i++) {
                if (server->peers[i] != NULL) {
                    server->tick_ms =
                        earlier(server->tick_ms, peer_tick(server->peers[i], now_ms));
                }
            }
            next_ms = earlier(next_ms, server->tick_ms);
        }
    }
    if (next_ms < 0) {
        return -1;
    }
    return next_ms > now_ms ? next_ms - now_ms : 0;
}

/* ---- what Python asks for ---- */

int lvc_server_listen(lvc_server *server, int fd, uint32_t service, lvc_error *err)
{
    struct rpc_listener *listener = NULL;
    int rc = -1;
    uint32_t i;

    (void)pthread_mutex_lock(&server->lock);
    for (i = 0; i < RPC_LISTENERS_MAX && listener == NULL; i++) {
        if (i == server->nlisteners || server->listeners[i].fd < 0) {
            listener = &server->listeners[i];
        }
    }
    if (listener == NULL) {
        (void)lvc_error_set(err, LVC_ERR_INTERNAL_ERROR, LVC_FROM_RPC,
                            "too many listening sockets, limit %d", RPC_LISTENERS_MAX);
    } else if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
               listen(fd, (int)server->limits.max_queued_clients) < 0) {
        (void)lvc_error_system(err, LVC_FROM_RPC, errno, "Unable to listen on socket");
    } else {
        if (listener == &server->listeners[server->nlisteners]) {
            server->nlisteners++;
        }
        listener->fd = fd;
        listener->service = service;
        listener->watched = false;
        listener->ready = false;
        rpc_server_watch(server);
        rc = 0;
    }
    (void)pthread_mutex_unlock(&server->lock);
    return rc;
}

int64_t lvc_server_adopt(lvc_server *server, int fd, uint32_t service, lvc_error *err)
{
    struct rpc_peer *peer = NULL;
    int64_t id = -1;
    int rc = rpc_socket_adopt(fd);

    if (rc < 0) {
        return lvc_error_system(err, LVC_FROM_RPC, -rc, "Unable to use FD %d as a socket", fd);
    }
    (void)pthread_mutex_lock(&server->lock);
    if (server->stopping) {
        (void)lvc_error_set(err, LVC_ERR_OPERATION_INVALID, LVC_FROM_RPC, "server has stopped");
    } else {
        peer = rpc_peer_new(server, fd, service, err);
    }
    if (peer != NULL) {
        id = (int64_t)peer->id;
        rpc_server_watch(server);
        rpc_server_wake(server);
    }
    (void)pthread_mutex_unlock(&server->lock);
    return id;
}

void lvc_server_pause(lvc_server *server, int pause)
{
    (void)pthread_mutex_lock(&server->lock);
    server->accept_paused = pause != 0;
    rpc_server_watch(server);
    (void)pthread_mutex_unlock(&server->lock);
}

void lvc_server_stop_listening(lvc_server *server)
{
    uint32_t i;

    (void)pthread_mutex_lock(&server->lock);
    for (i = 0; i < server->nlisteners; i++) {
        struct rpc_listener *listener = &server->listeners[i];

        if (listener->watched) {
            (void)rpc_ready_remove(&server->ready, listener->fd);
            listener->watched = false;
        }
        if (listener->fd >= 0) {
            (void)close(listener->fd);
            listener->fd = -1;
        }
    }
    server->nlisteners = 0;
    (void)pthread_mutex_unlock(&server->lock);
}
