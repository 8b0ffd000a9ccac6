/* SPDX-License-Identifier: BSD-2-Clause */
/* A pool as a whole: made, joined, closed, removed; panic, fork, statistics. */
#include "pool.h"
#include "proc.h"

#include "mpool/entry.h"

static struct bed b;
static tarn_mpf *file;

static void begin(unsigned flags)
{
    bed_make(&b, 0, flags);
    bed_fill(&b, "file", PAGE, 100);
    file = bed_file(&b, "file", PAGE, 0);
    io_reset(&b.io);
}

static void end(void)
{
    OK(tarn_mpf_close(file));
    bed_remove(&b);
}

/* A home and an environment, and no pool yet. */
static void begin_empty(void)
{
    memset(&b, 0, sizeof(b));
    home_make(&b.home);
    io_make(&b.io);
    MUST(bed_env(&b, &b.env));
}

static void end_empty(void)
{
    OK(tarn_env_close(b.env));
    CU_ASSERT_EQUAL(home_files(&b.home, 0), 0);
    home_remove(&b.home);
}

static int open_pool(const char *name, unsigned flags, uint64_t bytes, tarn_mpool **pool)
{
    struct tarn_mpool_config config = TARN_MPOOL_CONFIG_INIT;

    config.flags = flags;
    config.bytes = bytes;
    return tarn_mpool_open(b.env, name, &config, pool);
}

/* ---- opening ------------------------------------------------------------------------------------ */

static void illegal_configurations(void)
{
    static const uint32_t units[] = { 1, 511, 513, 3000, 131072 };
    struct tarn_mpool_config config = TARN_MPOOL_CONFIG_INIT;
    struct {
        struct tarn_mpool_config known;
        uint64_t unknown;
    } longer = { .known = TARN_MPOOL_CONFIG_INIT };
    tarn_mpool *pool = NULL;

    begin_empty();
    for (unsigned bit = 3; bit < 32; bit++) {
        FAILS(TARN_EINVAL, open_pool(NULL, TARN_REGION_CREATE | 1u << bit, 0, &pool));
        CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "tarn_mpool_open"));
    }
    config.flags = TARN_REGION_CREATE;
    for (int i = 0; i < 5; i++) {
        config.unit = units[i];
        FAILS(TARN_EINVAL, tarn_mpool_open(b.env, NULL, &config, &pool));
    }
    config.unit = 0;
    config.max_files = 1u << 20;
    FAILS(TARN_EINVAL, tarn_mpool_open(b.env, NULL, &config, &pool));
    config.max_files = 0;
    config.bytes = 1ULL << 50;
    FAILS(TARN_EINVAL, tarn_mpool_open(b.env, NULL, &config, &pool));
    config.bytes = 1ULL << 38; /* can be said, but not be had here */
    CU_ASSERT(tarn_mpool_open(b.env, NULL, &config, &pool) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "mpool"));
    config.bytes = 0;
    config.max_procs = 5000;
    FAILS(TARN_EINVAL, tarn_mpool_open(b.env, NULL, &config, &pool));
    config.max_procs = 0;
    FAILS(TARN_EINVAL, open_pool("a/b", TARN_REGION_CREATE, 0, &pool));

    longer.known.size = sizeof(longer);
    longer.known.flags = TARN_REGION_CREATE;
    longer.unknown = 1;
    FAILS(TARN_EVERSION, tarn_mpool_open(b.env, NULL, &longer.known, &pool));
    CU_ASSERT_PTR_NULL(pool);
    CU_ASSERT_EQUAL(home_files(&b.home, 0), 0);
    longer.unknown = 0;
    OK(tarn_mpool_open(b.env, NULL, &longer.known, &pool));
    OK(tarn_mpool_close(pool));
    OK(tarn_mpool_remove(b.env, NULL, 0));
    end_empty();
}

