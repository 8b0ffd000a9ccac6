/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pins: "this frame stays this page while I look at it", at the price of a store.
 *
 *     lane of thread A   | f7 | 0  | f2 | 0 | ... 16 words, one cache line        chain -> 0
 *     lane of thread B   | f7 | f9 | f1 | ... all 16 taken                        chain -> frame
 *                                                                                           |
 *     a frame of the pool, kind PINS   | next | f3 | f8 | 0 ...           <-----------------+
 *
 *        reader                               evictor, for a batch of frames
 *     1  finds entry e, pte says RS, frame f
 *     2  pin := f                             a  CAS pte: CL set      (for each)
 *     3  [barrier of the compiler]            b  heavy barrier        (once)
 *     4  reads pte again: RS, no CL, still f  c  reads all pins
 *     5  reads key again: still the page      d  pinned: gives the claim back
 *
 * Rules
 *   1. A pin is one word, written by its thread (or, to give it back, by another thread of the same
 *      process); nobody counts pins, so a death leaves nothing that could be miscounted.
 *   2. If the reader's step 4 came before a, its pin was stored before that, and after b the evictor
 *      sees it.  If it came after a, the reader sees CL and takes its pin back.  So never both.
 *      b is a barrier on every running thread of every process of the pool (membarrier).  In
 *      exchange mode the pin is an exchange and b is empty: pin, re-read, claim and scan are then
 *      all seq_cst, and one of the two must see the other.
 *   3. A pin never changes its place, so that a scan cannot miss it on the move.
 *   4. The number of lanes, who has them, and the chains are read after b, for the same reason; a lane
 *      that nobody has holds no pin.
 *   5. A chained frame is filled with zeros before it is chained and stays until the lane has no pin
 *      in it; a scanner that is late in such a frame reads nonsense, checks every number that it
 *      follows, and at worst believes in a pin that is not there.
 *   6. A pin keeps identity and place, not contents: who may write is the application's matter.
 *
 *   7. A thread takes the places of its line from the last to the first, and looks at the next one to
 *      take (`room`) only: all before it are empty.  The first place is taken by pin_place(), so that
 *      one test of the pointer tells "full" and "after fork" from "take it".
 *
 * Not promised: that a put is seen at once by a waiting evictor; it looks again.
 *
 * tests/test_pin.c holds the rules; the race of rule 2 in both modes is run by its threads and
 * processes, which check the page they pinned on every access.
 */
#include "mpool/pin.h"
#include "mpool/evict.h"
#include "mpool/extent.h"
#include <string.h>

enum { PINS_MAX = 65535 };

/* Pins in a block: of one unit, whatever the size of the pages that it was taken from. */
static uint32_t block_pins(const struct tarn_mpool *pool)
{
    return ((1u << pool->header->unit_shift) - (uint32_t)sizeof(struct pin_block)) /
           (uint32_t)sizeof(uint32_t);
}

/* The block that link (frame + 1) names; NULL at the end, or if it is not one (rule 5). */
static struct pin_block *block_at(const struct tarn_mpool *pool, uint32_t link)
{
    uint64_t own;

    if (link == 0 || link > pool->frame_limit)
        return NULL;
    own = atomic_load_explicit(&pool->frames[link - 1].own, memory_order_acquire);
    return own_kind(own) == FRAME_PINS ? (void *)pool_page(pool, link - 1) : NULL;
}

void pin_walk(const struct tarn_mpool *pool, uint32_t lane, pin_fn fn, void *ctx)
{
    struct pool_lane *part = pool_lane_part(pool, lane);
    uint32_t link = atomic_load(&part->chain);
    struct pin_block *block;
    uint32_t seen = 0;

    for (unsigned i = 0; i < LANE_PINS; i++) {
        uint32_t pin = atomic_load(&part->pin[i]);

        if (pin != 0 && !fn(ctx, &part->pin[i], pin))
            return;
    }
    while (seen < PINS_MAX && (block = block_at(pool, link)) != NULL) {
        uint32_t n = block_pins(pool);

        for (uint32_t i = 0; i < n; i++) {
            uint32_t pin = atomic_load(&block->pin[i]);

            if (pin != 0 && !fn(ctx, &block->pin[i], pin))
                return;
        }
        seen += n;
        link = atomic_load(&block->next);
    }
}

struct place {
    _Atomic uint32_t *at;
    uint32_t total; /* of places, taken or not */
};

