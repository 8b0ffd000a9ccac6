/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clock.
 *
 *            hand
 *             v
 *     ref   1 0 1 1 0 0 1 0 ...      a byte per frame: seen since the hand last passed?
 *
 * The hand clears the ones and offers the zeros.  It is moved by CAS a stretch at a
 * time, so that evictors in several processes work on different stretches; all of this is hints: a
 * byte or a step that a death loses costs a page its chance, nothing else.
 *
 * tests/test_replace.c holds it: a page seen since the last turn outlives one that was not.
 */
#include "mpool/replace.h"

/* Where a step of at most `want` pages from `at` ends: on a power of two, inside the extent. */
static uint32_t step_end(const struct replace_view *view, uint32_t at, uint32_t want)
{
    uint32_t units = view->page_units;

    while (2 * units <= want * view->page_units && units < view->extent_units)
        units *= 2;
    return (at | (units - 1)) + 1;
}

uint32_t replace_next(const struct replace_view *view, uint32_t want, uint32_t *out,
                      uint64_t *moved)
{
    uint32_t seen = atomic_load_explicit(view->hand, memory_order_relaxed);
    uint32_t at, end, n = 0;
    bool mine;

    do {
        at = seen < view->limit ? seen & ~(view->page_units - 1) : 0;
        mine = view->mine(view->ctx, at / view->extent_units);
        end = mine ? step_end(view, at, want) : (at | (view->extent_units - 1)) + 1;
    } while (!atomic_compare_exchange_weak_explicit(view->hand, &seen, end < view->limit ? end : 0,
                                                    memory_order_relaxed, memory_order_relaxed));
    *moved += end - at;
    for (uint32_t f = at; mine && f < end; f += view->page_units)
        if (atomic_load_explicit(&view->ref[f], memory_order_relaxed) != 0)
            atomic_store_explicit(&view->ref[f], 0, memory_order_relaxed);
        else
            out[n++] = f;
    return n;
}
