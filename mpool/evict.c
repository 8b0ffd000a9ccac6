/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames for pages that come in.
 *
 *                     take_free                     evict_used
 *          FREE -------------------> LANE (tag) -------------------> MAPPED (entry)
 *           ^                         ^     |                          |
 *           |         evict_unnote    |     |                          |  evict_pages:
 *           +-------------------------------+                          |  claim, barrier, scan, delete
 *           ^                         +--------------------------------+
 *           +-- to_free
 *
 * A lane keeps a few frames ready, its reserve, and fills it a batch at a time, because the heavy
 * barrier costs the same for one page as for 64.
 *
 * Rules
 *   1. A frame of kind LANE is named by a place in the reserve of the lane whose tag it carries: the
 *      place is written before the frame becomes LANE and cleared after it has become something
 *      else.  So the dead's frames are found without looking at all frames.
 *   2. A page goes only if its entry was claimed (CL+RS), then nobody had it pinned (pin.c), then it
 *      was clean and nobody was writing it back: that order.  Who writes back marks the frame before
 *      he claims, so one of the two sees the other.
 *   3. The frame becomes LANE before its entry loses it, so that it belongs to somebody always.
 *   4. freemap and free_hint are hints for where FREE frames are; the frame's own word decides, by
 *      CAS.
 *   5. Pages that must be written first are collected, and written together if the clean ones among
 *      the candidates are fewer than half of what is wanted.
 *
 * Not promised: the best victim; a bound on the wait if all pages are pinned for ever: then, after
 * about a second, TARN_ENOMEM with the counts.
 *
 * tests/test_evict.c holds the rules.
 */
#include "mpool/evict.h"
#include "mpool/entry.h"
#include "mpool/extent.h"
#include "mpool/pin.h"
#include "mpool/replace.h"
#include "mpool/write.h"

/* ---- the reserve ------------------------------------------------------------------------------ */

/* Note frame in an empty place; NULL: there is none. */
static _Atomic uint32_t *note(struct pool_lane *part, uint32_t frame)
{
    for (unsigned i = 0; i < BATCH_MAX; i++) {
        uint32_t empty = 0;

        if (atomic_compare_exchange_strong(&part->reserve[i], &empty, frame + 1))
            return &part->reserve[i];
    }
    return NULL;
}

bool evict_note(struct pool_lane *part, uint32_t frame) { return note(part, frame) != NULL; }

/* The frame becomes FREE if it is still tag's. */
static void give_back(struct tarn_mpool *pool, uint32_t frame, uint32_t tag)
{
    uint64_t lane = own_make(FRAME_LANE, tag), pins = own_make(FRAME_PINS, tag);
    _Atomic uint64_t *own = &pool->frames[frame].own;

    if (atomic_compare_exchange_strong(own, &lane, own_make(FRAME_FREE, 0)) ||
        atomic_compare_exchange_strong(own, &pins, own_make(FRAME_FREE, 0)))
        evict_freed(pool, frame);
}

void evict_unnote(struct tarn_mpool *pool, struct pool_lane *part, uint32_t frame, uint32_t tag)
{
    give_back(pool, frame, tag);
    for (unsigned i = 0; i < BATCH_MAX; i++) {
        uint32_t noted = frame + 1;

        (void)atomic_compare_exchange_strong(&part->reserve[i], &noted, 0);
    }
}

bool evict_note_pins(struct tarn_mpool *pool, struct pool_lane *part, uint32_t frame, uint32_t tag)
{
    for (unsigned i = 0; i < BATCH_MAX; i++)
        if (atomic_load(&part->reserve[i]) == frame + 1)
            return true;
    if (evict_note(part, frame))
        return true;
    for (unsigned i = 0; i < BATCH_MAX; i++) {
        uint32_t noted = atomic_load(&part->reserve[i]);

        if (noted != 0 && noted <= pool->frame_limit &&
            atomic_load(&pool->frames[noted - 1].own) != own_make(FRAME_PINS, tag)) {
            evict_unnote(pool, part, noted - 1, tag);
            return evict_note(part, frame);
        }
    }
    return false;
}

