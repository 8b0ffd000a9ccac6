/* SPDX-License-Identifier: BSD-2-Clause */
/* Participants (rows) and their threads (lanes). */
#ifndef REGION_ROWS_H
#define REGION_ROWS_H

#include "region/handle.h"

/* Take a row and make it LIVE; TARN_ENOSPC with the number.  Dead rows are given back on the way. */
int rows_join(struct tarn_region *region);

/* Do more than max_procs processes live, this one among them?  Asked after a sweep, by a joiner. */
bool rows_crowded(struct tarn_region *region);

/*
 * Give the row of this process back, its lanes first.  If another thread holds the life word the row
 * is parked, and region->parked is set: rows_unpark() by that thread ends it.
 */
void rows_leave(struct tarn_region *region);
void rows_unpark(struct tarn_region *region);

/*
 * The lane of the calling thread in this region, taken if it has none.  Kept until the thread ends
 * (given back then if it is idle, else by the next rows_lane() or detach that finds it idle).
 * TARN_ENOSPC: all max_threads lanes are taken; TARN_EFORK; TARN_ENOMEM.
 */
int rows_lane(struct tarn_region *region, uint32_t *lane, uint32_t *tag);

/* A lane of its own for a handle that the caller manages; any thread may use it, one at a time. */
int rows_lane_take(struct tarn_region *region, uint32_t *lane, uint32_t *tag);
void rows_lane_give(struct tarn_region *region, uint32_t lane);

/*
 * The lane of the calling thread, or a spare one, without committing memory; false: none is free.
 * rows_lane_unspare() gives it back if it was a spare one and is idle.
 */
bool rows_lane_spare(struct tarn_region *region, uint32_t *lane, uint32_t *tag);
void rows_lane_unspare(struct tarn_region *region);

/* Lanes [from, end) have memory and are about to be published: make them takeable. */
void rows_lane_init(struct tarn_region *region, uint32_t from, uint32_t end);

/* The calling thread ends: give back what it has in this region. */
void rows_thread_ends(struct tarn_region *region, uint64_t thread);

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

/* Its lock byte, by a descriptor other than ours; true also if the system cannot tell. */
bool rows_byte_held(const struct tarn_region *region, uint32_t row);

/* Row `row` in use now?  *gen is its generation. */
bool rows_in_use(const struct tarn_region *region, uint32_t row, uint32_t *gen);

/* ---- the words --------------------------------------------------------------------------------- */

enum { ROW_GEN_MAX = (1 << 24) - 1 };

static inline struct row *rows_at(const struct tarn_region *r, uint32_t row)
{
    return (struct row *)(void *)(r->base + r->header->rows_off) + row;
}

static inline uint64_t row_make(enum row_state state, uint32_t gen, uint32_t layers)
{
    return (uint64_t)state | (uint64_t)gen << 8 | (uint64_t)layers << 32;
}

static inline enum row_state row_state(uint64_t word) { return (enum row_state)(word & 0xff); }

static inline uint32_t row_gen(uint64_t word) { return (uint32_t)(word >> 8) & ROW_GEN_MAX; }

static inline uint32_t row_layers(uint64_t word) { return (uint32_t)(word >> 32) & 0xff; }

/* The part of a lane's owner that names a row and its generation; 0 nobody. */
static inline uint64_t lane_holder(uint64_t owner) { return owner & 0xffffffffffULL; }

static inline uint64_t lane_holder_make(uint32_t row, uint32_t gen)
{
    return ((uint64_t)row + 1) | (uint64_t)gen << 16;
}

static inline uint32_t lane_holder_row(uint64_t owner) { return (uint32_t)(owner & 0xffff) - 1; }

static inline uint32_t lane_holder_gen(uint64_t owner)
{
    return (uint32_t)(owner >> 16) & ROW_GEN_MAX;
}

static inline uint32_t lane_tag_gen(uint64_t owner)
{
    return (uint32_t)(owner >> 40) & TAG_GEN_MAX;
}

/* Free the lane if its owner is exactly `owner`; the generation rises. */
void rows_lane_clear(struct tarn_region *region, uint32_t lane, uint64_t owner);

#endif /* REGION_ROWS_H */
