/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xdr_codec.h: XDR bytes to and from a Python value stream, driven by the type table.
 * Called by: rpc (inside every call), xdr_face (the codec alone, for tests and benchmarks).
 * Never: lets a byte through that it did not check.
 *
 * `type` is an offset in lvc_types of generated/tables.h; 0 is "nothing is sent". Both functions
 * append to *out, and leave out->len as it was when they fail. No state, any thread.
 */
#ifndef LVC_XDR_CODEC_H
#define LVC_XDR_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "base/base_buf.h"
#include "base/base_error.h"
#include "generated/limits.h"

/* A 32 MiB message of the worst kind (arrays of one-field structs of large u32) grows to 13/4 of
 * its size as a value stream; nothing legitimate comes near. */
#define LVC_DECODE_CEILING ((size_t)4 * LVC_NET_MESSAGE_MAX)

/* The longest message, header and length word included. */
#define LVC_ENCODE_CEILING ((size_t)LVC_NET_MESSAGE_MAX + LVC_NET_MESSAGE_LEN_MAX)

/* One whole XDR message -> the bytes that marshal.loads (or, with LVC_DECODE_PICKLE, pickle.loads)
 * turns into the value. All of data is consumed or it is an error. */
int lvc_xdr_decode(uint32_t type, const uint8_t *data, size_t len, uint32_t flags,
                   struct lvc_buf *out, lvc_error *err);

/* What marshal.dumps(value, 2) gave -> XDR. */
int lvc_xdr_encode(uint32_t type, const uint8_t *data, size_t len, struct lvc_buf *out,
                   lvc_error *err);

#endif
