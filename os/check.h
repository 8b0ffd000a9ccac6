/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CHECK(expr): what must hold if Tarn has no fault.  In debug builds (TARN_DEBUG) it prints and
 * aborts; in a release the expression is compiled and not run, so it must have no effect.
 */
#ifndef TARN_OS_CHECK_H
#define TARN_OS_CHECK_H

#ifdef __GNUC__
__attribute__((noreturn))
#endif
void check_failed(const char *expr, const char *file, int line);

#ifdef TARN_DEBUG
#define CHECK(expr) ((expr) ? (void)0 : check_failed(#expr, __FILE__, __LINE__))
#else
#define CHECK(expr) ((void)sizeof((expr) ? 1 : 0))
#endif

#endif
