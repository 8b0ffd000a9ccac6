/* SPDX-License-Identifier: BSD-2-Clause */
/* Get: pages that are there, that are made, that cannot be read; many who want the same one. */
#include "pool.h"

#include <limits.h>

static struct bed b;
static tarn_mpf *file;
static void *page;
static tarn_pgno pgno;

static void begin_with(tarn_pgno pages, unsigned flags)
{
    bed_make(&b, 0, 0);
    bed_fill(&b, "file", PAGE, pages);
    file = bed_file(&b, "file", PAGE, flags);
    page = NULL;
    pgno = UINT64_MAX;
}

static void begin(tarn_pgno pages) { begin_with(pages, 0); }

static void end(void)
{
    CU_ASSERT_EQUAL(bed_stat(&b).pinned, 0);
    OK(tarn_mpf_close(file));
    bed_remove(&b);
}

static tarn_pgno last(void)
{
    tarn_pgno n = UINT64_MAX;

    OK(tarn_mpf_last(file, &n));
    return n;
}

/* ---- what is asked for -------------------------------------------------------------------------- */

static void illegal_calls(void)
{
    begin(4);
    for (unsigned bit = 0; bit < 32; bit++)
        if (1u << bit != TARN_GET_CREATE) {
            FAILS(TARN_EINVAL, tarn_page_get(b.th, file, 0, 1u << bit, &page));
            CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "tarn_page_get"));
        }
    FAILS(TARN_EINVAL, tarn_page_get(b.th, file, 0, TARN_GET_CREATE | 0x80, &page));
    FAILS(TARN_EINVAL, tarn_mpf_get(file, 0, UINT_MAX, &page));
    FAILS(TARN_EINVAL, tarn_page_get(b.th, file, TARN_PGNO_MAX + 1, 0, &page));
    FAILS(TARN_EINVAL, tarn_page_get(b.th, file, TARN_PGNO_MAX + 1, TARN_GET_CREATE, &page));
    FAILS(TARN_EINVAL, tarn_page_get(b.th, file, UINT64_MAX, TARN_GET_CREATE, &page));
    CU_ASSERT_PTR_NULL(page);
    CU_ASSERT_EQUAL(bed_stat(&b).pages, 0);
    CU_ASSERT_EQUAL(last(), 3);

    /* page 0 is there now: the fast way checks as well */
    CU_ASSERT(bed_touch(&b, file, PAGE, 0));
    FAILS(TARN_EINVAL, tarn_page_get(b.th, file, 0, 0x10, &page));
    CU_ASSERT_PTR_NULL(page);
    end();
}

static void illegal_words(void)
{
    begin(4);
    MUST(tarn_page_get(b.th, file, 1, 0, &page));
    FAILS(TARN_EINVAL, tarn_page_set(b.th, page, 0));
    FAILS(TARN_EINVAL, tarn_page_set(b.th, page, TARN_PAGE_DIRTY | TARN_PAGE_CLEAN));
    FAILS(TARN_EINVAL, tarn_page_put(b.th, page, TARN_PAGE_DIRTY | TARN_PAGE_CLEAN));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "combination"));
    FAILS(TARN_EINVAL, tarn_page_set(b.th, page, 0x10));
    FAILS(TARN_EINVAL, tarn_page_put(b.th, page, 0x80000000u | TARN_PAGE_DIRTY));
    CU_ASSERT_EQUAL(bed_stat(&b).pinned, 1); /* the pin stays */
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 0);
    OK(tarn_page_put(b.th, page, TARN_PAGE_CLEAN | TARN_PAGE_DISCARD));
    end();
}

static void the_thread_of_another_pool(void)
{
    struct bed other;

    begin(4);
    bed_make(&other, 0, TARN_REGION_PRIVATE);
    FAILS(TARN_EINVAL, tarn_page_get(other.th, file, 0, 0, &page));
    FAILS(TARN_EINVAL, tarn_page_new(other.th, file, &pgno, &page));
    CU_ASSERT_PTR_NULL(page);
    bed_remove(&other);
    end();
}

