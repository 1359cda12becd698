/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xdr_face.c: the codec alone, as libvirtcore.h shows it, and the identity of the core.
 * Called by: python/libvirtcore/codec.py. Calls: xdr_decode, xdr_encode.
 * Never: is used inside a call; rpc runs the walker on its own buffers.
 */
#include "base/base_alloc.h"
#include "generated/tables.h"
#include "libvirtcore.h"
#include "xdr/xdr_codec.h"
#include "xdr/xdr_emit.h"

#ifndef LVC_VERSION
#define LVC_VERSION "unversioned"
#endif

struct lvc_codec {
    struct lvc_buf out;
    uint32_t known; /* the offset last found to be the start of a type */
    size_t told;    /* room that the caller has been told of */
};

const char *lvc_version(void)
{
    return LVC_VERSION;
}

const char *lvc_hash(void)
{
    return lvc_tables_hash;
}

lvc_codec *lvc_codec_new(void)
{
    lvc_codec *codec = lvc_malloc(sizeof(*codec));

    if (codec != NULL) {
        lvc_buf_init(&codec->out, LVC_DECODE_CEILING);
        codec->known = 0;
        codec->told = 0;
    }
    return codec;
}

void lvc_codec_free(lvc_codec *codec)
{
    if (codec != NULL) {
        lvc_buf_clear(&codec->out);
        lvc_free(codec);
    }
}

/* Words that one type takes in the table. */
static size_t type_length(const uint32_t *words)
{
    switch ((enum lvc_type)words[0]) {
    case LVC_TYPE_STRUCT:
        return 2 + (size_t)words[1];
    case LVC_TYPE_ARRAY:
        return 3;
    case LVC_TYPE_STRING:
    case LVC_TYPE_OPAQUE:
    case LVC_TYPE_OPAQUE_FIXED:
    case LVC_TYPE_CHARS:
    case LVC_TYPE_CHARS_FIXED:
    case LVC_TYPE_OPTIONAL:
    case LVC_TYPE_TPARAMS:
        return 2;
    default:
        return 1;
    }
}

/* Rpc takes offsets from the tables; here they come from a caller who may be wrong. */
static int codec_check_type(lvc_codec *codec, uint32_t type, lvc_error *err)
{
    size_t at = 0;

    if (type == codec->known) {
        return 0;
    }
    while (at < type && at < lvc_types_len) {
        at += type_length(lvc_types + at);
    }
    if (at != type || at >= lvc_types_len) {
        return lvc_error_set(err, LVC_ERR_INTERNAL_ERROR, LVC_FROM_RPC,
                             "no wire type starts at offset %u of the tables", type);
    }
    codec->known = type;
    return 0;
}

/* The length of the output, and whether it moved: it does so only when room grows. */
static int64_t codec_length(lvc_codec *codec)
{
    int64_t length = (int64_t)codec->out.len;

    if (codec->out.room != codec->told) {
        codec->told = codec->out.room;
        length += LVC_CODEC_MOVED;
    }
    return length;
}

int64_t lvc_codec_decode(lvc_codec *codec, uint32_t type, const uint8_t *data, size_t len,
                         uint32_t flags, lvc_error *err)
{
    codec->out.len = 0;
    if (codec_check_type(codec, type, err) < 0 ||
        lvc_xdr_decode(type, data, len, flags, &codec->out, err) < 0) {
        return -1;
    }
    return codec_length(codec);
}

int64_t lvc_codec_encode(lvc_codec *codec, uint32_t type, const uint8_t *data, size_t len,
                         lvc_error *err)
{
    codec->out.len = 0;
    if (codec_check_type(codec, type, err) < 0 ||
        lvc_xdr_encode(type, data, len, &codec->out, err) < 0) {
        return -1;
    }
    return codec_length(codec);
}

/* [(None, True, False), -1, 2^31, 2^64-1, -2^63, 1.5, b"\0\xff", "text", "\u00e9\U0001f600",
 *  300 times "x", {"key": 2}, {"key": 3}] */
int64_t lvc_codec_sample(lvc_codec *codec, uint32_t flags, lvc_error *err)
{
    static const uint8_t text[] = "text";
    static const uint8_t wide[] = "\xc3\xa9\xf0\x9f\x98\x80";
    static const uint8_t bytes[] = {0x00, 0xff};
    int pickle = (flags & LVC_DECODE_PICKLE) != 0;
    uint8_t xs[300];
    uint8_t *at;

    codec->out.len = 0;
    if (lvc_buf_reserve(&codec->out, 1024, err) < 0) {
        return -1;
    }
    memset(xs, 'x', sizeof(xs));
    at = pickle ? pickle_begin(codec->out.data) : codec->out.data;
    at = emit_list_begin(at, pickle, 12);
    at = emit_tuple_begin(at, pickle, 3);
    at = emit_bool(emit_bool(emit_none(at, pickle), pickle, 1), pickle, 0);
    at = emit_tuple_end(at, pickle);
    at = emit_u64(emit_i64(at, pickle, -1), pickle, (uint64_t)INT32_MAX + 1);
    at = emit_i64(emit_u64(at, pickle, UINT64_MAX), pickle, INT64_MIN);
    at = emit_f64(at, pickle, 0x3ff8000000000000u);
    at = emit_bytes(at, pickle, bytes, sizeof(bytes));
    at = emit_text(at, pickle, text, sizeof(text) - 1, 1);
    at = emit_text(at, pickle, wide, sizeof(wide) - 1, 0);
    at = emit_text(at, pickle, xs, sizeof(xs), 1);
    at = emit_text_shared(emit_dict_begin(at, pickle), pickle, (const uint8_t *)"key", 3, 1);
    at = emit_dict_end(emit_i64(at, pickle, 2), pickle);
    at = emit_ref(emit_dict_begin(at, pickle), pickle, 0);
    at = emit_dict_end(emit_i64(at, pickle, 3), pickle);
    at = emit_list_end(at, pickle);
    at = pickle ? pickle_end(at) : at;
    codec->out.len = (size_t)(at - codec->out.data);
    return codec_length(codec);
}

const uint8_t *lvc_codec_data(const lvc_codec *codec)
{
    return codec->out.data;
}

size_t lvc_codec_room(const lvc_codec *codec)
{
    return codec->out.room;
}
