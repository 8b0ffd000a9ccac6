/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Get: a page number becomes a pointer.  The hit is tarn_page_get() with pin_entry(), whole;
 * everything else is behind get_slowly().  pin.c says why what it does is enough.
 */
#include "mpool/entry.h"
#include "mpool/pin.h"
#include "mpool/read.h"
#include "mpool/replace.h"
#include "mpool/thread.h"

static inline void count_hit(struct tarn_thread *th, const struct tarn_mpf *file)
{
    _Atomic uint64_t *hits = &th->hits[file->hit_counter];

    atomic_store_explicit(hits, atomic_load_explicit(hits, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/*
 * Pin the page of e, if it is the one of key and nobody has claimed it, in the empty place `pin`.
 * The frame, or UINT32_MAX.  What the first look at the word says of the page's state is not asked:
 * a pin of a frame that is something else does no harm for a moment, and the second look decides.
 */
static inline uint32_t pin_entry(struct tarn_thread *th, const struct tarn_mpf *file,
                                 struct entry *e, uint64_t key, _Atomic uint32_t *pin)
{
    uint64_t w = atomic_load_explicit(&e->pte, memory_order_relaxed);
    uint32_t frame = pte_frame(w);

    pin_store(pin, frame + file->pin_base, th->exchange);
    if (LIKELY(atomic_load(&e->pte) == w && (w & (PTE_CL | PTE_RS)) == PTE_RS &&
               atomic_load_explicit(&e->key, memory_order_relaxed) == key))
        return frame;
    atomic_store_explicit(pin, 0, memory_order_release);
    return UINT32_MAX;
}

/* ---- misses, claims, errors --------------------------------------------------------------------- */

static int check_get(const struct tarn_thread *th, const struct tarn_mpf *file, tarn_pgno pgno,
                     unsigned flags)
{
    const struct tarn_env_sink *sink = file->pool->sink;
    int ret = th->pin ? region_check(file->pool->region) : TARN_EFORK;

    if (ret != 0)
        return ret;
    if (th->pool != file->pool)
        return tarn_fail(sink, TARN_EINVAL, "%s: the thread's handle is of another pool",
                         file->record->path);
    if (pgno > TARN_PGNO_MAX)
        return tarn_fail(sink, TARN_EINVAL, "%s: page %llu is beyond the last possible one, %llu",
                         file->record->path, (unsigned long long)pgno,
                         (unsigned long long)TARN_PGNO_MAX);
    if (flags & ~(unsigned)TARN_GET_CREATE)
        return tarn_fail(sink, TARN_EINVAL, "%s: illegal flags 0x%x for tarn_page_get",
                         file->record->path, flags & ~(unsigned)TARN_GET_CREATE);
    return 0;
}

/* The entry is there: pin its page, or wait a little for who has claimed it. */
static int get_there(struct tarn_thread *th, struct tarn_mpf *file, uint64_t key, struct entry *e,
                     void **page)
{
    uint32_t frame;
    uint64_t w;
    int ret;
    _Atomic uint32_t *pin = pin_place(th, &ret);

    if (!pin)
        return ret;
    frame = pin_entry(th, file, e, key, pin);
    if (frame == UINT32_MAX) {
        w = atomic_load(&e->pte);
        if ((w & PTE_CL) && atomic_load(&e->key) == key)
            entry_wait(th, e, w);
        return TARN_EAGAIN;
    }
    pin_taken(th, pin);
    replace_touch(&th->ref[frame]);
    count_hit(th, file);
    *page = pool_page(th->pool, frame);
    return 0;
}

static int get_kind(struct tarn_thread *th, struct tarn_mpf *file, tarn_pgno pgno,
                    enum read_kind kind, void **page)
{
    uint64_t key = file->key_base | pgno;
    int ret;

    do {
        struct entry *e = entry_find(th->pool, key);

        ret = e ? get_there(th, file, key, e, page) : read_in(th, file, key, kind, page);
        if (ret == TARN_EAGAIN && region_check(th->pool->region) != 0)
            ret = region_check(th->pool->region);
    } while (ret == TARN_EAGAIN);
    return ret;
}

__attribute__((noinline)) static int get_slowly(struct tarn_thread *th, struct tarn_mpf *file,
                                                tarn_pgno pgno, unsigned flags, void **page)
{
    int ret = check_get(th, file, pgno, flags);

    if (ret != 0)
        return ret;
    return get_kind(th, file, pgno, flags & TARN_GET_CREATE ? READ_CREATE : READ_FILE, page);
}

/* ---- the public calls ---------------------------------------------------------------------------- */

int tarn_page_get(tarn_thread *th, tarn_mpf *file, tarn_pgno pgno, unsigned flags, void **page)
{
    _Atomic uint32_t *room = th->room;
    uint64_t key = file->key_base | pgno;
    uint64_t hash = entry_hash(th->multiplier, file->mix, pgno);
    struct entry *e;
    uint32_t frame;

    if (UNLIKELY(!pin_has_room(room) ||
                 atomic_load_explicit(&th->pool, memory_order_relaxed) != file->pool ||
                 pgno > TARN_PGNO_MAX || (flags & ~(unsigned)TARN_GET_CREATE)))
        return get_slowly(th, file, pgno, flags, page);
    e = entry_find_home(th->entries, key, hash, entry_bucket(hash, th->bucket_mask, th->buckets));
    if (UNLIKELY(!e))
        return get_slowly(th, file, pgno, flags, page);
    frame = pin_entry(th, file, e, key, room);
    if (UNLIKELY(frame == UINT32_MAX))
        return get_slowly(th, file, pgno, flags, page);
    th->room = room - 1;
    replace_touch(&th->ref[frame]);
    count_hit(th, file);
    *page = th->data + ((uint64_t)frame << th->unit_shift);
    return 0;
}

int tarn_page_last(tarn_thread *th, tarn_mpf *file, tarn_pgno *pgno, void **page)
{
    tarn_pgno last = atomic_load(&file->record->last);
    int ret = tarn_page_get(th, file, last, 0, page);

    if (ret == 0)
        *pgno = last;
    return ret;
}

int tarn_page_new(tarn_thread *th, tarn_mpf *file, tarn_pgno *pgno, void **page)
{
    tarn_pgno made, after;
    int ret = check_get(th, file, 0, 0);

    if (ret != 0)
        return ret;
    made = atomic_fetch_add(&file->record->last, 1) + 1;
    if (made > TARN_PGNO_MAX)
        ret = check_get(th, file, made, 0);
    else
        ret = get_kind(th, file, made, READ_NEW, page);
    if (ret == 0) {
        *pgno = made;
        return 0;
    }
    after = made; /* no hole, unless somebody has already made the next one (seed X18) */
    (void)atomic_compare_exchange_strong(&file->record->last, &after, made - 1);
    return ret;
}

int tarn_mpf_get(tarn_mpf *file, tarn_pgno pgno, unsigned flags, void **page)
{
    struct tarn_thread *th;
    int ret = thread_get(file->pool, &th);

    return ret != 0 ? ret : tarn_page_get(th, file, pgno, flags, page);
}
