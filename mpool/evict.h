/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames for pages that come in, and pages that go for them.  evict.c has the protocol. */
#ifndef MPOOL_EVICT_H
#define MPOOL_EVICT_H

#include "mpool/pool.h"

/*
 * A frame of class for this thread: kind FRAME_LANE, noted in the lane's reserve.  Ends with
 * evict_used() when an entry (or the pin chain) names it, or with evict_unused().  TARN_ENOMEM with
 * the counts when nothing can go.
 */
int evict_frame(struct tarn_thread *th, uint32_t class_, uint32_t *frame);
void evict_used(struct tarn_thread *th, uint32_t frame);
void evict_unused(struct tarn_thread *th, uint32_t frame);

/* How pages are to go. */
struct evict_plan {
    bool dirty_too;        /* what is dirty is lost; else it stays */
    bool to_free;          /* frames become FREE; else they go into the reserve */
    unsigned first_intent; /* 0, or INTENT_REPAIR with few pages */
    uint32_t file;         /* pages of this file only; 0: of any */
    uint32_t ignore;       /* a lane + 1 whose pins do not count: its owner is dead; 0: none */
};

/*
 * Make the pages in these frames leave the pool (n <= BATCH_MAX): those that can be claimed and are
 * not pinned.  Returns how many went; *pinned is raised by those given back because of a pin.
 */
uint32_t evict_pages(struct tarn_thread *th, const uint32_t *frames, uint32_t n,
                     const struct evict_plan *plan, uint32_t *pinned);

/* frame has just become FREE: let it be found. */
void evict_freed(struct tarn_mpool *pool, uint32_t frame);

/* Note frame in the lane's reserve; false: no place. */
bool evict_note(struct pool_lane *part, uint32_t frame);

/*
 * As evict_note(), for a frame that keeps pins and in a reserve that may be full, of a thread that ends
 * or is dead: of the other frames in it one goes for this one.
 */
bool evict_note_pins(struct tarn_mpool *pool, struct pool_lane *part, uint32_t frame, uint32_t tag);

/* Make the frames FREE that the reserve names and that the lane (tag) owns: one, or all. */
void evict_unnote(struct tarn_mpool *pool, struct pool_lane *part, uint32_t frame, uint32_t tag);
void evict_unreserve(struct tarn_mpool *pool, struct pool_lane *part, uint32_t tag);

#endif /* MPOOL_EVICT_H */
