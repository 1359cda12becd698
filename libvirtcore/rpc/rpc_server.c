/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_server.c: birth, death, limits and figures of the server, and what is said about its clients.
 * Called by: Python (the lvc_server functions), the other parts. Calls: rpc_peer, rpc_server_accept.
 * Never: waits, but for lvc_server_starved; reads or writes a client's socket.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* struct ucred */
#endif

#include "rpc/rpc_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/base_alloc.h"
#include "base/base_clock.h"

/* ---- birth and death ---- */

static void server_set_limits(struct lvc_server *server, const lvc_server_limits *limits)
{
    server->limits = *limits;
    if (server->limits.max_clients > RPC_SLOTS_MAX) {
        server->limits.max_clients = RPC_SLOTS_MAX;
    }
    atomic_store_explicit(&server->max_unsent, (size_t)limits->max_unsent_bytes,
                          memory_order_relaxed);
}

static void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;

    (void)pthread_condattr_init(&attributes);
#ifndef __APPLE__
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
    (void)pthread_cond_init(cond, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

lvc_server *lvc_server_new(const lvc_server_limits *limits, const uint32_t *programs,
                           uint32_t nprograms, uint32_t codec_flags, lvc_error *err)
{
    struct lvc_server *server = lvc_calloc(1, sizeof(*server));
    size_t room = sizeof(server->programs) / sizeof(server->programs[0]);
    int rc;

    if (server == NULL) {
        (void)lvc_error_memory(err, LVC_FROM_RPC);
        return NULL;
    }
    if (nprograms > room) {
        (void)lvc_error_set(err, LVC_ERR_INVALID_ARG, LVC_FROM_RPC, "%u programs, limit %zu",
                            nprograms, room);
        goto failed;
    }
    rc = rpc_ready_open(&server->ready);
    if (rc < 0) {
        (void)lvc_error_system(err, LVC_FROM_RPC, -rc, "unable to poll");
        goto failed;
    }
    rc = rpc_wake_open(&server->wake);
    if (rc >= 0) {
        rc = rpc_ready_add(&server->ready, server->wake.read, RPC_KEY_WAKE, true);
        if (rc < 0) {
            rpc_wake_close(&server->wake);
        }
    }
    if (rc < 0) {
        rpc_ready_close(&server->ready);
        (void)lvc_error_system(err, LVC_FROM_RPC, -rc, "unable to make pipe");
        goto failed;
    }
    (void)pthread_mutex_init(&server->lock, NULL);
    cond_init(&server->starving);
    server->references = 1;
    server->process = getpid();
    server->codec_flags = codec_flags;
    server->nprograms = nprograms;
    if (nprograms > 0) {
        memcpy(server->programs, programs, nprograms * sizeof(*programs));
    }
    server_set_limits(server, limits);
    return server;

failed:
    lvc_free(server);
    return NULL;
}

void lvc_server_stop(lvc_server *server)
{
    struct lvc_worker *worker;
    uint32_t i;

    if (server->process != getpid()) {
        return; /* a forked child: the sockets are its parent's */
    }
    lvc_server_stop_listening(server);
    (void)pthread_mutex_lock(&server->lock);
    server->stopping = true;
    for (i = 0; i < server->nslots; i++) {
        if (server->peers[i] != NULL) {
            struct rpc_peer *peer = server->peers[i];

            peer->tell_closed = false;
            if (peer->state == RPC_PEER_GONE) {
                rpc_peer_dequeue(peer);
                server->peers[i] = NULL;
                rpc_peer_release(peer);
            } else {
                rpc_peer_end(peer, "server has stopped");
            }
        }
    }
    for (worker = server->idle; worker != NULL; worker = worker->idle_next) {
        (void)pthread_cond_signal(&worker->wakeup);
    }
    for (worker = server->idle_prio; worker != NULL; worker = worker->idle_next) {
        (void)pthread_cond_signal(&worker->wakeup);
    }
    (void)pthread_cond_broadcast(&server->starving);
    rpc_wake_set(&server->wake);
    (void)pthread_mutex_unlock(&server->lock);
}

void rpc_server_release(struct lvc_server *server)
{
    bool forked = server->process != getpid();
    bool last;

    if (!forked) { /* in a child the lock may be held by a thread that does not exist there */
        (void)pthread_mutex_lock(&server->lock);
    }
    last = --server->references == 0;
    if (!forked) {
        (void)pthread_mutex_unlock(&server->lock);
    }
    if (!last) {
        return;
    }
    if (!forked) {
        (void)pthread_cond_destroy(&server->starving);
        (void)pthread_mutex_destroy(&server->lock);
    }
    rpc_wake_close(&server->wake);
    rpc_ready_close(&server->ready);
    lvc_free(server->peers);
    lvc_free(server->triples);
    lvc_free(server);
}

void lvc_server_free(lvc_server *server)
{
    if (server != NULL) {
        lvc_server_stop(server);
        rpc_server_release(server);
    }
}

static uint64_t procedure_key(uint32_t program, uint32_t procedure)
{
    return (uint64_t)program << 32 | procedure;
}

int lvc_server_add_triples(lvc_server *server, uint32_t program, uint32_t procedure,
                           lvc_error *err)
{
    uint64_t *more = lvc_realloc(server->triples, (server->ntriples + 1) * sizeof(*more));

    if (more == NULL) {
        return lvc_error_memory(err, LVC_FROM_RPC);
    }
    server->triples = more;
    server->triples[server->ntriples++] = procedure_key(program, procedure);
    return 0;
}

bool rpc_server_wants_triples(const struct lvc_server *server, uint32_t program,
                              uint32_t procedure)
{
    size_t i;

    for (i = 0; i < server->ntriples; i++) {
        if (server->triples[i] == procedure_key(program, procedure)) {
            return true;
        }
    }
    return false;
}

void lvc_server_set_limits(lvc_server *server, const lvc_server_limits *limits)
{
    uint32_t i;

    (void)pthread_mutex_lock(&server->lock);
    server_set_limits(server, limits);
    rpc_server_watch(server);
    for (i = 0; i < server->nslots; i++) {
        if (server->peers[i] != NULL) {
            rpc_peer_enqueue(server->peers[i]); /* more of its calls may be read now */
        }
    }
    server->tick_ms = 0;
    rpc_server_wake(server);
    (void)pthread_mutex_unlock(&server->lock);
}

void lvc_server_get_stats(lvc_server *server, lvc_server_stats *out)
{
    uint32_t i;

    (void)pthread_mutex_lock(&server->lock);
    *out = server->stats;
    out->clients = server->nclients;
    out->anonymous = server->nanonymous;
    out->workers = server->nworkers;
    out->busy_workers = server->nserving;
    for (i = 0; i < server->nlisteners; i++) {
        out->accepting += server->listeners[i].watched;
    }
    (void)pthread_mutex_unlock(&server->lock);
    out->bytes_sent = atomic_load(&server->bytes_sent);
    out->pings = atomic_load(&server->pings);
    out->refused = atomic_load(&server->refused);
    out->ignored = atomic_load(&server->ignored);
}

int lvc_server_starved(lvc_server *server, int64_t timeout_ms)
{
    int64_t deadline_ms = timeout_ms < 0 ? INT64_MAX : lvc_clock_ms() + timeout_ms;
    int starved = 0;

    (void)pthread_mutex_lock(&server->lock);
    server->starvers++;
    while (!server->stopping) {
        int64_t now_ms = lvc_clock_ms();
        int64_t until_ms = deadline_ms;
        struct timespec until;

        if (server->busy_since_ms > 0) {
            if (server->busy_since_ms + RPC_STARVED_MS <= now_ms) {
                starved = 1;
                break;
            }
            until_ms = server->busy_since_ms + RPC_STARVED_MS;
        }
        if (now_ms >= deadline_ms) {
            break;
        }
        if (until_ms > deadline_ms) {
            until_ms = deadline_ms;
        }
        if (until_ms > now_ms + 3600000) {
            until_ms = now_ms + 3600000;
        }
        until.tv_sec = (time_t)(until_ms / 1000);
        until.tv_nsec = (long)(until_ms % 1000) * 1000000;
        (void)pthread_cond_timedwait(&server->starving, &server->lock, &until);
    }
    server->starvers--;
    (void)pthread_mutex_unlock(&server->lock);
    return starved;
}

/* ---- programs and peers ---- */

const struct lvc_program *rpc_server_program(const struct lvc_server *server, uint32_t number)
{
    size_t i;

    for (i = 0; i < server->nprograms; i++) {
        if (server->programs[i] == number) {
            break;
        }
    }
    if (i == server->nprograms) {
        return NULL;
    }
    for (i = 0; i < lvc_programs_len; i++) {
        if (lvc_programs[i].number == number) {
            return &lvc_programs[i];
        }
    }
    return NULL;
}

struct rpc_peer *rpc_server_find(struct lvc_server *server, uint64_t id)
{
    uint64_t slot = id & (RPC_SLOTS_MAX - 1);
    struct rpc_peer *peer = slot < server->nslots ? server->peers[slot] : NULL;

    return peer != NULL && peer->id == id && peer->state != RPC_PEER_GONE ? peer : NULL;
}

int lvc_server_accept(lvc_server *server, uint64_t client, int authenticated)
{
    struct rpc_peer *peer;
    lvc_error why;
    int rc = 0;

    (void)pthread_mutex_lock(&server->lock);
    peer = rpc_server_find(server, client);
    if (peer != NULL && peer->state == RPC_PEER_NEW && peer->announced) {
        peer->settled = true;
        peer->state = RPC_PEER_OPEN;
        if (peer->doomed) {
            rpc_peer_fail(peer, &peer->why);
        } else {
            if (authenticated) {
                peer->authenticated = true;
                server->nanonymous--;
                rpc_server_watch(server);
            } else {
                server->tick_ms = 0;
                rpc_server_wake(server); /* whoever polls looks at its time to authenticate, too */
            }
            rc = rpc_ready_add(&server->ready, peer->fd, peer->id, false);
            if (rc < 0) {
                (void)lvc_error_system(&why, LVC_FROM_RPC, -rc, "unable to poll");
                rpc_peer_fail(peer, &why);
                rc = 0;
            } else {
                rc = 1;
            }
        }
    }
    (void)pthread_mutex_unlock(&server->lock);
    return rc;
}

int lvc_server_authenticated(lvc_server *server, uint64_t client)
{
    struct rpc_peer *peer;
    int rc = 0;

    (void)pthread_mutex_lock(&server->lock);
    peer = rpc_server_find(server, client);
    if (peer != NULL) {
        rc = 1;
        if (!peer->authenticated) {
            peer->authenticated = true;
            server->nanonymous--;
            rpc_server_watch(server);
        }
    }
    (void)pthread_mutex_unlock(&server->lock);
    return rc;
}

int lvc_server_keepalive(lvc_server *server, uint64_t client)
{
    struct rpc_peer *peer;
    int rc = 0;

    (void)pthread_mutex_lock(&server->lock);
    peer = rpc_server_find(server, client);
    if (peer != NULL) {
        rc = 1;
        if (peer->keepalive.interval_ms <= 0 && server->limits.keepalive_interval_ms > 0) {
            rpc_keepalive_start(&peer->keepalive, server->limits.keepalive_interval_ms,
                                server->limits.keepalive_count, lvc_clock_ms());
            server->nasked++;
            server->tick_ms = 0;
            rpc_server_wake(server); /* whoever polls does so for a shorter time now */
        }
    }
    (void)pthread_mutex_unlock(&server->lock);
    return rc;
}

int lvc_server_close(lvc_server *server, uint64_t client, int flush)
{
    struct rpc_peer *peer;

    (void)pthread_mutex_lock(&server->lock);
    peer = rpc_server_find(server, client);
    if (peer != NULL) {
        if (flush) {
            peer->close_when_sent = true;
            rpc_peer_output_moved(peer);
        } else {
            rpc_peer_end(peer, "closed by the server");
        }
        rpc_server_wake(server);
    }
    (void)pthread_mutex_unlock(&server->lock);
    return peer != NULL;
}

int64_t lvc_server_unsent(lvc_server *server, uint64_t client)
{
    struct rpc_peer *peer;
    int64_t unsent = -1;

    (void)pthread_mutex_lock(&server->lock);
    peer = rpc_server_find(server, client);
    if (peer != NULL) {
        unsent = (int64_t)atomic_load_explicit(&peer->unsent_bytes, memory_order_relaxed);
    }
    (void)pthread_mutex_unlock(&server->lock);
    return unsent;
}

int lvc_server_want_drained(lvc_server *server, uint64_t client, uint64_t below)
{
    struct rpc_peer *peer;

    (void)pthread_mutex_lock(&server->lock);
    peer = rpc_server_find(server, client);
    if (peer != NULL) {
        peer->drain_below = below > INT64_MAX ? INT64_MAX : (int64_t)below;
        rpc_peer_output_moved(peer);
        rpc_server_wake(server);
    }
    (void)pthread_mutex_unlock(&server->lock);
    return peer != NULL;
}

/* ---- the list ---- */

static void info_credentials(int fd, lvc_peer_info *info)
{
#ifdef SO_PEERCRED
    struct ucred credentials;
    socklen_t len = sizeof(credentials);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) == 0 && credentials.pid > 0) {
        info->uid = credentials.uid;
        info->gid = credentials.gid;
        info->pid = credentials.pid;
    }
