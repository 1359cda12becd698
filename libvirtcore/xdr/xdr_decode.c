/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xdr_decode.c: walks a type table over an XDR message and writes a Python value stream.
 * Called by: rpc, xdr_face. Calls: xdr_reader, xdr_text, xdr_keys, xdr_emit, base.
 * Never: emits a byte of the message that it did not check: bounds, limits, ranges, UTF-8, NUL.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "generated/tables.h"
#include "xdr/xdr_codec.h"
#include "xdr/xdr_emit.h"
#include "xdr/xdr_keys.h"
#include "xdr/xdr_path.h"
#include "xdr/xdr_reader.h"
#include "xdr/xdr_text.h"

#define PARAM_INT 1
#define PARAM_UINT 2
#define PARAM_LLONG 3
#define PARAM_ULLONG 4
#define PARAM_DOUBLE 5
#define PARAM_BOOLEAN 6
#define PARAM_STRING 7

/* An empty name, a type, a value of one word. */
#define PARAM_SMALLEST 12

struct decoder {
    struct xdr_reader in;
    const uint8_t *start;
    struct lvc_buf *out;
    lvc_error *err;
    int pickle;
    int dict;
    struct xdr_path path;
    struct xdr_keys keys; /* last: it is large and mostly untouched */
};

static int decode_value(struct decoder *dec, uint32_t type);

/* ---- faults ---- */

__attribute__((cold, noinline)) LVC_PRINTF(2, 3) static int
decode_fault(struct decoder *dec, const char *format, ...)
{
    char place[XDR_PATH_TEXT];
    char fault[200];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(fault, sizeof(fault), format, args);
    va_end(args);
    xdr_path_text(&dec->path, "message", place);
    return lvc_error_set(dec->err, LVC_ERR_RPC, LVC_FROM_RPC,
                         "Unable to decode message payload: %s at byte %td: %s", place,
                         dec->in.at - dec->start, fault);
}

__attribute__((cold, noinline)) static int decode_short(struct decoder *dec, size_t needed)
{
    return decode_fault(dec, "%zu bytes are needed, %zu remain", needed, xdr_reader_left(&dec->in));
}

__attribute__((cold, noinline)) static int decode_range(struct decoder *dec, int64_t value,
                                                        int64_t low, int64_t high)
{
    return decode_fault(dec, "%" PRId64 " is outside %" PRId64 "..%" PRId64, value, low, high);
}

__attribute__((cold, noinline)) static int decode_deep(struct decoder *dec)
{
    return decode_fault(dec, "the type is nested too deep");
}

/* ---- where the next token goes ---- */

static inline uint8_t *decode_room(struct decoder *dec, size_t payload)
{
    if (lvc_buf_reserve(dec->out, payload + XDR_EMIT_MAX, dec->err) < 0) {
        return NULL;
    }
    return dec->out->data + dec->out->len;
}

static inline int decode_put(struct decoder *dec, const uint8_t *behind)
{
    dec->out->len = (size_t)(behind - dec->out->data);
    return 0;
}

/* ---- parts ---- */

/* A word that stays unread when the caller finds fault with it. */
static inline int decode_peek(struct decoder *dec, uint32_t *word_out)
{
    if (xdr_reader_left(&dec->in) < 4) {
        *word_out = 0;
        return decode_short(dec, 4);
    }
    *word_out = xdr_load_u32(dec->in.at);
    return 0;
}

static int decode_flag(struct decoder *dec, uint32_t *flag_out)
{
    if (decode_peek(dec, flag_out) < 0) {
        return -1;
    }
    if (*flag_out > 1) {
        return decode_fault(dec, "%" PRIu32 " is neither 0 nor 1", *flag_out);
    }
    dec->in.at += 4;
    return 0;
}

/* A count of things that take at least `size` bytes each. */
static int decode_count(struct decoder *dec, uint32_t max, uint32_t size, const char *things,
                        uint32_t *count_out)
{
    size_t left;

    if (decode_peek(dec, count_out) < 0) {
        return -1;
    }
    left = xdr_reader_left(&dec->in) - 4;
    if (*count_out > max) {
        return decode_fault(dec, "%" PRIu32 " %s exceed the limit of %" PRIu32, *count_out, things,
                            max);
    }
    if ((uint64_t)*count_out * size > left) {
        return decode_fault(dec, "%" PRIu32 " %s do not fit in the %zu bytes that remain",
                            *count_out, things, left);
    }
    dec->in.at += 4;
    return 0;
}

static int decode_padded(struct decoder *dec, uint32_t len, const uint8_t **bytes_out)
{
    *bytes_out = NULL;
    if (xdr_reader_bytes(&dec->in, len, bytes_out) < 0) {
        return decode_short(dec, (size_t)len + (4 - len % 4) % 4);
    }
    return 0;
}