static void make_and_join(void)
{
    tarn_mpool *pool = NULL, *same = NULL;

    begin_empty();
    FAILS(TARN_ENOENT, open_pool(NULL, 0, 0, &pool));
    FAILS(TARN_ENOENT, tarn_mpool_open(b.env, NULL, NULL, &pool));
    CU_ASSERT_PTR_NULL(pool);
    OK(open_pool(NULL, TARN_REGION_CREATE | TARN_REGION_EXCL, 0, &pool));
    CU_ASSERT(home_has(&b.home, "mpool.tarn"));
    FAILS(TARN_EEXIST, open_pool(NULL, TARN_REGION_CREATE | TARN_REGION_EXCL, 0, &same));
    OK(open_pool("mpool", TARN_REGION_CREATE, 0, &same));
    CU_ASSERT_EQUAL(tarn_region_created(tarn_mpool_region(pool)), 1);
    CU_ASSERT_EQUAL(tarn_region_created(tarn_mpool_region(same)), 0);
    OK(tarn_mpool_close(pool));
    OK(tarn_mpool_close(same));
    OK(open_pool("second", TARN_REGION_CREATE, 0, &pool));
    OK(open_pool("mpool", 0, 0, &same)); /* a pool stays until it is removed */
    OK(tarn_mpool_close(pool));
    OK(tarn_mpool_close(same));
    OK(tarn_mpool_remove(b.env, "second", 0));
    OK(tarn_mpool_remove(b.env, NULL, 0));
    end_empty();
}

static void a_region_is_no_pool(void)
{
    tarn_mpool *pool = NULL;
    tarn_region *region = NULL;

    begin_empty();
    MUST(home_attach(b.env, "plain", TARN_REGION_CREATE, 0, &region));
    CU_ASSERT(open_pool("plain", 0, 0, &pool) < 0);
    CU_ASSERT(open_pool("plain", TARN_REGION_CREATE, 0, &pool) < 0);
    CU_ASSERT_PTR_NULL(pool);
    OK(tarn_region_detach(region));
    OK(tarn_region_remove(b.env, "plain", 0));
    OK(open_pool("pool", TARN_REGION_CREATE, 0, &pool));
    region = NULL;
    CU_ASSERT(home_attach(b.env, "pool", 0, 0, &region) < 0);
    CU_ASSERT_PTR_NULL(region);
    OK(tarn_mpool_close(pool));
    OK(tarn_mpool_remove(b.env, "pool", 0));
    end_empty();
}

/* ---- sizes -------------------------------------------------------------------------------------- */

static struct tarn_mpool_stat sizes_of(uint64_t bytes)
{
    struct tarn_mpool_stat st = { 0 };
    tarn_mpool *pool;

    MUST(open_pool(NULL, TARN_REGION_CREATE, bytes, &pool));
    OK(tarn_mpool_stat(pool, &st));
    OK(tarn_mpool_close(pool));
    OK(tarn_mpool_remove(b.env, NULL, 0));
    return st;
}

static void sizes(void)
{
    struct tarn_mpool_stat st;

    begin_empty();
    st = sizes_of(0);
    CU_ASSERT_EQUAL(st.bytes, 256 << 10);
    CU_ASSERT_EQUAL(st.unit, 4096);
    CU_ASSERT(st.region > st.bytes + st.table);
    st = sizes_of(1); /* raised to 20 KiB, which is less than an extent */
    CU_ASSERT_EQUAL(st.bytes, 64 << 10);
    CU_ASSERT_EQUAL(st.extent, 64 << 10);
    st = sizes_of((1 << 20) + 1);
    CU_ASSERT_EQUAL(st.bytes, (1 << 20) + (64 << 10));
    st = sizes_of(32 << 20);
    CU_ASSERT_EQUAL(st.bytes, 32 << 20);
    CU_ASSERT_EQUAL(st.extent, 512 << 10);
    CU_ASSERT(st.region > st.bytes + st.table);
    CU_ASSERT(st.table > 0 && st.table < st.bytes / 10);
    end_empty();
}

static void joining_with_a_size(void)
{
    tarn_mpool *pool, *same = NULL;

    begin_empty();
    MUST(open_pool(NULL, TARN_REGION_CREATE, 1 << 20, &pool));
    OK(open_pool(NULL, 0, 4096, &same));
    OK(tarn_mpool_close(same));
    OK(open_pool(NULL, TARN_REGION_CREATE, 1 << 20, &same));
    OK(tarn_mpool_close(same));
    same = NULL;
    FAILS(TARN_EINVAL, open_pool(NULL, 0, (1 << 20) + 1, &same));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "1048577"));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "1048576"));
    CU_ASSERT_PTR_NULL(same);
    OK(tarn_mpool_close(pool));
    OK(tarn_mpool_remove(b.env, NULL, 0));
    end_empty();
}

