/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rpc_frame_check.c: headers, and a stream of bytes that becomes messages within limits.
 * Called by: test_checks.py.
 *
 * Each case is fed whole, byte by byte, with the next message glued on, and cut at each length.
 */
#include "base/base_alloc.h"
#include "check.h"
#include "rpc/rpc_frame.h"

#define NO_STEP ((size_t)1 << 30)

static void header_is_seven_words(void)
{
    static const uint8_t expected[RPC_PREFIX_BYTES] = {
        0x00, 0x00, 0x00, 0x1c, /* Length */
        0x20, 0x00, 0x80, 0x86, /* Program */
        0x00, 0x00, 0x00, 0x01, /* Version */
        0x00, 0x00, 0x06, 0x66, /* Procedure */
        0x00, 0x00, 0x00, 0x06, /* Type */
        0x00, 0x00, 0x00, 0x99, /* Serial */
        0x00, 0x00, 0x00, 0x02, /* Status */
    };
    const struct rpc_header header = {
        .program = 0x20008086,
        .version = 1,
        .procedure = 0x666,
        .type = RPC_STREAM_HOLE,
        .serial = 0x99,
        .status = RPC_CONTINUE,
    };
    struct rpc_header decoded;
    uint8_t bytes[RPC_PREFIX_BYTES];

    rpc_header_encode(&header, sizeof(bytes), bytes);
    CHECK(memcmp(bytes, expected, sizeof(bytes)) == 0);
    rpc_header_decode(bytes + RPC_LENGTH_BYTES, &decoded);
    CHECK(memcmp(&decoded, &header, sizeof(header)) == 0);
}

/* ---- building what a peer sends ---- */

struct script {
    uint8_t bytes[1 << 16];
    size_t len;
};

static void script_message(struct script *script, uint32_t type, uint32_t serial,
                           const void *payload, size_t len)
{
    const struct rpc_header header = {
        .program = 1, .version = 2, .procedure = 3, .type = type, .serial = serial};
    uint8_t prefix[RPC_PREFIX_BYTES];

    rpc_header_encode(&header, (uint32_t)(sizeof(prefix) + len), prefix);
    memcpy(script->bytes + script->len, prefix, sizeof(prefix));
    if (len > 0) {
        memcpy(script->bytes + script->len + sizeof(prefix), payload, len);
    }
    script->len += sizeof(prefix) + len;
}

/* Feed in steps of `step`; serials of the messages that came, or -1 with *err. */
static int feed(const struct script *script, size_t len, size_t step, uint32_t *serials_out,
                size_t *payload_out, lvc_error *err)
{
    struct rpc_framer framer;
    struct rpc_frame frame;
    size_t fed = 0;
    size_t room;
    uint8_t *where;
    int count = 0;
    int rc = 0;

    rpc_framer_init(&framer);
    *payload_out = 0;
    while (rc >= 0 && fed < len) {
        CHECK(rpc_framer_space(&framer, &where, &room, err) == 0 && room > 0);
        room = room < step ? room : step;
        room = room < len - fed ? room : len - fed;
        memcpy(where, script->bytes + fed, room);
        rpc_framer_fed(&framer, room);
        fed += room;
        while ((rc = rpc_framer_next(&framer, &frame, err)) > 0) {
            CHECK(frame.header.program == 1 && frame.header.procedure == 3);
            serials_out[count++] = frame.header.serial;
            *payload_out += frame.payload_len;
        }
    }
    rpc_framer_clear(&framer);
    CHECK(lvc_alloc_live() == 0);
    return rc < 0 ? -1 : count;
}

static void messages_come_out_however_they_were_cut(void)
{
    static struct script script;
    static const size_t steps[] = {1, 2, 3, 27, 28, 29, 1000, NO_STEP};
    static uint8_t payload[20000];
    uint32_t serials[100];
    size_t payloads;
    size_t cut;
    size_t i;
    lvc_error err;
    int n;

    for (n = 0; n < 10; n++) {
        script_message(&script, RPC_REPLY, (uint32_t)n, payload, (size_t)n * (size_t)n * 200);
    }
    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        CHECK(feed(&script, script.len, steps[i], serials, &payloads, &err) == 10);
        CHECK(payloads == 285 * 200);
        for (n = 0; n < 10; n++) {
            CHECK(serials[n] == (uint32_t)n);
        }
    }
    script.len = 0;
    script_message(&script, RPC_REPLY, 7, "payload", 7);
    script_message(&script, RPC_REPLY, 8, NULL, 0);
    for (cut = 0; cut <= script.len; cut++) {
        n = feed(&script, cut, NO_STEP, serials, &payloads, &err);
        CHECK(n == (cut == script.len ? 2 : cut >= 35 ? 1 : 0));
    }
}

static void wrong_length(const char *bytes, size_t len, const char *expected)
{
    static struct script script;
    uint32_t serials[1];
    size_t payloads;
    lvc_error err;

    memcpy(script.bytes, bytes, len);
    CHECK(feed(&script, len, NO_STEP, serials, &payloads, &err) == -1);
    CHECK(err.code == LVC_ERR_RPC && err.domain == LVC_FROM_RPC);
    CHECK_TEXT(expected, err.message);
}