/* Find the string and check all but its contents. */
static int decode_text_bounds(struct decoder *dec, uint32_t max, const uint8_t **text_out,
                              uint32_t *len_out)
{
    *text_out = NULL;
    if (decode_count(dec, max, 1, "bytes", len_out) < 0) {
        return -1;
    }
    return decode_padded(dec, *len_out, text_out);
}

static int decode_text_contents(struct decoder *dec, const uint8_t *text, uint32_t len,
                                int *ascii_out)
{
    size_t fault = 0;
    enum xdr_text kind = xdr_text_check(text, len, &fault);

    *ascii_out = kind == XDR_TEXT_ASCII;
    if (kind == XDR_TEXT_ASCII || kind == XDR_TEXT_UTF8) {
        return 0;
    }
    dec->in.at = text + fault;
    return decode_fault(dec, kind == XDR_TEXT_NUL ? "the string holds a NUL"
                                                  : "the string is not UTF-8");
}

static int decode_string(struct decoder *dec, uint32_t max)
{
    const uint8_t *text;
    uint8_t *at;
    uint32_t len;
    int ascii;

    if (decode_text_bounds(dec, max, &text, &len) < 0 ||
        decode_text_contents(dec, text, len, &ascii) < 0 || (at = decode_room(dec, len)) == NULL) {
        return -1;
    }
    return decode_put(dec, emit_text(at, dec->pickle, text, len, ascii));
}

static int decode_opaque(struct decoder *dec, uint32_t len)
{
    const uint8_t *bytes;
    uint8_t *at;

    if (decode_padded(dec, len, &bytes) < 0 || (at = decode_room(dec, len)) == NULL) {
        return -1;
    }
    return decode_put(dec, emit_bytes(at, dec->pickle, bytes, len));
}

/* Each char is a word of its own, signed or not as the peer's machine has it. */
static int decode_chars(struct decoder *dec, uint32_t len)
{
    uint8_t *at;
    uint8_t *chars;
    uint32_t i;

    if (xdr_reader_left(&dec->in) / 4 < len) {
        return decode_short(dec, (size_t)len * 4);
    }
    if ((at = decode_room(dec, len)) == NULL) {
        return -1;
    }
    at = emit_bytes(at, dec->pickle, dec->in.at, len); /* the right number of any bytes */
    chars = at - len;
    for (i = 0; i < len; i++) {
        int32_t value = (int32_t)xdr_load_u32(dec->in.at);

        if (value < INT8_MIN || value > UINT8_MAX) {
            return decode_range(dec, value, INT8_MIN, UINT8_MAX);
        }
        chars[i] = (uint8_t)value;
        dec->in.at += 4;
    }
    return decode_put(dec, at);
}

static inline int decode_i32(struct decoder *dec, int32_t low, int32_t high)
{
    uint8_t *at = decode_room(dec, 0);
    uint32_t word;
    int32_t value;

    if (at == NULL || decode_peek(dec, &word) < 0) {
        return -1;
    }
    value = (int32_t)word;
    if (value < low || value > high) {
        return decode_range(dec, value, low, high);
    }
    dec->in.at += 4;
    return decode_put(dec, emit_i64(at, dec->pickle, value));
}

static inline int decode_u32(struct decoder *dec)
{
    uint8_t *at = decode_room(dec, 0);
    uint32_t word;

    if (at == NULL || decode_peek(dec, &word) < 0) {
        return -1;
    }
    dec->in.at += 4;
    return decode_put(dec, emit_u64(at, dec->pickle, word));
}

/* The three types of eight bytes. */
static inline int decode_hyper(struct decoder *dec, uint32_t code)
{
    uint8_t *at = decode_room(dec, 0);
    uint64_t word;

    if (at == NULL) {
        return -1;
    }
    if (xdr_reader_u64(&dec->in, &word) < 0) {
        return decode_short(dec, 8);
    }
    if (code == LVC_TYPE_I64) {
        at = emit_i64(at, dec->pickle, (int64_t)word);
    } else if (code == LVC_TYPE_U64) {
        at = emit_u64(at, dec->pickle, word);
    } else {
        at = emit_f64(at, dec->pickle, word);
    }
    return decode_put(dec, at);
}

/* ---- composites ---- */

static int decode_struct(struct decoder *dec, uint32_t count, const uint32_t *fields)
{
    uint8_t *at = decode_room(dec, 0);
    uint32_t i;

    if (at == NULL || xdr_path_enter(&dec->path) < 0) {
        return at == NULL ? -1 : decode_deep(dec);
    }
    (void)decode_put(dec, emit_tuple_begin(at, dec->pickle, count));
    for (i = 0; i < count; i++) {
        xdr_path_at(&dec->path, i);
        if (decode_value(dec, fields[i]) < 0) {
            return -1;
        }
    }
    xdr_path_leave(&dec->path);
    return (at = decode_room(dec, 0)) == NULL ? -1
                                              : decode_put(dec, emit_tuple_end(at, dec->pickle));
}

