/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Read-in, once for all who want the page.
 *
 *     a place for the pin, a frame                  may evict, write, wait
 *     lock of the group: still not there? insert    the entry is claimed: CL, loading
 *     unlock
 *     read into the frame                           others who want the page wait on the entry
 *     frame is MAPPED, pin is stored                nobody can see either yet
 *     publish: RS, next version                     who waits is woken, and finds it resident
 *
 * Rules
 *   1. All that can wait or fail without the page being wanted (pin place, frame) is had before the
 *      entry is claimed; after that, only the read itself can fail.
 *   2. The bytes are complete before RS says so, and the pin is stored before, so that no evictor
 *      can come between.
 *   3. A failed read takes the entry away again: those who waited try for themselves, and get their
 *      own error (seed X18: nothing is left, nothing is freed twice).
 *
 * tests/test_get.c holds the rules; many threads or processes that want one page cost one
 * read.
 */
#include "mpool/read.h"
#include "mpool/entry.h"
#include "mpool/evict.h"
#include "mpool/extent.h"
#include "mpool/file.h"
#include "mpool/pin.h"
#include "mpool/replace.h"
#include "region/env.h"
#include <string.h>

/* Bytes [from, clear_len) of a page that has no bytes of the file there are zeros (seed W1). */
static void clear_from(const struct file_record *record, uint8_t *to, size_t from)
{
    size_t len = record->clear_len ? record->clear_len : record->page_size;

    if (from < len)
        memset(to + from, 0, len - from);
}

static int no_page(struct tarn_mpf *file, uint64_t pgno, size_t got)
{
    const struct file_record *record = file->record;

    if (got == 0)
        return tarn_fail(file->pool->sink, TARN_ENOENT,
                         "%s: page %llu does not exist: the file ends before it; TARN_GET_CREATE "
                         "would make it",
                         record->path, (unsigned long long)pgno);
    return tarn_fail(file->pool->sink, TARN_EIO,
                     "%s: page %llu: the file ends after %zu of its %u bytes", record->path,
                     (unsigned long long)pgno, got, record->page_size);
}

/* Fill the frame.  *made: the file had nothing of it. */
static int fill(struct tarn_mpf *file, uint64_t pgno, enum read_kind kind, uint8_t *to, bool *made)
{
    const struct tarn_os *os = file->pool->os;
    const struct file_record *record = file->record;
    struct env_reason why;
    size_t got = 0;
    int ret = 0;

    if (kind != READ_NEW)
        ret = os->file->pread(os, file->channel->fd, to, record->page_size,
                              pgno * record->page_size, &got);
    if (ret != 0)
        return tarn_fail(file->pool->sink, ret, "%s: reading page %llu failed: %s", record->path,
                         (unsigned long long)pgno, env_reason(os, &why));
    if (got < record->page_size && kind == READ_FILE)
        return no_page(file, pgno, got);
    clear_from(record, to, got);
    *made = got == 0;
    return 0;
}

static void count(struct tarn_thread *th, struct tarn_mpf *file, enum read_kind kind, bool made)
{
    struct file_record *record = file->record;

    if (kind != READ_NEW) {
        pool_count(th, COUNT_MISS, 1);
        atomic_fetch_add_explicit(&record->misses, 1, memory_order_relaxed);
    }
    pool_count(th, made ? COUNT_CREATE : COUNT_READ, 1);
    atomic_fetch_add_explicit(made ? &record->creates : &record->reads, 1, memory_order_relaxed);
    extent_balance(th, record->class_);
}

/* Under the group's lock: an entry for key, loading into frame.  TARN_EAGAIN: it has one. */
static int claim_entry(struct tarn_thread *th, uint64_t key, uint32_t frame, struct entry **e)
{
    uint32_t group = entry_group_of(th->pool, key);
    bool there;

    entry_lock(th, group);
    *e = entry_find(th->pool, key);
    there = *e != NULL;
    if (!there)
        *e = entry_insert(th, key, frame, INTENT_LOAD);
    entry_unlock(th, group);
    pool_count(th, COUNT_SEARCH, 1);
    if (*e)
        pool_count(th, COUNT_EXAMINED, entry_distance(th->pool, key, *e) + 1);
    if (there)
        return TARN_EAGAIN;
    if (!*e)
        return tarn_fail(th->pool->sink, TARN_ENOMEM,
                         "pool: its translation table has no place for one page more: %u groups of "
                         "%d are full",
                         th->pool->header->groups, GROUP_ENTRIES);
    return 0;
}

/* Rule 2. */
static void publish(struct tarn_thread *th, struct entry *e, uint32_t frame, _Atomic uint32_t *pin,
                    uint32_t pin_base)
{
    struct tarn_mpool *pool = th->pool;
    uint64_t old = atomic_load_explicit(&th->part->intent[INTENT_LOAD].old, memory_order_relaxed);
    uint32_t version = pte_high(old) + 1;

    atomic_store(&pool->frames[frame].flushed, version);
    atomic_store(&pool->frames[frame].own, own_make(FRAME_MAPPED, entry_index(pool, e)));
    replace_reset(&pool->ref[frame]);
    pin_store(pin, frame + pin_base, th->exchange);
    entry_release(pool, e, pte_make(version, PTE_RS, frame));
    evict_used(th, frame);
    entry_forget(th, INTENT_LOAD);
}

int read_in(struct tarn_thread *th, struct tarn_mpf *file, uint64_t key, enum read_kind kind,
            void **page)
{
    struct tarn_mpool *pool = th->pool;
    uint64_t pgno = key & KEY_PAGE_MASK;
    struct entry *e;
    uint32_t frame;
    bool made = true;
    int ret;
    _Atomic uint32_t *pin = pin_place(th, &ret);

    if (!pin)
        return ret;
    ret = evict_frame(th, file->record->class_, &frame);
    if (ret != 0)
        return ret;
    ret = claim_entry(th, key, frame, &e);
    if (ret != 0) {
        evict_unused(th, frame);
        return ret;
    }
    ret = fill(file, pgno, kind, pool_page(pool, frame), &made);
    if (ret != 0) {
        entry_delete(th, e, pte_high(atomic_load(&th->part->intent[INTENT_LOAD].old)) + 1);
        entry_forget(th, INTENT_LOAD);
        evict_unused(th, frame);
        return ret;
    }
    file_raise_last(file->record, pgno); /* before others can make page dirty: see tarn_page_new */
    publish(th, e, frame, pin, file->pin_base);
    pin_taken(th, pin);
    count(th, file, kind, made);
    *page = pool_page(pool, frame);
    return 0;
}
