/* SPDX-License-Identifier: BSD-2-Clause */
/* What one thread alone has had of the pool. */
#ifndef TOOLS_RUN_COUNTS_H
#define TOOLS_RUN_COUNTS_H

#include <tarn/mpool.h>

struct counts {
    uint64_t hits, misses, evictions, writebacks;
};

void counts_of(tarn_thread *thread, struct counts *out);

#endif