/* ---- hit and miss ------------------------------------------------------------------------------- */

static void read_once_then_there(void)
{
    struct tarn_mpool_stat st;
    void *again = NULL;

    begin(10);
    MUST(tarn_page_get(b.th, file, 7, 0, &page));
    CU_ASSERT(page_is(page, PAGE, 7, 0));
    CU_ASSERT_EQUAL((uintptr_t)page % PAGE, 0);
    OK(tarn_page_put(b.th, page, 0));
    for (int i = 0; i < 5; i++) {
        MUST(tarn_page_get(b.th, file, 7, i % 2 ? TARN_GET_CREATE : 0, &again));
        CU_ASSERT_PTR_EQUAL(again, page);
        OK(tarn_page_put(b.th, again, 0));
    }
    st = bed_stat(&b);
    CU_ASSERT_EQUAL(st.misses, 1);
    CU_ASSERT_EQUAL(st.hits, 5);
    CU_ASSERT_EQUAL(st.reads, 1);
    CU_ASSERT_EQUAL(st.creates, 0);
    CU_ASSERT_EQUAL(st.pages, 1);
    CU_ASSERT_EQUAL(b.io.calls[IO_READ], 1);
    CU_ASSERT_EQUAL(b.io.bytes[IO_READ], PAGE);
    end();
}

static void without_a_thread_handle(void)
{
    begin(4);
    OK(tarn_mpf_get(file, 2, 0, &page));
    CU_ASSERT(page_is(page, PAGE, 2, 0));
    OK(tarn_mpf_set(file, page, TARN_PAGE_DIRTY));
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 1);
    OK(tarn_mpf_put(file, page, TARN_PAGE_CLEAN));
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 0);
    FAILS(TARN_EINVAL, tarn_mpf_put(file, page, 0));
    end();
}

static void smallest_and_largest_pages(void)
{
    static const uint32_t sizes[] = { 512, 1024, 16384, 65536 };

    for (int i = 0; i < 4; i++) {
        bed_make(&b, 1 << 20, 0);
        bed_fill(&b, "file", sizes[i], 10);
        file = bed_file(&b, "file", sizes[i], 0);
        for (tarn_pgno p = 0; p < 10; p++)
            CU_ASSERT(bed_touch(&b, file, sizes[i], p));
        OK(tarn_page_get(b.th, file, 3, 0, &page));
        CU_ASSERT_EQUAL((uintptr_t)page % (sizes[i] < PAGE ? sizes[i] : PAGE), 0);
        OK(tarn_page_put(b.th, page, 0));
        bed_change(&b, file, sizes[i], 9, 5);
        bed_change(&b, file, sizes[i], 10, 5);
        OK(tarn_mpf_sync(file));
        CU_ASSERT(bed_has(&b, "file", sizes[i], 9, 5));
        CU_ASSERT(bed_has(&b, "file", sizes[i], 10, 5));
        CU_ASSERT(bed_has(&b, "file", sizes[i], 8, 0));
        end();
    }
}

/* ---- pages that are not there ------------------------------------------------------------------- */

static void beyond_the_end(void)
{
    begin(3);
    FAILS(TARN_ENOENT, tarn_page_get(b.th, file, 3, 0, &page));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "page 3 "));
    CU_ASSERT_PTR_NULL(page);
    CU_ASSERT_EQUAL(bed_stat(&b).pages, 0);
    CU_ASSERT_EQUAL(last(), 2);
    OK(tarn_page_get(b.th, file, 3, TARN_GET_CREATE, &page));
    CU_ASSERT(page_is_zero(page, PAGE));
    CU_ASSERT_EQUAL(last(), 3);
    CU_ASSERT_EQUAL(bed_stat(&b).creates, 1);
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 0); /* nobody has said so */
    OK(tarn_page_put(b.th, page, 0));
    OK(tarn_page_get(b.th, file, 3, 0, &page)); /* it is a page of the pool now */
    OK(tarn_page_put(b.th, page, 0));
    end();
}

