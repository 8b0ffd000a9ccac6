/* SPDX-License-Identifier: BSD-2-Clause */
/* Participants (rows) and their threads (lanes). */
#ifndef REGION_ROWS_H
#define REGION_ROWS_H

#include "region/handle.h"

/* Take a row and make it LIVE; TARN_ENOSPC with the number.  Dead rows are given back on the way. */
int rows_join(struct tarn_region *region);

/* Give the row of this process back, its lanes first. */
void rows_leave(struct tarn_region *region);

/*
 * The lane of the calling thread in this region, taken if it has none.  Kept until the thread ends
 * (given back then if it is idle, else by the next rows_lane() or detach that finds it idle).
 * TARN_ENOSPC: all max_threads lanes are taken; TARN_EFORK; TARN_ENOMEM.
 */
int rows_lane(struct tarn_region *region, uint32_t *lane, uint32_t *tag);

/* A lane of its own for a handle that the caller manages; any thread may use it, one at a time. */
int rows_lane_take(struct tarn_region *region, uint32_t *lane, uint32_t *tag);
void rows_lane_give(struct tarn_region *region, uint32_t lane);

/* Lanes that are committed: all tags name a lane below this number. */
static inline uint32_t rows_lane_count(const struct tarn_region *r)
{
    return atomic_load_explicit(&r->header->lane_chunks, memory_order_acquire) * LANE_CHUNK;
}

/* The tag under which lane works now; 0 if it is free. */
uint32_t rows_lane_tag(const struct tarn_region *region, uint32_t lane);

/* The row that a lane belongs to: row number, UINT32_MAX if it is free. */
uint32_t rows_lane_row(const struct tarn_region *region, uint32_t lane);

/* Does a row with this generation live?  Looks at all witnesses; exact for the dead, see rows.c. */
bool rows_alive(struct tarn_region *region, uint32_t row, uint32_t gen);

/* Row `row` in use now?  *gen is its generation. */
bool rows_in_use(const struct tarn_region *region, uint32_t row, uint32_t *gen);

#endif /* REGION_ROWS_H */
