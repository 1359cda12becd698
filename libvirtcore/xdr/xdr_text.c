/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xdr_text.c: is this a string that Python can hold and C can read?
 * Called by: xdr_decode, xdr_encode. Calls: nothing.
 * Never: repairs anything.
 */
#include "xdr/xdr_text.h"

#include <string.h>

#define ONES 0x0101010101010101u
#define HIGHS 0x8080808080808080u

/* Whether eight characters hold a NUL or something beyond ASCII. */
static uint64_t has_special(const uint8_t *text)
{
    uint64_t word;

    memcpy(&word, text, sizeof(word));
    return ((word - ONES) | word) & HIGHS;
}

static int is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Length of the valid sequence that starts at text with a byte that is not ASCII, 0 when there is none.
 * The bounds of the second byte exclude overlong forms, surrogates and what is beyond U+10FFFF. */
static size_t sequence_length(const uint8_t *text, size_t left)
{
    uint8_t lead = text[0];
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    size_t length;
    size_t i;

    if (lead >= 0xc2 && lead <= 0xdf) {
        length = 2;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        length = 3;
        low = lead == 0xe0 ? 0xa0 : 0x80;
        high = lead == 0xed ? 0x9f : 0xbf;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        length = 4;
        low = lead == 0xf0 ? 0x90 : 0x80;
        high = lead == 0xf4 ? 0x8f : 0xbf;
    } else {
        return 0;
    }
    if (left < length || text[1] < low || text[1] > high) {
        return 0;
    }
    for (i = 2; i < length; i++) {
        if (!is_continuation(text[i])) {
            return 0;
        }
    }
    return length;
}

enum xdr_text xdr_text_check(const uint8_t *text, size_t len, size_t *fault_out)
{
    enum xdr_text result = XDR_TEXT_ASCII;
    size_t i = 0;

    while (i < len) {
        size_t length;

        while (len - i >= 32 && (has_special(text + i) | has_special(text + i + 8) |
                                 has_special(text + i + 16) | has_special(text + i + 24)) == 0) {
            i += 32;
        }
        while (len - i >= 8 && has_special(text + i) == 0) {
            i += 8;
        }
        if (i == len) {
            break;
        }
        if (text[i] != 0 && text[i] < 0x80) {
            i++;
            continue;
        }
        length = sequence_length(text + i, len - i);
        if (length == 0) {
            *fault_out = i;
            return text[i] == 0 ? XDR_TEXT_NUL : XDR_TEXT_BAD;
        }
        result = XDR_TEXT_UTF8;
        i += length;
    }
    return result;
}
