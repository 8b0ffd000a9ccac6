/* SPDX-License-Identifier: BSD-2-Clause */
/* Several page sizes in one pool: each has its least, and room moves to where it is wanted. */
#include "pool.h"

#include "mpool/extent.h"
#include "mpool/plan.h"

enum { SIZES = 8 };

static struct bed b;
static tarn_mpf *file[SIZES];

static uint32_t size_of(unsigned s) { return 512u << s; }

static const char *name_of(unsigned s)
{
    static const char *const names[SIZES] = { "f512", "f1k",  "f2k",  "f4k",
                                              "f8k",  "f16k", "f32k", "f64k" };

    return names[s];
}

static void begin(uint64_t bytes, uint32_t unit)
{
    struct tarn_mpool_config config = TARN_MPOOL_CONFIG_INIT;

    config.bytes = bytes;
    config.unit = unit;
    bed_make_as(&b, config);
    memset(file, 0, sizeof(file));
}

static int open_size(unsigned s, tarn_pgno pages)
{
    bed_fill(&b, name_of(s), size_of(s), pages);
    return bed_open_file(&b, name_of(s), size_of(s), 0, &file[s]);
}

static void end(void)
{
    CU_ASSERT_EQUAL(bed_stat(&b).pinned, 0);
    for (unsigned s = 0; s < SIZES; s++)
        if (file[s] != NULL)
            OK(tarn_mpf_close(file[s]));
    bed_remove(&b);
}

static uint32_t extents_of(unsigned s) { return atomic_load(&b.pool->header->extents_of[s]); }

/* ---- all sizes ---------------------------------------------------------------------------------- */

static void read_all(unsigned s, tarn_pgno pages)
{
    for (tarn_pgno i = 0; i < pages; i++)
        CU_ASSERT(bed_touch(&b, file[s], size_of(s), i));
}

static void change_all(unsigned s, tarn_pgno pages, unsigned salt)
{
    for (tarn_pgno i = 0; i < pages; i++)
        bed_change(&b, file[s], size_of(s), i, salt);
}

static void all_sizes_in_one_pool(uint64_t bytes, uint32_t unit)
{
    begin(bytes, unit);
    CU_ASSERT_EQUAL(bed_stat(&b).unit, unit);
    for (unsigned s = 0; s < SIZES; s++)
        MUST(open_size(s, 40));
    for (int round = 0; round < 2; round++)
        for (unsigned s = 0; s < SIZES; s++)
            read_all(s, 40);
    for (unsigned s = 0; s < SIZES; s++)
        change_all(s, 40, 1);
    OK(tarn_mpool_sync(b.pool));
    for (unsigned s = 0; s < SIZES; s++)
        for (tarn_pgno i = 0; i < 40; i++)
            CU_ASSERT(bed_has(&b, name_of(s), size_of(s), i, 1));
    end();
}

static void units_of_512(void) { all_sizes_in_one_pool(0, 512); }
static void units_of_4096(void) { all_sizes_in_one_pool(1 << 20, 4096); }
static void units_of_65536(void) { all_sizes_in_one_pool(4 << 20, 65536); }

/* Eight pages of every size can be pinned at once, and are different memory. */
static void eight_pages_of_each(void)
{
    void *page[SIZES][8];

    begin(0, 512);
    for (unsigned s = 0; s < SIZES; s++)
        MUST(open_size(s, 40));
    for (unsigned s = 1; s < SIZES; s++) /* 512: one of its frames keeps further pins */
        read_all(s, 40);
    for (unsigned s = 0; s < SIZES; s++)
        for (tarn_pgno i = 0; i < 8; i++) {
            MUST(tarn_page_get(b.th, file[s], i * 3, 0, &page[s][i]));
            page_fill(page[s][i], size_of(s), i * 3, 10 + s);
        }
    for (unsigned s = 0; s < SIZES; s++)
        for (tarn_pgno i = 0; i < 8; i++) {
            CU_ASSERT(page_is(page[s][i], size_of(s), i * 3, 10 + s));
            OK(tarn_page_put(b.th, page[s][i], TARN_PAGE_DIRTY));
        }
    OK(tarn_mpool_sync(b.pool));
    for (unsigned s = 0; s < SIZES; s++)
        for (tarn_pgno i = 0; i < 8; i++)
            CU_ASSERT(bed_has(&b, name_of(s), size_of(s), i * 3, 10 + s));
    end();
}

