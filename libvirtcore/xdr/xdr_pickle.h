/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xdr_pickle.h: the opcodes of Python's pickle format, for a Python whose marshal differs.
 * Called by: xdr_emit, when the self-test of codec.py found that marshal.loads reads otherwise.
 * Never: emits an opcode that could make pickle.loads call or import anything.
 *
 * The twin of the writers in xdr_marshal.h; protocol 4 without frames.
 */
#ifndef LVC_XDR_PICKLE_H
#define LVC_XDR_PICKLE_H

#include <stdint.h>

uint8_t *pickle_begin(uint8_t *at);
uint8_t *pickle_end(uint8_t *at);

uint8_t *pickle_none(uint8_t *at);
uint8_t *pickle_bool(uint8_t *at, int value);
uint8_t *pickle_i64(uint8_t *at, int64_t value);
uint8_t *pickle_u64(uint8_t *at, uint64_t value);
uint8_t *pickle_f64(uint8_t *at, uint64_t bits);
uint8_t *pickle_bytes(uint8_t *at, const uint8_t *bytes, uint32_t len);
uint8_t *pickle_text(uint8_t *at, const uint8_t *text, uint32_t len);

/* Remember the object just written as the next number; refer to it by that number later. */
uint8_t *pickle_remember(uint8_t *at);
uint8_t *pickle_ref(uint8_t *at, uint32_t index);

uint8_t *pickle_tuple_begin(uint8_t *at);
uint8_t *pickle_tuple_end(uint8_t *at);
uint8_t *pickle_list_begin(uint8_t *at);
uint8_t *pickle_list_end(uint8_t *at);
uint8_t *pickle_dict_begin(uint8_t *at);
uint8_t *pickle_dict_end(uint8_t *at);

#endif
