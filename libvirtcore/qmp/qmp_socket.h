/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qmp_socket.h: the system calls on a monitor's socket.
 * Called by: qmp_client's parts; the only place of the room that knows the operating system.
 * Never: retries, raises SIGPIPE. Descriptors that a peer sends are refused by the kernel, since no
 * room for them is offered.
 *
 * Results below 0 are -errno.
 */
#ifndef LVC_QMP_SOCKET_H
#define LVC_QMP_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A read that may wait waits this long; then the reader turns to poll, which others can end. */
#define QMP_SOCKET_BRIEF_MS 20

/* Descriptors with one command; QEMU keeps no more of one message. */
#define QMP_FDS_MAX 16

enum qmp_socket_ready {
    QMP_SOCKET_READABLE = 1, /* or at its end, or broken: reading tells */
    QMP_SOCKET_WRITABLE = 2,
    QMP_SOCKET_WOKEN = 4,
};

/* Ends a qmp_socket_poll early. Opened when first needed; poll does without it. */
struct qmp_wake {
    int read;
    int write; /* the same descriptor where the system has eventfd */
};

/* Make a socket fit for the rest; 0 or -errno. */
int qmp_socket_adopt(int fd);

/* At once: bytes taken, or -errno. The descriptors go with the first byte. */
ssize_t qmp_socket_send(int fd, const void *data, size_t len, const int *fds, uint32_t nfds);

/* Bytes read (0 at the end), or -errno. If `brief` it may wait a moment. */
ssize_t qmp_socket_recv(int fd, void *where, size_t room, bool brief);

/* Mask of qmp_socket_ready, 0 after timeout_ms, or -errno. */
int qmp_socket_poll(int fd, bool for_writing, const struct qmp_wake *wake, int timeout_ms);

void qmp_wake_init(struct qmp_wake *wake);
bool qmp_wake_open(struct qmp_wake *wake); /* whether it is, now or before */
void qmp_wake_close(struct qmp_wake *wake);
void qmp_wake_set(const struct qmp_wake *wake);
void qmp_wake_clear(const struct qmp_wake *wake);

/* A copy that no child process inherits; -1 with errno. */
int qmp_fd_copy(int fd);

#endif