/* ---- a size that is new to a full pool ---------------------------------------------------------- */

/* Give all extents, the spare ones too, to pages of 4 KiB. */
static void take_everything(void)
{
    begin(1 << 20, 4096);
    MUST(open_size(3, 600));
    change_all(3, 600, 1);
}

static void a_new_size_in_a_full_pool(void)
{
    take_everything();
    MUST(open_size(6, 20));
    read_all(6, 20);
    MUST(open_size(0, 20));
    read_all(0, 20);
    OK(tarn_mpool_sync(b.pool));
    for (tarn_pgno i = 0; i < 600; i++)
        CU_ASSERT(bed_has(&b, "f4k", PAGE, i, 1));
    end();
}

/* Sizes below the unit have no spare extents of their own: theirs come from others. */
static void taken_from_others(void)
{
    uint32_t before;

    take_everything();
    for (unsigned s = 4; s < SIZES; s++)
        MUST(open_size(s, 40));
    before = extents_of(3);
    for (unsigned s = 0; s < 3; s++) {
        MUST(open_size(s, 100));
        read_all(s, 100);
    }
    CU_ASSERT(extents_of(3) < before);
    OK(tarn_mpool_sync(b.pool));
    for (tarn_pgno i = 0; i < 600; i++) /* what was drained was written before */
        CU_ASSERT(bed_has(&b, "f4k", PAGE, i, 1));
    read_all(4, 40);
    end();
}

/* Nothing can be had for a size of which nobody has a page yet: said with the numbers. */
static void no_room_for_a_new_size(void)
{
    int ret = TARN_OK;
    unsigned s;

    begin(1, 4096);
    for (s = 3; s < SIZES; s++)
        MUST(open_size(s, 40));
    for (s = 0; s < 3 && ret == TARN_OK; s++)
        ret = open_size(s, 40);
    if (ret != TARN_OK) {
        FAILS(TARN_ENOSPC, ret);
        CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "no room for pages of"));
        CU_ASSERT_PTR_NULL(file[s - 1]);
    }
    for (s = 3; s < SIZES; s++)
        read_all(s, 40);
    end();
}

/* Extents with pinned pages do not move. */
static void pinned_extents_stay(void)
{
    enum { MOST = 400 };
    static void *page[MOST];
    unsigned n = 0;
    int ret = TARN_OK;

    begin(1, 4096);
    MUST(open_size(3, MOST));
    for (unsigned s = 4; s < SIZES; s++)
        MUST(open_size(s, 40));
    while (n < 15) {
        MUST(tarn_page_get(b.th, file[3], n, 0, &page[n]));
        n++;
    }
    for (unsigned s = 0; s < 3 && ret == TARN_OK; s++)
        ret = open_size(s, 10);
    for (unsigned i = 0; i < n; i++)
        CU_ASSERT(page_is(page[i], PAGE, i, 0));
    while (n > 0)
        OK(tarn_page_put(b.th, page[--n], 0));
    end();
}

/* ---- moving with the load ----------------------------------------------------------------------- */

