/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a file's record: when its number is free again, and when it only seems to be. */
#include "pool.h"
#include "pool_whole.h"
#include "proc.h"

#include "mpool/evict.h"
#include "mpool/file.h"
#include "mpool/repair.h"
#include "mpool/write.h"

static struct bed b;
static tarn_mpf *file, *second;

static void begin(void)
{
    bed_make(&b, 0, 0);
    bed_fill(&b, "file", PAGE, 10);
    bed_fill(&b, "other", PAGE, 10);
    atomic_store(&b.io.hurry, true);
    file = second = NULL;
}

static void end(void)
{
    CU_ASSERT(pool_is_whole(b.pool));
    bed_remove(&b);
}

static uint32_t state_of(uint32_t id) { return atomic_load(&pool_file(b.pool, id)->state); }

/* ---- closed while a page of it is on its way out ------------------------------------------------ */

/* As an evictor does between the frame and the entry; then its death is mended. */
static void closed_in_the_middle_of_an_eviction(void)
{
    struct bed other;
    struct entry *e;
    uint64_t w;
    uint32_t old;

    begin();
    MUST(bed_join(&b, &other));
    file = bed_file(&b, "file", PAGE, 0);
    old = file->id;
    for (tarn_pgno i = 0; i < 10; i++)
        CU_ASSERT(bed_touch(&b, file, PAGE, i));
    e = entry_find(other.pool, file->key_base | 3);
    w = atomic_load(&e->pte);
    CU_ASSERT_FATAL(entry_claim(other.th, e, w, PTE_CL | PTE_RS | pte_frame(w), 0));
    CU_ASSERT_FATAL(evict_note(other.th->part, pte_frame(w)));
    atomic_store(&b.pool->frames[pte_frame(w)].own, own_make(FRAME_LANE, other.th->tag));

    OK(tarn_mpf_close(file));
    CU_ASSERT_EQUAL(state_of(old), FILE_DROPPING);
    file = bed_file(&b, "other", PAGE, 0);
    CU_ASSERT_NOT_EQUAL(file->id, old); /* page 3 would be there already */

    repair_layer.repair(b.pool->region, b.pool, other.th->lane, other.th->tag);
    CU_ASSERT_EQUAL(atomic_load(&e->pte) & PTE_STATE, PTE_RS);
    CU_ASSERT(bed_touch(&b, file, PAGE, 3));
    second = bed_file(&b, "file", PAGE, 0); /* whoever opens clears away what is left */
    CU_ASSERT_EQUAL(bed_stat(&b).pages, 1);
    CU_ASSERT_EQUAL(second->id, old);
    OK(tarn_mpf_close(second));
    OK(tarn_mpf_close(file));
    OK(bed_leave(&other));
    end();
}

/* ---- all openers have died ---------------------------------------------------------------------- */

/* arg: whether it leaves a change behind. */
static int dies_with_a_file(struct side *me)
{
    struct bed mine;
    tarn_mpf *its;

    if (bed_join(&b, &mine) != 0 || bed_open_file(&mine, "file", PAGE, 0, &its) != 0 ||
        !bed_touch(&mine, its, PAGE, 3))
        return 1;
    if (me->arg)
        bed_change(&mine, its, PAGE, 4, 1);
    (void)kill(getpid(), SIGKILL);
    return 2;
}

static void begin_abandoned(bool changed)
{
    struct tarn_mpool_config config = TARN_MPOOL_CONFIG_INIT;
    static bool yes = true;
    struct child c;

    config.max_files = 1;
    bed_make_as(&b, config);
    atomic_store(&b.io.hurry, true);
    bed_fill(&b, "file", PAGE, 10);
    bed_fill(&b, "other", PAGE, 10);
    child_start(&c, dies_with_a_file, changed ? &yes : NULL);
    CU_ASSERT_EQUAL(child_end(&c), 256 + SIGKILL);
}

