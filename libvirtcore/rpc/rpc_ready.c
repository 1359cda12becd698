/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_ready.c: which of many descriptors can be read or written: epoll, or poll where that is not.
 * Called by: rpc_server's parts. Calls: the operating system.
 * Never: reports a readiness twice before rpc_ready_again; touches a descriptor's data.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* POLLRDHUP */
#endif

#include "rpc/rpc_ready.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#ifdef RPC_READY_EPOLL

#include <sys/epoll.h>

int rpc_ready_open(struct rpc_ready *ready)
{
    ready->epoll = epoll_create1(EPOLL_CLOEXEC);
    return ready->epoll < 0 ? -errno : 0;
}

void rpc_ready_close(struct rpc_ready *ready)
{
    if (ready->epoll >= 0) {
        (void)close(ready->epoll);
        ready->epoll = -1;
    }
}

static int ready_change(struct rpc_ready *ready, int operation, int fd, uint64_t key,
                        uint32_t events)
{
    struct epoll_event event;

    memset(&event, 0, sizeof(event));
    event.events = events;
    event.data.u64 = key;
    return epoll_ctl(ready->epoll, operation, fd, &event) < 0 ? -errno : 0;
}

int rpc_ready_add(struct rpc_ready *ready, int fd, uint64_t key, bool steady)
{
    return ready_change(ready, EPOLL_CTL_ADD, fd, key,
                        steady ? EPOLLIN : EPOLLIN | EPOLLRDHUP | EPOLLET);
}

int rpc_ready_remove(struct rpc_ready *ready, int fd)
{
    return ready_change(ready, EPOLL_CTL_DEL, fd, 0, 0);
}

int rpc_ready_want_write(struct rpc_ready *ready, int fd, uint64_t key, bool want)
{
    return ready_change(ready, EPOLL_CTL_MOD, fd, key,
                        EPOLLIN | EPOLLRDHUP | EPOLLET | (want ? (uint32_t)EPOLLOUT : 0U));
}

void rpc_ready_again(struct rpc_ready *ready, int fd)
{
    (void)ready;
    (void)fd;
}

