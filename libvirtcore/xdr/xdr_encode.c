/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xdr_encode.c: walks a type table over what marshal.dumps(value, 2) gave and writes XDR.
 * Called by: rpc, xdr_face. Calls: xdr_marshal, xdr_writer, xdr_text, base.
 * Never: trusts the stream: every length is checked against its end.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "generated/tables.h"
#include "xdr/xdr_codec.h"
#include "xdr/xdr_marshal.h"
#include "xdr/xdr_path.h"
#include "xdr/xdr_text.h"
#include "xdr/xdr_writer.h"

#define PARAM_FIELDS 3
#define PARAM_BOOLEAN 6
#define PARAM_STRING 7

struct encoder {
    const uint8_t *at;
    const uint8_t *end;
    struct lvc_buf *out;
    lvc_error *err;
    struct xdr_path path;
};

/* A whole number: its sign apart, since both i64 and u64 must fit. */
struct number {
    uint64_t magnitude;
    int negative;
};

static int encode_value(struct encoder *enc, uint32_t type);

static inline size_t stream_left(const struct encoder *enc)
{
    return (size_t)(enc->end - enc->at);
}

/* ---- faults ---- */

__attribute__((cold, noinline)) LVC_PRINTF(2, 3) static int
encode_fault(struct encoder *enc, const char *format, ...)
{
    char place[XDR_PATH_TEXT];
    char fault[200];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(fault, sizeof(fault), format, args);
    va_end(args);
    xdr_path_text(&enc->path, "args", place);
    return lvc_error_set(enc->err, LVC_ERR_RPC, LVC_FROM_RPC,
                         "Unable to encode message payload: %s: %s", place, fault);
}

__attribute__((cold, noinline)) static int encode_truncated(struct encoder *enc)
{
    return encode_fault(enc, "the value stream ended early");
}

static const char *python_type(uint8_t code)
{
    switch (code) {
    case MARSHAL_NONE:
        return "None";
    case MARSHAL_TRUE:
    case MARSHAL_FALSE:
        return "bool";
    case MARSHAL_INT:
    case MARSHAL_LONG:
        return "int";
    case MARSHAL_DOUBLE:
        return "float";
    case MARSHAL_BYTES:
        return "bytes";
    case MARSHAL_TEXT:
    case MARSHAL_INTERNED:
        return "str";
    case MARSHAL_TUPLE:
        return "tuple";
    case MARSHAL_LIST:
        return "list";
    case MARSHAL_DICT:
        return "dict";
    case '<':
        return "set";
    case '>':
        return "frozenset";
    case 'y':
        return "complex";
    default:
        return "another object";
    }
}

__attribute__((cold, noinline)) static int encode_mismatch(struct encoder *enc, const char *wanted)
{
    if (enc->at == enc->end) {
        return encode_truncated(enc);
    }
    if (*enc->at == MARSHAL_UNKNOWN && stream_left(enc) >= 2 && enc->at[1] <= stream_left(enc) - 2) {
        return encode_fault(enc, "expected %s, got %.*s", wanted, enc->at[1],
                            (const char *)enc->at + 2);
    }
    return encode_fault(enc, "expected %s, got %s", wanted, python_type(*enc->at));
}

__attribute__((cold, noinline)) static int encode_range(struct encoder *enc,
                                                        const struct number *number, int64_t low,
                                                        uint64_t high)
{
    return encode_fault(enc, "%s%" PRIu64 " is outside %" PRId64 "..%" PRIu64,
                        number->negative ? "-" : "", number->magnitude, low, high);
}

/* ---- the stream ---- */

/* The code of the next object, 0 at the end. */
static inline uint8_t stream_code(const struct encoder *enc)
{
    return enc->at == enc->end ? 0 : *enc->at;
}

/* The word behind the code; moves past both. */
static inline int stream_sized(struct encoder *enc, uint32_t *size_out)
{
    if (stream_left(enc) < 5) {
        *size_out = 0;
        return encode_truncated(enc);
    }
    *size_out = marshal_load_u32(enc->at + 1);
    enc->at += 5;
    return 0;
}

/* The bytes of a str or bytes object. */
static int stream_bytes(struct encoder *enc, const uint8_t **bytes_out, uint32_t *len_out)
{
    *bytes_out = NULL;
    if (stream_sized(enc, len_out) < 0) {
        return -1;
    }
    if (*len_out > stream_left(enc)) {
        return encode_truncated(enc);
    }
    *bytes_out = enc->at;
    enc->at += *len_out;
    return 0;
}

