/* SPDX-License-Identifier: BSD-2-Clause */
/* A pool is opened, bound to its region, closed and removed. */
#include "mpool/pool.h"
#include "mpool/file.h"
#include "mpool/plan.h"
#include "mpool/repair.h"
#include "mpool/thread.h"
#include "region/env.h"
#include <string.h>

#define POOL_NAME "mpool"

/* 2^64 / golden ratio; its lower bits are made the pool's own. */
#define HASH_MULTIPLIER 0x9e3779b97f4a7c15ULL

/* ---- what stands in the region -------------------------------------------------------------------- */

/* Pointers to the tables, from the header. */
static void bind(struct tarn_mpool *pool, struct tarn_region *region)
{
    uint8_t *base = region_at(region, region->header->layer_off);
    struct pool_header *h = (void *)base;

    pool->region = region;
    pool->os = region->os;
    pool->sink = &pool->env->sink;
    pool->base = base;
    pool->entries = (void *)(base + h->entry_off);
    pool->frames = (void *)(base + h->frame_off);
    pool->ref = (void *)(base + h->ref_off);
    pool->ovf = (void *)(base + h->ovf_off);
    pool->freemap = (void *)(base + h->free_off);
    pool->dirtymap = (void *)(base + h->dirty_off);
    pool->extent = (void *)(base + h->extent_off);
    pool->locks = (void *)(base + h->lock_off);
    pool->data = base + h->data_off;
    while (pool->bucket_mask + 1 < h->groups * GROUP_BUCKETS)
        pool->bucket_mask = 2 * pool->bucket_mask + 1;
    pool->frame_limit = h->units;
    pool->exchange = region->header->pin_exchange != 0;
    pool->header = h;
}

static void fill_header(struct pool_header *h, const struct pool_plan *s)
{
    h->unit_shift = s->unit_shift;
    h->extent_shift = s->extent_shift;
    h->units = s->units;
    h->extents = s->extents;
    h->extents_made = s->extents_made;
    h->groups = s->groups;
    h->max_files = s->max_files;
    h->opener_words = s->opener_words;
    h->file_stride = s->file_stride;
    h->pages_bytes = (uint64_t)s->extents_made << s->extent_shift;
    h->files_off = s->files_off;
    h->extent_off = s->extent_off;
    h->lock_off = s->lock_off;
    h->ovf_off = s->ovf_off;
    h->frame_off = s->frame_off;
    h->ref_off = s->ref_off;
    h->free_off = s->free_off;
    h->dirty_off = s->dirty_off;
    h->entry_off = s->entry_off;
    h->data_off = s->data_off;
}

/* The first extent that lies whole behind the region's end; extents if the reserve has none. */
static uint32_t first_spare(const struct tarn_region *region, const struct pool_header *h)
{
    uint64_t data = region->header->layer_off + h->data_off;
    uint64_t first =
        (region->header->end_off - data + (1ULL << h->extent_shift) - 1) >> h->extent_shift;
    uint64_t last = data + ((uint64_t)h->extents << h->extent_shift);

    if (first > h->extents || last > region->header->reserve)
        return h->extents;
    return (uint32_t)first;
}

/* Extents that end inside the reserve. */
static void trim_spare(const struct tarn_region *region, struct pool_header *h)
{
    uint64_t data = region->header->layer_off + h->data_off;
    uint64_t room = (region->header->reserve - data) >> h->extent_shift;

    if (room < h->extents) {
        h->extents = (uint32_t)room;
        h->units = h->extents << (h->extent_shift - h->unit_shift);
    }
}

/* The creator fills the zeroed memory before anybody sees it. */
static int init(struct tarn_region *region, void *ctx)
{
    struct tarn_mpool *pool = ctx;
    struct pool_header *h = region_at(region, region->header->layer_off);
    struct tarn_procid self;
    int ret = region->os->misc->random(region->os, &h->seed, sizeof(h->seed));

    if (ret == 0)
        ret = region->os->proc->self(region->os, &self, &h->owner);
    if (ret != 0)
        return tarn_fail(region->sink, ret, "pool: no random numbers or identity to start with");
    fill_header(h, pool->plan);
    h->multiplier = HASH_MULTIPLIER ^ (h->seed >> 40 << 1);
    trim_spare(region, h);
    h->extents_spare = first_spare(region, h);
    bind(pool, region);
    for (uint32_t i = 0; i < h->extents_made; i++)
        atomic_store_explicit(&pool->extent[i], EXTENT_FREE, memory_order_relaxed);
    atomic_store(&h->extents_free, h->extents_made);
    return 0;
}

