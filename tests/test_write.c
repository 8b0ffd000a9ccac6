/* SPDX-License-Identifier: BSD-2-Clause */
/* Write-back: what is written when, in how many calls, and what happens when it cannot be. */
#include "pool.h"

#include <signal.h>
#include <sys/resource.h>

static struct bed b;
static tarn_mpf *file;

static void begin(uint64_t bytes, tarn_pgno pages)
{
    bed_make(&b, bytes, 0);
    bed_fill(&b, "file", PAGE, pages);
    file = bed_file(&b, "file", PAGE, 0);
    io_reset(&b.io);
}

static void end(void)
{
    CU_ASSERT_EQUAL(bed_stat(&b).pinned, 0);
    OK(tarn_mpf_close(file));
    bed_remove(&b);
}

/* ---- pinned pages ------------------------------------------------------------------------------- */

static void pinned_pages_are_not_written(void)
{
    void *page;

    begin(0, 10);
    MUST(tarn_page_get(b.th, file, 3, 0, &page));
    page_fill(page, PAGE, 3, 1);
    OK(tarn_page_set(b.th, page, TARN_PAGE_DIRTY));
    FAILS(TARN_EINCOMPLETE, tarn_mpf_sync(file));
    CU_ASSERT_EQUAL(b.io.calls[IO_WRITE], 0);
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 0));
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 1);
    OK(tarn_page_put(b.th, page, 0));
    OK(tarn_mpf_sync(file));
    CU_ASSERT_EQUAL(b.io.calls[IO_WRITE], 1);
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 0);
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 1));
    end();
}

/* Nor those that only another participant reads: who pins may write, says the contract. */
static void pinned_by_others(void)
{
    struct bed other;
    tarn_mpf *its;
    void *page;

    begin(0, 10);
    MUST(bed_join(&b, &other));
    its = bed_file(&other, "file", PAGE, TARN_MPF_RDONLY);
    bed_change(&b, file, PAGE, 3, 1);
    bed_change(&b, file, PAGE, 5, 1);
    MUST(tarn_page_get(other.th, its, 3, 0, &page));
    FAILS(TARN_EINCOMPLETE, tarn_mpf_sync(file));
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 0));
    CU_ASSERT(bed_has(&b, "file", PAGE, 5, 1));
    OK(tarn_page_put(other.th, page, 0));
    OK(tarn_mpf_sync(file));
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 1));
    OK(tarn_mpf_close(its));
    OK(bed_leave(&other));
    end();
}

/* ---- calls -------------------------------------------------------------------------------------- */

static void neighbours_go_in_one_call(void)
{
    static const tarn_pgno order[] = { 7, 2, 29, 5, 0, 3, 28, 1, 6, 4, 27 };
    struct tarn_mpool_stat st;

    begin(0, 40);
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        bed_change(&b, file, PAGE, order[i], 1);
    io_reset(&b.io);
    OK(tarn_mpf_sync(file));
    st = bed_stat(&b);
    CU_ASSERT_EQUAL(b.io.calls[IO_WRITE], 2); /* 0 to 7, 27 to 29 */
    CU_ASSERT_EQUAL(b.io.bytes[IO_WRITE], 11 * PAGE);
    CU_ASSERT_EQUAL(st.writes, 11);
    CU_ASSERT_EQUAL(st.write_calls, 2);
    for (tarn_pgno i = 0; i < 40; i++)
        CU_ASSERT(bed_has(&b, "file", PAGE, i, i < 8 || (i > 26 && i < 30)));
    end();
}

static void large_writes(void)
{
    begin(2 << 20, 200);
    for (tarn_pgno i = 0; i < 200; i++) /* in an order of which nothing is left */
        bed_change(&b, file, PAGE, i * 67 % 200, 1);
    io_reset(&b.io);
    OK(tarn_mpf_sync(file));
    CU_ASSERT_EQUAL(b.io.calls[IO_WRITE], 4); /* 256 KiB each */
    CU_ASSERT_EQUAL(b.io.bytes[IO_WRITE], 200 * PAGE);
    for (tarn_pgno i = 0; i < 200; i++)
        CU_ASSERT(bed_has(&b, "file", PAGE, i, 1));
    end();
}