/* The digits of a long. */
static int stream_long(struct encoder *enc, struct number *number_out)
{
    uint64_t magnitude = 0;
    uint32_t count;
    uint32_t i;

    if (stream_sized(enc, &count) < 0) {
        return -1;
    }
    number_out->negative = count > INT32_MAX;
    if (number_out->negative) {
        count = 0 - count;
    }
    if (stream_left(enc) / 2 < count) {
        return encode_truncated(enc);
    }
    for (i = count; i > 0; i--) {
        const uint8_t *digit = enc->at + (size_t)(i - 1) * 2;

        if (magnitude >> (64 - MARSHAL_DIGIT_BITS) != 0) {
            return encode_fault(enc, "the number does not fit in 64 bits");
        }
        magnitude = magnitude << MARSHAL_DIGIT_BITS |
                    ((uint64_t)(digit[0] | digit[1] << 8) & MARSHAL_DIGIT_MASK);
    }
    enc->at += (size_t)count * 2;
    number_out->magnitude = magnitude;
    return 0;
}

static int stream_number(struct encoder *enc, const char *wanted, struct number *number_out)
{
    uint32_t word;

    number_out->magnitude = 0;
    number_out->negative = 0;
    switch (stream_code(enc)) {
    case MARSHAL_INT:
        if (stream_sized(enc, &word) < 0) {
            return -1;
        }
        number_out->negative = word > INT32_MAX;
        number_out->magnitude = number_out->negative ? 0 - word : word;
        return 0;
    case MARSHAL_LONG:
        return stream_long(enc, number_out);
    case MARSHAL_TRUE:
    case MARSHAL_FALSE:
        number_out->magnitude = stream_code(enc) == MARSHAL_TRUE;
        enc->at++;
        return 0;
    default:
        return encode_mismatch(enc, wanted);
    }
}

/* Head of a tuple or list. */
static int stream_sequence(struct encoder *enc, const char *wanted, uint32_t *count_out)
{
    uint8_t code = stream_code(enc);

    *count_out = 0;
    if (code != MARSHAL_TUPLE && code != MARSHAL_LIST) {
        return encode_mismatch(enc, wanted);
    }
    return stream_sized(enc, count_out);
}

/* ---- scalars ---- */

/* In range, as the two's complement that goes on the wire. */
static int encode_number(struct encoder *enc, int64_t low, uint64_t high, uint64_t *bits_out)
{
    struct number number;

    *bits_out = 0;
    if (stream_number(enc, "int", &number) < 0) {
        return -1;
    }
    if (number.negative ? low >= 0 || number.magnitude > 0 - (uint64_t)low
                        : number.magnitude > high ||
                              (low > 0 && number.magnitude < (uint64_t)low)) {
        return encode_range(enc, &number, low, high);
    }
    *bits_out = number.negative ? 0 - number.magnitude : number.magnitude;
    return 0;
}

static int encode_word(struct encoder *enc, int64_t low, uint64_t high)
{
    uint64_t bits;

    if (encode_number(enc, low, high, &bits) < 0) {
        return -1;
    }
    return xdr_writer_u32(enc->out, (uint32_t)bits, enc->err);
}

static int encode_hyper(struct encoder *enc, int64_t low, uint64_t high)
{
    uint64_t bits;

    if (encode_number(enc, low, high, &bits) < 0) {
        return -1;
    }
    return xdr_writer_u64(enc->out, bits, enc->err);
}

static int encode_double(struct encoder *enc)
{
    struct number number;
    uint64_t bits;
    double value;

    if (stream_code(enc) == MARSHAL_DOUBLE) {
        if (stream_left(enc) < 9) {
            return encode_truncated(enc);
        }
        bits = (uint64_t)marshal_load_u32(enc->at + 5) << 32 | marshal_load_u32(enc->at + 1);
        enc->at += 9;
    } else {
        if (stream_number(enc, "float", &number) < 0) {
            return -1;
        }
        value = (double)number.magnitude;
        value = number.negative ? -value : value;
        memcpy(&bits, &value, sizeof(bits));
    }
    return xdr_writer_u64(enc->out, bits, enc->err);
}

/* ---- strings and bytes ---- */

static int encode_limit(struct encoder *enc, uint32_t len, uint32_t max, const char *things)
{
    if (len > max) {
        return encode_fault(enc, "%" PRIu32 " %s exceed the limit of %" PRIu32, len, things, max);
    }
    return 0;
}

static int encode_string(struct encoder *enc, uint32_t max)
{
    const uint8_t *text;
    uint32_t len;
    size_t fault = 0;

    if (stream_code(enc) != MARSHAL_TEXT && stream_code(enc) != MARSHAL_INTERNED) {
        return encode_mismatch(enc, "str");
    }
    if (stream_bytes(enc, &text, &len) < 0 || encode_limit(enc, len, max, "bytes") < 0) {
        return -1;
    }
    switch (xdr_text_check(text, len, &fault)) {
    case XDR_TEXT_ASCII:
    case XDR_TEXT_UTF8:
        break;
    case XDR_TEXT_NUL:
        return encode_fault(enc, "the string holds a NUL at byte %zu", fault);
    case XDR_TEXT_BAD:
        return encode_fault(enc, "the string is not UTF-8 at byte %zu", fault);
    }
    if (xdr_writer_u32(enc->out, len, enc->err) < 0) {
        return -1;
    }
    return xdr_writer_bytes(enc->out, text, len, enc->err);
}

