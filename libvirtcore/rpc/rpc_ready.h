/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_ready.h: which of many descriptors can be read or written: epoll, or poll where that is not.
 * Called by: rpc_server's parts. One thread at a time waits; any may change the set meanwhile.
 * Never: reports a readiness twice before rpc_ready_again; touches a descriptor's data.
 *
 * Every descriptor has a key, which events carry. A descriptor is reported when something comes, not
 * as long as something is there: read until the socket has no more, then call rpc_ready_again.
 */
#ifndef LVC_RPC_READY_H
#define LVC_RPC_READY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__linux__) && !defined(LVC_NO_EPOLL)
#define RPC_READY_EPOLL 1
#endif

#define RPC_READY_BATCH 64

enum rpc_ready_what {
    RPC_READY_READ = 1, /* or at its end, or broken: reading tells */
    RPC_READY_WRITE = 2,
    RPC_READY_HANGUP = 4, /* no more will come after what is there */
};

struct rpc_ready_event {
    uint64_t key;
    uint32_t what;
};

struct rpc_ready_entry;

struct rpc_ready {
#ifdef RPC_READY_EPOLL
    int epoll;
#else
    pthread_mutex_t lock;
    struct rpc_ready_entry *entries;
    size_t count;
    size_t room;
#endif
};

/* Results below 0 are -errno. */
int rpc_ready_open(struct rpc_ready *ready);
void rpc_ready_close(struct rpc_ready *ready);

/* steady: reported as long as it is readable; for descriptors that are not read to the end. */
int rpc_ready_add(struct rpc_ready *ready, int fd, uint64_t key, bool steady);
int rpc_ready_remove(struct rpc_ready *ready, int fd);

/* Whether room for writing is to be reported, too. */
int rpc_ready_want_write(struct rpc_ready *ready, int fd, uint64_t key, bool want);
void rpc_ready_again(struct rpc_ready *ready, int fd); /* epoll knows by itself */

/* At most RPC_READY_BATCH events; timeout_ms -1: for ever. */
int rpc_ready_wait(struct rpc_ready *ready, struct rpc_ready_event *events, int timeout_ms);

#endif