/* ---- closing and removing ----------------------------------------------------------------------- */

static void closing_closes_everything(void)
{
    struct bed other;
    tarn_mpf *f;
    void *page;
    int before;

    begin(0);
    before = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)close(before);
    for (int i = 0; i < 3; i++) {
        int after;

        MUST(bed_join(&b, &other));
        f = bed_file(&other, "file", PAGE, 0);
        f = bed_file(&other, "file", PAGE, TARN_MPF_RDONLY);
        MUST(tarn_page_get(other.th, f, 3, 0, &page));
        OK(tarn_page_put(other.th, page, 0));
        FAILS(TARN_EBUSY, tarn_env_close(other.env)); /* its pool is open */
        OK(tarn_mpool_close(other.pool));             /* and with it both files */
        OK(tarn_env_close(other.env));
        after = open("/dev/null", O_RDONLY | O_CLOEXEC);
        (void)close(after);
        CU_ASSERT_EQUAL(after, before);
    }
    CU_ASSERT_EQUAL(bed_stat(&b).procs, 1);
    CU_ASSERT_EQUAL(bed_stat(&b).files, 1);
    end();
}

static void removing(void)
{
    tarn_mpool *pool;

    begin_empty();
    FAILS(TARN_ENOENT, tarn_mpool_remove(b.env, NULL, 0));
    OK(tarn_mpool_remove(b.env, NULL, TARN_REMOVE_FORCE));
    MUST(open_pool(NULL, TARN_REGION_CREATE, 0, &pool));
    FAILS(TARN_EBUSY, tarn_mpool_remove(b.env, NULL, 0));
    CU_ASSERT(home_has(&b.home, "mpool.tarn"));
    OK(tarn_mpool_close(pool));
    OK(tarn_mpool_remove(b.env, NULL, 0));
    CU_ASSERT_EQUAL(home_files(&b.home, 0), 0);
    end_empty();
}

/* Who has the pool keeps it; who comes makes a new one. */
static void removing_by_force(void)
{
    tarn_mpool *pool;
    tarn_mpf *f;

    begin(0);
    bed_change(&b, file, PAGE, 3, 1);
    OK(tarn_mpool_remove(b.env, NULL, TARN_REMOVE_FORCE));
    CU_ASSERT_FALSE(home_has(&b.home, "mpool.tarn"));
    FAILS(TARN_ENOENT, open_pool(NULL, 0, 0, &pool));
    bed_change(&b, file, PAGE, 4, 1);
    OK(tarn_mpf_sync(file));
    CU_ASSERT(bed_has(&b, "file", PAGE, 3, 1));
    CU_ASSERT(bed_has(&b, "file", PAGE, 4, 1));
    MUST(open_pool(NULL, TARN_REGION_CREATE | TARN_REGION_EXCL, 0, &pool));
    OK(tarn_mpool_files(pool, NULL, NULL)); /* it knows no file */
    f = file;
    OK(tarn_mpool_close(pool));
    file = f;
    end();
}

/* ---- panic -------------------------------------------------------------------------------------- */

static int no_more(void *ctx, const struct tarn_mpf_stat *st)
{
    (void)st;
    ++*(int *)ctx;
    return 1;
}

