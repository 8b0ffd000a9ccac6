/* SPDX-License-Identifier: BSD-2-Clause */
/* Sync: what was dirty is in the file, the file is on the disk, and failures are told. */
#include "pool.h"
#include "proc.h"

static struct bed b;
static tarn_mpf *file;

static void begin(tarn_pgno pages)
{
    bed_make(&b, 0, 0);
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

/* ---- one process writes, another reads the file ------------------------------------------------- */

enum { SHARED_PAGES = 300 };

/* Its own environment and pool; every third page is changed, some more than once. */
static int writer(struct side *me)
{
    struct bed mine;
    tarn_mpf *f;

    if (bed_join(me->arg, &mine) != TARN_OK || bed_open_file(&mine, "file", PAGE, 0, &f) != TARN_OK)
        return 1;
    for (tarn_pgno i = 0; i < SHARED_PAGES; i += 3)
        for (unsigned salt = 1; salt <= 1 + i % 2; salt++) {
            void *page;

            if (tarn_page_get(mine.th, f, i, 0, &page) != TARN_OK)
                return 2;
            page_fill(page, PAGE, i, salt);
            if (tarn_page_put(mine.th, page, TARN_PAGE_DIRTY) != TARN_OK)
                return 3;
        }
    if (tarn_mpf_sync(f) != TARN_OK)
        return 4;
    side_here(me); /* and from here on it does nothing but have the file open */
    side_wait(me);
    return tarn_mpf_close(f) == TARN_OK && bed_leave(&mine) == TARN_OK ? 0 : 5;
}

/* Knows nothing of Tarn: open(2) and read(2).  How many pages are not what they should be. */
static int reader(struct side *me)
{
    const struct bed *bed = me->arg;
    char path[128];
    uint8_t page[PAGE];
    int fd, wrong = 0;

    bed_path(bed, "file", path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    for (tarn_pgno i = 0; i < SHARED_PAGES; i++)
        wrong += read(fd, page, PAGE) != PAGE ||
                 !page_is(page, PAGE, i, i % 3 != 0 ? 0 : 1 + (unsigned)(i % 2));
    (void)close(fd);
    return wrong > 90 ? 90 : wrong;
}

static void written_by_one_read_by_another(void)
{
    struct child w, r;

    bed_make(&b, 0, 0);
    bed_fill(&b, "file", PAGE, SHARED_PAGES);
    child_start(&w, writer, &b);
    CU_ASSERT_EQUAL_FATAL(child_await(&w), 1);
    child_start(&r, reader, &b);
    CU_ASSERT_EQUAL(child_end(&r), 0);
    child_go_on(&w);
    CU_ASSERT_EQUAL(child_end(&w), 0);
    bed_remove(&b);
}

/* Pages that one process changed and nobody has written are there for another through the pool. */
static int changer(struct side *me)
{
    struct bed mine;
    tarn_mpf *f;
    void *page;

    if (bed_join(me->arg, &mine) != TARN_OK || bed_open_file(&mine, "file", PAGE, 0, &f) != TARN_OK)
        return 1;
    for (tarn_pgno i = 0; i < 10; i++) {
        if (tarn_page_get(mine.th, f, i, 0, &page) != TARN_OK)
            return 2;
        page_fill(page, PAGE, i, 4);
        if (tarn_page_put(mine.th, page, TARN_PAGE_DIRTY) != TARN_OK)
            return 3;
    }
    return tarn_mpf_close(f) == TARN_OK && bed_leave(&mine) == TARN_OK ? 0 : 5;
}

static void changed_by_one_synced_by_another(void)
{
    struct child c;

    begin(20);
    child_start(&c, changer, &b);
    CU_ASSERT_EQUAL(child_end(&c), 0);
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 10);
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 0));
    OK(tarn_mpf_sync(file));
    for (tarn_pgno i = 0; i < 20; i++)
        CU_ASSERT(bed_has(&b, "file", PAGE, i, i < 10 ? 4 : 0));
    end();
}

/* ---- what belongs to one sync ------------------------------------------------------------------- */

static void one_file_and_all_files(void)
{
    tarn_mpf *second;

    begin(10);
    bed_fill(&b, "second", PAGE, 10);
    second = bed_file(&b, "second", PAGE, 0);
    bed_change(&b, file, PAGE, 1, 1);
    bed_change(&b, second, PAGE, 1, 1);
    io_reset(&b.io);
    OK(tarn_mpf_sync(file));
    CU_ASSERT_EQUAL(b.io.calls[IO_FSYNC], 1);
    CU_ASSERT(bed_has(&b, "file", PAGE, 1, 1));
    CU_ASSERT(bed_has(&b, "second", PAGE, 1, 0));
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 1);
    bed_change(&b, file, PAGE, 2, 1);
    io_reset(&b.io);
    OK(tarn_mpool_sync(b.pool));
    CU_ASSERT_EQUAL(b.io.calls[IO_FSYNC], 2);
    CU_ASSERT_EQUAL(b.io.calls[IO_WRITE], 2);
    CU_ASSERT(bed_has(&b, "file", PAGE, 2, 1));
    CU_ASSERT(bed_has(&b, "second", PAGE, 1, 1));
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 0);
    OK(tarn_mpf_close(second));
    end();
}

static void nothing_to_write(void)
{
    begin(10);
    OK(tarn_mpf_sync(file));
    OK(tarn_mpool_sync(b.pool));
    CU_ASSERT(bed_touch(&b, file, PAGE, 3));
    OK(tarn_mpf_sync(file));
    CU_ASSERT_EQUAL(b.io.calls[IO_WRITE], 0);
    end();
}