/* All room is 4 KiB pages; then only pages of 16 KiB are wanted: they get more of it. */
static void room_moves_to_where_it_is_missed(void)
{
    uint32_t before, after;

    take_everything();
    MUST(open_size(5, 300));
    before = extents_of(5);
    for (int round = 0; round < 25; round++)
        read_all(5, 300);
    after = extents_of(5);
    CU_ASSERT(after > before);
    CU_ASSERT(extents_of(3) >= 1);
    for (int round = 0; round < 8; round++) /* and back, as the load goes back */
        for (tarn_pgno i = 0; i < 600; i++) {
            void *page;

            MUST(tarn_page_get(b.th, file[3], i, 0, &page));
            CU_ASSERT(page_is(page, PAGE, i, 1));
            OK(tarn_page_put(b.th, page, 0));
        }
    CU_ASSERT(extents_of(5) < after);
    OK(tarn_mpool_sync(b.pool));
    for (tarn_pgno i = 0; i < 600; i++)
        CU_ASSERT(bed_has(&b, "f4k", PAGE, i, 1));
    end();
}

/* Every extent is of one size or free, and the counts say so. */
static void the_counts_are_right(void)
{
    uint32_t used[PAGE_CLASSES] = { 0 }, n_free = 0;

    begin(1 << 20, 512);
    for (unsigned s = 0; s < SIZES; s++)
        MUST(open_size(s, 40));
    for (int round = 0; round < 30; round++)
        read_all((unsigned)round % SIZES, 40);
    for (uint32_t i = 0; i < b.pool->header->extents; i++) {
        uint64_t word = atomic_load(&b.pool->extent[i]);

        CU_ASSERT_EQUAL(word >> 32, 0); /* nobody is at it */
        if ((word & 0xff) == EXTENT_USED)
            used[((uint32_t)word >> 8) - 1]++;
        n_free += (word & 0xff) == EXTENT_FREE;
    }
    for (unsigned s = 0; s < SIZES; s++)
        CU_ASSERT_EQUAL(used[s], extents_of(s));
    CU_ASSERT_EQUAL(n_free, atomic_load(&b.pool->header->extents_free));
    CU_ASSERT_EQUAL(bed_stat(&b).extent, 64 << 10);
    end();
}

/* ---- who was killed in the middle --------------------------------------------------------------- */

static uint64_t word_of(uint32_t class_, enum extent_state state, uint32_t tag)
{
    return (uint64_t)tag << 32 | (class_ + 1) << 8 | (uint64_t)state;
}

static uint32_t words_used(uint32_t class_)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < b.pool->header->extents; i++)
        n += atomic_load(&b.pool->extent[i]) == word_of(class_, EXTENT_USED, 0);
    return n;
}

/* The n-th extent (from 1) that is of class and in use. */
static uint32_t extent_used(uint32_t class_, uint32_t n)
{
    uint32_t i = 0;

    for (;; i++) {
        CU_ASSERT_FATAL(i < b.pool->header->extents);
        n -= atomic_load(&b.pool->extent[i]) == word_of(class_, EXTENT_USED, 0);
        if (n == 0)
            return i;
    }
}

/* Repair for this thread's own lane, as if it had died while it drained extent. */
static void undo_draining(uint32_t extent, uint32_t class_)
{
    atomic_store(&b.th->part->extent, extent + 1);
    atomic_store(&b.pool->extent[extent], word_of(class_, EXTENT_DRAINING, b.th->tag));
    extent_repair(b.pool, b.th->lane, b.th->tag);
    atomic_store(&b.th->part->extent, 0);
    CU_ASSERT_EQUAL(atomic_load(&b.pool->extent[extent]), word_of(class_, EXTENT_USED, 0));
}

