/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Extents: which page size a run of frames belongs to.
 *
 *                take                          drain (all its pages gone)
 *       FREE ------------> TAKING -> USED ------------> DRAINING -> FREE
 *       ABSENT --grow----> TAKING                            |
 *                             |                              +-> USED   a page that will not go
 *                             +-> ABSENT  no memory
 *
 * One word per extent: {tag, class + 1, state}.  Frames are handed out only from USED extents of
 * their class, so who has made the word TAKING or DRAINING has the frames' own words to himself as
 * far as they are FREE or NONE.
 *
 * Rules
 *   1. The lane notes the extent before the CAS that puts its tag into the word.
 *   2. Taking a FREE extent writes all its frames anew: what a death left in them does not matter.
 *   3. Draining lets pages go as eviction does, then turns every FREE into NONE with its tag; if one
 *      frame is not FREE (pinned, kept in a reserve, dirty and barred), all are turned back.  The tag
 *      tells them from the inside of larger pages: who repairs for a dead drainer may be stopped in
 *      the middle, and go on when the extent belongs to another size.
 *   4. Every size in use keeps room for 8 pages and one extent; what a new size needs comes from
 *      free extents, then from spare address space, then from the size that misses least.  Who drains
 *      marks his extent first and counts what is left USED then, in the words: of several who drain
 *      at once, the last to mark sees all the others, so they cannot take the least together.
 *   5. The words decide.  extents_of and extents_free are hints, for batches, for shares and for where
 *      to look first: counted anew after a death, and whenever an extent may move between sizes.
 *
 * Not promised: room beyond those 8 pages.
 *
 * tests/test_extent.c holds the rules.
 */
#include "mpool/extent.h"
#include "mpool/evict.h"
#include "mpool/write.h"

static uint64_t word_make(uint32_t tag, uint32_t class_, enum extent_state state)
{
    return (uint64_t)tag << 32 | (uint64_t)(class_ + 1) << 8 | (uint64_t)state;
}

static enum extent_state word_state(uint64_t word) { return (enum extent_state)(word & 0xff); }

static uint32_t word_class(uint64_t word) { return ((uint32_t)word >> 8) - 1; }

#define WORD_FREE   ((uint64_t)EXTENT_FREE)
#define WORD_ABSENT ((uint64_t)EXTENT_ABSENT)

uint32_t extent_class_of(const struct tarn_mpool *pool, uint32_t frame)
{
    uint32_t extent = frame / pool_extent_units(pool);
    uint64_t word = atomic_load_explicit(&pool->extent[extent], memory_order_acquire);

    return word_state(word) == EXTENT_USED ? word_class(word) : UINT32_MAX;
}

/* Rule 5: a hint. */
static uint32_t extents_of(const struct tarn_mpool *pool, uint32_t class_)
{
    return atomic_load_explicit(&pool->header->extents_of[class_], memory_order_relaxed);
}

uint32_t extent_class_frames(const struct tarn_mpool *pool, uint32_t class_)
{
    return extents_of(pool, class_) * (pool_extent_units(pool) / pool_class_units(pool, class_));
}

/* DRAINING is in use, too: what holds the pages that a caller has pinned will not be emptied. */
uint32_t extent_smallest_class(const struct tarn_mpool *pool)
{
    uint32_t best = PAGE_CLASSES, unit = 0;

    for (uint32_t i = 0; i < pool->header->extents; i++) {
        uint64_t word = atomic_load_explicit(&pool->extent[i], memory_order_relaxed);
        enum extent_state state = word_state(word);

        if ((state == EXTENT_USED || state == EXTENT_DRAINING) && word_class(word) < best)
            best = word_class(word);
    }
    while (class_bytes(unit) >> pool->header->unit_shift == 0)
        unit++;
    return best < PAGE_CLASSES ? best : unit;
}

static uint32_t least_extents(const struct tarn_mpool *pool, uint32_t class_)
{
    const struct pool_header *h = pool->header;

    return extent_least(pool_class_units(pool, class_) << h->unit_shift, h->extent_shift);
}

/* Does class have n extents in use? */
static bool has_extents(const struct tarn_mpool *pool, uint32_t class_, uint32_t n)
{
    for (uint32_t i = 0; i < pool->header->extents && n != 0; i++)
        n -= atomic_load(&pool->extent[i]) == word_make(0, class_, EXTENT_USED);
    return n == 0;
}

/* ---- taking ----------------------------------------------------------------------------------- */