void evict_unreserve(struct tarn_mpool *pool, struct pool_lane *part, uint32_t tag)
{
    for (unsigned i = 0; i < BATCH_MAX; i++) {
        uint32_t noted = atomic_load(&part->reserve[i]);

        if (noted != 0 && noted <= pool->frame_limit)
            evict_unnote(pool, part, noted - 1, tag);
    }
}

static unsigned reserve_place(const struct tarn_thread *th, uint32_t frame)
{
    for (unsigned i = 0; i < BATCH_MAX; i++)
        if (atomic_load_explicit(&th->part->reserve[i], memory_order_relaxed) == frame + 1)
            return i;
    CHECK(0 && "a frame in hand is noted in the reserve");
    return 0;
}

void evict_used(struct tarn_thread *th, uint32_t frame)
{
    unsigned place = reserve_place(th, frame);

    atomic_store_explicit(&th->part->reserve[place], 0, memory_order_release);
    th->reserve_taken &= ~(1ULL << place);
}

void evict_unused(struct tarn_thread *th, uint32_t frame)
{
    th->reserve_taken &= ~(1ULL << reserve_place(th, frame));
}

/* A frame of class that is ready and not in hand; false: there is none. */
static bool take_ready(struct tarn_thread *th, uint32_t class_, uint32_t *frame)
{
    for (unsigned i = 0; i < BATCH_MAX; i++) {
        uint32_t noted = atomic_load_explicit(&th->part->reserve[i], memory_order_relaxed);

        if (noted == 0 || th->reserve_taken & 1ULL << i ||
            extent_class_of(th->pool, noted - 1) != class_)
            continue;
        th->reserve_taken |= 1ULL << i;
        *frame = noted - 1;
        return true;
    }
    return false;
}

/* Places that are empty; frames of other sizes are given back if there are none. */
static uint32_t make_room(struct tarn_thread *th)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < BATCH_MAX; i++)
        n += atomic_load_explicit(&th->part->reserve[i], memory_order_relaxed) == 0;
    if (n != 0)
        return n;
    for (unsigned i = 0; i < BATCH_MAX; i++)
        if (!(th->reserve_taken & 1ULL << i)) {
            uint32_t noted = atomic_load_explicit(&th->part->reserve[i], memory_order_relaxed);

            evict_unnote(th->pool, th->part, noted - 1, th->tag);
            n++;
        }
    return n;
}

/* Lanes that somebody has; the caller's own is among them. */
static uint32_t lanes_in_use(const struct tarn_mpool *pool)
{
    uint32_t lanes = rows_lane_count(pool->region), n = 0;

    for (uint32_t i = 0; i < lanes; i++)
        n += rows_lane_row(pool->region, i) != UINT32_MAX;
    return n > 0 ? n : 1;
}

/* How many frames to fetch at once: few in a small pool, where a reserve would be most of it. */
static uint32_t batch_size(struct tarn_thread *th, uint32_t class_)
{
    uint32_t frames = extent_class_frames(th->pool, class_);
    uint32_t room = make_room(th);
    uint32_t n = frames / 16 < BATCH_MAX ? frames / 16 : BATCH_MAX;
    uint32_t share = n > 1 ? frames / (8 * lanes_in_use(th->pool)) : 1;

    n = n < share ? n : share;
    n = n < room ? n : room;
    return n ? n : 1;
}

/* ---- free frames ------------------------------------------------------------------------------ */

void evict_freed(struct tarn_mpool *pool, uint32_t frame)
{
    uint32_t class_ = extent_class_of(pool, frame);

    atomic_fetch_or(&pool->freemap[frame / 64], 1ULL << frame % 64);
    if (class_ < PAGE_CLASSES)
        atomic_fetch_add_explicit(&pool->header->free_hint[class_], 1, memory_order_relaxed);
}

static bool take_free_frame(struct tarn_thread *th, uint32_t frame)
{
    struct tarn_mpool *pool = th->pool;
    uint64_t own = atomic_load(&pool->frames[frame].own);
    _Atomic uint32_t *place = NULL;
    bool taken = false;

    if (own == own_make(FRAME_FREE, 0) && (place = note(th->part, frame)) != NULL)
        taken = atomic_compare_exchange_strong(&pool->frames[frame].own, &own,
                                               own_make(FRAME_LANE, th->tag));
    if (place && !taken)
        atomic_store(place, 0);
    if (own_kind(own) != FRAME_FREE || taken)
        atomic_fetch_and(&pool->freemap[frame / 64], ~(1ULL << frame % 64));
    return taken;
}