static void panic_is_everywhere(void)
{
    struct tarn_mpool_stat st;
    struct tarn_mpf_stat fst;
    struct bed other, late;
    tarn_mpf *its, *f = NULL;
    tarn_pgno pgno = 0;
    void *page, *none = NULL;
    int n = 0;

    begin(0);
    MUST(bed_join(&b, &other));
    its = bed_file(&other, "file", PAGE, 0);
    MUST(tarn_page_get(b.th, file, 3, 0, &page));
    OK(tarn_region_panic(tarn_mpool_region(other.pool)));
    for (int i = 0; i < 2; i++) {
        struct bed *one = i ? &other : &b;
        tarn_mpf *its_file = i ? its : file;

        FAILS(TARN_ERUNRECOVERY, tarn_page_get(one->th, its_file, 3, 0, &none)); /* it is there */
        FAILS(TARN_ERUNRECOVERY, tarn_page_get(one->th, its_file, 50, 0, &none));
        FAILS(TARN_ERUNRECOVERY, tarn_page_new(one->th, its_file, &pgno, &none));
        FAILS(TARN_ERUNRECOVERY, tarn_mpf_get(its_file, 50, TARN_GET_CREATE, &none));
        FAILS(TARN_ERUNRECOVERY, tarn_mpf_sync(its_file));
        FAILS(TARN_ERUNRECOVERY, tarn_mpool_sync(one->pool));
        FAILS(TARN_ERUNRECOVERY, tarn_mpf_last(its_file, &pgno));
        FAILS(TARN_ERUNRECOVERY, tarn_mpf_stat(its_file, &fst));
        FAILS(TARN_ERUNRECOVERY, tarn_mpool_stat(one->pool, &st));
        FAILS(TARN_ERUNRECOVERY, tarn_mpool_files(one->pool, no_more, &n));
        FAILS(TARN_ERUNRECOVERY, bed_open_file(one, "file", PAGE, 0, &f));
        CU_ASSERT_PTR_NULL(none);
        CU_ASSERT_PTR_NULL(f);
        CU_ASSERT_EQUAL(n, 0);
    }
    FAILS(TARN_ERUNRECOVERY, tarn_page_put(b.th, page, TARN_PAGE_DIRTY));
    FAILS(TARN_ERUNRECOVERY, tarn_page_set(b.th, page, TARN_PAGE_DIRTY));
    FAILS(TARN_ERUNRECOVERY, bed_join(&b, &late));
    OK(tarn_env_close(late.env));
    CU_ASSERT(tarn_mpool_close(other.pool) == TARN_OK ||
              tarn_mpool_remove(b.env, NULL, 0) == TARN_EBUSY);
    OK(tarn_env_close(other.env));
    (void)tarn_mpool_close(b.pool);
    OK(tarn_mpool_remove(b.env, NULL, TARN_REMOVE_FORCE));
    OK(tarn_env_close(b.env));
    CU_ASSERT_EQUAL(home_files(&b.home, 0), 1); /* the page file */
    home_remove(&b.home);
}

/* ---- statistics --------------------------------------------------------------------------------- */

static int check_file_stat(void *ctx, const struct tarn_mpf_stat *st)
{
    struct tarn_mpf_stat *sum = ctx;

    sum->hits += st->hits;
    sum->misses += st->misses;
    sum->creates += st->creates;
    sum->reads += st->reads;
    sum->writes += st->writes;
    sum->pages += st->pages;
    sum->dirty += st->dirty;
    sum->openers += st->openers;
    return 0;
}

