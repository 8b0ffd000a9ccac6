/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The books of a pool, gone through while nobody works in it: everything that the rules at the tops
 * of mpool/ say about entries, frames, extents, lanes and files.  Each fault is a line on standard
 * error; audit_pool() returns their number.
 *
 * Dead participants are given back first, so that what is left of them afterwards is a fault.
 */
#ifndef TARN_TESTS_AUDIT_H
#define TARN_TESTS_AUDIT_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpool/entry.h"
#include "mpool/extent.h"
#include "mpool/pin.h"
#include "region/own.h"
#include "region/reap.h"

struct audit {
    struct tarn_mpool *pool;
    int faults;
    uint64_t pins;
    uint8_t *named; /* per frame: how often something names it */
};

__attribute__((format(printf, 2, 3))) static inline void audit_fault(struct audit *a,
                                                                     const char *format, ...)
{
    va_list args;

    if (++a->faults > 20)
        return;
    (void)fputs("# audit: ", stderr);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
}

#define AUDIT(a, holds, ...)                                                                       \
    do {                                                                                           \
        if (!(holds))                                                                              \
            audit_fault((a), __VA_ARGS__);                                                         \
    } while (0)

/* ---- entries --------------------------------------------------------------------------------- */

static inline void audit_resident(struct audit *a, uint32_t i, uint64_t key, uint64_t w)
{
    struct tarn_mpool *pool = a->pool;
    uint32_t frame = pte_frame(w), class_;
    const struct file_record *record;

    if (frame >= pool->frame_limit || key_file(key) == 0 ||
        key_file(key) > pool->header->max_files) {
        audit_fault(a, "entry %u: frame %u, file %u cannot be", i, frame, key_file(key));
        return;
    }
    a->named[frame]++;
    record = pool_file(pool, key_file(key));
    class_ = extent_class_of(pool, frame);
    AUDIT(a, atomic_load(&pool->frames[frame].own) == own_make(FRAME_MAPPED, i),
          "entry %u: its frame %u is of kind %d, value %u", i, frame,
          (int)own_kind(atomic_load(&pool->frames[frame].own)),
          (uint32_t)atomic_load(&pool->frames[frame].own));
    AUDIT(a, atomic_load(&record->state) != FILE_FREE, "entry %u: file %u is free", i,
          key_file(key));
    AUDIT(a, class_ == record->class_, "entry %u: frame %u of class %u, file of class %u", i, frame,
          class_, record->class_);
    AUDIT(a,
          !pool_dirty(pool, w) || (atomic_load(&pool->dirtymap[frame / 64]) >> frame % 64 & 1) != 0,
          "entry %u: frame %u is dirty and has no bit", i, frame);
}

static inline void audit_entry(struct audit *a, uint32_t i)
{
    const struct tarn_mpool *pool = a->pool;
    uint64_t key = atomic_load(&pool->entries[i].key), w = atomic_load(&pool->entries[i].pte);
    uint32_t group = i / GROUP_ENTRIES;

    AUDIT(a, (w & (PTE_XL | PTE_CL)) == 0, "entry %u: claimed by tag %x, bits %llx, key %llx", i,
          pte_high(w), (unsigned long long)(w & PTE_STATE), (unsigned long long)key);
    AUDIT(a, (w & PTE_WT) == 0, "entry %u: WT without a claim", i);
    if ((w & PTE_STATE) == 0) {
        AUDIT(a, key == 0, "entry %u: free, key %llx", i, (unsigned long long)key);
        return;
    }
    AUDIT(a, key != 0, "entry %u: resident without a key", i);
    if (key == 0 || (w & PTE_CL))
        return;
    AUDIT(a, group == pool->header->groups || group == entry_group_of(pool, key),
          "entry %u: its key is of group %u", i, entry_group_of(pool, key));
    AUDIT(a, entry_find(pool, key) == &pool->entries[i], "entry %u: its key is found elsewhere", i);
    audit_resident(a, i, key, w);
}

static inline int audit_by_value(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

    return (a > b) - (a < b);
}

