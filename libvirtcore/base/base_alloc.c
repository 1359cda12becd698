/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base_alloc.c: the heap that fails on demand, for tests.
 * Called by: tests/core, tests/fuzz. Calls: libc.
 * Never: part of a release; without LVC_TORTURE this file is empty. One thread only.
 */
#include "base/base_alloc.h"

#ifdef LVC_TORTURE

static long until_failure; /* allocations left before one fails, 0 = none will */
static int has_failed;
static long live;

static int alloc_fails(void)
{
    if (until_failure > 0 && --until_failure == 0) {
        has_failed = 1;
        return 1;
    }
    return 0;
}

static void *alloc_counted(void *block)
{
    if (block != NULL) {
        live++;
    }
    return block;
}

void *lvc_malloc(size_t size)
{
    return alloc_fails() ? NULL : alloc_counted(malloc(size));
}

void *lvc_calloc(size_t count, size_t size)
{
    return alloc_fails() ? NULL : alloc_counted(calloc(count, size));
}

void *lvc_realloc(void *block, size_t size)
{
    void *moved;

    if (alloc_fails()) {
        return NULL;
    }
    moved = realloc(block, size);
    return block == NULL ? alloc_counted(moved) : moved;
}

void lvc_free(void *block)
{
    if (block != NULL) {
        live--;
    }
    free(block);
}

void lvc_alloc_fail_at(long n)
{
    until_failure = n;
    has_failed = 0;
}

int lvc_alloc_has_failed(void)
{
    return has_failed;
}

long lvc_alloc_live(void)
{
    return live;
}

#else

typedef int base_alloc_is_empty; /* ISO C wants something in every file */

#endif
