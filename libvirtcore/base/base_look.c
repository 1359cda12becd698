/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base_look.c: when to look again and again for a moment instead of going to sleep.
 * Called by: rpc. Calls: sched_yield, base_clock.
 * Never: looks itself, keeps a lock.
 */
#include "base/base_look.h"

#include <sched.h>
#include <stddef.h>

#include "base/base_clock.h"

/* Short waits before the first look. */
#define LOOK_AFTER 8

/* When this many series in a row say that the peer is on our processor, no more for so many waits. */
#define LOOK_SHARED 4
#define LOOK_REST 200

/* Nobody else has run when yielding took less. */
#define LOOK_ALONE_US 4

bool lvc_look_pays(const struct lvc_look *look)
{
    return look->quick >= LOOK_AFTER && look->rest == 0;
}

void lvc_look_begin(struct lvc_looking *looking, int64_t now_us, int64_t most_us)
{
    looking->until_us = now_us + most_us;
    looking->away = false;
}

bool lvc_look_yield(struct lvc_looking *looking)
{
    int64_t before_us = lvc_clock_us();
    int64_t now_us;

    (void)sched_yield();
    now_us = lvc_clock_us();
    looking->away = now_us - before_us > LOOK_ALONE_US;
    return now_us < looking->until_us;
}

void lvc_look_learn(struct lvc_look *look, const struct lvc_looking *looking, bool quick)
{
    if (!quick) {
        look->quick = 0;
    } else if (look->quick < LOOK_AFTER) {
        look->quick++;
    }
    if (quick && look->rest > 0) {
        look->rest--;
    }
    if (looking == NULL) {
        return;
    }
    if (!quick || !looking->away) {
        look->shared = 0;
    } else if (++look->shared >= LOOK_SHARED) {
        look->shared = LOOK_SHARED - 1; /* one more after the rest will do */
        look->rest = LOOK_REST;
    }
}