/* Take up to want frames of class from one word of the map. */
static uint32_t take_free_word(struct tarn_thread *th, uint32_t class_, uint32_t word,
                               uint32_t want)
{
    uint64_t bits = atomic_load_explicit(&th->pool->freemap[word], memory_order_relaxed);
    uint32_t got = 0;

    for (; bits != 0 && got < want; bits &= bits - 1) {
        uint32_t frame = word * 64 + (uint32_t)__builtin_ctzll(bits);

        if (extent_class_of(th->pool, frame) != class_ || !take_free_frame(th, frame))
            continue;
        if (extent_class_of(th->pool, frame) == class_)
            got++;
        else /* drained meanwhile: who takes the extent writes its frames anew */
            evict_unnote(th->pool, th->part, frame, th->tag);
    }
    return got;
}

static uint32_t take_free(struct tarn_thread *th, uint32_t class_, uint32_t want)
{
    struct pool_header *h = th->pool->header;
    uint32_t words = (th->pool->frame_limit + 63) / 64;
    uint32_t word = atomic_load_explicit(&h->free_cursor, memory_order_relaxed);
    uint32_t hint = atomic_load_explicit(&h->free_hint[class_], memory_order_relaxed);
    uint32_t got = 0;

    for (uint32_t i = 0; i < words && got < want && hint != 0; i++) {
        word = word < words ? word : 0;
        got += take_free_word(th, class_, word, want - got);
        word += got < want;
    }
    if (hint != 0) {
        uint32_t left = got == want && hint > got ? hint - got : 0;

        atomic_store_explicit(&h->free_cursor, word, memory_order_relaxed);
        (void)atomic_compare_exchange_strong(&h->free_hint[class_], &hint, left);
    }
    return got;
}

/* ---- pages that go ---------------------------------------------------------------------------- */

struct victims {
    struct pin_batch batch;
    struct entry *entry[BATCH_MAX];
    uint64_t old[BATCH_MAX];
    bool lost[BATCH_MAX]; /* it may go although it is dirty */
};

/* Must a dirty page stay?  Not if nobody can want it any more: its file has been closed by all. */
static bool wanted(const struct tarn_mpool *pool, uint64_t key)
{
    return atomic_load(&pool_file(pool, key_file(key))->state) != FILE_DROPPING;
}

/* Claim the page in frame, if it is one that can go. */
static void claim(struct tarn_thread *th, uint32_t frame, const struct evict_plan *plan,
                  struct victims *v)
{
    struct tarn_mpool *pool = th->pool;
    struct entry *e = pool_entry_of(pool, frame);
    uint32_t i = v->batch.n;
    uint64_t w, key;

    if (!e || !pool_resident(e, frame, &w))
        return;
    key = atomic_load(&e->key); /* the CAS from w proves that it was this page's */
    if (key == 0 || (plan->file != 0 && key_file(key) != plan->file))
        return;
    v->lost[i] = plan->dirty_too || !wanted(pool, key);
    if ((!v->lost[i] && pool_dirty(pool, w)) ||
        !entry_claim(th, e, w, PTE_CL | PTE_RS | frame, plan->first_intent + i))
        return;
    v->batch.frame[i] = frame;
    v->entry[i] = e;
    v->old[i] = w;
    v->batch.n++;
}

/* The page of victim i goes: its frame to the reserve, its entry to nobody.  False: no place. */
static bool drop(struct tarn_thread *th, const struct victims *v, uint32_t i)
{
    uint32_t frame = v->batch.frame[i];

    if (!evict_note(th->part, frame))
        return false;
    atomic_store(&th->pool->frames[frame].own, own_make(FRAME_LANE, th->tag));
    replace_reset(&th->pool->ref[frame]);
    write_unmark(th->pool, frame);
    entry_delete(th, v->entry[i], pte_high(v->old[i]) + 1);
    return true;
}

/* Rule 2, after the scan: nobody writes it back, and it is clean. */
static bool may_go(const struct tarn_mpool *pool, const struct victims *v, uint32_t i)
{
    return !v->batch.pinned[i] && atomic_load(&pool->frames[v->batch.frame[i]].wb) == 0 &&
           (v->lost[i] || !pool_dirty(pool, v->old[i]));
}

