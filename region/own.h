/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words that name their owner, so that what a dead process held is known from the word itself.
 */
#ifndef REGION_OWN_H
#define REGION_OWN_H

#include "region/handle.h"

enum own_fate {
    OWN_ALIVE, /* its process lives, or nobody can tell */
    OWN_DEAD,  /* its process is dead and what it held has not all been given back yet */
    OWN_GONE   /* the tag is of an earlier life of the lane: look at the word again */
};

/* What became of the owner that tag names.  Costs a load or two while it lives. */
enum own_fate own_look(struct tarn_region *region, uint32_t tag);

/*
 * Somebody is in the way: the owner `tag` of a word in which half == expect.  Sleeps until half
 * changes, at most `timeout`; if the owner dies it is reaped first.  The caller looks at its word
 * again in every case.  0 or TARN_ETIMEDOUT.  tag 0: owner unknown, no death to notice.
 */
int own_wait(struct tarn_region *region, const _Atomic uint32_t *half, uint32_t expect,
             uint32_t tag, uint64_t timeout);

/* Wake all who wait on half. */
void own_wake(struct tarn_region *region, const _Atomic uint32_t *half);

/*
 * Take a lock word for the lane with tag.  Waits as long as it needs; a dead owner is reaped (which
 * takes the word over, see struct region_layer.locks).  Returns true if it had to wait.
 */
bool own_lock(struct tarn_region *region, own_word *word, uint32_t tag);
bool own_trylock(own_word *word, uint32_t tag);
void own_unlock(struct tarn_region *region, own_word *word, uint32_t tag);

/* A repairer takes the word over from the dead `from`: true if it was his and is now tag's. */
bool own_steal(own_word *word, uint32_t from, uint32_t tag);

/* The tag that holds the word now; 0 free. */
static inline uint32_t own_holder(const own_word *word)
{
    return (uint32_t)(atomic_load_explicit(word, memory_order_acquire) >> 32);
}

/*
 * A lock between the threads of this process only (tables of a handle).  0 is free; it waits
 * through the OS table.
 */
void own_mutex_lock(const struct tarn_os *os, _Atomic uint32_t *word);
void own_mutex_unlock(const struct tarn_os *os, _Atomic uint32_t *word);

#endif /* REGION_OWN_H */