static void far_beyond_the_end(void)
{
    begin(1);
    OK(tarn_page_get(b.th, file, 1000000, TARN_GET_CREATE, &page));
    CU_ASSERT(page_is_zero(page, PAGE));
    page_fill(page, PAGE, 1000000, 1);
    OK(tarn_page_put(b.th, page, TARN_PAGE_DIRTY));
    CU_ASSERT_EQUAL(last(), 1000000);
    OK(tarn_page_get(b.th, file, 5, TARN_GET_CREATE, &page));
    OK(tarn_page_put(b.th, page, 0));
    CU_ASSERT_EQUAL(last(), 1000000); /* it only rises */
    OK(tarn_mpf_sync(file));
    CU_ASSERT_EQUAL(bed_file_size(&b, "file"), 1000001LL * PAGE);
    CU_ASSERT(bed_has(&b, "file", PAGE, 1000000, 1));
    OK(tarn_page_get(b.th, file, 999, 0, &page)); /* a hole of the file */
    CU_ASSERT(page_is_zero(page, PAGE));
    OK(tarn_page_put(b.th, page, 0));
    end();
}

static void the_last_possible_page(void)
{
    begin(1);
    OK(tarn_page_get(b.th, file, TARN_PGNO_MAX, TARN_GET_CREATE, &page));
    OK(tarn_page_put(b.th, page, 0));
    CU_ASSERT_EQUAL(last(), TARN_PGNO_MAX);
    FAILS(TARN_EINVAL, tarn_page_new(b.th, file, &pgno, &page));
    CU_ASSERT_EQUAL(pgno, UINT64_MAX);
    CU_ASSERT_EQUAL(last(), TARN_PGNO_MAX);
    OK(tarn_page_last(b.th, file, &pgno, &page));
    CU_ASSERT_EQUAL(pgno, TARN_PGNO_MAX);
    OK(tarn_page_put(b.th, page, 0));
    end();
}

static void last_of_an_empty_file(void)
{
    begin(0);
    CU_ASSERT_EQUAL(last(), 0);
    FAILS(TARN_ENOENT, tarn_page_last(b.th, file, &pgno, &page));
    CU_ASSERT_EQUAL(pgno, UINT64_MAX);
    CU_ASSERT_PTR_NULL(page);
    end();
}

static void last_of_a_file(void)
{
    begin(9);
    OK(tarn_page_last(b.th, file, &pgno, &page));
    CU_ASSERT_EQUAL(pgno, 8);
    CU_ASSERT(page_is(page, PAGE, 8, 0));
    OK(tarn_page_put(b.th, page, 0));
    end();
}

/* ---- new pages ---------------------------------------------------------------------------------- */

static void new_in_an_empty_file(void)
{
    begin(0);
    OK(tarn_page_new(b.th, file, &pgno, &page));
    CU_ASSERT_EQUAL(pgno, 1);
    CU_ASSERT(page_is_zero(page, PAGE));
    OK(tarn_page_put(b.th, page, 0));
    OK(tarn_page_last(b.th, file, &pgno, &page));
    CU_ASSERT_EQUAL(pgno, 1);
    OK(tarn_page_put(b.th, page, 0));
    FAILS(TARN_ENOENT, tarn_page_get(b.th, file, 0, 0, &page));
    OK(tarn_page_get(b.th, file, 0, TARN_GET_CREATE, &page));
    OK(tarn_page_put(b.th, page, 0));
    CU_ASSERT_EQUAL(b.io.calls[IO_WRITE], 0);
    end();
}

static void new_behind_the_last(void)
{
    begin(5);
    for (tarn_pgno i = 5; i < 12; i++) {
        OK(tarn_page_new(b.th, file, &pgno, &page));
        CU_ASSERT_EQUAL(pgno, i);
        page_fill(page, PAGE, i, 3);
        OK(tarn_page_put(b.th, page, TARN_PAGE_DIRTY));
    }
    CU_ASSERT_EQUAL(b.io.calls[IO_READ], 0); /* new pages are not looked for in the file */
    CU_ASSERT_EQUAL(bed_stat(&b).creates, 7);
    CU_ASSERT_EQUAL(bed_stat(&b).misses, 0);
    OK(tarn_mpf_sync(file));
    CU_ASSERT_EQUAL(bed_file_size(&b, "file"), 12LL * PAGE);
    for (tarn_pgno i = 5; i < 12; i++)
        CU_ASSERT(bed_has(&b, "file", PAGE, i, 3));
    end();
}

