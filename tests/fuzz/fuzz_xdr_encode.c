/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_xdr_encode.c: any bytes as the value stream of any type.
 * Called by: libFuzzer (tools/fuzz).
 *
 * Besides memory safety: what the encoder lets through is a message that the decoder takes whole.
 */
#include <stdlib.h>

#include "base/base_alloc.h"
#include "fuzz_types.h"
#include "xdr/xdr_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lvc_buf xdr;
    struct lvc_buf back;
    lvc_error err;
    uint32_t type;

    if (size < FUZZ_HEAD) {
        return 0;
    }
    type = fuzz_type(data);
    lvc_buf_init(&xdr, LVC_ENCODE_CEILING);
    lvc_buf_init(&back, LVC_DECODE_CEILING);
    lvc_error_clear(&err);
    lvc_alloc_fail_at(fuzz_failure(data));
    if (lvc_xdr_encode(type, data + FUZZ_HEAD, size - FUZZ_HEAD, &xdr, &err) < 0) {
        if (err.code == 0 || xdr.len != 0) {
            abort();
        }
    } else {
        lvc_alloc_fail_at(0);
        if (lvc_xdr_decode(type, xdr.data, xdr.len, fuzz_flags(data), &back, &err) < 0) {
            abort();
        }
    }
    lvc_alloc_fail_at(0);
    lvc_buf_clear(&xdr);
    lvc_buf_clear(&back);
    if (lvc_alloc_live() != 0) {
        abort();
    }
    return 0;
}
