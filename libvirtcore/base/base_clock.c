/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base_clock.c: a clock that never goes backwards.
 * Called by: rpc. Calls: clock_gettime.
 * Never: tells the time of day.
 */
#include "base/base_clock.h"

#include <time.h>

int64_t lvc_clock_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t lvc_clock_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t lvc_clock_ms(void)
{
    return lvc_clock_us() / 1000;
}
