/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One death for each state in the table of mpool/repair.c: a child brings itself into the state and
 * is killed there; the test sees that state, then uses the same page, group, file or extent as if
 * nothing had been, and audits the books.
 */
#include "audit.h"
#include "proc.h"
#include "stamp.h"

#include "mpool/evict.h"
#include "mpool/write.h"

enum { PAGES = 40 };

static struct bed bed;
static tarn_mpf *file;

static void begin(uint32_t pages)
{
    bed_make(&bed, 0, 0);
    bed_fill(&bed, "file", PAGE, pages);
    file = bed_file(&bed, "file", PAGE, 0);
}

static void finish(void)
{
    CU_ASSERT_EQUAL(audit_pool(bed.pool, 0), 0);
    for (tarn_pgno i = 0; i < PAGES; i++)
        CU_ASSERT_TRUE(bed_touch(&bed, file, PAGE, i));
    OK(tarn_mpool_sync(bed.pool));
    CU_ASSERT_EQUAL(audit_pool(bed.pool, 0), 0);
    OK(tarn_mpf_close(file));
    bed_remove(&bed);
}

/* ---- the one who dies ------------------------------------------------------------------------------ */

struct dying {
    struct bed b;
    tarn_mpf *file;
    enum io_kind at; /* the call in which it dies */
    long after;      /* so many of them */
};

