/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_qmp_frame.c: any bytes as what a monitor or an agent says, however they are cut.
 * Called by: libFuzzer (tools/fuzz).
 *
 * Input: one byte for the size of the pieces and the kind of peer, one for the allocation that fails,
 * then the stream. Besides memory safety: the lines do not depend on the pieces; what was located
 * lies inside its line; memory stays within the limit.
 */
#include <stdlib.h>
#include <string.h>

#include "base/base_alloc.h"
#include "qmp/qmp_frame.h"

#define FUZZ_HEAD 2
#define FUZZ_LINE 20000

struct outcome {
    size_t lines;
    uint64_t sum;
    int too_long;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count(struct outcome *outcome, const struct qmp_line *line)
{
    char excerpt[QMP_EXCERPT_MAX + 4];
    size_t i;

    if (line->len == 0 || line->len > FUZZ_LINE) {
        abort();
    }
    if (line->kind >= QMP_GREETING &&
        (line->value_len == 0 || line->value < line->text ||
         line->value + line->value_len > line->text + line->len)) {
        abort();
    }
    qmp_excerpt(excerpt, line->text, line->len);
    if (strlen(excerpt) > QMP_EXCERPT_MAX + 3) {
        abort();
    }
    outcome->lines++;
    outcome->sum = outcome->sum * 31 + (uint64_t)line->kind + line->id * 7 + line->has_id;
    for (i = 0; i < line->len; i++) {
        outcome->sum = outcome->sum * 31 + line->text[i];
    }
}

/* False when memory ran out. */
static bool run(const uint8_t *data, size_t size, size_t piece, bool agent,
                struct outcome *outcome)
{
    struct qmp_framer framer;
    struct qmp_line line;
    uint8_t *where;
    size_t room;
    size_t n;
    bool done = true;
    int rc = 0;

    memset(outcome, 0, sizeof(*outcome));
    qmp_framer_init(&framer, FUZZ_LINE, agent);
    while (size > 0 && rc >= 0) {
        if (qmp_framer_space(&framer, &where, &room, NULL) < 0) {
            done = false;
            break;
        }
        n = size < piece ? size : piece;
        n = n < room ? n : room;
        memcpy(where, data, n);
        data += n;
        size -= n;
        qmp_framer_fed(&framer, n);
        while ((rc = qmp_framer_next(&framer, &line)) > 0) {
            count(outcome, &line);
        }
        if (framer.in.room > 2 * (FUZZ_LINE + 65536)) {
            abort();
        }
    }
    outcome->too_long = rc < 0;
    qmp_framer_clear(&framer);
    return done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole;
    struct outcome pieces;
    bool agent;

    if (size < FUZZ_HEAD) {
        return 0;
    }
    agent = (data[0] & 1) != 0;
    if (!run(data + FUZZ_HEAD, size - FUZZ_HEAD, SIZE_MAX, agent, &whole)) {
        abort();
    }
    lvc_alloc_fail_at(data[1]);
    if (run(data + FUZZ_HEAD, size - FUZZ_HEAD, 1 + (size_t)(data[0] >> 1), agent, &pieces) &&
        (whole.lines != pieces.lines || whole.sum != pieces.sum ||
         whole.too_long != pieces.too_long)) {
        abort();
    }
    lvc_alloc_fail_at(0);
    if (lvc_alloc_live() != 0) {
        abort();
    }
    return 0;
}