/* Eviction finds pages in the order of frames, and writes them in the order of the file. */
static void evicted_neighbours(void)
{
    struct tarn_mpool_stat st;

    begin(0, 200);
    for (tarn_pgno i = 0; i < 64; i++)
        bed_change(&b, file, PAGE, 63 - i, 1);
    for (tarn_pgno i = 100; i < 200; i++)
        CU_ASSERT(bed_touch(&b, file, PAGE, i));
    st = bed_stat(&b);
    CU_ASSERT(st.evict_dirty > 20);
    CU_ASSERT(st.write_calls * 2 <= st.writes);
    OK(tarn_mpf_sync(file));
    for (tarn_pgno i = 0; i < 64; i++)
        CU_ASSERT(bed_has(&b, "file", PAGE, i, 1));
    end();
}

static void a_pinned_page_parts_its_neighbours(void)
{
    void *page;

    begin(0, 10);
    for (tarn_pgno i = 0; i < 10; i++)
        bed_change(&b, file, PAGE, i, 1);
    MUST(tarn_page_get(b.th, file, 4, 0, &page));
    io_reset(&b.io);
    FAILS(TARN_EINCOMPLETE, tarn_mpf_sync(file));
    CU_ASSERT_EQUAL(b.io.calls[IO_WRITE], 2);
    CU_ASSERT_EQUAL(b.io.bytes[IO_WRITE], 9 * PAGE);
    OK(tarn_page_put(b.th, page, 0));
    OK(tarn_mpf_sync(file));
    for (tarn_pgno i = 0; i < 10; i++)
        CU_ASSERT(bed_has(&b, "file", PAGE, i, 1));
    end();
}

/* ---- dirty and clean ---------------------------------------------------------------------------- */

static void dirty_counts_once(void)
{
    void *page;

    begin(0, 10);
    MUST(tarn_page_get(b.th, file, 3, 0, &page));
    for (int i = 0; i < 5; i++)
        OK(tarn_page_set(b.th, page, TARN_PAGE_DIRTY));
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 1);
    OK(tarn_page_put(b.th, page, TARN_PAGE_DIRTY));
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 1);
    OK(tarn_mpf_sync(file));
    CU_ASSERT_EQUAL(b.io.calls[IO_WRITE], 1);
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 0);
    OK(tarn_mpf_sync(file));
    CU_ASSERT_EQUAL(b.io.calls[IO_WRITE], 1); /* it is clean now */
    end();
}

static void clean_is_not_written(void)
{
    void *page;

    begin(0, 10);
    bed_change(&b, file, PAGE, 3, 1);
    bed_change(&b, file, PAGE, 4, 1);
    MUST(tarn_page_get(b.th, file, 3, 0, &page));
    OK(tarn_page_put(b.th, page, TARN_PAGE_CLEAN));
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 1);
    OK(tarn_mpf_sync(file));
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 0));
    CU_ASSERT(bed_has(&b, "file", PAGE, 4, 1));
    CU_ASSERT_EQUAL(bed_stat(&b).writes, 1);

    /* clean of a clean page, and dirty again after clean */
    MUST(tarn_page_get(b.th, file, 3, 0, &page));
    OK(tarn_page_set(b.th, page, TARN_PAGE_CLEAN));
    OK(tarn_page_set(b.th, page, TARN_PAGE_DIRTY));
    OK(tarn_page_set(b.th, page, TARN_PAGE_CLEAN));
    OK(tarn_page_put(b.th, page, TARN_PAGE_DIRTY));
    OK(tarn_mpf_sync(file));
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 1));
    end();
}