static void statistics(void)
{
    struct tarn_mpf_stat one, sum = { .openers = 0 };
    struct tarn_mpool_stat st;
    struct bed other;
    tarn_mpf *second, *its;
    void *page;

    begin(0);
    MUST(bed_join(&b, &other));
    bed_fill(&b, "second", 1024, 10);
    second = bed_file(&b, "second", 1024, 0);
    its = bed_file(&other, "file", PAGE, 0);
    for (int i = 0; i < 3; i++)
        for (tarn_pgno p = 0; p < 10; p++) {
            CU_ASSERT(bed_touch(&b, file, PAGE, p));
            CU_ASSERT(bed_touch(&b, second, 1024, p));
            CU_ASSERT(bed_touch(&other, its, PAGE, p));
        }
    bed_change(&b, second, 1024, 10, 1);
    bed_change(&b, second, 1024, 3, 1);
    bed_change(&b, file, PAGE, 3, 1);
    OK(tarn_mpf_sync(second));

    OK(tarn_mpf_stat(file, &one));
    CU_ASSERT_EQUAL(one.page_size, PAGE);
    CU_ASSERT_EQUAL(one.openers, 2);
    CU_ASSERT_EQUAL(one.last, 99);
    CU_ASSERT_EQUAL(one.misses, 10);
    CU_ASSERT_EQUAL(one.hits, 51);
    CU_ASSERT_EQUAL(one.reads, 10);
    CU_ASSERT_EQUAL(one.dirty, 1);
    CU_ASSERT_EQUAL(one.suspect, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(one.path, "/file"));
    OK(tarn_mpf_stat(second, &one));
    CU_ASSERT_EQUAL(one.misses, 11);
    CU_ASSERT_EQUAL(one.hits, 21);
    CU_ASSERT_EQUAL(one.creates, 1);
    CU_ASSERT_EQUAL(one.writes, 2);
    CU_ASSERT_EQUAL(one.last, 10);
    CU_ASSERT_EQUAL(one.pages, 11);

    MUST(tarn_page_get(other.th, its, 3, 0, &page));
    OK(tarn_mpool_files(b.pool, check_file_stat, &sum));
    OK(tarn_mpool_stat(b.pool, &st));
    CU_ASSERT_EQUAL(st.files, 2);
    CU_ASSERT_EQUAL(st.procs, 2);
    CU_ASSERT_EQUAL(st.threads, 2);
    CU_ASSERT_EQUAL(st.hits, sum.hits);
    CU_ASSERT_EQUAL(st.misses, sum.misses);
    CU_ASSERT_EQUAL(st.creates, sum.creates);
    CU_ASSERT_EQUAL(st.reads, sum.reads);
    CU_ASSERT_EQUAL(st.writes, sum.writes);
    CU_ASSERT_EQUAL(st.pages, sum.pages);
    CU_ASSERT_EQUAL(st.dirty, sum.dirty);
    CU_ASSERT_EQUAL(st.pinned, 1);
    CU_ASSERT_EQUAL(sum.openers, 3);
    CU_ASSERT_EQUAL(st.evict_clean + st.evict_dirty, 0);
    CU_ASSERT(st.hash_entries >= st.pages);
    CU_ASSERT(st.hash_searches >= st.misses);
    OK(tarn_page_put(other.th, page, 0));
    OK(tarn_mpool_stat(other.pool, &st)); /* the same from everywhere */
    CU_ASSERT_EQUAL(st.hits, sum.hits);
    OK(tarn_mpf_close(its));
    OK(bed_leave(&other));
    OK(tarn_mpf_close(second));
    end();
}

static void lists_end_early_and_may_be_empty(void)
{
    int n = 0;

    begin(0);
    bed_fill(&b, "second", PAGE, 1);
    CU_ASSERT_PTR_NOT_NULL(bed_file(&b, "second", PAGE, 0));
    OK(tarn_mpool_files(b.pool, no_more, &n));
    CU_ASSERT_EQUAL(n, 1);
    OK(tarn_mpool_close(b.pool));
    MUST(open_pool(NULL, 0, 0, &b.pool));
    n = 0;
    OK(tarn_mpool_files(b.pool, no_more, &n));
    CU_ASSERT_EQUAL(n, 0);
    bed_remove(&b);
}

/* A file that takes an old one's record does not inherit its numbers. */
static void records_start_from_nothing(void)
{
    struct tarn_mpf_stat st;

    begin(0);
    for (tarn_pgno p = 0; p < 20; p++)
        CU_ASSERT(bed_touch(&b, file, PAGE, p / 2));
    OK(tarn_mpf_close(file));
    bed_fill(&b, "other", PAGE, 3);
    file = bed_file(&b, "other", PAGE, 0);
    OK(tarn_mpf_stat(file, &st));
    CU_ASSERT_EQUAL(st.hits + st.misses + st.reads + st.creates + st.writes, 0);
    CU_ASSERT_EQUAL(st.last, 2);
    CU_ASSERT(bed_touch(&b, file, PAGE, 1));
    CU_ASSERT(bed_touch(&b, file, PAGE, 1));
    OK(tarn_mpf_stat(file, &st));
    CU_ASSERT_EQUAL(st.hits, 1);
    CU_ASSERT_EQUAL(st.misses, 1);
    end();
}

