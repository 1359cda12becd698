/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_client.c: any bytes as what a daemon answers to a client with calls and a stream under way.
 * Called by: libFuzzer (tools/fuzz).
 *
 * Input: one byte for the allocation that fails (0: none), then the daemon's bytes, all that it ever
 * sends. Besides memory safety: every operation ends, the connection is over at the end, nothing is
 * left: no block, no descriptor.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base_alloc.h"
#include "libvirtcore.h"

#define REMOTE 0x20008086
#define GET_VERSION 4
#define LOOKUP_BY_NAME 23
#define VOL_DOWNLOAD 209
#define ARGS(text) (const uint8_t *)(text), sizeof(text) - 1
#define NAME_ARGS "(\1\0\0\0u\2\0\0\0vm"
#define VOLUME_ARGS                                                                                \
    "(\4\0\0\0(\3\0\0\0u\4\0\0\0poolu\3\0\0\0volu\4\0\0\0/keyi\0\0\0\0i\0\0\0\0i\0\0\0\0"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* To the end; what the peer has sent is all there, so nothing has to wait long. */
static int finish(lvc_slot *slot, int outcome)
{
    int rounds = 0;

    while ((outcome & LVC_AGAIN) != 0) {
        if (++rounds > 1000) {
            abort();
        }
        outcome = lvc_slot_resume(slot, 50);
    }
    return outcome;
}

static void use_stream(lvc_slot *slot)
{
    lvc_stream *stream = lvc_slot_take_stream(slot);
    int rounds = 0;
    int outcome;

    if (stream == NULL) {
        return;
    }
    do {
        outcome = finish(slot, lvc_stream_recv(slot, stream, 1000, 0, 1, 1000));
        if ((outcome & LVC_HOLE) != 0) {
            (void)finish(slot, lvc_stream_recv_hole(slot, stream, 1000));
        }
    } while ((outcome & LVC_FAILED) == 0 && lvc_slot_report(slot)->number > 0 && ++rounds < 1000);
    (void)lvc_stream_poll(stream);
    (void)finish(slot, lvc_stream_finish(slot, stream, 0, 1000));
    lvc_stream_free(stream);
}

static void session(int fd)
{
    lvc_client *client;
    lvc_slot *slot;
    lvc_error err;
    uint32_t first;
    uint32_t second;

    client = lvc_client_new(fd, 4, LVC_DECODE_DICT, &err);
    if (client == NULL) {
        close(fd);
        return;
    }
    slot = lvc_slot_new(client);
    if (slot != NULL) {
        (void)finish(slot, lvc_client_submit(slot, REMOTE, GET_VERSION, NULL, 0, -1));
        first = lvc_slot_report(slot)->serial;
        (void)finish(slot, lvc_client_submit(slot, REMOTE, LOOKUP_BY_NAME, ARGS(NAME_ARGS), -1));
        second = lvc_slot_report(slot)->serial;
        /* Only now something is read: all three calls are under way. */
        (void)finish(slot, lvc_stream_open(slot, REMOTE, VOL_DOWNLOAD, ARGS(VOLUME_ARGS), NULL, 0,
                                           1000));
        use_stream(slot);
        (void)finish(slot, lvc_client_wait(slot, second, 0, 1000));
        (void)finish(slot, lvc_client_wait(slot, first, 0, 1000));
        (void)finish(slot, lvc_client_pump(slot, 0));
        while ((finish(slot, lvc_client_next_event(slot)) & LVC_VALUE) != 0) {
        }
        if ((finish(slot, lvc_client_call(slot, REMOTE, GET_VERSION, NULL, 0, 1000)) &
             (LVC_FAILED | LVC_VALUE)) == 0) {
            abort();
        }
        lvc_slot_free(slot);
    }
    lvc_client_free(client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int room = 1 << 20;
    int sockets[2];
    int probe;

    if (size < 2 || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) < 0) {
        return 0;
    }
    (void)setsockopt(sockets[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    if (send(sockets[1], data + 1, size - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        abort();
    }
    (void)shutdown(sockets[1], SHUT_WR); /* it still takes what the client sends */
    lvc_alloc_fail_at(data[0]);
    session(sockets[0]);
    lvc_alloc_fail_at(0);
    close(sockets[1]);
    probe = dup(0);
    close(probe);
    if (lvc_alloc_live() != 0 || probe > 40) {
        abort();
    }
    return 0;
}
