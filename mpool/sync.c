/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sync: what was dirty when it was called is in the file, and the file is on the disk.
 *
 *     list the dirty pages (dirtymap) --> sort --> write_pages(), 64 at a time --> fsync
 *                                            ^            |
 *                                            +-- again for those that were pinned or being written,
 *                                                a bounded time
 *
 * Nobody is stopped: pages may become dirty behind the list, and are then the next sync's matter.
 *
 * An fsync that fails is believed: the system may have dropped what it could not write, so the pages
 * of this sync become dirty again, the file is suspect, and every later sync of it fails in every
 * process until the last one closes it.
 *
 * tests/test_sync.c holds it.
 */
#include "mpool/channel.h"
#include "mpool/entry.h"
#include "mpool/file.h"
#include "mpool/thread.h"
#include "mpool/write.h"
#include "region/env.h"
#include <string.h>

struct list {
    struct write_page *pages;
    uint32_t n, room;
};

/* ---- what is dirty ------------------------------------------------------------------------------- */

/* Pages that the bitmap calls dirty: at least as many as are. */
static uint64_t dirty_hint(const struct tarn_mpool *pool)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i <= pool->frame_limit / 64; i++)
        n += (uint64_t)__builtin_popcountll(atomic_load(&pool->dirtymap[i]));
    return n;
}

/* The page in frame, if it is of file id (0: any) and dirty. */
static bool dirty_page(const struct tarn_mpool *pool, uint32_t frame, uint32_t id,
                       struct write_page *page)
{
    struct entry *e = pool_entry_of(pool, frame);
    uint64_t w;

    if (!e)
        return false;
    w = atomic_load(&e->pte);
    page->frame = frame;
    page->key = atomic_load(&e->key);
    if (page->key == 0 || pte_frame(w) != frame || (id != 0 && key_file(page->key) != id) ||
        atomic_load(&pool_file(pool, key_file(page->key))->state) != FILE_LIVE)
        return false;
    return (w & PTE_CL) != 0 || pool_dirty(pool, w); /* claimed: its version cannot be read now */
}

/* Add the page in frame if it is wanted; false: there is no room. */
static bool add(const struct tarn_mpool *pool, uint32_t frame, uint32_t id, struct list *list)
{
    if (list->n == list->room)
        return false;
    list->n += dirty_page(pool, frame, id, &list->pages[list->n]);
    return true;
}

/* What somebody is writing back: he may just have taken the page's bit, to look again. */
static bool add_writing(const struct tarn_mpool *pool, uint32_t id, struct list *list)
{
    uint32_t lanes = rows_lane_count(pool->region);

    for (uint32_t lane = 0; lane < lanes; lane++)
        for (unsigned i = 0; i < BATCH_MAX; i++) {
            uint32_t noted = atomic_load(&pool_lane_part(pool, lane)->writing[i]);

            if (noted != 0 && noted <= pool->frame_limit && !add(pool, noted - 1, id, list))
                return false;
        }
    return true;
}

static bool add_dirty(const struct tarn_mpool *pool, uint32_t id, struct list *list)
{
    for (uint32_t i = 0; i <= pool->frame_limit / 64; i++) {
        uint64_t bits = atomic_load(&pool->dirtymap[i]);

        for (; bits != 0; bits &= bits - 1)
            if (!add(pool, i * 64 + (uint32_t)__builtin_ctzll(bits), id, list))
                return false;
    }
    return true;
}

/* Sort, and take out what is there twice. */
static void tidy(struct list *list)
{
    uint32_t n = 0;

    text_sort(list->pages, list->n, sizeof(*list->pages), write_by_key);
    for (uint32_t i = 0; i < list->n; i++)
        if (n == 0 || list->pages[i].key != list->pages[n - 1].key)
            list->pages[n++] = list->pages[i];
    list->n = n;
}

/* The room is a guess, since pages become dirty while they are listed: if it was too small, again. */
static int make_list(struct tarn_mpool *pool, uint32_t id, struct list *list)
{
    const struct tarn_os *os = pool->os;
    uint64_t room = dirty_hint(pool) + 16 * BATCH_MAX;

    for (;; room *= 2) {
        void *p;
        int ret = os->misc->malloc(os, room * sizeof(struct write_page), &p);

        if (ret != 0)
            return tarn_fail(pool->sink, ret, "pool: no memory to list %llu dirty pages",
                             (unsigned long long)room);
        *list = (struct list){ p, 0, (uint32_t)room };
        if (add_writing(pool, id, list) && add_dirty(pool, id, list))
            break;
        os->misc->free(os, p);
    }
    tidy(list);
    return 0;
}

