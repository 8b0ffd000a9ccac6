/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a dead thread left in the pool, by the place where it is named:
 *
 *   lane.group, lane.files   a lock: if the word has his tag, take it over, mend what it guards, open
 *   lane.intent              an entry, and what its word was.  If the word has his tag:
 *        CL       loading    nobody trusted the bytes: the entry goes, the frame is FREE
 *        CL+RS    key there  evicting or copying, nothing was lost: the word is what it was
 *        CL+RS    key gone   evicting, the page is clean: the entry goes
 *   lane.writing             a frame marked as being written: no mark; the page is dirty still
 *   lane.pin, lane.chain     pins: none; frames that kept them: FREE
 *   lane.reserve             frames of kind LANE with his tag: FREE
 *   lane.extent              undone
 *
 * Rules
 *   1. Any number of repairers at once, each of which may die: every step is a CAS from exactly what
 *      the dead one left, tag included, or is done by one who took the word over first, with an
 *      intent of his own.
 *   2. Intents before pins, since an entry whose claim is undone must find its frame as it was;
 *      the chain before the reserve, which is the chain's journal.
 *   3. A page that he had pinned through a writable handle is suspect: he may have been in the middle
 *      of a change.  If it is clean it leaves the pool, so that the next get reads it again; if it is
 *      dirty, or another has it pinned, it stays.  Counted in all cases.
 *   4. The lane is handed on only when no repairer is at it (region/reap.c, rule 3): so what is
 *      cleared here is the dead one's.
 *   5. Pins in the line are cleared; those in chained frames go with the frame, and nobody writes into
 *      it: when a slow repairer looks, it may be a page again.
 *
 * tests/test_repair.c kills a process in each state and looks at what is left.
 */
#include "mpool/repair.h"
#include "mpool/entry.h"
#include "mpool/evict.h"
#include "mpool/extent.h"
#include "mpool/file.h"
#include "mpool/pin.h"
#include "mpool/thread.h"
#include "mpool/write.h"

/* One repair: the dead lane, and a stand-in handle for the repairer's own. */
struct repair {
    struct tarn_mpool *pool;
    struct pool_lane *dead;
    uint32_t lane, tag;
    struct tarn_thread self;
};

static bool begin(struct repair *r, struct tarn_region *region, void *ctx, uint32_t lane,
                  uint32_t tag)
{
    uint32_t own = reap_own_tag(region);

    r->pool = ctx;
    r->lane = lane;
    r->tag = tag;
    if (own == 0 || !pool_bound(r->pool, region))
        return false;
    r->dead = pool_lane_part(r->pool, lane);
    thread_stand_in(r->pool, tag_lane(own), own, &r->self);
    return true;
}

/* ---- locks ---------------------------------------------------------------------------------------- */

/* The group's lock was his: the counts that it guards are made anew. */
static void mend_group(struct repair *r, uint32_t group)
{
    struct tarn_mpool *pool = r->pool;
    _Atomic uint32_t *note = &r->self.part->group[1];
    uint32_t before = atomic_exchange(note, group + 1);

    if (own_steal(&pool->locks[group], r->tag, r->self.tag)) {
        entry_recount(pool, group);
        own_unlock(pool->region, &pool->locks[group], r->self.tag);
    }
    atomic_store(note, before);
}

static void mend_locks(struct tarn_region *region, void *ctx, uint32_t lane, uint32_t tag)
{
    struct repair r;
    uint32_t before;

    if (!begin(&r, region, ctx, lane, tag))
        return;
    for (unsigned i = 0; i < 2; i++) {
        uint32_t noted = atomic_load(&r.dead->group[i]);

        if (noted != 0 && noted <= r.pool->header->groups + 1)
            mend_group(&r, noted - 1);
    }
    before = atomic_exchange(&r.self.part->files, 1);
    file_repair_lock(r.pool, lane, tag, r.self.tag);
    atomic_store(&r.self.part->files, before);
}

/* ---- intents -------------------------------------------------------------------------------------- */

/* An intent of the repairer that is not in use; INTENTS: all are (repairs nested too deep). */
static unsigned free_intent(const struct repair *r)
{
    unsigned i = INTENT_REPAIR;

    while (i < INTENTS && atomic_load(&r->self.part->intent[i].entry) != 0)
        i++;
    return i;
}

