/* SPDX-License-Identifier: BSD-2-Clause */
/* Words for people: complaints, sizes, counts. */
#include "tools/tool.h"

#include <apr_errno.h>
#include <apr_strings.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void complain_v(const char *fmt, va_list args)
{
    (void)fflush(stdout);
    (void)fputs("tarn: ", stderr);
    (void)vfprintf(stderr, fmt, args);
}

int complain(int status, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    complain_v(fmt, args);
    va_end(args);
    (void)fputc('\n', stderr);
    return status;
}

int complain_tarn(const char *what)
{
    const char *said = tarn_last_message();

    return complain(EXIT_WRONG, "%s%s%s", what, what[0] != '\0' ? ": " : "", said);
}

int complain_apr(apr_status_t status, const char *fmt, ...)
{
    char words[200];
    va_list args;

    va_start(args, fmt);
    complain_v(fmt, args);
    va_end(args);
    (void)fprintf(stderr, ": %s\n", apr_strerror(status, words, sizeof words));
    return EXIT_WRONG;
}

const char *text_size(apr_pool_t *pool, uint64_t bytes)
{
    static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
    double n = (double)bytes / 1024;
    int unit = 0;

    if (bytes < 1024)
        return apr_psprintf(pool, "%" PRIu64 " B", bytes);
    for (; n >= 1024 && unit < 3; unit++)
        n /= 1024;
    if (n == (double)(uint64_t)n)
        return apr_psprintf(pool, "%" PRIu64 " %s", (uint64_t)n, units[unit]);
    return apr_psprintf(pool, "%.1f %s", n, units[unit]);
}

const char *text_count(apr_pool_t *pool, uint64_t n)
{
    char digits[24], out[32];
    size_t len, at = 0;

    len = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, n);
    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    return apr_pstrndup(pool, out, at);
}

const char *text_plural(apr_pool_t *pool, uint64_t n, const char *one, const char *many)
{
    return apr_psprintf(pool, "%s %s", text_count(pool, n), n == 1 ? one : many);
}
