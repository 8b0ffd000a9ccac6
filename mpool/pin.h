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

/* Is place one of the thread's own line? */
static inline bool pin_in_line(const struct tarn_thread *th, const _Atomic uint32_t *place)
{
    return place >= th->pin && place < th->pin + LANE_PINS;
}

/* May room be taken without a look?  Not if it is NULL, or the first place of the line (rule 7). */
static inline bool pin_has_room(const _Atomic uint32_t *room)
{
    return ((uintptr_t)room & (LANE_PINS * sizeof(uint32_t) - 1)) != 0;
}

/* Look for room anew. */
void pin_find_room(struct tarn_thread *th);

/*
 * An empty place for a pin of this thread: in its line, else in a chained frame.  NULL: 65,535 pins
 * are there, or no frame can be had for more; *err says which.  The pin is then set and taken.
 */
_Atomic uint32_t *pin_place(struct tarn_thread *th, int *err);
void pin_taken(struct tarn_thread *th, const _Atomic uint32_t *place);

/* The pin in place was cleared by its own thread. */
void pin_given(struct tarn_thread *th, const _Atomic uint32_t *place);

/* Where a page is pinned. */
struct pin_found {
    _Atomic uint32_t *at; /* NULL: nowhere */
    uint32_t value;
    bool own; /* in the thread's own lane */
};

/*
 * A pin that this process has on frame: of th's own lane first, and writable if there is one; else
 * the oldest of another lane, since its thread puts its youngest first.
 */
struct pin_found pin_find(struct tarn_thread *th, uint32_t frame);

/* Is frame pinned by anybody? Without the barrier: an answer about the past. */
bool pin_any(const struct tarn_mpool *pool, uint32_t frame);

/* Frames claimed together, and which of them turned out to be pinned. */
struct pin_batch {
    uint32_t n;
    uint32_t ignore; /* a lane + 1 whose pins do not count; 0: none */
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

/* Pins of lane that are set. */
uint32_t pin_total(const struct tarn_mpool *pool, uint32_t lane);

/* Give the chained frames of a lane without pins back (at its end, or for the dead with `tag`). */
void pin_unchain(struct tarn_mpool *pool, uint32_t lane, uint32_t tag);

#endif /* MPOOL_PIN_H */