/* A frame that another page has left full of its bytes. */
static void clear_len(void)
{
    struct tarn_mpf_config config = TARN_MPF_CONFIG_INIT;
    uint8_t *p;

    begin(200);
    for (tarn_pgno i = 0; i < 200; i++)
        CU_ASSERT(bed_touch(&b, file, PAGE, i));
    OK(tarn_mpf_close(file));
    config.page_size = PAGE;
    config.clear_len = 100;
    config.flags = TARN_MPF_CREATE;
    MUST(tarn_mpf_open(b.pool, "other", &config, &file));
    OK(tarn_page_new(b.th, file, &pgno, &page));
    p = page;
    CU_ASSERT(page_is_zero(p, 100));
    memset(p + 100, 1, PAGE - 100);
    OK(tarn_page_put(b.th, page, TARN_PAGE_DIRTY));
    OK(tarn_page_get(b.th, file, 7, TARN_GET_CREATE, &page));
    CU_ASSERT(page_is_zero(page, 100));
    OK(tarn_page_put(b.th, page, 0));
    end();
}

/* The file lost a part of its last page behind the pool's back. */
static void a_short_page(void)
{
    char path[128];
    uint8_t want[PAGE];

    begin(4);
    bed_path(&b, "file", path);
    CU_ASSERT_EQUAL(truncate(path, 3 * PAGE + 1000), 0);
    FAILS(TARN_EIO, tarn_page_get(b.th, file, 3, 0, &page));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "1000"));
    CU_ASSERT_PTR_NULL(page);
    CU_ASSERT_EQUAL(bed_stat(&b).pages, 0);
    OK(tarn_page_get(b.th, file, 3, TARN_GET_CREATE, &page));
    page_fill(want, PAGE, 3, 0);
    CU_ASSERT_EQUAL(memcmp(page, want, 1000), 0);
    CU_ASSERT(page_is_zero((uint8_t *)page + 1000, PAGE - 1000));
    OK(tarn_page_put(b.th, page, 0));
    end();
}

static void read_only_handles_make_pages(void)
{
    begin_with(2, TARN_MPF_RDONLY);
    OK(tarn_page_get(b.th, file, 5, TARN_GET_CREATE, &page));
    CU_ASSERT(page_is_zero(page, PAGE));
    FAILS(TARN_EACCES, tarn_page_set(b.th, page, TARN_PAGE_DIRTY));
    FAILS(TARN_EACCES, tarn_page_put(b.th, page, TARN_PAGE_DIRTY));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "read-only"));
    CU_ASSERT_EQUAL(bed_stat(&b).pinned, 1); /* the pin stays */
    OK(tarn_page_put(b.th, page, 0));
    OK(tarn_page_new(b.th, file, &pgno, &page));
    CU_ASSERT_EQUAL(pgno, 6);
    OK(tarn_page_put(b.th, page, 0));
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 0);
    end();
}

/* ---- reads that fail ---------------------------------------------------------------------------- */

static void a_failed_read_leaves_nothing(void)
{
    begin(4);
    for (int i = 0; i < 100; i++) {
        b.io.err[IO_READ] = i % 2 ? TARN_EIO : TARN_EACCES;
        FAILS(b.io.err[IO_READ], tarn_page_get(b.th, file, 2, TARN_GET_CREATE, &page));
        CU_ASSERT_PTR_NULL(page);
        CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "page 2"));
    }
    CU_ASSERT_EQUAL(bed_stat(&b).pages, 0);
    CU_ASSERT_EQUAL(bed_stat(&b).pinned, 0);
    CU_ASSERT_EQUAL(bed_stat(&b).reads, 0);
    b.io.err[IO_READ] = 0;
    for (tarn_pgno p = 0; p < 4; p++)
        CU_ASSERT(bed_touch(&b, file, PAGE, p));
    end();
}

