/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_client_check.c: a whole client in one thread, with the n-th allocation failing, for each n.
 * Called by: test_checks.py.
 *
 * What the daemon answers is written to the socket right before the client asks: the serials of a
 * session are known. After a call that failed before it was sent they no longer fit, which the
 * client then has to take for the lie that it is.
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base_alloc.h"
#include "check.h"
#include "libvirtcore.h"
#include "rpc/rpc_header.h"

#define REMOTE 0x20008086
#define GET_VERSION 4
#define LOOKUP_BY_NAME 23
#define DOMAIN_EVENT 107
#define OPEN_GRAPHICS_FD 343
#define VOL_DOWNLOAD 209

/* marshal.dumps(("vm",), 2) and of (("pool", "vol", "/key"), 0, 0, 0) */
#define NAME_ARGS "(\1\0\0\0u\2\0\0\0vm"
#define VOLUME_ARGS                                                                                \
    "(\4\0\0\0(\3\0\0\0u\4\0\0\0poolu\3\0\0\0volu\4\0\0\0/keyi\0\0\0\0i\0\0\0\0i\0\0\0\0"
#define GRAPHICS_ARGS                                                                              \
    "(\3\0\0\0(\3\0\0\0u\2\0\0\0vms\x10\0\0\0" "0123456789abcdefi\7\0\0\0i\0\0\0\0i\0\0\0\0"
#define NO_ARGS NULL, 0
#define ARGS(text) (const uint8_t *)(text), sizeof(text) - 1

#define DOMAIN_XDR "\0\0\0\2vm\0\0" "0123456789abcdef" "\0\0\0\7"
#define ERROR_XDR                                                                                  \
    "\0\0\0\x2a\0\0\0\x0a\0\0\0\1\0\0\0\2no\0\0\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"           \
    "\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"

/* The peer may be gone already, closed by the client's fault. */
static void say_bytes(int fd, const void *bytes, size_t len)
{
    ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

    (void)n;
}

static void say(int fd, uint32_t procedure, uint32_t type, uint32_t serial, uint32_t status,
                const void *payload, size_t len)
{
    const struct rpc_header header = {.program = REMOTE,
                                      .version = 1,
                                      .procedure = procedure,
                                      .type = type,
                                      .serial = serial,
                                      .status = status};
    uint8_t prefix[RPC_PREFIX_BYTES];

    rpc_header_encode(&header, (uint32_t)(sizeof(prefix) + len), prefix);
    say_bytes(fd, prefix, sizeof(prefix));
    if (len > 0) {
        say_bytes(fd, payload, len);
    }
}

#define SAY(procedure, type, serial, status, text)                                                 \
    say(peer, procedure, type, serial, status, text, sizeof(text) - 1)

static void say_fd(int peer, int passed)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    char zero = 0;
    struct iovec part = {.iov_base = &zero, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *header;

    memset(&control, 0, sizeof(control));
    header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &passed, sizeof(int));
    (void)sendmsg(peer, &message, MSG_NOSIGNAL);
}

static int next_descriptor(void)
{
    int fd = dup(0);

    CHECK(fd >= 0);
    close(fd);
    return fd;
}

/* An operation to its end: what it had to say besides "again" and "moved". */
static int finish(lvc_slot *slot, int outcome)
{
    while ((outcome & LVC_AGAIN) != 0) {
        outcome = lvc_slot_resume(slot, 100);
    }
    return outcome & ~(LVC_MOVED | LVC_ACTIVITY);
}