static void a_record_without_openers(void)
{
    begin_abandoned(false);
    file = bed_file(&b, "other", PAGE, 0); /* the only record */
    CU_ASSERT_EQUAL(bed_stat(&b).files, 1);
    CU_ASSERT_EQUAL(bed_stat(&b).pages, 0);
    CU_ASSERT(bed_touch(&b, file, PAGE, 3));
    OK(tarn_mpf_close(file));
    end();
}

static void a_record_without_openers_but_with_changes(void)
{
    begin_abandoned(true);
    FAILS(TARN_ENOSPC, bed_open_file(&b, "other", PAGE, 0, &file));
    FAILS(TARN_EINVAL, bed_open_file(&b, "file", 1024, 0, &file));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "by the dead"));
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 1);
    OK(tarn_mpool_sync(b.pool));
    CU_ASSERT(bed_has(&b, "file", PAGE, 4, 1));
    file = bed_file(&b, "other", PAGE, 0);
    OK(tarn_mpf_close(file));
    end();
}

static void another_page_size_after_a_death(void)
{
    begin_abandoned(false);
    file = bed_file(&b, "file", 1024, 0);
    FAILS(TARN_EINVAL, bed_open_file(&b, "file", PAGE, 0, &second));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "it open"));
    OK(tarn_mpf_close(file));
    end();
}

/* ---- the pool is closed ------------------------------------------------------------------------- */

static void the_pool_closed_with_pins(void)
{
    struct bed other;
    void *page;

    begin();
    MUST(bed_join(&b, &other));
    file = bed_file(&other, "file", PAGE, 0);
    second = bed_file(&other, "other", PAGE, 0);
    MUST(tarn_page_get(other.th, file, 3, 0, &page));
    OK(tarn_page_set(other.th, page, TARN_PAGE_DIRTY));
    MUST(tarn_page_get(other.th, second, 3, 0, &page));
    FAILS(TARN_EBUSY, tarn_mpool_close(other.pool));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "2 pages"));
    OK(tarn_env_close(other.env));
    CU_ASSERT_EQUAL(bed_stat(&b).pinned, 0);
    CU_ASSERT_EQUAL(bed_stat(&b).pages, 0);
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 0);
    CU_ASSERT_EQUAL(state_of(1), FILE_FREE);
    CU_ASSERT_EQUAL(state_of(2), FILE_FREE);
    OK(tarn_mpool_sync(b.pool));
    end();
}

static void *close_the_pool(void *arg)
{
    struct bed *other = arg;

    (void)tarn_mpool_close(other->pool);
    return NULL;
}

/* All lanes are taken: the files of the pool are closed all the same. */
static void the_pool_closed_without_a_lane(void)
{
    enum { LANES = 4096 };
    static uint32_t taken[LANES];
    uint32_t tag, n = 0;
    struct bed other;
    struct tarn_mpf_stat st;
    pthread_t id;

    begin();
    MUST(bed_join(&b, &other));
    file = bed_file(&b, "file", PAGE, 0);
    second = bed_file(&other, "file", PAGE, 0);
    while (n < LANES && rows_lane_take(b.pool->region, &taken[n], &tag) == TARN_OK)
        n++;
    CU_ASSERT(n < LANES);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&id, NULL, close_the_pool, &other), 0);
    CU_ASSERT_EQUAL(pthread_join(id, NULL), 0);
    while (n > 0)
        rows_lane_give(b.pool->region, taken[--n]);
    OK(tarn_mpf_stat(file, &st));
    CU_ASSERT_EQUAL(st.openers, 1);
    bed_change(&b, file, PAGE, 3, 1);
    OK(tarn_mpf_close(file));
    CU_ASSERT_EQUAL(bed_stat(&b).files, 0);
    OK(tarn_env_close(other.env));
    end();
}

/* ---- the parent of a fork goes ------------------------------------------------------------------ */

static tarn_mpf *inherited;