/* ---- writing them -------------------------------------------------------------------------------- */

static void write_once(struct tarn_thread *th, const struct list *list, struct write_result *r)
{
    for (uint32_t i = 0; i < list->n; i += BATCH_MAX) {
        uint32_t n = list->n - i < BATCH_MAX ? list->n - i : BATCH_MAX;

        write_pages(th, list->pages + i, n, r);
    }
}

/* Until all are written, or those left are pinned and time is over. */
static void write_list(struct tarn_thread *th, const struct list *list, struct write_result *r)
{
    enum { ROUNDS = 20 };
    const struct tarn_os *os = th->pool->os;

    for (unsigned round = 0; round < ROUNDS; round++) {
        memset(r, 0, sizeof(*r));
        write_once(th, list, r);
        if (r->err != 0 || r->pinned + r->busy == 0)
            return;
        if (round % 4 == 0) /* who has it pinned may die while we wait */
            (void)reap_sweep(th->pool->region);
        (void)os->misc->sleep(os, (uint64_t)(round + 1) * 500 * 1000);
    }
}

/* ---- fsync ---------------------------------------------------------------------------------------- */

/* The pages of file id that this sync wrote may be lost: they are to be written again. */
static void redirty(struct tarn_thread *th, const struct list *list, uint32_t id)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (key_file(list->pages[i].key) == id)
            write_again(th, list->pages[i].key, list->pages[i].frame);
}

static int suspect(struct tarn_mpool *pool, const struct file_record *record, const char *why)
{
    return tarn_fail(pool->sink, TARN_EIO,
                     "%s: fsync has failed (%s): what was written before may be lost; close the "
                     "file in all processes and check it",
                     record->path, why);
}

static int fsync_file(struct tarn_thread *th, const struct list *list, uint32_t id)
{
    struct tarn_mpool *pool = th->pool;
    struct file_record *record = pool_file(pool, id);
    const struct tarn_os *os = pool->os;
    struct file_channel *channel;
    struct env_reason why;
    int ret;

    if (atomic_load(&record->suspect) != 0)
        return suspect(pool, record, "earlier, perhaps in another process");
    ret = channel_borrow(pool, id, &channel);
    if (ret != 0)
        return ret == TARN_EACCES ? 0 : ret; /* 0: nothing was written here, its pages are barred */
    ret = os->file->fsync(os, channel->fd, 1);
    if (ret != 0) {
        (void)env_reason(os, &why);
        atomic_store(&record->suspect, 1);
        redirty(th, list, id);
        ret = suspect(pool, record, why.text);
    }
    channel_return(pool, channel);
    return ret;
}

static int fsync_all(struct tarn_thread *th, const struct list *list)
{
    int ret = 0;

    for (uint32_t id = 1; id <= th->pool->header->max_files; id++)
        if (atomic_load(&pool_file(th->pool, id)->state) == FILE_LIVE) {
            int t = fsync_file(th, list, id);

            ret = ret ? ret : t;
        }
    return ret;
}

/* ---- the public calls ----------------------------------------------------------------------------- */

static int incomplete(struct tarn_mpool *pool, const char *what, const struct write_result *r)
{
    return tarn_fail(pool->sink, TARN_EINCOMPLETE,
                     "%s: synced but for %u pages that stayed pinned, %u that others are writing "
                     "and %u of files that this process may not write; put them and sync again",
                     what, r->pinned, r->busy, r->barred);
}

/* id 0: all files. */
static int sync_files(struct tarn_mpool *pool, uint32_t id, const char *what)
{
    struct write_result r = { 0 };
    struct tarn_thread *th;
    struct list list = { 0 };
    int ret = region_check(pool->region), synced;

    if (ret == 0)
        ret = thread_get(pool, &th);
    if (ret == 0)
        ret = make_list(pool, id, &list);
    if (ret != 0)
        return ret;
    write_list(th, &list, &r);
    synced = id != 0 ? fsync_file(th, &list, id) : fsync_all(th, &list);
    pool->os->misc->free(pool->os, list.pages);
    if (r.err != 0 || synced != 0)
        return r.err != 0 ? r.err : synced;
    return r.pinned + r.busy + r.barred == 0 ? 0 : incomplete(pool, what, &r);
}

int tarn_mpool_sync(tarn_mpool *pool) { return sync_files(pool, 0, "pool"); }

int tarn_mpf_sync(tarn_mpf *file)
{
    if (!file->channel->writable)
        return region_check(file->pool->region);
    return sync_files(file->pool, file->id, file->record->path);
}
