/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_types.h: how an input of the xdr fuzzers names its type.
 * Called by: fuzz_xdr_decode.c, fuzz_xdr_encode.c; seeds.py writes inputs of this form.
 *
 * Byte 0: program (modulo), bytes 1-2: procedure, byte 3: bit 0 reply instead of arguments, bits
 * 1-2 flags of the decoder, bits 4-6 which allocation fails (0 = none). The rest is the message.
 */
#ifndef LVC_TESTS_FUZZ_TYPES_H
#define LVC_TESTS_FUZZ_TYPES_H

#include <stddef.h>
#include <stdint.h>

#include "generated/tables.h"

#define FUZZ_HEAD 4

static inline uint32_t fuzz_type(const uint8_t *head)
{
    const struct lvc_program *program = &lvc_programs[head[0] % lvc_programs_len];
    uint32_t number = 1 + ((uint32_t)head[1] << 8 | head[2]) % program->count;

    return head[3] & 1 ? program->procedures[number].ret : program->procedures[number].args;
}

static inline uint32_t fuzz_flags(const uint8_t *head)
{
    return head[3] >> 1 & 3;
}

static inline long fuzz_failure(const uint8_t *head)
{
    return head[3] >> 4 & 7;
}

#endif
