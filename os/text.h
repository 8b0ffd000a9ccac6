/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text and sorting for the layers above, which use nothing of the C library but mem* and str*.
 */
#ifndef TARN_OS_TEXT_H
#define TARN_OS_TEXT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define TEXT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define TEXT_PRINTF(fmt, args)
#endif

/* As snprintf: the length that the whole text has, buf always ended with a 0 byte if len > 0. */
int text_format(char *buf, size_t len, const char *fmt, ...) TEXT_PRINTF(3, 4);
int text_vformat(char *buf, size_t len, const char *fmt, va_list args) TEXT_PRINTF(3, 0);

/*
 * A decimal number with an optional suffix K, M, G or T (powers of 1024, either case).  *end is the
 * first byte after it; if end is NULL, nothing may follow.  TARN_EINVAL: no number, or too large.
 */
int text_number(const char *s, uint64_t *out, const char **end);

/* As qsort. */
void text_sort(void *base, size_t n, size_t size, int (*cmp)(const void *, const void *));

/* How many bytes must be changed, added or removed to make b of a; names above 63 bytes: UINT_MAX. */
unsigned text_distance(const char *a, const char *b);

#endif
