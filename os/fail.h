/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How every layer reports an error: once, where it is first understood.
 */
#ifndef TARN_OS_FAIL_H
#define TARN_OS_FAIL_H

#include "os/text.h"

#define FAIL_TEXT_MAX 1024 /* bytes of a message with its end; a longer one ends in "..." */

/* Where an environment wants its messages. */
struct tarn_env_sink {
    void (*fn)(void *ctx, int err, const char *prefix, const char *text);
    void *ctx;
    const char *prefix;
};

/*
 * Make the text the last message of this thread, give it to the sink (may be NULL, and so may its
 * fn), and return err.  Hold no lock: the sink is the application's.
 */
int tarn_fail(const struct tarn_env_sink *sink, int err, const char *fmt, ...) TEXT_PRINTF(3, 4);

#endif
