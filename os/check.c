/* SPDX-License-Identifier: BSD-2-Clause */
#include "os/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "tarn: %s:%d: CHECK(%s) does not hold\n", file, line, expr);
    abort();
}
