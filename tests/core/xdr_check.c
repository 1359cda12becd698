/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xdr_check.c: the transcoder against known bytes, cut and changed messages, and a failing heap.
 * Called by: test_checks.py. The Python half (test_codec.py) compares values; here it is bytes,
 * bounds and memory.
 */
#include "base/base_alloc.h"
#include "check.h"
#include "generated/tables.h"
#include "xdr/xdr_codec.h"
#include "xdr/xdr_text.h"

#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1

/* A message and the stream it becomes. */
struct pair {
    const char *procedure;
    int reply;
    const uint8_t *xdr;
    size_t xdr_len;
    const uint8_t *stream; /* as decode writes it */
    size_t stream_len;
    const uint8_t *dumped; /* as marshal.dumps(value, 2) writes it; NULL = not encoded here */
    size_t dumped_len;
};

/* clang-format off */
static const struct pair pairs[] = {
    {"domain_create", 0,
     BYTES("\0\0\0\5" "guest\0\0\0"            /* name, padded */
           "0123456789abcdef"                  /* uuid */
           "\xff\xff\xff\xff"),                /* id */
     BYTES(")\1" ")\3" "z\5guest" "s\x10\0\0\0" "0123456789abcdef" "i\xff\xff\xff\xff"),
     BYTES("(\1\0\0\0" "(\3\0\0\0" "u\5\0\0\0guest" "s\x10\0\0\0" "0123456789abcdef"
           "i\xff\xff\xff\xff")},
    {"domain_get_info", 1,
     BYTES("\0\0\0\1"                          /* state */
           "\0\0\0\0\xff\xff\xff\xff"          /* maxMem: beyond 31 bits */
           "\xff\xff\xff\xff\xff\xff\xff\xff"  /* memory: all 64 */
           "\0\0\xff\xff"                      /* nrVirtCpu */
           "\0\0\0\0\0\0\0\0"),                /* cpuTime */
     BYTES(")\5" "i\1\0\0\0"
           "l\3\0\0\0" "\xff\x7f" "\xff\x7f" "\3\0"
           "l\5\0\0\0" "\xff\x7f" "\xff\x7f" "\xff\x7f" "\xff\x7f" "\xf\0"
           "i\xff\xff\0\0" "i\0\0\0\0"),
     BYTES("(\5\0\0\0" "i\1\0\0\0"
           "l\3\0\0\0" "\xff\x7f" "\xff\x7f" "\3\0"
           "l\5\0\0\0" "\xff\x7f" "\xff\x7f" "\xff\x7f" "\xff\x7f" "\xf\0"
           "i\xff\xff\0\0" "i\0\0\0\0")},
    {"connect_open", 0,
     BYTES("\0\0\0\0" "\0\0\0\1"),             /* no name, flags */
     BYTES(")\2" "N" "i\1\0\0\0"),
     BYTES("(\2\0\0\0" "N" "i\1\0\0\0")},
    {"domain_get_scheduler_parameters", 1,
     BYTES("\0\0\0\3"
           "\0\0\0\1" "a\0\0\0" "\0\0\0\6" "\0\0\0\1"                  /* a = True */
           "\0\0\0\2" "\xc3\xa9\0\0" "\0\0\0\5" "\x3f\xf8\0\0\0\0\0\0" /* e acute = 1.5 */
           "\0\0\0\1" "a\0\0\0" "\0\0\0\7" "\0\0\0\0"),                /* a again, "" */
     BYTES(")\1" "[\3\0\0\0"
           ")\3" "\xfa\1a" "i\6\0\0\0" "T"
           ")\3" "\xf5\2\0\0\0\xc3\xa9" "i\5\0\0\0" "g\0\0\0\0\0\0\xf8\x3f"
           ")\3" "r\0\0\0\0" "i\7\0\0\0" "z\0"),
     BYTES("(\1\0\0\0" "[\3\0\0\0"
           "(\3\0\0\0" "u\1\0\0\0a" "i\6\0\0\0" "T"
           "(\3\0\0\0" "u\2\0\0\0\xc3\xa9" "i\5\0\0\0" "g\0\0\0\0\0\0\xf8\x3f"
           "[\3\0\0\0" "u\1\0\0\0a" "i\7\0\0\0" "u\0\0\0\0")},
};
/* clang-format on */

#define PAIRS (sizeof(pairs) / sizeof(pairs[0]))

