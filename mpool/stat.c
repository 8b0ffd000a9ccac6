/* SPDX-License-Identifier: BSD-2-Clause */
/* Statistics: sums of what the lanes counted for themselves, and a look at frames and pins. */
#include "mpool/entry.h"
#include "mpool/file.h"
#include "mpool/pin.h"
#include "mpool/thread.h"
#include <string.h>

struct frame_count {
    uint64_t pages, dirty;
};

/* Resident pages of file id (0: of all), by looking at every frame. */
static void count_frames(const struct tarn_mpool *pool, uint32_t id, struct frame_count *n)
{
    *n = (struct frame_count){ 0, 0 };
    for (uint32_t f = 0; f < pool->frame_limit; f++) {
        struct entry *e = pool_entry_of(pool, f);
        uint64_t w;

        if (!e || (id != 0 && key_file(atomic_load(&e->key)) != id) || !pool_resident(e, f, &w))
            continue;
        n->pages++;
        n->dirty += pool_dirty(pool, w);
    }
}

static uint64_t sum_count(const struct tarn_mpool *pool, enum lane_counter c)
{
    uint32_t lanes = rows_lane_count(pool->region);
    uint64_t sum = 0;

    for (uint32_t i = 0; i < lanes; i++)
        sum += atomic_load_explicit(&pool_lane_part(pool, i)->count[c], memory_order_relaxed);
    return sum;
}

uint64_t file_counted(const struct tarn_mpool *pool, uint32_t counter)
{
    uint32_t lanes = rows_lane_count(pool->region);
    uint64_t sum = 0;

    for (uint32_t i = 0; i < lanes; i++)
        sum += atomic_load_explicit(&pool_lane_part(pool, i)->hits[counter], memory_order_relaxed);
    return sum;
}

static uint64_t sum_hits(const struct tarn_mpool *pool)
{
    uint64_t sum = 0;

    for (uint32_t k = 0; k < FILE_COUNTERS; k++)
        sum += file_counted(pool, k);
    return sum;
}

/* The hits of file id since its record was made. */
static uint64_t hits_of(const struct tarn_mpool *pool, uint32_t id)
{
    if (id >= FILE_COUNTERS)
        return UINT64_MAX;
    return file_counted(pool, file_counter(id)) - pool_file(pool, id)->hits_before;
}

static uint64_t sum_pins(const struct tarn_mpool *pool)
{
    uint32_t lanes = rows_lane_count(pool->region);
    uint64_t sum = 0;

    for (uint32_t i = 0; i < lanes; i++)
        sum += pin_total(pool, i);
    return sum;
}

static uint32_t count_files(const struct tarn_mpool *pool)
{
    uint32_t n = 0;

    for (uint32_t id = 1; id <= pool->header->max_files; id++)
        n += atomic_load(&pool_file(pool, id)->state) == FILE_LIVE;
    return n;
}

static void fill_sizes(struct tarn_mpool *pool, struct tarn_mpool_stat *st)
{
    const struct pool_header *h = pool->header;
    uint64_t used = 0;

    for (uint32_t i = 0; i < h->extents; i++)
        used += (atomic_load(&pool->extent[i]) & 0xff) != EXTENT_ABSENT;
    st->bytes = used << h->extent_shift;
    st->table = h->data_off - h->lock_off;
    st->unit = 1u << h->unit_shift;
    st->extent = 1u << h->extent_shift;
    st->hash_entries = ((uint64_t)h->groups + 1) * GROUP_ENTRIES;
    st->pin_exchange = pool->exchange;
}

static void fill_counts(struct tarn_mpool *pool, struct tarn_mpool_stat *st)
{
    st->hits = sum_hits(pool);
    st->misses = sum_count(pool, COUNT_MISS);
    st->creates = sum_count(pool, COUNT_CREATE);
    st->waits = sum_count(pool, COUNT_WAIT);
    st->reads = sum_count(pool, COUNT_READ);
    st->writes = sum_count(pool, COUNT_WRITE);
    st->write_calls = sum_count(pool, COUNT_WRITE_CALL);
    st->evict_clean = sum_count(pool, COUNT_EVICT_CLEAN);
    st->evict_dirty = sum_count(pool, COUNT_EVICT_DIRTY);
    st->evict_pinned = sum_count(pool, COUNT_EVICT_PINNED);
    st->barriers = sum_count(pool, COUNT_BARRIER);
    st->hash_searches = sum_count(pool, COUNT_SEARCH);
    st->hash_examined = sum_count(pool, COUNT_EXAMINED);
    st->suspect = atomic_load(&pool->header->suspect);
}

int tarn_mpool_stat(tarn_mpool *pool, struct tarn_mpool_stat *st)
{
    struct tarn_region_stat region;
    struct frame_count frames;
    int ret = region_check(pool->region);

    if (ret == 0)
        ret = tarn_region_stat(pool->region, &region);
    if (ret != 0)
        return ret;
    memset(st, 0, sizeof(*st));
    fill_sizes(pool, st);
    fill_counts(pool, st);
    count_frames(pool, 0, &frames);
    st->region = region.committed;
    st->pages = frames.pages;
    st->dirty = frames.dirty;
    st->pinned = sum_pins(pool);
    st->files = count_files(pool);
    st->procs = region.procs;
    st->threads = region.threads;
    return 0;
}

static void file_stat(struct tarn_mpool *pool, uint32_t id, struct tarn_mpf_stat *st)
{
    const struct file_record *record = pool_file(pool, id);
    struct frame_count frames;

    memset(st, 0, sizeof(*st));
    (void)text_format(st->path, sizeof(st->path), "%s", record->path);
    count_frames(pool, id, &frames);
    st->page_size = record->page_size;
    st->openers = file_openers(pool, record);
    st->last = atomic_load(&record->last);
    st->pages = frames.pages;
    st->dirty = frames.dirty;
    st->hits = hits_of(pool, id);
    st->misses = atomic_load(&record->misses);
    st->creates = atomic_load(&record->creates);
    st->reads = atomic_load(&record->reads);
    st->writes = atomic_load(&record->writes);
    st->suspect = atomic_load(&record->suspect);
}

int tarn_mpool_files(tarn_mpool *pool, tarn_mpf_list_fn fn, void *ctx)
{
    int ret = region_check(pool->region);

    for (uint32_t id = 1; ret == 0 && id <= pool->header->max_files; id++) {
        struct tarn_mpf_stat st;

        if (atomic_load(&pool_file(pool, id)->state) != FILE_LIVE)
            continue;
        file_stat(pool, id, &st);
        if (fn(ctx, &st) != 0)
            break;
    }
    return ret;
}

int tarn_mpf_last(tarn_mpf *file, tarn_pgno *last)
{
    int ret = region_check(file->pool->region);

    if (ret == 0)
        *last = atomic_load(&file->record->last);
    return ret;
}

int tarn_mpf_stat(tarn_mpf *file, struct tarn_mpf_stat *st)
{
    int ret = region_check(file->pool->region);

    if (ret == 0)
        file_stat(file->pool, file->id, st);
    return ret;
}