/* What a drainer turned carries its tag; NONE without it is the inside of a larger page. */
static void only_the_tagged_come_back(void)
{
    uint32_t extent, f, hint;

    begin(0, 4096);
    MUST(open_size(3, 4));
    extent = extent_used(3, 1);
    f = extent * pool_extent_units(b.pool);
    for (uint32_t i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(atomic_load(&b.pool->frames[f + i].own), own_make(FRAME_FREE, 0));
    atomic_store(&b.pool->frames[f].own, own_make(FRAME_NONE, b.th->tag));
    atomic_store(&b.pool->frames[f + 1].own, own_make(FRAME_NONE, 0));
    hint = atomic_load(&b.pool->header->free_hint[3]);
    undo_draining(extent, 3);
    CU_ASSERT_EQUAL(atomic_load(&b.pool->frames[f].own), own_make(FRAME_FREE, 0));
    CU_ASSERT_EQUAL(atomic_load(&b.pool->frames[f + 1].own), own_make(FRAME_NONE, 0));
    CU_ASSERT(atomic_load(&b.pool->header->free_hint[3]) > hint);
    atomic_store(&b.pool->frames[f + 1].own, own_make(FRAME_FREE, 0));
    end();
}

/* Counts that a death left wrong hurt nobody, and do not stay. */
static void wrong_counts_heal(void)
{
    uint32_t used;

    begin(1 << 20, 4096);
    CU_ASSERT_EQUAL(extent_smallest_class(b.pool), 3); /* nothing is in use: the unit's */
    MUST(open_size(4, 20));
    MUST(open_size(6, 20));
    read_all(4, 20);
    used = words_used(4);
    for (uint32_t c = 0; c < PAGE_CLASSES; c++)
        atomic_store(&b.pool->header->extents_of[c], 0);
    CU_ASSERT_EQUAL(extent_smallest_class(b.pool), 4);
    OK(extent_ensure(b.th, 4));
    CU_ASSERT_EQUAL(words_used(4), used); /* it has its least already */
    atomic_store(&b.pool->header->extents_free, 0);
    atomic_store(&b.pool->header->misses_of[4], 5000);
    extent_balance(b.th, 4);
    CU_ASSERT_EQUAL(extents_of(4), words_used(4));
    CU_ASSERT_EQUAL(extents_of(6), words_used(6));
    CU_ASSERT_NOT_EQUAL(atomic_load(&b.pool->header->extents_free), 0);
    end();
}

/* ---- several who move extents ------------------------------------------------------------------- */

static uint32_t spare; /* the first one */

/* A pool of n extents, all of them of 64 KiB pages, which need 8.  The spare ones are hidden. */
static void all_large(uint32_t n)
{
    begin((uint64_t)n << 16, 4096);
    spare = b.pool->header->extents_spare;
    b.pool->header->extents_spare = b.pool->header->extents;
    MUST(open_size(7, 20));
    while (extent_take(b.th, 7) == 0)
        ;
    CU_ASSERT_EQUAL_FATAL(extents_of(7), n);
}

/* What a size has beyond its least is on its way already: nobody takes more of it. */
static void the_least_is_not_drained(void)
{
    uint32_t extent;

    all_large(9);
    extent = extent_used(7, 1);
    atomic_store(&b.pool->extent[extent], word_of(7, EXTENT_DRAINING, b.th->tag + 1));
    FAILS(TARN_ENOSPC, extent_ensure(b.th, 3));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "there is no spare one"));
    CU_ASSERT_EQUAL(words_used(7), 8);
    atomic_store(&b.pool->extent[extent], word_of(7, EXTENT_USED, 0));
    OK(extent_ensure(b.th, 3));
    CU_ASSERT_EQUAL(words_used(7), 8);
    CU_ASSERT_EQUAL(words_used(3), 1);
    end();
}

/* The system gives no memory for an extent that the pool may still grow by: said, not "in use". */
static void memory_is_refused(void)
{
    struct region_header *h;
    uint64_t reserve;

    all_large(8);
    CU_ASSERT_FATAL(spare < b.pool->header->extents);
    b.pool->header->extents_spare = spare;
    h = b.pool->region->header;
    reserve = h->reserve;
    h->reserve = h->end_off;
    FAILS(TARN_ENOSPC, extent_ensure(b.th, 3));
    CU_ASSERT_PTR_NOT_NULL(strstr(tarn_last_message(), "memory for a spare one is refused"));
    h->reserve = reserve;
    OK(extent_ensure(b.th, 3));
    end();
}

