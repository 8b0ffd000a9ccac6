/* SPDX-License-Identifier: BSD-2-Clause */
/* Where what stands in a region, from what is asked for. */
#ifndef REGION_SIZES_H
#define REGION_SIZES_H

#include "region/handle.h"

enum {
    ROWS_MAX = 4095,
    ROWS_SPARE = 4, /* beyond max_procs: for one who comes to repair when all others are dead */
    LANES_MAX = 1 << TAG_LANE_BITS,
    LANES_SPARE = 4,
    DEFAULT_PROCS = 128,
    DEFAULT_THREADS = 1024,
    DEFAULT_BYTES = 64 * 1024
};

struct region_sizes {
    uint64_t rows_off, layer_off, layer_bytes, user_off, user_bytes, lanes_off, end_off;
    uint64_t reserve;   /* with what the layer wants to grow into */
    uint64_t committed; /* at creation: all below the second chunk of lanes */
    uint32_t max_procs, max_lanes, lane_bytes, limit_procs, limit_threads;
};

/* TARN_EINVAL: a limit that cannot be, or more bytes than can be counted. */
int sizes_compute(const struct tarn_region_config *config, const struct region_plan *plan,
                  size_t page, bool private_, const struct tarn_env_sink *sink, const char *name,
                  struct region_sizes *out);

/* Do the offsets that a header claims lie in order below its reserve?  For one who joins. */
bool sizes_sane(const struct region_header *header);

/* Of this library's layout and the layer's; regions of another are not touched. */
uint64_t sizes_fingerprint(const struct region_plan *plan);

/* Rows of a region that lets limit processes in. */
static inline uint32_t sizes_rows(uint32_t limit)
{
    return limit + ROWS_SPARE < ROWS_MAX ? limit + ROWS_SPARE : ROWS_MAX;
}

/* Behind lane number `lanes` of a region, rounded to a page: what must be committed for them. */
static inline uint64_t sizes_lanes_end(uint64_t lanes_off, uint32_t lane_bytes, uint64_t lanes,
                                       size_t page)
{
    return (lanes_off + lanes * lane_bytes + page - 1) & ~(uint64_t)(page - 1);
}

#endif