int rpc_ready_wait(struct rpc_ready *ready, struct rpc_ready_event *events, int timeout_ms)
{
    struct epoll_event got[RPC_READY_BATCH];
    int n = epoll_wait(ready->epoll, got, RPC_READY_BATCH, timeout_ms);
    int i;

    if (n < 0) {
        return -errno;
    }
    for (i = 0; i < n; i++) {
        events[i].key = got[i].data.u64;
        events[i].what = 0;
        if ((got[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0) {
            events[i].what |= RPC_READY_READ;
        }
        if ((got[i].events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0) {
            events[i].what |= RPC_READY_HANGUP;
        }
        if ((got[i].events & EPOLLOUT) != 0) {
            events[i].what |= RPC_READY_WRITE;
        }
    }
    return n;
}

#else

#include <poll.h>

#include "base/base_alloc.h"

/* Somebody may change the set while poll sleeps; it looks at what is new this often. */
#define READY_LOOK_MS 20

struct rpc_ready_entry {
    int fd;
    uint64_t key;
    bool steady;
    bool told; /* and not asked for again */
    bool want_write;
};

int rpc_ready_open(struct rpc_ready *ready)
{
    memset(ready, 0, sizeof(*ready));
    (void)pthread_mutex_init(&ready->lock, NULL);
    return 0;
}

void rpc_ready_close(struct rpc_ready *ready)
{
    lvc_free(ready->entries);
    ready->entries = NULL;
    ready->count = 0;
    ready->room = 0;
    (void)pthread_mutex_destroy(&ready->lock);
}

static struct rpc_ready_entry *ready_find(struct rpc_ready *ready, int fd)
{
    size_t i;

    for (i = 0; i < ready->count; i++) {
        if (ready->entries[i].fd == fd) {
            return &ready->entries[i];
        }
    }
    return NULL;
}

int rpc_ready_add(struct rpc_ready *ready, int fd, uint64_t key, bool steady)
{
    struct rpc_ready_entry *more;
    int rc = 0;

    (void)pthread_mutex_lock(&ready->lock);
    if (ready->count == ready->room) {
        more = lvc_realloc(ready->entries, (ready->room * 2 + 16) * sizeof(*more));
        if (more == NULL) {
            rc = -ENOMEM;
        } else {
            ready->entries = more;
            ready->room = ready->room * 2 + 16;
        }
    }
    if (rc == 0) {
        ready->entries[ready->count++] =
            (struct rpc_ready_entry){.fd = fd, .key = key, .steady = steady};
    }
    (void)pthread_mutex_unlock(&ready->lock);
    return rc;
}

int rpc_ready_remove(struct rpc_ready *ready, int fd)
{
    struct rpc_ready_entry *entry;

    (void)pthread_mutex_lock(&ready->lock);
    entry = ready_find(ready, fd);
    if (entry != NULL) {
        *entry = ready->entries[--ready->count];
    }
    (void)pthread_mutex_unlock(&ready->lock);
    return entry == NULL ? -ENOENT : 0;
}

int rpc_ready_want_write(struct rpc_ready *ready, int fd, uint64_t key, bool want)
{
    struct rpc_ready_entry *entry;

    (void)pthread_mutex_lock(&ready->lock);
    entry = ready_find(ready, fd);
    if (entry != NULL && entry->key == key) {
        entry->want_write = want;
    }
    (void)pthread_mutex_unlock(&ready->lock);
    return entry == NULL ? -ENOENT : 0;
}

void rpc_ready_again(struct rpc_ready *ready, int fd)
{
    struct rpc_ready_entry *entry;

    (void)pthread_mutex_lock(&ready->lock);
    entry = ready_find(ready, fd);
    if (entry != NULL) {
        entry->told = false;
    }
    (void)pthread_mutex_unlock(&ready->lock);
}

/* What poll shall look at now; NULL without memory. */
static struct pollfd *ready_fill(struct rpc_ready *ready, size_t *count_out)
{
    struct pollfd *fds;
    size_t i;

    (void)pthread_mutex_lock(&ready->lock);
    fds = lvc_calloc(ready->count + 1, sizeof(*fds));
    for (i = 0; fds != NULL && i < ready->count; i++) {
        const struct rpc_ready_entry *entry = &ready->entries[i];

        fds[i].fd = entry->told && !entry->want_write ? -1 : entry->fd;
        fds[i].events = (short)((entry->told ? 0 : POLLIN) | (entry->want_write ? POLLOUT : 0));
    }
    *count_out = ready->count;
    (void)pthread_mutex_unlock(&ready->lock);
    return fds;
}

static int ready_gather(struct rpc_ready *ready, const struct pollfd *fds, size_t count,
                        struct rpc_ready_event *events)
{
    struct rpc_ready_entry *entry;
    size_t i;
    int n = 0;

    (void)pthread_mutex_lock(&ready->lock);
    for (i = 0; i < count && n < RPC_READY_BATCH; i++) {
        entry = fds[i].revents == 0 ? NULL : ready_find(ready, fds[i].fd);
        if (entry == NULL) {
            continue;
        }
        events[n].key = entry->key;
        events[n].what = 0;
        if ((fds[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !entry->told) {
            events[n].what |= RPC_READY_READ;
            entry->told = !entry->steady;
        }
        if ((fds[i].revents & (POLLHUP | POLLERR)) != 0) {
            events[n].what |= RPC_READY_HANGUP;
        }
        if ((fds[i].revents & POLLOUT) != 0) {
            events[n].what |= RPC_READY_WRITE;
        }
        n += events[n].what != 0;
    }
    (void)pthread_mutex_unlock(&ready->lock);
    return n;
}

int rpc_ready_wait(struct rpc_ready *ready, struct rpc_ready_event *events, int timeout_ms)
{
    int left = timeout_ms;
    struct pollfd *fds;
    size_t count;
    int n;

    do {
        int slice = left < 0 || left > READY_LOOK_MS ? READY_LOOK_MS : left;

        fds = ready_fill(ready, &count);
        if (fds == NULL) {
            return -ENOMEM;
        }
        n = poll(fds, (nfds_t)count, slice);
        n = n < 0 ? -errno : ready_gather(ready, fds, count, events);
        lvc_free(fds);
        left -= left < 0 ? 0 : slice;
    } while (n == 0 && left != 0);
    return n;
}

#endif