/* The parent has closed the file, and another file has its number: not that one's pages. */
static int goes_on_alone(struct side *me)
{
    tarn_thread *th;
    tarn_pgno last;
    void *page;

    side_here(me);
    side_wait(me);
    if (tarn_env_reattach(b.env) != TARN_OK || tarn_mpool_thread(b.pool, &th) != TARN_OK)
        return 1;
    if (tarn_mpf_last(inherited, &last) != TARN_OK || last != 19)
        return 2;
    if (tarn_page_get(th, inherited, 3, 0, &page) != TARN_OK || !page_is(page, PAGE, 3, 0))
        return 3;
    page_fill(page, PAGE, 3, 1);
    if (tarn_page_put(th, page, TARN_PAGE_DIRTY) != TARN_OK)
        return 4;
    if (tarn_mpf_sync(inherited) != TARN_OK)
        return 5;
    return tarn_mpf_close(inherited) == TARN_OK && tarn_mpool_close(b.pool) == TARN_OK ? 0 : 6;
}

static void a_child_goes_on_alone(void)
{
    struct child c;
    void *page;

    begin();
    bed_fill(&b, "file", PAGE, 20);
    inherited = bed_file(&b, "file", PAGE, 0);
    CU_ASSERT(bed_touch(&b, inherited, PAGE, 3));
    child_start(&c, goes_on_alone, NULL);
    CU_ASSERT_EQUAL(child_await(&c), 1);
    second = inherited;
    OK(tarn_mpf_close(second));
    file = bed_file(&b, "other", PAGE, 0);
    CU_ASSERT_EQUAL(file->id, 1);
    bed_change(&b, file, PAGE, 3, 2);
    child_go_on(&c);
    CU_ASSERT_EQUAL(child_end(&c), 0);
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 1));
    CU_ASSERT(bed_has(&b, "other", PAGE, 3, 0));
    MUST(tarn_page_get(b.th, file, 3, 0, &page));
    CU_ASSERT(page_is(page, PAGE, 3, 2));
    OK(tarn_page_put(b.th, page, 0));
    CU_ASSERT_EQUAL(bed_stat(&b).files, 1);
    OK(tarn_mpf_close(file));
    end();
}

/* Threads of the parent had the mutex, and were writing through the file, when it forked. */
static int closes_what_was_in_use(struct side *me)
{
    (void)me;
    return tarn_mpf_close(inherited) == TARN_EFORK && tarn_mpool_close(b.pool) == TARN_OK &&
                   tarn_env_close(b.env) == TARN_OK
               ? 0
               : 1;
}

static void a_child_closes_what_was_in_use(void)
{
    struct child c;

    begin();
    inherited = bed_file(&b, "file", PAGE, 0);
    own_mutex_lock(b.pool->os, &b.pool->mutex);
    inherited->channel->users++;
    inherited->channel->closers++;
    child_start(&c, closes_what_was_in_use, NULL);
    CU_ASSERT_EQUAL(child_end(&c), 0);
    inherited->channel->users--;
    inherited->channel->closers--;
    own_mutex_unlock(b.pool->os, &b.pool->mutex);
    CU_ASSERT(bed_touch(&b, inherited, PAGE, 3));
    OK(tarn_mpf_close(inherited));
    end();
}

/* ---- ways to the files of others ---------------------------------------------------------------- */

static int descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void ways_that_lead_nowhere(void)
{
    struct bed other;
    int before;

    begin();
    MUST(bed_join(&b, &other));
    before = descriptors();
    for (unsigned i = 0; i < 5; i++) {
        file = bed_file(&other, i % 2 ? "file" : "other", PAGE, 0);
        bed_change(&other, file, PAGE, 3, i);
        OK(tarn_mpool_sync(b.pool)); /* opens it to write the page */
        CU_ASSERT(bed_has(&b, i % 2 ? "file" : "other", PAGE, 3, i));
        OK(tarn_mpf_close(file));
        CU_ASSERT(descriptors() <= before + 1);
    }
    OK(bed_leave(&other));
    end();
}

