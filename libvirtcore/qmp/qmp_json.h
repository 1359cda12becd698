/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qmp_json.h: where a JSON value ends, if it is one.
 * Called by: qmp_frame.
 * Never: builds anything, recurses, reads beyond `end`.
 */
#ifndef LVC_QMP_JSON_H
#define LVC_QMP_JSON_H

#include <stdint.h>

/* The first byte that is no white space, or end. */
const uint8_t *qmp_json_space(const uint8_t *at, const uint8_t *end);

/* Behind the string that begins at `at`, NULL when none does. */
const uint8_t *qmp_json_string(const uint8_t *at, const uint8_t *end);

/* Behind the value of any kind that begins at `at`; it is inside `depth` others. */
const uint8_t *qmp_json_value(const uint8_t *at, const uint8_t *end, unsigned depth);

#endif