static void die(void)
{
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

static void die_in_call(void *ctx, enum io_kind kind, uint64_t off, size_t len)
{
    struct dying *d = ctx;

    (void)off;
    (void)len;
    if (kind == d->at && d->after-- == 0)
        die();
}

static void joined(struct dying *d, unsigned flags)
{
    memset(d, 0, sizeof(*d));
    if (bed_join(&bed, &d->b) != 0 || bed_open_file(&d->b, "file", PAGE, flags, &d->file) != 0)
        _exit(1);
}

static void *pinned(struct dying *d, tarn_pgno pgno)
{
    void *page = NULL;

    if (tarn_page_get(d->b.th, d->file, pgno, 0, &page) != 0)
        _exit(2);
    return page;
}

static void death_of(int (*fn)(struct side *me))
{
    struct child c;

    child_start(&c, fn, NULL);
    CU_ASSERT_EQUAL(child_end(&c), 256 + SIGKILL);
}

static uint64_t key_of(tarn_pgno pgno) { return file->key_base | pgno; }

static struct entry *entry_of(tarn_pgno pgno) { return entry_find(bed.pool, key_of(pgno)); }

/* The bits of the page's entry: XL, CL, RS. */
static uint64_t state_of(tarn_pgno pgno)
{
    const struct entry *e = entry_of(pgno);

    return e ? atomic_load(&e->pte) & PTE_STATE : 0;
}

/* ---- claims ---------------------------------------------------------------------------------------- */

static int dies_reading(struct side *me)
{
    struct dying d;

    (void)me;
    joined(&d, 0);
    d.b.io.before = die_in_call;
    d.b.io.ctx = &d;
    d.at = IO_READ;
    (void)pinned(&d, 7);
    return 0;
}

static void loading(void)
{
    begin(PAGES);
    death_of(dies_reading);
    CU_ASSERT_EQUAL(state_of(7), PTE_CL);
    CU_ASSERT_TRUE(bed_touch(&bed, file, PAGE, 7));
    CU_ASSERT_EQUAL(bed_stat(&bed).reads, 1);
    finish();
}

/* As an evictor or a writer has them, between claim and scan. */
static int dies_with_claims(struct side *me)
{
    struct dying d;

    (void)me;
    joined(&d, 0);
    for (unsigned i = 0; i < 8; i++) {
        struct entry *e = entry_find(d.b.pool, d.file->key_base | i);
        uint64_t w = atomic_load(&e->pte);

        if (!entry_claim(d.b.th, e, w, PTE_CL | PTE_RS | pte_frame(w), i))
            return 1;
    }
    die();
    return 0;
}

static void claimed(void)
{
    uint64_t before;

    begin(PAGES);
    for (tarn_pgno i = 0; i < 8; i++)
        CU_ASSERT_TRUE(bed_touch(&bed, file, PAGE, i));
    bed_change(&bed, file, PAGE, 0, 9);
    before = atomic_load(&entry_of(0)->pte);
    death_of(dies_with_claims);
    for (tarn_pgno i = 0; i < 8; i++)
        CU_ASSERT_EQUAL(state_of(i), PTE_CL | PTE_RS);
    bed_change(&bed, file, PAGE, 1, 1);
    CU_ASSERT_TRUE(bed_touch(&bed, file, PAGE, 2));
    CU_ASSERT_EQUAL(bed_stat(&bed).reads, 8); /* nothing was lost: no page is read again */
    CU_ASSERT_EQUAL(atomic_load(&entry_of(0)->pte), before);
    bed_change(&bed, file, PAGE, 0, 0);
    bed_change(&bed, file, PAGE, 1, 0);
    finish();
}

/* The frame is the lane's already; the page is in the table still, or no more. */
static void drop_half(struct dying *d, tarn_pgno pgno, bool key_too)
{
    struct entry *e = entry_find(d->b.pool, d->file->key_base | pgno);
    uint64_t w = atomic_load(&e->pte), key = atomic_load(&e->key);
    uint32_t frame = pte_frame(w);

    if (!entry_claim(d->b.th, e, w, PTE_CL | PTE_RS | frame, 0) ||
        !evict_note(d->b.th->part, frame))
        _exit(3);
    atomic_store(&d->b.pool->frames[frame].own, own_make(FRAME_LANE, d->b.th->tag));
    entry_lock(d->b.th, entry_group_of(d->b.pool, key));
    if (key_too)
        atomic_store(&e->key, 0);
    die();
}

static int dies_dropping(struct side *me)
{
    struct dying d;

    (void)me;
    joined(&d, 0);
    drop_half(&d, 3, false);
    return 0;
}

static int dies_having_dropped(struct side *me)
{
    struct dying d;

    (void)me;
    joined(&d, 0);
    drop_half(&d, 3, true);
    return 0;
}

static void evicting(void)
{
    begin(PAGES);
    CU_ASSERT_TRUE(bed_touch(&bed, file, PAGE, 3));
    death_of(dies_dropping);
    CU_ASSERT_EQUAL(state_of(3), PTE_CL | PTE_RS);
    CU_ASSERT_TRUE(bed_touch(&bed, file, PAGE, 3));
    CU_ASSERT_EQUAL(bed_stat(&bed).reads, 1);
    finish();
}

static void evicted(void)
{
    begin(PAGES);
    CU_ASSERT_TRUE(bed_touch(&bed, file, PAGE, 3));
    death_of(dies_having_dropped);
    CU_ASSERT_PTR_NULL(entry_of(3));
    CU_ASSERT_TRUE(bed_touch(&bed, file, PAGE, 3));
    CU_ASSERT_EQUAL(bed_stat(&bed).reads, 2);
    finish();
}

/* ---- writing ---------------------------------------------------------------------------------------- */

static int dies_writing(struct side *me)
{
    struct dying d;

    (void)me;
    joined(&d, 0);
    d.b.io.before = die_in_call;
    d.b.io.ctx = &d;
    d.at = IO_WRITE;
    d.after = 1; /* in the second write, of two pages */
    (void)tarn_mpool_sync(d.b.pool);
    return 0;
}

static uint32_t marks(void)
{
    uint32_t n = 0;

    for (uint32_t f = 0; f < bed.pool->frame_limit; f++)
        n += atomic_load(&bed.pool->frames[f].wb) != 0;
    return n;
}

static void writing(void)
{
    begin(PAGES);
    bed_change(&bed, file, PAGE, 1, 5);
    bed_change(&bed, file, PAGE, 3, 5);
    bed_change(&bed, file, PAGE, 4, 5);
    death_of(dies_writing);
    CU_ASSERT_EQUAL(marks(), 2);
    CU_ASSERT_TRUE(bed_has(&bed, "file", PAGE, 1, 5));
    CU_ASSERT_TRUE(bed_has(&bed, "file", PAGE, 3, 0));
    CU_ASSERT_EQUAL(bed_stat(&bed).dirty, 2);
    OK(tarn_mpool_sync(bed.pool));
    CU_ASSERT_EQUAL(marks(), 0);
    CU_ASSERT_EQUAL(bed_stat(&bed).dirty, 0);
    CU_ASSERT_TRUE(bed_has(&bed, "file", PAGE, 3, 5) && bed_has(&bed, "file", PAGE, 4, 5));
    for (tarn_pgno i = 1; i < 5; i++)
        bed_change(&bed, file, PAGE, i, 0);
    finish();
}

/* ---- pins ------------------------------------------------------------------------------------------- */

static int dies_with_pins(struct side *me)
{
    struct dying d;

    joined(&d, 0);
    for (tarn_pgno i = 0; i < *(uint32_t *)me->arg; i++)
        ((uint8_t *)pinned(&d, i))[PAGE - 1] ^= 0xff; /* in the middle of a change */
    if (*(uint32_t *)me->arg > 1 && tarn_page_set(d.b.th, pinned(&d, 1), TARN_PAGE_DIRTY) != 0)
        return 1;
    die();
    return 0;
}

static void death_with_pins(uint32_t n)
{
    struct child c;

    child_start(&c, dies_with_pins, &n);
    CU_ASSERT_EQUAL(child_end(&c), 256 + SIGKILL);
    CU_ASSERT_EQUAL(bed_stat(&bed).pinned, n + (n > 1));
}

/* What was changed in part and is clean is read again; what is dirty stays as it is. */
static void pins_of(uint32_t n)
{
    uint8_t *page = NULL;

    begin(PAGES);
    death_with_pins(n);
    CU_ASSERT_EQUAL(audit_pool(bed.pool, 0), 0);
    CU_ASSERT_EQUAL(bed_stat(&bed).suspect, n + (n > 1));
    CU_ASSERT_EQUAL(bed_stat(&bed).dirty, n > 1);
    for (tarn_pgno i = 0; i < n; i++)
        CU_ASSERT_EQUAL(bed_touch(&bed, file, PAGE, i), i != 1);
    if (n > 1) {
        MUST(tarn_page_get(bed.th, file, 1, 0, (void **)&page));
        CU_ASSERT_EQUAL(page[PAGE - 1], (uint8_t)(7 ^ 0xff));
        OK(tarn_page_put(bed.th, page, 0));
        bed_change(&bed, file, PAGE, 1, 0);
    }
    finish();
}

static void pins_in_the_line(void) { pins_of(9); }

static void pins_in_frames(void) { pins_of(PAGES); }

static void one_pin(void) { pins_of(1); }

static int dies_with_read_pins(struct side *me)
{
    struct dying d;

    (void)me;
    joined(&d, TARN_MPF_RDONLY);
    for (tarn_pgno i = 0; i < 5; i++)
        (void)pinned(&d, i);
    die();
    return 0;
}

static void pins_of_a_reader(void)
{
    begin(PAGES);
    death_of(dies_with_read_pins);
    CU_ASSERT_EQUAL(bed_stat(&bed).pinned, 5);
    CU_ASSERT_EQUAL(audit_pool(bed.pool, 0), 0);
    CU_ASSERT_EQUAL(bed_stat(&bed).suspect, 0);
    CU_ASSERT_EQUAL(bed_stat(&bed).pages, 5);
    finish();
}

/* Nearly all pages pinned by the dead: a miss gives them back instead of giving up. */
static void pins_in_the_way(void)
{
    void *page[20];

    begin(100);
    death_with_pins(60);
    for (tarn_pgno i = 0; i < 20; i++)
        MUST(tarn_page_get(bed.th, file, 60 + i, 0, &page[i]));
    CU_ASSERT_EQUAL(bed_stat(&bed).pinned, 20);
    for (tarn_pgno i = 0; i < 20; i++)
        OK(tarn_page_put(bed.th, page[i], 0));
    bed_change(&bed, file, PAGE, 1, 0);
    finish();
}

static int holds_pins(struct side *me)
{
    struct dying d;

    joined(&d, 0);
    for (tarn_pgno i = 0; i < 63; i++) {
        void *page;

        if (tarn_page_get(d.b.th, d.file, i, 0, &page) == TARN_ENOMEM)
            break; /* that was the last frame: one has gone for the pins */
    }
    side_here(me);
    side_wait(me);
    return 0;
}

static int wants_room(struct side *me)
{
    struct dying d;
    void *page;

    (void)me;
    joined(&d, 0);
    page = pinned(&d, 90);
    return !page_is(page, PAGE, 90, 0) || tarn_page_put(d.b.th, page, 0) != 0 ||
           bed_leave(&d.b) != 0;
}

/* All pages are pinned, somebody looks for room already, and then the one who has them dies. */
static void pins_of_who_dies_later(void)
{
    struct child holder, wanter;
    uint64_t looked;

    begin(100);
    child_start(&holder, holds_pins, NULL);
    CU_ASSERT_EQUAL(child_await(&holder), 1);
    looked = bed_stat(&bed).evict_pinned;
    child_start(&wanter, wants_room, NULL);
    while (bed_stat(&bed).evict_pinned < looked + 10 * 63)
        (void)sched_yield();
    child_kill(&holder);
    CU_ASSERT_EQUAL(child_end(&wanter), 0);
    finish();
}

/* ---- reserve, locks, extents ------------------------------------------------------------------------ */

static int dies_with_frames(struct side *me)
{
    struct dying d;
    uint32_t frame;

    (void)me;
    joined(&d, 0);
    if (evict_frame(d.b.th, d.file->record->class_, &frame) != 0)
        return 1;
    die();
    return 0;
}

static uint32_t frames_of_kind(enum own_kind kind)
{
    uint32_t n = 0;

    for (uint32_t f = 0; f < bed.pool->frame_limit; f++)
        n += own_kind(atomic_load(&bed.pool->frames[f].own)) == kind;
    return n;
}

static void reserve(void)
{
    begin(PAGES);
    death_of(dies_with_frames);
    CU_ASSERT_TRUE(frames_of_kind(FRAME_LANE) > 0);
    CU_ASSERT_EQUAL(audit_pool(bed.pool, 0), 0);
    CU_ASSERT_EQUAL(frames_of_kind(FRAME_LANE), 0);
    finish();
}

static int dies_with_group(struct side *me)
{
    struct dying d;

    (void)me;
    joined(&d, 0);
    for (uint32_t g = 0; g < d.b.pool->header->groups; g++)
        if (own_holder(&d.b.pool->locks[g]) == 0 && g == entry_group_of(d.b.pool, key_of(7)))
            entry_lock(d.b.th, g);
    die();
    return 0;
}

static void group_lock(void)
{
    begin(PAGES);
    death_of(dies_with_group);
    CU_ASSERT_NOT_EQUAL(own_holder(&bed.pool->locks[entry_group_of(bed.pool, key_of(7))]), 0);
    CU_ASSERT_TRUE(bed_touch(&bed, file, PAGE, 7));
    finish();
}

static int dies_inserting(struct side *me)
{
    struct dying d;
    uint32_t frame;

    (void)me;
    joined(&d, 0);
    entry_lock(d.b.th, entry_group_of(d.b.pool, key_of(7)));
    if (evict_frame(d.b.th, d.file->record->class_, &frame) != 0 ||
        entry_insert(d.b.th, key_of(7), frame, INTENT_LOAD) == NULL)
        return 1;
    die();
    return 0;
}

/* Who waits for a group's lock and repairs meanwhile has it noted when he gets it: he may die, too. */
static void note_of_a_lock(void)
{
    uint32_t group;

    begin(PAGES);
    group = entry_group_of(bed.pool, key_of(7));
    death_of(dies_inserting);
    CU_ASSERT_EQUAL(state_of(7), PTE_CL);
    entry_lock(bed.th, group);
    CU_ASSERT_PTR_NULL(entry_of(7)); /* repaired while we waited */
    CU_ASSERT_EQUAL(atomic_load(&bed.th->part->group[0]), group + 1);
    entry_unlock(bed.th, group);
    CU_ASSERT_EQUAL(atomic_load(&bed.th->part->group[0]), 0);
    finish();
}

static int dies_with_full_reserve(struct side *me)
{
    struct dying d;

    (void)me;
    joined(&d, 0);
    for (tarn_pgno i = 0; i < 30; i++)
        (void)pinned(&d, i);
    for (uint32_t f = 0; evict_note(d.b.th->part, f); f++)
        ; /* noted, and not taken after all */
    die();
    return 0;
}

/* The reserve is the journal of the chain, and has no room. */
static void full_reserve(void)
{
    begin(PAGES);
    death_of(dies_with_full_reserve);
    CU_ASSERT_EQUAL(frames_of_kind(FRAME_PINS), 1);
    CU_ASSERT_EQUAL(audit_pool(bed.pool, 0), 0);
    CU_ASSERT_EQUAL(frames_of_kind(FRAME_PINS), 0);
    finish();
}

static int dies_with_files(struct side *me)
{
    struct dying d;

    (void)me;
    joined(&d, 0);
    atomic_store(&d.b.th->part->files, 1);
    (void)own_lock(d.b.pool->region, &d.b.pool->header->files_lock, d.b.th->tag);
    atomic_store(&pool_file(d.b.pool, 9)->state, FILE_MAKING);
    die();
    return 0;
}

static void files_lock(void)
{
    tarn_mpf *other;

    begin(PAGES);
    death_of(dies_with_files);
    CU_ASSERT_NOT_EQUAL(own_holder(&bed.pool->header->files_lock), 0);
    other = bed_file(&bed, "other", PAGE, TARN_MPF_CREATE);
    OK(tarn_mpf_close(other));
    CU_ASSERT_EQUAL(bed_stat(&bed).files, 1);
    finish();
}

/* Between FREE and USED, or back; the word as extent.c writes it. */
static void hold_extent(uint32_t from, enum extent_state to)
{
    struct dying d;
    const uint64_t none = own_make(FRAME_NONE, 0);
    uint32_t i = 0;
    uint64_t word;

    joined(&d, 0);
    while ((atomic_load(&d.b.pool->extent[i]) & 0xff) != from)
        i++;
    atomic_store(&d.b.th->part->extent, i + 1);
    word = (atomic_load(&d.b.pool->extent[i]) & 0xff00) | to;
    word |= to == EXTENT_TAKING ? (d.file->record->class_ + 1) << 8 : 0;
    atomic_store(&d.b.pool->extent[i], (uint64_t)d.b.th->tag << 32 | word);
    for (uint32_t f = i * pool_extent_units(d.b.pool) + 3; f % 8 != 0; f++) {
        uint64_t was = to == EXTENT_TAKING ? none : own_make(FRAME_FREE, 0);

        (void)atomic_compare_exchange_strong(
            &d.b.pool->frames[f].own, &was,
            to == EXTENT_TAKING ? own_make(FRAME_FREE, 0) : own_make(FRAME_NONE, d.b.th->tag));
    }
    die();
}

static int dies_taking(struct side *me)
{
    (void)me;
    hold_extent(EXTENT_FREE, EXTENT_TAKING);
    return 0;
}

static int dies_draining(struct side *me)
{
    (void)me;
    hold_extent(EXTENT_USED, EXTENT_DRAINING);
    return 0;
}

static uint32_t extents_in(enum extent_state state)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < bed.pool->header->extents; i++)
        n += (atomic_load(&bed.pool->extent[i]) & 0xff) == state;
    return n;
}

