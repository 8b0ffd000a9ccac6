/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is a pool whole?  To be asked when nobody is inside a call on it: no claim, no lock, no mark is
 * left; every frame belongs to whom it says, every entry to its frame; every note is empty.
 */
#ifndef TARN_TESTS_POOL_WHOLE_H
#define TARN_TESTS_POOL_WHOLE_H

#include <stdbool.h>
#include <stdio.h>

#include "mpool/entry.h"
#include "mpool/extent.h"
#include "mpool/pin.h"

static inline bool whole_says(const char *what, unsigned long long where, unsigned long long is)
{
    printf("# not whole: %s %llu is 0x%llx\n", what, where, is);
    return false;
}

static inline bool whole_entries(const struct tarn_mpool *pool)
{
    uint32_t n = (pool->header->groups + 1) * GROUP_ENTRIES;
    bool whole = true;

    for (uint32_t i = 0; i < n; i++) {
        uint64_t key = atomic_load(&pool->entries[i].key), w = atomic_load(&pool->entries[i].pte);

        if ((w & PTE_STATE) != (key != 0 ? PTE_RS : 0))
            whole = whole_says("entry", i, w);
        if (key == 0)
            continue;
        if (entry_find(pool, key) != &pool->entries[i])
            whole = whole_says("key that is not found, of entry", i, key);
        if (atomic_load(&pool->frames[pte_frame(w)].own) != own_make(FRAME_MAPPED, i))
            whole = whole_says("frame that an entry names,", pte_frame(w),
                               atomic_load(&pool->frames[pte_frame(w)].own));
    }
    return whole;
}

/* Is frame noted in the reserve of the lane with this tag? */
static inline bool whole_noted(const struct tarn_mpool *pool, uint32_t frame, uint32_t tag)
{
    uint32_t lanes = rows_lane_count(pool->region);

    for (uint32_t l = 0; l < lanes; l++)
        for (unsigned i = 0; i < BATCH_MAX && rows_lane_tag(pool->region, l) == tag; i++)
            if (atomic_load(&pool_lane_part(pool, l)->reserve[i]) == frame + 1)
                return true;
    return false;
}

static inline bool whole_frames(const struct tarn_mpool *pool)
{
    bool whole = true;

    for (uint32_t f = 0; f < pool->frame_limit; f++) {
        uint64_t own = atomic_load(&pool->frames[f].own), w;

        if (atomic_load(&pool->frames[f].wb) != 0)
            whole = whole_says("write-back mark of frame", f, atomic_load(&pool->frames[f].wb));
        if (extent_class_of(pool, f) == UINT32_MAX)
            continue;
        if (own_kind(own) == FRAME_MAPPED && !pool_resident(pool_entry_of(pool, f), f, &w))
            whole = whole_says("frame", f, own);
        if (own_kind(own) == FRAME_LANE && !whole_noted(pool, f, (uint32_t)own))
            whole = whole_says("frame that no reserve names,", f, own);
    }
    return whole;
}

static inline bool whole_lane(const struct tarn_mpool *pool, uint32_t lane)
{
    const struct pool_lane *part = pool_lane_part(pool, lane);
    bool whole = true;

    for (unsigned i = 0; i < INTENTS; i++)
        if (atomic_load(&part->intent[i].entry) != 0)
            whole = whole_says("intent of lane", lane, i);
    for (unsigned i = 0; i < BATCH_MAX; i++)
        if (atomic_load(&part->writing[i]) != 0)
            whole = whole_says("writing note of lane", lane, i);
    if (atomic_load(&part->group[0]) + atomic_load(&part->group[1]) + atomic_load(&part->files) +
            atomic_load(&part->extent) !=
        0)
        whole = whole_says("lock note of lane", lane, 1);
    return whole;
}

static inline bool whole_locks(const struct tarn_mpool *pool)
{
    bool whole = own_holder(&pool->header->files_lock) == 0;

    if (!whole)
        whole = whole_says("lock of files", 0, own_holder(&pool->header->files_lock));
    for (uint32_t g = 0; g <= pool->header->groups; g++)
        if (own_holder(&pool->locks[g]) != 0)
            whole = whole_says("lock of group", g, own_holder(&pool->locks[g]));
    for (uint32_t i = 0; i < pool->header->extents; i++)
        if (atomic_load(&pool->extent[i]) >> 32 != 0)
            whole = whole_says("extent", i, atomic_load(&pool->extent[i]));
    return whole;
}

static inline bool whole_counts(const struct tarn_mpool *pool)
{
    uint32_t used[PAGE_CLASSES] = { 0 };
    bool whole = true;

    for (uint32_t i = 0; i < pool->header->extents; i++) {
        uint32_t class_ = extent_class_of(pool, i * pool_extent_units(pool));

        if (class_ < PAGE_CLASSES)
            used[class_]++;
    }
    for (uint32_t c = 0; c < PAGE_CLASSES; c++)
        if (atomic_load(&pool->header->extents_of[c]) != used[c])
            whole = whole_says("count of extents of class", c,
                               atomic_load(&pool->header->extents_of[c]));
    return whole;
}

static inline bool pool_is_whole(const struct tarn_mpool *pool)
{
    uint32_t lanes = rows_lane_count(pool->region);
    bool whole = whole_entries(pool);

    whole = whole_frames(pool) && whole;
    whole = whole_locks(pool) && whole;
    whole = whole_counts(pool) && whole;
    for (uint32_t l = 0; l < lanes; l++)
        whole = whole_lane(pool, l) && whole;
    return whole;
}

#endif
