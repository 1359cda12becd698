/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_socket.h: the system calls on a connected stream socket.
 * Called by: rpc_client's parts; the only place of the room that knows the operating system.
 * Never: retries, raises SIGPIPE, leaks a descriptor into a child process.
 *
 * Results below 0 are -errno.
 */
#ifndef LVC_RPC_SOCKET_H
#define LVC_RPC_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* A read that may wait waits this long; then the reader turns to poll, which others can wake. */
#define RPC_SOCKET_BRIEF_MS 20

enum rpc_socket_ready {
    RPC_SOCKET_READABLE = 1, /* or at its end, or broken: reading tells */
    RPC_SOCKET_WRITABLE = 2,
    RPC_SOCKET_WOKEN = 4,
};

/* Wakes a thread out of rpc_socket_poll. */
struct rpc_wake {
    int read;
    int write; /* the same descriptor where the system has eventfd */
};

/* Make a socket fit for the rest; 0 or -errno. */
int rpc_socket_adopt(int fd);
bool rpc_socket_passes_fds(int fd);

/* At once: bytes taken, or -errno. */
ssize_t rpc_socket_send(int fd, const struct iovec *parts, size_t nparts);

/* One zero byte with a descriptor on its back. */
ssize_t rpc_socket_send_fd(int fd, int passed);

/* Bytes read (0 at the end), or -errno. Descriptors that came along are appended to fds, of which
 * *nfds of room are taken; -EMFILE when there were more. */
ssize_t rpc_socket_recv(int fd, void *where, size_t room, bool brief, int *fds, uint32_t *nfds,
                        uint32_t max_fds);

/* Mask of rpc_socket_ready, 0 after timeout_ms, or -errno. */
int rpc_socket_poll(int fd, bool for_writing, const struct rpc_wake *wake, int timeout_ms);

int rpc_wake_open(struct rpc_wake *wake);
void rpc_wake_close(struct rpc_wake *wake);
void rpc_wake_set(const struct rpc_wake *wake);
void rpc_wake_clear(const struct rpc_wake *wake);

/* A copy that no child process inherits; -1 with errno. */
int rpc_fd_copy(int fd);

#endif