static int encode_bytes(struct encoder *enc, const uint8_t **bytes_out, uint32_t *len_out)
{
    if (stream_code(enc) != MARSHAL_BYTES) {
        *bytes_out = NULL;
        *len_out = 0;
        return encode_mismatch(enc, "bytes");
    }
    return stream_bytes(enc, bytes_out, len_out);
}

static int encode_opaque(struct encoder *enc, uint32_t max)
{
    const uint8_t *bytes;
    uint32_t len;

    if (encode_bytes(enc, &bytes, &len) < 0 || encode_limit(enc, len, max, "bytes") < 0 ||
        xdr_writer_u32(enc->out, len, enc->err) < 0) {
        return -1;
    }
    return xdr_writer_bytes(enc->out, bytes, len, enc->err);
}

static int encode_opaque_fixed(struct encoder *enc, uint32_t size)
{
    const uint8_t *bytes;
    uint32_t len;

    if (encode_bytes(enc, &bytes, &len) < 0) {
        return -1;
    }
    if (len != size) {
        return encode_fault(enc, "expected %" PRIu32 " bytes, got %" PRIu32, size, len);
    }
    return xdr_writer_bytes(enc->out, bytes, len, enc->err);
}

/* A word for each char, sign-extended as on the machines that define the protocol; `size` words
 * in all, the rest NUL. */
static int encode_char_words(struct encoder *enc, const uint8_t *chars, uint32_t len, uint32_t size)
{
    uint32_t i;

    if (lvc_buf_reserve(enc->out, (size_t)size * 4, enc->err) < 0) {
        return -1;
    }
    for (i = 0; i < size; i++) {
        uint32_t word = i < len ? chars[i] : 0;

        xdr_store_u32(enc->out->data + enc->out->len, word > INT8_MAX ? word | 0xffffff00u : word);
        enc->out->len += 4;
    }
    return 0;
}

static int encode_chars(struct encoder *enc, uint32_t max, int fixed)
{
    const uint8_t *chars;
    uint32_t len;

    if (encode_bytes(enc, &chars, &len) < 0 || encode_limit(enc, len, max, "characters") < 0) {
        return -1;
    }
    if (!fixed && xdr_writer_u32(enc->out, len, enc->err) < 0) {
        return -1;
    }
    return encode_char_words(enc, chars, len, fixed ? max : len);
}

/* ---- composites ---- */

static int encode_optional(struct encoder *enc, uint32_t of)
{
    if (stream_code(enc) == MARSHAL_NONE) {
        enc->at++;
        return xdr_writer_u32(enc->out, 0, enc->err);
    }
    if (xdr_writer_u32(enc->out, 1, enc->err) < 0) {
        return -1;
    }
    return encode_value(enc, of);
}

/* Enter a tuple or list of exactly `count` values. */
static int encode_enter(struct encoder *enc, uint32_t count)
{
    uint32_t given;

    if (stream_sequence(enc, "tuple", &given) < 0) {
        return -1;
    }
    if (given != count) {
        return encode_fault(enc, "expected %" PRIu32 " values, got %" PRIu32, count, given);
    }
    if (xdr_path_enter(&enc->path) < 0) {
        return encode_fault(enc, "the type is nested too deep");
    }
    return 0;
}

static int encode_struct(struct encoder *enc, uint32_t count, const uint32_t *fields)
{
    uint32_t i;

    if (encode_enter(enc, count) < 0) {
        return -1;
    }
    for (i = 0; i < count; i++) {
        xdr_path_at(&enc->path, i);
        if (encode_value(enc, fields[i]) < 0) {
            return -1;
        }
    }
    xdr_path_leave(&enc->path);
    return 0;
}

static int encode_param_value(struct encoder *enc, uint64_t kind)
{
    static const uint32_t types[] = {0, LVC_TYPE_I32, LVC_TYPE_U32, LVC_TYPE_I64, LVC_TYPE_U64,
                                     LVC_TYPE_F64};

    if (kind < sizeof(types) / sizeof(types[0])) {
        return encode_value(enc, types[kind]); /* scalars stand at the offset of their code */
    }
    if (kind == PARAM_BOOLEAN) {
        return encode_word(enc, 0, 1);
    }
    return encode_string(enc, LVC_REMOTE_STRING_MAX);
}

