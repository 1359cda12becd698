/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base_alloc.h: the heap, with a hook that makes the n-th allocation fail.
 * Called by: every room instead of malloc, calloc, realloc and free.
 * Never: aborts; a failed allocation is an error like any other.
 *
 * With LVC_TORTURE defined (tests only) lvc_alloc_fail_at(n) makes the n-th allocation from now on
 * fail, once; lvc_alloc_live counts blocks that were not freed. Otherwise these are the libc calls.
 */
#ifndef LVC_BASE_ALLOC_H
#define LVC_BASE_ALLOC_H

#include <stddef.h>
#include <stdlib.h>

#ifdef LVC_TORTURE

void *lvc_malloc(size_t size);
void *lvc_calloc(size_t count, size_t size);
void *lvc_realloc(void *block, size_t size);
void lvc_free(void *block);

void lvc_alloc_fail_at(long n); /* 1 = the next one, 0 = never */
int lvc_alloc_has_failed(void); /* whether the n-th allocation was reached */
long lvc_alloc_live(void);

#else

static inline void *lvc_malloc(size_t size)
{
    return malloc(size);
}

static inline void *lvc_calloc(size_t count, size_t size)
{
    return calloc(count, size);
}

static inline void *lvc_realloc(void *block, size_t size)
{
    return realloc(block, size);
}

static inline void lvc_free(void *block)
{
    free(block);
}

#endif

#endif
