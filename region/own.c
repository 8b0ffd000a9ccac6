/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words that name their owner.
 *
 *      0  --- own_lock: CAS --->  {tag, 0}  --- somebody waits --->  {tag, 1}
 *      ^                             |                                   |
 *      +-------- own_unlock ---------+--------- own_unlock, wake --------+
 *                                    own_steal: {dead, w} -> {mine, w}
 *
 * Rules
 *   1. The tag is in the word from the same CAS that takes it, so there is no instant at which the
 *      word is taken and nobody knows by whom.
 *   2. A waiter sleeps on the lower half while that is 1, and on the life word of the owner, for at
 *      most 10 ms at a time: no death and no lost wake-up stops it longer.
 *   3. Who had to sleep takes the word with the waiter bit set, since others may sleep on; so one
 *      wake-up per unlock is enough.
 *   4. A waiter that finds the owner dead has it reaped, and looks at the word again.
 *
 * Not promised: fairness; a time limit while the owner lives and keeps the word.
 *
 * tests/test_own.c: exclusion between processes, deaths of owners and of waiters.
 */
#include "region/own.h"

#include <limits.h>

#include "os/check.h"
#include "region/env.h"
#include "region/reap.h"
#include "region/rows.h"

#define WAITER      1ull
#define SLICE_DYING 100000u /* ns, doubled with each look */
#define SLICE_FIRST 500000u
#define SLICE_LAST  10000000u

/* The half that holds the waiter bit. */
static const _Atomic uint32_t *waiter_half(const own_word *word)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (const _Atomic uint32_t *)(const void *)word;
#else
    return (const _Atomic uint32_t *)(const void *)word + 1;
#endif
}

static const uint32_t *plain(const _Atomic uint32_t *half)
{
    return (const uint32_t *)(const void *)half;
}

/* ---- who is it ----------------------------------------------------------------------------------- */

/* The row of the lane that works under tag; false: the lane has moved on. */
static bool find_row(struct tarn_region *region, uint32_t tag, uint32_t *row, uint32_t *gen)
{
    uint64_t owner;

    if (tag_lane(tag) >= rows_lane_count(region))
        return false;
    owner = atomic_load(&region_lane(region, tag_lane(tag))->owner);
    if (lane_holder(owner) == 0 || lane_tag_gen(owner) != tag_gen(tag))
        return false;
    *row = lane_holder_row(owner);
    *gen = lane_holder_gen(owner);
    return *row < region->header->max_procs;
}

enum own_fate own_look(struct tarn_region *region, uint32_t tag)
{
    enum tarn_life_state life;
    uint32_t row, gen;
    uint64_t word;

    if (!find_row(region, tag, &row, &gen))
        return OWN_GONE;
    if (region->private_ || row == region->row)
        return OWN_ALIVE;
    word = atomic_load(&rows_at(region, row)->state);
    if (row_state(word) == ROW_LIVE && row_gen(word) == gen &&
        region->os->sync->life_look(region->os, &rows_at(region, row)->life, &life) == TARN_OK &&
        life == TARN_LIFE_HELD)
        return OWN_ALIVE;
    if (rows_alive(region, row, gen))
        return OWN_ALIVE;
    return find_row(region, tag, &row, &gen) ? OWN_DEAD : OWN_GONE;
}

/* ---- waiting ------------------------------------------------------------------------------------- */

/* The life word of the process that tag belongs to, if it can tell more than our own. */
static struct tarn_life *life_of(struct tarn_region *region, uint32_t tag)
{
    uint32_t row, gen;

    if (tag == 0 || region->private_ || !find_row(region, tag, &row, &gen) || row == region->row)
        return NULL;
    return &rows_at(region, row)->life;
}

/* Sleep on half, and on the life word of tag's process.  True: that one is dying. */
static bool sleep_on(struct tarn_region *region, const _Atomic uint32_t *half, uint32_t expect,
                     uint32_t tag, uint64_t timeout)
{
    const struct tarn_os *os = region->os;
    struct tarn_wait words[2] = { { plain(half), expect } };
    struct tarn_life *of = life_of(region, tag);
    enum tarn_life_state life = TARN_LIFE_FREE;

    if (of != NULL && os->sync->life_look(os, of, &life) == TARN_OK && life == TARN_LIFE_HELD &&
        os->sync->life_word(os, of, &words[1]) == TARN_OK &&
        os->sync->wait_any(os, words, 2, timeout) != TARN_ENOSYS) {
        if (os->sync->life_look(os, of, &life) != TARN_OK || life != TARN_LIFE_DIED)
            return false;
        (void)os->sync->wake(os, words[1].word, INT_MAX); /* the kernel woke one of us only */
        return true;
    }
    if (os->sync->wait(os, plain(half), expect, timeout) == TARN_ENOSYS)
        (void)os->misc->sleep(os, timeout);
    return life == TARN_LIFE_DIED;
}

