/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qmp_check.c: lines and their limits; a whole client in one thread with the n-th allocation failing;
 * many threads on one monitor with a reader.
 * Called by: test_checks.py.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base_alloc.h"
#include "check.h"
#include "libvirtcore.h"
#include "qmp/qmp_frame.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
#define COMMAND "{\"execute\":\"query-status\""
#define EVENT "{\"event\": \"STOP\", \"data\": {}}\r\n"
#define THREADS 4
#define ROUNDS 300

/* ---- lines ---- */

static void check_kind(const char *text, enum qmp_kind kind)
{
    struct qmp_line line;

    qmp_line_parse(&line, (const uint8_t *)text, strlen(text));
    CHECK(line.kind == kind);
}

static void check_lines(void)
{
    struct qmp_framer framer;
    struct qmp_line line;
    lvc_error err;
    uint8_t *where;
    size_t room;
    int lines = 0;

    check_kind("{\"return\": {}, \"id\": 1}", QMP_RETURN);
    check_kind("{\"return\": 1, \"error\": 2}", QMP_OTHER);
    check_kind("{\"event\": 1}", QMP_OTHER);
    check_kind("{\"event\": \"A\"} ", QMP_EVENT);
    check_kind("{\"event\": \"A\",}", QMP_GARBAGE);
    check_kind("{\"return\": [1, 2}", QMP_GARBAGE);
    check_kind("{}", QMP_OTHER);
    check_kind("{", QMP_GARBAGE);
    check_kind("[]", QMP_GARBAGE);

    /* A thousand lines in pieces of three bytes, and never more memory than that needs. */
    qmp_framer_init(&framer, 100, false);
    for (int i = 0; i < 1000 * (int)(sizeof(EVENT) - 1); i += 3) {
        CHECK(qmp_framer_space(&framer, &where, &room, &err) == 0);
        for (int j = 0; j < 3; j++) {
            where[j] = (uint8_t)EVENT[(size_t)(i + j) % (sizeof(EVENT) - 1)];
        }
        qmp_framer_fed(&framer, 3);
        while (qmp_framer_next(&framer, &line) > 0) {
            CHECK(line.kind == QMP_EVENT);
            lines++;
        }
    }
    CHECK(lines == 1000);
    CHECK(framer.in.room <= 65536);

    CHECK(qmp_framer_space(&framer, &where, &room, &err) == 0);
    memset(where, ' ', 102);
    where[101] = '\n';
    qmp_framer_fed(&framer, 102);
    CHECK(qmp_framer_next(&framer, &line) < 0);
    qmp_framer_clear(&framer);
}

/* ---- a client without memory ---- */

static int64_t finish(lvc_qmp_slot *slot, int64_t outcome)
{
    while ((outcome & LVC_AGAIN) != 0) {
        outcome = lvc_qmp_resume(slot, 50);
    }
    return outcome;
}

/* The peer has said everything before; its ids are known. */
static void session(void)
{
    static const char said[] = GREETING EVENT
        "{\"return\": {}, \"id\": 2}\r\n{\"error\": {}, \"id\": 1}\r\n" EVENT
        "{\"return\": [1, 2], \"id\": 3}\r\n";
    lvc_qmp_stats stats;
    lvc_qmp_slot *slot;
    lvc_error err;
    lvc_qmp *qmp;
    int ends[2];
    int zero = 0;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    CHECK(send(ends[1], said, sizeof(said) - 1, 0) == (ssize_t)sizeof(said) - 1);
    qmp = lvc_qmp_new(ends[0], 0, 10000, &err);
    if (qmp == NULL) {
        close(ends[0]);
        close(ends[1]);
        return;
    }
    slot = lvc_qmp_slot_new(qmp);
    if (slot != NULL) {
        (void)finish(slot, lvc_qmp_submit(slot, COMMAND, strlen(COMMAND), &zero, 1, 0));
        (void)finish(slot, lvc_qmp_submit(slot, COMMAND, strlen(COMMAND), NULL, 0, 0));
        (void)finish(slot, lvc_qmp_greet(slot, 100));
        (void)finish(slot, lvc_qmp_execute(slot, COMMAND, strlen(COMMAND), NULL, 0, 100));
        (void)finish(slot, lvc_qmp_wait(slot, 1, 100));
        (void)finish(slot, lvc_qmp_wait(slot, 2, 100));
        while ((finish(slot, lvc_qmp_next_event(slot)) & LVC_VALUE) != 0) {
        }
        (void)finish(slot, lvc_qmp_pump(slot, 1));
        lvc_qmp_get_stats(qmp, &stats);
        CHECK(stats.queued_bytes == 0 || lvc_alloc_has_failed());
    }
    lvc_qmp_free(qmp);
    lvc_qmp_slot_free(slot);
    close(ends[1]);
}