static uint32_t type_of(const char *procedure, int reply)
{
    const struct lvc_program *program = &lvc_programs[0];
    uint32_t i;

    for (i = 1; i <= program->count; i++) {
        const struct lvc_procedure *row = &program->procedures[i];

        if (row->name != NULL && strcmp(row->name, procedure) == 0) {
            return reply ? row->ret : row->args;
        }
    }
    fprintf(stderr, "no procedure %s\n", procedure);
    exit(1);
}

/* A copy that ends where its memory ends, so that the sanitizer sees a byte too far. */
static uint8_t *exact_copy(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);

    CHECK(copy != NULL);
    memcpy(copy, data, len);
    return copy;
}

static int decode(uint32_t type, const uint8_t *data, size_t len, uint32_t flags,
                  struct lvc_buf *out, lvc_error *err)
{
    uint8_t *copy = exact_copy(data, len);
    int ret = lvc_xdr_decode(type, copy, len, flags, out, err);

    free(copy);
    return ret;
}

static int encode(uint32_t type, const uint8_t *data, size_t len, struct lvc_buf *out,
                  lvc_error *err)
{
    uint8_t *copy = exact_copy(data, len);
    int ret = lvc_xdr_encode(type, copy, len, out, err);

    free(copy);
    return ret;
}

static void known_bytes_both_ways(struct lvc_buf *out)
{
    lvc_error err;
    size_t i;

    for (i = 0; i < PAIRS; i++) {
        const struct pair *pair = &pairs[i];
        uint32_t type = type_of(pair->procedure, pair->reply);

        out->len = 0;
        CHECK(decode(type, pair->xdr, pair->xdr_len, 0, out, &err) == 0);
        CHECK(out->len == pair->stream_len);
        CHECK(memcmp(out->data, pair->stream, out->len) == 0);

        out->len = 0;
        CHECK(encode(type, pair->dumped, pair->dumped_len, out, &err) == 0);
        CHECK(out->len == pair->xdr_len);
        CHECK(memcmp(out->data, pair->xdr, out->len) == 0);
    }
}

/* A fault leaves what was in the buffer before, and a reason. */
static void cut_or_long_messages_are_refused(struct lvc_buf *out)
{
    static const uint32_t formats[] = {0, LVC_DECODE_DICT, LVC_DECODE_PICKLE};
    uint8_t longer[256];
    lvc_error err;
    size_t i;
    size_t j;
    size_t len;

    out->len = 0;
    CHECK(lvc_buf_append(out, "before", 6, &err) == 0);
    for (i = 0; i < PAIRS; i++) {
        const struct pair *pair = &pairs[i];
        uint32_t type = type_of(pair->procedure, pair->reply);

        for (j = 0; j < 3; j++) {
            for (len = 0; len < pair->xdr_len; len++) {
                lvc_error_clear(&err);
                CHECK(decode(type, pair->xdr, len, formats[j], out, &err) == -1);
                CHECK(err.code == LVC_ERR_RPC && out->len == 6);
            }
            memcpy(longer, pair->xdr, pair->xdr_len);
            memset(longer + pair->xdr_len, 0, 4);
            CHECK(decode(type, longer, pair->xdr_len + 4, formats[j], out, &err) == -1);
            CHECK(strstr(err.message, "4 bytes follow the value") != NULL);
        }
        for (len = 0; len < pair->dumped_len; len++) {
            lvc_error_clear(&err);
            CHECK(encode(type, pair->dumped, len, out, &err) == -1);
            CHECK(err.code == LVC_ERR_RPC && out->len == 6);
        }
        memcpy(longer, pair->dumped, pair->dumped_len);
        longer[pair->dumped_len] = 'N';
        CHECK(encode(type, longer, pair->dumped_len + 1, out, &err) == -1);
    }
    CHECK(memcmp(out->data, "before", 6) == 0);
}

