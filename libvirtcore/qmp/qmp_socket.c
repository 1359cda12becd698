/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qmp_socket.c: the system calls on a monitor's socket.
 * Called by: qmp_client's parts. Calls: the operating system.
 * Never: retries, raises SIGPIPE.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* F_DUPFD_CLOEXEC */
#endif

#include "qmp/qmp_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif

#ifdef MSG_NOSIGNAL
#define SEND_FLAGS (MSG_NOSIGNAL | MSG_DONTWAIT)
#else
#define SEND_FLAGS MSG_DONTWAIT /* SO_NOSIGPIPE is set on the socket instead */
#endif

union socket_control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * QMP_FDS_MAX)];
};

int qmp_socket_adopt(int fd)
{
    struct timeval brief = {.tv_sec = 0, .tv_usec = QMP_SOCKET_BRIEF_MS * 1000};
    int flags = fcntl(fd, F_GETFL);
    int one = 1;

    if (flags < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief)) < 0) {
        return -errno;
    }
    /* Brief reads want to wait; all others say that they do not. */
    if ((flags & O_NONBLOCK) != 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0) {
        return -errno;
    }
#ifdef SO_NOSIGPIPE
    (void)setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &one, sizeof(one));
#endif
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* not TCP: no matter */
    return 0;
}

ssize_t qmp_socket_send(int fd, const void *data, size_t len, const int *fds, uint32_t nfds)
{
    union socket_control control;
    struct cmsghdr *header;
    struct msghdr message;
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = len}; /* only read */
    ssize_t n;

    if (nfds == 0) {
        n = send(fd, data, len, SEND_FLAGS);
        return n < 0 ? -errno : n;
    }
    memset(&message, 0, sizeof(message));
    memset(&control, 0, sizeof(control));
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
    header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
    memcpy(CMSG_DATA(header), fds, sizeof(int) * nfds);
    n = sendmsg(fd, &message, SEND_FLAGS);
    return n < 0 ? -errno : n;
}

ssize_t qmp_socket_recv(int fd, void *where, size_t room, bool brief)
{
    ssize_t n = recv(fd, where, room, brief ? 0 : MSG_DONTWAIT);

    return n < 0 ? -errno : n;
}

int qmp_socket_poll(int fd, bool for_writing, const struct qmp_wake *wake, int timeout_ms)
{
    struct pollfd fds[2] = {
        {.fd = fd, .events = (short)(for_writing ? POLLIN | POLLOUT : POLLIN), .revents = 0},
        {.fd = wake->read, .events = POLLIN, .revents = 0}, /* -1 is passed over */
    };
    int ready = 0;

    if (poll(fds, 2, timeout_ms) < 0) {
        return -errno;
    }
    if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR | POLLNVAL)) != 0) {
        ready |= QMP_SOCKET_READABLE;
    }
    if ((fds[0].revents & POLLOUT) != 0) {
        ready |= QMP_SOCKET_WRITABLE;
    }
    if (fds[1].revents != 0) {
        ready |= QMP_SOCKET_WOKEN;
    }
    return ready;
}

void qmp_wake_init(struct qmp_wake *wake)
{
    wake->read = -1;
    wake->write = -1;
}

bool qmp_wake_open(struct qmp_wake *wake)
{
    if (wake->read >= 0) {
        return true;
    }
#ifdef __linux__
    wake->read = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    wake->write = wake->read;
#else
    int ends[2];
    int i;

    if (pipe(ends) < 0) {
        return false;
    }
    for (i = 0; i < 2; i++) {
        (void)fcntl(ends[i], F_SETFD, FD_CLOEXEC);
        (void)fcntl(ends[i], F_SETFL, O_NONBLOCK);
    }
    wake->read = ends[0];
    wake->write = ends[1];
#endif
    return wake->read >= 0;
}

void qmp_wake_close(struct qmp_wake *wake)
{
    if (wake->write >= 0 && wake->write != wake->read) {
        (void)close(wake->write);
    }
    if (wake->read >= 0) {
        (void)close(wake->read);
    }
    qmp_wake_init(wake);
}

void qmp_wake_set(const struct qmp_wake *wake)
{
    uint64_t one = 1;
    ssize_t n = wake->write < 0 ? 0 : write(wake->write, &one, sizeof(one));

    (void)n; /* full means that it is set already */
}

void qmp_wake_clear(const struct qmp_wake *wake)
{
    uint64_t sink[8];
    ssize_t n = wake->read < 0 ? 0 : read(wake->read, sink, sizeof(sink));

    (void)n; /* empty is fine */
}

int qmp_fd_copy(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}
