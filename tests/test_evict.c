/* SPDX-License-Identifier: BSD-2-Clause */
/* Room for pages that come in: which ones go, at what cost, and what if none can. */
#include "pool.h"

#include "mpool/entry.h"

enum { FRAMES = 64, PAGES = 400 }; /* of the default pool of 256 KiB; of the file */

static struct bed b;
static tarn_mpf *file;

static void begin_with(uint64_t bytes)
{
    bed_make(&b, bytes, 0);
    bed_fill(&b, "file", PAGE, PAGES);
    file = bed_file(&b, "file", PAGE, 0);
    io_reset(&b.io);
}

static void begin(void) { begin_with(0); }

static void end(void)
{
    CU_ASSERT_EQUAL(bed_stat(&b).pinned, 0);
    OK(tarn_mpf_close(file));
    bed_remove(&b);
}

static void touch(tarn_pgno from, tarn_pgno to)
{
    for (tarn_pgno i = from; i < to; i++)
        CU_ASSERT(bed_touch(&b, file, PAGE, i));
}

static bool is_there(tarn_pgno pgno)
{
    return entry_find(b.pool, key_make(file->id, pgno)) != NULL;
}

/* ---- who goes ----------------------------------------------------------------------------------- */

static void clean_pages_go_without_io(void)
{
    struct tarn_mpool_stat st;

    begin();
    touch(0, PAGES);
    st = bed_stat(&b);
    CU_ASSERT(st.pages <= FRAMES && st.pages >= FRAMES - 8);
    CU_ASSERT(st.evict_clean >= PAGES - FRAMES);
    CU_ASSERT_EQUAL(st.evict_dirty, 0);
    CU_ASSERT_EQUAL(st.misses, PAGES);
    CU_ASSERT_EQUAL(b.io.calls[IO_WRITE], 0);
    CU_ASSERT_EQUAL(b.io.calls[IO_READ], PAGES);
    end();
}

static void dirty_pages_are_written_first(void)
{
    struct tarn_mpool_stat st;

    begin();
    for (tarn_pgno i = 0; i < PAGES; i++)
        bed_change(&b, file, PAGE, i, 1);
    st = bed_stat(&b);
    CU_ASSERT(st.evict_dirty >= PAGES - FRAMES);
    CU_ASSERT_EQUAL(st.writes, st.dirty == 0 ? PAGES : PAGES - st.dirty);
    CU_ASSERT(st.write_calls < st.writes); /* some of them together */
    for (tarn_pgno i = 0; i < PAGES; i++) {
        void *page;

        MUST(tarn_page_get(b.th, file, i, 0, &page));
        CU_ASSERT(page_is(page, PAGE, i, 1));
        OK(tarn_page_put(b.th, page, 0));
    }
    OK(tarn_mpf_sync(file));
    for (tarn_pgno i = 0; i < PAGES; i++)
        CU_ASSERT(bed_has(&b, "file", PAGE, i, 1));
    end();
}

/* A few dirty pages among clean ones cost no write. */
static void clean_pages_go_before_dirty_ones(void)
{
    begin();
    for (tarn_pgno i = 0; i < FRAMES; i++)
        if (i % 16 == 5)
            bed_change(&b, file, PAGE, i, 1);
        else
            touch(i, i + 1);
    touch(100, 104);
    CU_ASSERT(bed_stat(&b).evict_clean > 0);
    CU_ASSERT_EQUAL(b.io.calls[IO_WRITE], 0);
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, FRAMES / 16);
    end();
}

static void pinned_pages_stay(void)
{
    void *page[12], *again;

    begin();
    for (unsigned i = 0; i < 12; i++)
        MUST(tarn_page_get(b.th, file, i * 5, 0, &page[i]));
    for (int round = 0; round < 3; round++)
        touch(60, PAGES);
    for (unsigned i = 0; i < 12; i++) {
        CU_ASSERT(page_is(page[i], PAGE, i * 5, 0));
        OK(tarn_page_get(b.th, file, i * 5, 0, &again));
        CU_ASSERT_PTR_EQUAL(again, page[i]);
        OK(tarn_page_put(b.th, again, 0));
    }
    CU_ASSERT(bed_stat(&b).evict_pinned > 0);
    for (unsigned i = 0; i < 12; i++)
        OK(tarn_page_put(b.th, page[i], 0));
    touch(60, PAGES);
    CU_ASSERT_FALSE(is_there(5)); /* and go once they are put */
    end();
}

