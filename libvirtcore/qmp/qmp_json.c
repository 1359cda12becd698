/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qmp_json.c: where a JSON value ends, if it is one.
 * Called by: qmp_frame. Calls: nothing.
 * Never: builds anything, recurses, reads beyond `end`.
 *
 * What is let through is what Python's json takes in strict mode, less NaN and the infinities, with
 * limits: numbers of QMP_NUMBER_MAX characters, QMP_DEPTH_MAX levels, no half of a surrogate pair.
 */
#include "qmp/qmp_json.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "qmp/qmp_frame.h"

const uint8_t *qmp_json_space(const uint8_t *at, const uint8_t *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')) {
        at++;
    }
    return at;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The code unit of four hexadecimal digits, -1 when they are not. */
static int32_t json_unit(const uint8_t *at, const uint8_t *end)
{
    int32_t unit = 0;
    int i;

    if (end - at < 4) {
        return -1;
    }
    for (i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);

        if (digit < 0) {
            return -1;
        }
        unit = unit * 16 + digit;
    }
    return unit;
}

/* Behind an escape; `at` is behind its backslash. */
static const uint8_t *json_escape(const uint8_t *at, const uint8_t *end)
{
    int32_t unit;

    if (at == end) {
        return NULL;
    }
    if (*at != 'u') {
        return *at != '\0' && strchr("\"\\/bfnrt", *at) != NULL ? at + 1 : NULL;
    }
    unit = json_unit(at + 1, end);
    if (unit < 0 || (unit >= 0xDC00 && unit <= 0xDFFF)) {
        return NULL;
    }
    at += 5;
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        if (end - at < 6 || at[0] != '\\' || at[1] != 'u') {
            return NULL;
        }
        unit = json_unit(at + 2, end);
        if (unit < 0xDC00 || unit > 0xDFFF) {
            return NULL;
        }
        at += 6;
    }
    return at;
}

static bool is_tail(uint8_t c)
{
    return (c & 0xC0) == 0x80;
}

/* Behind one character of more than one byte, in UTF-8 as Unicode defines it. */
static const uint8_t *json_wide(const uint8_t *at, const uint8_t *end)
{
    uint8_t lead = at[0];
    ptrdiff_t n = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    ptrdiff_t i;

    if (lead < 0xC2 || lead > 0xF4 || end - at < n) {
        return NULL;
    }
    for (i = 1; i < n; i++) {
        if (!is_tail(at[i])) {
            return NULL;
        }
    }
    if ((lead == 0xE0 && at[1] < 0xA0) || (lead == 0xED && at[1] > 0x9F) ||
        (lead == 0xF0 && at[1] < 0x90) || (lead == 0xF4 && at[1] > 0x8F)) {
        return NULL;
    }
    return at + n;
}

const uint8_t *qmp_json_string(const uint8_t *at, const uint8_t *end)
{
    if (at == end || *at != '"') {
        return NULL;
    }
    at++;
    while (at != NULL && at < end) {
        if (*at >= 0x80) {
            at = json_wide(at, end);
        } else if (*at == '"') {
            return at + 1;
        } else if (*at == '\\') {
            at = json_escape(at + 1, end);
        } else if (*at < 0x20) {
            return NULL;
        } else {
            at++;
        }
    }
    return NULL;
}

static const uint8_t *json_digits(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *from = at;

    while (at < end && *at >= '0' && *at <= '9') {
        at++;
    }
    return at == from ? NULL : at;
}

static const uint8_t *json_number(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *from = at;

    if (*at == '-') {
        at++;
    }
    if (at < end && *at == '0') {
        at++;
    } else {
        at = json_digits(at, end);
    }
    if (at != NULL && at < end && *at == '.') {
        at = json_digits(at + 1, end);
    }
    if (at != NULL && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-')) {
            at++;
        }
        at = json_digits(at, end);
    }
    return at != NULL && at - from <= QMP_NUMBER_MAX ? at : NULL;
}

static const uint8_t *json_word(const uint8_t *at, const uint8_t *end, const char *word)
{
    size_t len = strlen(word);

    return (size_t)(end - at) >= len && memcmp(at, word, len) == 0 ? at + len : NULL;
}

/* Behind a value that holds no others. */
static const uint8_t *json_scalar(const uint8_t *at, const uint8_t *end)
{
    switch (*at) {
    case '"':
        return qmp_json_string(at, end);
    case 't':
        return json_word(at, end, "true");
    case 'f':
        return json_word(at, end, "false");
    case 'n':
        return json_word(at, end, "null");
    default:
        return json_number(at, end);
    }
}

/* Behind `"key" :` and the space around it. */
static const uint8_t *json_key(const uint8_t *at, const uint8_t *end)
{
    at = qmp_json_string(at, end);
    if (at == NULL) {
        return NULL;
    }
    at = qmp_json_space(at, end);
    if (at == end || *at != ':') {
        return NULL;
    }
    return qmp_json_space(at + 1, end);
}

const uint8_t *qmp_json_value(const uint8_t *at, const uint8_t *end, unsigned depth)
{
    bool is_object[QMP_DEPTH_MAX + 1];
    unsigned bottom = depth;

    for (;;) {
        /* A value begins here. */
        if (at == NULL || at == end) {
            return NULL;
        }
        if (*at == '{' || *at == '[') {
            if (depth >= QMP_DEPTH_MAX) {
                return NULL;
            }
            is_object[depth++] = *at == '{';
            at = qmp_json_space(at + 1, end);
            if (at == end) {
                return NULL;
            }
            if (*at != (is_object[depth - 1] ? '}' : ']')) {
                if (is_object[depth - 1]) {
                    at = json_key(at, end);
                }
                continue;
            }
            depth--;
            at++;
        } else {
            at = json_scalar(at, end);
        }
        /* And ended here, maybe with those around it. */
        for (;;) {
            if (at == NULL || depth == bottom) {
                return at;
            }
            at = qmp_json_space(at, end);
            if (at == end) {
                return NULL;
            }
            if (*at == ',') {
                at = qmp_json_space(at + 1, end);
                if (is_object[depth - 1]) {
                    at = json_key(at, end);
                }
                break;
            }
            if (*at != (is_object[depth - 1] ? '}' : ']')) {
                return NULL;
            }
            depth--;
            at++;
        }
    }
}