/* Put the own tag where the dead one's is, with what the word was before him in the own intent. */
static bool take_over(struct repair *r, struct entry *e, uint64_t w, uint64_t before,
                      unsigned intent)
{
    struct intent *in = &r->self.part->intent[intent];
    uint64_t mine = pte_make(r->self.tag, w & UINT32_MAX, 0);

    atomic_store(&in->old, before);
    atomic_store(&in->entry, (uint64_t)entry_index(r->pool, e) + 1);
    if (atomic_compare_exchange_strong(&e->pte, &w, mine))
        return true;
    entry_forget(&r->self, intent);
    return false;
}

/* Nothing of the page is to be kept: the entry goes, and so does a frame that was being loaded. */
static bool finish_delete(struct repair *r, struct entry *e, uint64_t w, uint64_t before)
{
    uint32_t frame = pte_frame(w);
    uint64_t mapped = own_make(FRAME_MAPPED, entry_index(r->pool, e));
    unsigned intent = free_intent(r);

    if (intent == INTENTS || !take_over(r, e, w, before, intent))
        return false;
    if (!(w & PTE_RS) && atomic_compare_exchange_strong(&r->pool->frames[frame].own, &mapped,
                                                        own_make(FRAME_FREE, 0)))
        evict_freed(r->pool, frame);
    entry_delete(&r->self, e, pte_high(before) + 1);
    entry_forget(&r->self, intent);
    return true;
}

/* The page is whole and still there: its frame is the entry's again, the word what it was. */
static bool undo_claim(struct repair *r, struct entry *e, uint64_t w, uint64_t before)
{
    uint64_t lane = own_make(FRAME_LANE, r->tag);

    /* he may have taken the bit of a page that was to be dropped */
    write_mark(r->pool, pte_frame(w));
    (void)atomic_compare_exchange_strong(&r->pool->frames[pte_frame(w)].own, &lane,
                                         own_make(FRAME_MAPPED, entry_index(r->pool, e)));
    if (!atomic_compare_exchange_strong(&e->pte, &w, before & ~PTE_WT))
        return false;
    if (w & PTE_WT)
        own_wake(r->pool->region, pte_half(&e->pte));
    return true;
}

/*
 * Mended or not his any more, the note goes: a repairer to come uses the lane without emptying it,
 * and an old note must not be taken for one of his if he dies, too.
 */
static void mend_intent(struct repair *r, struct intent *in)
{
    uint64_t noted = atomic_load(&in->entry), before = atomic_load(&in->old);
    uint64_t last = ((uint64_t)r->pool->header->groups + 1) * GROUP_ENTRIES;
    struct entry *e = r->pool->entries + (noted - 1);
    bool done = noted == 0 || noted > last;

    while (!done) { /* a waiter may still change WT under us */
        uint64_t w = atomic_load(&e->pte);

        if (!(w & PTE_CL) || pte_high(w) != r->tag || pte_frame(w) >= r->pool->frame_limit)
            done = true;
        else if ((w & PTE_RS) && atomic_load(&e->key) != 0)
            done = undo_claim(r, e, w, before);
        else
            done = finish_delete(r, e, w, before);
        if (!done && free_intent(r) == INTENTS)
            return; /* nested too deep: the note stays for the next repairer */
    }
    atomic_store(&in->entry, 0);
}

/* ---- the rest of a lane --------------------------------------------------------------------------- */

static void mend_writing(struct repair *r)
{
    for (unsigned i = 0; i < BATCH_MAX; i++) {
        uint32_t noted = atomic_load(&r->dead->writing[i]), tag = r->tag;

        if (noted == 0 || noted > r->pool->frame_limit)
            continue;
        write_mark(r->pool, noted - 1);
        (void)atomic_compare_exchange_strong(&r->pool->frames[noted - 1].wb, &tag, 0);
    }
}

/*
 * Rule 3: if the page is clean it goes, before the dead one's pin does.  Who has claimed it for a
 * moment is waited for; who has it pinned, or writes it back, keeps it.
 */
