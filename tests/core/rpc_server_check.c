/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_server_check.c: many workers and many clients on one server, with events, streams, detached
 * calls, clients that vanish, do not read or are thrown out, changed limits, and a stop amid all of it.
 * Called by: test_checks.py (address sanitizer), test_threads.py (thread sanitizer).
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "libvirtcore.h"

#define REMOTE 0x20008086
#define GET_VERSION 4
#define GET_INFO 16
#define GET_HOSTNAME 59
#define DOMAIN_EVENT 107
#define VOL_UPLOAD 208
#define ARGS(text) (const uint8_t *)(text), sizeof(text) - 1

enum { WORKERS = 4, PRIOS = 2, CLIENTS = 6, VISITS = 12, CALLS = 40, ROUNDS = 3, MET = 64 };

static const char number[] = "(\1\0\0\0i\7\0\0\0";
static const char name[] = "(\1\0\0\0u\3\0\0\0toy";
static const char info[] = "(\5\0\0\0i\1\0\0\0i\2\0\0\0i\3\0\0\0i\4\0\0\0i\5\0\0\0";
static const char event_args[] =
    "(\3\0\0\0(\3\0\0\0u\2\0\0\0vms\20\0\0\0" "0123456789abcdef" "i\7\0\0\0i\1\0\0\0i\2\0\0\0";
static const char domain[] =
    "(\1\0\0\0(\3\0\0\0u\2\0\0\0vms\20\0\0\0" "0123456789abcdef" "i\7\0\0\0";
static const char volume[] =
    "(\4\0\0\0(\3\0\0\0u\4\0\0\0poolu\3\0\0\0volu\4\0\0\0/keyi\0\0\0\0i\0\0\0\0i\0\0\0\0";

static const lvc_server_limits limits = {
    .max_unsent_bytes = 1 << 18, .keepalive_interval_ms = 50, .anonymous_ms = 5000,
    .keepalive_count = 50, .max_clients = 100, .max_anonymous_clients = 100,
    .max_client_requests = 3, .max_queued_clients = 10};

struct scene {
    lvc_server *server;
    atomic_int accepted;
    atomic_int closed;
    atomic_int answered;
    atomic_bool over;
    atomic_ullong met[MET]; /* some ids of clients */
};

struct place {
    struct scene *scene;
    int number;
};

static void nap(long microseconds)
{
    const struct timespec time = {.tv_sec = 0, .tv_nsec = microseconds * 1000};

    (void)nanosleep(&time, NULL);
}

static void *run_worker(void *data)
{
    struct place *place = data;
    struct scene *scene = place->scene;
    lvc_worker *worker = lvc_worker_new(scene->server, place->number >= WORKERS);
    const lvc_job *job = lvc_worker_job(worker);
    const uint8_t *answer = NULL;
    size_t len = 0;
    int kind = LVC_ANSWER_NONE;
    unsigned count = 0;
    lvc_error err;

    while ((lvc_server_next(worker, kind, answer, len, place->number % 2 ? 20 : -1) &
            LVC_STOPPED) == 0) {
        kind = LVC_ANSWER_NONE;
        answer = NULL;
        len = 0;
        count++;
        switch (job->kind) {
        case LVC_WORK_ACCEPTED:
            atomic_store(&scene->met[job->client % MET], job->client);
            if (lvc_server_accept(scene->server, job->client, count % 2 == 0)) {
                (void)lvc_server_authenticated(scene->server, job->client);
                (void)lvc_server_keepalive(scene->server, job->client);
            }
            atomic_fetch_add(&scene->accepted, 1);
            break;
        case LVC_WORK_CLOSED:
            atomic_fetch_add(&scene->closed, 1);
            break;
        case LVC_WORK_CALL:
            kind = LVC_ANSWER_VALUE;
            answer = (const uint8_t *)(job->procedure == GET_INFO       ? info
                                       : job->procedure == GET_HOSTNAME ? name
                                       : job->procedure == GET_VERSION  ? number
                                                                        : NULL);
            len = job->procedure == GET_INFO       ? sizeof(info) - 1
                  : job->procedure == GET_HOSTNAME ? sizeof(name) - 1
                  : job->procedure == GET_VERSION  ? sizeof(number) - 1
                                                   : 0;
            if (job->procedure == GET_INFO && count % 16 == 0) {
                nap(500); /* somebody else has to poll */
            }
            if (count % 5 == 0) {
                (void)lvc_server_event(scene->server, job->client, REMOTE, DOMAIN_EVENT,
                                       ARGS(event_args), &err);
            }
            if (count % 7 == 0) {
                (void)lvc_worker_flush(worker, kind, answer, len, &err);
                kind = LVC_ANSWER_NONE;
            } else if (job->procedure == GET_HOSTNAME && count % 3 == 0) {
                lvc_job copy = *job;

                lvc_worker_detach(worker);
                (void)lvc_server_answer(scene->server, copy.client, copy.program, copy.procedure,
                                        copy.serial, copy.kind, kind, answer, len, NULL, 0, &err);
                kind = LVC_ANSWER_NONE;
            }
            break;
        case LVC_WORK_STREAM:
            if (job->status != 2) {
                (void)lvc_server_stream_data(scene->server, job->client, job->program,
                                             job->procedure, job->serial, 0, NULL, 0);
            } else if (count % 3 == 0) {
                lvc_job copy = *job;

                lvc_worker_detach(worker);
                (void)lvc_server_answer(scene->server, copy.client, copy.program, copy.procedure,
                                        copy.serial, copy.kind, LVC_ANSWER_NONE, NULL, 0, NULL, 0,
                                        &err);
            }
            break;
        default:
            break;
        }
    }
    lvc_worker_free(worker);
    return NULL;
}

