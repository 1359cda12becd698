/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qmp_frame.c: bytes of a monitor or a guest agent -> lines with their members located.
 * Called by: qmp_dispatch, tests. Calls: qmp_json, base_buf.
 * Never: reads a descriptor; keeps more than one line beyond what was handed out.
 */
#include "qmp/qmp_frame.h"

#include <string.h>

#include "qmp/qmp_json.h"

/* Least room for one read; a schema of 200 kB then takes a few. */
#define FRAMER_READ ((size_t)16 << 10)

/* Memory that a huge line made is given back when it is gone. */
#define FRAMER_KEEP ((size_t)1 << 20)

void qmp_framer_init(struct qmp_framer *framer, size_t max_line, bool agent)
{
    memset(framer, 0, sizeof(*framer));
    lvc_buf_init(&framer->in, max_line + 2 * FRAMER_READ);
    framer->max_line = max_line;
    framer->agent = agent;
}

void qmp_framer_clear(struct qmp_framer *framer)
{
    lvc_buf_clear(&framer->in);
    framer->start = 0;
    framer->scanned = 0;
}

int qmp_framer_space(struct qmp_framer *framer, uint8_t **where, size_t *room, lvc_error *err)
{
    struct lvc_buf *in = &framer->in;

    if (framer->start > 0 && (framer->start == in->len || in->room - in->len < FRAMER_READ)) {
        lvc_buf_consume(in, framer->start);
        framer->scanned -= framer->start;
        framer->start = 0;
    }
    if (in->len == 0 && in->room > FRAMER_KEEP) {
        lvc_buf_clear(in);
    }
    if (lvc_buf_reserve(in, FRAMER_READ, err) < 0) {
        return -1;
    }
    *where = in->data + in->len;
    *room = in->room - in->len;
    return 0;
}

void qmp_framer_fed(struct qmp_framer *framer, size_t n)
{
    framer->in.len += n;
}

/* Without white space around it; an agent's also without what stands before its last 0xFF. */
static void line_trim(const struct qmp_framer *framer, const uint8_t **text, const uint8_t **end)
{
    const uint8_t *at;

    if (framer->agent) {
        for (at = *end; at > *text; at--) {
            if (at[-1] == 0xFF) {
                *text = at;
                break;
            }
        }
    }
    while (*end > *text && ((*end)[-1] == '\r' || (*end)[-1] == ' ' || (*end)[-1] == '\t')) {
        (*end)--;
    }
    *text = qmp_json_space(*text, *end);
}

int qmp_framer_next(struct qmp_framer *framer, struct qmp_line *line)
{
    const struct lvc_buf *in = &framer->in;
    const uint8_t *text;
    const uint8_t *end;

    while (framer->scanned < in->len) {
        text = in->data + framer->start;
        end = memchr(in->data + framer->scanned, '\n', in->len - framer->scanned);
        if (end == NULL) {
            framer->scanned = in->len;
            break;
        }
        if ((size_t)(end - text) > framer->max_line) {
            return -1;
        }
        framer->start = (size_t)(end - in->data) + 1;
        framer->scanned = framer->start;
        line_trim(framer, &text, &end);
        if (text < end) {
            qmp_line_parse(line, text, (size_t)(end - text));
            return 1;
        }
    }
    return in->len - framer->start > framer->max_line ? -1 : 0;
}

size_t qmp_framer_pending(const struct qmp_framer *framer, const uint8_t **text)
{
    *text = framer->in.len > 0 ? framer->in.data + framer->start : NULL;
    return framer->in.len - framer->start;
}

static bool key_is(const uint8_t *key, size_t len, const char *name)
{
    return len == strlen(name) && memcmp(key, name, len) == 0;
}

static void line_take_id(struct qmp_line *line, const uint8_t *at, size_t len)
{
    uint64_t id = 0;
    size_t i;

    line->has_id = QMP_ID_ALIEN;
    if (len > 18 || (len > 1 && at[0] == '0')) {
        return;
    }
    for (i = 0; i < len; i++) {
        if (at[i] < '0' || at[i] > '9') {
            return;
        }
        id = id * 10 + (uint64_t)(at[i] - '0');
    }
    line->has_id = QMP_ID_NUMBER;
    line->id = id;
}

/* A member of the object: remember it if its name matters. Names with escapes never do. */
static void line_take(struct qmp_line *line, unsigned *seen, const uint8_t *key, size_t key_len,
                      const uint8_t *value, size_t value_len)
{
    static const struct {
        const char *name;
        enum qmp_kind kind;
    } kinds[] = {{"return", QMP_RETURN}, {"event", QMP_EVENT}, {"error", QMP_ERROR},
                 {"QMP", QMP_GREETING}};
    size_t i;

    if (key_is(key, key_len, "id")) {
        line_take_id(line, value, value_len);
        return;
    }
    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (key_is(key, key_len, kinds[i].name)) {
            *seen |= 1U << i;
            line->kind = kinds[i].kind;
            line->value = value;
            line->value_len = value_len;
        }
    }
}

void qmp_line_parse(struct qmp_line *line, const uint8_t *text, size_t len)
{
    const uint8_t *end = text + len;
    const uint8_t *at = text;
    unsigned seen = 0;

    memset(line, 0, sizeof(*line));
    line->text = text;
    line->len = len;
    if (len == 0 || *at != '{') {
        return;
    }
    at = qmp_json_space(at + 1, end);
    line->kind = QMP_OTHER;
    while (at < end && *at == '"') {
        const uint8_t *key = at + 1;
        const uint8_t *key_end = qmp_json_string(at, end);
        const uint8_t *value;

        if (key_end == NULL) {
            goto garbage;
        }
        at = qmp_json_space(key_end, end);
        if (at == end || *at != ':') {
            goto garbage;
        }
        value = qmp_json_space(at + 1, end);
        at = qmp_json_value(value, end, 1);
        if (at == NULL) {
            goto garbage;
        }
        line_take(line, &seen, key, (size_t)(key_end - 1 - key), value, (size_t)(at - value));
        at = qmp_json_space(at, end);
        if (at < end && *at == ',') {
            at = qmp_json_space(at + 1, end);
            if (at == end || *at != '"') {
                goto garbage;
            }
        } else {
            break;
        }
    }
    if (at == end || *at != '}' || qmp_json_space(at + 1, end) != end) {
        goto garbage;
    }
    if (seen == 0 || (seen & (seen - 1)) != 0 ||
        (line->kind == QMP_EVENT && line->value[0] != '"')) {
        line->kind = QMP_OTHER;
    }
    return;

garbage:
    line->kind = QMP_GARBAGE;
}

void qmp_excerpt(char out[QMP_EXCERPT_MAX + 4], const uint8_t *text, size_t len)
{
    size_t n = len < QMP_EXCERPT_MAX ? len : QMP_EXCERPT_MAX;
    size_t i;

    for (i = 0; i < n; i++) {
        out[i] = (char)(text[i] >= 0x20 && text[i] < 0x7F ? text[i] : '?');
    }
    memcpy(out + n, n < len ? "..." : "", n < len ? 4 : 1);
}