static int session_stream(lvc_slot *slot, int peer, uint32_t serial)
{
    lvc_stream *stream;
    int ok = 0;

    SAY(VOL_DOWNLOAD, RPC_REPLY, serial, RPC_OK, "");
    if ((finish(slot, lvc_stream_open(slot, REMOTE, VOL_DOWNLOAD, ARGS(VOLUME_ARGS), NULL, 0,
                                      1000)) & LVC_FAILED) != 0) {
        return 0;
    }
    stream = lvc_slot_take_stream(slot);
    CHECK(stream != NULL);
    SAY(VOL_DOWNLOAD, RPC_STREAM, serial, RPC_CONTINUE, "stream data");
    SAY(VOL_DOWNLOAD, RPC_STREAM_HOLE, serial, RPC_CONTINUE, "\0\0\0\0\0\0\0\5\0\0\0\0");
    SAY(VOL_DOWNLOAD, RPC_STREAM, serial, RPC_CONTINUE, "");
    if (finish(slot, lvc_stream_recv(slot, stream, 100, 0, 1, 1000)) == LVC_VALUE) {
        CHECK(lvc_slot_report(slot)->number == 11);
        CHECK(memcmp(lvc_slot_data(slot), "stream data", 11) == 0);
        ok = 1;
        if (finish(slot, lvc_stream_recv(slot, stream, 100, 0, 1, 1000)) == LVC_HOLE) {
            CHECK(finish(slot, lvc_stream_recv_hole(slot, stream, 1000)) == LVC_VALUE);
            CHECK(lvc_slot_report(slot)->number == 5);
        }
        CHECK(lvc_stream_send(slot, stream, (const uint8_t *)"up", 2, 1, 1000) >= 0);
        (void)lvc_stream_send_hole(slot, stream, 7, 0, 1000);
        CHECK(lvc_stream_poll(stream) != 0);
        SAY(VOL_DOWNLOAD, RPC_STREAM, serial, RPC_OK, "");
        ok = finish(slot, lvc_stream_finish(slot, stream, 0, 1000)) == 0;
    }
    lvc_stream_free(stream);
    return ok;
}

/* How far the session came; each step must either work or fail cleanly. */
static int session(void)
{
    lvc_client *client;
    lvc_slot *slot;
    lvc_error err;
    int sockets[2];
    int steps = 0;
    int standard_input = 0;
    int peer;
    int fd;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    peer = sockets[1];
    client = lvc_client_new(sockets[0], 4, LVC_DECODE_DICT, &err);
    if (client == NULL) {
        CHECK(err.code == 2);
        close(sockets[0]);
        close(sockets[1]);
        return 0;
    }
    slot = lvc_slot_new(client);
    if (slot == NULL) {
        lvc_client_free(client);
        close(sockets[1]);
        return 1;
    }
    SAY(LOOKUP_BY_NAME, RPC_REPLY, 0, RPC_OK, DOMAIN_XDR);
    SAY(DOMAIN_EVENT, RPC_MESSAGE, 0, RPC_OK, DOMAIN_XDR "\0\0\0\1\0\0\0\2");
    steps += finish(slot, lvc_client_call(slot, REMOTE, LOOKUP_BY_NAME, ARGS(NAME_ARGS), 1000)) ==
             LVC_VALUE;
    SAY(LOOKUP_BY_NAME, RPC_REPLY, 1, RPC_ERROR, ERROR_XDR);
    steps += finish(slot, lvc_client_call(slot, REMOTE, LOOKUP_BY_NAME, ARGS(NAME_ARGS), 1000)) ==
             (LVC_VALUE | LVC_REMOTE);
    steps += finish(slot, lvc_client_next_event(slot)) == LVC_VALUE;
    SAY(OPEN_GRAPHICS_FD, RPC_REPLY_WITH_FDS, 2, RPC_OK, "\0\0\0\1");
    say_fd(peer, 0);
    if (finish(slot, lvc_client_call_fds(slot, REMOTE, OPEN_GRAPHICS_FD, ARGS(GRAPHICS_ARGS),
                                         &standard_input, 1, 1000)) == 0) {
        CHECK(lvc_slot_report(slot)->nfds == 1);
        lvc_slot_take_fds(slot, &fd);
        CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        close(fd);
        steps++;
    }
    steps += session_stream(slot, peer, 3);
    if (finish(slot, lvc_client_submit(slot, REMOTE, GET_VERSION, NO_ARGS, -1)) == 0 &&
        finish(slot, lvc_client_submit(slot, REMOTE, GET_VERSION, NO_ARGS, -1)) == 0) {
        SAY(GET_VERSION, RPC_REPLY, 5, RPC_OK, "\0\0\0\0\0\0\0\2");
        SAY(GET_VERSION, RPC_REPLY, 4, RPC_OK, "\0\0\0\0\0\0\0\1");
        steps += finish(slot, lvc_client_wait(slot, 4, 0, 1000)) == LVC_VALUE;
        steps += finish(slot, lvc_client_wait(slot, 5, 0, 1000)) == LVC_VALUE;
    }
    close(peer);
    (void)finish(slot, lvc_client_pump(slot, 1000));
    CHECK(finish(slot, lvc_client_call(slot, REMOTE, GET_VERSION, NO_ARGS, 1000)) == LVC_FAILED);
    CHECK(lvc_client_closed(client, &err) != LVC_OPEN);
    lvc_client_free(client); /* before the slot: its memory is counted */
    lvc_slot_free(slot);
    return 2 + steps;
}

