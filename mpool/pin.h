/* SPDX-License-Identifier: BSD-2-Clause */
/* Pins: pin.c has the protocol. */
#ifndef MPOOL_PIN_H
#define MPOOL_PIN_H

#include "mpool/pool.h"

/* The store of a pin, and what keeps it before the loads that follow (pin.c, rule 2). */
static inline void pin_store(_Atomic uint32_t *pin, uint32_t value, bool exchange)
{
    if (exchange) {
        (void)atomic_exchange(pin, value);
    } else {
        atomic_store_explicit(pin, value, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst);
    }
}

/*
 * An empty place for a pin of this thread: in its line, else in a chained frame (*slot is
 * LANE_PINS then).  NULL: 65,535 pins are there, or no frame can be had for more; *err says which.
 */
_Atomic uint32_t *pin_place(struct tarn_thread *th, uint32_t *slot, int *err);

/* The pin in the place that pin_place() gave is set: remember what a put wants to know. */
static inline void pin_taken(struct tarn_thread *th, uint32_t slot, _Atomic uint64_t *pte)
{
    if (slot == LANE_PINS) {
        th->chained++;
        return;
    }
    th->pinned[slot] = pte;
    th->slot = (slot + 1) % LANE_PINS;
}

/* Where this process has frame pinned: th's own lane first, then its other lanes.  NULL: nowhere. */
_Atomic uint32_t *pin_find(struct tarn_thread *th, uint32_t frame);

/* Is frame pinned by anybody? Without the barrier: an answer about the past. */
bool pin_any(const struct tarn_mpool *pool, uint32_t frame);

/* Frames claimed together, and which of them turned out to be pinned. */
struct pin_batch {
    uint32_t n;
    uint32_t frame[BATCH_MAX];
    bool pinned[BATCH_MAX];
};

/*
 * After claiming all frames of the batch: issue the heavy barrier, look at all pins of all lanes,
 * and mark those of the batch that are pinned.  A false mark is possible only for a pin that is on
 * its way out.
 */
void pin_scan(struct tarn_thread *th, struct pin_batch *batch);

/* Call fn for each pin of lane that is set; stop if it returns false. */
typedef bool (*pin_fn)(void *ctx, _Atomic uint32_t *pin, uint32_t value);
void pin_walk(const struct tarn_mpool *pool, uint32_t lane, pin_fn fn, void *ctx);

/* Give the chained frames of a lane without pins back (at its end, or for the dead with `tag`). */
void pin_unchain(struct tarn_mpool *pool, uint32_t lane, uint32_t tag);

/* The thread has put the last pin behind its line: give the chained frames back, if none is left. */
void pin_unchain_idle(struct tarn_thread *th);

#endif /* MPOOL_PIN_H */