bool pool_bound(struct tarn_mpool *pool, struct tarn_region *region)
{
    const struct pool_header *h = region_at(region, region->header->layer_off);

    if (pool->header)
        return true;
    if (region->header->layer_bytes < sizeof(*h) || !plan_sane(h, region->header->layer_bytes) ||
        !plan_holds_rows(h, region->header->max_procs))
        return false;
    bind(pool, region);
    return true;
}

static int join(struct tarn_region *region, void *ctx)
{
    if (!pool_bound(ctx, region))
        return tarn_fail(region->sink, TARN_ECORRUPT,
                         "pool %s: its header says what cannot be; remove it by force",
                         region->name);
    return 0;
}

/* ---- opening -------------------------------------------------------------------------------------- */

static int check_wish(const struct tarn_mpool *pool, const struct tarn_mpool_config *config)
{
    uint64_t have = pool->header->pages_bytes;

    if (config->bytes > have)
        return tarn_fail(pool->sink, TARN_EINVAL,
                         "pool %s: asked for %llu bytes, it was made with %llu; ask for less, or "
                         "remove it and make it anew",
                         pool->region->name, (unsigned long long)config->bytes,
                         (unsigned long long)have);
    return 0;
}

static int attach(struct tarn_env *env, const char *name, const struct tarn_mpool_config *config,
                  struct tarn_mpool *pool)
{
    struct tarn_region_config rc = TARN_REGION_CONFIG_INIT;
    struct region_plan plan = {
        .layer = LAYER_MPOOL,
        .fingerprint = plan_fingerprint(),
        .bytes = pool->plan->bytes,
        .grow_bytes = pool->plan->grow_bytes,
        .lane_bytes = sizeof(struct pool_lane),
        .want_bytes = config->bytes,
        .init = init,
        .join = join,
        .ops = &repair_layer,
        .ctx = pool,
    };
    struct tarn_region *region;
    int ret;

    rc.flags = config->flags;
    rc.mode = config->mode;
    rc.max_procs = config->max_procs;
    rc.max_threads = config->max_threads;
    ret = region_attach(env, name ? name : POOL_NAME, &rc, &plan, &region);
    if (ret != 0)
        return ret;
    ret = check_wish(pool, config);
    if (ret != 0)
        (void)tarn_region_detach(region);
    return ret;
}

int tarn_mpool_open(tarn_env *env, const char *name, const struct tarn_mpool_config *config,
                    tarn_mpool **out)
{
    const uint32_t known = TARN_REGION_CREATE | TARN_REGION_EXCL | TARN_REGION_PRIVATE;
    struct tarn_mpool_config c;
    struct pool_plan plan;
    struct tarn_mpool *pool;
    void *p;
    int ret = env_config(config, sizeof(c), &c, &env->sink, "tarn_mpool_config");

    if (ret == 0 && (c.flags & ~known))
        ret = tarn_fail(&env->sink, TARN_EINVAL, "pool: illegal flags 0x%x for tarn_mpool_open",
                        c.flags & ~known);
    if (ret == 0)
        ret = plan_make(&c, &env->sink, &plan);
    if (ret != 0)
        return ret;
    ret = env->os->misc->malloc(env->os, sizeof(*pool), &p);
    if (ret != 0)
        return tarn_fail(&env->sink, ret, "pool: no memory for a handle");
    pool = p;
    memset(pool, 0, sizeof(*pool));
    pool->env = env;
    pool->plan = &plan;
    ret = attach(env, name, &c, pool);
    pool->plan = NULL;
    if (ret != 0) {
        env->os->misc->free(env->os, pool);
        return ret;
    }
    file_forget_row(pool, pool->region->row); /* of whoever had it before and did not say so */
    *out = pool;
    return 0;
}

int tarn_mpool_close(tarn_mpool *pool)
{
    const struct tarn_os *os = pool->os;
    bool parents = region_check(pool->region) == TARN_EFORK;
    int ret = parents ? 0 : file_unpinned(pool), t;

    if (!parents)
        repair_leave(pool); /* before the files: pages that are pinned could not leave the pool */
    t = file_close_all(pool);
    ret = ret ? ret : t;
    if (!parents) {
        /* a close without a lane to work in, all being taken, has not said so */
        file_forget_row(pool, pool->region->row);
        thread_close_all(pool);
    }
    t = tarn_region_detach(pool->region);
    os->misc->free(os, pool);
    return ret ? ret : t;
}

int tarn_mpool_remove(tarn_env *env, const char *name, unsigned flags)
{
    return tarn_region_remove(env, name ? name : POOL_NAME, flags);
}

tarn_region *tarn_mpool_region(tarn_mpool *pool) { return pool->region; }
