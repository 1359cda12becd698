/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_frame.c: any bytes as a stream of messages, however they are cut.
 * Called by: libFuzzer (tools/fuzz).
 *
 * Input: one byte for the size of the pieces, one for the allocation that fails, then the stream.
 * Besides memory safety: the messages, and whether and where the stream is faulty, do not depend on
 * the pieces; memory stays within twice what was fed.
 */
#include <stdlib.h>
#include <string.h>

#include "base/base_alloc.h"
#include "rpc/rpc_frame.h"

#define FUZZ_HEAD 2

struct outcome {
    size_t messages;
    size_t bytes;
    uint32_t sum;
    int faulty;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count(struct outcome *outcome, const struct rpc_frame *frame)
{
    size_t i;

    if (frame->length < RPC_PREFIX_BYTES || frame->length > RPC_LENGTH_MAX ||
        frame->nfds > LVC_NET_MESSAGE_NUM_FDS_MAX ||
        frame->payload_len > LVC_NET_MESSAGE_PAYLOAD_MAX) {
        abort();
    }
    outcome->messages++;
    outcome->bytes += frame->payload_len;
    outcome->sum = outcome->sum * 31 + frame->header.serial + frame->nfds;
    for (i = 0; i < frame->payload_len; i++) {
        outcome->sum = outcome->sum * 31 + frame->payload[i];
    }
}

static struct outcome run(const uint8_t *data, size_t size, size_t step)
{
    struct outcome outcome = {0};
    struct rpc_framer framer;
    struct rpc_frame frame;
    lvc_error err;
    size_t fed = 0;
    size_t part;
    uint8_t *where;
    int rc = 0;

    rpc_framer_init(&framer);
    while (rc >= 0 && fed < size) {
        lvc_error_clear(&err);
        rc = rpc_framer_space(&framer, &where, &part, &err);
        if (rc < 0) {
            break;
        }
        if (part == 0 || framer.in.room > 2 * (fed + LVC_NET_MESSAGE_INITIAL)) {
            abort();
        }
        part = part < step ? part : step;
        part = part < size - fed ? part : size - fed;
        memcpy(where, data + fed, part);
        rpc_framer_fed(&framer, part);
        fed += part;
        (void)rpc_framer_awaits_fds(&framer);
        while ((rc = rpc_framer_next(&framer, &frame, &err)) > 0) {
            count(&outcome, &frame);
        }
    }
    outcome.faulty = rc < 0;
    if (outcome.faulty && (err.code == 0 || strlen(err.message) >= sizeof(err.message))) {
        abort();
    }
    rpc_framer_clear(&framer);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole;
    struct outcome pieces;

    if (size < FUZZ_HEAD) {
        return 0;
    }
    lvc_alloc_fail_at(0);
    whole = run(data + FUZZ_HEAD, size - FUZZ_HEAD, SIZE_MAX);
    pieces = run(data + FUZZ_HEAD, size - FUZZ_HEAD, (size_t)data[0] + 1);
    if (memcmp(&whole, &pieces, sizeof(whole)) != 0) {
        abort();
    }
    lvc_alloc_fail_at(data[1]);
    (void)run(data + FUZZ_HEAD, size - FUZZ_HEAD, (size_t)data[0] + 1);
    lvc_alloc_fail_at(0);
    if (lvc_alloc_live() != 0) {
        abort();
    }
    return 0;
}
