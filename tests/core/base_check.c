/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base_check.c: buffer, error, heap and clock of libvirtcore/base.
 * Called by: test_checks.py.
 */
#include <errno.h>

#include "base/base_alloc.h"
#include "base/base_buf.h"
#include "base/base_clock.h"
#include "base/base_look.h"
#include "base/base_error.h"
#include "check.h"

static void buf_grows_keeps_and_consumes(void)
{
    struct lvc_buf buf;
    lvc_error err;
    size_t i;

    lvc_buf_init(&buf, 1 << 20);
    CHECK(buf.data == NULL && lvc_alloc_live() == 0);
    for (i = 0; i < 10000; i++) {
        CHECK(lvc_buf_append(&buf, &i, sizeof(i), &err) == 0);
    }
    CHECK(buf.len == 10000 * sizeof(i));
    for (i = 0; i < 10000; i++) {
        CHECK(memcmp(buf.data + i * sizeof(i), &i, sizeof(i)) == 0);
    }
    i = 9999;
    lvc_buf_consume(&buf, 9999 * sizeof(i));
    CHECK(buf.len == sizeof(i) && memcmp(buf.data, &i, sizeof(i)) == 0);
    lvc_buf_consume(&buf, 0);
    lvc_buf_consume(&buf, sizeof(i));
    CHECK(buf.len == 0);
    lvc_buf_clear(&buf);
    CHECK(buf.data == NULL && buf.ceiling == 1 << 20 && lvc_alloc_live() == 0);
}

static void buf_stops_at_its_ceiling(void)
{
    struct lvc_buf buf;
    lvc_error err;
    char bytes[100] = {0};
    int i;

    lvc_buf_init(&buf, 5000); /* not a power of two: the last growth is cut to it */
    for (i = 0; i < 50; i++) {
        CHECK(lvc_buf_append(&buf, bytes, sizeof(bytes), &err) == 0);
    }
    CHECK(buf.len == 5000 && buf.room == 5000);
    CHECK(lvc_buf_append(&buf, bytes, 1, &err) == -1);
    CHECK(err.code == LVC_ERR_RPC && err.domain == LVC_FROM_RPC);
    CHECK_TEXT("1 bytes more after 5000 exceeded the limit of 5000", err.message);
    CHECK(lvc_buf_reserve(&buf, SIZE_MAX, &err) == -1);
    CHECK(lvc_buf_reserve(&buf, SIZE_MAX - 5000, NULL) == -1);
    CHECK(buf.len == 5000);
    CHECK(lvc_buf_append(&buf, bytes, 0, &err) == 0);
    lvc_buf_clear(&buf);
}

static void buf_survives_a_failed_allocation(void)
{
    struct lvc_buf buf;
    lvc_error err;

    lvc_buf_init(&buf, 1 << 20);
    CHECK(lvc_buf_append(&buf, "kept", 4, &err) == 0);
    lvc_alloc_fail_at(1);
    CHECK(lvc_buf_reserve(&buf, 100000, &err) == -1);
    CHECK(lvc_alloc_has_failed() && err.code == LVC_ERR_NO_MEMORY);
    CHECK(buf.len == 4 && memcmp(buf.data, "kept", 4) == 0);
    CHECK(lvc_buf_reserve(&buf, 100000, &err) == 0); /* once only */
    lvc_buf_clear(&buf);
    CHECK(lvc_alloc_live() == 0);
}

