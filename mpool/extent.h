/* SPDX-License-Identifier: BSD-2-Clause */
/* Extents: runs of frames that belong to one page size.  extent.c has the protocol. */
#ifndef MPOOL_EXTENT_H
#define MPOOL_EXTENT_H

#include "mpool/pool.h"

enum { EXTENT_LEAST_PAGES = 8 }; /* every page size in use has room for so many */

/* Extents that a page size needs at least, if each of its pages takes page_bytes. */
static inline uint32_t extent_least(uint32_t page_bytes, uint32_t extent_shift)
{
    return ((EXTENT_LEAST_PAGES * page_bytes - 1) >> extent_shift) + 1;
}

/* The class of the extent that frame is in; UINT32_MAX if it is of none now. */
uint32_t extent_class_of(const struct tarn_mpool *pool, uint32_t frame);

/* The smallest class that has frames; the unit's if none has. */
uint32_t extent_smallest_class(const struct tarn_mpool *pool);

/* Give a free extent to class: 0, or TARN_ENOENT if there is none. */
int extent_take(struct tarn_thread *th, uint32_t class_);

/* Make sure that class has its least number of frames, taking them from others if need be. */
int extent_ensure(struct tarn_thread *th, uint32_t class_);

/* A miss of class: now and then, if it has less than its share, an extent comes over to it. */
void extent_balance(struct tarn_thread *th, uint32_t class_);

/* How many pages of class there is room for. */
uint32_t extent_class_frames(const struct tarn_mpool *pool, uint32_t class_);

/* The dead lane was taking or draining an extent: undo it. */
void extent_repair(struct tarn_mpool *pool, uint32_t lane, uint32_t tag);

#endif /* MPOOL_EXTENT_H */