static void extents(int (*fn)(struct side *me), enum extent_state state)
{
    uint32_t used, n_free;

    begin(PAGES);
    CU_ASSERT_TRUE(bed_touch(&bed, file, PAGE, 3));
    used = extents_in(EXTENT_USED);
    n_free = extents_in(EXTENT_FREE);
    death_of(fn);
    CU_ASSERT_EQUAL(extents_in(state), 1);
    CU_ASSERT_EQUAL(audit_pool(bed.pool, 0), 0);
    CU_ASSERT_EQUAL(extents_in(EXTENT_USED), used);
    CU_ASSERT_EQUAL(extents_in(EXTENT_FREE), n_free);
    finish();
}

static void taking(void) { extents(dies_taking, EXTENT_TAKING); }

static void draining(void) { extents(dies_draining, EXTENT_DRAINING); }

/* ---- those who wait --------------------------------------------------------------------------------- */

static void stay(void *ctx, enum io_kind kind, uint64_t off, size_t len)
{
    (void)off;
    (void)len;
    if (kind != IO_READ)
        return;
    side_here(ctx);
    side_wait(ctx);
}

static int reads_for_ever(struct side *me)
{
    struct dying d;
    void *page;

    joined(&d, 0);
    d.b.io.before = stay;
    d.b.io.ctx = me;
    page = pinned(&d, 7);
    return tarn_page_put(d.b.th, page, 0) != 0 || bed_leave(&d.b) != 0;
}