static void pages_in_use_stay(void)
{
    begin();
    touch(0, 4);
    io_reset(&b.io);
    for (tarn_pgno i = 10; i < PAGES; i++) {
        touch(0, 4);
        touch(i, i + 1);
    }
    /* each turn of the hand finds them seen; only those just read in may be unlucky once */
    CU_ASSERT(b.io.calls[IO_READ] <= PAGES - 10 + 4);
    end();
}

static void discarded_pages_go_first(void)
{
    void *page, *again;

    begin();
    touch(0, FRAMES - 8);
    touch(0, FRAMES - 8); /* all have been seen */
    MUST(tarn_page_get(b.th, file, 20, 0, &page));
    MUST(tarn_page_get(b.th, file, 20, 0, &again));
    OK(tarn_page_put(b.th, page, TARN_PAGE_DISCARD));
    for (tarn_pgno i = 100; bed_stat(&b).evict_clean == 0; i++)
        touch(i, i + 1);
    CU_ASSERT(is_there(20)); /* it is pinned still */
    OK(tarn_page_put(b.th, again, TARN_PAGE_DISCARD));
    for (tarn_pgno i = 200, went = bed_stat(&b).evict_clean; bed_stat(&b).evict_clean == went; i++)
        touch(i, i + 1);
    CU_ASSERT_FALSE(is_there(20));
    end();
}

static void discarded_dirty_pages_are_written(void)
{
    void *page;

    begin();
    MUST(tarn_page_get(b.th, file, 20, 0, &page));
    page_fill(page, PAGE, 20, 1);
    OK(tarn_page_put(b.th, page, TARN_PAGE_DIRTY | TARN_PAGE_DISCARD));
    touch(21, PAGES);
    CU_ASSERT_FALSE(is_there(20));
    CU_ASSERT(bed_has(&b, "file", PAGE, 20, 1));
    OK(tarn_mpf_sync(file));
    CU_ASSERT(bed_has(&b, "file", PAGE, 20, 1));
    end();
}

/* ---- no room ------------------------------------------------------------------------------------ */

/* Pin pages until that fails; the error, and how many are pinned. */
static int pin_all(void *page[FRAMES], unsigned *n)
{
    int ret = TARN_OK;

    for (*n = 0; *n < FRAMES && ret == TARN_OK; *n += ret == TARN_OK)
        ret = tarn_page_get(b.th, file, *n, 0, &page[*n]);
    return ret;
}

static void all_pinned(void)
{
    void *page[FRAMES], *one_more = NULL;
    tarn_pgno last, pgno = 0;
    unsigned n;

    begin();
    FAILS(TARN_ENOMEM, pin_all(page, &n)); /* after a bounded time */
    atomic_store(&b.io.hurry, true);
    CU_ASSERT_EQUAL(n, FRAMES - 1); /* one frame keeps the pins that the line has no place for */
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "of 64, 63 were found pinned"));
    FAILS(TARN_ENOMEM, tarn_page_get(b.th, file, PAGES + 5, TARN_GET_CREATE, &one_more));
    CU_ASSERT_PTR_NULL(one_more);
    FAILS(TARN_ENOMEM, tarn_page_new(b.th, file, &pgno, &one_more));
    OK(tarn_mpf_last(file, &last));
    CU_ASSERT_EQUAL(last, PAGES - 1);               /* no hole is left */
    OK(tarn_page_get(b.th, file, 7, 0, &one_more)); /* what is there can still be had */
    OK(tarn_page_put(b.th, one_more, 0));
    OK(tarn_page_put(b.th, page[--n], 0));
    OK(tarn_page_new(b.th, file, &pgno, &one_more));
    CU_ASSERT_EQUAL(pgno, PAGES);
    OK(tarn_page_put(b.th, one_more, 0));
    while (n > 0)
        OK(tarn_page_put(b.th, page[--n], 0));
    touch(0, PAGES);
    end();
}

