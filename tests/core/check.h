/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * check.h: the little that a C check needs.
 * Called by: tests/core/..._check.c; test_checks.py compiles and runs those.
 *
 * A failed CHECK says where and stops the program with status 1. A check that gets through main
 * returns 0; the sanitizers turn anything else they see into a failure.
 */
#ifndef LVC_TESTS_CHECK_H
#define LVC_TESTS_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define CHECK_TEXT(expected, actual)                                                               \
    do {                                                                                           \
        if (strcmp((expected), (actual)) != 0) {                                                   \
            fprintf(stderr, "%s:%d:\n  expected: %s\n  actual:   %s\n", __FILE__, __LINE__,        \
                    (expected), (actual));                                                         \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#endif
