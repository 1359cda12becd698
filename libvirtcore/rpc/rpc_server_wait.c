/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_server_wait.c: the workers: who polls, who sleeps, who stands in.
 * Called by: Python, one thread per worker. Calls: rpc_server_work, rpc_server_accept, rpc_ready.
 * Never: wakes a second thread for what the first will do in a moment.
 *
 * Of the workers that have nothing to do one is the leader: it polls all sockets. With the work it
 * finds it leaves for Python, and nobody polls until it comes back, sends the answer, takes the next
 * piece of work that is there or polls again. Calls are short, so one thread does it all, without a
 * hand-over and without two threads in each other's way in Python. If the leader stays away longer,
 * an idle worker, the watcher, takes its place; for a while after that everyone who leaves calls the
 * next at once, since then calls are of the sort that waits. When the last normal worker is away, a
 * prio one watches. The watcher sleeps for good when the leader has nothing to do either.
 */
#include "rpc/rpc_server.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base_alloc.h"
#include "base/base_clock.h"
#include "xdr/xdr_codec.h"

/* Buffers that a huge message made large are given back. */
#define WORKER_KEEP ((size_t)4 << 20)

#define NEVER INT64_MAX

/* ---- birth and death ---- */

lvc_worker *lvc_worker_new(lvc_server *server, int prio)
{
    struct lvc_worker *worker = lvc_calloc(1, sizeof(*worker));
    pthread_condattr_t attributes;

    if (worker == NULL) {
        return NULL;
    }
    worker->server = server;
    worker->prio = prio != 0;
    worker->serving = true; /* until it first asks for work */
    lvc_buf_init(&worker->result, LVC_DECODE_CEILING);
    lvc_buf_init(&worker->out, LVC_ENCODE_CEILING);
    (void)pthread_condattr_init(&attributes);
#ifndef __APPLE__
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
    (void)pthread_cond_init(&worker->wakeup, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_lock(&server->lock);
    server->references++;
    server->nworkers += !worker->prio;
    server->nserving += !worker->prio;
    (void)pthread_mutex_unlock(&server->lock);
    return worker;
}

static void worker_drop_out_fds(struct lvc_worker *worker)
{
    while (worker->out_nfds > 0) {
        (void)close(worker->out_fds[--worker->out_nfds]);
    }
}

/* What it had in its hands is given up. Lock held. */
static void worker_let_go(struct lvc_worker *worker)
{
    struct rpc_peer *peer = worker->peer;

    worker->peer = NULL;
    if (peer == NULL) {
        return;
    }
    if (worker->job.kind == LVC_WORK_ACCEPTED) {
        if (peer->state == RPC_PEER_NEW) {
            peer->settled = true;
            rpc_peer_end(peer, "not accepted");
        }
    } else {
        if (worker->job.kind == LVC_WORK_STREAM) {
            peer->stream_turn = false;
            peer->stream_waits = false;
        }
        if (worker->detached) {
            rpc_peer_enqueue(peer);
        } else {
            rpc_peer_request_done(peer);
        }
    }
    worker->detached = false;
    rpc_peer_release(peer);
}

static void busy_changed(struct lvc_server *server)
{
    bool all = server->nworkers > 0 && server->nserving >= server->nworkers;

    if (!all) {
        server->busy_since_ms = 0;
    } else if (server->busy_since_ms == 0) {
        server->busy_since_ms = lvc_clock_ms();
        if (server->starvers > 0) {
            (void)pthread_cond_broadcast(&server->starving);
        }
    }
}

void lvc_worker_free(lvc_worker *worker)
{
    struct lvc_server *server;

    if (worker == NULL) {
        return;
    }
    server = worker->server;
    rpc_worker_drop_fds(worker);
    worker_drop_out_fds(worker);
    if (server->process == getpid()) {
        (void)pthread_mutex_lock(&server->lock);
        if (worker->job.kind == LVC_WORK_CALL && worker->peer != NULL && !server->stopping) {
            rpc_peer_end(worker->peer, "a call of it was not answered");
        }
        worker_let_go(worker);
        if (!worker->prio) {
            server->nworkers--;
            server->nserving -= worker->serving;
            busy_changed(server);
        }
        (void)pthread_mutex_unlock(&server->lock);
        (void)pthread_cond_destroy(&worker->wakeup);
    }
    lvc_buf_clear(&worker->result);
    lvc_buf_clear(&worker->out);
    lvc_free(worker);
    rpc_server_release(server);
}

const lvc_job *lvc_worker_job(const lvc_worker *worker)
{
    return &worker->job;
}

const uint8_t *lvc_worker_data(const lvc_worker *worker)
{
    return worker->result.data;
}

size_t lvc_worker_room(const lvc_worker *worker)
{
    return worker->result.room;
}

void lvc_worker_take_fds(lvc_worker *worker, int *fds)
{
    memcpy(fds, worker->fds, worker->job.nfds * sizeof(int));
    worker->job.nfds = 0;
}

int lvc_worker_put_fds(lvc_worker *worker, const int *fds, uint32_t nfds, lvc_error *err)
{
    uint32_t i;

    worker_drop_out_fds(worker);
    if (nfds > LVC_NET_MESSAGE_NUM_FDS_MAX) {
        return lvc_error_set(err, LVC_ERR_RPC, LVC_FROM_RPC,
                             "Too many FDs to send %u, expected %u maximum", nfds,
                             (unsigned)LVC_NET_MESSAGE_NUM_FDS_MAX);
    }
    for (i = 0; i < nfds; i++) {
        worker->out_fds[i] = rpc_fd_copy(fds[i]);
        if (worker->out_fds[i] < 0) {
            (void)lvc_error_system(err, LVC_FROM_RPC, errno, "Cannot duplicate FD %d", fds[i]);
            worker_drop_out_fds(worker);
            return -1;
        }
        worker->out_nfds++;
    }
    return 0;
}

/* ---- sleeping ---- */

static void idle_push(struct lvc_worker *worker)
{
    struct lvc_server *server = worker->server;
    struct lvc_worker **list = worker->prio ? &server->idle_prio : &server->idle;

    worker->idle_next = *list;
    *list = worker;
    worker->idle = true;
    worker->called = false;
}

static void idle_remove(struct lvc_worker *worker)
{
    struct lvc_server *server = worker->server;
    struct lvc_worker **at = worker->prio ? &server->idle_prio : &server->idle;

    if (!worker->idle) {
        return;
    }
    while (*at != worker) {
        at = &(*at)->idle_next;
    }
    *at = worker->idle_next;
    worker->idle = false;
}

static struct lvc_worker *idle_top(const struct lvc_server *server)
{
    return server->idle != NULL ? server->idle : server->idle_prio;
}

void rpc_server_call_idle(struct lvc_server *server)
{
    struct lvc_worker *worker = idle_top(server);

    if (worker != NULL) {
        idle_remove(worker);
        worker->called = true;
        (void)pthread_cond_signal(&worker->wakeup);
    }
}

void rpc_server_wake(struct lvc_server *server)
{
    if (server->polling) {
        rpc_wake_set(&server->wake);
    } else if (server->leader == NULL) {
        rpc_server_call_idle(server);
    }
}

static void worker_sleep(struct lvc_worker *worker, int64_t until_us)
{
    struct timespec until;

    if (until_us == NEVER) {
        (void)pthread_cond_wait(&worker->wakeup, &worker->server->lock);
        return;
    }
    until.tv_sec = (time_t)(until_us / 1000000);
    until.tv_nsec = (long)(until_us % 1000000) * 1000;
    (void)pthread_cond_timedwait(&worker->wakeup, &worker->server->lock, &until);
}

/* Until called, or the leader's place is free for too long, or the time is over. */
static void worker_follow(struct lvc_worker *worker, int64_t deadline_us)
{
    struct lvc_server *server = worker->server;
    uint64_t seen = server->departures;
    uint32_t quiet = 0;
    int64_t until_us;
    int64_t now_us;

    idle_push(worker);
    while (!worker->called && !server->stopping) {
        now_us = lvc_clock_us();
        if (now_us >= deadline_us) {
            break;
        }
        until_us = NEVER;
        if (server->watcher == NULL && server->leader == NULL &&
            (!worker->prio || server->idle == NULL)) {
            server->watcher = worker;
            quiet = 0;
        }
        if (server->watcher == worker && worker->prio && server->idle != NULL) {
            server->watcher = NULL; /* a normal worker is back */
            (void)pthread_cond_signal(&server->idle->wakeup);
        }
        if (server->watcher == worker) {
            until_us = now_us + RPC_LOOK_US;
            if (server->leader == NULL) {
                if (server->left_us + RPC_PATIENCE_US <= now_us) {
                    server->leader = worker;
                    server->stats.deputies++;
                    server->eager_us = now_us + RPC_EAGER_US;
                    break;
                }
                until_us = server->left_us + RPC_PATIENCE_US;
            } else if (seen != server->departures) {
                seen = server->departures;
                quiet = 0;
            } else if (++quiet > RPC_QUIET_LOOKS) {
                server->watcher = NULL;
                until_us = NEVER;
            }
        }
        worker_sleep(worker, until_us < deadline_us ? until_us : deadline_us);
    }
    if (server->watcher == worker) {
        server->watcher = NULL;
    }
    idle_remove(worker);
}

/* ---- polling ---- */

static void peer_event(struct lvc_server *server, const struct rpc_ready_event *event)
{
    struct rpc_peer *peer = rpc_server_find(server, event->key);
    lvc_error why;

    if (peer == NULL) {
        return;
    }
    if ((event->what & RPC_READY_WRITE) != 0) {
        if (rpc_peer_send_rest(peer, &why) < 0) {
            rpc_peer_fail(peer, &why);
            return;
        }
        peer->references++;
        rpc_peer_output_moved(peer); /* may end it */
        if (peer->state == RPC_PEER_GONE) {
            rpc_peer_release(peer);
            return;
        }
        rpc_peer_release(peer);
    }
    if ((event->what & (RPC_READY_READ | RPC_READY_HANGUP)) != 0) {
        peer->readable = true;
        peer->hangup = peer->hangup || (event->what & RPC_READY_HANGUP) != 0;
        peer->parked = false;
        rpc_peer_enqueue(peer);
    }
}

/* Whether something in the queue is for this worker: what is parked is not for prio ones. */
static bool queue_has_work(const struct lvc_worker *worker)
{
    const struct rpc_peer *peer = worker->server->first;

    while (peer != NULL && worker->prio && peer->parked) {
        peer = peer->queue_next;
    }
    return peer != NULL;
}

/* Lock not held. */
static int poll_look(struct lvc_server *server, struct rpc_ready_event *events,
                     struct lvc_looking *looking)
{
    bool again;
    int n;

    do {
        again = lvc_look_yield(looking);
        n = rpc_ready_wait(&server->ready, events, 0);
    } while (again && n == 0);
    return n;
}

static void worker_poll(struct lvc_worker *worker, int64_t deadline_us)
{
    struct lvc_server *server = worker->server;
    struct rpc_ready_event events[RPC_READY_BATCH];
    int64_t now_us = lvc_clock_us();
    int64_t wait_ms = rpc_server_tick(server, now_us / 1000);
    bool accepts = false;
    struct lvc_looking looking;
    bool looks;
    bool quick;
    int i;
    int n = 0;

    if (server->stopping) {
        return;
    }
    if (deadline_us != NEVER) {
        int64_t left_ms = deadline_us <= now_us ? 0 : (deadline_us - now_us + 999) / 1000;

        if (wait_ms < 0 || wait_ms > left_ms) {
            wait_ms = left_ms;
        }
    }
    if (queue_has_work(worker)) {
        wait_ms = 0; /* the tick, or RPC_TAKES_MAX */
    }
    looks = wait_ms != 0 && lvc_look_pays(&server->look);
    server->polling = true;
    (void)pthread_mutex_unlock(&server->lock);
    if (looks) {
        lvc_look_begin(&looking, now_us, RPC_SOON_US);
        n = poll_look(server, events, &looking);
    }
    if (n == 0) {
        n = rpc_ready_wait(&server->ready, events, wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms);
    }
    quick = n > 0 && lvc_clock_us() - now_us <= RPC_SOON_US;
    (void)pthread_mutex_lock(&server->lock);
    server->polling = false;
    lvc_look_learn(&server->look, looks ? &looking : NULL, quick);
    server->takes = 0;
    server->stats.polls++;
    for (i = 0; i < n; i++) {
        if (events[i].key == RPC_KEY_WAKE) {
            if (!server->stopping) {
                rpc_wake_clear(&server->wake);
            }
        } else if ((events[i].key & RPC_KEY_LISTENER) != 0) {
            server->listeners[events[i].key & (RPC_LISTENERS_MAX - 1)].ready = true;
            accepts = true;
        } else {
            peer_event(server, &events[i]);
        }
    }
    if (accepts) {
        rpc_server_accept(server);
    }
}

/* ---- the loop ---- */

/* Off with work: who looks after the rest? */
static void worker_leave(struct lvc_worker *worker)
{
    struct lvc_server *server = worker->server;
    int64_t now_us;

    worker->serving = true;
    if (!worker->prio) {
        server->nserving++;
        busy_changed(server);
    }
    server->takes++;
    if (server->leader != NULL && server->leader != worker) {
        return;
    }
    now_us = lvc_clock_us();
    server->leader = NULL;
    server->left_us = now_us;
    server->departures++;
    if (idle_top(server) != NULL) {
        if (server->idle != NULL && now_us < server->eager_us) {
            rpc_server_call_idle(server);
        } else if (server->watcher == NULL) {
            (void)pthread_cond_signal(&idle_top(server)->wakeup);
        }
    }
}

static int worker_take(struct lvc_worker *worker, int64_t deadline_us)
{
    struct lvc_server *server = worker->server;
    bool looked = false; /* once, also without any time */

    for (;;) {
        if (server->stopping) {
            break;
        }
        if ((server->takes < RPC_TAKES_MAX || server->polling) && rpc_work_take(worker)) {
            worker_leave(worker);
            return worker->job.kind == LVC_WORK_CALL && worker->procedure->args != 0 ? LVC_VALUE
                                                                                     : 0;
        }
        if (looked && lvc_clock_us() >= deadline_us) {
            memset(&worker->job, 0, offsetof(lvc_job, error));
            worker->job.kind = LVC_WORK_IDLE;
            worker_leave(worker);
            return 0;
        }
        if (server->leader == NULL && (!worker->prio || server->idle == NULL) &&
            (!worker->prio || worker->called)) {
            server->leader = worker;
        }
        worker->called = false;
        looked = true;
        if (server->leader == worker && worker->prio && server->idle != NULL) {
            server->leader = NULL;
            rpc_server_call_idle(server);
        }
        if (server->leader == worker) {
            worker_poll(worker, deadline_us);
            continue;
        }
        if (server->leader != NULL && server->leader->prio && !worker->prio && server->polling) {
            rpc_wake_set(&server->wake); /* it makes way */
        }
        worker_follow(worker, deadline_us);
    }
    if (server->leader == worker) {
        server->leader = NULL;
    }
    rpc_wake_set(&server->wake);
    rpc_server_call_idle(server);
    return LVC_STOPPED;
}

/* Send the answer to the call in the worker's hands. Lock not held. */
static int worker_answer(struct lvc_worker *worker, int answer, const uint8_t *data, size_t len,
                         int *sent_out, lvc_error *why, lvc_error *err)
{
    const struct rpc_header header = {
        .program = worker->job.program,
        .version = worker->job.version,
        .procedure = worker->job.procedure,
        .serial = worker->job.serial,
    };
    int encoded = rpc_answer_encode(&worker->out, &header, worker->procedure, answer, data, len,
                                    worker->out_nfds, err);
    bool failed = encoded > 0 || answer == LVC_ANSWER_ERROR; /* then no descriptors follow */

    if (encoded < 0) {
        *sent_out = lvc_error_memory(why, LVC_FROM_RPC);
    } else {
        *sent_out = rpc_peer_send(worker->peer, worker->out.data, worker->out.len, worker->out_fds,
                                  failed ? 0 : worker->out_nfds, why);
    }
    worker_drop_out_fds(worker);
    if (worker->out.room > WORKER_KEEP) {
        lvc_buf_clear(&worker->out);
    }
    return encoded == 0 ? 0 : LVC_FAILED;
}

/* Answer, and give up what the worker has. Comes back with the lock. */
static int worker_finish(struct lvc_worker *worker, int answer, const uint8_t *data, size_t len,
                         lvc_error *err)
{
    struct lvc_server *server = worker->server;
    lvc_error why;
    int outcome = 0;
    int sent = 0;

    if (worker->peer != NULL && worker->job.kind == LVC_WORK_CALL) {
        outcome = worker_answer(worker, answer, data, len, &sent, &why, err);
    }
    (void)pthread_mutex_lock(&server->lock);
    if (sent < 0) {
        rpc_peer_send_failed(worker->peer, &why);
    }
    worker_let_go(worker);
    return outcome;
}

int lvc_server_next(lvc_worker *worker, int answer, const uint8_t *data, size_t len,
                    int64_t timeout_ms)
{
    struct lvc_server *server = worker->server;
    int64_t deadline_us = timeout_ms < 0 ? NEVER : lvc_clock_us() + timeout_ms * 1000;
    lvc_error failure;
    int outcome;
    int taken;

    rpc_worker_drop_fds(worker);
    if (worker->result.room > WORKER_KEEP) {
        lvc_buf_clear(&worker->result);
    }
    outcome = worker_finish(worker, answer, data, len, &failure);
    if (worker->serving) {
        worker->serving = false;
        if (!worker->prio) {
            server->nserving--;
            server->busy_since_ms = 0;
        }
    }
    taken = worker_take(worker, deadline_us);
    (void)pthread_mutex_unlock(&server->lock);
    if (outcome != 0) {
        worker->job.error = failure;
    }
    outcome |= taken;
    if (worker->result.data != worker->shown || worker->result.room != worker->shown_room) {
        worker->shown = worker->result.data;
        worker->shown_room = worker->result.room;
        outcome |= LVC_MOVED;
    }
    return outcome;
}

int lvc_worker_flush(lvc_worker *worker, int answer, const uint8_t *data, size_t len,
                     lvc_error *err)
{
    struct lvc_server *server = worker->server;
    int outcome;

    outcome = worker_finish(worker, answer, data, len, err);
    if (server->first != NULL) {
        rpc_server_wake(server);
    }
    (void)pthread_mutex_unlock(&server->lock);
    return outcome == 0 ? 0 : -1;
}

void lvc_worker_detach(lvc_worker *worker)
{
    struct lvc_server *server = worker->server;
    struct rpc_peer *peer = worker->peer;

    if (peer == NULL) {
        return;
    }
    if (worker->job.kind == LVC_WORK_STREAM) {
        worker->detached = true; /* the next one's turn comes when this one is put away */
        return;
    }
    (void)pthread_mutex_lock(&server->lock);
    worker->peer = NULL;
    rpc_peer_release(peer);
    (void)pthread_mutex_unlock(&server->lock);
}
