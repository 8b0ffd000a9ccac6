/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thread's handle in a pool: where its lane is, and everything else that a hit needs, in memory of
 * its own.
 *
 * A handle is found through a list that belongs to the thread.  Its memory is mapped so that a child
 * after fork finds zeros in it: `room` is NULL there, and that is the only thing the hit looks
 * at.  Where the system cannot do that, a fork handler clears it.  For this reason, and because a
 * thread may still have a handle in its list when another one closes the pool, handles are never
 * unmapped: they wait in a list for the next thread.
 */
#include "mpool/thread.h"
#include "mpool/entry.h"
#include "mpool/evict.h"
#include "mpool/pin.h"
#include "mpool/repair.h"
#include <string.h>

static _Thread_local struct tarn_thread *mine;

/* Guards what follows, and the pool of every handle. */
static _Atomic uint32_t handles_lock;
static struct tarn_thread *unused;

static void lock_handles(void) { own_mutex_lock(tarn_os_host(), &handles_lock); }

static void unlock_handles(void) { own_mutex_unlock(tarn_os_host(), &handles_lock); }

/* In a child: no other thread is there that could hold the lock, and the memory of handles is empty. */
static void after_fork(void *unused_arg)
{
    (void)unused_arg;
    atomic_store(&handles_lock, 0);
    unused = NULL;
    mine = NULL;
}

static int watch_forks(void)
{
    static _Atomic uint32_t watched;
    const struct tarn_os *os = tarn_os_host();

    int ret = atomic_exchange(&watched, 1) != 0 ? 0 : os->proc->on_fork(os, after_fork, NULL);

    if (ret != 0)
        atomic_store(&watched, 0);
    return ret;
}

/* ---- memory of handles ---------------------------------------------------------------------------- */

static void forget_in_child(void *handle) { ((struct tarn_thread *)handle)->pin = NULL; }

static int map_handle(struct tarn_thread **out)
{
    const struct tarn_os *os = tarn_os_host();
    struct tarn_map_request req = { .file = TARN_NO_FILE,
                                    .flags = TARN_MAP_ANON | TARN_MAP_PRIVATE | TARN_MAP_FORKWIPE };
    size_t page = 4096;
    void *p;
    int ret;

    (void)os->misc->page_size(os, &page);
    req.len = (sizeof(struct tarn_thread) + page - 1) / page * page;
    ret = os->map->map(os, &req, &p);
    if (ret != 0) {
        ret = os->misc->malloc(os, sizeof(struct tarn_thread), &p);
        if (ret == 0)
            ret = os->proc->on_fork(os, forget_in_child, p);
    }
    if (ret == 0)
        *out = p;
    return ret;
}

static void free_bounce(struct tarn_thread *th)
{
    const struct tarn_os *os = tarn_os_host();

    if (th->bounce)
        os->misc->free(os, th->bounce);
    th->bounce = NULL;
}

static void give_handle(struct tarn_thread *th)
{
    free_bounce(th);
    memset(th, 0, sizeof(*th));
    lock_handles();
    th->next_mine = unused;
    unused = th;
    unlock_handles();
}

/* ---- the pool's side ------------------------------------------------------------------------------ */

static void link_to_pool(struct tarn_mpool *pool, struct tarn_thread *th)
{
    lock_handles();
    th->next_of_pool = pool->threads;
    pool->threads = th;
    unlock_handles();
}

/* handles_lock is held. */
static void unlink_from_pool(struct tarn_thread *th)
{
    struct tarn_thread **at = &th->pool->threads;

    while (*at && *at != th)
        at = &(*at)->next_of_pool;
    if (*at)
        *at = th->next_of_pool;
    th->pin = th->room = NULL;
    free_bounce(th);
    th->pool = NULL; /* last: from now on its thread may use the handle for another pool */
}

void thread_close_all(struct tarn_mpool *pool)
{
    lock_handles();
    while (pool->threads)
        unlink_from_pool(pool->threads);
    unlock_handles();
}

/* ---- the thread's side ---------------------------------------------------------------------------- */

