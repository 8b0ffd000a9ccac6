/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/call.h"

#include "os/text.h"

#include <stdarg.h>
#include <string.h>

static void call_say(struct tarn_backend_call *call, const char *fmt, ...)
{
    char text[sizeof(call->why)]; /* an argument may be what was said before */
    va_list args;
    int n;

    va_start(args, fmt);
    n = text_vformat(text, sizeof(text), fmt, args);
    va_end(args);
    if (n < 0)
        text[0] = '\0';
    memcpy(call->why, text, strlen(text) + 1);
}

void call_init(struct tarn_backend_call *call, const struct tarn_os *os)
{
    memset(call, 0, sizeof(*call));
    call->os = os;
    call->say = call_say;
}

const char *call_why(const struct tarn_backend_call *call, int err)
{
    return call->why[0] != '\0' ? call->why : tarn_strerror(err);
}