/* Put the tag into the word of extent, if it is still `from`. */
static bool hold(struct tarn_thread *th, uint32_t extent, uint64_t from, uint64_t to)
{
    atomic_store(&th->part->extent, extent + 1);
    if (atomic_compare_exchange_strong(&th->pool->extent[extent], &from, to))
        return true;
    atomic_store(&th->part->extent, 0);
    return false;
}

static void let_go(struct tarn_thread *th, uint32_t extent, uint64_t to)
{
    atomic_store(&th->pool->extent[extent], to);
    atomic_store(&th->part->extent, 0);
}

/* The extent is TAKING by this thread: make it USED, its pages FREE (rule 2). */
static void settle(struct tarn_thread *th, uint32_t extent, uint32_t class_)
{
    struct tarn_mpool *pool = th->pool;
    uint32_t units = pool_extent_units(pool), page = pool_class_units(pool, class_);
    uint32_t first = extent * units;

    for (uint32_t f = first; f < first + units; f++) {
        atomic_store_explicit(&pool->frames[f].own,
                              own_make(f % page == 0 ? FRAME_FREE : FRAME_NONE, 0),
                              memory_order_relaxed);
        atomic_store_explicit(&pool->ref[f], 0, memory_order_relaxed);
    }
    atomic_fetch_add(&pool->header->extents_of[class_], 1);
    let_go(th, extent, word_make(0, class_, EXTENT_USED));
    for (uint32_t f = first; f < first + units; f += page)
        evict_freed(pool, f);
}

int extent_take(struct tarn_thread *th, uint32_t class_)
{
    struct tarn_mpool *pool = th->pool;
    struct pool_header *h = pool->header;
    uint32_t hint = atomic_load_explicit(&h->extents_free, memory_order_relaxed);

    for (uint32_t i = 0; i < h->extents && hint != 0; i++)
        if (atomic_load_explicit(&pool->extent[i], memory_order_relaxed) == WORD_FREE &&
            hold(th, i, WORD_FREE, word_make(th->tag, class_, EXTENT_TAKING))) {
            settle(th, i, class_);
            return 0;
        }
    (void)atomic_compare_exchange_strong(&h->extents_free, &hint, 0);
    return TARN_ENOENT;
}

/* Give memory to an extent that has none yet. */
static int take_spare(struct tarn_thread *th, uint32_t class_)
{
    struct tarn_mpool *pool = th->pool;
    uint64_t bytes = 1ULL << pool->header->extent_shift;
    uint64_t data = (uint64_t)(pool->data - pool->region->base);
    int ret;

    for (uint32_t i = pool->header->extents_spare; i < pool->header->extents; i++) {
        if (atomic_load(&pool->extent[i]) != WORD_ABSENT ||
            !hold(th, i, WORD_ABSENT, word_make(th->tag, class_, EXTENT_TAKING)))
            continue;
        ret = region_grow(pool->region, data + i * bytes, bytes);
        if (ret != 0)
            let_go(th, i, WORD_ABSENT);
        else
            settle(th, i, class_);
        return ret;
    }
    return TARN_ENOENT;
}

/* ---- draining --------------------------------------------------------------------------------- */

/* Let the pages of up to BATCH_MAX frames from `first` on go; the dirty are written before. */
static void let_pages_go(struct tarn_thread *th, uint32_t first, uint32_t step, uint32_t end)
{
    static const struct evict_plan plan = { .to_free = true };
    struct tarn_mpool *pool = th->pool;
    struct write_page dirty[BATCH_MAX];
    struct write_result wrote = { 0 };
    uint32_t frames[BATCH_MAX], n = 0, ndirty = 0, pinned = 0;

    for (uint32_t f = first; f < end && n < BATCH_MAX; f += step) {
        struct entry *e = pool_entry_of(pool, f);
        uint64_t w;

        if (!e || !pool_resident(e, f, &w))
            continue;
        frames[n++] = f;
        if (pool_dirty(pool, w))
            dirty[ndirty++] = (struct write_page){ atomic_load(&e->key), f };
    }
    if (ndirty != 0)
        write_pages(th, dirty, ndirty, &wrote);
    (void)evict_pages(th, frames, n, &plan, &pinned);
}

/* The extent is DRAINING by this thread: all of its pages go, and their frames become NONE. */
static bool empty(struct tarn_thread *th, uint32_t first, uint32_t step, uint32_t end)
{
    for (uint32_t f = first; f < end; f += step * BATCH_MAX)
        let_pages_go(th, f, step, f + step * BATCH_MAX < end ? f + step * BATCH_MAX : end);
    for (uint32_t f = first; f < end; f += step) {
        uint64_t own = own_make(FRAME_FREE, 0);

        if (!atomic_compare_exchange_strong(&th->pool->frames[f].own, &own,
                                            own_make(FRAME_NONE, th->tag)))
            return false;
    }
    return true;
}