static void unsaid_changes_are_not_written(void)
{
    void *page;

    begin(0, 10);
    MUST(tarn_page_get(b.th, file, 3, 0, &page));
    page_fill(page, PAGE, 3, 1);
    OK(tarn_page_put(b.th, page, 0));
    OK(tarn_mpf_sync(file));
    CU_ASSERT_EQUAL(b.io.calls[IO_WRITE], 0);
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 0));
    end();
}

/* ---- while it is being written ------------------------------------------------------------------ */

static _Atomic int writing, go_on;

static void hold_write(void *ctx, enum io_kind kind, uint64_t off, size_t len)
{
    (void)ctx;
    (void)off;
    (void)len;
    if (kind == IO_WRITE && atomic_fetch_add(&writing, 1) == 0)
        await(&go_on, 1);
}

static void *sync_it(void *arg)
{
    *(int *)arg = tarn_mpf_sync(file);
    return NULL;
}

static void start_sync(pthread_t *id, int *got)
{
    atomic_store(&writing, 0);
    atomic_store(&go_on, 0);
    b.io.before = hold_write;
    CU_ASSERT_EQUAL_FATAL(pthread_create(id, NULL, sync_it, got), 0);
    await(&writing, 1);
}

static void end_sync(pthread_t id)
{
    atomic_store(&go_on, 1);
    CU_ASSERT_EQUAL(pthread_join(id, NULL), 0);
    b.io.before = NULL;
}

static void changed_while_written(void)
{
    pthread_t id;
    int got = 1;

    begin(0, 10);
    bed_change(&b, file, PAGE, 3, 1);
    bed_change(&b, file, PAGE, 4, 1);
    start_sync(&id, &got);
    bed_change(&b, file, PAGE, 3, 2); /* nobody waits for a disk */
    end_sync(id);
    OK(got);
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 1)); /* the copy was whole, and is not the change */
    CU_ASSERT(bed_has(&b, "file", PAGE, 4, 1));
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 1);
    OK(tarn_mpf_sync(file));
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 2));
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 0);
    end();
}

/* Bytes that change while somebody has the page, after the copy, are not in the file. */
static void pinned_while_written(void)
{
    pthread_t id;
    void *page;
    int got = 1;

    begin(0, 10);
    bed_change(&b, file, PAGE, 3, 1);
    start_sync(&id, &got);
    MUST(tarn_page_get(b.th, file, 3, 0, &page));
    CU_ASSERT(page_is(page, PAGE, 3, 1));
    page_fill(page, PAGE, 3, 2);
    end_sync(id);
    OK(got);
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 1));
    OK(tarn_page_put(b.th, page, TARN_PAGE_DIRTY));
    OK(tarn_mpf_sync(file));
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 2));
    end();
}

/* Room is needed while a page is being written: it stays, others go. */
static void written_pages_stay_meanwhile(void)
{
    pthread_t id;
    int got = 1;

    begin(0, 300);
    bed_change(&b, file, PAGE, 3, 1);
    start_sync(&id, &got);
    for (int round = 0; round < 2; round++)
        for (tarn_pgno i = 10; i < 300; i++)
            CU_ASSERT(bed_touch(&b, file, PAGE, i));
    end_sync(id);
    OK(got);
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 1));
    end();
}

static _Atomic int looked, closed;

static void count_sleep(void *ctx, enum io_kind kind, uint64_t off, size_t len)
{
    (void)ctx;
    (void)off;
    (void)len;
    atomic_fetch_add(&looked, kind == IO_SLEEP);
}

static void *close_it(void *arg)
{
    *(int *)arg = tarn_mpf_close(file);
    atomic_store(&closed, 1);
    return NULL;
}

static void *sync_other(void *arg)
{
    return tarn_mpool_sync(((struct bed *)arg)->pool) == TARN_OK ? arg : NULL;
}