/* From the 32nd file on hits are counted together. */
static void hits_of_many_files(void)
{
    struct tarn_mpf_stat st;
    tarn_mpf *files[40];
    char name[16];

    bed_make(&b, 1 << 20, 0);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(name, sizeof(name), "f%d", i);
        bed_fill(&b, name, 512, 1);
        files[i] = bed_file(&b, name, 512, 0);
        for (int k = 0; k < 3; k++)
            CU_ASSERT(bed_touch(&b, files[i], 512, 0));
        OK(tarn_mpf_stat(files[i], &st));
        CU_ASSERT_EQUAL(st.hits, i < 31 ? 2 : UINT64_MAX);
        CU_ASSERT_EQUAL(st.misses, 1);
    }
    CU_ASSERT_EQUAL(bed_stat(&b).hits, 80);
    bed_remove(&b);
}

/* ---- two files, the same page numbers ----------------------------------------------------------- */

static void the_same_number_of_two_files(void)
{
    tarn_mpf *second;
    void *one, *two;

    begin(0);
    bed_fill(&b, "second", PAGE, 100);
    second = bed_file(&b, "second", PAGE, 0);
    for (tarn_pgno p = 0; p < 30; p++) {
        bed_change(&b, file, PAGE, p, 1);
        bed_change(&b, second, PAGE, p, 2);
    }
    for (tarn_pgno p = 0; p < 30; p++) {
        MUST(tarn_page_get(b.th, file, p, 0, &one));
        MUST(tarn_page_get(b.th, second, p, 0, &two));
        CU_ASSERT_PTR_NOT_EQUAL(one, two);
        CU_ASSERT(page_is(one, PAGE, p, 1));
        CU_ASSERT(page_is(two, PAGE, p, 2));
        OK(tarn_page_put(b.th, one, 0));
        OK(tarn_page_put(b.th, two, 0));
    }
    OK(tarn_mpool_sync(b.pool));
    for (tarn_pgno p = 0; p < 30; p++) {
        CU_ASSERT(bed_has(&b, "file", PAGE, p, 1));
        CU_ASSERT(bed_has(&b, "second", PAGE, p, 2));
    }
    OK(tarn_mpf_close(second));
    end();
}

/* ---- private pools ------------------------------------------------------------------------------ */

static void use_private_pool(void)
{
    for (tarn_pgno p = 0; p < 100; p++)
        bed_change(&b, file, PAGE, p, 1);
    OK(tarn_mpf_sync(file));
    for (tarn_pgno p = 0; p < 100; p++)
        CU_ASSERT(bed_has(&b, "file", PAGE, p, 1));
    CU_ASSERT(bed_stat(&b).evict_dirty > 0);
}

static void private_in_a_home(void)
{
    tarn_mpool *pool = NULL;

    begin(TARN_REGION_PRIVATE);
    CU_ASSERT_EQUAL(home_files(&b.home, 0), 1); /* the page file alone */
    FAILS(TARN_ENOENT, open_pool(NULL, 0, 0, &pool));
    use_private_pool();
    end();
}

static void private_without_a_home(void)
{
    struct tarn_env_config env = TARN_ENV_CONFIG_INIT;
    struct tarn_mpf_config config = TARN_MPF_CONFIG_INIT;
    tarn_mpool *second;
    char path[128];

    memset(&b, 0, sizeof(b));
    home_make(&b.home);
    MUST(tarn_env_open(&env, &b.env));
    MUST(open_pool(NULL, TARN_REGION_CREATE, 0, &b.pool));
    MUST(open_pool(NULL, TARN_REGION_CREATE, 0, &second)); /* another one */
    MUST(tarn_mpool_thread(b.pool, &b.th));
    bed_fill(&b, "file", PAGE, 100);
    bed_path(&b, "file", path);
    config.page_size = PAGE;
    MUST(tarn_mpf_open(b.pool, path, &config, &file));
    use_private_pool();
    OK(tarn_mpool_close(second));
    end();
}

/* ---- fork --------------------------------------------------------------------------------------- */

static tarn_mpf *forked_file;
static void *forked_page;

