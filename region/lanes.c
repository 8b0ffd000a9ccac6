/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lanes: one per thread and region, from which come the tags that owned words carry.
 *
 *      owner:  { generation g | 0 }  --- take --->  { g | row and its generation }
 *                     ^                                          |
 *                     +------------- g + 1 <---- give, reap -----+
 *
 * Rules
 *   1. Who has the lane and under which generation is one word, changed by CAS; so a tag names one
 *      stretch of ownership, and a repairer that comes late changes nothing.
 *   2. Generation 0 is no tag: a lane that has used up its numbers is taken only while nobody repairs
 *      anywhere, and begins at 1 again, as a new one does.  A repairer that still knew an old tag of
 *      the lane would be announced (reap.c).
 *   3. lane.thread says which thread of the owning process has it; changed under the handle's lock
 *      between threads.  0: none, the thread ended and left something in it; it is used again once
 *      the layers find it idle.  MANAGED: rows_lane_take().
 *   4. The first spare_lanes lanes are for those who repair or commit memory and have no lane yet;
 *      they are in the chunk that is always committed.
 *
 * A thread remembers its last lanes; what it remembers is valid as long as the serial of the attach.
 */
#include "os/check.h"
#include "region/grow.h"
#include "region/own.h"
#include "region/process.h"
#include "region/reap.h"
#include "region/rows.h"

#define MANAGED UINT64_MAX

enum { REMEMBERED = 8 };

static _Thread_local struct {
    uint64_t serial; /* of the region's attach; 0 nothing */
    uint32_t lane, tag;
} known[REMEMBERED];

static void remember(const struct tarn_region *region, uint32_t lane, uint32_t tag)
{
    known[region->serial % REMEMBERED].serial = region->serial;
    known[region->serial % REMEMBERED].lane = lane;
    known[region->serial % REMEMBERED].tag = tag;
}

static void forget(const struct tarn_region *region)
{
    if (known[region->serial % REMEMBERED].serial == region->serial)
        known[region->serial % REMEMBERED].serial = 0;
}

static bool recall(const struct tarn_region *region, uint32_t *lane, uint32_t *tag)
{
    uint32_t i = region->serial % REMEMBERED;

    if (known[i].serial != region->serial)
        return false;
    *lane = known[i].lane;
    *tag = known[i].tag;
    return true;
}

static uint64_t holder_of(const struct tarn_region *region)
{
    return lane_holder_make(region->row, region->row_gen);
}

uint32_t rows_lane_tag(const struct tarn_region *region, uint32_t lane)
{
    uint64_t owner = atomic_load(&region_lane(region, lane)->owner);

    return lane_holder(owner) == 0 ? 0 : tag_make(lane, lane_tag_gen(owner));
}

uint32_t rows_lane_row(const struct tarn_region *region, uint32_t lane)
{
    uint64_t owner = atomic_load(&region_lane(region, lane)->owner);

    return lane_holder(owner) == 0 ? UINT32_MAX : lane_holder_row(owner);
}

void rows_lane_clear(struct tarn_region *region, uint32_t lane, uint64_t owner)
{
    uint64_t gen = lane_tag_gen(owner) == TAG_GEN_MAX ? 0 : lane_tag_gen(owner) + 1;

    (void)atomic_compare_exchange_strong(&region_lane(region, lane)->owner, &owner, gen << 40);
}

void rows_lane_init(struct tarn_region *region, uint32_t from, uint32_t end)
{
    for (uint32_t i = from; i < end; i++)
        atomic_store(&region_lane(region, i)->owner, 1ull << 40);
}

static bool idle(struct tarn_region *region, uint32_t lane)
{
    uint32_t tag = rows_lane_tag(region, lane);

    if (own_holder(&region->header->lock) == tag || own_holder(&region->header->grow) == tag)
        return false;
    for (int i = 0; i < REGION_LAYERS; i++)
        if (region->layer_ops[i] != NULL &&
            !region->layer_ops[i]->idle(region, region->layer_ctx[i], lane))
            return false;
    return true;
}

