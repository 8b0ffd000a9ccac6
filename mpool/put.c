/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Put and set: what the user says of a page, and letting it go.
 *
 * DIRTY raises the version in the entry, by a CAS that keeps everything else, while the page is
 * pinned and not claimed; then the bitmap is told (write.c, rule 5).  It is raised each time, also
 * on a dirty page: a write-back that is under way has copied an older version and must not count.
 */
#include "mpool/entry.h"
#include "mpool/evict.h"
#include "mpool/pin.h"
#include "mpool/replace.h"
#include "mpool/thread.h"
#include "mpool/write.h"

/* One page that is spoken of. */
struct said {
    struct tarn_thread *th;
    uint32_t frame;
    struct pin_found pin;
};

/* Which frame page points into the start of; false: none of this pool. */
static bool frame_of(const struct tarn_thread *th, const void *page, uint32_t *frame)
{
    uint64_t off = (uint64_t)((const uint8_t *)page - th->data);

    *frame = (uint32_t)(off >> th->unit_shift);
    return (const uint8_t *)page >= th->data && off >> th->unit_shift < th->pool->frame_limit &&
           (off & ((1ULL << th->unit_shift) - 1)) == 0;
}

static int check_flags(struct tarn_thread *th, unsigned flags)
{
    const unsigned known = TARN_PAGE_DIRTY | TARN_PAGE_CLEAN | TARN_PAGE_DISCARD;

    if (flags & ~known)
        return tarn_fail(th->pool->sink, TARN_EINVAL, "page: illegal flags 0x%x", flags & ~known);
    if ((flags & TARN_PAGE_DIRTY) && (flags & TARN_PAGE_CLEAN))
        return tarn_fail(th->pool->sink, TARN_EINVAL,
                         "page: illegal flag combination, DIRTY and CLEAN");
    return 0;
}

static int find(struct tarn_thread *th, void *page, struct said *s)
{
    int ret = th->pin ? region_check(th->pool->region) : TARN_EFORK;

    if (ret != 0)
        return ret;
    s->th = th;
    s->pin.at = NULL;
    if (frame_of(th, page, &s->frame))
        s->pin = pin_find(th, s->frame);
    if (!s->pin.at || !pool_entry_of(th->pool, s->frame))
        return tarn_fail(
            th->pool->sink, TARN_EINVAL,
            "page %p: this process has no page pinned there; it was put already, or is "
            "of another pool",
            page);
    return 0;
}

/* ---- DIRTY, CLEAN, DISCARD ------------------------------------------------------------------------ */

/* The entry of a page that is pinned: it stays. */
static struct entry *entry_of(const struct said *s)
{
    struct entry *e = pool_entry_of(s->th->pool, s->frame);

    CHECK(e != NULL);
    return e;
}

/* Until nobody has claimed the page for a moment; *w is its word then.  Or the pool is in panic. */
static int wait_unclaimed(const struct said *s, struct entry *e, uint64_t *w)
{
    int ret = 0;

    *w = atomic_load(&e->pte);
    while ((*w & PTE_CL) && (ret = region_check(s->th->pool->region)) == 0) {
        entry_wait(s->th, e, *w);
        *w = atomic_load(&e->pte);
    }
    return ret;
}

static int make_dirty(const struct said *s)
{
    struct tarn_mpool *pool = s->th->pool;
    struct entry *e = entry_of(s);
    uint64_t w;

    if (!(s->pin.value & PIN_WRITABLE))
        return tarn_fail(pool->sink, TARN_EACCES,
                         "%s: page %llu: DIRTY through a handle that was opened read-only",
                         pool_file(pool, key_file(atomic_load(&e->key)))->path,
                         (unsigned long long)(atomic_load(&e->key) & KEY_PAGE_MASK));
    do {
        int ret = wait_unclaimed(s, e, &w);

        if (ret != 0)
            return ret;
    } while (!atomic_compare_exchange_weak(&e->pte, &w, w + PTE_VERSION));
    write_mark(pool, s->frame);
    return 0;
}