uint32_t evict_pages(struct tarn_thread *th, const uint32_t *frames, uint32_t n,
                     const struct evict_plan *plan, uint32_t *pinned)
{
    struct tarn_mpool *pool = th->pool;
    struct victims v;
    uint32_t went = 0;

    v.batch.n = 0;
    v.batch.ignore = plan->ignore;
    for (uint32_t i = 0; i < n; i++)
        claim(th, frames[i], plan, &v);
    if (v.batch.n != 0)
        pin_scan(th, &v.batch);
    for (uint32_t i = 0; i < v.batch.n; i++) {
        *pinned += v.batch.pinned[i];
        if (!may_go(pool, &v, i) || !drop(th, &v, i)) {
            entry_release(pool, v.entry[i], v.old[i]);
            entry_forget(th, plan->first_intent + i);
            continue;
        }
        entry_forget(th, plan->first_intent + i);
        went++;
        if (plan->to_free)
            evict_unnote(pool, th->part, v.batch.frame[i], th->tag);
    }
    return went;
}

/* ---- looking for room ------------------------------------------------------------------------- */

struct class_of_view {
    const struct tarn_mpool *pool;
    uint32_t class_;
};

static bool extent_is_mine(const void *ctx, uint32_t extent)
{
    const struct class_of_view *c = ctx;

    return extent_class_of(c->pool, extent * pool_extent_units(c->pool)) == c->class_;
}

/* One hunt for frames of a class. */
struct hunt {
    struct tarn_thread *th;
    struct class_of_view mine;
    struct replace_view view;
    uint32_t want, got, pinned;
    uint32_t nclean, ndirty;
    uint32_t clean[BATCH_MAX];
    struct write_page dirty[BATCH_MAX];
    struct write_result wrote;
};

static void hunt_begin(struct hunt *h, struct tarn_thread *th, uint32_t class_)
{
    struct tarn_mpool *pool = th->pool;

    h->th = th;
    h->mine = (struct class_of_view){ pool, class_ };
    h->want = batch_size(th, class_);
    h->got = h->pinned = h->nclean = h->ndirty = 0;
    h->wrote = (struct write_result){ 0 };
    h->view = (struct replace_view){
        .ref = pool->ref,
        .hand = &pool->header->hand[class_],
        .limit = pool->frame_limit,
        .extent_units = pool_extent_units(pool),
        .page_units = pool_class_units(pool, class_),
        .mine = extent_is_mine,
        .ctx = &h->mine,
    };
}

/* Pages that someone said may go first. */
static uint32_t take_discards(struct hunt *h, uint32_t *out)
{
    struct tarn_mpool *pool = h->th->pool;
    uint32_t n = 0;

    for (unsigned i = 0; i < 16 && n < h->want; i++) {
        _Atomic uint32_t *at = &pool->header->discards[i];
        uint32_t noted = atomic_load_explicit(at, memory_order_relaxed);

        if (noted != 0 && noted <= pool->frame_limit &&
            extent_class_of(pool, noted - 1) == h->mine.class_ &&
            atomic_compare_exchange_strong(at, &noted, 0))
            out[n++] = noted - 1;
    }
    return n;
}

/*
 * Keep the candidates, clean and dirty apart.  A FREE frame is there only if whoever freed it died
 * before he could say so: say it.
 */
static void sort_out(struct hunt *h, const uint32_t *frames, uint32_t n)
{
    struct tarn_mpool *pool = h->th->pool;

    for (uint32_t i = 0; i < n; i++) {
        struct entry *e = pool_entry_of(pool, frames[i]);
        uint64_t w;

        if (atomic_load_explicit(&pool->frames[frames[i]].own, memory_order_relaxed) ==
            own_make(FRAME_FREE, 0))
            evict_freed(pool, frames[i]);
        if (!e || !pool_resident(e, frames[i], &w))
            continue;
        if (pool_dirty(pool, w) && h->ndirty < BATCH_MAX)
            h->dirty[h->ndirty++] = (struct write_page){ atomic_load(&e->key), frames[i] };
        else if (!pool_dirty(pool, w) && h->nclean < BATCH_MAX)
            h->clean[h->nclean++] = frames[i];
    }
}

