/* SPDX-License-Identifier: BSD-2-Clause */
#include "os/fail.h"

#include <string.h>
#include <tarn/tarn.h>

static _Thread_local char last_message[FAIL_TEXT_MAX];

const char *tarn_last_message(void) { return last_message; }

int tarn_fail(const struct tarn_env_sink *sink, int err, const char *fmt, ...)
{
    char text[FAIL_TEXT_MAX]; /* an argument may be the last message itself */
    va_list args;
    int n;

    va_start(args, fmt);
    n = text_vformat(text, sizeof(text), fmt, args);
    va_end(args);
    if (n < 0)
        memcpy(text, "message cannot be formatted", sizeof("message cannot be formatted"));
    else if ((size_t)n >= sizeof(text))
        memcpy(text + sizeof(text) - 4, "...", 4);
    memcpy(last_message, text, strlen(text) + 1);
    if (sink != NULL && sink->fn != NULL)
        sink->fn(sink->ctx, err, sink->prefix, last_message);
    return err;
}