/* Make the page clean unwritten: as the one who writes it back would, without the write. */
static int make_clean(const struct said *s)
{
    struct tarn_mpool *pool = s->th->pool;
    struct frame *frame = &pool->frames[s->frame];
    struct entry *e = entry_of(s);
    uint64_t w;
    int ret;

    while (!write_begin(s->th, s->frame)) {
        uint32_t writer = atomic_load(&frame->wb);

        if (writer != 0)
            (void)own_wait(pool->region, &frame->wb, writer, writer, 1000 * 1000);
    }
    ret = wait_unclaimed(s, e, &w);
    if (ret == 0)
        atomic_store(&frame->flushed, pte_high(w));
    write_end(s->th, s->frame);
    return ret;
}

static void discard(const struct said *s)
{
    struct tarn_mpool *pool = s->th->pool;
    struct pool_header *h = pool->header;
    uint32_t at = atomic_fetch_add_explicit(&h->discard_next, 1, memory_order_relaxed);

    replace_reset(&pool->ref[s->frame]);
    atomic_store_explicit(&h->discards[at % 16], s->frame + 1, memory_order_relaxed);
}

static int say(const struct said *s, unsigned flags)
{
    int ret = flags & TARN_PAGE_DIRTY ? make_dirty(s) : 0;

    if (ret != 0)
        return ret;
    if (flags & TARN_PAGE_CLEAN)
        ret = make_clean(s);
    if (ret == 0 && (flags & TARN_PAGE_DISCARD))
        discard(s);
    return ret;
}

/* ---- the public calls ---------------------------------------------------------------------------- */

/* The pin goes.  False: another thread has put it in the same moment. */
static bool drop_pin(struct said *s)
{
    uint32_t value = s->pin.value;

    if (!atomic_compare_exchange_strong(s->pin.at, &value, 0))
        return false;
    if (s->pin.own)
        pin_given(s->th, s->pin.at);
    return true;
}

__attribute__((noinline)) static int put_slowly(struct tarn_thread *th, void *page, unsigned flags)
{
    struct said s;
    int ret = check_flags(th, flags);

    if (ret == 0)
        ret = find(th, page, &s);
    if (ret == 0)
        ret = say(&s, flags);
    while (ret == 0 && !drop_pin(&s)) /* is there another one? */
        ret = find(th, page, &s);
    return ret;
}

int tarn_page_put(tarn_thread *th, void *page, unsigned flags)
{
    _Atomic uint32_t *last = th->room + 1; /* taken last, mostly; behind the line stands a 0 */
    uint64_t off = (uint64_t)((uint8_t *)page - th->data);
    uint32_t pin;

    if (UNLIKELY(flags != 0 || !pin_has_room(th->room)))
        return put_slowly(th, page, flags);
    pin = atomic_load_explicit(last, memory_order_relaxed);
    if (UNLIKELY(off != (uint64_t)((pin & PIN_FRAME) - 1) << th->unit_shift))
        return put_slowly(th, page, flags);
    atomic_store_explicit(last, 0, memory_order_release);
    th->room = last;
    return 0;
}

int tarn_page_set(tarn_thread *th, void *page, unsigned flags)
{
    struct said s;
    int ret = find(th, page, &s);

    if (ret == 0 && flags == 0)
        ret = tarn_fail(th->pool->sink, TARN_EINVAL, "page: illegal flags 0 for tarn_page_set");
    if (ret == 0)
        ret = check_flags(th, flags);
    return ret == 0 ? say(&s, flags) : ret;
}

int tarn_mpf_put(tarn_mpf *file, void *page, unsigned flags)
{
    struct tarn_thread *th;
    int ret = thread_get(file->pool, &th);

    return ret != 0 ? ret : tarn_page_put(th, page, flags);
}

int tarn_mpf_set(tarn_mpf *file, void *page, unsigned flags)
{
    struct tarn_thread *th;
    int ret = thread_get(file->pool, &th);

    return ret != 0 ? ret : tarn_page_set(th, page, flags);
}