/* (name, type, value) */
static int encode_param(struct encoder *enc)
{
    uint64_t kind;

    if (encode_enter(enc, PARAM_FIELDS) < 0 || encode_string(enc, LVC_REMOTE_STRING_MAX) < 0) {
        return -1;
    }
    xdr_path_at(&enc->path, 1);
    if (encode_number(enc, 1, PARAM_STRING, &kind) < 0) {
        return -1;
    }
    if (xdr_writer_u32(enc->out, (uint32_t)kind, enc->err) < 0) {
        return -1;
    }
    xdr_path_at(&enc->path, 2);
    if (encode_param_value(enc, kind) < 0) {
        return -1;
    }
    xdr_path_leave(&enc->path);
    return 0;
}

/* Elements of type `element`, or typed parameters when it is LVC_TYPE_VOID. */
static int encode_array(struct encoder *enc, uint32_t max, uint32_t element)
{
    uint32_t count;
    uint32_t i;

    if (stream_sequence(enc, "list", &count) < 0 ||
        encode_limit(enc, count, max,
                     element == LVC_TYPE_VOID ? "typed parameters" : "elements") < 0 ||
        xdr_writer_u32(enc->out, count, enc->err) < 0) {
        return -1;
    }
    if (xdr_path_enter(&enc->path) < 0) {
        return encode_fault(enc, "the type is nested too deep");
    }
    for (i = 0; i < count; i++) {
        xdr_path_at(&enc->path, i);
        if ((element == LVC_TYPE_VOID ? encode_param(enc) : encode_value(enc, element)) < 0) {
            return -1;
        }
    }
    xdr_path_leave(&enc->path);
    return 0;
}

/* ---- the walk ---- */

/* Nothing is sent: None or an empty tuple. */
static int encode_nothing(struct encoder *enc)
{
    if (stream_code(enc) == MARSHAL_NONE) {
        enc->at++;
        return 0;
    }
    if (encode_enter(enc, 0) < 0) {
        return -1;
    }
    xdr_path_leave(&enc->path);
    return 0;
}

static int encode_value(struct encoder *enc, uint32_t type)
{
    const uint32_t *words = lvc_types + type;

    switch ((enum lvc_type)words[0]) {
    case LVC_TYPE_VOID:
        return encode_nothing(enc);
    case LVC_TYPE_I32:
        return encode_word(enc, INT32_MIN, INT32_MAX);
    case LVC_TYPE_U32:
        return encode_word(enc, 0, UINT32_MAX);
    case LVC_TYPE_I64:
        return encode_hyper(enc, INT64_MIN, INT64_MAX);
    case LVC_TYPE_U64:
        return encode_hyper(enc, 0, UINT64_MAX);
    case LVC_TYPE_F64:
        return encode_double(enc);
    case LVC_TYPE_I8:
        return encode_word(enc, INT8_MIN, INT8_MAX);
    case LVC_TYPE_U8:
        return encode_word(enc, 0, UINT8_MAX);
    case LVC_TYPE_U16:
        return encode_word(enc, 0, UINT16_MAX);
    case LVC_TYPE_STRING:
        return encode_string(enc, words[1]);
    case LVC_TYPE_OPAQUE:
        return encode_opaque(enc, words[1]);
    case LVC_TYPE_OPAQUE_FIXED:
        return encode_opaque_fixed(enc, words[1]);
    case LVC_TYPE_CHARS:
        return encode_chars(enc, words[1], 0);
    case LVC_TYPE_CHARS_FIXED:
        return encode_chars(enc, words[1], 1);
    case LVC_TYPE_OPTIONAL:
        return encode_optional(enc, words[1]);
    case LVC_TYPE_ARRAY:
        return encode_array(enc, words[1], words[2]);
    case LVC_TYPE_STRUCT:
        return encode_struct(enc, words[1], words + 2);
    case LVC_TYPE_TPARAMS:
        return encode_array(enc, words[1], LVC_TYPE_VOID);
    }
    return encode_fault(enc, "%" PRIu32 " is not a type", type);
}

int lvc_xdr_encode(uint32_t type, const uint8_t *data, size_t len, struct lvc_buf *out,
                   lvc_error *err)
{
    struct encoder enc;
    size_t before = out->len;
    int ret = -1;

    enc.at = data;
    enc.end = data == NULL ? data : data + len;
    enc.out = out;
    enc.err = err;
    xdr_path_init(&enc.path);
    if (encode_value(&enc, type) < 0) {
        goto cleanup;
    }
    if (enc.at != enc.end) {
        (void)encode_fault(&enc, "%zu bytes follow the value", stream_left(&enc));
        goto cleanup;
    }
    ret = 0;

cleanup:
    if (ret < 0) {
        out->len = before;
    }
    return ret;
}