/*
 * word says who drains extent: undo it, for ourselves or for the dead (rule 3).  The hint comes last,
 * since it does not count what becomes FREE while the extent is of no size.
 */
static void undrain(struct tarn_mpool *pool, uint32_t extent, uint64_t word)
{
    uint32_t units = pool_extent_units(pool), step = pool_class_units(pool, word_class(word));

    for (uint32_t f = extent * units; f < (extent + 1) * units; f += step) {
        uint64_t own = own_make(FRAME_NONE, (uint32_t)(word >> 32));

        if (atomic_compare_exchange_strong(&pool->frames[f].own, &own, own_make(FRAME_FREE, 0)))
            evict_freed(pool, f);
    }
    if (atomic_compare_exchange_strong(&pool->extent[extent], &word,
                                       word_make(0, word_class(word), EXTENT_USED)))
        atomic_fetch_add(&pool->header->free_hint[word_class(word)], units / step);
}

/* A frame that is in somebody's hands would be in the way: better not to begin. */
static bool drainable(const struct tarn_mpool *pool, uint32_t first, uint32_t step, uint32_t end)
{
    for (uint32_t f = first; f < end; f += step) {
        enum own_kind kind = own_kind(atomic_load(&pool->frames[f].own));

        if (kind != FRAME_FREE && kind != FRAME_MAPPED)
            return false;
    }
    return true;
}

/* Empty an extent of class; false if it would be missed (rule 4) or a page of it would not go. */
static bool drain(struct tarn_thread *th, uint32_t extent, uint32_t class_)
{
    struct tarn_mpool *pool = th->pool;
    uint32_t units = pool_extent_units(pool), step = pool_class_units(pool, class_);
    uint32_t first = extent * units, end = first + units;
    uint64_t mine = word_make(th->tag, class_, EXTENT_DRAINING);

    if (!drainable(pool, first, step, end) ||
        !hold(th, extent, word_make(0, class_, EXTENT_USED), mine))
        return false;
    if (!has_extents(pool, class_, least_extents(pool, class_)) || !empty(th, first, step, end)) {
        undrain(pool, extent, mine);
        atomic_store(&th->part->extent, 0);
        return false;
    }
    atomic_fetch_sub(&pool->header->extents_of[class_], 1);
    atomic_store(&pool->extent[extent], WORD_FREE);
    atomic_fetch_add(&pool->header->extents_free, 1);
    atomic_store(&th->part->extent, 0); /* last: the hint is made anew if we die before */
    return true;
}

/* Move an extent from another class to this one: from where the clock comes next. */
static bool drain_any(struct tarn_thread *th, uint32_t from)
{
    struct tarn_mpool *pool = th->pool;
    uint32_t n = pool->header->extents;
    uint32_t at = atomic_load(&pool->header->hand[from]) / pool_extent_units(pool);

    for (uint32_t i = 0; i < n; i++, at++) {
        at = at < n ? at : 0;
        if (atomic_load(&pool->extent[at]) == word_make(0, from, EXTENT_USED) &&
            drain(th, at, from))
            return true;
    }
    return false;
}

/* ---- hints ------------------------------------------------------------------------------------ */

/* How the extents stand, by their words. */
struct census {
    uint32_t used[PAGE_CLASSES]; /* what is on its way counts for its size */
    uint32_t moving, n_free;
};

static void take_census(const struct tarn_mpool *pool, struct census *out)
{
    *out = (struct census){ 0 };
    for (uint32_t i = 0; i < pool->header->extents; i++) {
        uint64_t word = atomic_load(&pool->extent[i]);
        enum extent_state state = word_state(word);

        if (state >= EXTENT_TAKING)
            out->used[word_class(word)]++;
        out->moving += state == EXTENT_TAKING || state == EXTENT_DRAINING;
        out->n_free += word == WORD_FREE;
    }
}

/*
 * The hints, anew from the words.  Whoever moves an extent changes the count while the word still has
 * his tag: so a count that is what it was before the census, with nobody moving, was wrong.  After a
 * death somebody may well be moving; the count may be too high then, until the next time: a poor
 * choice of a batch.  Free ones are only ever announced here.  False: a count changed meanwhile.
 */