static lvc_client *dial(struct scene *scene, int *peer_out)
{
    lvc_client *client = NULL;
    int sockets[2];
    lvc_error err;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) < 0) {
        return NULL;
    }
    if (lvc_server_adopt(scene->server, sockets[0], 0, &err) < 0) {
        close(sockets[0]);
        close(sockets[1]);
        return NULL;
    }
    if (peer_out != NULL) {
        *peer_out = sockets[1];
        return NULL;
    }
    client = lvc_client_new(sockets[1], 4, LVC_DECODE_DICT, &err);
    if (client == NULL) {
        close(sockets[1]);
    }
    return client;
}

static int finish(lvc_slot *slot, int outcome)
{
    while ((outcome & LVC_AGAIN) != 0) {
        outcome = lvc_slot_resume(slot, 5000);
    }
    return outcome;
}

static void upload(lvc_slot *slot)
{
    lvc_stream *stream;
    int i;

    if ((finish(slot, lvc_stream_open(slot, REMOTE, VOL_UPLOAD, ARGS(volume), NULL, 0, 5000)) &
         LVC_FAILED) != 0) {
        return;
    }
    stream = lvc_slot_take_stream(slot);
    if (stream == NULL) {
        return;
    }
    for (i = 0; i < 20; i++) {
        (void)finish(slot, lvc_stream_send(slot, stream, (const uint8_t *)"data", 4, 0, 5000));
    }
    (void)finish(slot, lvc_stream_finish(slot, stream, 0, 5000));
    lvc_stream_free(stream);
}