static void no_memory_for_a_way(void *ctx, enum io_kind kind, uint64_t off, size_t len)
{
    (void)ctx;
    (void)off;
    if (kind == IO_ALLOC)
        atomic_store(&b.io.err[IO_ALLOC], len == sizeof(struct file_channel) ? TARN_ENOMEM : 0);
}

static void no_way_for_want_of_memory(void)
{
    struct bed other;

    begin();
    MUST(bed_join(&b, &other));
    file = bed_file(&other, "file", PAGE, 0);
    bed_change(&other, file, PAGE, 3, 1);
    b.io.before = no_memory_for_a_way;
    FAILS(TARN_ENOMEM, tarn_mpool_sync(b.pool));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "no memory"));
    FAILS(TARN_ENOMEM, bed_open_file(&b, "other", PAGE, 0, &second));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "no memory"));
    CU_ASSERT_PTR_NULL(second);
    b.io.before = NULL;
    atomic_store(&b.io.err[IO_ALLOC], 0);
    CU_ASSERT_EQUAL(bed_stat(&b).files, 1);
    OK(tarn_mpool_sync(b.pool));
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 1));
    OK(tarn_mpf_close(file));
    OK(bed_leave(&other));
    end();
}

static struct bed other_bed;
static struct write_page on_its_way;

/* The writer is about to open the first file, and has looked at its record. */
static void another_file_takes_the_number(void *ctx, enum io_kind kind, uint64_t off, size_t len)
{
    uint32_t id = file->id;

    (void)ctx;
    (void)off;
    (void)len;
    if (kind != IO_OPEN)
        return;
    b.io.before = NULL;
    OK(tarn_mpf_close(file));
    file = bed_file(&other_bed, "other", PAGE, 0);
    CU_ASSERT_EQUAL(file->id, id);
    bed_change(&other_bed, file, PAGE, 3, 2);
    on_its_way.frame =
        pte_frame(atomic_load(&entry_find(other_bed.pool, on_its_way.key)->pte)); /* the same */
}

static void the_number_is_anothers_while_it_is_written(void)
{
    struct write_result r = { 0 };

    begin();
    MUST(bed_join(&b, &other_bed));
    file = bed_file(&other_bed, "file", PAGE, 0);
    bed_change(&other_bed, file, PAGE, 3, 1);
    on_its_way.key = file->key_base | 3;
    on_its_way.frame = pte_frame(atomic_load(&entry_find(b.pool, on_its_way.key)->pte));
    b.io.before = another_file_takes_the_number;
    write_pages(b.th, &on_its_way, 1, &r);
    CU_ASSERT_PTR_NULL(b.io.before); /* the point was reached */
    CU_ASSERT_EQUAL(r.written, 0);
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 0));
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 1);
    OK(tarn_mpool_sync(b.pool));
    CU_ASSERT(bed_has(&b, "other", PAGE, 3, 2));
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 0));
    OK(tarn_mpf_close(file));
    OK(bed_leave(&other_bed));
    end();
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "F9 X27: closed while a page of it is being evicted",
          closed_in_the_middle_of_an_eviction },
        { "F6 F9: a record whose openers have died", a_record_without_openers },
        { "F6 F9: openers that have died and left changes",
          a_record_without_openers_but_with_changes },
        { "F5: another page size when the openers have died", another_page_size_after_a_death },
        { "M5 F8 F9: the pool closed with pages pinned", the_pool_closed_with_pins },
        { "M5 F9: the pool closed without a lane", the_pool_closed_without_a_lane },
        { "X27: a child of fork goes on when its parent has closed", a_child_goes_on_alone },
        { "F8: a child of fork closes what threads had in use", a_child_closes_what_was_in_use },
        { "M5 F8: ways to files of others are closed in time", ways_that_lead_nowhere },
        { "O16: no memory for a way to a file", no_way_for_want_of_memory },
        { "X27: a file's number is another's while it is written",
          the_number_is_anothers_while_it_is_written },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "record", NULL, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
