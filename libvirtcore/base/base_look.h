/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base_look.h: when to look again and again for a moment instead of going to sleep.
 * Called by: rpc, by the client's head and the server's leader.
 * Never: looks itself, keeps a lock.
 *
 * Sleeping and being woken by another processor takes longer than a tiny call. So whoever has had
 * short waits, many in a row, looks for a while before it sleeps. It yields before each look; if what
 * it looks for comes when others have used that, again and again, then the peer runs on this very
 * processor, and sleeping hands it over faster: it takes a rest from looking.
 */
#ifndef LVC_BASE_LOOK_H
#define LVC_BASE_LOOK_H

#include <stdbool.h>
#include <stdint.h>

struct lvc_look {
    uint32_t quick;   /* short waits in a row */
    uint32_t shared;  /* series in a row that ended when somebody else had run */
    uint32_t rest;    /* short waits to go without looking */
};

/* One series of looks. */
struct lvc_looking {
    int64_t until_us;
    bool away; /* somebody else has just run */
};

bool lvc_look_pays(const struct lvc_look *look);

void lvc_look_begin(struct lvc_looking *looking, int64_t now_us, int64_t most_us);

/* Let others go first; false: the look that follows is the last one. */
bool lvc_look_yield(struct lvc_looking *looking);

/* What came of a wait: the series before it or NULL, and whether it was short. */
void lvc_look_learn(struct lvc_look *look, const struct lvc_looking *looking, bool quick);

#endif