static void all_dirty_and_no_write_works(void)
{
    void *page = NULL;

    begin();
    atomic_store(&b.io.hurry, true);
    b.io.err[IO_WRITE] = TARN_ENOSPC;
    for (tarn_pgno i = 0; i < PAGES; i++) {
        int ret = tarn_page_get(b.th, file, i, 0, &page);

        if (ret != TARN_OK) {
            FAILS(TARN_ENOSPC, ret);
            CU_ASSERT(i > FRAMES - 12);
            break;
        }
        page_fill(page, PAGE, i, 1);
        OK(tarn_page_put(b.th, page, TARN_PAGE_DIRTY));
    }
    CU_ASSERT(bed_stat(&b).dirty > FRAMES - 12);
    b.io.err[IO_WRITE] = 0;
    touch(100, PAGES);
    OK(tarn_mpf_sync(file));
    CU_ASSERT(bed_has(&b, "file", PAGE, 0, 1));
    CU_ASSERT(bed_has(&b, "file", PAGE, FRAMES - 12, 1));
    end();
}

/* Another process has filled the pool with changes of a file that only it can reach. */
static void all_dirty_and_not_ours(void)
{
    struct bed other;
    tarn_mpf *its;
    char path[128];
    void *page = NULL;
    unsigned left = 0;

    begin();
    MUST(bed_join(&b, &other));
    bed_fill(&b, "its", PAGE, PAGES);
    its = bed_file(&other, "its", PAGE, 0);
    bed_path(&b, "file", path);
    CU_ASSERT_EQUAL(unlink(path), 0);
    for (tarn_pgno i = 0; i < FRAMES; i++)
        bed_change(&b, file, PAGE, i, 1);
    atomic_store(&other.io.hurry, true);
    for (tarn_pgno i = 0; i < FRAMES && left == 0; i++)
        if (tarn_page_get(other.th, its, i, 0, &page) == TARN_OK) {
            page_fill(page, PAGE, i, 1); /* hold what room there is: the clean frames */
            OK(tarn_page_put(other.th, page, TARN_PAGE_DIRTY));
        } else {
            left = 1;
        }
    if (left != 0)
        CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "this process may not write"));
    touch(FRAMES, PAGES); /* whose they are can go on */
    OK(tarn_mpf_close(its));
    OK(bed_leave(&other));
    end();
}

/* Without the barrier nobody can know whether a page is pinned: none goes. */
static void no_barrier_no_eviction(void)
{
    uint64_t there;
    int ret = TARN_OK;

    begin();
    if (bed_stat(&b).pin_exchange != 0) {
        end();
        SKIP("pins are by exchange: there is no barrier");
    }
    atomic_store(&b.io.hurry, true);
    atomic_store(&b.io.err[IO_BARRIER], TARN_EIO);
    for (tarn_pgno i = 0; i < PAGES && ret == TARN_OK; i++) {
        void *page;

        ret = tarn_page_get(b.th, file, i, 0, &page);
        if (ret == TARN_OK)
            OK(tarn_page_put(b.th, page, 0));
    }
    FAILS(TARN_ENOMEM, ret);
    there = bed_stat(&b).pages;
    CU_ASSERT_EQUAL(there, FRAMES);
    CU_ASSERT_EQUAL(bed_stat(&b).evict_clean, 0);
    atomic_store(&b.io.err[IO_BARRIER], 0);
    touch(0, PAGES);
    end();
}

/* ---- frames kept ready -------------------------------------------------------------------------- */

static void the_smallest_pool(void)
{
    void *page[17];

    begin_with(1);
    CU_ASSERT_EQUAL(bed_stat(&b).bytes, 64 << 10);
    for (unsigned i = 0; i < 16; i++)
        MUST(tarn_page_get(b.th, file, i, 0, &page[i])); /* every frame can be had */
    atomic_store(&b.io.hurry, true);
    FAILS(TARN_ENOMEM, tarn_page_get(b.th, file, 16, 0, &page[16]));
    for (unsigned i = 0; i < 16; i++)
        OK(tarn_page_put(b.th, page[i], 0));
    touch(0, PAGES);
    end();
}