int own_wait(struct tarn_region *region, const _Atomic uint32_t *half, uint32_t expect,
             uint32_t tag, uint64_t timeout)
{
    const struct tarn_os *os = region->os;
    uint64_t slice = SLICE_FIRST, begun = 0, now = 0;
    bool timed = timeout != TARN_FOREVER && os->misc->clock(os, 0, &begun) == TARN_OK;

    for (;;) {
        uint64_t left = timed ? timeout - (now == 0 ? 0 : now - begun) : TARN_FOREVER;
        enum own_fate fate = tag == 0 ? OWN_ALIVE : own_look(region, tag);

        if (fate == OWN_DEAD)
            reap_tag(region, tag);
        if (fate != OWN_ALIVE || atomic_load(half) != expect)
            return TARN_OK;
        slice = slice * 2 < SLICE_LAST ? slice * 2 : SLICE_LAST;
        if (sleep_on(region, half, expect, tag, left < slice ? left : slice))
            slice = SLICE_DYING; /* its lock byte falls within this time */
        if (atomic_load(half) != expect)
            return TARN_OK;
        if (timed && (os->misc->clock(os, 0, &now) != TARN_OK || now - begun >= timeout))
            return TARN_ETIMEDOUT;
    }
}

void own_wake(struct tarn_region *region, const _Atomic uint32_t *half)
{
    (void)region->os->sync->wake(region->os, plain(half), INT_MAX);
}

/* ---- the lock ------------------------------------------------------------------------------------ */

bool own_trylock(own_word *word, uint32_t tag)
{
    uint64_t free_word = 0;

    return atomic_compare_exchange_strong(word, &free_word, (uint64_t)tag << 32);
}

bool own_lock(struct tarn_region *region, own_word *word, uint32_t tag)
{
    uint64_t bits = 0;
    bool waited = false;

    CHECK(own_holder(word) != tag);
    for (uint32_t i = 0; i < region->env->spins; i++)
        if (own_holder(word) == 0 && own_trylock(word, tag))
            return false;
    for (;;) {
        uint64_t seen = atomic_load(word);

        if (seen == 0) {
            if (atomic_compare_exchange_strong(word, &seen, (uint64_t)tag << 32 | bits))
                return waited;
            continue;
        }
        waited = true;
        if ((seen & WAITER) == 0 && !atomic_compare_exchange_strong(word, &seen, seen | WAITER))
            continue;
        bits = WAITER;
        (void)own_wait(region, waiter_half(word), (uint32_t)WAITER, (uint32_t)(seen >> 32),
                       SLICE_LAST);
    }
}

void own_unlock(struct tarn_region *region, own_word *word, uint32_t tag)
{
    uint64_t seen;

    CHECK(own_holder(word) == tag);
    (void)tag;
    seen = atomic_exchange(word, 0);
    if (seen & WAITER)
        (void)region->os->sync->wake(region->os, plain(waiter_half(word)), 1);
}

bool own_steal(own_word *word, uint32_t from, uint32_t tag)
{
    uint64_t seen = atomic_load(word);

    while ((uint32_t)(seen >> 32) == from)
        if (atomic_compare_exchange_weak(word, &seen, (uint64_t)tag << 32 | (seen & UINT32_MAX)))
            return true;
    return false;
}

/* ---- between threads only ------------------------------------------------------------------------ */

void own_mutex_lock(const struct tarn_os *os, _Atomic uint32_t *word)
{
    uint32_t seen = 0;

    if (atomic_compare_exchange_strong(word, &seen, 1))
        return;
    while (atomic_exchange(word, 2) != 0)
        if (os->sync->wait(os, plain(word), 2, SLICE_LAST) == TARN_ENOSYS)
            (void)os->misc->yield(os);
}

void own_mutex_unlock(const struct tarn_os *os, _Atomic uint32_t *word)
{
    if (atomic_exchange(word, 0) == 2)
        (void)os->sync->wake(os, plain(word), 1);
}