/* The thread ends: its frames go back; pins stay until another thread puts them. */
static void thread_ends(void *arg)
{
    struct tarn_thread **at = &mine, *th = arg;

    while (*at && *at != th)
        at = &(*at)->next_mine;
    if (!*at)
        return;
    *at = th->next_mine;
    lock_handles();
    if (th->pool) {
        evict_unreserve(th->pool, th->part, th->tag);
        unlink_from_pool(th);
    }
    unlock_handles();
    give_handle(th);
}

/* A handle of the calling thread whose pool has been closed. */
static struct tarn_thread *closed_handle(void)
{
    struct tarn_thread *th = mine;

    while (th && th->pool)
        th = th->next_mine;
    return th;
}

/* An empty handle in the calling thread's list. */
static int take_handle(struct tarn_thread **out)
{
    const struct tarn_os *os = tarn_os_host();
    struct tarn_thread *th = closed_handle();
    int ret = 0;

    if (th) {
        *out = th;
        return 0;
    }
    lock_handles();
    th = unused;
    if (th)
        unused = th->next_mine;
    unlock_handles();
    if (!th)
        ret = map_handle(&th);
    if (ret != 0)
        return ret;
    ret = os->proc->on_thread_exit(os, thread_ends, th);
    if (ret != 0) {
        give_handle(th);
        return ret;
    }
    memset(th, 0, sizeof(*th));
    th->next_mine = mine;
    mine = th;
    *out = th;
    return 0;
}

/* Where the pool's tables are; nothing of the lane. */
static void know_pool(struct tarn_mpool *pool, struct tarn_thread *th)
{
    th->entries = pool->entries;
    th->data = pool->data;
    th->ref = pool->ref;
    th->multiplier = pool->header->multiplier;
    th->bucket_mask = pool->bucket_mask;
    th->buckets = pool->header->groups * GROUP_BUCKETS;
    th->unit_shift = pool->header->unit_shift;
    th->exchange = pool->exchange;
    th->pool = pool;
}

static void know_lane(struct tarn_mpool *pool, uint32_t lane, uint32_t tag, struct tarn_thread *th)
{
    know_pool(pool, th);
    th->lane = lane;
    th->tag = tag;
    th->part = pool_lane_part(pool, lane);
    th->hits = th->part->hits;
}

void thread_stand_in(struct tarn_mpool *pool, uint32_t lane, uint32_t tag, struct tarn_thread *th)
{
    memset(th, 0, sizeof(*th));
    know_lane(pool, lane, tag, th);
}

/*
 * What the lane's last owner left that no repair has to look at; counters go on.  Another thread of
 * this process may have pinned pages there and ended: they stay.
 */
static void clean_lane(struct tarn_thread *th)
{
    for (unsigned i = 0; i < INTENTS; i++)
        entry_forget(th, i);
    for (unsigned i = 0; i < BATCH_MAX; i++)
        atomic_store(&th->part->writing[i], 0);
    atomic_store(&th->part->group[0], 0);
    atomic_store(&th->part->group[1], 0);
    atomic_store(&th->part->extent, 0);
    atomic_store(&th->part->files, 0);
    evict_unreserve(th->pool, th->part, th->tag);
}

static int make(struct tarn_mpool *pool, struct tarn_thread **out)
{
    struct tarn_thread *th;
    uint32_t lane, tag;
    int ret = region_check(pool->region);

    if (ret == 0)
        ret = watch_forks();
    if (ret == 0)
        ret = rows_lane(pool->region, &lane, &tag);
    if (ret != 0)
        return ret;
    ret = take_handle(&th);
    if (ret != 0)
        return tarn_fail(pool->sink, ret, "pool: no handle for this thread can be made");
    know_lane(pool, lane, tag, th);
    clean_lane(th);
    th->reserve_taken = 0;
    th->chained = 0;
    th->pin = th->part->pin;
    pin_find_room(th);
    link_to_pool(pool, th);
    *out = th;
    return 0;
}

int thread_get(struct tarn_mpool *pool, struct tarn_thread **out)
{
    for (struct tarn_thread *th = mine; th; th = th->next_mine)
        if (th->pool == pool && th->pin) {
            *out = th;
            return 0;
        }
    return make(pool, out);
}

int tarn_mpool_thread(tarn_mpool *pool, tarn_thread **out) { return thread_get(pool, out); }