static int decode_array(struct decoder *dec, uint32_t max, uint32_t element)
{
    uint8_t *at = decode_room(dec, 0);
    uint32_t count;
    uint32_t i;

    if (at == NULL || decode_count(dec, max, 4, "elements", &count) < 0) {
        return -1;
    }
    if (xdr_path_enter(&dec->path) < 0) {
        return decode_deep(dec);
    }
    (void)decode_put(dec, emit_list_begin(at, dec->pickle, count));
    for (i = 0; i < count; i++) {
        xdr_path_at(&dec->path, i);
        if (decode_value(dec, element) < 0) {
            return -1;
        }
    }
    xdr_path_leave(&dec->path);
    return (at = decode_room(dec, 0)) == NULL ? -1
                                              : decode_put(dec, emit_list_end(at, dec->pickle));
}

/* ---- typed parameters: the bulk of what a daemon sends ---- */

/* The name, shared when it occurred before. */
static int decode_param_name(struct decoder *dec)
{
    const uint8_t *name;
    struct xdr_key *key;
    uint8_t *at;
    uint32_t len;
    int ascii;

    if (decode_text_bounds(dec, LVC_REMOTE_STRING_MAX, &name, &len) < 0 ||
        (at = decode_room(dec, len)) == NULL) {
        return -1;
    }
    key = xdr_keys_find(&dec->keys, name, len);
    if (key != NULL && key->name != NULL) {
        return decode_put(dec, emit_ref(at, dec->pickle, key->ref));
    }
    if (decode_text_contents(dec, name, len, &ascii) < 0) {
        return -1;
    }
    if (key == NULL) {
        return decode_put(dec, emit_text(at, dec->pickle, name, len, ascii));
    }
    xdr_keys_add(&dec->keys, key, name, len);
    return decode_put(dec, emit_text_shared(at, dec->pickle, name, len, ascii));
}

static int decode_param_value(struct decoder *dec, uint32_t kind)
{
    uint8_t *at;
    uint32_t flag;

    switch (kind) {
    case PARAM_INT:
        return decode_i32(dec, INT32_MIN, INT32_MAX);
    case PARAM_UINT:
        return decode_u32(dec);
    case PARAM_LLONG:
        return decode_hyper(dec, LVC_TYPE_I64);
    case PARAM_ULLONG:
        return decode_hyper(dec, LVC_TYPE_U64);
    case PARAM_DOUBLE:
        return decode_hyper(dec, LVC_TYPE_F64);
    case PARAM_STRING:
        return decode_string(dec, LVC_REMOTE_STRING_MAX);
    default: /* PARAM_BOOLEAN; decode_param has checked the rest */
        if ((at = decode_room(dec, 0)) == NULL || decode_flag(dec, &flag) < 0) {
            return -1;
        }
        return decode_put(dec, emit_bool(at, dec->pickle, flag != 0));
    }
}

/* Name, type, value: a triple, or in dict mode the name and the value. */
static int decode_param(struct decoder *dec)
{
    uint8_t *at;
    uint32_t kind;

    if (decode_param_name(dec) < 0 || decode_peek(dec, &kind) < 0) {
        return -1;
    }
    if (kind < PARAM_INT || kind > PARAM_STRING) {
        return decode_fault(dec, "%" PRIu32 " is not a type of typed parameters (1..7)", kind);
    }
    dec->in.at += 4;
    if (!dec->dict) {
        if ((at = decode_room(dec, 0)) == NULL) {
            return -1;
        }
        (void)decode_put(dec, emit_i64(at, dec->pickle, (int64_t)kind));
    }
    return decode_param_value(dec, kind);
}

static int decode_param_list(struct decoder *dec, uint32_t count)
{
    uint8_t *at = decode_room(dec, 0);
    uint32_t i;

    if (at == NULL) {
        return -1;
    }
    (void)decode_put(dec, emit_list_begin(at, dec->pickle, count));
    for (i = 0; i < count; i++) {
        xdr_path_at(&dec->path, i);
        if ((at = decode_room(dec, 0)) == NULL) {
            return -1;
        }
        (void)decode_put(dec, emit_tuple_begin(at, dec->pickle, 3));
        if (decode_param(dec) < 0 || (at = decode_room(dec, 0)) == NULL) {
            return -1;
        }
        (void)decode_put(dec, emit_tuple_end(at, dec->pickle));
    }
    return (at = decode_room(dec, 0)) == NULL ? -1
                                              : decode_put(dec, emit_list_end(at, dec->pickle));
}