/* ---- taking one; the handle's lock is held ------------------------------------------------------- */

static bool take(struct tarn_region *region, uint32_t lane, uint64_t thread, uint32_t *tag)
{
    struct lane *l = region_lane(region, lane);
    uint64_t owner = atomic_load(&l->owner);
    uint64_t gen = lane_tag_gen(owner);

    if (lane_holder(owner) != 0)
        return false;
    if (gen == 0) {
        if (reap_announced(region))
            return false;
        gen = 1;
    }
    if (!atomic_compare_exchange_strong(&l->owner, &owner, gen << 40 | holder_of(region)))
        return false;
    atomic_store(&l->thread, thread);
    *tag = tag_make(lane, (uint32_t)gen);
    return true;
}

static bool take_between(struct tarn_region *region, uint32_t from, uint32_t end, uint64_t thread,
                         uint32_t *lane, uint32_t *tag)
{
    for (uint32_t i = from; i < end; i++)
        if (take(region, i, thread, tag)) {
            *lane = i;
            return true;
        }
    return false;
}

/* A lane of this process whose thread is `thread`. */
static bool find_mine(struct tarn_region *region, uint64_t thread, uint32_t from, uint32_t *lane)
{
    for (uint32_t i = from; i < rows_lane_count(region); i++) {
        struct lane *l = region_lane(region, i);

        if (lane_holder(atomic_load(&l->owner)) == holder_of(region) &&
            atomic_load(&l->thread) == thread) {
            *lane = i;
            return true;
        }
    }
    return false;
}

/* What a thread that has ended left behind, if it is idle by now. */
static bool adopt(struct tarn_region *region, uint64_t thread, uint32_t *lane)
{
    uint32_t from = 0;

    while (find_mine(region, 0, from, lane)) {
        if (idle(region, *lane)) {
            atomic_store(&region_lane(region, *lane)->thread, thread);
            return true;
        }
        from = *lane + 1;
    }
    return false;
}

static uint32_t limit(const struct tarn_region *region)
{
    const struct region_header *h = region->header;
    uint32_t end = h->spare_lanes + h->limit_threads;

    return end < rows_lane_count(region) ? end : rows_lane_count(region);
}

static bool take_committed(struct tarn_region *region, uint64_t thread, uint32_t *lane,
                           uint32_t *tag)
{
    bool got;

    own_mutex_lock(region->os, &region->free_lanes_lock);
    got = adopt(region, thread, lane);
    if (got)
        *tag = rows_lane_tag(region, *lane);
    else
        got = take_between(region, region->header->spare_lanes, limit(region), thread, lane, tag);
    own_mutex_unlock(region->os, &region->free_lanes_lock);
    return got;
}

static int take_any(struct tarn_region *region, uint64_t thread, uint32_t *lane, uint32_t *tag)
{
    const struct region_header *h = region->header;
    bool swept = false;

    for (;;) {
        uint32_t count = rows_lane_count(region);
        int err;

        /* To commit or to repair, this thread may have had to take one already (rule 4). */
        if (thread != MANAGED && find_mine(region, thread, h->spare_lanes, lane)) {
            *tag = rows_lane_tag(region, *lane);
            return TARN_OK;
        }
        if (take_committed(region, thread, lane, tag))
            return TARN_OK;
        if (count < h->spare_lanes + h->limit_threads) {
            if ((err = grow_lanes(region, count)) != TARN_OK)
                return err;
        } else if (swept || reap_sweep(region) == 0) {
            return tarn_fail(region->sink, TARN_ENOSPC,
                             "region %s: all %u lanes for threads are taken: create it with a "
                             "larger max_threads",
                             region->name, h->limit_threads);
        } else {
            swept = true;
        }
    }
}

/* ---- what others call ---------------------------------------------------------------------------- */

/*
 * The thread that joined has ended, and the word that falls at a death with it: another thread takes
 * it over, so that the others look at a load again instead of asking the system.
 */