struct taker {
    pthread_t id;
    pthread_barrier_t *start;
    uint32_t class_;
    int ret;
};

static void *take(void *arg)
{
    struct taker *t = arg;
    tarn_thread *th;
    int ret = tarn_mpool_thread(b.pool, &th);

    (void)pthread_barrier_wait(t->start);
    t->ret = ret != 0 ? ret : extent_ensure(th, t->class_);
    return NULL;
}

/* One extent can go and four want it. */
static void takers_at_once(void)
{
    struct taker t[4];
    pthread_barrier_t start;

    CU_ASSERT_EQUAL_FATAL(pthread_barrier_init(&start, NULL, 4), 0);
    for (int round = 0; round < 10; round++) {
        uint32_t given = 0;

        all_large(9);
        change_all(7, 9, 1);
        for (uint32_t i = 0; i < 4; i++) {
            t[i] = (struct taker){ .start = &start, .class_ = i };
            CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i].id, NULL, take, &t[i]), 0);
        }
        for (int i = 0; i < 4; i++) {
            CU_ASSERT_EQUAL(pthread_join(t[i].id, NULL), 0);
            given += t[i].ret == TARN_OK;
            CU_ASSERT(t[i].ret == TARN_OK || t[i].ret == TARN_ENOSPC);
        }
        CU_ASSERT(given <= 1);
        CU_ASSERT_EQUAL(words_used(7), 9 - given);
        end();
    }
    CU_ASSERT_EQUAL(pthread_barrier_destroy(&start), 0);
}

/* What other threads, which miss too, see while an extent is drained: the first page is written. */
static void note_misses(void *ctx, enum io_kind kind, uint64_t off, size_t len)
{
    (void)off;
    (void)len;
    if (kind == IO_WRITE)
        *(uint32_t *)ctx = atomic_load(&b.pool->header->misses_of[3]);
}

static void one_of_many_moves_an_extent(void)
{
    uint32_t seen = UINT32_MAX;

    all_large(10);
    MUST(open_size(3, 20));
    change_all(7, 9, 1);
    b.io.ctx = &seen;
    b.io.before = note_misses;
    atomic_store(&b.pool->header->misses_of[3], 5000);
    extent_balance(b.th, 3);
    b.io.before = NULL;
    CU_ASSERT_EQUAL(words_used(7), 8);
    CU_ASSERT_EQUAL(seen, 0);
    end();
}

/* ---- what a joiner finds ------------------------------------------------------------------------ */

/* The header of the pool with one number changed: does it still make sense? */
#define SANE_WITH(field, value)                                                                    \
    (h = *b.pool->header, h.field = (value), plan_sane(&h, b.pool->region->header->layer_bytes))

static void headers_that_cannot_be(void)
{
    static struct pool_header h;

    begin(1 << 20, 4096);
    CU_ASSERT(SANE_WITH(unit_shift, 12));
    for (uint32_t shift = 13; shift < 64; shift++)
        CU_ASSERT_FALSE(SANE_WITH(unit_shift, shift));
    CU_ASSERT_FALSE(SANE_WITH(extent_shift, 0)); /* smaller than a unit */
    CU_ASSERT_FALSE(SANE_WITH(extent_shift, UINT32_MAX));
    CU_ASSERT_FALSE(SANE_WITH(units, h.units - 1));
    CU_ASSERT_FALSE(SANE_WITH(groups, 0));
    CU_ASSERT_FALSE(SANE_WITH(groups, UINT32_MAX));
    CU_ASSERT_FALSE(SANE_WITH(files_off, 0));
    CU_ASSERT_FALSE(SANE_WITH(files_off, h.files_off + 8));
    CU_ASSERT_FALSE(SANE_WITH(files_off, UINT64_MAX - 63)); /* its end wraps */
    CU_ASSERT_FALSE(SANE_WITH(entry_off, UINT64_MAX - 63));
    CU_ASSERT_FALSE(SANE_WITH(data_off, UINT64_MAX - 63));
    CU_ASSERT_FALSE(SANE_WITH(dirty_off, h.dirty_off - 64));
    CU_ASSERT_FALSE(SANE_WITH(max_files, UINT32_MAX));
    CU_ASSERT_FALSE(SANE_WITH(file_stride, 64));
    CU_ASSERT_FALSE(SANE_WITH(file_stride, h.file_stride + 8));
    CU_ASSERT_FALSE(SANE_WITH(opener_words, 0));
    CU_ASSERT_FALSE(SANE_WITH(opener_words, UINT32_MAX));
    CU_ASSERT(plan_holds_rows(b.pool->header, b.pool->region->header->max_procs));
    CU_ASSERT_FALSE(plan_holds_rows(b.pool->header, b.pool->header->opener_words * 64 + 1));
    end();
}