static int child_uses_parents(struct side *me)
{
    struct tarn_mpool_stat st;
    tarn_thread *th = NULL;
    tarn_pgno pgno;
    void *page = NULL;

    (void)me;
    if (tarn_page_get(b.th, forked_file, 3, 0, &page) != TARN_EFORK)
        return 1;
    if (tarn_page_get(b.th, forked_file, 90, TARN_GET_CREATE, &page) != TARN_EFORK)
        return 2;
    if (tarn_page_put(b.th, forked_page, 0) != TARN_EFORK)
        return 3;
    if (tarn_page_put(b.th, forked_page, TARN_PAGE_DIRTY) != TARN_EFORK)
        return 4;
    if (tarn_page_set(b.th, forked_page, TARN_PAGE_DIRTY) != TARN_EFORK)
        return 5;
    if (tarn_mpf_get(forked_file, 3, 0, &page) != TARN_EFORK)
        return 6;
    if (tarn_page_new(b.th, forked_file, &pgno, &page) != TARN_EFORK)
        return 7;
    if (tarn_mpf_sync(forked_file) != TARN_EFORK || tarn_mpool_sync(b.pool) != TARN_EFORK)
        return 8;
    if (tarn_mpool_stat(b.pool, &st) != TARN_EFORK)
        return 9;
    if (tarn_mpool_thread(b.pool, &th) != TARN_EFORK)
        return 10;
    return page == NULL && th == NULL ? 0 : 11;
}

/* It closes what it inherited: the parent does not notice. */
static int child_closes_parents(struct side *me)
{
    (void)me;
    (void)tarn_mpool_close(b.pool);
    return 0;
}

static int child_reattaches(struct side *me)
{
    tarn_thread *th;
    void *page;

    (void)me;
    if (tarn_env_reattach(b.env) != TARN_OK)
        return 1;
    if (tarn_mpool_thread(b.pool, &th) != TARN_OK)
        return 2;
    if (tarn_page_get(th, forked_file, 5, 0, &page) != TARN_OK || !page_is(page, PAGE, 5, 0))
        return 3;
    page_fill(page, PAGE, 5, 1);
    if (tarn_page_put(th, page, TARN_PAGE_DIRTY) != TARN_OK)
        return 4;
    if (tarn_page_put(th, forked_page, 0) != TARN_EINVAL)
        return 5; /* the pin is the parent's */
    if (tarn_mpf_sync(forked_file) != TARN_OK)
        return 6;
    return tarn_mpf_close(forked_file) == TARN_OK && tarn_mpool_close(b.pool) == TARN_OK ? 0 : 7;
}

static void fork_with(int (*child)(struct side *me))
{
    struct child c;

    begin(0);
    forked_file = file;
    MUST(tarn_page_get(b.th, file, 3, 0, &forked_page));
    bed_change(&b, file, PAGE, 4, 1);
    child_start(&c, child, NULL);
    CU_ASSERT_EQUAL(child_end(&c), 0);
    CU_ASSERT(page_is(forked_page, PAGE, 3, 0));
    CU_ASSERT_EQUAL(bed_stat(&b).pinned, 1);
    CU_ASSERT_EQUAL(bed_stat(&b).procs, 1);
    OK(tarn_page_put(b.th, forked_page, 0));
    OK(tarn_mpf_sync(file));
    CU_ASSERT(bed_has(&b, "file", PAGE, 4, 1));
    CU_ASSERT(bed_has(&b, "file", PAGE, 5, child == child_reattaches));
    end();
}

static void a_child_gets_efork(void) { fork_with(child_uses_parents); }
static void a_child_closes(void) { fork_with(child_closes_parents); }
static void a_child_reattaches(void) { fork_with(child_reattaches); }

/* ---- pins by exchange and by barrier ------------------------------------------------------------ */