static void wrong_peers_get_a_diagnosis(void)
{
    wrong_length("\0\0\0\0", 4, "packet 0 bytes received from server too small, want 28");
    wrong_length("\0\0\0\x1b", 4, "packet 27 bytes received from server too small, want 28");
    wrong_length("\x02\0\0\x05", 4,
                 "packet 33554433 bytes received from server too large, want 33554432");
    wrong_length("\xff\xff\xff\xff", 4,
                 "packet 4294967291 bytes received from server too large, want 33554432");
    wrong_length("SSH-2.0-x\r\nmore", 15,
                 "the peer sent text instead of libvirt RPC: 'SSH-2.0-x'");
    wrong_length("\r\n\nThis account", 15,
                 "the peer sent text instead of libvirt RPC: 'This account'");
    wrong_length("HTTP", 4, "the peer sent text instead of libvirt RPC: 'HTTP'");
    wrong_length("abc\t\x80", 5, "the peer sent text instead of libvirt RPC: 'abc\t'");
    wrong_length("\x15\x03\x03\x00\x02", 5, "the peer speaks TLS instead of plain libvirt RPC");
}

static void descriptors_hold_their_message_back(void)
{
    static struct script script;
    uint32_t serials[4];
    size_t payloads;
    lvc_error err;
    size_t whole;

    script.len = 0;
    script_message(&script, RPC_REPLY_WITH_FDS, 1, "\0\0\0\x02payload", 11);
    whole = script.len;
    script.bytes[script.len++] = 0;
    script.bytes[script.len++] = 0;
    script_message(&script, RPC_REPLY, 2, NULL, 0);
    CHECK(feed(&script, whole, NO_STEP, serials, &payloads, &err) == 0);
    CHECK(feed(&script, whole + 1, NO_STEP, serials, &payloads, &err) == 0);
    CHECK(feed(&script, whole + 2, NO_STEP, serials, &payloads, &err) == 1);
    CHECK(payloads == 7 && serials[0] == 1);
    CHECK(feed(&script, script.len, 1, serials, &payloads, &err) == 2);
    CHECK(serials[1] == 2);
    script.len = 0;
    script_message(&script, RPC_CALL_WITH_FDS, 1, "\0\0\0\x21", 4);
    CHECK(feed(&script, script.len, 1, serials, &payloads, &err) == -1);
    CHECK_TEXT("Received too many FDs 33, expected 32 maximum", err.message);
    script.len = 0;
    script_message(&script, RPC_REPLY_WITH_FDS, 1, "\0\0\0", 3);
    CHECK(feed(&script, script.len, 1, serials, &payloads, &err) == -1);
    CHECK_TEXT("message of type 5 has no count of descriptors", err.message);
}

static void awaiting_descriptors_can_be_asked(void)
{
    static struct script script;
    struct rpc_framer framer;
    struct rpc_frame frame;
    lvc_error err;
    uint8_t *where;
    size_t room;

    rpc_framer_init(&framer);
    CHECK(!rpc_framer_awaits_fds(&framer));
    script.len = 0;
    script_message(&script, RPC_REPLY_WITH_FDS, 1, "\0\0\0\x01", 4);
    CHECK(rpc_framer_space(&framer, &where, &room, &err) == 0);
    memcpy(where, script.bytes, script.len);
    rpc_framer_fed(&framer, script.len);
    CHECK(rpc_framer_next(&framer, &frame, &err) == 0);
    CHECK(rpc_framer_awaits_fds(&framer));
    CHECK(rpc_framer_space(&framer, &where, &room, &err) == 0);
    rpc_framer_fed(&framer, 1);
    CHECK(rpc_framer_next(&framer, &frame, &err) == 1 && frame.nfds == 1);
    CHECK(!rpc_framer_awaits_fds(&framer));
    rpc_framer_clear(&framer);
}

/* The largest message passes; memory is at most twice what came, and given back afterwards. */
static void memory_follows_what_was_sent(void)
{
    struct rpc_framer framer;
    struct rpc_frame frame;
    size_t fed = 0;
    size_t room;
    uint8_t *where;
    lvc_error err;
    int rc = 0;

    rpc_framer_init(&framer);
    while (rc == 0) {
        CHECK(rpc_framer_space(&framer, &where, &room, &err) == 0);
        CHECK(framer.in.room <= 2 * (fed + LVC_NET_MESSAGE_INITIAL));
        memset(where, 0, room);
        if (fed == 0) {
            rpc_u32_encode(RPC_LENGTH_MAX, where);
        }
        fed += room;
        rpc_framer_fed(&framer, room);
        rc = rpc_framer_next(&framer, &frame, &err);
    }
    CHECK(rc == 1 && frame.length == RPC_LENGTH_MAX);
    CHECK(frame.payload_len == LVC_NET_MESSAGE_PAYLOAD_MAX);
    rpc_framer_clear(&framer);
    CHECK(lvc_alloc_live() == 0);
}

int main(void)
{
    header_is_seven_words();
    messages_come_out_however_they_were_cut();
    wrong_peers_get_a_diagnosis();
    descriptors_hold_their_message_back();
    awaiting_descriptors_can_be_asked();
    memory_follows_what_was_sent();
    return 0;
}