static void renew_life(struct tarn_region *region)
{
    own_mutex_lock(region->os, &region->free_lanes_lock);
    if (region->life_thread == 0 && !region->private_ &&
        region->os->sync->life_take(region->os, &rows_at(region, region->row)->life) == TARN_OK)
        region->life_thread = process_thread();
    own_mutex_unlock(region->os, &region->free_lanes_lock);
}

int rows_lane(struct tarn_region *region, uint32_t *lane, uint32_t *tag)
{
    uint32_t found;
    int err;

    if (atomic_load_explicit(&region->forked, memory_order_relaxed))
        return region_check(region);
    if (recall(region, lane, tag))
        return TARN_OK;
    if ((err = process_watch_thread(region->os)) != TARN_OK)
        return tarn_fail(region->sink, err,
                         "region %s: cannot ask to be told of the end of this thread",
                         region->name);
    process_settle();
    if (region->life_thread == 0)
        renew_life(region);
    if (find_mine(region, process_thread(), 0, &found)) {
        *lane = found;
        *tag = rows_lane_tag(region, found);
    } else if ((err = take_any(region, process_thread(), lane, tag)) != TARN_OK) {
        return err;
    }
    remember(region, *lane, *tag);
    return TARN_OK;
}

int rows_lane_take(struct tarn_region *region, uint32_t *lane, uint32_t *tag)
{
    if (atomic_load_explicit(&region->forked, memory_order_relaxed))
        return region_check(region);
    return take_any(region, MANAGED, lane, tag);
}

void rows_lane_give(struct tarn_region *region, uint32_t lane)
{
    uint64_t owner = atomic_load(&region_lane(region, lane)->owner);

    CHECK(lane_holder(owner) == holder_of(region));
    rows_lane_clear(region, lane, owner);
}

bool rows_lane_spare(struct tarn_region *region, uint32_t *lane, uint32_t *tag)
{
    bool got;

    if (region->row_gen == 0)
        return false; /* not a participant yet */
    if (recall(region, lane, tag))
        return true;
    own_mutex_lock(region->os, &region->free_lanes_lock);
    got = find_mine(region, process_thread(), 0, lane);
    if (got)
        *tag = rows_lane_tag(region, *lane);
    else
        got = take_between(region, 0, region->header->spare_lanes, process_thread(), lane, tag) ||
              take_between(region, region->header->spare_lanes, limit(region), process_thread(),
                           lane, tag);
    own_mutex_unlock(region->os, &region->free_lanes_lock);
    if (got)
        remember(region, *lane, *tag);
    return got;
}

void rows_lane_unspare(struct tarn_region *region)
{
    uint32_t lane, tag;

    if (!recall(region, &lane, &tag) || lane >= region->header->spare_lanes || !idle(region, lane))
        return;
    forget(region);
    rows_lane_clear(region, lane, atomic_load(&region_lane(region, lane)->owner));
}

/* A thread that ends with the region's lock is as dead to it as a process. */
static void give_lock(struct tarn_region *region, uint32_t tag)
{
    if (own_holder(&region->header->lock) != tag)
        return;
    atomic_store(&region->header->lock_died, 1);
    own_unlock(region, &region->header->lock, tag);
}

void rows_thread_ends(struct tarn_region *region, uint64_t thread)
{
    uint32_t lane, from = 0;

    forget(region);
    while (find_mine(region, thread, from, &lane)) {
        uint64_t owner = atomic_load(&region_lane(region, lane)->owner);

        give_lock(region, tag_make(lane, lane_tag_gen(owner)));
        own_mutex_lock(region->os, &region->free_lanes_lock); /* or another thread adopts it */
        if (idle(region, lane))
            rows_lane_clear(region, lane, owner);
        else
            atomic_store(&region_lane(region, lane)->thread, 0);
        own_mutex_unlock(region->os, &region->free_lanes_lock);
        from = lane + 1;
    }
    own_mutex_lock(region->os, &region->free_lanes_lock);
    if (region->life_thread == thread) {
        (void)region->os->sync->life_drop(region->os, &rows_at(region, region->row)->life);
        region->life_thread = 0;
    }
    own_mutex_unlock(region->os, &region->free_lanes_lock);
}
