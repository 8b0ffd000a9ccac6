/* SPDX-License-Identifier: BSD-2-Clause */
#include "os/text.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/tarn.h>

int text_vformat(char *buf, size_t len, const char *fmt, va_list args)
{
    return vsnprintf(buf, len, fmt, args);
}

int text_format(char *buf, size_t len, const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(buf, len, fmt, args);
    va_end(args);
    return n;
}

static unsigned suffix_shift(char c)
{
    static const char suffixes[] = "kKmMgGtT";
    const char *at = c == '\0' ? NULL : strchr(suffixes, c);

    return at == NULL ? 0 : 10 * ((unsigned)(at - suffixes) / 2 + 1);
}

int text_number(const char *s, uint64_t *out, const char **end)
{
    uint64_t value = 0;
    unsigned shift;

    if (*s < '0' || *s > '9')
        return TARN_EINVAL;
    for (; *s >= '0' && *s <= '9'; s++) {
        uint64_t digit = (uint64_t)(*s - '0');

        if (value > (UINT64_MAX - digit) / 10)
            return TARN_EINVAL;
        value = value * 10 + digit;
    }
    shift = suffix_shift(*s);
    if (shift != 0) {
        s++;
        if (value > UINT64_MAX >> shift)
            return TARN_EINVAL;
        value <<= shift;
    }
    if (end == NULL && *s != '\0')
        return TARN_EINVAL;
    if (end != NULL)
        *end = s;
    *out = value;
    return TARN_OK;
}

void text_sort(void *base, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
    if (n > 1)
        qsort(base, n, size, cmp);
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;

    return ab < c ? ab : c;
}

unsigned text_distance(const char *a, const char *b)
{
    unsigned row[64];
    size_t la = strlen(a), lb = strlen(b);

    if (la > 63 || lb > 63)
        return UINT_MAX;
    for (size_t j = 0; j <= lb; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= la; i++) {
        unsigned diagonal = row[0]; /* the entry above and to the left of row[j] */

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++) {
            unsigned above = row[j];

            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[lb];
}