static void *run_client(void *data)
{
    struct place *place = data;
    struct scene *scene = place->scene;
    int visit;
    int i;

    for (visit = 0; visit < VISITS && !atomic_load(&scene->over); visit++) {
        lvc_client *client;
        lvc_slot *slot;

        if ((visit + place->number) % 5 == 0) { /* one that asks and vanishes, or does not read */
            static const uint8_t call[28] = {0, 0, 0, 28, 0x20, 0, 0x80, 0x86, 0, 0, 0, 1,
                                             0, 0, 0, 4};
            int peer = -1;

            (void)dial(scene, &peer);
            for (i = 0; peer >= 0 && i < 200; i++) {
                if (send(peer, call, i % 50 == 49 ? 11 : 28, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
                    break;
                }
            }
            if (peer >= 0) {
                close(peer);
            }
            continue;
        }
        client = dial(scene, NULL);
        if (client == NULL) {
            continue;
        }
        slot = lvc_slot_new(client);
        for (i = 0; i < CALLS; i++) {
            static const uint32_t procedures[] = {GET_VERSION, GET_INFO, GET_HOSTNAME};
            uint32_t procedure = procedures[i % 3];
            bool has_args = procedure == GET_INFO;
            int outcome = finish(slot, lvc_client_call(slot, REMOTE, procedure,
                                                       has_args ? (const uint8_t *)domain : NULL,
                                                       has_args ? sizeof(domain) - 1 : 0, 5000));

            if ((outcome & LVC_FAILED) != 0) {
                break;
            }
            atomic_fetch_add(&scene->answered, 1);
            while ((lvc_client_next_event(slot) & LVC_VALUE) != 0) {
            }
        }
        upload(slot);
        lvc_slot_free(slot);
        lvc_client_free(client);
    }
    return NULL;
}

/* Everything that may be done from any thread. */
static void *run_meddler(void *data)
{
    struct place *place = data;
    struct scene *scene = place->scene;
    lvc_server_limits other = limits;
    lvc_server_stats stats;
    lvc_peer_info found[8];
    unsigned turn = 0;
    lvc_error err;

    while (!atomic_load(&scene->over)) {
        uint64_t client = atomic_load(&scene->met[turn % MET]);

        other.max_client_requests = 1 + turn % 5;
        lvc_server_set_limits(scene->server, &other);
        lvc_server_get_stats(scene->server, &stats);
        (void)lvc_server_list(scene->server, 0, found, 8);
        (void)lvc_server_unsent(scene->server, client);
        (void)lvc_server_want_drained(scene->server, client, 10);
        (void)lvc_server_event(scene->server, client, REMOTE, DOMAIN_EVENT, ARGS(event_args), &err);
        if (turn % 40 == 39) {
            (void)lvc_server_close(scene->server, client, turn % 80 == 39);
        }
        (void)lvc_server_starved(scene->server, 0);
        turn++;
        nap(300);
    }
    return NULL;
}

static void round_of_all(int round)
{
    static const uint32_t programs[] = {REMOTE};
    pthread_t workers[WORKERS + PRIOS];
    pthread_t clients[CLIENTS];
    struct place places[WORKERS + PRIOS + CLIENTS + 1];
    struct scene scene;
    pthread_t meddler;
    lvc_error err;
    int i;

    memset(&scene, 0, sizeof(scene));
    scene.server = lvc_server_new(&limits, programs, 1, LVC_DECODE_DICT, &err);
    CHECK(scene.server != NULL);
    for (i = 0; i < WORKERS + PRIOS + CLIENTS + 1; i++) {
        places[i].scene = &scene;
        places[i].number = i;
    }
    for (i = 0; i < WORKERS + PRIOS; i++) {
        CHECK(pthread_create(&workers[i], NULL, run_worker, &places[i]) == 0);
    }
    for (i = 0; i < CLIENTS; i++) {
        CHECK(pthread_create(&clients[i], NULL, run_client, &places[WORKERS + PRIOS + i]) == 0);
    }
    CHECK(pthread_create(&meddler, NULL, run_meddler, &places[WORKERS + PRIOS + CLIENTS]) == 0);
    if (round % 2 == 1) {
        nap(20000);
        lvc_server_stop(scene.server); /* amid all of it */
    }
    for (i = 0; i < CLIENTS; i++) {
        CHECK(pthread_join(clients[i], NULL) == 0);
    }
    atomic_store(&scene.over, true);
    CHECK(pthread_join(meddler, NULL) == 0);
    if (round % 2 == 0) {
        for (i = 0; i < 5000 && atomic_load(&scene.closed) < atomic_load(&scene.accepted); i++) {
            nap(1000);
        }
        CHECK(atomic_load(&scene.closed) == atomic_load(&scene.accepted));
        CHECK(atomic_load(&scene.answered) > CLIENTS * CALLS);
        lvc_server_stop(scene.server);
    }
    for (i = 0; i < WORKERS + PRIOS; i++) {
        CHECK(pthread_join(workers[i], NULL) == 0);
    }
    lvc_server_free(scene.server);
}

int main(void)
{
    int round;

    for (round = 0; round < ROUNDS; round++) {
        round_of_all(round);
    }
    return 0;
}