enum { THREADS = 6 };
static _Atomic int there, go_on;

static void *use_and_stay(void *arg)
{
    tarn_thread *th;
    bool *well = arg;
    void *page;

    *well = tarn_mpool_thread(b.pool, &th) == TARN_OK;
    for (tarn_pgno i = 0; i < PAGES && *well; i++)
        *well = tarn_page_get(th, file, i, 0, &page) == TARN_OK && page_is(page, PAGE, i, 0) &&
                tarn_page_put(th, page, 0) == TARN_OK;
    atomic_fetch_add(&there, 1);
    await(&go_on, 1);
    return NULL;
}

static unsigned frames_kept_ready(void)
{
    unsigned n = 0;

    for (uint32_t f = 0; f < b.pool->frame_limit; f++)
        n += own_kind(atomic_load(&b.pool->frames[f].own)) == FRAME_LANE;
    return n;
}

/* Threads that rest keep little of a small pool, and at their end nothing. */
static void idle_threads_keep_little(void)
{
    pthread_t id[THREADS];
    bool well[THREADS];
    unsigned before;

    begin();
    touch(0, PAGES);
    before = frames_kept_ready();
    CU_ASSERT(before <= FRAMES / 16);
    atomic_store(&there, 0);
    atomic_store(&go_on, 0);
    for (int i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&id[i], NULL, use_and_stay, &well[i]), 0);
    await(&there, THREADS);
    CU_ASSERT(frames_kept_ready() <= (1 + THREADS) * FRAMES / 16);
    atomic_store(&go_on, 1);
    for (int i = 0; i < THREADS; i++) {
        CU_ASSERT_EQUAL(pthread_join(id[i], NULL), 0);
        CU_ASSERT(well[i]);
    }
    CU_ASSERT_EQUAL(frames_kept_ready(), before);
    end();
}

static void freed_frames_are_found(void)
{
    struct tarn_mpool_stat st;
    tarn_mpf *second;

    begin();
    touch(0, PAGES);
    bed_fill(&b, "second", PAGE, FRAMES);
    st = bed_stat(&b);
    OK(tarn_mpf_close(file));
    CU_ASSERT_EQUAL(bed_stat(&b).pages, 0);
    second = bed_file(&b, "second", PAGE, 0);
    for (tarn_pgno i = 0; i < FRAMES; i++)
        CU_ASSERT(bed_touch(&b, second, PAGE, i));
    CU_ASSERT_EQUAL(bed_stat(&b).pages, FRAMES); /* nothing had to go, nothing is lost */
    CU_ASSERT_EQUAL(bed_stat(&b).evict_clean, st.evict_clean);
    OK(tarn_mpf_close(second));
    file = bed_file(&b, "file", PAGE, 0);
    end();
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "M10: clean pages go without I/O", clean_pages_go_without_io },
        { "M10 W3: dirty pages are written first", dirty_pages_are_written_first },
        { "M10: clean pages go before dirty ones", clean_pages_go_before_dirty_ones },
        { "M10: pinned pages stay", pinned_pages_stay },
        { "G6: pages in use stay", pages_in_use_stay },
        { "U6 U3: a discarded page goes first, once it is unpinned", discarded_pages_go_first },
        { "U6: a discarded dirty page goes as well, written", discarded_dirty_pages_are_written },
        { "M10 X18: all pages pinned", all_pinned },
        { "M10 W4: all pages dirty, and no write works", all_dirty_and_no_write_works },
        { "M10 W5: all pages dirty, and not ours to write", all_dirty_and_not_ours },
        { "M10: no page goes when nobody can tell whether it is pinned", no_barrier_no_eviction },
        { "M3: every frame of the smallest pool can be had", the_smallest_pool },
        { "idle threads keep little of a small pool", idle_threads_keep_little },
        { "X14: freed frames are found again", freed_frames_are_found },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "evict", NULL, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