#else
    (void)fd;
    (void)info;
#endif
}

static void info_address(int fd, lvc_peer_info *info)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    char host[64];
    char port[8];

    memset(&address, 0, sizeof(address));
    if (getpeername(fd, (struct sockaddr *)&address, &len) == 0 &&
        (address.ss_family == AF_INET || address.ss_family == AF_INET6) &&
        getnameinfo((struct sockaddr *)&address, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        (void)snprintf(info->address, sizeof(info->address), "%s;%s", host, port);
    }
}

static void peer_info(struct rpc_peer *peer, lvc_peer_info *info)
{
    memset(info, 0, sizeof(*info));
    info->id = peer->id;
    info->since_epoch_ms = peer->since_epoch_ms;
    info->uid = -1;
    info->gid = -1;
    info->pid = -1;
    info->calls = peer->calls;
    info->unsent = atomic_load_explicit(&peer->unsent_bytes, memory_order_relaxed);
    info->fd = peer->fd;
    info->service = peer->service;
    info->authenticated = peer->authenticated;
    info->requests = peer->requests;
    info_credentials(peer->fd, info);
    info_address(peer->fd, info);
}

uint32_t lvc_server_list(lvc_server *server, uint32_t from, lvc_peer_info *out, uint32_t room)
{
    uint32_t count = 0;
    uint32_t i;

    (void)pthread_mutex_lock(&server->lock);
    for (i = from; i < server->nslots && count < room; i++) {
        struct rpc_peer *peer = server->peers[i];

        if (peer != NULL && peer->state != RPC_PEER_GONE) {
            peer_info(peer, &out[count++]);
        }
    }
    (void)pthread_mutex_unlock(&server->lock);
    return count;
}

int lvc_server_info(lvc_server *server, uint64_t client, lvc_peer_info *out)
{
    struct rpc_peer *peer;

    (void)pthread_mutex_lock(&server->lock);
    peer = rpc_server_find(server, client);
    if (peer != NULL) {
        peer_info(peer, out);
    }
    (void)pthread_mutex_unlock(&server->lock);
    return peer != NULL;
}
