/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base_error.c: filling in an lvc_error.
 * Called by: every room. Calls: libc.
 * Never: allocates, so that NO_MEMORY can be told.
 */
#include "base/base_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Two prototypes of strerror_r exist; this picks the text from whichever the libc has. */
static const char *error_text_posix(int result, const char *buffer)
{
    return result == 0 ? buffer : "Unknown error";
}

static const char *error_text_gnu(const char *result, const char *buffer)
{
    (void)buffer;
    return result;
}

#define ERROR_TEXT(result, buffer)                                                                 \
    _Generic((result), int : error_text_posix, char * : error_text_gnu)(result, buffer)

static void error_fill(lvc_error *err, int code, int domain, int number)
{
    err->code = code;
    err->domain = domain;
    err->number = number;
}

int lvc_error_set(lvc_error *err, int code, int domain, const char *format, ...)
{
    va_list args;

    if (err != NULL) {
        error_fill(err, code, domain, 0);
        va_start(args, format);
        (void)vsnprintf(err->message, sizeof(err->message), format, args);
        va_end(args);
    }
    return -1;
}

int lvc_error_system(lvc_error *err, int domain, int number, const char *format, ...)
{
    va_list args;
    char text[128] = "";
    size_t used;

    if (err != NULL) {
        error_fill(err, LVC_ERR_SYSTEM_ERROR, domain, number);
        va_start(args, format);
        (void)vsnprintf(err->message, sizeof(err->message), format, args);
        va_end(args);
        used = strlen(err->message);
        (void)snprintf(err->message + used, sizeof(err->message) - used, ": %s",
                       ERROR_TEXT(strerror_r(number, text, sizeof(text)), text));
    }
    return -1;
}

int lvc_error_memory(lvc_error *err, int domain)
{
    return lvc_error_set(err, LVC_ERR_NO_MEMORY, domain, "%s", "");
}

void lvc_error_clear(lvc_error *err)
{
    if (err != NULL) {
        error_fill(err, LVC_ERR_OK, LVC_FROM_NONE, 0);
        err->message[0] = '\0';
    }
}