static void text_is_strict_utf8(void)
{
    static const struct {
        const char *text;
        size_t len;
        enum xdr_text kind;
        size_t fault;
    } cases[] = {
        {"", 0, XDR_TEXT_ASCII, 0},
        {"\x01\x7f", 2, XDR_TEXT_ASCII, 0},
        {"a\0b", 3, XDR_TEXT_NUL, 1},
        {"\xc2\x80\xdf\xbf", 4, XDR_TEXT_UTF8, 0},
        {"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", 12, XDR_TEXT_UTF8, 0},
        {"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8, XDR_TEXT_UTF8, 0},
        {"ab\x80", 3, XDR_TEXT_BAD, 2},             /* continuation alone */
        {"\xc0\x80", 2, XDR_TEXT_BAD, 0},           /* overlong NUL */
        {"\xc1\xbf", 2, XDR_TEXT_BAD, 0},           /* overlong */
        {"\xe0\x9f\xbf", 3, XDR_TEXT_BAD, 0},       /* overlong */
        {"\xf0\x8f\xbf\xbf", 4, XDR_TEXT_BAD, 0},   /* overlong */
        {"\xed\xa0\x80", 3, XDR_TEXT_BAD, 0},       /* surrogate */
        {"\xed\xbf\xbf", 3, XDR_TEXT_BAD, 0},       /* surrogate */
        {"\xf4\x90\x80\x80", 4, XDR_TEXT_BAD, 0},   /* beyond U+10FFFF */
        {"\xf5\x80\x80\x80", 4, XDR_TEXT_BAD, 0},   /* no such lead */
        {"\xff", 1, XDR_TEXT_BAD, 0},               /* no such byte */
        {"x\xc3", 2, XDR_TEXT_BAD, 1},              /* cut short */
        {"x\xe2\x82", 3, XDR_TEXT_BAD, 1},          /* cut short */
        {"x\xf0\x9f\x98", 4, XDR_TEXT_BAD, 1},      /* cut short */
        {"\xe2\x28\xa1", 3, XDR_TEXT_BAD, 0},       /* second byte */
        {"\xe2\x82\x28", 3, XDR_TEXT_BAD, 0},       /* third byte */
        {"\xf0\x9f\x98\x28", 4, XDR_TEXT_BAD, 0},   /* fourth byte */
    };
    uint8_t padded[100];
    size_t i;
    size_t before;
    size_t fault;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        /* At every distance from the start, so that each of the fast loops meets it. */
        for (before = 0; before < 70; before++) {
            uint8_t *copy;

            memset(padded, 'x', before);
            memcpy(padded + before, cases[i].text, cases[i].len);
            copy = exact_copy(padded, before + cases[i].len);
            fault = 0;
            CHECK(xdr_text_check(copy, before + cases[i].len, &fault) == cases[i].kind);
            if (cases[i].kind == XDR_TEXT_NUL || cases[i].kind == XDR_TEXT_BAD) {
                CHECK(fault == before + cases[i].fault);
            }
            free(copy);
        }
    }
}

/* The same bytes for every seed on every machine. */
static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* Changed words: nothing but an answer or a fault may come of them; what is encoded decodes. */
static void changed_messages_do_no_harm(struct lvc_buf *out)
{
    static const uint32_t favourites[] = {0, 1, 7, 16, 17, 0x7fffffff, 0x80000000, 0xffffffff};
    struct lvc_buf back;
    uint64_t random = 1;
    uint8_t changed[256];
    lvc_error err;
    int round;

    lvc_buf_init(&back, LVC_DECODE_CEILING);
    for (round = 0; round < 100000; round++) {
        const struct pair *pair = &pairs[next_random(&random) % PAIRS];
        uint32_t type = type_of(pair->procedure, pair->reply);
        uint32_t word = favourites[next_random(&random) % 8];

        memcpy(changed, pair->xdr, pair->xdr_len);
        if (next_random(&random) % 2) {
            word = __builtin_bswap32(word);
            memcpy(changed + next_random(&random) % (pair->xdr_len / 4) * 4, &word, 4);
        } else {
            changed[next_random(&random) % pair->xdr_len] ^= (uint8_t)next_random(&random);
        }
        out->len = 0;
        (void)decode(type, changed, pair->xdr_len, next_random(&random) % 4, out, &err);

        memcpy(changed, pair->dumped, pair->dumped_len);
        changed[next_random(&random) % pair->dumped_len] ^= (uint8_t)next_random(&random);
        out->len = back.len = 0;
        if (encode(type, changed, pair->dumped_len, out, &err) == 0) {
            CHECK(decode(type, out->data, out->len, 0, &back, &err) == 0);
        }
    }
    lvc_buf_clear(&back);
}

