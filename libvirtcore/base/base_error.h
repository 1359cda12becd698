/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base_error.h: filling in an lvc_error.
 * Called by: every room, at the place where a fault is found, once.
 * Never: keeps state; the caller owns the lvc_error.
 */
#ifndef LVC_BASE_ERROR_H
#define LVC_BASE_ERROR_H

#include "libvirtcore.h"

/* The few of libvirt's error codes that the core raises by itself. */
enum lvc_error_code {
    LVC_ERR_OK = 0,
    LVC_ERR_INTERNAL_ERROR = 1,
    LVC_ERR_NO_MEMORY = 2,
    LVC_ERR_INVALID_ARG = 8,
    LVC_ERR_OPERATION_FAILED = 9,
    LVC_ERR_SYSTEM_ERROR = 38,
    LVC_ERR_RPC = 39,
    LVC_ERR_OPERATION_INVALID = 55,
    LVC_ERR_OPERATION_TIMEOUT = 68,
    LVC_ERR_OPERATION_ABORTED = 78,
};

/* And of its error domains. */
enum lvc_error_domain {
    LVC_FROM_NONE = 0,
    LVC_FROM_RPC = 7,
    LVC_FROM_QEMU = 10,
    LVC_FROM_REMOTE = 13,
    LVC_FROM_STREAMS = 38,
};

#define LVC_PRINTF(position, first) __attribute__((format(printf, position, first)))

/* Fill *err; NULL is allowed. The message is the detail only: the template that belongs to the
 * code ("internal error: %s") is added in Python. Returns -1, so that `return lvc_error_set(...)`. */
int lvc_error_set(lvc_error *err, int code, int domain, const char *format, ...) LVC_PRINTF(4, 5);

/* A failed system call: SYSTEM_ERROR, the message followed by ": " and the errno in words. */
int lvc_error_system(lvc_error *err, int domain, int number, const char *format, ...)
    LVC_PRINTF(4, 5);

/* NO_MEMORY. */
int lvc_error_memory(lvc_error *err, int domain);

void lvc_error_clear(lvc_error *err);

#endif
