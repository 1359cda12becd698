/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xdr_path.c: where in a value the walker stands, in words.
 * Called by: xdr_decode, xdr_encode, when a fault was found.
 * Never: allocates.
 */
#include "xdr/xdr_path.h"

#include <inttypes.h>
#include <stdio.h>

void xdr_path_text(const struct xdr_path *path, const char *name, char text_out[XDR_PATH_TEXT])
{
    int used = snprintf(text_out, XDR_PATH_TEXT, "%s", name);
    uint32_t i;

    for (i = 0; i < path->depth && used > 0 && used < XDR_PATH_TEXT; i++) {
        used += snprintf(text_out + used, (size_t)(XDR_PATH_TEXT - used), "[%" PRIu32 "]",
                         path->index[i]);
    }
}
