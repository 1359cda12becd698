/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_server.c: any bytes as what a client ever sends, against a server whose worker answers at random.
 * Called by: libFuzzer (tools/fuzz).
 *
 * Input: one byte for the allocation that fails (0: none), one for how the worker behaves (bit 0: the
 * client is trusted, 1: a prio worker goes first, 2: detach, 3: events and stream data between, 4: it
 * keeps some calls unanswered), then the client's bytes. Besides memory safety: the server comes to rest,
 * the client is gone at the end, nothing is left: no block, no descriptor.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base_alloc.h"
#include "libvirtcore.h"

#define REMOTE 0x20008086
#define QEMU 0x20008087
#define DOMAIN_EVENT 107
#define VOL_DOWNLOAD 209
#define ROUNDS 2000

enum behaviour { TRUSTED = 1, PRIO_FIRST = 2, DETACH = 4, CHATTY = 8, LAZY = 16 };

static const char one_number[] = "(\1\0\0\0i\7\0\0\0";
static const char event_args[] =
    "(\3\0\0\0(\3\0\0\0u\2\0\0\0vms\20\0\0\0" "0123456789abcdef" "i\7\0\0\0i\1\0\0\0i\2\0\0\0";
static const char error_args[] =
    "(\13\0\0\0i\1\0\0\0i\7\0\0\0u\2\0\0\0noi\2\0\0\0NNNNi\0\0\0\0i\0\0\0\0N";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct held {
    lvc_job jobs[8];
    uint32_t count;
};

static void settle(lvc_server *server, const lvc_job *job, int answer)
{
    lvc_error err;

    (void)lvc_server_answer(server, job->client, job->program, job->procedure, job->serial,
                            job->kind, answer, (const uint8_t *)one_number,
                            sizeof(one_number) - 1, NULL, 0, &err);
}

static void chat(lvc_server *server, const lvc_job *job)
{
    lvc_error err;

    (void)lvc_server_event(server, job->client, REMOTE, DOMAIN_EVENT, (const uint8_t *)event_args,
                           sizeof(event_args) - 1, &err);
    (void)lvc_server_stream_data(server, job->client, REMOTE, VOL_DOWNLOAD, job->serial, 2,
                                 (const uint8_t *)"stream", 6);
    (void)lvc_server_stream_hole(server, job->client, REMOTE, VOL_DOWNLOAD, job->serial, 4096, 0);
    (void)lvc_server_stream_error(server, job->client, REMOTE, VOL_DOWNLOAD, job->serial,
                                  (const uint8_t *)error_args, sizeof(error_args) - 1, &err);
    (void)lvc_server_want_drained(server, job->client, 100);
    (void)lvc_server_keepalive(server, job->client);
}

/* One piece of work; the answer for the next lvc_server_next, -1 when there was none. */
static int work(lvc_server *server, lvc_worker *worker, uint8_t behaviour, struct held *held,
                int outcome)
{
    const lvc_job *job = lvc_worker_job(worker);
    int fds[32];
    uint32_t i;

    if ((outcome & LVC_STOPPED) != 0) {
        abort();
    }
    switch (job->kind) {
    case LVC_WORK_ACCEPTED:
        (void)lvc_server_accept(server, job->client, (behaviour & TRUSTED) != 0);
        return LVC_ANSWER_NONE;
    case LVC_WORK_CALL:
    case LVC_WORK_STREAM:
        if (job->nfds > 0) {
            uint32_t nfds = job->nfds;

            lvc_worker_take_fds(worker, fds);
            for (i = 0; i < nfds; i++) {
                close(fds[i]);
            }
        }
        if ((behaviour & CHATTY) != 0) {
            chat(server, job);
        }
        if (job->procedure == 66) {
            (void)lvc_server_authenticated(server, job->client);
        }
        if ((behaviour & DETACH) != 0 && held->count < 8) {
            held->jobs[held->count++] = *job;
            lvc_worker_detach(worker);
            return LVC_ANSWER_NONE;
        }
        return (behaviour & LAZY) != 0 ? LVC_ANSWER_NONE : (int)(job->serial % 3);
    case LVC_WORK_IDLE:
        return -1;
    default:
        return LVC_ANSWER_NONE;
    }
}

static void session(int fd, uint8_t behaviour)
{
    static const uint32_t programs[] = {REMOTE, QEMU};
    const lvc_server_limits limits = {
        .max_unsent_bytes = 1 << 20, .keepalive_interval_ms = 5000, .anonymous_ms = 60000,
        .keepalive_count = 5, .max_clients = 10, .max_anonymous_clients = 10,
        .max_client_requests = 5, .max_queued_clients = 10};
    struct held held = {.count = 0};
    lvc_worker *workers[2] = {NULL, NULL};
    int answers[2] = {0, 0};
    int silent = 0;
    int rounds = 0;
    int turn = 0;
    lvc_server *server;
    lvc_error err;

    server = lvc_server_new(&limits, programs, 2, LVC_DECODE_DICT, &err);
    if (server == NULL || lvc_server_adopt(server, fd, 0, &err) < 0) {
        lvc_server_free(server);
        close(fd);
        return;
    }
    workers[0] = lvc_worker_new(server, 0);
    workers[1] = lvc_worker_new(server, 1);
    while (workers[0] != NULL && workers[1] != NULL && silent < 4) {
        const uint8_t *stream = NULL;
        size_t len = 0;
        int outcome;

        if (++rounds > ROUNDS) {
            break; /* as many messages as there are in the input */
        }
        turn = (behaviour & PRIO_FIRST) != 0 ? !turn : 0;
        if (answers[turn] == LVC_ANSWER_VALUE) {
            stream = (const uint8_t *)one_number;
            len = sizeof(one_number) - 1;
        } else if (answers[turn] == LVC_ANSWER_ERROR) {
            stream = (const uint8_t *)error_args;
            len = sizeof(error_args) - 1;
        }
        outcome = lvc_server_next(workers[turn], answers[turn], stream, len, 0);
        answers[turn] = work(server, workers[turn], behaviour, &held, outcome);
        silent = answers[turn] < 0 ? silent + 1 : 0;
        answers[turn] = answers[turn] < 0 ? 0 : answers[turn];
        if (silent > 2 && held.count > 0) {
            settle(server, &held.jobs[--held.count], (int)held.count % 3);
            silent = 0;
        }
    }
    lvc_server_stop(server);
    lvc_worker_free(workers[0]);
    lvc_server_free(server);
    lvc_worker_free(workers[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int room = 1 << 20;
    int sockets[2];
    int probe;

    if (size < 3 || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) < 0) {
        return 0;
    }
    (void)setsockopt(sockets[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    if (send(sockets[1], data + 2, size - 2, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        abort();
    }
    (void)shutdown(sockets[1], SHUT_WR); /* it still takes what the server sends */
    lvc_alloc_fail_at(data[0]);
    session(sockets[0], data[1]);
    lvc_alloc_fail_at(0);
    close(sockets[1]);
    probe = dup(0);
    close(probe);
    if (lvc_alloc_live() != 0 || probe > 40) {
        abort();
    }
    return 0;
}