/* Nothing of a hundred failed reads is in the way of pages: all frames are still there. */
static void failed_reads_lose_no_frame(void)
{
    uint64_t most;

    begin(400);
    for (tarn_pgno p = 0; p < 400; p++)
        CU_ASSERT(bed_touch(&b, file, PAGE, p));
    most = bed_stat(&b).pages;
    b.io.err[IO_READ] = TARN_EIO;
    for (tarn_pgno p = 0; p < 400; p++)
        (void)bed_touch(&b, file, PAGE, p);
    b.io.err[IO_READ] = 0;
    for (tarn_pgno p = 0; p < 400; p++)
        CU_ASSERT(bed_touch(&b, file, PAGE, p));
    CU_ASSERT_EQUAL(bed_stat(&b).pages, most);
    end();
}

/* ---- many who want one page --------------------------------------------------------------------- */

enum { THREADS = 4 };

static _Atomic int reading, go_on;

/* The first read waits here until the test lets it go on. */
static void hold_first_read(void *ctx, enum io_kind kind, uint64_t off, size_t len)
{
    (void)ctx;
    (void)off;
    (void)len;
    if (kind == IO_READ && atomic_fetch_add(&reading, 1) == 0)
        await(&go_on, 1);
}

struct wanter {
    pthread_t id;
    tarn_pgno pgno;
    int got;
    bool right;
};

static void *want_page(void *arg)
{
    struct wanter *w = arg;
    tarn_thread *th;
    void *p = NULL;

    w->got = tarn_mpool_thread(b.pool, &th);
    if (w->got == TARN_OK)
        w->got = tarn_page_get(th, file, w->pgno, 0, &p);
    if (w->got != TARN_OK)
        return NULL;
    w->right = page_is(p, PAGE, w->pgno, 0);
    w->got = tarn_page_put(th, p, 0);
    return NULL;
}

static void start_wanters(struct wanter w[THREADS], tarn_pgno p)
{
    atomic_store(&reading, 0);
    atomic_store(&go_on, 0);
    b.io.before = hold_first_read;
    for (int i = 0; i < THREADS; i++) {
        w[i] = (struct wanter){ .pgno = p, .got = 1 };
        CU_ASSERT_EQUAL_FATAL(pthread_create(&w[i].id, NULL, want_page, &w[i]), 0);
    }
    await(&reading, 1);
    while (bed_stat(&b).waits < THREADS - 1) /* all others have found that it is being read */
        (void)sched_yield();
}