/* What eviction has written before is on the disk only after an fsync. */
static void evicted_pages_are_synced_too(void)
{
    begin(300);
    for (tarn_pgno i = 0; i < 300; i++)
        bed_change(&b, file, PAGE, i, 1);
    CU_ASSERT(bed_stat(&b).evict_dirty > 0);
    CU_ASSERT_EQUAL(b.io.calls[IO_FSYNC], 0);
    OK(tarn_mpf_sync(file));
    CU_ASSERT_EQUAL(b.io.calls[IO_FSYNC], 1);
    for (tarn_pgno i = 0; i < 300; i++)
        CU_ASSERT(bed_has(&b, "file", PAGE, i, 1));
    end();
}

static void read_only_handles(void)
{
    tarn_mpf *reading;

    begin(10);
    bed_change(&b, file, PAGE, 1, 1);
    reading = bed_file(&b, "file", PAGE, TARN_MPF_RDONLY);
    io_reset(&b.io);
    OK(tarn_mpf_sync(reading));
    CU_ASSERT_EQUAL(b.io.calls[IO_WRITE] + b.io.calls[IO_FSYNC], 0);
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 1);
    OK(tarn_mpf_close(reading));
    OK(tarn_mpf_sync(file));
    end();
}

static void pinned_pages_are_counted(void)
{
    void *page[3];

    begin(20);
    for (tarn_pgno i = 0; i < 20; i++)
        bed_change(&b, file, PAGE, i, 1);
    for (unsigned i = 0; i < 3; i++)
        MUST(tarn_page_get(b.th, file, 5 + i, 0, &page[i]));
    FAILS(TARN_EINCOMPLETE, tarn_mpf_sync(file));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "3 pages that stayed pinned"));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "/file"));
    FAILS(TARN_EINCOMPLETE, tarn_mpool_sync(b.pool));
    for (tarn_pgno i = 0; i < 20; i++)
        CU_ASSERT(bed_has(&b, "file", PAGE, i, i < 5 || i > 7));
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 3);
    for (unsigned i = 0; i < 3; i++)
        OK(tarn_page_put(b.th, page[i], 0));
    OK(tarn_mpf_sync(file));
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 0);
    end();
}

/* ---- fsync fails -------------------------------------------------------------------------------- */

static void a_failed_fsync_is_told(void)
{
    struct tarn_mpf_stat st;
    struct bed other;
    tarn_mpf *its;

    begin(10);
    MUST(bed_join(&b, &other));
    its = bed_file(&other, "file", PAGE, 0);
    bed_change(&b, file, PAGE, 3, 1);
    bed_change(&b, file, PAGE, 4, 1);
    b.io.err[IO_FSYNC] = TARN_EIO;
    FAILS(TARN_EIO, tarn_mpf_sync(file));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "fsync"));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "/file"));
    CU_ASSERT_EQUAL(bed_stat(&b).dirty, 2); /* the system may have dropped them */
    b.io.err[IO_FSYNC] = 0;
    FAILS(TARN_EIO, tarn_mpf_sync(file)); /* a later good one proves nothing about these */
    FAILS(TARN_EIO, tarn_mpool_sync(b.pool));
    FAILS(TARN_EIO, tarn_mpf_sync(its));
    FAILS(TARN_EIO, tarn_mpool_sync(other.pool));
    OK(tarn_mpf_stat(file, &st));
    CU_ASSERT_EQUAL(st.suspect, 1);
    CU_ASSERT(bed_touch(&b, file, PAGE, 5)); /* it can be read all the same */
    OK(tarn_mpf_close(its));
    OK(bed_leave(&other));
    OK(tarn_mpf_close(file));
    file = bed_file(&b, "file", PAGE, 0);
    bed_change(&b, file, PAGE, 3, 2);
    OK(tarn_mpf_sync(file));
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 2));
    end();
}

static void one_bad_file_among_good_ones(void)
{
    tarn_mpf *second;

    begin(10);
    bed_fill(&b, "second", PAGE, 10);
    second = bed_file(&b, "second", PAGE, 0);
    bed_change(&b, file, PAGE, 1, 1);
    b.io.err[IO_FSYNC] = TARN_EIO;
    FAILS(TARN_EIO, tarn_mpf_sync(file));
    b.io.err[IO_FSYNC] = 0;
    bed_change(&b, second, PAGE, 1, 1);
    FAILS(TARN_EIO, tarn_mpool_sync(b.pool));
    CU_ASSERT(bed_has(&b, "second", PAGE, 1, 1));
    OK(tarn_mpf_sync(second));
    OK(tarn_mpf_close(second));
    end();
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "Y7 W3: one process writes, another one reads the file", written_by_one_read_by_another },
        { "Y7: one process changes, another one syncs", changed_by_one_synced_by_another },
        { "Y7: one file, and all files", one_file_and_all_files },
        { "Y4: nothing to write", nothing_to_write },
        { "X26: pages that eviction wrote are synced, too", evicted_pages_are_synced_too },
        { "Y7: a read-only handle", read_only_handles },
        { "Y5 Y7: pinned pages are left out and counted", pinned_pages_are_counted },
        { "X26: a failed fsync is told, and not forgotten", a_failed_fsync_is_told },
        { "X26: one bad file among good ones", one_bad_file_among_good_ones },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "sync", NULL, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