static int decode_param_dict(struct decoder *dec, uint32_t count)
{
    uint8_t *at = decode_room(dec, 0);
    uint32_t i;

    if (at == NULL) {
        return -1;
    }
    (void)decode_put(dec, emit_dict_begin(at, dec->pickle));
    for (i = 0; i < count; i++) {
        xdr_path_at(&dec->path, i);
        if (decode_param(dec) < 0) {
            return -1;
        }
    }
    return (at = decode_room(dec, 0)) == NULL ? -1
                                              : decode_put(dec, emit_dict_end(at, dec->pickle));
}

static int decode_params(struct decoder *dec, uint32_t max)
{
    uint32_t count;

    if (decode_count(dec, max, PARAM_SMALLEST, "typed parameters", &count) < 0) {
        return -1;
    }
    if (xdr_path_enter(&dec->path) < 0) {
        return decode_deep(dec);
    }
    if ((dec->dict ? decode_param_dict(dec, count) : decode_param_list(dec, count)) < 0) {
        return -1;
    }
    xdr_path_leave(&dec->path);
    return 0;
}

/* ---- the walk ---- */

static int decode_none(struct decoder *dec)
{
    uint8_t *at = decode_room(dec, 0);

    return at == NULL ? -1 : decode_put(dec, emit_none(at, dec->pickle));
}

static int decode_value(struct decoder *dec, uint32_t type)
{
    const uint32_t *words = lvc_types + type;
    uint32_t count;

    switch ((enum lvc_type)words[0]) {
    case LVC_TYPE_VOID:
        return decode_none(dec);
    case LVC_TYPE_I32:
        return decode_i32(dec, INT32_MIN, INT32_MAX);
    case LVC_TYPE_U32:
        return decode_u32(dec);
    case LVC_TYPE_I64:
    case LVC_TYPE_U64:
    case LVC_TYPE_F64:
        return decode_hyper(dec, words[0]);
    case LVC_TYPE_I8:
        return decode_i32(dec, INT8_MIN, INT8_MAX);
    case LVC_TYPE_U8:
        return decode_i32(dec, 0, UINT8_MAX);
    case LVC_TYPE_U16:
        return decode_i32(dec, 0, UINT16_MAX);
    case LVC_TYPE_STRING:
        return decode_string(dec, words[1]);
    case LVC_TYPE_OPAQUE:
        return decode_count(dec, words[1], 1, "bytes", &count) < 0
                   ? -1
                   : decode_opaque(dec, count);
    case LVC_TYPE_OPAQUE_FIXED:
        return decode_opaque(dec, words[1]);
    case LVC_TYPE_CHARS:
        return decode_count(dec, words[1], 4, "characters", &count) < 0
                   ? -1
                   : decode_chars(dec, count);
    case LVC_TYPE_CHARS_FIXED:
        return decode_chars(dec, words[1]);
    case LVC_TYPE_OPTIONAL:
        if (decode_flag(dec, &count) < 0) {
            return -1;
        }
        return count == 0 ? decode_none(dec) : decode_value(dec, words[1]);
    case LVC_TYPE_ARRAY:
        return decode_array(dec, words[1], words[2]);
    case LVC_TYPE_STRUCT:
        return decode_struct(dec, words[1], words + 2);
    case LVC_TYPE_TPARAMS:
        return decode_params(dec, words[1]);
    }
    return decode_fault(dec, "%" PRIu32 " is not a type", type);
}

static int decode_frame_edge(struct decoder *dec, uint8_t *(*edge)(uint8_t *))
{
    uint8_t *at;

    if (!dec->pickle) {
        return 0;
    }
    at = decode_room(dec, 0);
    return at == NULL ? -1 : decode_put(dec, edge(at));
}

int lvc_xdr_decode(uint32_t type, const uint8_t *data, size_t len, uint32_t flags,
                   struct lvc_buf *out, lvc_error *err)
{
    struct decoder dec; /* not zeroed: the keys are 16 KiB that most messages never touch */
    size_t before = out->len;
    int ret = -1;

    xdr_reader_init(&dec.in, data, len);
    dec.start = data;
    dec.out = out;
    dec.err = err;
    dec.pickle = (flags & LVC_DECODE_PICKLE) != 0;
    dec.dict = (flags & LVC_DECODE_DICT) != 0;
    dec.keys.count = 0;
    xdr_path_init(&dec.path);
    if (decode_frame_edge(&dec, pickle_begin) < 0 || decode_value(&dec, type) < 0) {
        goto cleanup;
    }
    if (xdr_reader_left(&dec.in) != 0) {
        (void)decode_fault(&dec, "%zu bytes follow the value", xdr_reader_left(&dec.in));
        goto cleanup;
    }
    ret = decode_frame_edge(&dec, pickle_end);

cleanup:
    if (ret < 0) {
        out->len = before;
    }
    return ret;
}