/* The last close drops pages, but not the one that another participant is writing just then. */
static void closed_while_another_writes(void)
{
    pthread_t writer, closer;
    struct bed other;
    void *well;
    int got = 1;

    begin(0, 10);
    MUST(bed_join(&b, &other));
    bed_change(&b, file, PAGE, 3, 1);
    CU_ASSERT(bed_touch(&b, file, PAGE, 4));
    atomic_store(&writing, 0);
    atomic_store(&go_on, 0);
    atomic_store(&looked, 0);
    atomic_store(&closed, 0);
    other.io.before = hold_write;
    b.io.before = count_sleep;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&writer, NULL, sync_other, &other), 0);
    await(&writing, 1);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&closer, NULL, close_it, &got), 0);
    while (atomic_load(&looked) < 2 && atomic_load(&closed) == 0)
        (void)sched_yield();
    CU_ASSERT_EQUAL(bed_stat(&b).pages, 1);
    CU_ASSERT_EQUAL(atomic_load(&closed), 0);
    atomic_store(&go_on, 1);
    CU_ASSERT_EQUAL(pthread_join(writer, &well), 0);
    CU_ASSERT_PTR_NOT_NULL(well);
    CU_ASSERT_EQUAL(pthread_join(closer, NULL), 0);
    OK(got);
    b.io.before = NULL;
    CU_ASSERT_EQUAL(bed_stat(&b).pages, 0);
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 1));
    OK(bed_leave(&other));
    bed_remove(&b);
}

/* ---- errors ------------------------------------------------------------------------------------- */

static void failed_writes_keep_their_pages(void)
{
    static const int errors[] = { TARN_ENOSPC, TARN_EIO, TARN_EACCES };
    char range[64];

    begin(0, 20);
    for (int e = 0; e < 3; e++) {
        for (tarn_pgno i = 7; i < 12; i++)
            bed_change(&b, file, PAGE, i, 1 + (unsigned)e);
        b.io.err[IO_WRITE] = errors[e];
        FAILS(errors[e], tarn_mpf_sync(file));
        (void)snprintf(range, sizeof(range), "pages 7 to 11 (%d bytes)", 5 * PAGE);
        CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "/file:"));
        CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), range));
        CU_ASSERT_EQUAL(bed_stat(&b).dirty, 5);
        CU_ASSERT_EQUAL(bed_stat(&b).writes, 5u * (unsigned)e);
        FAILS(errors[e], tarn_mpool_sync(b.pool));
        b.io.err[IO_WRITE] = 0;
        OK(tarn_mpf_sync(file)); /* a write that failed is no reason to give the file up */
        CU_ASSERT_EQUAL(bed_stat(&b).dirty, 0);
        for (tarn_pgno i = 0; i < 20; i++)
            CU_ASSERT(bed_has(&b, "file", PAGE, i, i >= 7 && i < 12 ? 1 + (unsigned)e : 0));
    }
    end();
}

/* A limit that the system keeps: a part is written, the rest is refused, with the system's words. */
static void a_limit_of_the_system(void)
{
    struct rlimit old, tight;
    void (*handler)(int);

    begin(0, 4);
    for (tarn_pgno i = 4; i < 12; i++)
        bed_change(&b, file, PAGE, i, 1);
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &old), 0);
    handler = signal(SIGXFSZ, SIG_IGN);
    tight = old;
    tight.rlim_cur = 6 * PAGE + 100;
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &tight), 0);
    CU_ASSERT(tarn_mpf_sync(file) < 0);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &old), 0);
    (void)signal(SIGXFSZ, handler);
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "File too large"));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "pages 4 to 11"));
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 8);
    OK(tarn_mpf_sync(file));
    for (tarn_pgno i = 4; i < 12; i++)
        CU_ASSERT(bed_has(&b, "file", PAGE, i, 1));
    end();
}

/* ---- pages that others made dirty --------------------------------------------------------------- */

static void others_write_our_pages(void)
{
    struct bed other;

    begin(0, 20);
    MUST(bed_join(&b, &other));
    bed_change(&b, file, PAGE, 3, 1);
    bed_change(&b, file, PAGE, 4, 1);
    io_reset(&b.io);
    OK(tarn_mpool_sync(other.pool)); /* it has never opened the file */
    CU_ASSERT_EQUAL(b.io.calls[IO_WRITE], 0);
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 0);
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 1));
    CU_ASSERT(bed_has(&b, "file", PAGE, 4, 1));
    OK(bed_leave(&other));
    end();
}