/* A place in the chained frames of the thread; their room is counted on the way. */
static struct place chained_place(struct tarn_thread *th)
{
    struct place found = { NULL, LANE_PINS };
    uint32_t link = atomic_load_explicit(&th->part->chain, memory_order_relaxed);
    struct pin_block *block;

    while ((block = block_at(th->pool, link)) != NULL) {
        uint32_t n = block_pins(th->pool);

        for (uint32_t i = 0; i < n && !found.at; i++)
            if (atomic_load_explicit(&block->pin[i], memory_order_relaxed) == 0)
                found.at = &block->pin[i];
        found.total += n;
        link = atomic_load_explicit(&block->next, memory_order_relaxed);
    }
    return found;
}

/* Chain one frame more to the lane; its first place. */
static int chain_frame(struct tarn_thread *th, _Atomic uint32_t **at)
{
    struct tarn_mpool *pool = th->pool;
    struct pin_block *block;
    uint32_t frame;
    int ret = evict_frame(th, extent_smallest_class(pool), &frame);

    if (ret != 0)
        return ret;
    block = (void *)pool_page(pool, frame);
    memset(block, 0, sizeof(*block) + block_pins(pool) * sizeof(uint32_t));
    atomic_store(&block->next, atomic_load_explicit(&th->part->chain, memory_order_relaxed));
    atomic_store(&pool->frames[frame].own, own_make(FRAME_PINS, th->tag));
    atomic_store(&th->part->chain, frame + 1);
    evict_used(th, frame);
    *at = &block->pin[0];
    return 0;
}

void pin_find_room(struct tarn_thread *th)
{
    _Atomic uint32_t *room = th->pin + LANE_PINS - 1;

    for (_Atomic uint32_t *p = th->pin; p < th->pin + LANE_PINS; p++)
        if (atomic_load_explicit(p, memory_order_relaxed) != 0) {
            room = p == th->pin ? p : p - 1;
            break;
        }
    th->room = room;
}

/* An empty place of the line, wherever; NULL: there is none. */
static _Atomic uint32_t *line_place(const struct tarn_thread *th)
{
    for (_Atomic uint32_t *p = th->pin + LANE_PINS; p-- > th->pin;)
        if (atomic_load_explicit(p, memory_order_relaxed) == 0)
            return p;
    return NULL;
}

static bool one_more(void *ctx, _Atomic uint32_t *pin, uint32_t value)
{
    (void)pin;
    (void)value;
    ++*(uint32_t *)ctx;
    return true;
}

uint32_t pin_total(const struct tarn_mpool *pool, uint32_t lane)
{
    uint32_t n = 0;

    pin_walk(pool, lane, one_more, &n);
    return n;
}

/* The last chained frame may have more places than are left to the limit: then pins are counted. */
static bool all_pinned(const struct tarn_thread *th, const struct place *place)
{
    if (!place->at || place->total < PINS_MAX)
        return place->total >= PINS_MAX;
    return pin_total(th->pool, th->lane) >= PINS_MAX;
}

_Atomic uint32_t *pin_place(struct tarn_thread *th, int *err)
{
    struct place place = { NULL, 0 };

    *err = 0;
    if (pin_has_room(th->room))
        return th->room;
    place.at = line_place(th);
    if (!place.at)
        place = chained_place(th);
    if (all_pinned(th, &place))
        *err = tarn_fail(th->pool->sink, TARN_EINVAL,
                         "pool: this thread has %u pages pinned, the most that one thread can: put "
                         "some first",
                         (unsigned)PINS_MAX);
    else if (!place.at)
        *err = chain_frame(th, &place.at);
    return *err == 0 ? place.at : NULL;
}

void pin_taken(struct tarn_thread *th, const _Atomic uint32_t *place)
{
    if (place == th->room && pin_has_room(place))
        th->room--;
    else if (pin_in_line(th, place))
        pin_find_room(th);
    else
        th->chained++;
}

struct search {
    uint32_t frame;
    bool own;
    struct pin_found found;
};

static bool same_frame(void *ctx, _Atomic uint32_t *pin, uint32_t value)
{
    struct search *s = ctx;

    if ((value & PIN_FRAME) != s->frame + 1)
        return true;
    s->found = (struct pin_found){ pin, value, s->own };
    return !s->own || !(value & PIN_WRITABLE);
}

struct pin_found pin_find(struct tarn_thread *th, uint32_t frame)
{
    struct search s = { .frame = frame, .own = true };
    struct tarn_mpool *pool = th->pool;
    uint32_t lanes = rows_lane_count(pool->region);

