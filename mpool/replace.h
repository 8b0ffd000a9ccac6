/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who goes next.  Knows reference bytes and a hand, nothing of entries, pins or files: so another
 * policy can stand here without the rest noticing.
 */
#ifndef MPOOL_REPLACE_H
#define MPOOL_REPLACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The frames of one page size, as the policy sees them. */
struct replace_view {
    _Atomic uint8_t *ref;                           /* a byte per unit */
    _Atomic uint32_t *hand;                         /* in units, below limit */
    uint32_t limit;                                 /* units */
    uint32_t extent_units;                          /* a power of two */
    uint32_t page_units;                            /* a power of two, at most extent_units */
    bool (*mine)(const void *ctx, uint32_t extent); /* is the extent of this size? */
    const void *ctx;
};

/* A hit.  Writes only if the hand has passed since the last one. */
static inline void replace_touch(_Atomic uint8_t *ref)
{
    if (atomic_load_explicit(ref, memory_order_relaxed) == 0)
        atomic_store_explicit(ref, 1, memory_order_relaxed);
}

/* A page has come into the frame, or wishes to leave it soon. */
static inline void replace_reset(_Atomic uint8_t *ref)
{
    atomic_store_explicit(ref, 0, memory_order_relaxed);
}

/*
 * Move the hand over at most `want` pages (1..64), or out of an extent of another size, and put those
 * that may go into out.  Returns how many; *moved is raised by the units that the hand has come on,
 * so that a caller knows when it has been round.
 */
uint32_t replace_next(const struct replace_view *view, uint32_t want, uint32_t *out,
                      uint64_t *moved);

#endif /* MPOOL_REPLACE_H */
