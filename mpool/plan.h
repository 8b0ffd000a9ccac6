/* SPDX-License-Identifier: BSD-2-Clause */
/* How large a pool's tables are, and where they stand.  plan.c. */
#ifndef MPOOL_PLAN_H
#define MPOOL_PLAN_H

#include "mpool/pool.h"

struct pool_plan {
    uint32_t unit_shift, extent_shift;
    uint32_t extents_made, extents; /* with memory at once; with the spare ones and the gap */
    uint32_t units, groups, max_files, opener_words, file_stride;
    uint64_t files_off, extent_off, lock_off, ovf_off, frame_off, ref_off, free_off, dirty_off,
        entry_off, data_off;
    uint64_t bytes;      /* of the layer's memory */
    uint64_t grow_bytes; /* of spare extents behind the region's end */
};

/* TARN_EINVAL: a unit that is none, or limits that cannot be. */
int plan_make(const struct tarn_mpool_config *config, const struct tarn_env_sink *sink,
              struct pool_plan *out);

/* Of all that processes must agree on about the layout. */
uint64_t plan_fingerprint(void);

/* Does what a header says fit into the layer's memory?  For one who joins. */
bool plan_sane(const struct pool_header *header, uint64_t layer_bytes);

/* Does each of its file records have a bit for every row of the region? */
bool plan_holds_rows(const struct pool_header *header, uint32_t rows);

#endif /* MPOOL_PLAN_H */
