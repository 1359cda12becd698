/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qmp_frame.h: bytes of a monitor or a guest agent -> lines, each a checked JSON object whose
 * interesting members are located.
 * Called by: qmp_dispatch, tests. Sans I/O: whoever reads writes into the framer's memory.
 * Never: builds values; that is done where they are wanted, from the span alone.
 *
 * A line is taken only when all of it is JSON that Python's json reads, is UTF-8 without lone
 * surrogates and nests no deeper than QMP_DEPTH_MAX. An agent's line begins behind its last 0xFF.
 */
#ifndef LVC_QMP_FRAME_H
#define LVC_QMP_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base_buf.h"

/* QEMU itself nests a handful of levels; Python's reader recurses. */
#define QMP_DEPTH_MAX 256

/* Characters of one number: more than any 64-bit integer or double needs. */
#define QMP_NUMBER_MAX 512

/* What of a wrong line goes into a message. */
#define QMP_EXCERPT_MAX 64

enum qmp_kind {
    QMP_GARBAGE = 0, /* not JSON, or no object */
    QMP_OTHER,       /* an object, but none of the following, or several at once */
    QMP_GREETING,
    QMP_RETURN,
    QMP_ERROR,
    QMP_EVENT,
};

enum qmp_id {
    QMP_ID_NONE = 0,
    QMP_ID_NUMBER, /* plain digits, in `id` */
    QMP_ID_ALIEN,  /* nothing we ever send */
};

struct qmp_line {
    enum qmp_kind kind;
    enum qmp_id has_id;
    uint64_t id;
    const uint8_t *text; /* the whole line, without its end */
    size_t len;
    const uint8_t *value; /* of QMP, return, error or event */
    size_t value_len;
};

struct qmp_framer {
    struct lvc_buf in;
    size_t start;    /* of the first line that was not handed out */
    size_t scanned;  /* no line ends before this */
    size_t max_line;
    bool agent;
};

void qmp_framer_init(struct qmp_framer *framer, size_t max_line, bool agent);
void qmp_framer_clear(struct qmp_framer *framer);

/* Where the next bytes go, and how many fit. Lines that were handed out are gone then. */
int qmp_framer_space(struct qmp_framer *framer, uint8_t **where, size_t *room, lvc_error *err);
void qmp_framer_fed(struct qmp_framer *framer, size_t n);

/* 1 with the next line, 0 when none is whole, -1 when it is longer than the limit. The line stays
 * until the next call of qmp_framer_space. Empty lines are skipped. */
int qmp_framer_next(struct qmp_framer *framer, struct qmp_line *line);

/* Bytes of a line that is not whole. */
size_t qmp_framer_pending(const struct qmp_framer *framer, const uint8_t **text);

/* Look at one line; fills all of *line. */
void qmp_line_parse(struct qmp_line *line, const uint8_t *text, size_t len);

/* The beginning of a text with only printable characters, for a message. */
void qmp_excerpt(char out[QMP_EXCERPT_MAX + 4], const uint8_t *text, size_t len);

#endif