/* The n-th allocation fails, for every n there is. */
static void failing_heap_is_an_error(void)
{
    size_t i;
    long n;

    for (i = 0; i < PAIRS; i++) {
        const struct pair *pair = &pairs[i];
        uint32_t type = type_of(pair->procedure, pair->reply);

        for (n = 1;; n++) {
            lvc_error err;
            lvc_codec *codec;
            int64_t length = -1;

            lvc_error_clear(&err);
            lvc_alloc_fail_at(n);
            codec = lvc_codec_new();
            if (codec != NULL) {
                length = lvc_codec_decode(codec, type, pair->xdr, pair->xdr_len, 0, &err);
            }
            if (length >= 0) {
                length = lvc_codec_encode(codec, type, pair->dumped, pair->dumped_len, &err);
            }
            if (length >= 0) {
                length = lvc_codec_sample(codec, 0, &err);
            }
            CHECK((length < 0) == lvc_alloc_has_failed());
            CHECK(length >= 0 || codec == NULL || err.code == LVC_ERR_NO_MEMORY);
            lvc_codec_free(codec);
            CHECK(lvc_alloc_live() == 0);
            if (length >= 0) {
                break;
            }
        }
        CHECK(n > 1);
    }
    lvc_alloc_fail_at(0);
}

/* A reply with so many short names that the output has to grow several times. */
static uint8_t *long_reply(uint32_t count, size_t *len_out)
{
    size_t len = 4 + (size_t)count * 12;
    uint8_t *xdr = calloc(1, len);
    uint32_t i;

    CHECK(xdr != NULL);
    xdr[2] = (uint8_t)(count >> 8);
    xdr[3] = (uint8_t)count;
    for (i = 0; i < count; i++) {
        xdr[4 + i * 12 + 3] = 8;
        memcpy(xdr + 4 + i * 12 + 4, "somename", 8);
    }
    *len_out = len;
    return xdr;
}

static void failing_growth_is_an_error(void)
{
    uint32_t type = type_of("connect_list_defined_domains", 1);
    size_t len;
    uint8_t *xdr = long_reply(2000, &len);
    struct lvc_buf out;
    lvc_error err;
    int ret;
    long n = 0;

    do {
        lvc_buf_init(&out, LVC_DECODE_CEILING);
        lvc_alloc_fail_at(++n);
        ret = lvc_xdr_decode(type, xdr, len, 0, &out, &err);
        CHECK((ret < 0) == lvc_alloc_has_failed());
        CHECK(ret == 0 || (err.code == LVC_ERR_NO_MEMORY && out.len == 0));
        lvc_buf_clear(&out);
        CHECK(lvc_alloc_live() == 0);
    } while (ret < 0);
    CHECK(n > 3);
    lvc_alloc_fail_at(0);
    free(xdr);
}

static void output_stops_at_its_ceiling(void)
{
    size_t len;
    uint8_t *xdr = long_reply(2000, &len);
    struct lvc_buf out;
    lvc_error err;

    lvc_buf_init(&out, 6000);
    CHECK(lvc_xdr_decode(type_of("connect_list_defined_domains", 1), xdr, len, 0, &out, &err) < 0);
    CHECK(err.code == LVC_ERR_RPC && out.room <= 6000);
    lvc_buf_clear(&out);
    free(xdr);
}

static void unknown_types_are_refused(void)
{
    lvc_codec *codec = lvc_codec_new();
    lvc_error err;
    uint32_t type;
    uint32_t known = 0;

    CHECK(codec != NULL);
    for (type = 0; type < lvc_types_len + 10; type++) {
        lvc_error_clear(&err);
        (void)lvc_codec_decode(codec, type, NULL, 0, 0, &err);
        known += err.code != LVC_ERR_INTERNAL_ERROR;
    }
    CHECK(known > 300 && known < lvc_types_len / 2);
    CHECK(lvc_codec_decode(codec, UINT32_MAX, NULL, 0, 0, &err) == -1);
    lvc_codec_free(codec);
    lvc_codec_free(NULL);
}

int main(void)
{
    struct lvc_buf out;

    lvc_buf_init(&out, LVC_DECODE_CEILING);
    known_bytes_both_ways(&out);
    cut_or_long_messages_are_refused(&out);
    text_is_strict_utf8();
    changed_messages_do_no_harm(&out);
    lvc_buf_clear(&out);
    failing_heap_is_an_error();
    failing_growth_is_an_error();
    output_stops_at_its_ceiling();
    unknown_types_are_refused();
    return 0;
}