    pin_walk(pool, th->lane, same_frame, &s);
    s.own = false;
    for (uint32_t i = 0; i < lanes && !s.found.at; i++)
        if (i != th->lane && rows_lane_row(pool->region, i) == pool->region->row)
            pin_walk(pool, i, same_frame, &s);
    return s.found;
}

bool pin_any(const struct tarn_mpool *pool, uint32_t frame)
{
    struct search s = { .frame = frame };
    uint32_t lanes = rows_lane_count(pool->region);

    for (uint32_t i = 0; i < lanes && !s.found.at; i++)
        pin_walk(pool, i, same_frame, &s);
    return s.found.at != NULL;
}

/* The batch by frame: open addressing, at most a quarter full; 0 is empty, else the index + 1. */
struct batch_index {
    struct pin_batch *batch;
    uint8_t at[4 * BATCH_MAX];
};

static uint32_t probe(const struct batch_index *ix, uint32_t frame)
{
    uint32_t i = (frame * 0x9e3779b1u) >> 24;

    while (ix->at[i] != 0 && ix->batch->frame[ix->at[i] - 1] != frame)
        i = (i + 1) % (4 * BATCH_MAX);
    return i;
}

static bool mark_pinned(void *ctx, _Atomic uint32_t *pin, uint32_t value)
{
    struct batch_index *ix = ctx;
    uint32_t i = probe(ix, (value & PIN_FRAME) - 1);

    (void)pin;
    if (ix->at[i] != 0)
        ix->batch->pinned[ix->at[i] - 1] = true;
    return true;
}

/* Step b.  False: there was none, and any frame may be pinned. */
static bool heavy_barrier(struct tarn_thread *th)
{
    const struct tarn_os *os = th->pool->os;

    if (th->exchange)
        return true;
    pool_count(th, COUNT_BARRIER, 1);
    return os->sync->barrier(os) == 0;
}

void pin_scan(struct tarn_thread *th, struct pin_batch *batch)
{
    struct batch_index ix = { batch, { 0 } };
    struct tarn_mpool *pool = th->pool;
    uint32_t lanes;

    _Static_assert(4 * BATCH_MAX == 1 << 8, "probe() takes the upper 8 of 32 bits");
    for (uint32_t i = 0; i < batch->n; i++) {
        batch->pinned[i] = false;
        ix.at[probe(&ix, batch->frame[i])] = (uint8_t)(i + 1);
    }
    if (!heavy_barrier(th)) {
        memset(batch->pinned, 1, sizeof(batch->pinned));
        return;
    }
    lanes = rows_lane_count(pool->region);
    for (uint32_t i = 0; i < lanes; i++)
        if (i + 1 != batch->ignore &&
            lane_holder(atomic_load(&region_lane(pool->region, i)->owner)) != 0)
            pin_walk(pool, i, mark_pinned, &ix);
}

/*
 * The lane's reserve is the journal: a frame is noted there before it leaves the chain, so that a
 * death, of the owner or of a repairer, leaves it named in one of the two.  All steps are CAS from
 * the exact value, for any number of repairers.
 */
void pin_unchain(struct tarn_mpool *pool, uint32_t lane, uint32_t tag)
{
    struct pool_lane *part = pool_lane_part(pool, lane);
    uint32_t link;
    struct pin_block *block;

    while ((link = atomic_load(&part->chain)) != 0 && (block = block_at(pool, link)) != NULL) {
        uint32_t next = atomic_load(&block->next), head = link;

        if (!evict_note_pins(pool, part, link - 1, tag))
            return;
        /* if it fails, another has unchained the frame, and may die before he gives it back */
        (void)atomic_compare_exchange_strong(&part->chain, &head, next);
        evict_unnote(pool, part, link - 1, tag);
    }
}

/* Stop at the first pin that is not in the thread's line. */
struct behind {
    const struct tarn_thread *th;
    bool found;
};

static bool in_line(void *ctx, _Atomic uint32_t *pin, uint32_t value)
{
    struct behind *b = ctx;

    (void)value;
    b->found = !pin_in_line(b->th, pin);
    return !b->found;
}

void pin_given(struct tarn_thread *th, const _Atomic uint32_t *place)
{
    struct behind b = { th, false };

    if (pin_in_line(th, place)) {
        pin_find_room(th);
        return;
    }
    if (th->chained == 0 || --th->chained != 0)
        return;
    pin_walk(th->pool, th->lane, in_line, &b);
    if (!b.found)
        pin_unchain(th->pool, th->lane, th->tag);
}