static void error_says_what_happened(void)
{
    lvc_error err;
    char expected[200];
    char longest[3000];

    CHECK(lvc_error_set(&err, LVC_ERR_RPC, LVC_FROM_RPC, "%d of %s", 3, "four") == -1);
    CHECK(err.code == LVC_ERR_RPC && err.domain == LVC_FROM_RPC && err.number == 0);
    CHECK_TEXT("3 of four", err.message);

    CHECK(lvc_error_system(&err, LVC_FROM_RPC, EPIPE, "Cannot write %s", "data") == -1);
    snprintf(expected, sizeof(expected), "Cannot write data: %s", strerror(EPIPE));
    CHECK(err.code == LVC_ERR_SYSTEM_ERROR && err.number == EPIPE);
    CHECK_TEXT(expected, err.message);

    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    CHECK(lvc_error_system(&err, LVC_FROM_RPC, EPIPE, "%s", longest) == -1);
    CHECK(strlen(err.message) == sizeof(err.message) - 1);

    lvc_error_clear(&err);
    CHECK(err.code == LVC_ERR_OK && err.message[0] == '\0');
    CHECK(lvc_error_memory(&err, LVC_FROM_RPC) == -1 && err.code == LVC_ERR_NO_MEMORY);
    CHECK(lvc_error_set(NULL, LVC_ERR_RPC, LVC_FROM_RPC, "nobody listens") == -1);
    lvc_error_clear(NULL);
}

static void heap_fails_once_where_told(void)
{
    void *first;
    void *second;

    lvc_alloc_fail_at(2);
    first = lvc_malloc(1);
    CHECK(first != NULL && !lvc_alloc_has_failed());
    CHECK(lvc_calloc(1, 1) == NULL && lvc_alloc_has_failed());
    second = lvc_realloc(NULL, 1);
    CHECK(second != NULL && lvc_alloc_live() == 2);
    second = lvc_realloc(second, 100);
    CHECK(second != NULL && lvc_alloc_live() == 2);
    lvc_free(first);
    lvc_free(second);
    lvc_free(NULL);
    CHECK(lvc_alloc_live() == 0);
    lvc_alloc_fail_at(0);
}

static void clock_goes_forward(void)
{
    int64_t us = lvc_clock_us();
    int64_t ms = lvc_clock_ms();

    CHECK(us > 0 && lvc_clock_us() >= us && ms >= us / 1000);
}

/* How many quick waits it takes until looking pays. */
static int quick_until_it_pays(struct lvc_look *look)
{
    int n = 0;

    while (!lvc_look_pays(look)) {
        CHECK(n++ < 10000);
        lvc_look_learn(look, NULL, true);
    }
    return n;
}

static void looking_pays_where_waits_are_short(void)
{
    struct lvc_looking looking;
    struct lvc_look look = {0};
    int first = quick_until_it_pays(&look);
    int series = 0;

    CHECK(first > 1);
    lvc_look_learn(&look, NULL, false);
    CHECK(!lvc_look_pays(&look) && quick_until_it_pays(&look) == first);

    /* It was found while nobody else ran: for ever. */
    for (int i = 0; i < 1000; i++) {
        lvc_look_begin(&looking, lvc_clock_us(), 0);
        CHECK(!lvc_look_yield(&looking));
        looking.away = false;
        lvc_look_learn(&look, &looking, true);
        CHECK(lvc_look_pays(&look));
    }
    /* The peer had our processor meanwhile: a few times, then it takes a rest, and tries once more. */
    looking.away = true;
    while (lvc_look_pays(&look)) {
        CHECK(series++ < 100);
        lvc_look_learn(&look, &looking, true);
    }
    CHECK(series > 1);
    CHECK(quick_until_it_pays(&look) > first);
    lvc_look_learn(&look, &looking, true);
    CHECK(!lvc_look_pays(&look));
    CHECK(quick_until_it_pays(&look) > first);
    looking.away = false;
    lvc_look_learn(&look, &looking, true);
    looking.away = true;
    lvc_look_learn(&look, &looking, true);
    CHECK(lvc_look_pays(&look));
}

int main(void)
{
    looking_pays_where_waits_are_short();
    buf_grows_keeps_and_consumes();
    buf_stops_at_its_ceiling();
    buf_survives_a_failed_allocation();
    error_says_what_happened();
    heap_fails_once_where_told();
    clock_goes_forward();
    return 0;
}
