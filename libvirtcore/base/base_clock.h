/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base_clock.h: a clock that never goes backwards.
 * Called by: rpc, for deadlines and keepalive; sans-I/O parts take the time as an argument instead.
 * Never: tells the time of day.
 */
#ifndef LVC_BASE_CLOCK_H
#define LVC_BASE_CLOCK_H

#include <stdint.h>

int64_t lvc_clock_ms(void);
int64_t lvc_clock_us(void);
int64_t lvc_clock_ns(void);

#endif