static int wants(struct side *me)
{
    struct dying d;
    void *page;

    (void)me;
    joined(&d, 0);
    page = pinned(&d, 7);
    return !page_is(page, PAGE, 7, 0) || tarn_page_put(d.b.th, page, 0) != 0 ||
           bed_leave(&d.b) != 0;
}

static uint64_t waits(void) { return bed_stat(&bed).waits; }

/* Who waits for a reader that dies reads for himself. */
static void the_reader_dies(void)
{
    struct child reader, waiter[3];

    begin(PAGES);
    child_start(&reader, reads_for_ever, NULL);
    CU_ASSERT_EQUAL(child_await(&reader), 1);
    for (int i = 0; i < 3; i++) {
        uint64_t before = waits();

        child_start(&waiter[i], wants, NULL);
        while (waits() == before)
            (void)sched_yield();
    }
    child_kill(&reader);
    for (int i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(child_end(&waiter[i]), 0);
    CU_ASSERT_EQUAL(bed_stat(&bed).reads, 1);
    finish();
}

/* One who waits dies: the others are woken all the same. */
static void a_waiter_dies(void)
{
    struct child reader, waiter[3];

    begin(PAGES);
    child_start(&reader, reads_for_ever, NULL);
    CU_ASSERT_EQUAL(child_await(&reader), 1);
    for (int i = 0; i < 3; i++) {
        uint64_t before = waits();

        child_start(&waiter[i], wants, NULL);
        while (waits() == before)
            (void)sched_yield();
    }
    child_kill(&waiter[0]);
    child_go_on(&reader);
    CU_ASSERT_EQUAL(child_end(&reader), 0);
    for (int i = 1; i < 3; i++)
        CU_ASSERT_EQUAL(child_end(&waiter[i]), 0);
    finish();
}

/* ---- a file ------------------------------------------------------------------------------------------ */

static int dies_with_file(struct side *me)
{
    struct dying d;
    tarn_mpf *own;

    (void)me;
    joined(&d, 0);
    if (bed_open_file(&d.b, "own", PAGE, 0, &own) != 0)
        return 1;
    bed_change(&d.b, own, PAGE, 2, 6);
    die();
    return 0;
}

/* He has not closed it: what he said is dirty stays, and is written by the next who has it. */
static void a_file_of_the_dead(void)
{
    struct tarn_mpf_stat st;
    tarn_mpf *own;

    begin(PAGES);
    bed_fill(&bed, "own", PAGE, 4);
    death_of(dies_with_file);
    CU_ASSERT_EQUAL(audit_pool(bed.pool, 0), 0);
    own = bed_file(&bed, "own", PAGE, 0);
    OK(tarn_mpf_stat(own, &st));
    CU_ASSERT_EQUAL(st.openers, 1);
    CU_ASSERT_EQUAL(st.dirty, 1);
    OK(tarn_mpf_sync(own));
    CU_ASSERT_TRUE(bed_has(&bed, "own", PAGE, 2, 6));
    OK(tarn_mpf_close(own));
    OK(tarn_mpf_stat(file, &st));
    CU_ASSERT_EQUAL(st.openers, 1);
    finish();
}

int main(void)
{
    static CU_TestInfo claims[] = {
        { "X29 X18: in the read of a page", loading },
        { "X29: with pages claimed", claimed },
        { "X29: with a page half evicted", evicting },
        { "X29: with a page evicted, its entry not free", evicted },
        { "X29: in the write of pages", writing },
        { "X29: who waits for a dead reader reads", the_reader_dies },
        { "X29: a waiter dies", a_waiter_dies },
        CU_TEST_INFO_NULL,
    };
    static CU_TestInfo pins[] = {
        { "X29: with one pin", one_pin },
        { "X29: with pins in the line", pins_in_the_line },
        { "X29: with pins in frames of the pool", pins_in_frames },
        { "X29: with pins of a reader", pins_of_a_reader },
        { "X29 M10: its pins are in the way", pins_in_the_way },
        { "X29 M10: with pins in the way of one who looks for room", pins_of_who_dies_later },
        CU_TEST_INFO_NULL,
    };
    static CU_TestInfo others[] = {
        { "X29: with a reserve", reserve },
        { "X29: with the lock of a group", group_lock },
        { "X29: who repairs while he waits for a lock", note_of_a_lock },
        { "X29: with pins in frames and a full reserve", full_reserve },
        { "X29: with the lock of the files", files_lock },
        { "X29: taking an extent", taking },
        { "X29: draining an extent", draining },
        { "X29 F9: with a file open and a page of it dirty", a_file_of_the_dead },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "repair, claims", NULL, NULL, NULL, NULL, claims },
        { "repair, pins", NULL, NULL, NULL, NULL, pins },
        { "repair, others", NULL, NULL, NULL, NULL, others },
        CU_SUITE_INFO_NULL,
    };

    return run_suites(suites);
}
