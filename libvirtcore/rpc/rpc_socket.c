/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_socket.c: the system calls on a connected stream socket.
 * Called by: rpc_client's parts. Calls: the operating system.
 * Never: retries, raises SIGPIPE, leaks a descriptor into a child process.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* MSG_CMSG_CLOEXEC, F_DUPFD_CLOEXEC */
#endif

#include "rpc/rpc_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif

#include "generated/limits.h"

#ifdef MSG_NOSIGNAL
#define SOCKET_SEND_FLAGS (MSG_NOSIGNAL | MSG_DONTWAIT)
#else
#define SOCKET_SEND_FLAGS MSG_DONTWAIT /* SO_NOSIGPIPE is set on the socket instead */
#endif

#ifdef MSG_CMSG_CLOEXEC
#define SOCKET_RECV_FLAGS MSG_CMSG_CLOEXEC
#else
#define SOCKET_RECV_FLAGS 0
#endif

/* Room for as many descriptors as one message may carry. */
union socket_control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * LVC_NET_MESSAGE_NUM_FDS_MAX)];
};

int rpc_socket_adopt(int fd)
{
    struct timeval brief = {.tv_sec = 0, .tv_usec = RPC_SOCKET_BRIEF_MS * 1000};
    int one = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief)) < 0) {
        return -errno;
    }
#ifdef SO_NOSIGPIPE
    (void)setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &one, sizeof(one));
#endif
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* not TCP: no matter */
    return 0;
}

bool rpc_socket_passes_fds(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);

    return getsockname(fd, (struct sockaddr *)&address, &len) == 0 && address.ss_family == AF_UNIX;
}

ssize_t rpc_socket_send(int fd, const struct iovec *parts, size_t nparts)
{
    struct msghdr message;
    ssize_t n;

    memset(&message, 0, sizeof(message));
    message.msg_iov = (struct iovec *)(uintptr_t)parts; /* sendmsg does not write there */
    message.msg_iovlen = nparts;
    n = sendmsg(fd, &message, SOCKET_SEND_FLAGS);
    return n < 0 ? -errno : n;
}

ssize_t rpc_socket_send_fd(int fd, int passed)
{
    union socket_control control;
    struct cmsghdr *header;
    struct msghdr message;
    char zero = '\0';
    struct iovec part = {.iov_base = &zero, .iov_len = 1};
    ssize_t n;

    memset(&message, 0, sizeof(message));
    memset(&control, 0, sizeof(control));
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof(int));
    header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &passed, sizeof(int));
    n = sendmsg(fd, &message, SOCKET_SEND_FLAGS);
    return n < 0 ? -errno : n;
}

/* Take every descriptor out of the message, also those that there is no room for. */
static int socket_take_fds(struct msghdr *message, int *fds, uint32_t *nfds, uint32_t max_fds)
{
    struct cmsghdr *header;
    size_t count;
    size_t i;
    int lost = (message->msg_flags & MSG_CTRUNC) != 0;
    int fd;

    for (header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (i = 0; i < count; i++) {
            memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            if (*nfds < max_fds) {
#ifndef MSG_CMSG_CLOEXEC
                (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
                fds[(*nfds)++] = fd;
            } else {
                (void)close(fd);
                lost = 1;
            }
        }
    }
    return lost ? -EMFILE : 0;
}

ssize_t rpc_socket_recv(int fd, void *where, size_t room, bool brief, int *fds, uint32_t *nfds,
                        uint32_t max_fds)
{
    union socket_control control;
    struct msghdr message;
    struct iovec part = {.iov_base = where, .iov_len = room};
    ssize_t n;
    int rc;

    message.msg_name = NULL;
    message.msg_namelen = 0;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof(control.bytes);
    message.msg_flags = 0;
    n = recvmsg(fd, &message, SOCKET_RECV_FLAGS | (brief ? 0 : MSG_DONTWAIT));
    if (n < 0) {
        return -errno;
    }
    if (message.msg_controllen > 0 || (message.msg_flags & MSG_CTRUNC) != 0) {
        rc = socket_take_fds(&message, fds, nfds, max_fds);
        if (rc < 0) {
            return rc;
        }
    }
    return n;
}

int rpc_socket_poll(int fd, bool for_writing, const struct rpc_wake *wake, int timeout_ms)
{
    struct pollfd fds[2] = {
        {.fd = fd, .events = (short)(for_writing ? POLLIN | POLLOUT : POLLIN), .revents = 0},
        {.fd = wake->read, .events = POLLIN, .revents = 0},
    };
    int ready = 0;

    if (poll(fds, 2, timeout_ms) < 0) {
        return -errno;
    }
    if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR | POLLNVAL)) != 0) {
        ready |= RPC_SOCKET_READABLE;
    }
    if ((fds[0].revents & POLLOUT) != 0) {
        ready |= RPC_SOCKET_WRITABLE;
    }
    if (fds[1].revents != 0) {
        ready |= RPC_SOCKET_WOKEN;
    }
    return ready;
}

int rpc_wake_open(struct rpc_wake *wake)
{
#ifdef __linux__
    wake->read = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    wake->write = wake->read;
    return wake->read < 0 ? -errno : 0;
#else
    int ends[2];
    int i;

    if (pipe(ends) < 0) {
        return -errno;
    }
    for (i = 0; i < 2; i++) {
        (void)fcntl(ends[i], F_SETFD, FD_CLOEXEC);
        (void)fcntl(ends[i], F_SETFL, O_NONBLOCK);
    }
    wake->read = ends[0];
    wake->write = ends[1];
    return 0;
#endif
}

void rpc_wake_close(struct rpc_wake *wake)
{
    if (wake->write >= 0 && wake->write != wake->read) {
        (void)close(wake->write);
    }
    if (wake->read >= 0) {
        (void)close(wake->read);
    }
    wake->read = -1;
    wake->write = -1;
}

void rpc_wake_set(const struct rpc_wake *wake)
{
    uint64_t one = 1;
    ssize_t n = write(wake->write, &one, sizeof(one));

    (void)n; /* full means that it is set already */
}

void rpc_wake_clear(const struct rpc_wake *wake)
{
    uint64_t sink[8];
    ssize_t n = read(wake->read, sink, sizeof(sink));

    (void)n; /* empty is fine */
}

int rpc_fd_copy(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}