/* ---- threads ------------------------------------------------------------------------------------ */

struct worker {
    pthread_t id;
    unsigned size;
    bool well;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    uint32_t bytes = size_of(w->size);
    tarn_thread *th;
    void *page;

    w->well = tarn_mpool_thread(b.pool, &th) == TARN_OK;
    for (int round = 0; round < 12; round++)
        for (tarn_pgno i = 0; i < 200 && w->well; i++) {
            w->well = tarn_page_get(th, file[w->size], i, 0, &page) == TARN_OK &&
                      page_is(page, bytes, i, (unsigned)round);
            if (!w->well)
                break;
            page_fill(page, bytes, i, (unsigned)round + 1);
            w->well = tarn_page_put(th, page, TARN_PAGE_DIRTY) == TARN_OK;
        }
    return NULL;
}

static void sizes_fight_for_room(void)
{
    struct worker w[3] = { { .size = 1 }, { .size = 3 }, { .size = 5 } };

    begin(1 << 20, 1024);
    for (int i = 0; i < 3; i++)
        MUST(open_size(w[i].size, 200));
    for (int i = 0; i < 3; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&w[i].id, NULL, work, &w[i]), 0);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(pthread_join(w[i].id, NULL), 0);
        CU_ASSERT(w[i].well);
    }
    OK(tarn_mpool_sync(b.pool));
    for (int i = 0; i < 3; i++)
        for (tarn_pgno p = 0; p < 200; p++)
            CU_ASSERT(bed_has(&b, name_of(w[i].size), size_of(w[i].size), p, 12));
    end();
}

int main(void)
{
    static CU_TestInfo tests[] = {
        { "all page sizes in a pool of 512-byte units", units_of_512 },
        { "all page sizes in a pool of 4 KiB units", units_of_4096 },
        { "all page sizes in a pool of 64 KiB units", units_of_65536 },
        { "eight pages of each size at once", eight_pages_of_each },
        { "a new page size in a full pool", a_new_size_in_a_full_pool },
        { "what a new size needs comes from others", taken_from_others },
        { "no room for a new size", no_room_for_a_new_size },
        { "extents with pinned pages stay", pinned_extents_stay },
        { "room moves to where it is missed", room_moves_to_where_it_is_missed },
        { "every extent is counted once", the_counts_are_right },
        { "only what a dead drainer turned comes back", only_the_tagged_come_back },
        { "counts that a death left wrong", wrong_counts_heal },
        { "the least of a size is not drained", the_least_is_not_drained },
        { "memory for a spare extent is refused", memory_is_refused },
        { "one extent can go and four want it", takers_at_once },
        { "one of many who miss moves an extent", one_of_many_moves_an_extent },
        { "headers that cannot be", headers_that_cannot_be },
        { "sizes fight for room", sizes_fight_for_room },
        CU_TEST_INFO_NULL,
    };
    static CU_SuiteInfo suites[] = {
        { "extent", NULL, NULL, NULL, NULL, tests },
        CU_SUITE_INFO_NULL,
    };
    return run_suites(suites);
}