static void session_survives_every_failed_allocation(void)
{
    int descriptor = next_descriptor();
    int whole = session();
    long n;

    CHECK(whole == 9);
    CHECK(lvc_alloc_live() == 0 && next_descriptor() == descriptor);
    for (n = 1;; n++) {
        lvc_alloc_fail_at(n);
        (void)session();
        if (!lvc_alloc_has_failed()) {
            break;
        }
        CHECK(lvc_alloc_live() == 0);
        CHECK(next_descriptor() == descriptor);
    }
    lvc_alloc_fail_at(0);
    CHECK(n > 10);
}

static void deadlines_cancel_and_abandon(void)
{
    lvc_client_stats stats;
    lvc_client *client;
    lvc_slot *slot;
    lvc_error err;
    int sockets[2];
    int outcome;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    client = lvc_client_new(sockets[0], 2, 0, &err);
    slot = lvc_slot_new(client);
    CHECK(finish(slot, lvc_client_call(slot, REMOTE, GET_VERSION, NO_ARGS, 30)) == LVC_FAILED);
    CHECK(lvc_slot_report(slot)->error.code == 68);
    outcome = lvc_client_call(slot, REMOTE, GET_VERSION, NO_ARGS, -1);
    CHECK(outcome == LVC_AGAIN);
    CHECK(lvc_client_cancel(client, 12345) == 0 && lvc_client_cancel(client, 0) == 1);
    CHECK(lvc_slot_resume(slot, 1000) == LVC_FAILED);
    CHECK(lvc_slot_report(slot)->error.code == 78);
    CHECK(finish(slot, lvc_client_call(slot, REMOTE, GET_VERSION, NO_ARGS, 30)) == LVC_FAILED);
    CHECK_TEXT("connect_get_version could not be sent within 30 ms: too many calls wait",
               lvc_slot_report(slot)->error.message);
    lvc_client_get_stats(client, &stats);
    CHECK(stats.in_flight == 2);
    outcome = lvc_client_call(slot, REMOTE, GET_VERSION, NO_ARGS, -1);
    CHECK(outcome == LVC_AGAIN);
    lvc_slot_abandon(slot);
    lvc_slot_abandon(slot);
    say(sockets[1], GET_VERSION, RPC_REPLY, 0, RPC_OK, "\0\0\0\0\0\0\0\1", 8);
    outcome = lvc_client_call(slot, REMOTE, GET_VERSION, NO_ARGS, -1);
    CHECK(outcome == LVC_AGAIN);
    lvc_slot_free(slot); /* in the middle of its operation */
    lvc_client_get_stats(client, &stats);
    CHECK(stats.in_flight == 2 && stats.late_replies == 1);
    lvc_client_free(client);
    close(sockets[1]);
    CHECK(lvc_alloc_live() == 0);
}

int main(void)
{
    session_survives_every_failed_allocation();
    deadlines_cancel_and_abandon();
    return 0;
}
