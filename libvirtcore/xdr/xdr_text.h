/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xdr_text.h: is this a string that Python can hold and C can read?
 * Called by: xdr_decode, xdr_encode.
 * Never: repairs anything.
 */
#ifndef LVC_XDR_TEXT_H
#define LVC_XDR_TEXT_H

#include <stddef.h>
#include <stdint.h>

enum xdr_text {
    XDR_TEXT_ASCII,
    XDR_TEXT_UTF8,
    XDR_TEXT_NUL, /* holds a NUL */
    XDR_TEXT_BAD, /* is not UTF-8: overlong, a surrogate, beyond U+10FFFF, cut short */
};

/* *fault_out is set with the last two: the offset of the first byte that is wrong. */
enum xdr_text xdr_text_check(const uint8_t *text, size_t len, size_t *fault_out);

#endif
