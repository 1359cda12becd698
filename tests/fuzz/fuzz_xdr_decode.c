/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_xdr_decode.c: any bytes as a message of any type.
 * Called by: libFuzzer (tools/fuzz).
 *
 * Besides memory safety: both formats and both modes agree on whether a message is valid, a fault
 * says so, and the output stays below its ceiling.
 */
#include <stdlib.h>

#include "base/base_alloc.h"
#include "fuzz_types.h"
#include "xdr/xdr_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int decode(uint32_t type, uint32_t flags, const uint8_t *data, size_t size)
{
    struct lvc_buf out;
    lvc_error err;
    int ret;

    lvc_buf_init(&out, LVC_DECODE_CEILING);
    lvc_error_clear(&err);
    ret = lvc_xdr_decode(type, data, size, flags, &out, &err);
    if ((ret < 0) != (err.code != 0) || (ret < 0 && out.len != 0) || out.len > 4 * size + 64) {
        abort();
    }
    lvc_buf_clear(&out);
    return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t type;
    int valid;

    if (size < FUZZ_HEAD) {
        return 0;
    }
    type = fuzz_type(data);
    lvc_alloc_fail_at(fuzz_failure(data));
    valid = decode(type, fuzz_flags(data), data + FUZZ_HEAD, size - FUZZ_HEAD);
    if (!lvc_alloc_has_failed() &&
        valid != decode(type, ~fuzz_flags(data) & 3, data + FUZZ_HEAD, size - FUZZ_HEAD) &&
        !lvc_alloc_has_failed()) {
        abort();
    }
    lvc_alloc_fail_at(0);
    if (lvc_alloc_live() != 0) {
        abort();
    }
    return 0;
}