static void suspect(struct repair *r, uint32_t frame)
{
    enum { TRIES = 50 };
    struct evict_plan plan = { .to_free = true, .ignore = r->lane + 1 };
    struct entry *e = pool_entry_of(r->pool, frame);
    uint32_t pinned = 0;

    plan.first_intent = free_intent(r);
    for (unsigned i = 0; i < TRIES && e && plan.first_intent < INTENTS; i++) {
        uint64_t w = atomic_load(&e->pte);

        if (!(w & PTE_RS) || pte_frame(w) != frame ||
            evict_pages(&r->self, &frame, 1, &plan, &pinned) == 1 || !(w & PTE_CL))
            return;
        (void)own_wait(r->pool->region, pte_half(&e->pte), (uint32_t)w, 0, 100 * 1000);
    }
}

static bool mend_pin(void *ctx, _Atomic uint32_t *pin, uint32_t value)
{
    struct repair *r = ctx;
    uint32_t frame = (value & PIN_FRAME) - 1;
    bool writable = (value & PIN_WRITABLE) && frame < r->pool->frame_limit;
    bool in_line = pin >= r->dead->pin && pin < r->dead->pin + LANE_PINS;

    if (writable) {
        write_mark(r->pool, frame); /* he may have raised the version only */
        suspect(r, frame);
    }
    /* rule 5: a chained frame may be somebody's page by now */
    if ((!in_line || atomic_compare_exchange_strong(pin, &value, 0)) && writable)
        atomic_fetch_add(&r->pool->header->suspect, 1);
    return true;
}

static void mend_lane(struct tarn_region *region, void *ctx, uint32_t lane, uint32_t tag)
{
    struct repair r;

    if (!begin(&r, region, ctx, lane, tag))
        return;
    for (unsigned i = 0; i < INTENTS; i++)
        mend_intent(&r, &r.dead->intent[i]);
    mend_writing(&r);
    pin_walk(r.pool, lane, mend_pin, &r);
    pin_unchain(r.pool, lane, tag);
    evict_unreserve(r.pool, r.dead, tag);
    extent_repair(r.pool, lane, tag);
}

static void mend_row(struct tarn_region *region, void *ctx, uint32_t row, uint32_t gen)
{
    struct tarn_mpool *pool = ctx;

    (void)gen;
    if (pool_bound(pool, region))
        file_forget_row(pool, row);
}

/* ---- orderly ends --------------------------------------------------------------------------------- */

static bool any_pin(void *ctx, _Atomic uint32_t *pin, uint32_t value)
{
    (void)pin;
    (void)value;
    *(bool *)ctx = true;
    return false;
}

static bool idle(struct tarn_region *region, void *ctx, uint32_t lane)
{
    struct tarn_mpool *pool = ctx;
    uint32_t tag = rows_lane_tag(region, lane);
    bool pinned = false;

    if (!pool_bound(pool, region))
        return true;
    pin_walk(pool, lane, any_pin, &pinned);
    if (pinned)
        return false;
    pin_unchain(pool, lane, tag);
    evict_unreserve(pool, pool_lane_part(pool, lane), tag);
    return true;
}

static bool clear_pin(void *ctx, _Atomic uint32_t *pin, uint32_t value)
{
    (void)ctx;
    (void)value;
    atomic_store(pin, 0);
    return true;
}

void repair_leave(struct tarn_mpool *pool)
{
    uint32_t lanes = rows_lane_count(pool->region);

    for (uint32_t lane = 0; lane < lanes; lane++)
        if (rows_lane_row(pool->region, lane) == pool->region->row) {
            pin_walk(pool, lane, clear_pin, NULL);
            (void)idle(pool->region, pool, lane);
        }
}

/* A child after fork has a row of its own now, and none of the parent's threads. */
static int reattach(struct tarn_region *region, void *ctx)
{
    struct tarn_mpool *pool = ctx;

    atomic_store(&pool->mutex, 0);
    pool->threads = NULL;
    (void)region;
    return file_reattach(pool);
}

/*
 * Nothing of the pool may be used any more.  Hits do not ask for that: so every entry is claimed, by
 * nobody, and sends them where it is asked.
 */
static void panic(struct tarn_region *region, void *ctx)
{
    struct tarn_mpool *pool = ctx;
    uint64_t n = ((uint64_t)pool->header->groups + 1) * GROUP_ENTRIES;

    (void)region;
    for (uint64_t i = 0; i < n; i++)
        atomic_fetch_or(&pool->entries[i].pte, PTE_CL);
}

const struct region_layer repair_layer = {
    .locks = mend_locks,
    .repair = mend_lane,
    .idle = idle,
    .row = mend_row,
    .reattach = reattach,
    .panic = panic,
};