/* Each key once; and what the counts beside the table are at least. */
static inline void audit_keys(struct audit *a)
{
    const struct tarn_mpool *pool = a->pool;
    uint32_t entries = (pool->header->groups + 1) * GROUP_ENTRIES, n = 0, last = 0;
    uint64_t *keys = calloc(entries, sizeof(*keys));
    uint8_t before[GROUP_BUCKETS];

    for (uint32_t i = 0; keys != NULL && i < entries; i++) {
        uint64_t key = atomic_load(&pool->entries[i].key);

        audit_entry(a, i);
        if (key != 0)
            keys[n++] = key;
        last += key != 0 && i / GROUP_ENTRIES == pool->header->groups;
    }
    if (keys != NULL)
        qsort(keys, n, sizeof(*keys), audit_by_value);
    for (uint32_t i = 1; i < n; i++)
        AUDIT(a, keys[i] != keys[i - 1], "key %llx twice", (unsigned long long)keys[i]);
    AUDIT(a, atomic_load(&pool->header->overflowed) >= last, "overflowed is too low");
    free(keys);
    for (uint32_t g = 0; g < pool->header->groups; g++) {
        _Atomic uint8_t *ovf = pool->ovf + (size_t)g * GROUP_BUCKETS;

        for (uint32_t b = 0; b < GROUP_BUCKETS; b++)
            before[b] = atomic_load(&ovf[b]);
        entry_recount(a->pool, g); /* nobody else is there */
        for (uint32_t b = 0; b < GROUP_BUCKETS; b++)
            AUDIT(a, before[b] >= atomic_load(&ovf[b]), "group %u bucket %u: ovf %u, needs %u", g,
                  b, before[b], atomic_load(&ovf[b]));
    }
}

/* ---- lanes ----------------------------------------------------------------------------------- */

static inline void audit_name(struct audit *a, uint32_t lane, uint32_t noted, uint64_t own,
                              const char *what)
{
    if (noted - 1 >= a->pool->frame_limit) {
        audit_fault(a, "lane %u: %s names frame %u", lane, what, noted - 1);
        return;
    }
    a->named[noted - 1]++;
    AUDIT(a, atomic_load(&a->pool->frames[noted - 1].own) == own,
          "lane %u: %s names frame %u, which is of kind %d, value %x", lane, what, noted - 1,
          (int)own_kind(atomic_load(&a->pool->frames[noted - 1].own)),
          (uint32_t)atomic_load(&a->pool->frames[noted - 1].own));
}

static inline void audit_notes(struct audit *a, uint32_t lane, struct pool_lane *part)
{
    for (unsigned i = 0; i < BATCH_MAX; i++)
        AUDIT(a, atomic_load(&part->writing[i]) == 0, "lane %u: writing %u left", lane, i);
    AUDIT(a, atomic_load(&part->group[0]) == 0 && atomic_load(&part->group[1]) == 0,
          "lane %u: a group's lock is noted", lane);
    AUDIT(a, atomic_load(&part->extent) == 0 && atomic_load(&part->files) == 0,
          "lane %u: an extent or the files are noted", lane);
}

static inline bool audit_pin(void *ctx, _Atomic uint32_t *pin, uint32_t value)
{
    struct audit *a = ctx;

    (void)pin;
    a->pins++;
    AUDIT(a, pool_entry_of(a->pool, (value & PIN_FRAME) - 1) != NULL, "a pin on frame %u, no page",
          (value & PIN_FRAME) - 1);
    return true;
}

static inline void audit_lane(struct audit *a, uint32_t lane)
{
    struct pool_lane *part = pool_lane_part(a->pool, lane);
    uint32_t tag = rows_lane_tag(a->pool->region, lane);
    uint32_t link = atomic_load(&part->chain);
    uint32_t row = rows_lane_row(a->pool->region, lane);
    uint64_t pins = a->pins;

    AUDIT(a, tag == 0 || row_state(atomic_load(&rows_at(a->pool->region, row)->state)) == ROW_LIVE,
          "lane %u: of row %u, which is not live", lane, row);
    for (unsigned i = 0; i < INTENTS; i++)
        AUDIT(a, atomic_load(&part->intent[i].entry) == 0, "lane %u: intent %u left", lane, i);
    if (tag != 0) /* of the dead the other notes say nothing, since nothing has their tag */
        audit_notes(a, lane, part);
    pin_walk(a->pool, lane, audit_pin, a);
    for (unsigned i = 0; i < BATCH_MAX; i++)
        if (atomic_load(&part->reserve[i]) != 0)
            audit_name(a, lane, atomic_load(&part->reserve[i]), own_make(FRAME_LANE, tag),
                       "reserve");
    AUDIT(a, tag != 0 || (link == 0 && a->pins == pins), "lane %u is free and has pins", lane);
    while (link != 0 && link - 1 < a->pool->frame_limit) {
        const struct pin_block *block = (void *)pool_page(a->pool, link - 1);

        audit_name(a, lane, link, own_make(FRAME_PINS, tag), "chain");
        link = a->named[link - 1] > 1 ? 0 : atomic_load(&block->next);
    }
}

/* ---- frames and extents ---------------------------------------------------------------------- */