static void end_wanters(struct wanter w[THREADS])
{
    atomic_store(&go_on, 1);
    for (int i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL(pthread_join(w[i].id, NULL), 0);
    b.io.before = NULL;
}

static void one_read_for_all(void)
{
    struct wanter w[THREADS];

    begin(8);
    start_wanters(w, 6);
    CU_ASSERT_EQUAL(bed_stat(&b).pages, 0);
    end_wanters(w);
    for (int i = 0; i < THREADS; i++) {
        OK(w[i].got);
        CU_ASSERT(w[i].right);
    }
    CU_ASSERT_EQUAL(b.io.calls[IO_READ], 1);
    CU_ASSERT_EQUAL(bed_stat(&b).misses, 1);
    CU_ASSERT_EQUAL(bed_stat(&b).hits, THREADS - 1);
    end();
}

/* Others get their pages while one read takes its time. */
static void a_slow_read_holds_nobody_else_up(void)
{
    struct wanter w[THREADS];

    begin(300);
    start_wanters(w, 6);
    for (tarn_pgno p = 10; p < 300; p++)
        CU_ASSERT(bed_touch(&b, file, PAGE, p));
    end_wanters(w);
    for (int i = 0; i < THREADS; i++)
        CU_ASSERT(w[i].got == TARN_OK && w[i].right);
    end();
}

/* The read that others wait for fails, and theirs fail, too: an error of its own for each. */
static void waiters_of_a_failed_read(void)
{
    struct wanter w[THREADS];

    begin(8);
    b.io.err[IO_READ] = TARN_EIO;
    start_wanters(w, 6);
    end_wanters(w);
    for (int i = 0; i < THREADS; i++)
        FAILS(TARN_EIO, w[i].got);
    CU_ASSERT_EQUAL(b.io.calls[IO_READ], THREADS);
    CU_ASSERT_EQUAL(bed_stat(&b).pages, 0);
    CU_ASSERT_EQUAL(bed_stat(&b).pinned, 0);
    b.io.err[IO_READ] = 0;
    CU_ASSERT(bed_touch(&b, file, PAGE, 6));
    end();
}

enum { NEW_EACH = 200 };

struct maker {
    pthread_t id;
    int got;
    tarn_pgno pgno[NEW_EACH];
};

static void *make_pages(void *arg)
{
    struct maker *m = arg;
    tarn_thread *th;

    m->got = tarn_mpool_thread(b.pool, &th);
    for (int i = 0; i < NEW_EACH && m->got == TARN_OK; i++) {
        void *p;

        m->got = tarn_page_new(th, file, &m->pgno[i], &p);
        if (m->got != TARN_OK)
            break;
        page_fill(p, PAGE, m->pgno[i], 9);
        m->got = tarn_page_put(th, p, TARN_PAGE_DIRTY);
    }
    return NULL;
}

static void new_pages_are_unique(void)
{
    static struct maker m[THREADS];
    static uint8_t seen[THREADS * NEW_EACH + 1];

    begin(0);
    memset(seen, 0, sizeof(seen));
    for (int i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&m[i].id, NULL, make_pages, &m[i]), 0);
    for (int i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL(pthread_join(m[i].id, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        OK(m[i].got);
        for (int k = 0; k < NEW_EACH; k++) {
            CU_ASSERT_FATAL(m[i].pgno[k] >= 1 && m[i].pgno[k] <= THREADS * NEW_EACH);
            CU_ASSERT_EQUAL(seen[m[i].pgno[k]]++, 0);
        }
    }
    CU_ASSERT_EQUAL(last(), THREADS * NEW_EACH);
    OK(tarn_mpf_sync(file));
    for (tarn_pgno p = 1; p <= THREADS * NEW_EACH; p++)
        CU_ASSERT(bed_has(&b, "file", PAGE, p, 9));
    end();
}

static int use_exchange(void) { return setenv("TARN_PIN", "exchange", 1); }

int main(void)
{
    static CU_TestInfo tests[] = {
        { "G1 O16: flags and page numbers that are none", illegal_calls },
        { "U1 U7 O16: words that mean nothing", illegal_words },
        { "a thread of another pool", the_thread_of_another_pool },
        { "G5 G6: read once, then there", read_once_then_there },
        { "U7: get, set and put without a thread's handle", without_a_thread_handle },
        { "pages of all sizes", smallest_and_largest_pages },
        { "G1 G7 W1: beyond the end", beyond_the_end },
        { "G7 W1: far beyond the end", far_beyond_the_end },
        { "G7: the last possible page", the_last_possible_page },
        { "G3 F4: last page of an empty file", last_of_an_empty_file },
        { "G3 F4: last page of a file", last_of_a_file },
        { "G3: the first new page of an empty file is page 1", new_in_an_empty_file },
        { "G3 G6 W1: new pages", new_behind_the_last },
        { "G6 W1 F1: clear_len bytes of a new page are zeroed", clear_len },
        { "W1: a file that ends inside a page", a_short_page },
        { "G1 U1: read-only handles make pages, but none is dirty", read_only_handles_make_pages },
        { "G6 X18: a failed read leaves nothing", a_failed_read_leaves_nothing },
        { "X18: failed reads lose no frame", failed_reads_lose_no_frame },
        { "G5: one read for all who want the page", one_read_for_all },
        { "M8: a slow read holds nobody else up", a_slow_read_holds_nobody_else_up },
        { "X18: those who wait for a failed read get their own error", waiters_of_a_failed_read },
        { "G3: no two threads get the same new page", new_pages_are_unique },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "get", NULL, NULL, NULL, NULL, tests },
        { "get by exchange", use_exchange, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