/* The name leads elsewhere now: nothing is written there, and the pages wait for who has the file. */
static void a_name_that_leads_elsewhere(void)
{
    char path[128], away[128];
    struct bed other;

    begin(0, 20);
    MUST(bed_join(&b, &other));
    bed_change(&b, file, PAGE, 3, 1);
    bed_path(&b, "file", path);
    bed_path(&b, "moved", away);
    CU_ASSERT_EQUAL(rename(path, away), 0);
    bed_fill(&b, "file", PAGE, 20);
    FAILS(TARN_EINCOMPLETE, tarn_mpool_sync(other.pool));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "1 of files"));
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 0));
    CU_ASSERT_EQUAL(unlink(path), 0);
    OK(bed_leave(&other));
    CU_ASSERT_EQUAL(symlink("moved", path), 0); /* a link is not followed */
    MUST(bed_join(&b, &other));                 /* one who has not been refused before */
    FAILS(TARN_EINCOMPLETE, tarn_mpool_sync(other.pool));
    CU_ASSERT(bed_has(&b, "moved", PAGE, 3, 0));
    OK(bed_leave(&other));
    OK(tarn_mpool_sync(b.pool));
    CU_ASSERT(bed_has(&b, "moved", PAGE, 3, 1));
    end();
}

/* Who has it read-only writes others' changes, through a way of its own. */
static void a_reader_writes_others_pages(void)
{
    struct bed other;
    tarn_mpf *its;

    begin(0, 300);
    MUST(bed_join(&b, &other));
    its = bed_file(&other, "file", PAGE, TARN_MPF_RDONLY);
    for (tarn_pgno i = 0; i < 20; i++)
        bed_change(&b, file, PAGE, i, 1);
    io_reset(&b.io);
    for (tarn_pgno i = 20; i < 300; i++)
        CU_ASSERT(bed_touch(&other, its, PAGE, i));
    CU_ASSERT_EQUAL(b.io.calls[IO_WRITE], 0);
    for (tarn_pgno i = 0; i < 20; i++) {
        void *page;

        MUST(tarn_page_get(other.th, its, i, 0, &page));
        CU_ASSERT(page_is(page, PAGE, i, 1));
        OK(tarn_page_put(other.th, page, 0));
    }
    CU_ASSERT(bed_stat(&b).evict_dirty > 0);
    OK(tarn_mpf_close(its));
    OK(bed_leave(&other));
    end();
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "W2: a pinned page is not written, and is once it is put", pinned_pages_are_not_written },
        { "W2: nor one that another participant reads", pinned_by_others },
        { "Y4: neighbours go in one call, sorted", neighbours_go_in_one_call },
        { "Y4: writes of up to 256 KiB", large_writes },
        { "M10: pages that eviction writes go in one call, too", evicted_neighbours },
        { "Y5: a pinned page parts its neighbours", a_pinned_page_parts_its_neighbours },
        { "U3 W3: dirty counts once, and is over once written", dirty_counts_once },
        { "U3: clean is not written", clean_is_not_written },
        { "U3: what nobody called dirty is not written", unsaid_changes_are_not_written },
        { "W2 W3: changed while it is written", changed_while_written },
        { "W3: pinned while it is written", pinned_while_written },
        { "M10: a page that is being written stays", written_pages_stay_meanwhile },
        { "F8 F9: closed while another participant writes", closed_while_another_writes },
        { "W4: failed writes keep their pages dirty", failed_writes_keep_their_pages },
        { "W4: a limit that the system keeps", a_limit_of_the_system },
        { "W5: others write our pages", others_write_our_pages },
        { "W5: a name that leads elsewhere", a_name_that_leads_elsewhere },
        { "W5 W6: who reads only writes others' pages", a_reader_writes_others_pages },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "write", NULL, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
