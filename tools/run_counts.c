/* SPDX-License-Identifier: BSD-2-Clause */
/* The public statistics are sums over all threads; the counters of one stand in its lane. */
#include "tools/run_counts.h"

#include "mpool/pool.h"

static uint64_t one(const tarn_thread *th, enum lane_counter c)
{
    return atomic_load_explicit(&th->part->count[c], memory_order_relaxed);
}

void counts_of(tarn_thread *thread, struct counts *out)
{
    out->hits = 0;
    for (int i = 0; i < FILE_COUNTERS; i++)
        out->hits += atomic_load_explicit(&thread->part->hits[i], memory_order_relaxed);
    out->misses = one(thread, COUNT_MISS);
    out->evictions = one(thread, COUNT_EVICT_CLEAN) + one(thread, COUNT_EVICT_DIRTY);
    out->writebacks = one(thread, COUNT_WRITE);
}