static void pin_modes(void)
{
    const char *before = getenv("TARN_PIN");
    char *kept = before != NULL ? strdup(before) : NULL;
    tarn_mpool *pool = NULL;

    CU_ASSERT_EQUAL(setenv("TARN_PIN", "exchange", 1), 0);
    begin(0);
    CU_ASSERT_EQUAL(bed_stat(&b).pin_exchange, 1);
    CU_ASSERT_EQUAL(unsetenv("TARN_PIN"), 0);
    MUST(open_pool(NULL, 0, 0, &pool)); /* who joins does as the maker */
    CU_ASSERT_TRUE(pool->exchange);
    OK(tarn_mpool_close(pool));
    for (tarn_pgno p = 0; p < 100; p++)
        CU_ASSERT(bed_touch(&b, file, PAGE, p));
    CU_ASSERT_EQUAL(bed_stat(&b).barriers, 0);
    end();
    begin_empty();
    CU_ASSERT_EQUAL(setenv("TARN_PIN", "perhaps", 1), 0);
    pool = NULL;
    FAILS(TARN_EINVAL, open_pool(NULL, TARN_REGION_CREATE, 0, &pool));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "perhaps"));
    CU_ASSERT_PTR_NULL(pool);
    end_empty();
    CU_ASSERT_EQUAL(kept != NULL ? setenv("TARN_PIN", kept, 1) : unsetenv("TARN_PIN"), 0);
    free(kept);
}

static void pins_by_barrier(void)
{
    if (getenv("TARN_PIN") != NULL)
        SKIP("TARN_PIN is set");
    begin(0);
    if (bed_stat(&b).pin_exchange != 0) {
        end();
        SKIP("no barrier here");
    }
    for (tarn_pgno p = 0; p < 100; p++)
        CU_ASSERT(bed_touch(&b, file, PAGE, p));
    CU_ASSERT(bed_stat(&b).barriers > 0);
    CU_ASSERT(bed_stat(&b).barriers < 100); /* one for several pages */
    end();
}

/* ---- threads ------------------------------------------------------------------------------------ */

static void *thread_handles(void *arg)
{
    tarn_thread *th = NULL, *again = NULL;
    int *got = arg;

    *got = tarn_mpool_thread(b.pool, &th);
    if (*got == TARN_OK)
        *got = tarn_mpool_thread(b.pool, &again);
    if (*got == TARN_OK && (th != again || th == b.th))
        *got = 1;
    return NULL;
}

static void a_handle_for_each_thread(void)
{
    struct tarn_mpool_config config = TARN_MPOOL_CONFIG_INIT;
    pthread_t id;
    int got;

    config.max_threads = 16;
    bed_make_as(&b, config);
    for (int i = 0; i < 100; i++) { /* handles of threads that have ended are used again */
        got = 2;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&id, NULL, thread_handles, &got), 0);
        CU_ASSERT_EQUAL(pthread_join(id, NULL), 0);
        OK(got);
    }
    CU_ASSERT_EQUAL(bed_stat(&b).threads, 1);
    bed_remove(&b);
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "M1 O16: configurations that are none", illegal_configurations },
        { "M1 M2 M4 R11: made once, joined by all others", make_and_join },
        { "M4 X1: a region is no pool, a pool no region", a_region_is_no_pool },
        { "M3 Y9: sizes by default, least, rounded, reported", sizes },
        { "M3 R16 X2: joining with a size", joining_with_a_size },
        { "M5 X13: closing closes everything", closing_closes_everything },
        { "M6 R25: removing", removing },
        { "M6 R26: removing by force", removing_by_force },
        { "M6 Y12 X13: panic is everywhere", panic_is_everywhere },
        { "Y9 Y10: statistics add up", statistics },
        { "Y10: lists end early, and may be empty", lists_end_early_and_may_be_empty },
        { "Y9: records start from nothing", records_start_from_nothing },
        { "Y9: hits of many files", hits_of_many_files },
        { "M9: the same page number of two files is two pages", the_same_number_of_two_files },
        { "M2 R9: a private pool in a home", private_in_a_home },
        { "M2 R8: a private pool without a home", private_without_a_home },
        { "a child of fork gets TARN_EFORK", a_child_gets_efork },
        { "a child of fork closes what it inherited", a_child_closes },
        { "a child of fork reattaches", a_child_reattaches },
        { "TARN_PIN", pin_modes },
        { "pins by barrier", pins_by_barrier },
        { "a handle for each thread", a_handle_for_each_thread },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "pool", NULL, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
