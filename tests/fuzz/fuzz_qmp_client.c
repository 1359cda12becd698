/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_qmp_client.c: any bytes as all that a monitor or an agent ever says to a client.
 * Called by: libFuzzer (tools/fuzz).
 *
 * Input: one byte for the kind of peer, one for the allocation that fails (0: none), then the peer's
 * bytes. Besides memory safety: every operation ends, the connection is over at the end, nothing is
 * left: no block, no descriptor.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base_alloc.h"
#include "libvirtcore.h"

#define FUZZ_HEAD 2
#define COMMAND "{\"execute\":\"query-status\""

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* To the end; what the peer has said is all there, so nothing has to wait long. */
static int64_t finish(lvc_qmp_slot *slot, int64_t outcome)
{
    int rounds = 0;

    while ((outcome & LVC_AGAIN) != 0) {
        if (++rounds > 1000) {
            abort();
        }
        outcome = lvc_qmp_resume(slot, 50);
    }
    if ((outcome & LVC_VALUE) != 0 &&
        (size_t)(outcome >> LVC_QMP_LENGTH_SHIFT) > lvc_qmp_slot_room(slot)) {
        abort();
    }
    return outcome;
}

static void session(int fd, uint32_t flags)
{
    lvc_qmp *qmp;
    lvc_qmp_slot *slot;
    lvc_error err;
    uint64_t first;
    uint64_t second;
    int zero = 0;

    qmp = lvc_qmp_new(fd, flags, 10000, &err);
    if (qmp == NULL) {
        close(fd);
        return;
    }
    slot = lvc_qmp_slot_new(qmp);
    if (slot != NULL) {
        if (flags == 0) {
            (void)finish(slot, lvc_qmp_greet(slot, 1000));
        } else {
            (void)finish(slot, lvc_qmp_sync(slot, 7, 1000));
        }
        (void)finish(slot, lvc_qmp_submit(slot, COMMAND, strlen(COMMAND), NULL, 0, 0));
        first = lvc_qmp_slot_report(slot)->id;
        (void)finish(slot, lvc_qmp_submit(slot, COMMAND, strlen(COMMAND), &zero, 1, 0));
        second = lvc_qmp_slot_report(slot)->id;
        (void)finish(slot, lvc_qmp_execute(slot, COMMAND, strlen(COMMAND), NULL, 0, 1000));
        (void)finish(slot, lvc_qmp_wait(slot, second, 1000));
        (void)finish(slot, lvc_qmp_wait(slot, first, 0));
        lvc_qmp_forget(qmp, first);
        (void)finish(slot, lvc_qmp_pump(slot, 0));
        (void)finish(slot, lvc_qmp_pump(slot, 1000));
        while ((finish(slot, lvc_qmp_next_event(slot)) & LVC_VALUE) != 0) {
        }
        if ((finish(slot, lvc_qmp_execute(slot, COMMAND, strlen(COMMAND), NULL, 0, 1000)) &
             (LVC_FAILED | LVC_VALUE)) == 0) {
            abort();
        }
        lvc_qmp_slot_free(slot);
    }
    lvc_qmp_free(qmp);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int room = 1 << 20;
    int sockets[2];
    int probe;

    if (size <= FUZZ_HEAD || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) < 0) {
        return 0;
    }
    (void)setsockopt(sockets[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    if (send(sockets[1], data + FUZZ_HEAD, size - FUZZ_HEAD, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        abort();
    }
    (void)shutdown(sockets[1], SHUT_WR); /* it still takes what the client sends */
    lvc_alloc_fail_at(data[1]);
    session(sockets[0], (data[0] & 1) != 0 ? LVC_QMP_AGENT : 0);
    lvc_alloc_fail_at(0);
    close(sockets[1]);
    probe = dup(0);
    close(probe);
    if (lvc_alloc_live() != 0 || probe > 40) {
        abort();
    }
    return 0;
}
