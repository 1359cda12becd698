/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xdr_path.h: where in a value the walker stands, kept so that a fault can name the place.
 * Called by: xdr_decode, xdr_encode.
 * Never: allocates; deeper than XDR_PATH_DEPTH is refused.
 */
#ifndef LVC_XDR_PATH_H
#define LVC_XDR_PATH_H

#include <stdint.h>

/* The deepest type of the protocol takes 6. */
#define XDR_PATH_DEPTH 16

/* A name of at most 8 characters and "[4294967295]" for each level. */
#define XDR_PATH_TEXT (16 + 12 * XDR_PATH_DEPTH)

struct xdr_path {
    uint32_t depth;
    uint32_t index[XDR_PATH_DEPTH];
};

static inline void xdr_path_init(struct xdr_path *path)
{
    path->depth = 0;
}

static inline int xdr_path_enter(struct xdr_path *path)
{
    if (path->depth == XDR_PATH_DEPTH) {
        return -1;
    }
    path->index[path->depth++] = 0;
    return 0;
}

static inline void xdr_path_at(struct xdr_path *path, uint32_t index)
{
    path->index[path->depth - 1] = index;
}

static inline void xdr_path_leave(struct xdr_path *path)
{
    path->depth--;
}

/* "name[0][2]" */
void xdr_path_text(const struct xdr_path *path, const char *name, char text_out[XDR_PATH_TEXT]);

#endif