static bool recount(struct tarn_mpool *pool, bool although_moving)
{
    struct pool_header *h = pool->header;
    uint32_t before[PAGE_CLASSES], none = 0;
    struct census now;
    bool same = true;

    for (uint32_t c = 0; c < PAGE_CLASSES; c++)
        before[c] = atomic_load(&h->extents_of[c]);
    take_census(pool, &now);
    if (now.moving != 0 && !although_moving)
        return false;
    for (uint32_t c = 0; c < PAGE_CLASSES; c++)
        same &= atomic_compare_exchange_strong(&h->extents_of[c], &before[c], now.used[c]);
    if (now.n_free != 0)
        (void)atomic_compare_exchange_strong(&h->extents_free, &none, now.n_free);
    return same;
}

static void recount_after_death(struct tarn_mpool *pool)
{
    while (!recount(pool, true))
        ; /* each time somebody else has moved an extent */
}

/* ---- shares ----------------------------------------------------------------------------------- */

/* Misses per extent of a class since extents last moved. */
static uint32_t need_of(const struct tarn_mpool *pool, uint32_t class_)
{
    uint32_t n = extents_of(pool, class_);

    return n == 0 ? 0 : atomic_load(&pool->header->misses_of[class_]) / n;
}

/* The class, other than class_, that can best give an extent; UINT32_MAX if none can. */
static uint32_t donor(const struct tarn_mpool *pool, uint32_t class_)
{
    uint32_t best = UINT32_MAX;

    for (uint32_t c = 0; c < PAGE_CLASSES; c++)
        if (c != class_ && has_extents(pool, c, least_extents(pool, c) + 1) &&
            (best == UINT32_MAX || need_of(pool, c) < need_of(pool, best)))
            best = c;
    return best;
}

/* No extent could be had for class; err: what became of the wish for more memory. */
static int no_room(const struct tarn_mpool *pool, uint32_t class_, int err)
{
    int ret = err == TARN_ENOENT ? TARN_ENOSPC : err;

    return tarn_fail(
        pool->sink, ret,
        "pool: no room for pages of %u bytes: they need %u extents of %llu bytes; none "
        "is free, %s%s, and no other page size can give one (each keeps its least, and "
        "pages that are pinned); make the pool larger",
        class_bytes(class_), least_extents(pool, class_), 1ULL << pool->header->extent_shift,
        err == TARN_ENOENT ? "there is no spare one" : "memory for a spare one is refused: ",
        err == TARN_ENOENT ? "" : tarn_strerror(err));
}

int extent_ensure(struct tarn_thread *th, uint32_t class_)
{
    struct tarn_mpool *pool = th->pool;

    while (!has_extents(pool, class_, least_extents(pool, class_))) {
        int ret = extent_take(th, class_);
        uint32_t from;

        if (ret != 0)
            ret = take_spare(th, class_);
        if (ret == 0)
            continue;
        from = donor(pool, class_);
        if (from == UINT32_MAX || !drain_any(th, from))
            return no_room(pool, class_, ret);
    }
    return 0;
}

void extent_balance(struct tarn_thread *th, uint32_t class_)
{
    _Atomic uint32_t *misses_of = th->pool->header->misses_of;
    uint32_t misses = atomic_fetch_add_explicit(&misses_of[class_], 1, memory_order_relaxed);
    uint32_t frames = extent_class_frames(th->pool, class_), need, from;
    uint32_t many = frames > 1024 ? frames : 1024;

    if (misses < many)
        return;
    need = need_of(th->pool, class_);
    if (atomic_exchange(&misses_of[class_], 0) < many)
        return; /* of all who have seen so many, the first one moves an extent */
    (void)recount(th->pool, false);
    from = donor(th->pool, class_);
    if (from != UINT32_MAX && need > 2 * need_of(th->pool, from))
        (void)drain_any(th, from);
    for (uint32_t c = 0; c < PAGE_CLASSES; c++)
        atomic_store_explicit(&misses_of[c], 0, memory_order_relaxed);
}

/* ---- the dead --------------------------------------------------------------------------------- */

void extent_repair(struct tarn_mpool *pool, uint32_t lane, uint32_t tag)
{
    uint32_t noted = atomic_load(&pool_lane_part(pool, lane)->extent);
    uint64_t word;

    if (noted == 0 || noted > pool->header->extents)
        return;
    word = atomic_load(&pool->extent[noted - 1]);
    if ((uint32_t)(word >> 32) != tag) {
        recount_after_death(pool); /* he may have died between the word and the hints */
        return;
    }
    if (word_state(word) == EXTENT_DRAINING) {
        undrain(pool, noted - 1, word);
    } else if (word_state(word) == EXTENT_TAKING) {
        bool spare = noted - 1 >= pool->header->extents_spare;

        (void)atomic_compare_exchange_strong(&pool->extent[noted - 1], &word,
                                             spare ? WORD_ABSENT : WORD_FREE);
    }
    recount_after_death(pool);
}
