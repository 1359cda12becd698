/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_threads_check.c: many threads on one connection, with cancels, deadlines, events and a close.
 * Called by: test_checks.py (address sanitizer), test_threads.py (thread sanitizer).
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base_alloc.h"
#include "check.h"
#include "libvirtcore.h"
#include "rpc/rpc_header.h"

#define REMOTE 0x20008086
#define GET_VERSION 4
#define DOMAIN_EVENT 107
#define KEEPALIVE 0x6b656570

enum { CALLERS = 6, ROUNDS = 6, CALLS = 150 };

static const char event_payload[] = "\0\0\0\2vm\0\0" "0123456789abcdef" "\0\0\0\7\0\0\0\1\0\0\0\2";

struct scene {
    lvc_client *client;
    int peer;
    atomic_int answered;
    atomic_int failed;
    atomic_int events;
    atomic_bool over;
    atomic_bool disturbed; /* cancelled or closed: failures are right */
};

static int read_all(int fd, uint8_t *where, size_t len)
{
    ssize_t n;

    while (len > 0) {
        n = read(fd, where, len);
        if (n <= 0) {
            return -1;
        }
        where += n;
        len -= (size_t)n;
    }
    return 0;
}

static void say(int fd, uint32_t program, uint32_t procedure, uint32_t type, uint32_t serial,
                const void *payload, size_t len)
{
    const struct rpc_header header = {
        .program = program, .version = 1, .procedure = procedure, .type = type, .serial = serial};
    uint8_t bytes[256];
    ssize_t n;

    rpc_header_encode(&header, (uint32_t)(RPC_PREFIX_BYTES + len), bytes);
    if (len > 0) {
        memcpy(bytes + RPC_PREFIX_BYTES, payload, len);
    }
    n = send(fd, bytes, RPC_PREFIX_BYTES + len, MSG_NOSIGNAL);
    (void)n; /* the client may have closed */
}

/* Answers two calls at a time, the second first, with pings and events in between. */
static void *daemon_main(void *opaque)
{
    struct scene *scene = opaque;
    uint8_t message[RPC_PREFIX_BYTES];
    struct rpc_header header;
    uint8_t version[8] = {0};
    uint32_t held = 0;
    int holding = 0;
    uint32_t count = 0;

    while (read_all(scene->peer, message, sizeof(message)) == 0) {
        rpc_header_decode(message + RPC_LENGTH_BYTES, &header);
        if (header.program == KEEPALIVE) {
            continue;
        }
        CHECK(header.procedure == GET_VERSION);
        if (++count % 5 == 0) {
            say(scene->peer, REMOTE, DOMAIN_EVENT, RPC_MESSAGE, 0, event_payload,
                sizeof(event_payload) - 1);
        }
        if (count % 11 == 0) {
            say(scene->peer, KEEPALIVE, 1, RPC_MESSAGE, 0, NULL, 0);
        }
        if (!holding && count % 3 == 0 && !scene->over) {
            held = header.serial;
            holding = 1;
            continue;
        }
        rpc_u32_encode(header.serial, version + 4);
        say(scene->peer, REMOTE, GET_VERSION, RPC_REPLY, header.serial, version, 8);
        if (holding) {
            rpc_u32_encode(held, version + 4);
            say(scene->peer, REMOTE, GET_VERSION, RPC_REPLY, held, version, 8);
            holding = 0;
        }
    }
    return NULL;
}

static int finish(lvc_slot *slot, int outcome)
{
    while ((outcome & LVC_AGAIN) != 0) {
        outcome = lvc_slot_resume(slot, 50);
    }
    return outcome & ~(LVC_MOVED | LVC_ACTIVITY);
}

static void *caller_main(void *opaque)
{
    struct scene *scene = opaque;
    lvc_slot *slot = lvc_slot_new(scene->client);
    uint32_t shown;
    int outcome;
    int i;

    for (i = 0; i < CALLS; i++) {
        outcome = finish(slot, lvc_client_call(slot, REMOTE, GET_VERSION, NULL, 0,
                                               i % 20 == 19 ? 1 : 300));
        if (outcome == LVC_VALUE) {
            /* marshal: a tuple of one int, which is the serial of this very call */
            CHECK(memcmp(lvc_slot_data(slot), ")\1i", 3) == 0);
            memcpy(&shown, lvc_slot_data(slot) + 3, sizeof(shown));
            CHECK(shown == lvc_slot_report(slot)->serial);
            scene->answered++;
        } else {
            CHECK(outcome == LVC_FAILED);
            CHECK(lvc_slot_report(slot)->error.code == 68 || scene->disturbed);
            scene->failed++;
        }
    }
    lvc_slot_free(slot);
    return NULL;
}

static void *watcher_main(void *opaque)
{
    struct scene *scene = opaque;
    lvc_slot *slot = lvc_slot_new(scene->client);
    lvc_client_stats stats;

    while (!scene->over) {
        (void)finish(slot, lvc_client_pump(slot, 2));
        while (finish(slot, lvc_client_next_event(slot)) == LVC_VALUE) {
            scene->events++;
        }
        (void)lvc_client_keepalive_tick(scene->client);
        lvc_client_get_stats(scene->client, &stats);
        (void)lvc_client_wants_write(scene->client);
    }
    lvc_slot_free(slot);
    return NULL;
}

static void *disturber_main(void *opaque)
{
    struct scene *scene = opaque;
    int i;

    for (i = 0; i < 40; i++) {
        usleep(1000);
        (void)lvc_client_cancel(scene->client, 0);
    }
    lvc_client_close(scene->client);
    return NULL;
}

static void round_of_calls(int round)
{
    struct scene scene = {0};
    pthread_t daemon;
    pthread_t watcher;
    pthread_t disturber;
    pthread_t callers[CALLERS];
    lvc_error err;
    int sockets[2];
    int disturbed = round % 2;
    int i;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    scene.client = lvc_client_new(sockets[0], 4, LVC_DECODE_DICT, &err);
    scene.peer = sockets[1];
    scene.disturbed = disturbed;
    lvc_client_keepalive_start(scene.client, 1000, 5);
    CHECK(pthread_create(&daemon, NULL, daemon_main, &scene) == 0);
    CHECK(pthread_create(&watcher, NULL, watcher_main, &scene) == 0);
    for (i = 0; i < CALLERS; i++) {
        CHECK(pthread_create(&callers[i], NULL, caller_main, &scene) == 0);
    }
    if (disturbed) {
        CHECK(pthread_create(&disturber, NULL, disturber_main, &scene) == 0);
        CHECK(pthread_join(disturber, NULL) == 0);
    }
    for (i = 0; i < CALLERS; i++) {
        CHECK(pthread_join(callers[i], NULL) == 0);
    }
    scene.over = true;
    CHECK(pthread_join(watcher, NULL) == 0);
    lvc_client_free(scene.client);
    CHECK(pthread_join(daemon, NULL) == 0);
    close(sockets[1]);
    CHECK(scene.answered + scene.failed == CALLERS * CALLS);
    if (!disturbed) {
        CHECK(scene.answered > CALLERS * CALLS / 2 && scene.events > 0);
    }
}

int main(void)
{
    int round;

    for (round = 0; round < ROUNDS; round++) {
        round_of_calls(round);
    }
    return 0;
}