static void check_torture(void)
{
    long n = 0;

    do {
        lvc_alloc_fail_at(++n);
        session();
        CHECK(lvc_alloc_live() == 0);
    } while (lvc_alloc_has_failed());
    lvc_alloc_fail_at(0);
    CHECK(n > 5);
}

/* ---- threads ---- */

struct shared {
    lvc_qmp *qmp;
    int peer;
    atomic_int number; /* of commands */
};

/* Answers every command, with an event in between. */
static void *peer_main(void *argument)
{
    const struct shared *shared = argument;
    char text[65536];
    char said[256];
    size_t len = 0;
    ssize_t n;
    char *end;

    (void)send(shared->peer, GREETING, sizeof(GREETING) - 1, MSG_NOSIGNAL);
    while ((n = recv(shared->peer, text + len, sizeof(text) - len - 1, 0)) > 0) {
        len += (size_t)n;
        text[len] = '\0';
        while ((end = strchr(text, '\n')) != NULL) {
            long n = strtol(strstr(text, "\"n\":") + 4, NULL, 10);
            const char *id = strstr(text, "\"id\":");
            int size = id != NULL && id < end
                           ? snprintf(said, sizeof(said), EVENT "{\"return\": %ld, \"id\": %ld}\r\n", n,
                                      strtol(id + 5, NULL, 10))
                           : snprintf(said, sizeof(said), EVENT "{\"return\": %ld}\r\n", n);

            (void)send(shared->peer, said, (size_t)size, MSG_NOSIGNAL);
            len -= (size_t)(end + 1 - text);
            memmove(text, end + 1, len + 1);
        }
    }
    return NULL;
}

static void *caller_main(void *argument)
{
    struct shared *shared = argument;
    lvc_qmp_slot *slot = lvc_qmp_slot_new(shared->qmp);
    char command[sizeof(COMMAND) + 40];
    int64_t outcome;
    char text[32];
    size_t len;

    CHECK(slot != NULL);
    for (int i = 0; i < ROUNDS; i++) {
        int number = atomic_fetch_add(&shared->number, 1);

        (void)snprintf(command, sizeof(command), COMMAND ",\"arguments\":{\"n\":%d}", number);
        outcome = finish(slot, lvc_qmp_execute(slot, command, strlen(command), NULL, 0, 20000));
        CHECK((outcome & (LVC_VALUE | LVC_FAILED)) == LVC_VALUE);
        len = (size_t)(outcome >> LVC_QMP_LENGTH_SHIFT);
        CHECK(len < sizeof(text));
        memcpy(text, lvc_qmp_slot_data(slot), len);
        text[len] = '\0';
        CHECK(strtol(text, NULL, 10) == number);
    }
    lvc_qmp_slot_free(slot);
    return NULL;
}

static void *reader_main(void *argument)
{
    const struct shared *shared = argument;
    lvc_qmp_slot *slot = lvc_qmp_slot_new(shared->qmp);
    long events = 0;

    CHECK(slot != NULL);
    for (;;) {
        int64_t outcome = finish(slot, lvc_qmp_pump(slot, -1));

        while ((lvc_qmp_next_event(slot) & LVC_VALUE) != 0) {
            events++;
        }
        if ((outcome & LVC_FAILED) != 0) {
            break;
        }
    }
    lvc_qmp_slot_free(slot);
    CHECK(events == THREADS * ROUNDS);
    return NULL;
}

static void check_threads(bool close_early)
{
    pthread_t callers[THREADS];
    struct shared shared;
    pthread_t reader;
    pthread_t peer;
    lvc_qmp_slot *slot;
    lvc_error err;
    int ends[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    shared.peer = ends[1];
    atomic_init(&shared.number, 0);
    shared.qmp = lvc_qmp_new(ends[0], 0, 10000, &err);
    CHECK(shared.qmp != NULL);
    CHECK(pthread_create(&peer, NULL, peer_main, &shared) == 0);
    slot = lvc_qmp_slot_new(shared.qmp);
    CHECK((finish(slot, lvc_qmp_greet(slot, 20000)) & LVC_VALUE) != 0);
    lvc_qmp_slot_free(slot);
    CHECK(pthread_create(&reader, NULL, reader_main, &shared) == 0);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&callers[i], NULL, caller_main, &shared) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(callers[i], NULL) == 0);
    }
    if (close_early) {
        lvc_qmp_close(shared.qmp);
    } else {
        (void)shutdown(ends[1], SHUT_RDWR);
    }
    CHECK(pthread_join(reader, NULL) == 0);
    (void)shutdown(ends[1], SHUT_RDWR);
    CHECK(pthread_join(peer, NULL) == 0);
    lvc_qmp_free(shared.qmp);
    close(ends[1]);
}

int main(void)
{
    check_lines();
    check_torture();
    check_threads(false);
    check_threads(true);
    return 0;
}
