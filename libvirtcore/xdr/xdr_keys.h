/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xdr_keys.h: remembers the names of typed parameters within one message, so that each becomes one
 * Python string however often it occurs.
 * Called by: xdr_decode.
 * Never: allocates, or searches more than eight places: a peer that chooses names that collide
 * only loses the sharing.
 */
#ifndef LVC_XDR_KEYS_H
#define LVC_XDR_KEYS_H

#include <stdint.h>
#include <string.h>

#define XDR_KEYS_BITS 10
#define XDR_KEYS_PLACES (1u << XDR_KEYS_BITS)
#define XDR_KEYS_TRIES 8
#define XDR_KEYS_LONGEST 255

struct xdr_key {
    const uint8_t *name; /* in the message; NULL = free */
    uint32_t len;
    uint32_t ref; /* its number among the shared objects of the stream */
};

struct xdr_keys {
    uint32_t count; /* 0 until the first name, so that messages without any cost nothing */
    struct xdr_key places[XDR_KEYS_PLACES];
};

static inline uint64_t xdr_keys_mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
}

static inline uint32_t xdr_keys_hash(const uint8_t *name, uint32_t len)
{
    uint64_t hash = len;
    uint64_t word;

    for (; len >= sizeof(word); len -= (uint32_t)sizeof(word), name += sizeof(word)) {
        memcpy(&word, name, sizeof(word));
        hash = xdr_keys_mix(hash, word);
    }
    word = 0;
    if (len > 0) {
        memcpy(&word, name, len);
    }
    return (uint32_t)(xdr_keys_mix(hash, word) >> (64 - XDR_KEYS_BITS));
}

/* The entry of the name, or a free one (name == NULL) to fill, or NULL when there is no place. */
static inline struct xdr_key *xdr_keys_find(struct xdr_keys *keys, const uint8_t *name,
                                            uint32_t len)
{
    uint32_t start;
    uint32_t i;

    if (len > XDR_KEYS_LONGEST) {
        return NULL;
    }
    if (keys->count == 0) {
        memset(keys->places, 0, sizeof(keys->places));
    }
    start = xdr_keys_hash(name, len);
    for (i = 0; i < XDR_KEYS_TRIES; i++) {
        struct xdr_key *key = &keys->places[(start + i) % XDR_KEYS_PLACES];

        if (key->name == NULL || (key->len == len && memcmp(key->name, name, len) == 0)) {
            return key;
        }
    }
    return NULL;
}

/* Fill a free entry; gives the number of the name. */
static inline void xdr_keys_add(struct xdr_keys *keys, struct xdr_key *key, const uint8_t *name,
                                uint32_t len)
{
    key->name = name;
    key->len = len;
    key->ref = keys->count++;
}

#endif