static inline void audit_frame(struct audit *a, uint32_t f, bool page, uint32_t *kinds)
{
    const struct frame *frame = &a->pool->frames[f];
    enum own_kind kind = own_kind(atomic_load(&frame->own));

    AUDIT(a, atomic_load(&frame->wb) == 0, "frame %u: being written by tag %x", f,
          atomic_load(&frame->wb));
    AUDIT(a, page == (kind != FRAME_NONE), "frame %u: kind %d where %s", f, (int)kind,
          page ? "a page is" : "no page is");
    AUDIT(a, a->named[f] == (kind > FRAME_FREE), "frame %u: kind %d, value %x, named %u times", f,
          (int)kind, (uint32_t)atomic_load(&frame->own), a->named[f]);
    kinds[kind]++;
}

static inline void audit_extents(struct audit *a)
{
    struct tarn_mpool *pool = a->pool;
    uint32_t units = pool_extent_units(pool), used[PAGE_CLASSES] = { 0 }, kinds[8] = { 0 };
    uint32_t n_free = 0;

    for (uint32_t i = 0; i < pool->header->extents; i++) {
        uint64_t word = atomic_load(&pool->extent[i]);
        uint32_t class_ = extent_class_of(pool, i * units);

        AUDIT(a, word >> 32 == 0, "extent %u: tag %x, state %u", i, (uint32_t)(word >> 32),
              (unsigned)(word & 0xff));
        n_free += word == EXTENT_FREE;
        if (class_ >= PAGE_CLASSES)
            continue; /* what stands in its frames means nothing */
        used[class_]++;
        for (uint32_t f = i * units; f < (i + 1) * units; f++)
            audit_frame(a, f, f % pool_class_units(pool, class_) == 0, kinds);
    }
    for (uint32_t c = 0; c < PAGE_CLASSES; c++)
        AUDIT(a, atomic_load(&pool->header->extents_of[c]) >= used[c],
              "class %u: %u extents, not %u", c, used[c],
              atomic_load(&pool->header->extents_of[c]));
    AUDIT(a, n_free == 0 || atomic_load(&pool->header->extents_free) != 0, "free extents unknown");
}

/* ---- files, locks, rows ---------------------------------------------------------------------- */

static inline void audit_files(struct audit *a)
{
    const struct tarn_region *region = a->pool->region;

    for (uint32_t id = 1; id <= a->pool->header->max_files; id++) {
        struct file_record *r = pool_file(a->pool, id);

        AUDIT(a, atomic_load(&r->state) != FILE_MAKING, "file %u is being made", id);
        for (uint32_t row = 0; row < region->header->max_procs; row++)
            AUDIT(a,
                  atomic_load(&r->state) == FILE_FREE ||
                      !(atomic_load(&r->openers[row / 64]) >> row % 64 & 1) ||
                      row_state(atomic_load(&rows_at(region, row)->state)) == ROW_LIVE,
                  "file %u: open in row %u, which is not live", id, row);
    }
}

static inline void audit_locks(struct audit *a)
{
    struct tarn_region *region = a->pool->region;

    for (uint32_t g = 0; g <= a->pool->header->groups; g++)
        AUDIT(a, atomic_load(&a->pool->locks[g]) == 0, "group %u: locked by %x", g,
              own_holder(&a->pool->locks[g]));
    AUDIT(a, atomic_load(&a->pool->header->files_lock) == 0, "the files are locked by %x",
          own_holder(&a->pool->header->files_lock));
    AUDIT(a, own_holder(&region->header->grow) == 0, "growth is locked");
    for (uint32_t row = 0; row < region->header->max_procs; row++) {
        enum row_state state = row_state(atomic_load(&rows_at(region, row)->state));

        AUDIT(a, state == ROW_FREE || state == ROW_LIVE, "row %u: state %d", row, (int)state);
        AUDIT(a, state != ROW_LIVE || atomic_load(&rows_at(region, row)->helping) == 0,
              "row %u: announced as a repairer", row);
    }
}

/* The faults; `pins` is how many pins there must be. */
static inline int audit_pool(struct tarn_mpool *pool, uint64_t pins)
{
    struct audit a = { .pool = pool };

    (void)reap_sweep(pool->region);
    a.named = calloc(pool->frame_limit, 1);
    if (a.named == NULL)
        return 1;
    audit_keys(&a);
    for (uint32_t lane = 0; lane < rows_lane_count(pool->region); lane++)
        audit_lane(&a, lane);
    audit_extents(&a);
    audit_files(&a);
    audit_locks(&a);
    AUDIT(&a, a.pins == pins, "%llu pins, not %llu", (unsigned long long)a.pins,
          (unsigned long long)pins);
    free(a.named);
    return a.faults;
}

#endif