/* Candidates until there are as many as are wanted still, or the clock has been round. */
static void gather(struct hunt *h, uint64_t *moved)
{
    uint32_t found[BATCH_MAX], want = h->want - h->got;

    while (h->nclean + h->ndirty < want && *moved < h->view.limit) {
        uint64_t left = (h->view.limit - *moved) / h->view.page_units;
        uint32_t step = want - h->nclean - h->ndirty;

        step = step < left ? step : (uint32_t)left; /* once round, and no page twice */
        sort_out(h, found, replace_next(&h->view, step ? step : 1, found, moved));
    }
}

static void evict_clean(struct hunt *h)
{
    static const struct evict_plan plan = { .to_free = false };
    uint32_t want = h->want - h->got;
    uint32_t went =
        evict_pages(h->th, h->clean, h->nclean < want ? h->nclean : want, &plan, &h->pinned);

    pool_count(h->th, COUNT_EVICT_CLEAN, went);
    h->got += went;
    h->nclean = 0;
}

static void write_dirty(struct hunt *h)
{
    static const struct evict_plan plan = { .to_free = false };
    uint32_t frames[BATCH_MAX], went;

    if (h->ndirty == 0)
        return;
    write_pages(h->th, h->dirty, h->ndirty, &h->wrote);
    for (uint32_t i = 0; i < h->ndirty; i++)
        frames[i] = h->dirty[i].frame;
    went = h->ndirty < h->want - h->got ? h->ndirty : h->want - h->got;
    went = evict_pages(h->th, frames, went, &plan, &h->pinned);
    pool_count(h->th, COUNT_EVICT_DIRTY, went);
    h->got += went;
    h->ndirty = 0;
}

/*
 * Once round the clock, or until there is about enough: half of it, since a write for a few pages
 * more would cost more than it brings.
 */
static void hunt_round(struct hunt *h)
{
    uint32_t found[BATCH_MAX];
    uint64_t moved = 0;

    sort_out(h, found, take_discards(h, found));
    write_dirty(h); /* discarded pages are the first to go, dirty or not */
    do {
        gather(h, &moved);
        evict_clean(h);
        if (2 * h->got < h->want)
            write_dirty(h);
    } while (2 * h->got < h->want && moved < h->view.limit);
}

static int no_victim(const struct hunt *h)
{
    struct tarn_mpool *pool = h->th->pool;
    uint32_t bytes = class_bytes(h->mine.class_);

    return tarn_fail(pool->sink, h->wrote.err ? h->wrote.err : TARN_ENOMEM,
                     "pool: no page of %u bytes can make room: of %u, %u were found pinned, %u are "
                     "dirty and of files that this process may not write, %u are in use by others; "
                     "put pages back sooner, or make the pool larger",
                     bytes, extent_class_frames(pool, h->mine.class_), h->pinned, h->wrote.barred,
                     h->wrote.busy);
}

/* How long to look for a victim: whichever comes first, should the clock stand still. */
#define PATIENCE   (1000ULL * 1000 * 1000)
#define ROUNDS_MAX 10000u

/* Fill the reserve with frames of class. */
static int refill(struct tarn_thread *th, uint32_t class_)
{
    const struct tarn_os *os = th->pool->os;
    uint64_t begun = 0, now = 0;
    struct hunt h;

    for (unsigned round = 0;; round++) {
        hunt_begin(&h, th, class_);
        if (take_free(th, class_, h.want) != 0)
            return 0;
        if (extent_take(th, class_) == 0)
            continue;
        hunt_round(&h);
        pool_count(th, COUNT_EVICT_PINNED, h.pinned);
        if (h.got != 0)
            return 0;
        (void)os->misc->clock(os, 0, round == 0 ? &begun : &now);
        if (h.wrote.err != 0 || round == ROUNDS_MAX || (round > 1 && now - begun > PATIENCE))
            return no_victim(&h);
        if (round % 64 == 1) /* again and again: who is in the way may die while we wait */
            (void)reap_sweep(th->pool->region);
        if (round > 1)
            (void)os->misc->sleep(os, 1000 * 1000);
    }
}

int evict_frame(struct tarn_thread *th, uint32_t class_, uint32_t *frame)
{
    while (!take_ready(th, class_, frame)) {
        int ret = refill(th, class_);

        if (ret != 0)
            return ret;
    }
    return 0;
}
